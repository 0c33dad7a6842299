// Giving messages to consumers: due retries, then returned ones, then fresh ones in order, to those
// that have room, in turn. Work is per range: a slice of a stored batch becomes one run of leases.
#include <algorithm>
#include <utility>

#include "broker/domain/consumer_group.hpp"
#include "broker/domain/dispatch_steps.hpp"

namespace brokerd::domain {
namespace {

given give_range(core& c, turn& t, queue& q, consumer& one, offset_range range, const place& from) {
    if (!fits(one, from.data->record_size(range.first))) {
        return given::too_large;
    }
    lease_slice(c, t, q, one, from.data->slice(range.first, range.count, one.room_bytes()), from);
    return given::some;
}

given give_returned(core& c, turn& t, queue& q, consumer& one, std::uint64_t count_max) {
    offset_range range = *q.returned.next_run(0);
    const place from = find_chunk(c, t, q, range.first);
    if (!from.data) {
        return given::nothing;
    }
    const auto live = live_from(c, t, q, *from.data, range, count_max);
    if (!live) {
        return given::nothing;
    }
    if (*live == 0) {
        keep_window(c, t, q);
        return given::some;  // to nobody; whoever is next is asked
    }
    range.count = *live;
    const offset_t before = q.next_lease;
    const given result = give_range(c, t, q, one, range, from);
    range.count = q.next_lease - before;
    q.returned.erase(range);
    if (range.end() > q.next) {
        const offset_t ahead_from = std::max(range.first, q.next);
        q.ahead.insert({ahead_from, range.end() - ahead_from});
    }
    keep_window(c, t, q);
    return result;
}

given give_fresh(core& c, turn& t, queue& q, consumer& one, std::uint64_t count_max) {
    const offset_t first = q.skip_to_fresh();
    if (first >= q.owner.end || q.too_many_retrying() || q.too_many_runs()) {
        return given::nothing;
    }
    const place from = find_chunk(c, t, q, first);
    if (!from.data) {
        return given::nothing;
    }
    const offset_t gap =
        std::min({q.book.closed().next_member(first), q.ahead.next_member(first), q.owner.end});
    const auto live = live_from(c, t, q, *from.data, {first, gap - first}, count_max);
    if (!live) {
        return given::nothing;
    }
    if (*live == 0) {
        q.skip_to_fresh();
        keep_window(c, t, q);
        return given::some;
    }
    const offset_t before = q.next_lease;
    const given result = give_range(c, t, q, one, {first, *live}, from);
    q.next = first + (q.next_lease - before);
    keep_window(c, t, q);
    return result;
}

// The first due message whose record is loaded; offset_end if there is none. Those that have
// expired end.
offset_t next_retry(core& c, turn& t, queue& q) {
    while (!q.schedule.due().empty()) {
        const offset_t offset = q.schedule.due().front();
        const auto known = q.exceptions->known.find(offset);
        if (known == q.exceptions->known.end() || !known->second.record.owner) {
            return offset_end;
        }
        if (expire_retry(c, t, q, offset)) {
            continue;
        }
        if (!must_be_alone(known->second.value)) {
            return offset;
        }
        set_alone(q, offset);
    }
    return offset_end;
}

// ---- one queue ----

bool fresh_waits(core& c, turn& t, queue& q) {
    if (q.levels) {
        return levels_wait(c, t, q);
    }
    return !q.returned.empty() ||
           (q.skip_to_fresh() < q.owner.end && !q.too_many_retrying() && !q.too_many_runs());
}

// Gives `one` its next share, of about `share` messages; too_large and nothing as give_range says.
given give_share(core& c, turn& t, queue& q, consumer& one, std::uint64_t share) {
    if (q.levels) {
        return give_highest(c, t, q, one, share);
    }
    const offset_t retry = next_retry(c, t, q);
    return give_in_turn(c, t, q, one, share, retry, fresh_waits(c, t, q), [&](std::uint64_t count) {
        // Returned ones first, even if that means to wait until they are read.
        return q.returned.empty() ? give_fresh(c, t, q, one, count)
                                  : give_returned(c, t, q, one, count);
    });
}

bool alone_is_loaded(const queue& q) {
    if (q.alone_due.empty()) {
        return false;
    }
    const auto known = q.exceptions->known.find(q.alone_due.front());
    return known != q.exceptions->known.end() && known->second.record.owner;
}

void dispatch_shared(core& c, turn& t, queue& q) {
    load_retries(c, t, q);
    // A small backlog is spread over all, a large one goes in turns.
    const std::uint64_t share = std::clamp<std::uint64_t>(
        (q.ready() - q.due()) / std::max<std::uint64_t>(q.candidates.size(), 1), 1, quantum_max);
    while (true) {
        if (q.levels) {
            sort_levels(c, t, q);
        } else {
            next_retry(c, t, q);  // moves those that must be alone to alone_due
        }
        if (q.reserved_for_alone != nullptr || q.retry_credit > 0 || !fresh_waits(c, t, q)) {
            reserve_for_alone(q, alone_is_loaded(q));
        }
        if (!q.alone_due.empty() && give_alone(c, t, q, q.alone_due.front())) {
            if (q.retry_credit > 0 && fresh_waits(c, t, q)) {
                --q.retry_credit;
            }
            load_retries(c, t, q);
            continue;
        }
        consumer* one = next_candidate(q);
        if (one == nullptr) {
            break;
        }
        const given result = give_share(c, t, q, *one, share);
        if (result == given::nothing) {
            break;
        }
        serve_next(q, *one, result == given::some);
    }
    load_retries(c, t, q);
}

void give_out(core& c, turn& t, queue& q) {
    // Those that wait for room are asked again each time: another consumer may take what was too
    // large, or it ends, and less room may be left than there was.
    const std::vector<consumer*> claimants = q.too_large_for;
    for (consumer* one : claimants) {
        one->group->suspend_claim();
        if (one->room() > 0) {
            q.admit(*one);
        } else {
            one->group->stand_in_line(*one);
        }
    }
    q.order ? dispatch_ordered(c, t, q) : dispatch_shared(c, t, q);
    for (const consumer* one : claimants) {
        if (one->group->claimed_by() == nullptr) {
            one->group->note();
        }
    }
}

void dispatch_queue(core& c, turn& t, queue& q) {
    const mono_time next_due = advance_schedule(c, t, q);
    sift_backlog(c, t, q);
    if (!q.paused && !q.consumers.empty()) {
        give_out(c, t, q);
    }
    if (q.consumers.empty()) {
        q.window.clear();
        if (q.levels) {
            q.levels->drop_windows();
        }
        if (q.order) {
            q.order->shelf.clear();
            q.order->search_window.clear();
        }
    }
    c.arm(q, std::min(next_due, q.leases->earliest()));
}

// Room has come for these consumers: their queues are dispatched in turn, as far as it goes.
void share_rooms(core& c, turn& t) {
    for (std::size_t i = 0; i < c.noted_groups.size(); ++i) {
        consumer_group& group = *c.noted_groups[i];
        group.noted = false;
        if (const consumer* first = group.claimed_by()) {
            dispatch_queue(c, t, *first->from);
        }
        for (consumer* next = group.take_first(); next != nullptr; next = group.take_first()) {
            next->from->admit(*next);
            dispatch_queue(c, t, *next->from);
        }
    }
    c.noted_groups.clear();
}

}  // namespace

bool must_be_alone(const exception_state& value) {
    return !value.history.empty() && value.history.back().outcome == attempt_outcome::lost;
}

void dispatch_all(core& c, turn& t) {
    std::vector<queue*> woken;
    woken.swap(c.woken);
    ++c.dispatch_number;
    for (queue* q : woken) {
        q->woken = false;
        dispatch_queue(c, t, *q);
    }
    share_rooms(c, t);
    // Nothing above gives messages to another queue, so the list is still empty but for
    // queues whose exceptions were all in memory; its storage is used again.
    woken.clear();
    if (c.woken.empty()) {
        c.woken.swap(woken);
    }
}

}  // namespace brokerd::domain
