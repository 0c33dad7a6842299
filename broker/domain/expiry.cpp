// When messages expire, and looking at those that have. Dispatch ends every expired message it
// meets; here is what nobody would meet in time: without consumers, behind others.
//
// What has a time to live of its own is found by an index in the store: one entry for each chunk
// that holds any, at the time of the next look at it. What has not, by its place: messages of a
// topic expire in order, so there is one offset below which all have been looked at. Both are
// looked at when they are due, a few times a second at most, in slices, and only where some queue
// has something open. What was looked at while it was leased is held and looked at again. When a
// queue begins or goes back behind the present, the index may have passed what is ready there now:
// then all that is open is looked at once more. So it is from where a look left something to a
// filter that has changed since, or to a bound of gaps that was raised.
//
// An expired message that failed before is ended when its retry is about to be given out: the
// record says when it expires, and nobody else has it at hand.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/expire.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr duration_us look_period = std::chrono::milliseconds(200);   // of one topic, if not busy
constexpr duration_us at_least_every = std::chrono::seconds(1);       // the wall clock may be set
constexpr duration_us entry_period = std::chrono::milliseconds(500);  // between looks at a chunk
constexpr duration_us durable_again = std::chrono::seconds(5);  // what is held outlives a restart
constexpr duration_us postponed_again = std::chrono::minutes(1);
constexpr duration_us store_lag = std::chrono::milliseconds(10);
constexpr duration_us next_slice = std::chrono::milliseconds(1);
constexpr std::uint32_t fetch_limit = 1024;  // entries of the index
constexpr std::size_t read_bytes = 256 * limits::kib;
constexpr std::uint64_t work_per_look = 20000;                    // messages, in each queue
constexpr int looks_per_tick = 8;                                 // of different topics
constexpr std::uint64_t expiry_reader = std::uint64_t{3} << 62U;  // its own kept iterator

expiry_watch& watch_of(topic& of) {
    if (!of.expiry) {
        of.expiry = std::make_unique<expiry_watch>();
        of.expiry->passed = of.trim;
    }
    return *of.expiry;
}

void arm(core& c, topic& of, mono_time when) {
    expiry_watch& w = *of.expiry;
    if (when < w.timer) {
        c.expiry_timers.erase({w.timer, of.id});
        w.timer = when;
        c.expiry_timers.emplace(when, of.id);
    }
}

// The first message from `from` on that is open in some queue; offset_end: there is none.
offset_t next_open(const topic& of, offset_t from) {
    offset_t found = offset_end;
    for (const auto& [name, q] : of.queues) {
        found = std::min(found, q->next_open(std::max(from, of.trim)));
    }
    return found;
}

offset_t next_ready(const topic& of, offset_t from) {
    offset_t found = offset_end;
    for (const auto& [name, q] : of.queues) {
        found = std::min(found, q->next_ready(std::max(from, of.trim)));
    }
    return found;
}

// One look at a topic: does what is to be done, as far as memory has the records, and as much as
// one look may.
class look {
public:
    look(core& c, turn& t, topic& of) : c_(c), t_(t), of_(of), w_(*of.expiry) {}

    void run() {
        w_.last_look = t_.now.mono;
        // Each says false if the look has to end: something must be read, or it was enough.
        const bool all = look_at_due() && look_at_passed() && look_at_again() && look_at_held();
        if (all) {
            w_.window.clear();
        }
        look_at_postponed();
        arm_next(all);
    }

private:
    // ---- chunks ----

    // The chunk that holds the message; nullptr: it is being read, or that was enough.
    [[nodiscard]] chunk_ptr chunk_at(offset_t offset) {
        if (work_ >= work_per_look) {
            busy_ = true;
            return nullptr;
        }
        if (const chunk_tail::entry* entry = of_.tail.find(offset)) {
            return entry->data;
        }
        for (const chunk_ptr& each : w_.window) {
            if (each->contains(offset)) {
                return each;
            }
        }
        read(offset);
        return nullptr;
    }

