// Settling leases: ack, nack, reject, release, extend. Leases in the table are settled at once, by
// range; what is not in the table may still hold (late.cpp), for which exceptions may have to be
// fetched first. A settle with a sequence is carried out as a whole after that: until then it has
// left no trace, so a resend finds all of it or nothing.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

constexpr unsigned accepted_shift = 32;  // accepted and refused packed into one window value

struct settlement {
    asker who;
    codec::settle what;
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::vector<lease_run> gone;
    std::vector<lease_run> late;  // not in the table
};

duration_us bounded_lease(const queue& q, duration_us asked) {
    const duration_us wanted = asked < duration_us{0} ? q.settings->lease : asked;
    return std::clamp<duration_us>(wanted, limits::lease_min, limits::lease_max);
}

failed_lease failure_of(const settlement& s, const std::string& consumer) {
    const bool nack = s.what.action == settle_action::nack;
    return {.outcome = nack ? attempt_outcome::nacked : attempt_outcome::rejected,
            .consumer = consumer,
            .reason = s.what.reason,
            .delay = s.what.delay < duration_us{0}
                         ? duration_us{-1}
                         : std::min<duration_us>(s.what.delay, limits::nack_delay_max)};
}

// What settles it says who it is; a consumer that is gone has no name any more.
std::string name_of(core& c, asker who) {
    const connection* from = c.find_connection(who.connection);
    return from == nullptr ? std::string{} : from->name;
}

void settle_span(core& c, turn& t, queue& q, const settlement& s, lease_span span) {
    if (s.what.action == settle_action::extend) {
        span.deadline = t.now.mono + bounded_lease(q, s.what.delay);
        c.arm(q, span.deadline);
        q.leases.made().add(std::move(span));
        return;
    }
    give_back_room(q, span);
    switch (s.what.action) {
        case settle_action::ack: ack_span(c, t, q, span); break;
        case settle_action::nack:
        case settle_action::reject:
            fail_span(c, t, q, span, failure_of(s, span.holder->name));
            break;
        case settle_action::release: release_span(c, t, q, std::move(span)); break;
        case settle_action::extend: break;
    }
}

// Settles what is in the table; the rest goes to s.late.
void settle_run(core& c, turn& t, queue& q, settlement& s, lease_run run) {
    while (run.count > 0) {
        const lease_part part = find_part(*q.leases, run);
        if (part.held) {
            settle_span(c, t, q, s, q.leases.made().take({run.epoch, run.first_lease}, part.count));
            s.accepted += part.count;
        } else {
            s.late.push_back({run.first_offset, part.count, run.epoch, run.first_lease});
            forget_ended(c, q, s.late.back());
        }
        run.first_offset += part.count;
        run.first_lease += part.count;
        run.count -= part.count;
    }
}

// ---- late leases ----

void refuse_range(settlement& s, const lease_run& run, offset_t first, std::uint64_t count) {
    const auto distance = first - run.first_offset;
    s.refused += count;
    append_run(s.gone,
               {first, static_cast<std::uint32_t>(count), run.epoch, run.first_lease + distance});
}

// Messages of an earlier epoch that were not delivered since: as if their leases were in the table.
void settle_untouched(core& c, turn& t, queue& q, const settlement& s, const lease_run& part) {
    lease_span span;
    span.run = part;
    switch (s.what.action) {
        case settle_action::ack: ack_span(c, t, q, span); break;
        case settle_action::nack:
        case settle_action::reject:
            fail_span(c, t, q, span, failure_of(s, name_of(c, s.who)));
            break;
        case settle_action::release:
        case settle_action::extend: break;
    }
}

// A message whose lease failed silently: what its holder says now replaces that attempt.
void settle_excepted(core& c, turn& t, queue& q, const settlement& s, offset_t offset,
                     lease_id lease, const exception_state& known) {
    if (s.what.action == settle_action::ack) {
        q.out_rate.add(t.now.mono, 1);
        ++c.counters.acked_messages;
        erase_exception(c, t, q, offset, known);
        return;
    }
    exception_state before = known;
    if (known.last_lease == lease && ended_silently(known)) {
        before.history.pop_back();
        --before.attempts;
    }
    if (s.what.action == settle_action::release) {
        before.state = message_state::retrying;
        before.due = t.retry_now;
        before.last_lease = lease;
        before.lease_failed = false;
        put_exception(c, t, q, offset, &known, std::move(before));
        return;
    }
    const failed_lease how = failure_of(s, name_of(c, s.who));
    before.state = known.state;  // with its due time: what the store has to replace
    before.due = known.due;
    fail_message(c, t, q, offset, lease, &before, how);
}

consumer* consumer_of(core& c, const queue& q, connection_id from) {
    connection* who = c.find_connection(from);
    if (who == nullptr) {
        return nullptr;
    }
    for (const auto& [id, one] : who->consumers) {
        if (one->from == &q) {
            return one.get();
        }
    }
    for (const auto& [id, group] : who->groups) {
        const auto member = group->members.find(q.id);
        if (member != group->members.end()) {
            return member->second.get();
        }
    }
    return nullptr;
}

