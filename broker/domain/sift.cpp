// Ending for a queue what is not for it: what its filter does not take, what lies behind its end.
// As a rule that happens when a message is appended, by the same commit. Where it can not, dispatch
// looks before it gives anything out, and a walk in slices looks at the rest: the queue begins or
// was moved in what the log holds, its filter has changed, or a message was one gap too many.
//
// The store has a mark for a queue from where on something is left to look at, so that a restart
// reads the log only where it has to.
#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "broker/domain/operations.hpp"
#include "broker/domain/sieve.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t sift_read_bytes = 256 * limits::kib;
// Messages looked at in one dispatch: by the walks of all queues, and for each by its own.
constexpr std::uint64_t walk_work_max = 10000;
constexpr std::uint64_t dispatch_work_max = 10000;
constexpr duration_us sift_pause = std::chrono::milliseconds(1);
constexpr std::uint64_t sift_reader = std::uint64_t{1} << 61U;  // its own kept iterator

void end_unmatched(core& c, turn& t, queue& q, offset_range range) {
    q.end_ready(range);
    q.book.to_done(range);
    c.counters.sifted_messages += range.count;
    c.note_change(t, q, false);
    c.note_trim(q.owner);
    c.wake(q);
}

// Tells the store if it has to look further back, or not at all any more.
void note_unsifted(core& c, turn& t, queue& q) {
    sieve& s = *q.sifting;
    const offset_t from = s.unsifted.empty() ? offset_end : s.unsifted.front();
    if (from < s.durable || (from == offset_end && s.durable != offset_end)) {
        s.durable = from;
        emit_changed(c, t, q);
    }
}

// Ends the ready messages of a chunk that are not for the queue: all of them, or those not looked
// at yet. False: one was one gap too many.
bool sift_chunk(core& c, turn& t, queue& q, const chunk& data, bool is_new) {
    const sieve& s = *q.sifting;
    const auto takes = [&](offset_t offset) {
        return (!is_new && !s.unsifted.contains(offset)) || s.takes(data, offset);
    };
    auto run = q.next_ready_run(data.base_offset());
    while (run && run->first < data.end_offset()) {
        const offset_t stop = std::min(run->end(), data.end_offset());
        for (offset_t at = run->first; at < stop;) {
            if (takes(at)) {
                ++at;
                continue;
            }
            const offset_t first = at;
            while (at < stop && !takes(at)) {
                ++at;
            }
            const offset_range range{first, at - first};
            if (q.is_one_run_too_many(range)) {
                return false;
            }
            end_unmatched(c, t, q, range);
        }
        run = q.next_ready_run(stop);
    }
    return true;
}

// Everything from the end of the queue on is done for it, wherever it can be; nothing is read.
void end_behind(core& c, turn& t, queue& q) {
    sieve& s = *q.sifting;
    offset_t at = std::max(s.until, q.book.floor());
    while (const auto run = q.next_ready_run(at)) {
        if (q.is_one_run_too_many(*run)) {
            s.unsifted.insert(*run);
            s.left_some = true;
        } else {
            end_unmatched(c, t, q, *run);
        }
        at = run->end();
    }
}

// The store has answered a walk. What a queue cannot look at does not keep it from giving out what
// it can read.
void take_read(core& c, const turn& t, queue& q, offset_t from, fetch_result& result) {
    sieve& s = *q.sifting;
    s.read_error.clear();
    auto* log = std::get_if<log_fetched>(&result);
    if (log != nullptr && !log->chunks.empty() && log->chunks.front()->contains(from)) {
        s.window.add(log->chunks, q.owner.skipped);
    } else if (from >= q.owner.trim) {  // else what was wanted has ended meanwhile
        const auto* failed = std::get_if<failure>(&result);
        s.read_error = failed != nullptr
                           ? failed->text
                           : fmt::format("{} is not in the log",
                                         to_string(message_address{q.owner.name, from}));
        s.again = t.now.mono + read_retry;
        c.arm(q, s.again);
        return;
    }
    c.wake(q);
}

// Once most gaps have closed, so that each that closes does not begin the walk again.
bool has_room_for_gaps(const queue& q) {
    return q.book.closed().runs() <= q.settings->max_runs / 4 * 3;
}

