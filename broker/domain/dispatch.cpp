// Giving messages to consumers: due retries, then returned ones, then fresh ones in order, to those
// that have room, in turn. Work is per range: a slice of a stored batch becomes one run of leases.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t output_bytes_max = 256 * limits::kib;  // of one delivery
constexpr std::uint64_t quantum_max = 64;      // messages to one consumer before the next is served
constexpr std::uint32_t retry_share_max = 16;  // retries in a row, then as many others
constexpr std::size_t windows_per_cache = 4;   // read windows may take this many times the cache

struct place {
    chunk_ptr data;
    commit_number commit;
};

// ---- reading the log ----

void request_window(core& c, turn& t, queue& q, offset_t from) {
    if (q.window.fetching || t.now.mono < q.read_again) {
        return;
    }
    q.window.fetching = true;
    const bool much = c.window_bytes > windows_per_cache * c.options.cache_bytes_max;
    c.read(t, fetch_log{q.owner.id, from, much ? 0 : c.options.read_ahead_bytes, q.id.value()},
           [&c, id = q.id, from](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               of->window.fetching = false;
               if (const auto* failed = std::get_if<failure>(&result)) {
                   fail_read(c, later, *of, *failed);
                   return;
               }
               const auto& chunks = std::get<log_fetched>(result).chunks;
               if (chunks.empty() || !chunks.front()->contains(from)) {
                   fail_read(c, later, *of,
                             {error_code::storage_failed,
                              fmt::format("{} is not in the log",
                                          to_string(message_address{of->owner.name, from}))});
                   return;
               }
               of->read_error.clear();
               of->window.add(chunks);
               c.wake(*of);
           });
}

// The chunk that holds `offset`; asks the store for it if memory has not.
place find_chunk(core& c, turn& t, queue& q, offset_t offset) {
    if (const chunk_tail::entry* entry = q.owner.tail.find(offset)) {
        return {entry->data, entry->commit};
    }
    if (const chunk_ptr* data = q.window.find(offset)) {
        return {*data, {}};
    }
    request_window(c, t, q, offset);
    return {};
}

// Drops what the queue is done reading and asks for more before the window runs out.
void keep_window(core& c, turn& t, queue& q) {
    if (q.window.empty()) {
        return;
    }
    if (q.returned.empty()) {
        q.window.drop_below(q.next);
    }
    const offset_t in_memory_from =
        q.owner.tail.empty() ? q.owner.end : q.owner.tail.front().data->base_offset();
    if (!q.window.empty() && q.window.end() < in_memory_from && q.window.end() > q.next &&
        q.window.bytes() < c.options.read_ahead_bytes / 2) {
        request_window(c, t, q, q.window.end());
    }
}

// ---- delivering ----

void deliver(core& c, turn& t, consumer& one, record_run run, commit_number depends_on) {
    depends_on = c.depend(depends_on);
    one.depends_on = std::max(one.depends_on, depends_on);
    const std::size_t bytes = run.records.view.size();
    one.delivered += run.leases.count;
    c.counters.delivered_messages += run.leases.count;
    if (one.output_turn == c.dispatch_number && one.output_bytes + bytes <= output_bytes_max) {
        output& open = t.out.outputs[one.output_index];
        if (open.depends_on == depends_on) {
            one.output_bytes += bytes;
            std::get<delivery>(open.body).runs.push_back(std::move(run));
            return;
        }
    }
    one.output_turn = c.dispatch_number;
    one.output_index = t.out.outputs.size();
    one.output_bytes = bytes;
    delivery body{.consumer = one.id, .runs = {}};
    body.runs.push_back(std::move(run));
    t.out.outputs.push_back({one.connection, 0, depends_on, std::move(body)});
}

// Leases `count` messages from `first` on, whose records are `records`.
void lease(core& c, turn& t, queue& q, consumer& one, record_run run, commit_number depends_on,
           std::unique_ptr<exception_state> exception) {
    run.leases.epoch = c.epoch;
    run.leases.first_lease = q.next_lease;
    q.next_lease += run.leases.count;
    if (one.leased == 0) {
        one.oldest_lease = {c.epoch, run.leases.first_lease};
    }
    const std::uint64_t bytes = run.records.view.size();
    one.leased += run.leases.count;
    one.leased_bytes += bytes;
    lease_span span;
    span.run = run.leases;
    span.holder = &one;
    span.deadline = t.now.mono + q.settings.lease;
    span.attempt = run.attempt;
    span.bytes = bytes;
    span.exception = std::move(exception);
    q.leases.add(std::move(span));
    deliver(c, t, one, std::move(run), std::max(depends_on, q.changed));
}

