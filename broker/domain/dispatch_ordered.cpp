// Giving out messages of queues of mode keyed and single: due retries whose key is free, then what
// waits for a key, oldest first, then what the cursor meets. A message whose key is not free stays
// behind and the others go on (keyed), or nothing goes on (single).
#include <algorithm>
#include <utility>

#include "broker/domain/dispatch_steps.hpp"

namespace brokerd::domain {
namespace {

constexpr std::uint64_t scan_max = 10000;    // messages looked at in one call, then others' turn
constexpr std::size_t reading_max = 8;       // single chunks being read for one queue
constexpr std::size_t alone_looked_at = 16;  // of those that must be alone, for one with a free key
constexpr std::size_t keys_page = 1000;      // retrying messages whose keys are read at once
constexpr std::uint64_t search_reader = std::uint64_t{1} << 63U;  // its own kept iterator

// ---- keys of retrying messages from before the start ----

// True if they are known.
bool know_keys(core& c, turn& t, queue& q) {
    ordering& order = *q.order;
    if (order.keys_known || order.keys_reading) {
        return order.keys_known;
    }
    std::vector<offset_t> page;
    offset_t at = q.book.retrying().next_member(order.keys_known_below);
    for (; at != offset_end && page.size() < keys_page;
         at = q.book.retrying().next_member(at + 1)) {
        page.push_back(at);
    }
    if (page.empty()) {
        order.keys_known = true;
        return true;
    }
    if (t.now.mono < q.read_again) {
        return false;
    }
    order.keys_reading = true;
    with_exceptions(c, t, q, page,
                    [until = page.back() + 1](core& then, turn& later, queue& of,
                                              outcome<exception_map> loaded) {
                        of.order->keys_reading = false;
                        if (!loaded) {
                            fail_read(then, later, of, loaded.error());
                            return;
                        }
                        for (const auto& [offset, known] : *loaded) {
                            if (of.book.retrying().contains(offset)) {
                                begin_retrying(of, known.value.key_hash, offset);
                            }
                        }
                        of.order->keys_known_below = until;
                        then.wake(of);
                    });
    // What memory knew was answered at once.
    return !order.keys_reading && know_keys(c, t, q);
}

// ---- keys that were never looked at ----

void learn_from(core& c, queue& q, offset_t offset, byte_view record) {
    q.order->learning = false;
    learn_key(q, offset, record.empty() ? no_key : key_of(q, record));
    c.wake(q);
}

// Reads the first of them, and learns those beside it; the others follow.
void learn_keys(core& c, turn& t, queue& q) {
    ordering& order = *q.order;
    if (order.learning || t.now.mono < q.read_again) {
        return;
    }
    order.learning = true;
    const auto at = std::ranges::find_if(
        order.learnt, [](const auto& each) { return each.second == unknown_key; });
    const offset_t offset = at->first;
    // The store may not know yet that it failed, but the log has it until the trim point passes.
    const bool in_log = offset >= q.owner.trim;
    if (!in_log) {
        with_records(c, t, q, {offset},
                     [offset](core& then, turn& later, queue& of, outcome<loaded_records> loaded) {
                         if (!loaded) {
                             of.order->learning = false;
                             fail_read(then, later, of, loaded.error());
                             return;
                         }
                         const auto known = loaded->exceptions.find(offset);
                         learn_from(then, of, offset,
                                    known == loaded->exceptions.end() ? byte_view{}
                                                                      : known->second.record.view);
                     });
        return;
    }
    c.read(t, fetch_log{q.owner.id, offset, 0, 0},
           [&c, id = q.id, offset](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               if (const auto* failed = std::get_if<failure>(&result)) {
                   of->order->learning = false;
                   fail_read(c, later, *of, *failed);
                   return;
               }
               const auto& chunks = std::get<log_fetched>(result).chunks;
               const bool found = !chunks.empty() && chunks.front()->contains(offset);
               if (!found && offset < of->owner.trim) {
                   of->order->learning = false;  // it was kept meanwhile
                   c.wake(*of);
                   return;
               }
               if (!found) {
                   learn_from(c, *of, offset, {});
                   return;
               }
               // And of all others that lie beside it.
               const chunk& data = *chunks.front();
               std::vector<offset_t> beside;
               for (auto each = of->order->learnt.lower_bound(data.base_offset());
                    each != of->order->learnt.end() && data.contains(each->first); ++each) {
                   beside.push_back(each->first);
               }
               of->order->learning = false;
               for (const offset_t each : beside) {
                   learn_key(*of, each, key_of(*of, data.record(each)));
               }
               c.wake(*of);
           });
}

// ---- reading ----

// Lets the keys go on that could not begin to read.
void read_others(ordering& order) {
    for (const key_hash each : std::exchange(order.aside_for_reading, {})) {
        order.keys.make_runnable(each);
    }
}

void read_one(core& c, turn& t, queue& q, key_hash key, offset_t offset) {
    ordering& order = *q.order;
    order.keys.put_aside(key);
    if (order.reading.size() >= reading_max || t.now.mono < q.read_again ||
        !order.reading.insert(offset).second) {
        order.aside_for_reading.insert(key);
        return;
    }
    c.read(t, fetch_log{q.owner.id, offset, 0, 0},
           [&c, id = q.id, key, offset](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               ordering& then = *of->order;
               then.reading.erase(offset);
               then.keys.make_runnable(key);
               // It may be done or removed meanwhile, and need not be in the log then.
               if (of->passed_over(offset)) {
                   if (const auto* chunks = read_chunks(c, later, *of, offset, result)) {
                       then.shelf.add(chunks->front());
                   }
               }
               read_others(then);
               c.wake(*of);
           });
}

void read_search_window(core& c, turn& t, queue& q, offset_t from) {
    read_window& window = q.order->search_window;
    if (window.fetching || t.now.mono < q.read_again) {
        return;
    }
    window.fetching = true;
    c.read(t, fetch_log{q.owner.id, from, c.options.read_ahead_bytes, q.id.value() | search_reader},
           [&c, id = q.id, from](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               of->order->search_window.fetching = false;
               if (of->passed_over(from)) {  // else it is done, and maybe removed
                   const auto* chunks = read_chunks(c, later, *of, from, result);
                   if (chunks == nullptr) {
                       return;
                   }
                   of->order->search_window.add(*chunks, of->owner.skipped);
               }
               c.wake(*of);
           });
}

// ---- searching for what was not remembered ----

// Ready messages below the cursor, from `from` on.
offset_t next_passed_over(const queue& q, offset_t from) {
    return std::min(q.returned.next_member(from), q.order->skipped.next_member(from));
}

void search(core& c, turn& t, queue& q) {
    ordering& order = *q.order;
    if (!order.keys.searching()) {
        if (!order.keys.search_wanted()) {
            return;
        }
        order.search_at = order.keys.start_search();
    }
    for (std::uint64_t looked_at = 0; looked_at < scan_max; ++looked_at) {
        const offset_t at = next_passed_over(q, order.search_at);
        if (at >= q.next) {
            order.keys.end_search();
            order.search_window.clear();
            free_due(q);  // some may have waited for what was not there
            return;
        }
        order.search_window.drop_below(at);
        const place from = find_in_memory(q, at);
        if (!from.data) {
            order.search_at = at;
            read_search_window(c, t, q, at);
            return;
        }
        order.keys.found(key_of(q, from.data->record(at)), at);
        order.search_at = at + 1;
    }
    c.arm(q, t.now.mono + duration_us{1});
}

// ---- retries ----

// The first due message whose record is loaded and whose key is free; offset_end: there is none.
// Those that have expired end.
offset_t next_free_retry(core& c, turn& t, queue& q) {
    while (!q.schedule.due().empty()) {
        const offset_t offset = q.schedule.due().front();
        const auto known = q.exceptions->known.find(offset);
        if (known == q.exceptions->known.end() || !known->second.record.owner) {
            return offset_end;
        }
        if (expire_retry(c, t, q, offset)) {
            continue;
        }
        const key_hash key = key_of(q, known->second.record.view);
        if (!key_is_free_for_retry(q, key, offset)) {
            q.forget_due(offset, wall_never);
            q.order->due_waiting.add(offset, key);
            forget_record(q, offset);
            continue;
        }
        if (!must_be_alone(known->second.value)) {
            return offset;
        }
        set_alone(q, offset);
    }
    return offset_end;
}

// The first message that must be alone and whose key is free, among those looked at.
offset_t next_alone(const queue& q) {
    offset_t at = q.alone_due.next_member(0);
    for (std::size_t i = 0; i < alone_looked_at && at != offset_end;
         ++i, at = q.alone_due.next_member(at + 1)) {
        const auto known = q.exceptions->known.find(at);
        if (known != q.exceptions->known.end() && known->second.record.owner &&
            key_is_free_for_retry(q, key_of(q, known->second.record.view), at)) {
            return at;
        }
    }
    return offset_end;
}

// Retries that the cursor has passed meanwhile.
void look_at_passed(queue& q) {
    ordering& order = *q.order;
    std::vector<offset_t> passed;
    for (offset_t at = order.due_waiting.next(order.passed_below); at < q.next;
         at = order.due_waiting.next(at + 1)) {
        passed.push_back(at);
    }
    order.passed_below = q.next;
    for (const offset_t offset : passed) {
        order.forget_due(offset);
        q.schedule.make_due(offset);
    }
}

// ---- what waits for a key ----

given give_waiting(core& c, turn& t, queue& q, consumer& one) {
    ordering& order = *q.order;
    for (auto first = order.keys.next_runnable(); first.offset != offset_end;
         first = order.keys.next_runnable()) {
        if (!q.passed_over(first.offset)) {
            order.keys.take_waiting(first);  // done or leased meanwhile
            free_key(q, first.key);
            continue;
        }
        if (!key_is_free(q, first.key, first.offset)) {
            order.keys.put_aside(first.key);  // until the retrying message is done or dead
            continue;
        }
        const place from = find_in_memory(q, first.offset);
        if (!from.data) {
            read_one(c, t, q, first.key, first.offset);
            continue;
        }
        const auto live = live_from(c, t, q, *from.data, {first.offset, 1}, 1);
        if (!live) {
            return given::nothing;
        }
        if (*live == 0) {
            continue;  // it is found not to wait any more
        }
        const record_slice slice = from.data->slice(first.offset, 1, one.room_bytes());
        if (!fits(one, slice.bytes.size())) {
            return given::too_large;
        }
        order.keys.take_waiting(first);
        order.skipped.erase({first.offset, 1});
        q.returned.erase({first.offset, 1});
        order.keys.lock(first.key, first.offset);
        lease_slice(c, t, q, one, slice, from);
        return given::some;
    }
    return given::nothing;
}

// ---- the cursor ----

// The chunk the cursor has left may still be needed.
void keep_chunks(core& c, turn& t, queue& q) {
    const chunk_ptr* left = q.window.empty() ? nullptr : &q.window.front();
    if (left != nullptr && (*left)->end_offset() <= q.next &&
        q.order->skipped.contains_any({(*left)->base_offset(), (*left)->count()})) {
        q.order->shelf.add(*left);
    }
    keep_window(c, t, q);
}

// How many messages of `slice` have free keys, from its front on; their keys are taken.
std::uint32_t take_free(queue& q, const chunk& data, const record_slice& slice) {
    key_table& keys = q.order->keys;
    std::uint32_t count = 0;
    for (; count < slice.count; ++count) {
        const offset_t offset = slice.first + count;
        const key_hash key = key_of(q, data.record(offset));
        if (key != no_key && (keys.has_waiting(key) || !key_is_free(q, key, offset))) {
            break;
        }
        keys.lock(key, offset);
    }
    return count;
}

// Moves the cursor to the next message that may be given out and gives it, with its neighbours.
given give_fresh(core& c, turn& t, queue& q, consumer& one, std::uint64_t count_max,
                 std::uint64_t& budget) {
    ordering& order = *q.order;
    while (budget > 0) {
        q.next = q.book.closed().next_gap(std::max(q.next, q.book.floor()));
        // A retry that the cursor has not reached waits for what comes before it.
        const bool too_many_retrying =
            q.too_many_retrying() && order.due_waiting.next(q.next) == offset_end;
        if (q.next >= q.owner.end || too_many_retrying || q.too_many_runs() ||
            order.skipped.runs() >= q.settings->max_runs) {
            return given::nothing;
        }
        const offset_t first = q.next;
        const place from = find_chunk(c, t, q, first);
        if (!from.data) {
            return given::nothing;
        }
        const offset_t stop =
            std::min({q.book.closed().next_member(first), q.ahead.next_member(first), q.owner.end});
        if (stop == first) {  // leased by an earlier epoch and taken up: its key is in flight
            order.keys.lock(key_of(q, from.data->record(first)), first);
            q.ahead.erase({first, 1});
            ++q.next;
            continue;
        }
        const auto live =
            live_from(c, t, q, *from.data, {first, stop - first}, std::min(count_max, budget));
        if (!live) {
            return given::nothing;
        }
        if (*live == 0) {
            --budget;
            q.next = q.book.closed().next_gap(q.next);
            keep_chunks(c, t, q);
            continue;
        }
        if (!fits(one, from.data->record_size(first))) {
            return given::too_large;
        }
        record_slice slice = from.data->slice(first, *live, one.room_bytes());
        const std::uint32_t count = take_free(q, *from.data, slice);
        budget -= std::min<std::uint64_t>(budget, count + 1);
        if (count > 0) {
            slice = from.data->slice(first, count, one.room_bytes());
            q.next = first + count;
            q.returned.erase({first, count});
            lease_slice(c, t, q, one, slice, from);
            keep_chunks(c, t, q);
            return given::some;
        }
        if (q.mode == queue_mode::single) {
            return given::nothing;
        }
        order.keys.wait_behind(key_of(q, from.data->record(first)), first);
        if (!q.returned.contains(first)) {
            order.skipped.insert({first, 1});
        }
        ++q.next;
        keep_chunks(c, t, q);
    }
    c.arm(q, t.now.mono + duration_us{1});
    return given::nothing;
}

// ---- one consumer's turn ----

given give_next(core& c, turn& t, queue& q, consumer& one, std::uint64_t share,
                std::uint64_t& budget) {
    const offset_t retry = next_free_retry(c, t, q);
    if (retry == offset_end && q.alone_due.empty()) {
        q.retry_credit = 1;
    }
    if (retry != offset_end && q.retry_credit > 0) {
        if (!fits(one, q.exceptions->known.find(retry)->second.record.view.size())) {
            return given::too_large;
        }
        give_retry(c, t, q, one, retry, false);
        --q.retry_credit;
        return given::some;
    }
    const std::uint64_t count = std::min(part_of(one, share), one.room());
    given result = given::nothing;
    const std::uint64_t before = q.next_lease;
    // A turn is a few messages with different keys, wherever they lie.
    while (q.next_lease - before < count) {
        result = give_waiting(c, t, q, one);
        if (result == given::nothing) {
            result = give_fresh(c, t, q, one, count - (q.next_lease - before), budget);
        }
        if (result != given::some) {
            break;
        }
    }
    const std::uint64_t gave = q.next_lease - before;
    if (retry != offset_end || !q.alone_due.empty()) {
        q.retry_credit = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(retry_share_max, q.retry_credit + gave));
    }
    if (gave == 0 && result == given::nothing && retry != offset_end) {
        q.retry_credit = 1;  // nothing else moves
        return give_next(c, t, q, one, share, budget);
    }
    return gave > 0 ? given::some : result;
}

}  // namespace