    void read(offset_t from) {
        w_.reading = true;
        c_.read(t_, fetch_log{of_.id, from, read_bytes, of_.id.value() | expiry_reader},
                [&c = c_, id = of_.id, from](turn& later, fetch_result& result) {
                    topic* then = c.topic_by_id(id);
                    if (then == nullptr) {
                        return;
                    }
                    expiry_watch& w = *then->expiry;
                    w.reading = false;
                    auto* log = std::get_if<log_fetched>(&result);
                    const bool found = log != nullptr && !log->chunks.empty() &&
                                       log->chunks.front()->contains(from);
                    if (found) {
                        w.window = std::move(log->chunks);
                        w.read_error.clear();
                    } else if (from >= then->trim) {  // else it has gone meanwhile
                        const auto* failed = std::get_if<failure>(&result);
                        w.read_again = later.now.mono + read_retry;
                        w.read_error =
                            failed != nullptr
                                ? failed->text
                                : fmt::format("{} is not in the log",
                                              to_string(message_address{then->name, from}));
                    }
                    arm(c, *then, later.now.mono);
                });
    }

    // Ends what has expired in a chunk, in every queue. False: not all of it yet.
    [[nodiscard]] bool sweep(const chunk& data) {
        left_some_ = false;
        held_some_ = false;
        work_ += data.count() * (of_.queues.size() + 1);
        for (const auto& [name, q] : of_.queues) {
            const swept result = sweep_chunk(c_, t_, *q, data);
            result.held.for_each([&](offset_range range) {
                w_.held.insert(range);
                held_some_ = true;
            });
            if (result.postponed != offset_end) {
                left_some_ = true;
                w_.postponed = std::min(w_.postponed, result.postponed);
            }
            if (!result.complete) {
                busy_ = true;
                return false;
            }
        }
        return true;
    }

    // When to look at the chunk again, that was swept: when the next of its messages with a time to
    // live of their own expires; also for what was left, which a restart makes forget.
    [[nodiscard]] wall_time next_look(const chunk& data) const {
        wall_time next = wall_never;
        if (data.first_expiry() == wall_never) {
            return next;
        }
        if (held_some_ || left_some_) {
            next = t_.wall + (held_some_ ? durable_again : postponed_again);
        }
        for (offset_t at = data.base_offset(); at < data.end_offset(); ++at) {
            const wall_time expiry = data.expiry_of(at, duration_us{0});
            if (expiry > t_.wall) {
                next = std::min(next, expiry);
            }
        }
        return next == wall_never ? next : std::max(next, t_.wall + entry_period);
    }

    void move_entry(offset_t last, std::uint32_t count, wall_time from, wall_time to) {
        c_.emit(t_,
                expiry_moved{.topic = of_.id, .last = last, .count = count, .from = from, .to = to},
                w_.due.size() == fetch_limit);  // the next page waits for it
        if (from != wall_never) {
            w_.drop_entry({from, last}, c_.gathering, c_.applied());
        }
        if (to != wall_never) {
            w_.add_entry({to, last}, c_.gathering, c_.applied());
        }
    }

    // ---- the index ----

    [[nodiscard]] bool look_at_due() {
        while (w_.looked_at < w_.due.size()) {
            if (!look_at_entry(w_.due[w_.looked_at])) {
                return false;
            }
            ++w_.looked_at;
        }
        w_.due.clear();
        w_.looked_at = 0;
        if (w_.next > t_.wall || w_.index_again > t_.now.mono) {
            return true;
        }
        fetch_due();
        return false;
    }

    [[nodiscard]] bool look_at_entry(const expiring_chunk& entry) {
        const offset_t first = entry.last + 1 - std::min<offset_t>(entry.count, entry.last + 1);
        const offset_t open = next_open(of_, first);
        if (open > entry.last) {  // whoever makes some of it ready again has it looked at
            move_entry(entry.last, entry.count, entry.at, wall_never);
            return true;
        }
        const chunk_ptr data = chunk_at(open);
        if (!data || !sweep(*data)) {
            return false;
        }
        move_entry(entry.last, entry.count, entry.at, next_look(*data));
        return true;
    }

