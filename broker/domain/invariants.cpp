// Every invariant that can be checked in memory. For tests and the simulator.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

std::unexpected<failure> broken(const queue& q, std::string text) {
    return refuse(error_code::internal, fmt::format("queue {}: {}", q.path(), text));
}

outcome<void> check_counts(const queue& q) {
    const offset_t end = q.owner.end;
    const ledger& book = q.book;
    if (book.first() > book.floor() || book.floor() > end || q.owner.trim > book.floor()) {
        return broken(q, fmt::format("first {}, trim {}, floor {}, end {} do not ascend",
                                     book.first(), q.owner.trim, book.floor(), end));
    }
    const std::uint64_t sum = q.ready() + q.leased() + q.retrying() + q.dead() + q.done();
    if (sum != end - book.first()) {
        return broken(q,
                      fmt::format("{} ready, {} leased, {} retrying, {} dead and {} done are not "
                                  "the {} messages from {} to {}",
                                  q.ready(), q.leased(), q.retrying(), q.dead(), q.done(),
                                  end - book.first(), book.first(), end));
    }
    return {};
}

// Skipped offsets are done.
outcome<void> check_skipped(const queue& q) {
    outcome<void> result;
    q.owner.skipped.for_each_in(q.book.floor(), q.owner.end, [&](offset_range run) {
        if (q.book.closed().count_in(run.first, run.end()) != run.count && result) {
            result = broken(
                q, fmt::format("skipped offsets {} to {} are not done", run.first, run.end()));
        }
    });
    q.owner.skipped.for_each([&](offset_range run) {
        if (result && (q.book.retrying().contains_any(run) || q.book.dead().contains_any(run))) {
            result = broken(
                q, fmt::format("a skipped offset of {} to {} has failed", run.first, run.end()));
        }
    });
    return result;
}

outcome<void> check_sets(const queue& q) {
    outcome<void> result;
    const auto disjoint = [&](const interval_set& a, const interval_set& b, const char* what) {
        a.for_each([&](offset_range run) {
            if (b.contains_any(run) && result) {
                result =
                    broken(q, fmt::format("{} overlap at {} to {}", what, run.first, run.end()));
            }
        });
    };
    const auto within = [&](const interval_set& a, const interval_set& b, const char* what) {
        a.for_each([&](offset_range run) {
            if (b.count_in(run.first, run.end()) != run.count && result) {
                result = broken(q, fmt::format("{} ({} to {})", what, run.first, run.end()));
            }
        });
    };
    disjoint(q.book.retrying(), q.book.dead(), "retrying and dead");
    disjoint(q.returned, q.book.closed(), "returned and closed");
    disjoint(q.ahead, q.book.closed(), "leased ahead and closed");
    disjoint(q.ahead, q.returned, "leased ahead and returned");
    disjoint(q.schedule.due(), q.leased_retries, "due and leased");
    if (q.order) {
        disjoint(q.order->skipped, q.book.closed(), "skipped and closed");
        disjoint(q.order->skipped, q.returned, "skipped and returned");
        disjoint(q.order->skipped, q.ahead, "skipped and leased ahead");
        for (offset_t offset = q.order->due_waiting.next(0); offset != offset_end;
             offset = q.order->due_waiting.next(offset + 1)) {
            if (!q.book.retrying().contains(offset) || q.leased_retries.contains(offset) ||
                q.schedule.due().contains(offset) || q.alone_due.contains(offset)) {
                return broken(q, fmt::format("{} waits for its key in another state", offset));
            }
        }
        for (offset_t offset = q.order->promised.next(0); offset != offset_end;
             offset = q.order->promised.next(offset + 1)) {
            if (!q.schedule.due().contains(offset) && !q.alone_due.contains(offset)) {
                return broken(q, fmt::format("{} holds its key and is not due", offset));
            }
        }
        if (!q.order->skipped.empty() && q.order->skipped.back() >= q.next) {
            return broken(q, "skipped reaches beyond next");
        }
    }
    if (q.levels) {
        interval_set returned = q.levels->unplaced;
        for (const queue_level& level : q.levels->all) {
            disjoint(level.returned, returned, "returned of several levels");
            level.returned.for_each([&](offset_range run) { returned.insert(run); });
            disjoint(level.due, q.schedule.due(), "due of a level and due");
            disjoint(level.due, q.alone_due, "due of a level and due alone");
            disjoint(level.due, q.leased_retries, "due of a level and leased");
            within(level.due, q.book.retrying(), "a due message of a level is not retrying");
        }
        within(returned, q.returned, "returned of a level and not of its queue");
        within(q.returned, returned, "returned and of no level");
    }
    disjoint(q.alone_due, q.leased_retries, "due alone and leased");
    disjoint(q.alone_due, q.schedule.due(), "due alone and due");
    within(q.leased_retries, q.book.retrying(), "a leased retry is not retrying");
    within(q.schedule.due(), q.book.retrying(), "a due message is not retrying");
    within(q.alone_due, q.book.retrying(), "a message due alone is not retrying");
    if (!q.book.closed().empty() && q.book.closed().front() < q.book.floor()) {
        return broken(q, "closed reaches below the floor");
    }
    if (!q.returned.empty() && q.returned.front() < q.book.floor()) {
        return broken(q, "returned reaches below the floor");
    }
    if (!q.ahead.empty() && q.ahead.front() < q.next) {
        return broken(q, "a lease ahead lies below next");
    }
    return result;
}

