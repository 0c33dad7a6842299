// Exceptions between memory and store: which of them memory knows, fetching the others with their
// records, and the due times of retries as they come near.
//
// Memory knows an exception while the commit that stores it may not be applied, so what a fetch
// returns may be older than what memory knows, never newer: memory goes first. While a fetch of a
// queue is outstanding nothing that was put is forgotten. What was loaded to be given out is as the
// store has it and may go at any time; of that only a bounded number is kept.
//
// Work is per exception put or loaded: no commit looks at all that memory knows.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

constexpr std::uint32_t due_fetch_limit = 1024;  // items of one part of the due index
constexpr std::uint32_t load_limit = 32;         // exceptions loaded at once for dispatch
constexpr std::size_t records_bytes_max = 4 * limits::mib;  // loaded at once
constexpr std::size_t loaded_max = 128;       // kept while they wait to be given out; several loads
constexpr std::size_t alone_loaded_max = 16;  // of these, those that wait for a free consumer

shared_bytes record_in(const chunk_ptr& data, offset_t offset) {
    return {data, data->record(offset)};
}

// Of a clone whose commit the store may not have.
bool find_copied(const queue& q, offset_t offset, known_exception& known) {
    if (!q.copied) {
        return false;
    }
    const auto at = q.copied->records.find(offset);
    if (at == q.copied->records.end()) {
        return false;
    }
    known.record = at->second.record;
    known.append_time = at->second.append_time;
    return true;
}

// Takes record and time from memory if they are there.
bool find_record(const queue& q, offset_t offset, known_exception& known) {
    if (known.record.owner) {
        return true;
    }
    const chunk_ptr* data = nullptr;
    if (const chunk_tail::entry* entry = q.owner.tail.find(offset)) {
        data = &entry->data;
    } else {
        data = q.window.find(offset);
    }
    if (data == nullptr) {
        return find_copied(q, offset, known);
    }
    known.record = record_in(*data, offset);
    known.append_time = (*data)->append_time();
    return true;
}

// What was known when the fetch was issued and may be gone from memory since; records never change.
void merge_earlier(const queue& q, exception_map& earlier, exception_map& known) {
    for (auto& [offset, before] : earlier) {
        if (!q.book.is_exception(offset)) {
            continue;
        }
        known_exception& now = known.try_emplace(offset, before).first->second;
        if (!now.record.owner) {
            now.record = std::move(before.record);
            now.append_time = before.append_time;
        }
    }
}

void merge_fetched(queue& q, exceptions_fetched& fetched, exception_map& known) {
    for (exception_entry& entry : fetched.entries) {
        if (!q.book.is_exception(entry.offset) ||
            (!entry.stored && !known.contains(entry.offset))) {
            continue;
        }
        const auto [at, is_new] = known.try_emplace(entry.offset);
        if (is_new) {
            at->second.value = std::move(entry.value);
        }
        if (!at->second.record.owner && entry.record.owner) {
            at->second.record = std::move(entry.record);
            at->second.append_time = entry.append_time;
        }
    }
}

// What memory knows of `offsets`.
exception_map known_of(const queue& q, const std::vector<offset_t>& offsets, bool records) {
    exception_map known;
    for (const offset_t offset : offsets) {
        const auto at = q.exceptions->known.find(offset);
        if (at != q.exceptions->known.end() && q.book.is_exception(offset)) {
            known_exception copy = at->second;
            if (records) {
                find_record(q, offset, copy);
            }
            known.emplace(offset, std::move(copy));
        }
    }
    return known;
}

void load(core& c, turn& t, queue& q, std::vector<offset_t> offsets, bool records,
          records_handler then, std::function<void(turn&)> gone) {
    exception_map known = known_of(q, offsets, records);
    std::vector<offset_t> missing;
    for (const offset_t offset : offsets) {
        const auto at = known.find(offset);
        if (at == known.end() || (records && !at->second.record.owner)) {
            missing.push_back(offset);
        }
    }
    if (missing.empty()) {
        then(c, t, q, loaded_records{std::move(known)});
        return;
    }
    q.exceptions.made().reads.begin(c.applied());
    c.read(t, fetch_exceptions{q.owner.id, q.id, std::move(missing), records, records_bytes_max},
           [&c, id = q.id, since = c.applied(), records, offsets = std::move(offsets),
            known = std::move(known), then = std::move(then),
            gone = std::move(gone)](turn& later, fetch_result& result) mutable {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   if (gone) {
                       gone(later);
                   }
                   return;
               }
               of->exceptions.made().reads.end(since);
               if (auto* failed = std::get_if<failure>(&result)) {
                   then(c, later, *of, std::unexpected(std::move(*failed)));
                   return;
               }
               auto& fetched = std::get<exceptions_fetched>(result);
               loaded_records all{known_of(*of, offsets, records), fetched.looked_below};
               merge_fetched(*of, fetched, all.exceptions);
               merge_earlier(*of, known, all.exceptions);
               then(c, later, *of, std::move(all));
           });
}

}  // namespace