    void fetch_due() {
        w_.forget_applied(c_.applied());
        w_.reading = true;
        c_.read(t_, fetch_expiring{of_.id, t_.wall + duration_us{1}, fetch_limit},
                [&c = c_, id = of_.id](turn& later, fetch_result& result) {
                    topic* then = c.topic_by_id(id);
                    if (then == nullptr) {
                        return;
                    }
                    expiry_watch& w = *then->expiry;
                    w.reading = false;
                    if (const auto* failed = std::get_if<failure>(&result)) {
                        w.read_again = later.now.mono + read_retry;
                        w.read_error = failed->text;
                    } else {
                        w.read_error.clear();
                        w.take(std::get<expiring_fetched>(result));
                        if (w.due.empty() && w.next <= later.wall) {
                            w.index_again = later.now.mono + store_lag;
                        }
                    }
                    arm(c, *then, later.now.mono);
                });
    }

    // ---- the topic's time to live ----

    [[nodiscard]] bool look_at_passed() {
        if (of_.settings.ttl == duration_us{0}) {
            w_.next_of_topic = wall_never;
        }
        if (w_.next_of_topic > t_.wall) {
            return true;
        }
        while (true) {
            const offset_t open = next_open(of_, w_.passed);
            if (open == offset_end) {
                w_.passed = of_.end;
                w_.next_of_topic = wall_never;
                return true;
            }
            w_.passed = open;
            const chunk_ptr data = chunk_at(open);
            if (!data) {
                return false;
            }
            w_.next_of_topic = data->append_time() + of_.settings.ttl;
            if (w_.next_of_topic > t_.wall) {
                return true;
            }
            if (!sweep(*data)) {
                return false;
            }
            w_.passed = data->end_offset();
        }
    }

    // ---- once more ----

    [[nodiscard]] bool look_at_again() {
        while (w_.again != offset_end) {
            const offset_t open = next_open(of_, w_.again);
            if (open >= w_.again_until) {
                w_.again = offset_end;
                c_.emit(t_, expiry_watched{.topic = of_.id}, false);
                return true;
            }
            w_.again = open;
            const chunk_ptr data = chunk_at(open);
            if (!data || !sweep(*data)) {
                return false;
            }
            if (const wall_time next = next_look(*data); next != wall_never) {
                move_entry(data->last_offset(), data->count(), wall_never, next);
            }
            w_.again = data->end_offset();
        }
        return true;
    }

    [[nodiscard]] bool look_at_held() {
        if (w_.held.empty()) {
            w_.held_at = mono_never;
            return true;
        }
        if (w_.held_at == mono_never) {
            w_.held_at = t_.now.mono + at_least_every;
        }
        if (w_.held_at > t_.now.mono) {
            return true;
        }
        for (offset_t at = w_.held.next_member(w_.held_from); at != offset_end;
             at = w_.held.next_member(at)) {
            w_.held_from = at;
            const offset_t run_end = w_.held.next_gap(at);
            const offset_t ready = next_ready(of_, at);
            if (ready >= run_end) {  // nothing of it has been given back
                forget_settled(at, run_end);
                at = run_end;
                continue;
            }
            forget_settled(at, ready);
            const chunk_ptr data = chunk_at(ready);
            if (!data) {
                return false;
            }
            const offset_t stop = std::min(run_end, data->end_offset());
            w_.held.erase({ready, stop - ready});
            if (!sweep(*data)) {
                w_.held.insert({ready, stop - ready});
                return false;
            }
            at = stop;
        }
        w_.held_from = 0;
        w_.held_at = w_.held.empty() ? mono_never : t_.now.mono + at_least_every;
        return true;
    }

    // Drops those within [first, end) that are not open in any queue.
    void forget_settled(offset_t first, offset_t end) {
        while (first < end) {
            const offset_t open = std::min(next_open(of_, first), end);
            if (open > first) {
                w_.held.erase({first, open - first});
            }
            first = open + 1;
        }
    }

    void look_at_postponed() {
        if (w_.postponed == offset_end) {
            return;
        }
        if (w_.postponed_at > t_.now.mono && w_.postponed_at != mono_never) {
            return;
        }
        const bool full = std::ranges::any_of(of_.queues, [](const auto& each) {
            return each.second->book.closed().runs() >= each.second->settings->max_runs;
        });
        if (w_.postponed_at == mono_never || full) {
            w_.postponed_at = t_.now.mono + postponed_again;
        } else {
            w_.postponed_at = mono_never;
            expire_again(c_, t_, of_, std::exchange(w_.postponed, offset_end));
        }
    }

