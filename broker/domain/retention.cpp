// The bounds of a topic: how much of what its queues are not done with it may hold, and for how
// long. What is pending is what lies at or above the lowest floor of its queues; what they are done
// with and the topic only keeps never counts, it gives way (trim.cpp).
//
// A topic that is full refuses, or drops the oldest. What is dropped is done in every queue by the
// commit that brings what it makes room for: ready messages, and leased ones, whose leases end.
// What failed before stays with its queue, as its record is kept without the log. The trim point
// follows in the same commit if no record has to be read for that.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/human.hpp"
#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

constexpr duration_us told_again = std::chrono::seconds(10);  // of one topic, in the log

bool is_bounded(const topic_settings& s) {
    return s.max_messages > 0 || s.max_bytes > 0;
}

std::uint64_t open_bytes(const topic& of) {
    return of.open ? of.open->bytes() - chunk_header_bytes : 0;
}

bool fits(const topic_settings& s, std::uint64_t messages, std::uint64_t bytes) {
    return (s.max_messages == 0 || messages <= s.max_messages) &&
           (s.max_bytes == 0 || bytes <= s.max_bytes);
}

// From `first` on, with what lies in the open chunk.
pending_amount amount_from(const topic& of, offset_t first) {
    return {.messages = of.next_offset() - first - of.skipped.count_in(first, of.end),
            .bytes = of.marks.bytes_from(first) + open_bytes(of)};
}

bool fits_besides(const topic& of, std::uint64_t messages, std::uint64_t bytes) {
    const topic_settings& s = of.settings;
    // Without a look at the queues, as long as all that is stored fits.
    const pending_amount stored = amount_from(of, of.trim);
    if (fits(s, stored.messages + messages, stored.bytes + bytes)) {
        return true;
    }
    const pending_amount pending = pending_in(of);
    return fits(s, pending.messages + messages, pending.bytes + bytes);
}