// A walk over what is to be looked at; one slice of it.
class walk {
public:
    walk(core& c, turn& t, queue& q) : c_(c), t_(t), q_(q), s_(*q.sifting) {}

    void run() {
        if (std::exchange(c_.sifted_in, c_.dispatch_number) != c_.dispatch_number) {
            c_.sifted = 0;
        }
        while (c_.sifted < walk_work_max) {
            const offset_t at = next();
            if (at == offset_end) {  // what else there is, is leased or closed
                s_.unsifted.clear();
                end_pass(false);
                return;
            }
            const chunk_ptr data = chunk_at(at);
            if (!data) {
                return;
            }
            c_.sifted += data->count();
            if (!sift_chunk(c_, t_, q_, *data, false)) {
                end_pass(true);
                return;
            }
            s_.unsifted.erase({data->base_offset(), data->count()});
            s_.at = data->end_offset();
            s_.window.drop_below(s_.at);
        }
        s_.again = t_.now.mono + sift_pause;
        c_.arm(q_, s_.again);
    }

private:
    // The next one that is ready and was not looked at. What is leased was given out before.
    [[nodiscard]] offset_t next() {
        offset_t at = std::max(s_.at, q_.book.floor());
        while (true) {
            const offset_t unsifted = s_.unsifted.next_member(at);
            at = unsifted == offset_end ? offset_end : q_.next_ready(unsifted);
            if (at == offset_end || s_.unsifted.contains(at)) {
                return at;
            }
        }
    }

    void end_pass(bool leaves_some) {
        s_.left_some = leaves_some;
        s_.at = offset_end;
        s_.window.clear();
        note_unsifted(c_, t_, q_);
    }

    // nullptr: it is being read.
    [[nodiscard]] chunk_ptr chunk_at(offset_t offset) {
        if (const chunk_tail::entry* entry = q_.owner.tail.find(offset)) {
            return entry->data;
        }
        if (const chunk_ptr* data = s_.window.find(offset)) {
            return *data;
        }
        s_.reading = true;
        const std::size_t ahead = c_.may_read_ahead() ? sift_read_bytes : 0;
        c_.read(t_, fetch_log{q_.owner.id, offset, ahead, q_.id.value() | sift_reader},
                [&c = c_, id = q_.id, offset](turn& later, fetch_result& result) {
                    queue* of = c.queue_by_id(id);
                    if (of == nullptr || !of->sifting) {
                        return;
                    }
                    of->sifting->reading = false;
                    take_read(c, later, *of, offset, result);
                });
        return nullptr;
    }

    core& c_;
    turn& t_;
    queue& q_;
    sieve& s_;
};

}  // namespace

outcome<filters::filter> filter_of_queue(std::string_view text) {
    auto made = filters::filter::parse(text);
    if (!made) {
        return refuse(error_code::invalid_setting, "filter, " + made.error().text);
    }
    const filters::field_set changing = made->uses() & filters::changing_fields;
    if (!changing.empty()) {
        return refuse(error_code::invalid_setting,
                      fmt::format("filter uses {}, which changes while a message stays the same; a "
                                  "queue's filter may use offset, time, size, key and header.NAME",
                                  filters::to_string(changing)));
    }
    return made;
}

void set_sieve(core& c, queue& q) {
    const offset_t until = q.settings->until == 0 ? offset_end : q.settings->until;
    std::optional<filters::filter> which;
    if (!q.settings->filter.empty()) {
        auto made = filter_of_queue(q.settings->filter);
        BROKERD_ASSERT(made, "queue {} has a filter that cannot be read: {}", q.path(),
                       made.error().text);
        which = *std::move(made);
    }
    if (!which && until == offset_end) {
        q.sifting.reset();
    } else if (!q.sifting) {
        q.sifting = std::make_unique<sieve>(std::move(which), until, c.window_bytes);
    } else {
        q.sifting->filter = std::move(which);
        q.sifting->until = until;
    }
}

void sift_appended(core& c, turn& t, topic& of, const chunk& data) {
    for (const auto& [name, q] : of.queues) {
        if (!q->sifting) {
            continue;
        }
        sieve& s = *q->sifting;
        // Behind one that is left all is: else there would be as many places to look at as gaps.
        s.left_some = s.left_some || !sift_chunk(c, t, *q, data, true);
        if (s.left_some) {
            s.unsifted.insert({data.base_offset(), data.count()});
            note_unsifted(c, t, *q);
        }
    }
}

