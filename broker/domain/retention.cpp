// The bounds of a topic: how much of what its queues are not done with it may hold, and for how
// long. What is pending is what lies at or above the lowest floor of its queues; what they are done
// with and the topic only keeps never counts, it gives way (trim.cpp).
//
// A topic that is full refuses, or drops the oldest (retention_drop.cpp).
#include <algorithm>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/human.hpp"
#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

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

}  // namespace

bool is_bounded(const topic_settings& s) {
    return s.max_messages > 0 || s.max_bytes > 0;
}

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

}  // namespace brokerd::domain