void with_exceptions(core& c, turn& t, queue& q, std::vector<offset_t> offsets,
                     exceptions_handler then, std::function<void(turn&)> gone) {
    load(
        c, t, q, std::move(offsets), false,
        [then = std::move(then)](core& now, turn& later, queue& of,
                                 outcome<loaded_records> loaded) {
            if (loaded) {
                then(now, later, of, std::move(loaded->exceptions));
            } else {
                then(now, later, of, std::unexpected(std::move(loaded.error())));
            }
        },
        std::move(gone));
}

void with_records(core& c, turn& t, queue& q, std::vector<offset_t> offsets, records_handler then,
                  std::function<void(turn&)> gone) {
    load(c, t, q, std::move(offsets), true, std::move(then), std::move(gone));
}

std::optional<exception_state> newest_exception(const queue& q, const exception_map& fetched,
                                                offset_t offset) {
    if (const auto known = q.exceptions->known.find(offset); known != q.exceptions->known.end()) {
        return known->second.value;
    }
    const auto at = fetched.find(offset);
    return at == fetched.end() ? std::nullopt : std::optional{at->second.value};
}

// ---- what is due ----

namespace {

// In memory, but not because of a commit that may not be applied.
bool is_loaded(const queue& q, offset_t offset) {
    const auto at = q.exceptions->known.find(offset);
    return at != q.exceptions->known.end() && at->second.commit == commit_number{};
}

}  // namespace

void forget_if_loaded(queue& q, offset_t offset) {
    if (is_loaded(q, offset)) {
        q.exceptions.made().known.erase(offset);
    }
}

namespace {

void forget_loaded(queue& q) {
    if (q.exceptions->loaded.empty()) {
        return;
    }
    auto& loaded = q.exceptions.made().loaded;
    for (const offset_t offset : loaded) {
        forget_if_loaded(q, offset);
    }
    loaded.clear();
}

struct due_load {
    std::vector<offset_t> missing;  // not in memory, ascending
    bool found = false;             // some can be dispatched only since now
};

// Looks at the first due messages.
due_load due_to_load(queue& q, std::uint32_t wanted) {
    due_load load;
    std::size_t bytes = 0;  // of those that are loaded and wait to be given out
    const auto look = [&](const interval_set& set, std::uint32_t limit) {
        if (set.empty()) {
            return;
        }
        auto& memory = q.exceptions.made().known;
        std::uint32_t seen = 0;
        for (auto run = set.next_run(0); run && seen < limit; run = set.next_run(run->end())) {
            for (offset_t at = run->first; at < run->end() && seen < limit; ++at, ++seen) {
                const auto known = memory.find(at);
                if (known != memory.end() && known->second.record.owner) {
                    bytes += known->second.record.view.size();
                    if (bytes >= records_bytes_max) {
                        return;
                    }
                    continue;
                }
                if (known != memory.end() && find_record(q, at, known->second)) {
                    load.found = true;
                } else {
                    load.missing.push_back(at);
                }
            }
        }
    };
    look(q.alone_due, 1);
    wanted = std::min(wanted, load_limit);
    if (q.levels) {
        for (const queue_level& level : q.levels->all) {
            look(level.due, wanted);
            if (!level.due.empty()) {
                break;  // those below have time until these are given out
            }
        }
    }
    look(q.schedule.due(), wanted);
    std::sort(load.missing.begin(), load.missing.end());
    return load;
}

// A due message without a record: looked for once more, as the trim point may have passed it while
// the log was read; after that it stays retrying and is tried again after the next start.
void miss_record(core& c, turn& t, queue& q, offset_t offset) {
    const std::string text = fmt::format("the record of {} is not in the store", q.address(offset));
    if (q.exceptions.made().missed_once.insert({offset, 1}) > 0) {
        fail_read(c, t, q, {error_code::storage_failed, text});
        return;
    }
    q.exceptions.made().missed_once.erase({offset, 1});
    q.forget_due(offset, wall_never);
    forget_if_loaded(q, offset);
    q.read_error = text;
}

void take_loaded(core& c, turn& t, queue& q, const std::vector<offset_t>& asked,
                 const exception_map& loaded) {
    if (q.exceptions->loaded.size() + asked.size() > loaded_max) {
        forget_loaded(q);  // those that are next are loaded again
    }
    auto& [memory, put, waiting, missed_once, reads] = q.exceptions.made();
    waiting.insert(waiting.end(), asked.begin(), asked.end());
    for (const auto& [offset, known] : loaded) {
        if (!q.book.retrying().contains(offset) || q.leased_retries.contains(offset)) {
            continue;
        }
        known_exception& mine = memory.try_emplace(offset, known).first->second;
        if (!mine.record.owner) {
            mine.record = known.record;
            mine.append_time = known.append_time;
        }
    }
    q.read_error.clear();
    for (const offset_t offset : asked) {
        const auto at = q.exceptions->known.find(offset);
        const bool is_due = q.is_due(offset);
        if (is_due && (at == q.exceptions->known.end() || !at->second.record.owner)) {
            miss_record(c, t, q, offset);
        } else {
            missed_once.erase({offset, 1});
        }
    }
    c.note_exceptions(q);
    c.wake(q);
}

}  // namespace