    // ---- the next look ----

    void arm_next(bool all) {
        if (w_.reading) {
            return;  // its answer comes back here
        }
        if (!all) {
            arm(c_, of_,
                busy_ ? t_.now.mono + next_slice
                      : std::max(w_.read_again, t_.now.mono + next_slice));
            return;
        }
        const wall_time due = std::min(w_.next, w_.next_of_topic);
        if (due != wall_never) {
            arm(c_, of_, t_.now.mono + std::clamp(due - t_.wall, look_period, at_least_every));
        }
        if (w_.index_again > t_.now.mono) {
            arm(c_, of_, w_.index_again);
        }
        arm(c_, of_, w_.held_at);
        arm(c_, of_, w_.postponed_at);
    }

    core& c_;
    turn& t_;
    topic& of_;
    expiry_watch& w_;
    std::uint64_t work_ = 0;
    bool busy_ = false;       // it was enough for this look
    bool held_some_ = false;  // the last sweep met some that are leased
    bool left_some_ = false;  // it postponed some
};

}  // namespace

void look_at_expiry(core& c, turn& t) {
    for (int looks = 0; looks < looks_per_tick && !c.expiry_timers.empty() &&
                        c.expiry_timers.begin()->first <= t.now.mono;
         ++looks) {
        topic* of = c.topic_by_id(c.expiry_timers.begin()->second);
        c.expiry_timers.erase(c.expiry_timers.begin());
        expiry_watch& w = *of->expiry;
        w.timer = mono_never;
        if (w.reading) {
            continue;
        }
        if (w.read_again > t.now.mono) {
            arm(c, *of, w.read_again);
            continue;
        }
        look(c, t, *of).run();
    }
}

void note_expiring(core& c, turn& t, topic& of, const chunk& data) {
    if (data.first_expiry() != wall_never) {
        expiry_watch& w = watch_of(of);
        if (!w.indexed) {
            w.indexed = true;
            c.emit(t, expiry_watched{.topic = of.id}, false);
        }
        w.add_entry({data.first_expiry(), data.last_offset()}, c.gathering, c.applied());
    }
    if (!of.expiry) {
        return;
    }
    expiry_watch& w = *of.expiry;
    if (of.settings.ttl > duration_us{0}) {
        w.next_of_topic = std::min(w.next_of_topic, data.append_time() + of.settings.ttl);
    }
    const wall_time due = std::min(w.next, w.next_of_topic);
    if (due != wall_never) {
        const mono_time when =
            t.now.mono + std::clamp(due - t.wall, duration_us{1}, at_least_every);
        arm(c, of, std::max(when, w.last_look + look_period));
    }
}

void expiry_changed(core& c, turn& t, topic& of) {
    if (of.settings.ttl > duration_us{0}) {
        expiry_watch& w = watch_of(of);
        w.passed = of.trim;
        w.next_of_topic = {};
    }
    if (of.expiry) {
        arm(c, of, t.now.mono);
    }
}

void expire_again(core& c, turn& t, topic& of, offset_t from) {
    if (!of.expiry || from >= of.end) {
        return;
    }
    expiry_watch& w = *of.expiry;
    w.passed = std::min(w.passed, from);
    w.next_of_topic = {};
    if (w.indexed) {
        w.again = std::min(w.again, from);
        w.again_until = of.end;
        c.emit(t, expiry_watched{.topic = of.id, .again_from = w.again}, false);
    }
    arm(c, of, t.now.mono);
}

void restore_expiry(topic& of, const expiry_watched& what) {
    expiry_watch& w = watch_of(of);
    w.indexed = true;
    w.next = {};  // not known
    w.again = what.again_from;
    w.again_until = offset_end;
}

void resume_expiry(core& c, turn& t, topic& of) {
    if (of.settings.ttl > duration_us{0}) {
        (void)watch_of(of);
    }
    if (of.expiry) {
        of.expiry->passed = of.trim;
        arm(c, of, t.now.mono + c.options.expiry_grace);
    }
}

void forget_expiry(core& c, topic& of) {
    if (of.expiry) {
        c.expiry_timers.erase({of.expiry->timer, of.id});
    }
}

}  // namespace brokerd::domain
