// The trim point of a topic: its first readable offset. It follows the lowest floor of the topic's
// queues (and keep_done and keep_done_bytes behind that); before it passes a retrying or dead
// message, the record is copied out of the log in the same commit. A topic without queues keeps
// everything but what it has to drop (retention_drop.cpp); that goes at once, and whatever is to be
// kept. What is only kept gives way also to the topic's bounds.
//
// keep_done counts from when every queue was done with a message. That moment is sampled, at most
// 64 times per keep_done, and the samples are durable (done_marks), so that restarts do not start
// it anew; a message is kept up to a 64th longer. Times are wall times: a clock set forward before
// a start ends the keeping sooner, one set back makes nothing wait longer than keep_done from then
// on.
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t trim_bytes_min = 64 * limits::kib;  // moves at once for this much
constexpr auto trim_period = std::chrono::seconds(1);     // and for less after this time
constexpr std::size_t trim_exceptions_max = 2048;         // passed in one move
constexpr int keep_done_samples = 64;                     // per keep_done

duration_us sample_period(const topic& of) {
    return of.settings.keep_done / keep_done_samples;
}

// Where the trim point could be if nothing were kept.
offset_t all_done_below(const topic& of) {
    if (of.queues.empty()) {
        return of.first_kept();
    }
    offset_t lowest = of.end;
    for (const auto& [name, q] : of.queues) {
        lowest = std::min(lowest, q->book.floor());
    }
    return std::max(lowest, of.trim);
}

// The samples survive a restart: the time that messages have been kept goes on.
void note_done(core& c, turn& t, const topic& of) {
    done_marks durable{.topic = of.id, .marks = {}};
    for (const topic::sample& each : of.samples) {
        durable.marks.push_back({t.wall - (t.now.mono - each.time), each.candidate});
    }
    c.emit(t, std::move(durable), false);
}

// What is beyond keep_done_bytes, which may be as large as a number can be.
offset_t kept_enough(const topic& of, offset_t candidate) {
    const std::uint64_t keep = of.settings.keep_done_bytes;
    const std::uint64_t behind = of.marks.bytes_from(candidate);
    if (keep == 0 || keep > std::numeric_limits<std::uint64_t>::max() - behind) {
        return of.trim;
    }
    return std::min(candidate, of.marks.last_bytes(keep + behind));
}

// Remembers where the queues are and returns where they were keep_done ago, or what is more than
// enough.
offset_t kept_long_enough(core& c, turn& t, topic& of, offset_t candidate) {
    const mono_time now = t.now.mono;
    const duration_us keep = of.settings.keep_done;
    if (keep <= duration_us{0}) {
        of.samples.clear();
        return of.settings.keep_done_bytes == 0 ? candidate
                                                : std::max(of.reached, kept_enough(of, candidate));
    }
    if (of.samples.empty() || (of.samples.back().candidate < candidate &&
                               now - of.samples.back().time >= sample_period(of))) {
        of.samples.push_back({now, candidate});
        note_done(c, t, of);
    }
    offset_t target = of.trim;
    std::size_t used = 0;
    while (used < of.samples.size() && of.samples[used].time <= now - keep) {
        target = of.samples[used].candidate;
        ++used;
    }
    if (used > 0) {
        of.samples.erase(of.samples.begin(),
                         of.samples.begin() + static_cast<std::ptrdiff_t>(used));
    }
    return std::max({of.reached, target, kept_enough(of, candidate)});
}

std::uint64_t bytes_below(const topic& of, offset_t offset) {
    return of.marks.bytes_from(of.trim) - of.marks.bytes_from(offset);
}

// ---- exceptions the trim point is to pass ----

// One queue's exceptions within [of.trim, target), ascending, at most limit + 1.
std::vector<offset_t> exceptions_below(const queue& q, offset_t target, std::size_t limit) {
    std::vector<offset_t> found;
    for (const interval_set* set : {&q.book.retrying(), &q.book.dead()}) {
        std::size_t taken = 0;
        for (offset_t at = set->next_member(q.owner.trim); at < target && taken <= limit;
             at = set->next_member(at + 1), ++taken) {
            found.push_back(at);
        }
    }
    std::sort(found.begin(), found.end());
    if (found.size() > limit + 1) {
        found.resize(limit + 1);
    }
    return found;
}

// What one move of the trim point needs to know.
struct trim_move {
    topic_id of;
    offset_t target = 0;
    std::size_t missing = 0;  // fetches outstanding
    bool failed = false;
    std::map<queue_id, exception_map> exceptions;  // of the queues that have some there
};

// Lowers the target so that at most trim_exceptions_max exceptions, all of them in the store, lie
// below it.
offset_t bounded_target(const core& c, const topic& of, offset_t target) {
    std::vector<offset_t> all;
    for (const auto& [name, q] : of.queues) {
        for (const offset_t offset : exceptions_below(*q, target, trim_exceptions_max)) {
            const auto known = q->exceptions->known.find(offset);
            if (known != q->exceptions->known.end() && known->second.commit > c.applied()) {
                target = std::min(target, offset);
                break;
            }
            all.push_back(offset);
        }
    }
    if (all.size() > trim_exceptions_max) {
        std::nth_element(all.begin(), all.begin() + trim_exceptions_max, all.end());
        // More than the limit at one offset only with more queues than that: then all of them.
        target = std::min(target, std::max(all[trim_exceptions_max], of.trim + 1));
    }
    return target;
}

