// Giving out by priority: the highest level that has something goes first, within it due retries in
// turns with returned messages, then fresh ones. A level whose lane must be read first holds up
// those below it: what it has may go first.
//
// Each level has its own cursor in its own lane, so the newest urgent message behind a backlog of
// any size is found by one read. What the queue knows by offset stays as it is without levels: what
// a level gives out beyond queue::next is leased ahead of it.
#include <algorithm>
#include <optional>
#include <utility>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/consumer_group.hpp"
#include "broker/domain/dispatch_steps.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::domain {
namespace {

// What dispatch would give out next of a level, but for retries.
struct level_head {
    place at;          // without data: it must be read first
    offset_range run;  // ready, of one kind, within the chunk
    bool returned = false;
};

// ---- finding ----

offset_t in_memory_from(const topic& of) {
    return of.tail.empty() ? of.end : of.tail.begin_offset();
}

void request_lane(core& c, turn& t, queue& q, queue_level& level, offset_t from) {
    if (level.window.fetching || t.now.mono < q.read_again) {
        return;
    }
    level.window.fetching = true;
    // All below is applied, so a read sees it.
    const offset_t stop = in_memory_from(q.owner);
    c.read(t,
           fetch_log{.topic = q.owner.id,
                     .from = from,
                     .bytes_max = read_ahead(c),
                     .reader = q.id.value(),
                     .lane = level.lane},
           [&c, id = q.id, lane = level.lane, from, stop](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               lane_window& window = of->levels->at(lane).window;
               window.fetching = false;
               if (const auto* failed = std::get_if<failure>(&result)) {
                   fail_read(c, later, *of, *failed);
                   return;
               }
               of->read_error.clear();
               const auto& chunks = std::get<log_fetched>(result).chunks;
               window.add(from, chunks,
                          chunks.empty() ? std::max(from, stop) : chunks.back()->end_offset());
               c.wake(*of);
           });
}

// Reads the chunks that tell the level of messages that were given back.
void request_place(core& c, turn& t, queue& q, offset_t offset) {
    if (q.levels->placing || t.now.mono < q.read_again) {
        return;
    }
    q.levels->placing = true;
    c.read(t,
           fetch_log{.topic = q.owner.id,
                     .from = offset,
                     .bytes_max = read_ahead(c),
                     .reader = q.id.value()},
           [&c, id = q.id, offset](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   return;
               }
               of->levels->placing = false;
               if (offset >= of->owner.trim) {  // else what was wanted has ended meanwhile
                   if (const auto* chunks = read_chunks(c, later, *of, offset, result)) {
                       for (const chunk_ptr& each : *chunks) {
                           if (of->levels->unplaced.contains_any(
                                   {each->base_offset(), each->count()})) {
                               of->levels->shelf.add(each);
                           }
                       }
                   }
               }
               c.wake(*of);
           });
}

// Sorts what was given back by level, as far as memory knows it. Nobody waits for what must be
// read for that: one that cannot be read would hold up all.
void place_returned(core& c, turn& t, queue& q) {
    interval_set& unplaced = q.levels->unplaced;
    while (!unplaced.empty()) {
        const offset_range run = *unplaced.next_run(0);
        const chunk_ptr data = find_in_memory(q, run.first).data;
        if (!data) {
            request_place(c, t, q, run.first);
            return;
        }
        const offset_range part{run.first, std::min(run.end(), data->end_offset()) - run.first};
        unplaced.erase(part);
        q.levels->give_back(part, data->lane());
    }
    q.levels->shelf.clear();
}

// The chunk of the level's lane that holds `at` or is the next behind it; without data: it must be
// read first. Nothing: the lane has no more.
std::optional<place> find_in_lane(core& c, turn& t, queue& q, queue_level& level, offset_t at) {
    level.window.drop_below(at);
    while (at < in_memory_from(q.owner)) {
        if (!level.window.covers(at)) {
            request_lane(c, t, q, level, at);
            return place{};
        }
        if (const chunk_ptr* data = level.window.next(at)) {
            return place{*data, {}};
        }
        at = level.window.until();
    }
    if (const chunk_tail::entry* entry = q.owner.tail.find_in_lane(at, level.lane)) {
        return place{entry->data, entry->commit};
    }
    return std::nullopt;
}