// One message; true if its lease still holds.
bool settle_late(core& c, turn& t, queue& q, const settlement& s, offset_t offset, lease_id lease,
                 const exception_state* known) {
    if (s.what.action == settle_action::extend) {
        consumer* holder = consumer_of(c, q, s.who.connection);
        return holder != nullptr && take_up(c, t, q, *holder, offset, lease, known,
                                            t.now.mono + bounded_lease(q, s.what.delay));
    }
    switch (judge_late(c, q, offset, lease, known)) {
        case late_lease::gone: return false;
        case late_lease::untouched:
            settle_untouched(c, t, q, s, {offset, 1, lease.epoch, lease.counter});
            return true;
        case late_lease::excepted: settle_excepted(c, t, q, s, offset, lease, *known); return true;
    }
    return false;
}

void settle_late_run(core& c, turn& t, queue& q, settlement& s, const lease_run& run,
                     const exception_map& exceptions) {
    const offset_t end = run.first_offset + run.count;
    const offset_t known_end = std::min(end, std::max(q.owner.end, run.first_offset));
    for (offset_t offset = run.first_offset; offset < known_end;) {
        const lease_id lease{run.epoch, run.first_lease + (offset - run.first_offset)};
        const bool excepted = q.book.is_exception(offset);
        const std::uint64_t count = excepted ? 1 : same_fate(q, offset, lease, known_end);
        bool holds = false;
        if (excepted || s.what.action == settle_action::extend) {
            const auto known = newest_exception(q, exceptions, offset);
            holds = settle_late(c, t, q, s, offset, lease, known ? &*known : nullptr);
        } else if (judge_late(c, q, offset, lease, nullptr) == late_lease::untouched) {
            settle_untouched(
                c, t, q, s,
                {offset, static_cast<std::uint32_t>(count), lease.epoch, lease.counter});
            s.accepted += count;
            offset += count;
            continue;
        }
        const std::uint64_t judged = s.what.action == settle_action::extend && holds ? 1 : count;
        if (holds) {
            s.accepted += judged;
        } else {
            refuse_range(s, run, offset, judged);
        }
        offset += judged;
    }
    if (known_end < end) {
        refuse_range(s, run, known_end, end - known_end);
    }
}

// ---- the answer ----

void finish(core& c, turn& t, queue& q, settlement& s) {
    c.counters.stale_settles += s.refused;
    if (s.what.producer != producer_id{}) {
        const std::uint64_t value =
            (std::min<std::uint64_t>(s.accepted, std::numeric_limits<std::uint32_t>::max())
             << accepted_shift) |
            std::min<std::uint64_t>(s.refused, std::numeric_limits<std::uint32_t>::max());
        if (auto erased = c.producers.record({q.owner.id, q.id, s.what.producer}, s.what.sequence,
                                             1, value, t.wall, c.gathering)) {
            c.emit(t, std::move(*erased), false);
        }
        c.dirty = true;
    }
    if (s.what.confirm) {
        // A lease that was only moved or given back has nothing to wait for.
        const bool in_memory_only =
            (s.what.action == settle_action::extend || s.what.action == settle_action::release) &&
            s.late.empty() && s.what.producer == producer_id{};
        const bool waits = !in_memory_only && c.dirty;
        t.out.urgent = t.out.urgent || waits;
        c.answer(t, s.who, waits ? c.gathering : commit_number{},
                 codec::settled{.accepted = s.accepted,
                                .refused = s.refused,
                                .duplicate = false,
                                .gone = std::move(s.gone)});
    } else if (s.refused > 0) {
        const offset_t first = s.gone.front().first_offset;
        c.refuse(
            t, s.who,
            {error_code::lease_gone,
             fmt::format("{} of the {} leases in this {} are no longer held, the first that of "
                         "{}: they ended or the messages were given to another consumer",
                         s.refused, s.refused + s.accepted, to_string(s.what.action),
                         q.address(first))});
    }
}

void settle_late_runs(core& c, turn& t, queue& q, settlement& s, const exception_map& exceptions) {
    for (const lease_run& run : s.late) {
        settle_late_run(c, t, q, s, run, exceptions);
    }
    finish(c, t, q, s);
}