void finish_move(core& c, turn& t, topic& of, const trim_move& move) {
    offset_t target = std::min(move.target, all_done_below(of));
    for (const auto& [name, q] : of.queues) {
        const auto loaded = move.exceptions.find(q->id);
        for (const offset_t offset : exceptions_below(*q, target, of.end - of.trim)) {
            const bool is_loaded =
                loaded != move.exceptions.end() && loaded->second.contains(offset);
            const auto in_memory = q->exceptions->known.find(offset);
            if (!is_loaded || (!loaded->second.at(offset).record.owner &&
                               in_memory != q->exceptions->known.end() &&
                               in_memory->second.commit > c.applied())) {
                target = std::min(target, offset);  // came up since the fetch
                break;
            }
        }
    }
    if (target <= of.trim) {
        c.note_trim_later(of, t.now.mono + trim_period);  // nothing else may ever move
        return;
    }
    for (const auto& [id, loaded] : move.exceptions) {
        const queue* q = c.queue_by_id(id);
        for (const auto& [offset, known] : loaded) {
            if (q != nullptr && offset < target && q->book.is_exception(offset) &&
                known.record.owner) {
                c.emit(t,
                       kept_put{.topic = of.id,
                                .queue = id,
                                .offset = offset,
                                .append_time = known.append_time,
                                .record = std::string(as_text(known.record.view))},
                       false);
                if (q->cloning) {
                    q->cloning->keep(offset, known.append_time, known.record.view);
                }
            }
        }
    }
    of.trim = target;
    of.marks.drop_below(target);
    of.dropped_counted.erase_below(target);
    of.last_trim = t.now.mono;
    c.cache.drop_below(of.tail, target);
    c.emit(t, trimmed{.topic = of.id, .first = target}, false);
    forget_skipped(c, t, of);
    c.note_trim(of);
}

void finish_if_complete(core& c, turn& t, const trim_move& move) {
    topic* of = c.topic_by_id(move.of);
    if (of == nullptr || move.missing > 0) {
        return;
    }
    of->trim_fetching = false;
    if (move.failed) {
        of->last_trim = t.now.mono;  // again in a while
        c.note_trim_later(*of, t.now.mono + trim_period);
    } else {
        finish_move(c, t, *of, move);
    }
}

void start_move(core& c, turn& t, topic& of, offset_t target) {
    auto move = std::make_shared<trim_move>();
    move->of = of.id;
    move->target = bounded_target(c, of, target);
    if (move->target <= of.trim) {
        return;
    }
    of.trim_fetching = true;
    move->missing = 1;  // until all are asked for
    for (const auto& [name, q] : of.queues) {
        auto offsets = exceptions_below(*q, move->target, of.end - of.trim);
        if (offsets.empty()) {
            continue;
        }
        ++move->missing;
        with_records(
            c, t, *q, std::move(offsets),
            [move](core& then, turn& later, queue& from, outcome<loaded_records> loaded) {
                if (loaded) {
                    move->exceptions[from.id] = std::move(loaded->exceptions);
                    move->target = std::min(move->target, loaded->below);
                } else {
                    move->failed = true;
                }
                --move->missing;
                finish_if_complete(then, later, *move);
            },
            [move, &c](turn& later) {
                --move->missing;
                finish_if_complete(c, later, *move);
            });
    }
    --move->missing;
    finish_if_complete(c, t, *move);
}

// Returns when the topic wants to be looked at again; mono_never = when a queue has moved.
mono_time trim_topic(core& c, turn& t, topic& of) {
    const offset_t candidate = all_done_below(of);
    if (candidate <= of.trim || of.trim_fetching) {
        return mono_never;  // the end of the fetch notes the topic again
    }
    of.reached = std::max(of.reached, of.trim);
    const offset_t unkept = std::max(of.dropped_below, fits_from(of));
    of.reached = std::min(std::max(kept_long_enough(c, t, of, candidate), unkept), candidate);
    mono_time again = mono_never;
    if (!of.samples.empty()) {
        again = of.samples.front().time + of.settings.keep_done;
        if (of.samples.back().candidate < candidate) {  // sampled too short a while ago
            again = std::min(again, of.samples.back().time + sample_period(of));
        }
    }
    if (of.reached <= of.trim) {
        return again;
    }
    const bool much = of.dropped_below > of.trim || bytes_below(of, of.reached) >= trim_bytes_min;
    if (!much && t.now.mono - of.last_trim < trim_period) {
        return std::min(again, of.last_trim + trim_period);
    }
    start_move(c, t, of, of.reached);
    const bool more = of.trim < of.reached && !of.trim_fetching;
    return more ? std::min(again, t.now.mono + trim_period) : again;
}

}  // namespace

void note_due_trims(core& c, const turn& t) {
    while (c.trim_deadline() <= t.now.mono) {
        topic* of = c.topic_by_id(c.topics_to_trim_later.begin()->second);
        c.topics_to_trim_later.erase(c.topics_to_trim_later.begin());
        of->trim_at = mono_never;
        c.note_trim(*of);
    }
}

void drop_all_excess(core& c, turn& t) {
    // Nothing here notes another topic.
    for (std::size_t i = 0; i < c.topics_to_trim.size(); ++i) {
        topic& of = *c.topics_to_trim[i];
        c.note_trim_later(of, drop_excess(c, t, of));
    }
}

void trim_topics(core& c, turn& t) {
    for (topic* of : std::exchange(c.topics_to_trim, {})) {
        of->trim_noted = false;
        c.note_trim_later(*of, trim_topic(c, t, *of));
        seal_drops(c, t, *of);
        look_for_room(c, t, *of);
    }
}

}  // namespace brokerd::domain