struct held {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
};

// What each consumer counts is what the table has of it.
template <typename Counted>
outcome<void> check_holders(const queue& q, std::map<const consumer*, held>& sums, const char* what,
                            Counted&& counted) {
    for (const consumer* one : q.consumers) {
        const held sum = sums[one];
        const held count = counted(*one);
        if (count.messages != sum.messages || count.bytes != sum.bytes) {
            return broken(q, fmt::format("consumer {} counts {} {} of {} bytes, the table {} of {}",
                                         one->name, count.messages, what, count.bytes, sum.messages,
                                         sum.bytes));
        }
        sums.erase(one);
    }
    return sums.empty() ? outcome<void>{}
                        : broken(q, fmt::format("some {} belong to no consumer", what));
}

outcome<void> check_leases(const queue& q) {
    outcome<void> result;
    std::map<const consumer*, held> sums;
    interval_set seen;
    std::uint64_t retried = 0;
    q.leases->for_each([&](const lease_span& span) {
        sums[span.holder].messages += span.run.count;
        sums[span.holder].bytes += span.bytes;
        retried += span.exception ? span.run.count : 0;
        const bool twice = seen.insert(span.offsets()) != span.run.count;
        const bool state_is_leased = q.state_of(span.run.first_offset) == message_state::leased &&
                                     q.state_of(span.offsets().end() - 1) == message_state::leased;
        if (result && (twice || !state_is_leased)) {
            result = broken(
                q, fmt::format("messages {} to {} are leased {}", span.run.first_offset,
                               span.offsets().end(), twice ? "twice" : "and in another state"));
        }
        if (result && span.deadline < q.leases->earliest()) {
            result = broken(q, "a lease expires before the earliest deadline");
        }
    });
    if (!result) {
        return result;
    }
    if (retried != q.leased_retries.count()) {
        return broken(q, fmt::format("{} leased retries, {} in the table", q.leased_retries.count(),
                                     retried));
    }
    return check_holders(q, sums, "leases",
                         [](const consumer& one) { return held{one.leased, one.leased_bytes}; });
}

outcome<void> check_ended(const queue& q) {
    std::map<const consumer*, held> sums;
    q.ended->for_each([&](const lease_span& span) {
        sums[span.holder].messages += span.run.count;
        sums[span.holder].bytes += span.bytes;
    });
    return check_holders(q, sums, "ended leases",
                         [](const consumer& one) { return held{one.ended, one.ended_bytes}; });
}

// Who waits for room is known to somebody who will give it, and nobody waits for what cannot come.
outcome<void> check_line(const core& c, const connection& of, const consumer_group& group) {
    const auto wrong = [&](std::string_view text) {
        return refuse(error_code::internal,
                      fmt::format("consumer {} of {}: {}", group.id.value(), of.name, text));
    };
    const consumer* const claimant = group.claimed_by();
    if (claimant != nullptr && claimant->from->paused) {
        return wrong("its queues wait for one that is paused");
    }
    if (group.until_alone() && claimant->from->reserved_for_alone != claimant) {
        return wrong("its queues wait for a message to be alone that is for another one");
    }
    if (!c.woken.empty() || !c.noted_groups.empty()) {
        return {};
    }
    for (const auto& [id, one] : group.members) {
        const queue& q = *one->from;
        if (!q.stands_by(*one) && !one->candidate && !one->in_line && one.get() != claimant &&
            one.get() != q.reserved_for_alone && one->leased == 0) {
            return wrong(fmt::format("queue {} is forgotten", q.path()));
        }
    }
    return {};
}

outcome<void> check_rooms(const core& c, const connection& of) {
    for (const auto& [id, one] : of.consumers) {
        if (one->own.leased != one->leased + one->ended || one->own.ended != one->ended ||
            one->own.leased_bytes != one->leased_bytes + one->ended_bytes) {
            return refuse(error_code::internal,
                          fmt::format("consumer {} of {}: its room counts {} leases of {}",
                                      id.value(), of.name, one->own.leased, one->leased));
        }
    }
    for (const auto& [id, group] : of.groups) {
        held sum;
        std::uint64_t ended = 0;
        for (const auto& [number, one] : group->members) {
            sum.messages += one->leased + one->ended;
            sum.bytes += one->leased_bytes + one->ended_bytes;
            ended += one->ended;
        }
        if (group->room.leased != sum.messages || group->room.leased_bytes != sum.bytes ||
            group->room.ended != ended) {
            return refuse(error_code::internal,
                          fmt::format("consumer {} of {}: its room counts {} leases of {}",
                                      id.value(), of.name, group->room.leased, sum.messages));
        }
        if (group->somebody_waits() && group->claimed_by() == nullptr && group->room.free() > 0 &&
            !group->noted) {
            return refuse(error_code::internal,
                          fmt::format("consumer {} of {}: queues wait, and there is room",
                                      id.value(), of.name));
        }
        if (auto checked = check_line(c, of, *group); !checked) {
            return checked;
        }
    }
    return {};
}