// The first offset from which on there are at most so many messages.
offset_t last_messages(const topic& of, std::uint64_t messages) {
    offset_t high = of.end - std::min(messages, of.end - of.trim);
    if (of.skipped.empty()) {
        return high;
    }
    offset_t low = of.trim;
    while (low < high) {
        const offset_t middle = low + (high - low) / 2;
        if (of.end - middle - of.skipped.count_in(middle, of.end) <= messages) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// ---- refusing ----

// Its floor, but while a seek holds that; the end if there is none.
offset_t first_open(const queue& q) {
    return std::min(q.next_open(0), q.owner.end);
}

// Asked with each publish to a topic that is nearly full, so not each queue is looked at.
const queue* slowest_queue(const topic& of) {
    if (of.slowest != nullptr && first_open(*of.slowest) == of.slowest_at) {
        return of.slowest;
    }
    const auto slowest = std::ranges::min_element(
        of.queues, {}, [](const auto& each) { return first_open(*each.second); });
    of.slowest = slowest == of.queues.end() ? nullptr : slowest->second.get();
    of.slowest_at = of.slowest == nullptr ? 0 : first_open(*of.slowest);
    return of.slowest;
}

std::string how_to_make_room(const topic& of) {
    const queue* slowest = slowest_queue(of);
    return slowest == nullptr
               ? fmt::format(
                     "no queue consumes it: create one, or let it drop the oldest: "
                     "brokerctl topic set {} --when-full drop-oldest",
                     of.name)
               : fmt::format(
                     "the first of these waits in queue {0}: let it be consumed, see "
                     "brokerctl queue explain {0}; or raise the bound: brokerctl topic set "
                     "{1}",
                     slowest->path(), of.name);
}

// What is due and waits for room; it goes first, or those who publish would take each bit of room
// that comes, and a large batch never find enough.
std::optional<schedule_book::batch_size> waits_first(const topic& of, wall_time now) {
    return of.scheduled && of.scheduled->waits_for_room ? of.scheduled->next_due(now)
                                                        : std::nullopt;
}

failure why_full(const topic& of, const std::optional<schedule_book::batch_size>& waiting) {
    const pending_amount pending = pending_in(of);
    const std::string before = !waiting
                                   ? std::string()
                                   : fmt::format(
                                         ", and what is scheduled and due goes first ({} of {} "
                                         "bytes)",
                                         human_count(waiting->messages, "message"), waiting->bytes);
    return {error_code::topic_full,
            fmt::format("topic {} is full ({}): it holds {} messages of {} bytes that its queues "
                        "are not done with{}; {}",
                        of.name, bounds_text(of.settings), pending.messages, pending.bytes, before,
                        how_to_make_room(of))};
}

// ---- dropping ----

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
    for (lease_span& span : q.leases.take_below(target, open - ready)) {
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

std::string bounds_text(const topic_settings& s) {
    std::string text;
    const auto add = [&](std::string part) { text += (text.empty() ? "" : ", ") + part; };
    if (s.max_messages > 0) {
        add(fmt::format("max_messages {}", s.max_messages));
    }
    if (s.max_bytes > 0) {
        add(fmt::format("max_bytes {}", s.max_bytes));
    }
    if (is_bounded(s) && s.when_full == full_policy::drop_oldest) {
        add(std::string(to_string(s.when_full)));
    }
    if (s.max_age > duration_us{0}) {
        add(fmt::format("max_age {}", human(s.max_age)));
    }
    return text.empty() ? "no bounds" : text;
}

bool has_bounds(const topic& of) {
    return is_bounded(of.settings) || of.settings.max_age > duration_us{0} || trim_lags(of);
}

void forget_slowest(const topic& of) {
    of.slowest = nullptr;
}

offset_t first_pending(const topic& of) {
    if (of.queues.empty()) {
        return std::min(of.first_kept(), of.end);
    }
    return std::max(of.trim, first_open(*slowest_queue(of)));
}

pending_amount pending_in(const topic& of) {
    return amount_from(of, first_pending(of));
}

outcome<void> check_alone(const topic& of, std::uint64_t messages, std::uint64_t bytes) {
    const topic_settings& s = of.settings;
    if (!is_bounded(s) || s.when_full == full_policy::drop_oldest || fits(s, messages, bytes) ||
        base::seeded_fault(base::fault::exceed_limits)) {
        return {};
    }
    return refuse(error_code::message_too_large,
                  fmt::format("{} messages of {} bytes at once are more than topic {} may hold "
                              "({}); publish fewer at once, or raise the bound: brokerctl topic "
                              "set {}",
                              messages, bytes, of.name, bounds_text(s), of.name));
}

outcome<void> check_limits(core&, const turn& t, topic& of, std::uint64_t messages,
                           std::uint64_t bytes) {
    if (!is_bounded(of.settings)) {
        return {};
    }
    const auto waiting = waits_first(of, t.wall);
    if (waiting ? has_room(of, messages + waiting->messages, bytes + waiting->bytes)
                : has_room(of, messages, bytes)) {
        return {};
    }
    if (auto alone = check_alone(of, messages, bytes); !alone) {
        return alone;
    }
    of.refused_at = t.now.mono;
    return std::unexpected(why_full(of, waiting));
}

bool has_room(const topic& of, std::uint64_t messages, std::uint64_t bytes) {
    return !is_bounded(of.settings) || of.settings.when_full == full_policy::drop_oldest ||
           base::seeded_fault(base::fault::exceed_limits) || fits_besides(of, messages, bytes);
}

// One that is beyond bounds that were lowered since must not wait for ever, and all behind it.
bool has_room(const topic& of, const schedule_book::batch_size& due) {
    return has_room(of, due.messages, due.bytes) || pending_in(of).messages == 0;
}

bool schedules_wait_for_room(const topic& of, wall_time now) {
    const auto due = of.scheduled ? of.scheduled->next_due(now) : std::nullopt;
    return due && !has_room(of, *due);
}

offset_t fits_from(const topic& of) {
    offset_t first = of.trim;
    if (of.settings.max_messages > 0) {
        first = std::max(first, last_messages(of, of.settings.max_messages));
    }
    if (of.settings.max_bytes > 0) {
        first = std::max(first, of.marks.last_bytes(of.settings.max_bytes));
    }
    return first;
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
