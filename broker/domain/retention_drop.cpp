// Dropping what is beyond the bounds of a topic. It is done in every queue by the commit that
// brings what it makes room for: ready messages, and leased ones, whose leases end. What failed
// before stays with its queue, as its record is kept without the log. The trim point follows in the
// same commit if no record has to be read for that.
#include <algorithm>
#include <utility>
#include <vector>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

constexpr duration_us told_again = std::chrono::seconds(10);  // of one topic, in the log

// The trim point has to follow yet.
bool trim_lags(const topic& of) {
    return of.dropped_below > of.trim;
}

// Leases of messages below `target` that never failed end, as if they were given back; but their
// holders have them still, and get no room for others.
void end_leases(core& c, queue& q, offset_t target) {
    const offset_t floor = std::min(q.book.floor(), target);
    const std::uint64_t open = target - floor - q.book.closed().count_in(floor, target);
    std::uint64_t ready = 0;
    for (auto run = q.next_ready_run(floor); run && run->first < target;
         run = q.next_ready_run(std::min(run->end(), target))) {
        ready += std::min(run->end(), target) - run->first;
    }
    for (lease_span& span : q.leases.made().take_below(target, open - ready)) {
        end_in_flight(q, span.offsets());
        keep_room(q, std::move(span));
        c.wake(q);
    }
}

// What nobody has looked at yet need not be looked at any more.
void forget_keys(queue& q, offset_t target) {
    std::vector<offset_t> gone;
    for (auto at = q.order->learnt.begin(); at != q.order->learnt.end() && at->first < target;
         ++at) {
        if (!q.book.retrying().contains(at->first)) {
            gone.push_back(at->first);
        }
    }
    for (const offset_t offset : gone) {
        (void)q.order->forget_learnt(offset);
    }
}

// Everything below `target` is done, retrying or dead. What was ready or leased goes to `dropped`
// too; returns how many these were.
std::uint64_t drop_in_queue(core& c, turn& t, queue& q, offset_t target, interval_set& dropped) {
    offset_t at = q.next_open(0);
    if (at >= target) {
        return 0;
    }
    end_leases(c, q, target);
    if (q.order) {
        forget_keys(q, target);
    }
    std::uint64_t count = 0;
    for (; at < target; at = q.next_open(at)) {
        const offset_t stop = std::min(target, q.book.closed().next_member(at));
        const offset_range run{at, stop - at};
        q.end_ready(run);
        q.ahead.erase(run);
        q.book.to_done(run);
        dropped.insert(run);
        count += run.count;
        at = stop;
    }
    q.next = std::max(q.next, target);  // the others below have failed, and have their own way
    c.note_change(t, q, false);
    c.wake(q);
    return count;
}

// Of the topic as a whole: each message once, however many queues were not done with it, and when
// it is dropped in the first of them. Another one may drop it later, as one that is being moved.
void count_drops(core& c, const turn& t, topic& of, interval_set& dropped) {
    of.dropped_counted.for_each([&](offset_range run) { dropped.erase(run); });
    if (dropped.empty()) {
        return;
    }
    dropped.for_each([&](offset_range run) { of.dropped_counted.insert(run); });
    messages_dropped& drops = of.drops;
    drops.messages += dropped.count();
    dropped.for_each([&](offset_range run) {
        drops.bytes += of.marks.bytes_from(run.first) - of.marks.bytes_from(run.end());
    });
    drops.last = t.wall;
    of.dropped_at = t.now.mono;
    of.drops_untold += dropped.count();
    c.counters.dropped_messages += dropped.count();
}

void drop_below(core& c, turn& t, topic& of, offset_t target) {
    const bool is_counted = !base::seeded_fault(base::fault::drop_silently);
    interval_set dropped;
    if (const offset_t first = of.first_kept(); of.queues.empty() && first < target) {
        dropped.insert({first, target - first});
        of.skipped.for_each_in(first, target, [&](offset_range run) { dropped.erase(run); });
    }
    for (const auto& [name, q] : of.queues) {
        const std::uint64_t count = drop_in_queue(c, t, *q, target, dropped);
        if (count > 0 && is_counted) {
            q->dropped += count;
            of.drops_changed = true;
        }
    }
    if (!dropped.empty() && is_counted) {
        of.drops_changed = true;
        count_drops(c, t, of, dropped);
    }
    of.dropped_below = std::max(of.dropped_below, target);
    c.note_trim(of);
}