void dispatch_ordered(core& c, turn& t, queue& q) {
    // Nobody is kept waiting for what must be read first.
    if (!know_keys(c, t, q)) {
        q.end_reservation();
        return;
    }
    if (q.order->unknown > 0) {
        q.end_reservation();
        learn_keys(c, t, q);
        return;
    }
    if (q.order->reading.empty() && t.now.mono >= q.read_again) {
        read_others(*q.order);  // no read that ends will do so
    }
    load_retries(c, t, q);
    std::uint64_t budget = scan_max;
    while (true) {
        look_at_passed(q);
        next_free_retry(c, t, q);  // moves those that must be alone to alone_due
        const offset_t alone = next_alone(q);
        if (alone != offset_end) {
            reserve_for_alone(q, true);
        } else {
            q.end_reservation();
        }
        if (alone != offset_end && give_alone(c, t, q, alone)) {
            load_retries(c, t, q);
            continue;
        }
        search(c, t, q);
        consumer* one = next_candidate(q);
        if (one == nullptr) {
            break;
        }
        const std::uint64_t share = std::clamp<std::uint64_t>(
            q.ready() / std::max<std::uint64_t>(q.candidates.size(), 1), 1, quantum_max);
        const given result = give_next(c, t, q, *one, share, budget);
        if (result == given::nothing) {
            if (q.next > q.order->passed_below && !q.order->due_waiting.empty()) {
                c.arm(q, t.now.mono + duration_us{1});
            }
            break;
        }
        serve_next(q, *one, result == given::some);
    }
    load_retries(c, t, q);
}

}  // namespace brokerd::domain