void load_due(core& c, turn& t, queue& q, std::uint32_t wanted) {
    if (q.exceptions_fetching || t.now.mono < q.read_again) {
        return;
    }
    auto [offsets, found] = due_to_load(q, wanted);
    if (found) {
        // Dispatch may be through with them in this turn, and nothing else would wake it.
        c.arm(q, t.now.mono + duration_us{1});
    }
    if (offsets.empty()) {
        return;
    }
    q.exceptions_fetching = true;
    with_records(
        c, t, q, offsets,
        [offsets](core& then, turn& later, queue& of, outcome<loaded_records> loaded) mutable {
            of.exceptions_fetching = false;
            if (!loaded) {
                fail_read(then, later, of, loaded.error());
                return;
            }
            std::erase_if(offsets, [&](offset_t at) { return at >= loaded->below; });
            take_loaded(then, later, of, offsets, loaded->exceptions);
        });
}

void fail_read(core& c, turn& t, queue& q, const failure& why) {
    q.read_error = why.text;
    q.read_again = t.now.mono + read_retry;
    c.arm(q, q.read_again);
}

void set_alone(queue& q, offset_t offset) {
    q.forget_due(offset, wall_never);
    q.alone_due.insert({offset, 1});
    if (q.alone_due.count() > alone_loaded_max) {
        forget_record(q, offset);
    }
}

void forget_record(queue& q, offset_t offset) {
    if (q.exceptions->known.contains(offset)) {
        q.exceptions.made().known.at(offset).record = {};
    }
    forget_if_loaded(q, offset);
}

// ---- the due index ----

namespace {

// Retrying messages whose due time memory does not know.
bool some_on_disk(const queue& q) {
    return q.retrying() + q.due() > q.schedule.in_memory() + q.due() - q.schedule.due().count();
}

void take_due(core& c, turn& t, queue& q, wall_time from, wall_time until, due_fetched& fetched) {
    if (q.moving) {
        return;  // these are being moved; what is left then is asked for again
    }
    retry_schedule& schedule = q.schedule;
    const wall_time known = fetched.more ? fetched.items.back().due : until;
    schedule.fetch_limit_factor = known == from ? schedule.fetch_limit_factor * 2 : 1;
    schedule.set_known_until(known);
    const auto take = [&](offset_t offset, wall_time due) {
        if (q.book.retrying().contains(offset) && !q.leased_retries.contains(offset) &&
            !q.is_due(offset) && !schedule.contains(offset, due)) {
            schedule.add(offset, due, t.retry_now);
        }
    };
    for (const due_item& item : fetched.items) {
        if (!q.exceptions->known.contains(item.offset)) {
            take(item.offset, item.due);
        }
    }
    for (const auto& [offset, exception] : q.exceptions->known) {
        if (exception.value.state == message_state::retrying) {
            take(offset, exception.value.due);
        }
    }
    c.wake(q);
    c.arm(q, advance_schedule(c, t, q));
}

// `then` = who asked for this part; none: the schedule itself did.
void fetch_due_part(core& c, turn& t, queue& q, std::function<void(turn&)> then = {}) {
    const wall_time from = std::max(q.schedule.known_until(), wall_time{});
    const wall_time until = t.retry_now + retry_schedule::horizon;
    q.schedule.fetching = q.schedule.fetching || !then;
    q.exceptions.made().reads.begin(c.applied());
    c.read(
        t,
        fetch_due{q.owner.id, q.id, from, until, due_fetch_limit * q.schedule.fetch_limit_factor},
        [&c, id = q.id, since = c.applied(), from, until, then = std::move(then)](
            turn& later, fetch_result& result) {
            if (queue* of = c.queue_by_id(id)) {
                of->exceptions.made().reads.end(since);
                of->schedule.fetching = of->schedule.fetching && then;
                if (const auto* failed = std::get_if<failure>(&result)) {
                    fail_read(c, later, *of, *failed);
                } else if (of->schedule.known_until() >= from) {  // else cleared meanwhile
                    take_due(c, later, *of, from, until, std::get<due_fetched>(result));
                }
            }
            if (then) {
                then(later);
            }
        });
}

}  // namespace