outcome<void> check_patterns(const core& c) {
    for (const auto& [path, rule] : c.patterns) {
        std::size_t found = 0;
        for (const auto& [name, of] : c.topics_by_name) {
            const auto q = of->queues.find(rule->rule.queue);
            if (q != of->queues.end() && belongs(*rule, *q->second)) {
                ++found;
                const auto known = rule->queues.find(q->second->id);
                if (known == rule->queues.end() || known->second != q->second.get()) {
                    return broken(*q->second, fmt::format("{} does not know it", path));
                }
            }
        }
        if (found != rule->queues.size()) {
            return refuse(error_code::internal, fmt::format("{} knows {} queues of {}", path,
                                                            rule->queues.size(), found));
        }
    }
    return {};
}

outcome<void> check_timer(const queue& q) {
    if (q.timer > std::min(q.leases->earliest(), q.ended->earliest())) {
        return broken(q, "no timer for the earliest lease");
    }
    return {};
}

outcome<void> check_topic(const topic& of) {
    if (of.trim > of.end || of.next_offset() < of.end) {
        return refuse(error_code::internal,
                      fmt::format("topic {}: trim {}, end {}, next {} do not ascend", of.name,
                                  of.trim, of.end, of.next_offset()));
    }
    if (!of.skipped.empty() && of.skipped.back() >= of.end) {
        return refuse(error_code::internal, fmt::format("topic {}: skipped to {}, end {}", of.name,
                                                        of.skipped.back(), of.end));
    }
    if (of.marks.begin() != of.trim || of.marks.end() != of.end) {
        return refuse(error_code::internal,
                      fmt::format("topic {}: {} to {}, its marks say {} to {}", of.name, of.trim,
                                  of.end, of.marks.begin(), of.marks.end()));
    }
    return {};
}

// Looks at each queue, and leaves what is remembered as it was.
outcome<void> check_slowest(const topic& of) {
    const offset_t remembered = first_pending(of);
    const queue* const slowest = of.slowest;
    const offset_t at = of.slowest_at;
    forget_slowest(of);
    const offset_t found = first_pending(of);
    of.slowest = slowest;
    of.slowest_at = at;
    if (remembered != found) {
        return refuse(error_code::internal,
                      fmt::format("topic {}: {} is taken for the first pending, it is {}", of.name,
                                  remembered, found));
    }
    return {};
}

outcome<void> check_queues(const topic& of) {
    for (const auto& [name, q] : of.queues) {
        for (const auto check :
             {check_counts, check_skipped, check_sets, check_leases, check_ended, check_timer}) {
            if (auto checked = check(*q); !checked) {
                return checked;
            }
        }
    }
    return {};
}

// When all is sealed, what a topic that drops the oldest holds fits its bounds.
outcome<void> check_dropped(const topic& of) {
    const topic_settings& s = of.settings;
    const pending_amount pending = pending_in(of);
    const bool fits = (s.max_messages == 0 || pending.messages <= s.max_messages) &&
                      (s.max_bytes == 0 || pending.bytes <= s.max_bytes);
    if (s.when_full == full_policy::drop_oldest && !fits) {
        return refuse(error_code::internal,
                      fmt::format("topic {} holds {} messages of {} bytes ({})", of.name,
                                  pending.messages, pending.bytes, bounds_text(s)));
    }
    return {};
}

}  // namespace

outcome<void> check_invariants(const core& c) {
    std::size_t queues = 0;
    for (const auto& [id, of] : c.topics) {
        queues += of->queues.size();
        for (const auto check : {check_topic, check_slowest, check_queues}) {
            if (auto checked = check(*of); !checked) {
                return checked;
            }
        }
        if (auto checked = c.dirty ? outcome<void>() : check_dropped(*of); !checked) {
            return checked;
        }
        if (const auto wrong = of->scheduled ? of->scheduled->check() : std::nullopt) {
            return refuse(error_code::internal, fmt::format("topic {}: {}", of->name, *wrong));
        }
    }
    for (const auto& [id, each] : c.connections) {
        if (auto checked = check_rooms(c, each); !checked) {
            return checked;
        }
    }
    if (auto checked = check_patterns(c); !checked) {
        return checked;
    }
    const bool reads_wait = !c.dispatch_reads_waiting.empty();
    if (c.dispatch_reads > core::dispatch_reads_max ||
        (reads_wait && c.dispatch_reads < core::dispatch_reads_max)) {
        return refuse(error_code::internal,
                      fmt::format("dispatch has {} reads on their way, {} wait", c.dispatch_reads,
                                  c.dispatch_reads_waiting.size()));
    }
    if (const auto wrong = c.services.check()) {
        return refuse(error_code::internal, fmt::format("services: {}", *wrong));
    }
    if (queues != c.queues.size() || c.topics.size() != c.topics_by_name.size()) {
        return refuse(error_code::internal, "names and identities do not match");
    }
    return {};
}

}  // namespace brokerd::domain