// Whether `one` may take a record of this size now.
bool fits(const consumer& one, std::size_t bytes) {
    return one.leased == 0 || bytes <= one.room_bytes();
}

enum class given : std::uint8_t {
    some,
    nothing,    // there is none, or it must be read first
    too_large,  // for what this consumer still has room for
};

given give_range(core& c, turn& t, queue& q, consumer& one, offset_range range, const place& from) {
    if (!fits(one, from.data->record_size(range.first))) {
        return given::too_large;
    }
    const record_slice slice = from.data->slice(range.first, range.count, one.room_bytes());
    lease(c, t, q, one,
          record_run{.leases = {.first_offset = slice.first, .count = slice.count},
                     .append_time = from.data->append_time(),
                     .attempt = 1,
                     .records = {from.data, slice.bytes}},
          from.commit, nullptr);
    return given::some;
}

given give_returned(core& c, turn& t, queue& q, consumer& one, std::uint64_t count_max) {
    offset_range range = *q.returned.next_run(0);
    range.count = std::min(range.count, count_max);
    const place from = find_chunk(c, t, q, range.first);
    if (!from.data) {
        return given::nothing;
    }
    const offset_t before = q.next_lease;
    const given result = give_range(c, t, q, one, range, from);
    range.count = q.next_lease - before;
    q.returned.erase(range);
    if (range.end() > q.next) {
        const offset_t ahead_from = std::max(range.first, q.next);
        q.ahead.insert({ahead_from, range.end() - ahead_from});
    }
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
    const offset_t before = q.next_lease;
    const given result = give_range(c, t, q, one, {first, std::min(gap - first, count_max)}, from);
    q.next = first + (q.next_lease - before);
    keep_window(c, t, q);
    return result;
}

// ---- retries ----

void give_retry(core& c, turn& t, queue& q, consumer& one, offset_t offset, bool alone) {
    const auto at = q.exceptions.find(offset);
    known_exception& known = at->second;
    q.schedule.remove(offset, known.value.due);
    q.alone_due.erase({offset, 1});
    q.leased_retries.insert({offset, 1});
    const chunk_tail::entry* entry = q.owner.tail.find(offset);
    const commit_number depends_on =
        std::max(known.commit, entry == nullptr ? commit_number{} : entry->commit);
    lease(c, t, q, one,
          record_run{.leases = {.first_offset = offset, .count = 1},
                     .append_time = known.append_time,
                     .attempt = known.value.attempts + 1,
                     .records = std::move(known.record)},
          depends_on, std::make_unique<exception_state>(known.value));
    one.alone = alone;
    if (known.commit <= c.applied()) {
        q.exceptions.erase(at);
    } else {
        known.record = {};
    }
}

// The first due message whose record is loaded; offset_end if there is none.
offset_t next_retry(queue& q) {
    while (!q.schedule.due().empty()) {
        const offset_t offset = q.schedule.due().front();
        const auto known = q.exceptions.find(offset);
        if (known == q.exceptions.end() || !known->second.record.owner) {
            return offset_end;
        }
        if (!must_be_alone(known->second.value)) {
            return offset;
        }
        set_alone(q, offset);
    }
    return offset_end;
}

// Picks the consumer that is to take the next message that must be alone: the one nearest to
// holding nothing. It gets nothing else until then.
void reserve_for_alone(queue& q) {
    if (q.alone_due.empty()) {
        if (consumer* was = std::exchange(q.reserved_for_alone, nullptr)) {
            q.offer(*was);
        }
        return;
    }
    if (q.reserved_for_alone != nullptr) {
        return;
    }
    for (consumer* one : q.consumers) {
        if (one->usable() &&
            (q.reserved_for_alone == nullptr || one->leased < q.reserved_for_alone->leased)) {
            q.reserved_for_alone = one;
        }
    }
}

