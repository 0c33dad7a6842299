// Reading, leasing, delivering and choosing consumers, for dispatch to queues of every mode.
#include "broker/domain/dispatch_steps.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/consumer_group.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t output_bytes_max = 256 * limits::kib;  // of one delivery
constexpr std::uint64_t part_min = 8;  // of a group's room, so that runs stay runs

void request_window(core& c, turn& t, queue& q, offset_t from) {
    if (q.window.fetching || t.now.mono < q.read_again) {
        return;
    }
    q.window.fetching = true;
    c.read(t, fetch_log{q.owner.id, from, read_ahead(c), q.id.value()},
           [&c, id = q.id, from](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               of->window.fetching = false;
               if (from < of->owner.trim) {  // what was wanted has ended meanwhile
                   c.wake(*of);
                   return;
               }
               if (const auto* chunks = read_chunks(c, later, *of, from, result)) {
                   of->window.add(*chunks, of->owner.skipped);
                   c.wake(*of);
               }
           });
}

void deliver(core& c, turn& t, consumer& one, record_run run, commit_number depends_on) {
    const topic& of = one.from->owner;
    consumer_room& room = *one.shared;
    const bool early = is_os(c, of);
    // Not before what was given out when the topic was another.
    depends_on = std::max({depends_on, room.attached, early ? of.changed : commit_number{}});
    depends_on = c.depend(depends_on, early);
    room.depends_on = std::max(room.depends_on, depends_on);
    const std::size_t bytes = run.records.view.size();
    one.delivered += run.leases.count;
    room.delivered += run.leases.count;
    c.counters.delivered_messages += run.leases.count;
    if (room.output_turn == c.dispatch_number && room.output_bytes + bytes <= output_bytes_max) {
        output& open = t.out.outputs[room.output_index];
        if (open.depends_on == depends_on && open.when_applied == early) {
            room.output_bytes += bytes;
            std::get<delivery>(open.body).runs.push_back(std::move(run));
            return;
        }
    }
    room.output_turn = c.dispatch_number;
    room.output_index = t.out.outputs.size();
    room.output_bytes = bytes;
    delivery body{.consumer = one.id, .runs = {}};
    body.runs.push_back(std::move(run));
    t.out.outputs.push_back({.connection = one.connection,
                             .depends_on = depends_on,
                             .body = std::move(body),
                             .when_applied = early});
}

void lease(core& c, turn& t, queue& q, consumer& one, record_run run, commit_number depends_on,
           std::uint8_t lane, std::unique_ptr<exception_state> exception) {
    run.leases.epoch = c.epoch;
    run.leases.first_lease = q.next_lease;
    q.next_lease += run.leases.count;
    run.queue = one.group == nullptr ? queue_id{} : q.id;
    const std::uint64_t bytes = run.records.view.size();
    one.hold({c.epoch, run.leases.first_lease}, run.leases.count, bytes);
    lease_span span;
    span.run = run.leases;
    span.holder = &one;
    span.deadline = t.now.mono + q.settings->lease;
    span.attempt = run.attempt;
    span.lane = lane;
    span.bytes = bytes;
    span.exception = std::move(exception);
    q.leases.made().add(std::move(span));
    deliver(c, t, one, std::move(run), std::max(depends_on, q.changed));
}

}  // namespace

// ---- reading the log ----

std::size_t read_ahead(const core& c) {
    return c.may_read_ahead() ? c.options.read_ahead_bytes : 0;
}

failure not_in_log(const queue& q, offset_t offset) {
    return {error_code::storage_failed,
            fmt::format("{} is not in the log", to_string(message_address{q.owner.name, offset}))};
}

const std::vector<chunk_ptr>* read_chunks(core& c, turn& t, queue& q, offset_t from,
                                          const fetch_result& result) {
    if (const auto* failed = std::get_if<failure>(&result)) {
        fail_read(c, t, q, *failed);
        return nullptr;
    }
    const auto& chunks = std::get<log_fetched>(result).chunks;
    if (chunks.empty() || !chunks.front()->contains(from)) {
        fail_read(c, t, q, not_in_log(q, from));
        return nullptr;
    }
    q.read_error.clear();
    return &chunks;
}

place find_in_memory(const queue& q, offset_t offset) {
    if (const chunk_tail::entry* entry = q.owner.tail.find(offset)) {
        return {entry->data, entry->commit};
    }
    if (const chunk_ptr* data = q.window.find(offset)) {
        return {*data, {}};
    }
    if (q.levels) {
        if (const chunk_ptr* data = q.levels->find(offset)) {
            return {*data, {}};
        }
    }
    if (q.order) {
        for (const chunk_ptr* data :
             {q.order->shelf.find(offset), q.order->search_window.find(offset)}) {
            if (data != nullptr) {
                return {*data, {}};
            }
        }
    }
    return {};
}

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

void keep_window(core& c, turn& t, queue& q) {
    if (q.window.empty()) {
        return;
    }
    // Returned messages are given out first, in order: nothing below the first of them is needed.
    q.window.drop_below(q.returned.empty() || q.order ? q.next
                                                      : std::min(q.next, q.returned.front()));
    const offset_t in_memory_from =
        q.owner.tail.empty() ? q.owner.end : q.owner.tail.front().data->base_offset();
    if (q.window.empty() || q.window.end() <= q.next ||
        q.window.bytes() >= c.options.read_ahead_bytes / 2) {
        return;
    }
    const offset_t behind = q.owner.skipped.next_gap(q.window.end());
    if (behind < in_memory_from) {
        request_window(c, t, q, behind);
    }
}