// True if the settle is to be carried out; else it has been answered.
bool check_settle(core& c, turn& t, const queue& q, asker who, const codec::settle& what) {
    if (auto checked = check_runs(what.runs); !checked) {
        c.refuse(t, who, checked.error());
        return false;
    }
    if (what.producer == producer_id{}) {
        return true;
    }
    if (what.sequence == 0) {
        c.refuse(
            t, who,
            {error_code::invalid_argument, "a settle with a producer needs a sequence from 1 on"});
        return false;
    }
    producer_entry* entry = c.producers.find({q.owner.id, q.id, what.producer});
    if (entry == nullptr) {
        return true;
    }
    const auto known = entry->window.check(what.sequence, 1);
    switch (known.what) {
        case producer_window::verdict::fresh: return true;
        case producer_window::verdict::duplicate:
            if (what.confirm) {
                c.answer(t, who, entry->last_commit,
                         codec::settled{.accepted = known.value >> accepted_shift,
                                        .refused = static_cast<std::uint32_t>(known.value),
                                        .duplicate = true,
                                        .gone = {}});
            }
            return false;
        case producer_window::verdict::too_old:
        case producer_window::verdict::mismatch: break;
    }
    c.refuse(t, who,
             {error_code::sequence_too_old,
              fmt::format("settle sequence {} of producer {:016x} on queue {} is older than the {} "
                          "that are remembered (from {})",
                          what.sequence, what.producer.value(), q.path(), limits::producer_window,
                          entry->window.lowest())});
    return false;
}

// What is in the table; the rest is left in s.late.
void settle_runs(core& c, turn& t, queue& q, settlement& s) {
    for (const lease_run& run : s.what.runs) {
        settle_run(c, t, q, s, run);
    }
    c.wake(q);
}

void settle_with(core& c, turn& t, queue& q, settlement& s,
                 const outcome<exception_map>& exceptions) {
    if (!exceptions) {
        c.refuse(t, s.who, exceptions.error());
        return;
    }
    if (s.what.producer != producer_id{}) {
        // The same settle may have come again and been carried out meanwhile.
        if (!check_settle(c, t, q, s.who, s.what)) {
            return;
        }
        settle_runs(c, t, q, s);
    }
    settle_late_runs(c, t, q, s, *exceptions);
}

// Settles what is left to settle, once the exceptions of `offsets` are known.
void fetch_and_settle(core& c, turn& t, queue& q, settlement s, std::vector<offset_t> offsets) {
    auto shared = std::make_shared<settlement>(std::move(s));
    settle_waits(c, shared->who.connection);
    with_exceptions(
        c, t, q, std::move(offsets),
        [shared](core& now, turn& later, queue& of, const outcome<exception_map>& exceptions) {
            settle_with(now, later, of, *shared, exceptions);
            settle_waited(now, later, shared->who.connection);
        },
        [shared, &c](turn& later) {
            c.refuse(later, shared->who,
                     {error_code::queue_removed, "the queue was removed meanwhile"});
            settle_waited(c, later, shared->who.connection);
        });
}

}  // namespace

std::optional<offset_t> first_not_held(const core& c, const queue& q,
                                       const std::vector<lease_run>& runs,
                                       const exception_map& exceptions) {
    for (lease_run run : runs) {
        while (run.count > 0) {
            lease_part part = find_part(*q.leases, run);
            if (!part.held) {
                const auto known = newest_exception(q, exceptions, run.first_offset);
                if (run.first_offset >= q.owner.end ||
                    judge_late(c, q, run.first_offset, {run.epoch, run.first_lease},
                               known ? &*known : nullptr) == late_lease::gone) {
                    return run.first_offset;
                }
                part.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(
                    part.count, same_fate(q, run.first_offset, {run.epoch, run.first_lease},
                                          std::min(run.first_offset + part.count, q.owner.end))));
                if (q.book.is_exception(run.first_offset)) {
                    part.count = 1;
                }
            }
            run.first_offset += part.count;
            run.first_lease += part.count;
            run.count -= part.count;
        }
    }
    return std::nullopt;
}

void settle_held(core& c, turn& t, queue& q, asker who, codec::transact_settle what,
                 const exception_map& exceptions) {
    settlement s{.who = who,
                 .what = {.queue = what.queue,
                          .action = what.action,
                          .delay = what.delay,
                          .reason = std::move(what.reason),
                          .runs = std::move(what.runs)},
                 .gone = {},
                 .late = {}};
    settle_runs(c, t, q, s);
    for (const lease_run& run : s.late) {
        settle_late_run(c, t, q, s, run, exceptions);
    }
    BROKERD_ASSERT(s.refused == 0, "{} leases of queue {} were held and are not", s.refused,
                   q.path());
}

void settle(core& c, turn& t, asker who, codec::settle what) {
    queue* q = c.queue_by_id(what.queue);
    if (q == nullptr) {
        c.refuse(t, who,
                 {error_code::queue_removed,
                  fmt::format("there is no queue with identity {}: it was removed; attach again by "
                              "name",
                              what.queue.value())});
        return;
    }
    if (!check_settle(c, t, *q, who, what)) {
        return;
    }
    settlement s{.who = who, .what = std::move(what), .gone = {}, .late = {}};
    if (s.what.producer != producer_id{}) {
        auto offsets = unleased_exceptions(*q, s.what.runs);
        fetch_and_settle(c, t, *q, std::move(s), std::move(offsets));
        return;
    }
    settle_runs(c, t, *q, s);
    if (s.late.empty()) {
        finish(c, t, *q, s);
    } else {
        auto offsets = unleased_exceptions(*q, s.late);
        fetch_and_settle(c, t, *q, std::move(s), std::move(offsets));
    }
}

}  // namespace brokerd::domain