// The first offset from `at` on that is neither settled nor was given out.
offset_t next_untouched(const queue& q, offset_t at) {
    for (offset_t before = offset_end; at != before;) {
        before = at;
        at = q.returned.next_gap(q.ahead.next_gap(q.book.closed().next_gap(at)));
    }
    return at;
}

// The first messages of the chunk from `at` on that were never given out.
std::optional<offset_range> untouched_in(const queue& q, const chunk& data, offset_t at) {
    at = next_untouched(q, std::max(at, data.base_offset()));
    if (at >= data.end_offset()) {
        return std::nullopt;
    }
    const offset_t stop = std::min({data.end_offset(), q.book.closed().next_member(at),
                                    q.ahead.next_member(at), q.returned.next_member(at)});
    return offset_range{at, stop - at};
}

std::optional<level_head> fresh_head(core& c, turn& t, queue& q, queue_level& level) {
    level.next = std::max({level.next, q.skip_to_fresh(), q.book.floor()});
    // Nothing is read that holds nothing for the queue, however much of it there is.
    for (level.next = next_untouched(q, level.next); level.next < q.owner.end;
         level.next = next_untouched(q, level.next)) {
        const auto at = find_in_lane(c, t, q, level, level.next);
        if (!at) {
            level.next = q.owner.end;
            break;
        }
        if (!at->data) {
            return level_head{};
        }
        if (const auto run = untouched_in(q, *at->data, level.next)) {
            level.next = run->first;
            return level_head{.at = *at, .run = *run};
        }
        level.next = at->data->end_offset();
    }
    return std::nullopt;
}

std::optional<level_head> returned_head(core& c, turn& t, queue& q, queue_level& level) {
    if (level.returned.empty()) {
        return std::nullopt;
    }
    const offset_range run = *level.returned.next_run(0);
    const auto at = find_in_lane(c, t, q, level, run.first);
    if (!at || (at->data && !at->data->contains(run.first))) {
        level.window.clear();
        fail_read(c, t, q, not_in_log(q, run.first));
    }
    if (!at || !at->data || !at->data->contains(run.first)) {
        return level_head{.at = {}, .run = run, .returned = true};
    }
    const offset_t stop = std::min(run.end(), at->data->end_offset());
    return level_head{.at = *at, .run = {run.first, stop - run.first}, .returned = true};
}

// Returned ones first, even if that means to wait until they are read.
std::optional<level_head> head_of(core& c, turn& t, queue& q, queue_level& level) {
    if (auto returned = returned_head(c, t, q, level)) {
        return returned;
    }
    return q.too_many_retrying() || q.too_many_runs() ? std::nullopt : fresh_head(c, t, q, level);
}

// ---- retries ----

std::uint8_t level_of(const topic& of, const known_exception& known) {
    return of.level_of(codec::record_priority(known.record.view));
}

bool some_due_above(const queue& q, const queue_level& level) {
    return std::ranges::any_of(q.levels->all, [&](const queue_level& each) {
        return each.lane > level.lane && !each.due.empty();
    });
}

// Sorts the due messages whose records are loaded by level; those that have expired end, and those
// that must be alone go there.
void place_due(core& c, turn& t, queue& q) {
    for (offset_t at = q.schedule.due().next_member(0); at != offset_end;
         at = q.schedule.due().next_member(at + 1)) {
        const auto known = q.exceptions->known.find(at);
        if (known == q.exceptions->known.end() || !known->second.record.owner) {
            return;  // those behind are loaded after it
        }
        if (expire_retry(c, t, q, at)) {
            continue;
        }
        if (must_be_alone(known->second.value)) {
            set_alone(q, at);
        } else {
            queue_level& level = q.levels->at(level_of(q.owner, known->second));
            level.due.insert({at, 1});
            q.schedule.remove(at, wall_never);
            if (some_due_above(q, level)) {
                forget_record(q, at);  // it is read again when its turn comes
            }
        }
    }
}

// The first due message of the level, if its record is loaded; offset_end if not, or there is none.
offset_t next_retry_of(core& c, turn& t, queue& q, const queue_level& level) {
    while (!level.due.empty()) {
        const offset_t offset = level.due.front();
        const auto known = q.exceptions->known.find(offset);
        if (known == q.exceptions->known.end() || !known->second.record.owner) {
            return offset_end;
        }
        if (!expire_retry(c, t, q, offset)) {
            return offset;
        }
    }
    return offset_end;
}