mono_time advance_schedule(core& c, turn& t, queue& q) {
    retry_schedule& schedule = q.schedule;
    if (schedule.advance(t.retry_now)) {
        c.wake(q);
    }
    mono_time next = q.read_again > t.now.mono ? q.read_again : mono_never;
    if (schedule.next() != wall_never) {
        next = std::min(next, c.clock.mono_of_retry_time(schedule.next()));
    }
    if (!some_on_disk(q)) {
        schedule.set_known_until(
            std::max(schedule.known_until(), t.retry_now + retry_schedule::horizon));
    } else if (!q.consumers.empty() && !q.moving && !schedule.fetching) {
        const bool time_to_fetch =
            schedule.known_until() - retry_schedule::fetch_margin <= t.retry_now;
        if (time_to_fetch) {
            if (t.now.mono >= q.read_again) {
                fetch_due_part(c, t, q);
            }
        } else {
            const mono_time then =
                c.clock.mono_of_retry_time(schedule.known_until() - retry_schedule::fetch_margin);
            next = std::min(next, then);
        }
    }
    return next;
}

bool catch_up(core& c, turn& t, queue& q) {
    c.arm(q, advance_schedule(c, t, q));
    // While the queue is moved nothing becomes due, and what cannot be read cannot be told.
    return !some_on_disk(q) || q.schedule.known_until() > t.retry_now || q.moving ||
           t.now.mono < q.read_again;
}

void read_due(core& c, turn& t, queue& q, std::function<void(turn&)> then) {
    fetch_due_part(c, t, q, std::move(then));
}

namespace {

// Forgets what was put by applied commits, but for what a read under way may miss: under a stream
// of reads memory is bounded by what comes during one of them. A few of those that are due stay, as
// if loaded.
void forget_applied(queue& q, commit_number applied) {
    auto& [memory, put, loaded, missed_once, reads] = q.exceptions.made();
    applied = reads.seen_by_all(applied);
    if (loaded.size() >= load_limit) {
        std::erase_if(loaded, [&](offset_t offset) { return !is_loaded(q, offset); });
    }
    auto at = put.begin();
    for (; at != put.end() && at->first <= applied; ++at) {
        const auto known = memory.find(at->second);
        if (known == memory.end() || known->second.commit > applied) {
            continue;
        }
        const bool waits_loaded = q.schedule.due().contains(at->second) ||
                                  q.alone_due.contains(at->second) ||
                                  (q.levels && q.levels->is_due(at->second));
        if (loaded.size() < load_limit && waits_loaded) {
            known->second.commit = {};
            loaded.push_back(at->second);
        } else {
            memory.erase(known);
        }
    }
    put.erase(put.begin(), at);
    if (put.empty()) {
        put.shrink_to_fit();  // a lost consumer may have held very many
    }
    if (q.copied && q.copied->commit <= applied) {
        q.copied.reset();
    }
}

}  // namespace

void forget_applied_exceptions(core& c) {
    const auto done = [&](queue* q) {
        forget_applied(*q, c.applied());
        if (q->consumers.empty() && q->exceptions->reads.empty()) {
            forget_loaded(*q);
        }
        q->exceptions_noted = !q->exceptions->put.empty() || !q->exceptions->reads.empty();
        return !q->exceptions_noted;
    };
    std::erase_if(c.queues_with_exceptions, done);
}

}  // namespace brokerd::domain