// The oldest for which there is no room if the topic drops them; else the trim point.
offset_t without_excess(const topic& of) {
    if (of.settings.when_full != full_policy::drop_oldest || !is_bounded(of.settings)) {
        return of.trim;
    }
    const offset_t target = fits_from(of);
    return target > of.trim && first_pending(of) < target ? target : of.trim;
}

// Those of a topic's log lines that its bounds cause: one now, and what follows with the next.
void tell_now(core& c, const turn& t, topic& of, const topic_settings& bounds) {
    of.drops_told = t.now.mono;
    c.drop_notices.push_back({.topic = of.name,
                              .messages = std::exchange(of.drops_untold, 0),
                              .in_all = of.drops.messages,
                              .bound = bounds_text(bounds)});
}

void tell_drops(core& c, const turn& t, topic& of) {
    if (of.drops_untold == 0) {
        return;
    }
    if (of.drops_told != mono_time{} && t.now.mono - of.drops_told < told_again) {
        c.note_trim_later(of, of.drops_told + told_again);
        return;
    }
    tell_now(c, t, of, of.settings);
}

}  // namespace

bool has_bounds(const topic& of) {
    return is_bounded(of.settings) || of.settings.max_age > duration_us{0} || trim_lags(of);
}

mono_time drop_excess(core& c, turn& t, topic& of) {
    if (!has_bounds(of) || base::seeded_fault(base::fault::exceed_limits)) {
        return mono_never;
    }
    const duration_us age = of.settings.max_age;
    const bool is_early = t.now.mono < c.ages_from;
    offset_t target = without_excess(of);
    if (age > duration_us{0} && !is_early) {
        target = std::max(target, of.marks.appended_by(t.wall - age));
    }
    // A queue that is being moved may have made some ready below what was dropped.
    target = std::max(target, of.dropped_below);
    if (target > of.trim) {
        drop_below(c, t, of, target);
    }
    tell_drops(c, t, of);
    const wall_time next = of.marks.first_time();
    if (age <= duration_us{0} || next == wall_never) {
        return mono_never;
    }
    if (is_early) {
        return c.ages_from;
    }
    // Not later than what is exact anyway, as the wall clock may be set meanwhile; and not at once,
    // as the trim point may have to wait for records to be read.
    const duration_us longest =
        std::max(log_marks::age_spacing_min, age / log_marks::spacing_share);
    return t.now.mono + std::clamp(next + age - t.wall, log_marks::age_spacing_min, longest);
}

void limits_changed(core& c, turn& t, topic& of, const topic_settings& before) {
    of.refused_at = mono_never;
    if (of.drops_untold > 0 && !has_bounds(of)) {
        tell_now(c, t, of, before);  // nobody looks at it again
    }
    c.note_trim(of);
    look_for_room(c, t, of);
}

void seal_drops(core& c, turn& t, topic& of) {
    // Else what is dropped would be readable again after a start, and be dropped and counted twice.
    if (trim_lags(of) && of.drops.below < of.dropped_below) {
        of.drops.below = of.dropped_below;
        of.drops_changed = true;
    }
    if (std::exchange(of.drops_changed, false)) {
        of.drops.topic = of.id;
        of.drops.queues.clear();
        for (const auto& [name, q] : of.queues) {
            if (q->dropped > 0) {
                of.drops.queues.push_back({.queue = q->id, .messages = q->dropped});
            }
        }
        c.emit(t, of.drops, false);
    }
}

void restore_drops(const turn& t, topic& of, const messages_dropped& stored) {
    of.drops = stored;
    // A clock that was set back must not keep health warning until it has caught up.
    of.dropped_at = t.now.mono - std::max(t.wall - stored.last, duration_us{0});
    of.dropped_below = stored.below;
}

void forget_drops(core& c, queue& q) {
    topic& of = q.owner;
    if (q.dropped > 0) {
        of.drops_changed = true;
        c.note_trim(of);
    }
}

}  // namespace brokerd::domain