void sift_again(core& c, turn& t, queue& q, offset_t from) {
    if (!q.sifting) {
        return;
    }
    sieve& s = *q.sifting;
    s.unsifted.erase_below(q.book.floor());
    end_behind(c, t, q);
    // What a move makes ready behind the end of the queue has not been ended yet.
    from = std::max(s.filter ? from : std::max(from, s.until), q.book.floor());
    if (from < q.owner.end) {
        s.unsifted.insert({from, q.owner.end - from});
        // What is leased was given out before, and stays.
        q.leases->for_each([&](const lease_span& span) { s.unsifted.erase(span.offsets()); });
        s.at = std::min(s.at, from);
        c.wake(q);
    }
    note_unsifted(c, t, q);
}

void sift_backlog(core& c, turn& t, queue& q) {
    if (!q.sifting || q.sifting->reading || q.moving) {
        return;
    }
    sieve& s = *q.sifting;
    s.unsifted.erase_below(q.book.floor());
    if (s.unsifted.empty()) {
        s.left_some = false;
        s.at = offset_end;
        s.window.clear();
        note_unsifted(c, t, q);
        return;
    }
    if (s.at == offset_end) {
        if (!s.left_some || !has_room_for_gaps(q)) {
            return;
        }
        s.left_some = false;
        s.at = 0;
    }
    if (t.now.mono < s.again) {
        c.arm(q, s.again);
        return;
    }
    walk(c, t, q).run();
}

std::optional<std::uint64_t> sifted_from(core& c, turn& t, queue& q, const chunk& data,
                                         offset_range range, std::uint64_t count_max) {
    const offset_t stop = std::min(range.end(), data.end_offset());
    if (!q.sifting || !q.sifting->unsifted.contains_any({range.first, stop - range.first})) {
        return range.count;
    }
    sieve& s = *q.sifting;
    if (std::exchange(s.looked_in, c.dispatch_number) != c.dispatch_number) {
        s.looked = 0;
    }
    if (s.looked >= dispatch_work_max) {
        c.arm(q, t.now.mono + sift_pause);
        return std::nullopt;
    }
    const auto takes = [&](offset_t offset) {
        return !s.unsifted.contains(offset) || s.takes(data, offset);
    };
    offset_t at = range.first;
    const bool taken = takes(at);
    while (at < stop && (!taken || at - range.first < count_max) && takes(at) == taken) {
        ++at;
    }
    const offset_range looked_at{range.first, at - range.first};
    s.looked += looked_at.count;
    if (!q.moving) {  // a move may make some of them ready once more
        s.unsifted.erase(looked_at);
    }
    if (taken) {
        return looked_at.count;
    }
    end_unmatched(c, t, q, looked_at);
    return 0;
}

bool is_unmatched(const queue& q, const chunk& data, offset_t offset) {
    return q.sifting && q.sifting->unsifted.contains(offset) && !q.sifting->takes(data, offset);
}

void copy_sieve(core& c, const queue& from, queue& to) {
    set_sieve(c, to);
    if (!to.sifting || !from.sifting) {
        return;
    }
    sieve& s = *to.sifting;
    s.unsifted = from.sifting->unsifted;
    s.unsifted.erase_below(to.book.floor());
    if (!s.unsifted.empty()) {
        s.durable = s.unsifted.front();
    }
}

void restore_sieve(core& c, turn& t, queue& q) {
    const offset_t mark = q.sifting ? q.sifting->durable : offset_end;
    set_sieve(c, q);
    if (!q.sifting) {
        return;
    }
    q.sifting->durable = mark;
    q.sifting->at = offset_end;
    const offset_t from = std::max(mark, q.book.floor());
    if (from < q.owner.end) {
        q.sifting->unsifted.insert({from, q.owner.end - from});
        q.sifting->at = 0;
        // Consumers may come back for what they hold.
        q.sifting->again = t.now.mono + c.options.expiry_grace;
        c.arm(q, q.sifting->again);
    }
}

}  // namespace brokerd::domain