// ---- delivering ----

bool fits(const consumer& one, std::size_t bytes) {
    return one.holds_nothing() || bytes <= one.room_bytes();
}

void lease_slice(core& c, turn& t, queue& q, consumer& one, const record_slice& slice,
                 const place& from) {
    lease(c, t, q, one,
          record_run{.leases = {.first_offset = slice.first, .count = slice.count},
                     .append_time = from.data->append_time(),
                     .attempt = 1,
                     .records = {from.data, slice.bytes}},
          from.commit, from.data->lane(), nullptr);
}

void give_retry(core& c, turn& t, queue& q, consumer& one, offset_t offset, bool alone) {
    auto& memory = q.exceptions.made().known;
    const auto at = memory.find(offset);
    known_exception& known = at->second;
    q.forget_due(offset, known.value.due);
    q.leased_retries.insert({offset, 1});
    if (q.order) {
        q.order->keys.lock(key_of(q, known.record.view), offset);
    }
    const chunk_tail::entry* entry = q.owner.tail.find(offset);
    const commit_number depends_on =
        std::max(known.commit, entry == nullptr ? commit_number{} : entry->commit);
    lease(c, t, q, one,
          record_run{.leases = {.first_offset = offset, .count = 1},
                     .append_time = known.append_time,
                     .attempt = known.value.attempts + 1,
                     .records = std::move(known.record),
                     .history = known.value.history},
          depends_on, unknown_lane, std::make_unique<exception_state>(known.value));
    one.shared->alone = alone;
    if (known.commit <= c.applied()) {
        memory.erase(at);
    } else {
        known.record = {};
    }
}

// ---- messages that must be alone ----

void reserve_for_alone(queue& q, bool is_loaded) {
    // A consumer of other queues too is not kept from them by what must be read first, and may not
    // be readable at all.
    const auto may_wait = [&](const consumer& one) { return one.group == nullptr || is_loaded; };
    if (q.alone_due.empty() ||
        (q.reserved_for_alone != nullptr && !may_wait(*q.reserved_for_alone))) {
        q.end_reservation();
    }
    if (q.alone_due.empty()) {
        return;
    }
    consumer* const was = q.reserved_for_alone;
    // One that holds nothing is waited for by nobody; looked for only where it can be told quickly.
    if (was != nullptr && was->usable() && !was->holds_nothing()) {
        consumer* const front = next_candidate(q);
        if (front == nullptr || !front->holds_nothing() || !front->usable() || !may_wait(*front)) {
            return;
        }
        q.reserve(front);
        q.offer(*was);
        return;
    }
    if (was != nullptr && was->usable()) {
        return;
    }
    consumer* nearest = nullptr;
    for (consumer* one : q.consumers) {
        if (one->usable() && may_wait(*one) && !q.stands_by(*one) &&
            (nearest == nullptr || one->shared->leased < nearest->shared->leased)) {
            nearest = one;
        }
    }
    q.reserve(nearest);
    if (was != nullptr && was != q.reserved_for_alone) {
        q.offer(*was);
    }
}

bool give_alone(core& c, turn& t, queue& q, offset_t offset) {
    consumer* one = q.reserved_for_alone;
    if (one == nullptr || !one->holds_nothing() || one->room() == 0) {
        return false;
    }
    const auto known = q.exceptions->known.find(offset);
    if (known == q.exceptions->known.end() || !known->second.record.owner) {
        return false;
    }
    if (expire_retry(c, t, q, offset)) {
        return true;
    }
    q.reserve(nullptr);
    give_retry(c, t, q, *one, offset, true);
    return true;
}

// ---- consumers ----

consumer* next_candidate(queue& q) {
    while (!q.candidates.empty()) {
        consumer* one = q.candidates.front();
        if (one->room() > 0 && one != q.reserved_for_alone) {
            return one;
        }
        one->candidate = false;
        q.candidates.pop_front();
        if (one->group != nullptr && one != q.reserved_for_alone) {
            one->group->stand_in_line(*one);
        }
    }
    return nullptr;
}

std::uint64_t part_of(const consumer& one, std::uint64_t share) {
    if (one.group == nullptr) {
        return share;
    }
    const std::uint64_t part = one.room() / (one.group->waiting() + 1);
    return std::min(share, std::max(part, part_min));
}

void serve_next(queue& q, consumer& one, bool may_take_more) {
    q.candidates.pop_front();
    one.candidate = false;
    if (one.group == nullptr) {
        if (may_take_more) {
            q.offer(one);
        }
        return;
    }
    // The other queues of its group have their turn, or wait until it has the room it needs.
    if (may_take_more) {
        one.group->stand_in_line(one);
    } else {
        one.group->claim(one, false);
    }
}

void load_retries(core& c, turn& t, queue& q) {
    const bool some_due = !q.schedule.due().empty() || (q.levels && q.levels->due() > 0);
    if ((some_due && !q.candidates.empty()) || !q.alone_due.empty()) {
        load_due(c, t, q, limits::prefetch_messages_default);
    }
}

}  // namespace brokerd::domain
