// Why a ready message, or all that is ready in a queue, is not given out: what dispatch.cpp and
// dispatch_ordered.cpp would meet, in the order in which they meet it.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "broker/domain/dispatch_steps.hpp"
#include "broker/domain/explain_reasons.hpp"
#include "broker/domain/human.hpp"

namespace brokerd::domain {
namespace {

using texts = std::vector<std::string>;

// ---- consumers ----

bool every_active(const queue& q, bool (*is)(const consumer&)) {
    const auto active = active_consumers(q);
    return std::all_of(active.begin(), active.end(),
                       [is](const consumer* one) { return is(*one); });
}

bool is_draining(const question& of) {
    const auto active = active_consumers(of.q);
    return std::all_of(active.begin(), active.end(), [&](const consumer* one) {
        const connection* from = of.c.find_connection(one->connection);
        return from != nullptr && from->draining;
    });
}

std::string active_one(const queue& q) {
    const std::size_t others = q.consumers.size() - 1;
    return fmt::format("the active consumer {} ({} {} by)", q.consumers.front()->name, others,
                       others == 1 ? "stands" : "stand");
}

bool some_stand_by(const queue& q) {
    return active_consumers(q).size() < q.consumers.size();
}

std::string every_consumer(const queue& q) {
    return some_stand_by(q) ? active_one(q) : "every consumer";
}

// `2 consumers hold all they`.
texts those_that_hold(const question& of) {
    const bool one = active_consumers(of.q).size() == 1;
    return {some_stand_by(of.q) ? active_one(of.q) : human_count(of.q.consumers.size(), "consumer"),
            one ? "holds" : "hold", one ? "it" : "they"};
}

// May be given what waits, if that is not too large.
bool has_room(const queue& q, const consumer& one) {
    return one.room() > 0 && &one != q.reserved_for_alone;
}

bool some_have_room(const queue& q) {
    const auto active = active_consumers(q);
    return std::any_of(active.begin(), active.end(),
                       [&](const consumer* one) { return has_room(q, *one); });
}

// ---- keys ----

// The first message nobody was given yet.
offset_t next_fresh(const queue& q) {
    offset_t at = std::max(q.next, q.book.floor());
    for (offset_t open = q.book.closed().next_gap(at); at != open || q.ahead.contains(at);
         open = q.book.closed().next_gap(at)) {
        at = q.ahead.next_gap(open);
    }
    return at;
}

// Nothing of an ordered queue has a free key, but for what must be alone.
bool keys_hold_all(const queue& q) {
    if (!q.order || !q.schedule.due().empty() || !q.order->reading.empty() ||
        q.order->keys.searching() || q.order->keys.search_wanted()) {
        return false;
    }
    return q.mode == queue_mode::single
               ? !key_is_free(q, only_key, offset_end)
               : next_fresh(q) >= q.owner.end && q.order->keys.next_runnable().offset == offset_end;
}

std::string order_of(const question& of) {
    return of.q.mode == queue_mode::single ? "the queue gives out one message at a time"
                                           : "another message with its key comes first";
}

bool has_key(const question& of) {
    return of.q.order && of.key != no_key;
}

const lease_span* holder_of_key(const question& of) {
    // Without that every lease would be looked at, for nothing.
    return of.q.order->keys.locked(of.key)
               ? of.q.leases->find_offset(of.q.order->keys.in_flight(of.key))
               : nullptr;
}

// A message that failed and takes the key before this one.
offset_t failed_before(const question& of) {
    const offset_t found = of.q.settings->after_failure == after_failure::block
                               ? of.q.order->keys.first_retrying(of.key)
                               : of.q.order->promised.first_of(of.key);
    return found < of.offset ? found : offset_end;
}

bool waits_for_failed(const question& of, message_state state) {
    if (!has_key(of)) {
        return false;
    }
    const offset_t found = failed_before(of);
    return found != offset_end && of.q.state_of(found) == state;
}

texts failed_one(const question& of) {
    return {order_of(of), of.q.address(failed_before(of))};
}

offset_t waits_before(const question& of) {
    return of.q.order->keys.first_waiting(of.key);
}

// ---- what was never given out ----

// Nothing else could be given out, so that it matters what stops the cursor.
bool only_fresh_ones(const queue& q) {
    if (!q.order) {
        return q.due() == 0 && q.returned.empty();
    }
    return q.schedule.due().empty() && q.reserved_for_alone == nullptr &&
           q.order->keys.next_runnable().offset == offset_end && next_fresh(q) < q.owner.end;
}

bool waits_for_cursor(const question& of) {
    if (of.about_queue()) {
        return only_fresh_ones(of.q);
    }
    return of.offset >= of.q.next &&
           (of.q.order || (of.known == nullptr && !of.q.returned.contains(of.offset)));
}

bool stopped_by_retrying(const queue& q) {
    return q.too_many_retrying() && (!q.order || q.order->due_waiting.next(q.next) == offset_end);
}

bool stopped_by_skipped(const queue& q) {
    return q.order && q.order->skipped.runs() >= q.settings->max_runs;
}

// ---- what comes first ----

// All that could be given out has to wait until a consumer holds nothing.
bool alone_comes_first(const question& of) {
    const queue& q = of.q;
    if (q.reserved_for_alone == nullptr || q.reserved_for_alone->holds_nothing()) {
        return false;
    }
    return !some_have_room(q) ||
           (of.about_queue() && (q.ready() == q.alone_due.count() || keys_hold_all(q)));
}

struct sized {
    offset_t offset = offset_end;
    std::size_t bytes = 0;
};

bool is_too_large(const queue& q, const sized& what) {
    const auto active = active_consumers(q);
    return what.offset != offset_end &&
           std::none_of(active.begin(), active.end(), [&](const consumer* one) {
               return has_room(q, *one) && fits(*one, what.bytes);
           });
}

sized next_due(const queue& q) {
    if (q.schedule.due().empty()) {
        return {};
    }
    const auto known = q.exceptions->known.find(q.schedule.due().front());
    return known == q.exceptions->known.end() || !known->second.record.owner
               ? sized{}
               : sized{known->first, known->second.record.view.size()};
}

// What the highest level that has something gives out next, be it a retry or another message, as
// far as memory knows it.
std::vector<sized> next_of_levels(const queue& q) {
    for (const queue_level& level : q.levels->all) {
        std::vector<sized> found;
        if (!level.due.empty()) {
            const auto known = q.exceptions->known.find(level.due.front());
            found.push_back(known == q.exceptions->known.end() || !known->second.record.owner
                                ? sized{level.due.front(), 0}
                                : sized{known->first, known->second.record.view.size()});
        }
        const bool cursor_moves = !stopped_by_retrying(q) && !q.too_many_runs();
        const offset_t other = !level.returned.empty()                   ? level.returned.front()
                               : cursor_moves && q.untouched(level.next) ? level.next
                                                                         : offset_end;
        const place at = other == offset_end ? place{} : find_in_memory(q, other);
        if (at.data && at.data->lane() == level.lane) {
            found.push_back({other, at.data->record_size(other)});
        }
        const bool unread = cursor_moves && level.next < q.owner.end;
        if (!found.empty() || !level.returned.empty() || unread) {
            return found;
        }
    }
    return {};
}

bool is_next_of_levels(const question& of) {
    const std::vector<sized> next = next_of_levels(of.q);
    return std::ranges::find(next, of.offset, &sized::offset) != next.end();
}

sized next_passed(const queue& q) {
    const offset_t offset = q.order              ? q.order->keys.next_runnable().offset
                            : q.returned.empty() ? offset_end
                                                 : q.returned.front();
    if (offset == offset_end || !q.passed_over(offset)) {
        return {};
    }
    const place at = find_in_memory(q, offset);
    return at.data ? sized{offset, at.data->record_size(offset)} : sized{};
}

sized next_at_cursor(const queue& q) {
    const offset_t offset = next_fresh(q);
    if (offset >= q.owner.end || stopped_by_retrying(q) || q.too_many_runs() ||
        stopped_by_skipped(q)) {
        return {};
    }
    const place at = find_in_memory(q, offset);
    return at.data ? sized{offset, at.data->record_size(offset)} : sized{};
}

// What comes next and fits no consumer; a record that is still to be read is not known to.
std::optional<sized> too_large(const queue& q) {
    if (!some_have_room(q)) {
        return std::nullopt;
    }
    const std::vector<sized> next =
        q.levels ? next_of_levels(q) : std::vector{next_due(q), next_passed(q), next_at_cursor(q)};
    const auto found =
        std::ranges::find_if(next, [&](const sized& each) { return is_too_large(q, each); });
    return found == next.end() ? std::nullopt : std::optional{*found};
}

// Dispatch has dropped all that have room, as what came next was too large for them.
bool passed_over_all(const question& of) {
    const queue& q = of.q;
    return some_have_room(q) && std::ranges::none_of(q.candidates, [&](const consumer* one) {
               return has_room(q, *one);
           });
}

// How many are given out before it, as far as that is certain.
std::uint64_t count_before(const question& of) {
    const queue& q = of.q;
    if (q.schedule.due().contains(of.offset)) {
        return q.schedule.due().count_in(0, of.offset);
    }
    if (!q.order && q.returned.contains(of.offset)) {
        return q.returned.count_in(0, of.offset);
    }
    if (of.offset < q.next) {
        return 0;
    }
    const offset_t from = std::max(q.next, q.book.floor());
    const std::uint64_t fresh = of.offset > from
                                    ? of.offset - from - q.book.closed().count_in(from, of.offset) -
                                          q.ahead.count_in(from, of.offset)
                                    : 0;
    return fresh + (q.order ? 0 : q.returned.count());
}

// ---- filter and end of the queue ----

bool is_unsifted(const question& of) {
    return !of.about_queue() && of.known == nullptr && of.q.sifting && of.q.sifting->filter &&
           of.q.sifting->unsifted.contains(of.offset) && of.q.sifting->at <= of.offset;
}

// One gap too many, until some have closed.
bool is_left(const question& of) {
    return !of.about_queue() && of.known == nullptr && of.q.sifting &&
           of.q.sifting->unsifted.contains(of.offset) && of.q.sifting->at == offset_end;
}

// ---- time to live ----

// As far as memory knows.
bool has_expired(const question& of) {
    if (of.about_queue() || !of.q.owner.expiry || (of.known != nullptr && of.known->ttl_lifted)) {
        return false;
    }
    if (of.q.sifting && of.q.sifting->unsifted.contains(of.offset) && is_not_taken(of)) {
        return false;  // it is done, however old
    }
    const place at = find_in_memory(of.q, of.offset);
    return at.data && at.data->expiry_of(of.offset, of.q.owner.settings.ttl) <= of.t.wall;
}

std::string what_becomes(const question& of) {
    return std::string(to_string(of.q.settings->on_expiry));
}

// ---- the table ----

constexpr reason_row ways_to_wait[] = {
    // Nobody gets it any more.
    {"its time to live is over: it is not given out any more, and {} as soon as a consumer asks",
     [](const question& of) { return of.known != nullptr && has_expired(of); },
     [](const question& of) { return texts{what_becomes(of)}; }},
    {"its time to live is over: it is not given out any more, and {} as soon as there are less "
     "than "
     "{} between settled messages, the queue's max_runs",
     [](const question& of) { return has_expired(of) && of.q.is_one_run_too_many({of.offset, 1}); },
     [](const question& of) {
         return texts{what_becomes(of), human_count(of.q.settings->max_runs, "gap")};
     }},
    {"its time to live is over: it is not given out any more, and {} soon", has_expired,
     [](const question& of) { return texts{what_becomes(of)}; }},

    {"it is not for the queue: it is not given out, and done as soon as there are far less than "
     "{} between settled messages, the queue's max_runs",
     [](const question& of) { return is_left(of) && is_not_taken(of); },
     [](const question& of) { return texts{human_count(of.q.settings->max_runs, "gap")}; }},

    // Nothing at all is given out.
    {"the queue is paused; resume it: brokerctl queue resume {}",
     [](const question& of) { return of.q.paused; },
     [](const question& of) { return texts{of.q.path()}; }},
    {"no consumer is attached; the queue is removed in {} unless one comes",
     [](const question& of) { return of.q.expires_at() != mono_never; },
     [](const question& of) { return texts{human(of.q.expires_at() - of.t.now.mono)}; }},
    {"no consumer is attached", [](const question& of) { return of.q.consumers.empty(); }},
    {"reading failed ({}); it is tried again",
     [](const question& of) { return !of.q.read_error.empty() && of.q.read_again > of.t.now.mono; },
     [](const question& of) { return texts{of.q.read_error}; }},
    {"the queue's filter has not been asked yet whether it is for it", is_unsifted},
    {"the keys of messages that were leased or retrying at the start are being read",
     [](const question& of) {
         return of.q.order && (!of.q.order->keys_known || of.q.order->unknown > 0);
     }},

    // No consumer takes anything.
    {"brokerd is shutting down and gives out nothing more", is_draining},
    {"{} has been given as many messages as it asked for",
     [](const question& of) {
         return every_active(of.q, [](const consumer& one) {
             return one.shared->limit > 0 && one.shared->delivered >= one.shared->limit;
         });
     },
     [](const question& of) { return texts{every_consumer(of.q)}; }},
    {"{} has set its prefetch to 0, and gets nothing more until it raises it",
     [](const question& of) {
         return every_active(
             of.q, [](const consumer& one) { return one.shared->prefetch_messages == 0; });
     },
     [](const question& of) { return texts{every_consumer(of.q)}; }},
    {"{} holds a message that was given out alone, and gets nothing more until that is settled",
     [](const question& of) {
         return every_active(of.q, [](const consumer& one) { return one.shared->alone; });
     },
     [](const question& of) { return texts{every_consumer(of.q)}; }},
    {"{} is to be given a message of another queue first, and has to settle some of what it holds "
     "for that",
     [](const question& of) {
         return every_active(of.q, [](const consumer& one) { return one.held_up(); });
     },
     [](const question& of) { return texts{every_consumer(of.q)}; }},
    {"no free prefetch: {} {} all {} may take",
     [](const question& of) {
         return every_active(
             of.q, [](const consumer& one) { return one.room() == 0 && !one.holds_nothing(); });
     },
     those_that_hold},
    {"no consumer takes more now: each holds all it may, was given as many as it asked for, or has "
     "a prefetch of 0",
     [](const question& of) {
         return every_active(of.q, [](const consumer& one) { return one.room() == 0; });
     }},

    // Its key, or the one place of mode single, is not free.
    {"reading its key failed; ask again",
     [](const question& of) { return of.q.order && of.key == unknown_key; }},
    {"{}: {} is leased by {}",
     [](const question& of) { return has_key(of) && holder_of_key(of) != nullptr; },
     [](const question& of) {
         return texts{order_of(of), of.q.address(of.q.order->keys.in_flight(of.key)),
                      lease_text(of, *holder_of_key(of))};
     }},
    // The table of keys remembers one of several that are in flight, as after a lost one came back.
    {"{}: one is leased",
     [](const question& of) { return has_key(of) && of.q.order->keys.locked(of.key); },
     [](const question& of) { return texts{order_of(of)}; }},
    {"{}: {} is retrying, and what comes behind it waits until it is done or dead",
     [](const question& of) { return waits_for_failed(of, message_state::retrying); }, failed_one},
    {"{}: {} failed and is ready again",
     [](const question& of) { return waits_for_failed(of, message_state::ready); }, failed_one},
    {"{}: {} waits, too",
     [](const question& of) { return has_key(of) && waits_before(of) < of.offset; },
     [](const question& of) { return texts{order_of(of), of.q.address(waits_before(of))}; }},

    // Nothing new is given out.
    {"{} {} retrying, as many as max_retrying allows; allow more: brokerctl queue set {} "
     "--max-retrying N",
     [](const question& of) {
         return waits_for_cursor(of) && of.known == nullptr && stopped_by_retrying(of.q);
     },
     [](const question& of) {
         const std::uint64_t count = of.q.book.retrying().count();
         return texts{human_count(count, "message"), count == 1 ? "is" : "are", of.q.path()};
     }},
    {"there {} {} between settled messages, as many as max_runs allows; allow more: "
     "brokerctl queue set {} --max-runs N",
     [](const question& of) { return waits_for_cursor(of) && of.q.too_many_runs(); },
     [](const question& of) {
         const std::uint64_t count = of.q.book.closed().runs();
         return texts{count == 1 ? "is" : "are", human_count(count, "gap"), of.q.path()};
     }},
    {"messages wait for their keys at {}, as many as max_runs allows; allow more: brokerctl "
     "queue set {} --max-runs N",
     [](const question& of) { return waits_for_cursor(of) && stopped_by_skipped(of.q); },
     [](const question& of) {
         return texts{human_count(of.q.order->skipped.runs(), "place"), of.q.path()};
     }},

    // Something else comes first.
    {"it is given out alone, to a consumer that holds nothing else",
     [](const question& of) { return of.known != nullptr && must_be_alone(*of.known); }},
    {"{} gets nothing more until it has settled the {} it holds, as a message whose consumer was "
     "lost is given out alone",
     alone_comes_first,
     [](const question& of) {
         const consumer& one = *of.q.reserved_for_alone;
         return texts{one.name, human_count(one.shared->leased, "message")};
     }},
    {"{} comes next, and its {} bytes are more than the prefetch leaves any consumer until it has "
     "settled some",
     [](const question& of) { return too_large(of.q).has_value(); },
     [](const question& of) {
         const sized found = too_large(of.q).value_or(sized{});
         return texts{of.q.address(found.offset), fmt::format("{}", found.bytes)};
     }},
    {"their keys are not free: {} in flight, {} retrying",
     [](const question& of) { return of.about_queue() && keys_hold_all(of.q); },
     [](const question& of) {
         return texts{human_count(of.q.leased(), "message"), fmt::format("{}", of.q.retrying())};
     }},
    {"the consumers with free prefetch were passed over for a larger message, and are asked again "
     "once they settle one",
     passed_over_all},

    // Its turn comes.
    {"the done messages of higher priority leave {} between settled messages, as many as max_runs "
     "allows, so the oldest message is given out next, whatever its priority",
     [](const question& of) {
         return !of.about_queue() && of.q.levels && of.q.gaps_need_closing();
     },
     [](const question& of) { return texts{human_count(of.q.book.closed().runs(), "gap")}; }},
    {"it is given out when there is nothing of higher priority, and nothing older of its own",
     [](const question& of) { return !of.about_queue() && of.q.levels && !is_next_of_levels(of); }},
    {"{} before it",
     [](const question& of) { return !of.about_queue() && !of.q.levels && count_before(of) > 0; },
     [](const question& of) { return texts{human_count(count_before(of), "message")}; }},
    {"it is given out next", [](const question& of) { return !of.about_queue(); }},
};

}  // namespace

const std::span<const reason_row> reasons_to_wait = ways_to_wait;

std::string lease_text(const question& of, const lease_span& span) {
    return fmt::format("{} for {} more, attempt {} of {}", span.holder->name,
                       human(span.deadline - of.t.now.mono), span.attempt, of.q.settings->attempts);
}

bool is_not_taken(const question& of) {
    const place at = find_in_memory(of.q, of.offset);
    return at.data && of.q.sifting && !of.q.sifting->takes(*at.data, of.offset);
}

std::span<consumer* const> active_consumers(const queue& q) {
    const std::span<consumer* const> all = q.consumers;
    return q.mode == queue_mode::single && !all.empty() ? all.first(1) : all;
}

key_hash key_of_all(const queue& q) {
    return q.mode == queue_mode::single && q.reserved_for_alone == nullptr && keys_hold_all(q)
               ? only_key
               : no_key;
}

}  // namespace brokerd::domain