// True if the reserved consumer took its message.
bool give_alone(core& c, turn& t, queue& q) {
    consumer* one = q.reserved_for_alone;
    if (one == nullptr || one->leased > 0 || one->room() == 0) {
        return false;
    }
    const offset_t offset = q.alone_due.front();
    const auto known = q.exceptions.find(offset);
    if (known == q.exceptions.end() || !known->second.record.owner) {
        return false;
    }
    q.reserved_for_alone = nullptr;
    give_retry(c, t, q, *one, offset, true);
    return true;
}

// ---- one queue ----

// The longest waiting candidate that has room and is not reserved.
consumer* next_candidate(queue& q) {
    while (!q.candidates.empty()) {
        consumer* one = q.candidates.front();
        if (one->room() > 0 && one != q.reserved_for_alone) {
            return one;
        }
        one->candidate = false;
        q.candidates.pop_front();
    }
    return nullptr;
}

void serve_next(queue& q, consumer& one, bool may_take_more) {
    q.candidates.pop_front();
    one.candidate = false;
    if (may_take_more) {
        q.offer(one);
    }
}

bool fresh_waits(queue& q) {
    return !q.returned.empty() ||
           (q.skip_to_fresh() < q.owner.end && !q.too_many_retrying() && !q.too_many_runs());
}

// Gives `one` its next share, of about `share` messages; too_large and nothing as give_range says.
given give_share(core& c, turn& t, queue& q, consumer& one, std::uint64_t share) {
    const offset_t retry = next_retry(q);
    const bool retries_wait = retry != offset_end || !q.alone_due.empty();
    const bool others_wait = fresh_waits(q);
    if (!retries_wait) {
        q.retry_credit = 1;
    }
    if (retry != offset_end && (q.retry_credit > 0 || !others_wait)) {
        if (!fits(one, q.exceptions.find(retry)->second.record.view.size())) {
            return given::too_large;
        }
        give_retry(c, t, q, one, retry, false);
        if (others_wait) {
            --q.retry_credit;
        }
        return given::some;
    }
    std::uint64_t quantum = q.candidates.size() == 1 ? one.room() : share;
    if (retries_wait) {
        quantum = std::min<std::uint64_t>(quantum, retry_share_max);
    }
    const std::uint64_t before = q.next_lease;
    const std::uint64_t count = std::min(quantum, one.room());
    // Returned ones first, even if that means to wait until they are read.
    const given result =
        q.returned.empty() ? give_fresh(c, t, q, one, count) : give_returned(c, t, q, one, count);
    if (retries_wait) {
        q.retry_credit = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(retry_share_max, q.retry_credit + (q.next_lease - before)));
    }
    return result;
}

void load_retries(core& c, turn& t, queue& q) {
    if ((!q.schedule.due().empty() && !q.candidates.empty()) || !q.alone_due.empty()) {
        load_due(c, t, q, limits::prefetch_messages_default);
    }
}

void dispatch_queue(core& c, turn& t, queue& q) {
    const mono_time next_due = advance_schedule(c, t, q);
    if (!q.paused && !q.consumers.empty()) {
        load_retries(c, t, q);
        // A small backlog is spread over all, a large one goes in turns.
        const std::uint64_t share = std::clamp<std::uint64_t>(
            (q.ready() - q.due()) / std::max<std::uint64_t>(q.candidates.size(), 1), 1,
            quantum_max);
        while (true) {
            next_retry(q);  // moves those that must be alone to alone_due
            if (q.reserved_for_alone != nullptr || q.retry_credit > 0 || !fresh_waits(q)) {
                reserve_for_alone(q);
            }
            if (give_alone(c, t, q)) {
                if (q.retry_credit > 0 && fresh_waits(q)) {
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
    if (q.consumers.empty()) {
        q.window.clear();
    }
    c.arm(q, std::min(next_due, q.leases.earliest()));
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
    // Nothing above gives room or messages to another queue, so the list is still empty but for
    // queues whose exceptions were all in memory; its storage is used again.
    woken.clear();
    if (c.woken.empty()) {
        c.woken.swap(woken);
    }
}

}  // namespace brokerd::domain