// ---- giving ----

void keep_lane(core& c, turn& t, queue& q, queue_level& level) {
    lane_window& window = level.window;
    window.drop_below(level.returned.empty() ? level.next
                                             : std::min(level.next, level.returned.front()));
    if (!window.empty() && window.until() < in_memory_from(q.owner) &&
        window.bytes() < c.options.read_ahead_bytes / 2) {
        request_lane(c, t, q, level, window.until());
    }
}

given give_head(core& c, turn& t, queue& q, queue_level& level, const level_head& head,
                consumer& one, std::uint64_t count_max) {
    if (!head.at.data) {
        return given::nothing;
    }
    const auto live = live_from(c, t, q, *head.at.data, head.run, count_max);
    if (!live) {
        return given::nothing;
    }
    if (*live == 0) {
        return given::some;  // to nobody; whoever is next is asked
    }
    const offset_t first = head.run.first;
    if (!fits(one, head.at.data->record_size(first))) {
        return given::too_large;
    }
    const std::uint64_t before = q.next_lease;
    lease_slice(c, t, q, one, head.at.data->slice(first, *live, one.room_bytes()), head.at);
    const offset_range leased{first, q.next_lease - before};
    if (head.returned) {
        q.returned.erase(leased);
        level.returned.erase(leased);
    } else {
        level.next = leased.end();
    }
    if (leased.end() > q.next) {
        const offset_t from = std::max(first, q.next);
        q.ahead.insert({from, leased.end() - from});
        q.skip_to_fresh();
    }
    keep_lane(c, t, q, level);
    return given::some;
}

// What goes next: the head of a level, in turns with a retry.
struct level_choice {
    queue_level* level = nullptr;  // of the head
    std::optional<level_head> head;
    offset_t retry = offset_end;

    [[nodiscard]] bool is_nothing() const { return !head && retry == offset_end; }
    // 0: it must be read first, and may be the oldest.
    [[nodiscard]] offset_t head_offset() const {
        return !head ? offset_end : head->at.data ? head->run.first : 0;
    }
};

// All levels that must be read are read at once, or a queue that lags would wait for one after the
// other.
void ask_for_lanes(core& c, turn& t, queue& q) {
    bool reading = false;
    for (queue_level& level : q.levels->all) {
        const bool asked = level.window.fetching;
        const auto head = reading || asked ? head_of(c, t, q, level) : std::nullopt;
        reading = reading || level.window.fetching || (head && !head->at.data);
    }
}

// The highest level that has something. While there are too many gaps between done messages, so
// that they close: the oldest head of all levels and the oldest retry. A level that is still being
// read is waited for.
level_choice choose_level(core& c, turn& t, queue& q) {
    ask_for_lanes(c, t, q);
    const bool oldest_first = q.gaps_need_closing();
    const bool lowest_first = base::seeded_fault(base::fault::ignore_priority);
    level_choice best;
    for (queue_level& level : q.levels->all) {
        level_choice each{.level = &level,
                          .head = head_of(c, t, q, level),
                          .retry = next_retry_of(c, t, q, level)};
        if (each.is_nothing()) {
            continue;
        }
        if (lowest_first) {
            best = std::move(each);
        } else if (!oldest_first) {
            return each;
        } else {
            best.retry = std::min(best.retry, each.retry);
            if (each.head_offset() < best.head_offset()) {
                best.level = each.level;
                best.head = std::move(each.head);
            }
        }
    }
    return best;
}

}  // namespace

void sort_levels(core& c, turn& t, queue& q) {
    place_due(c, t, q);
    place_returned(c, t, q);
}

bool levels_wait(core& c, turn& t, queue& q) {
    return std::ranges::any_of(
        q.levels->all, [&](queue_level& level) { return head_of(c, t, q, level).has_value(); });
}

given give_highest(core& c, turn& t, queue& q, consumer& one, std::uint64_t share) {
    const level_choice chosen = choose_level(c, t, q);
    if (chosen.is_nothing()) {
        return given::nothing;
    }
    const bool others_wait = chosen.head.has_value();
    return give_in_turn(c, t, q, one, share, chosen.retry, others_wait, [&](std::uint64_t count) {
        return others_wait ? give_head(c, t, q, *chosen.level, *chosen.head, one, count)
                           : given::nothing;
    });
}

}  // namespace brokerd::domain
