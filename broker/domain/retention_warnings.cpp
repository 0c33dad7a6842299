// What health says of the bounds of topics, and of messages that nobody consumes.
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/domain/human.hpp"
#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

constexpr duration_us refused_shown = std::chrono::minutes(1);
constexpr duration_us dropped_shown = std::chrono::hours(1);
constexpr duration_us unused_after = std::chrono::hours(1);
constexpr std::size_t of_a_kind_max = 10;

// The first few of a kind, and how many there are besides.
class warnings_of_a_kind {
public:
    explicit warnings_of_a_kind(const char* what) : what_(what) {}

    // Whether a text is wanted; else it is only counted.
    [[nodiscard]] bool add() { return ++count_ <= of_a_kind_max; }
    void say(std::string text) { texts_.push_back(std::move(text)); }

    void move_to(std::vector<std::string>& all) {
        for (std::string& each : texts_) {
            all.push_back(std::move(each));
        }
        if (count_ > of_a_kind_max) {
            all.push_back(fmt::format("and {} more of the {}", count_ - of_a_kind_max, what_));
        }
    }

private:
    const char* what_;
    std::size_t count_ = 0;
    std::vector<std::string> texts_;
};

std::uint64_t waiting_in(const queue& q) {
    return q.ready() + q.leased() + q.retrying();
}

std::string full_text(const topic& of, mono_time now, bool schedules_wait) {
    const std::string since =
        schedules_wait ? std::string("what is scheduled for it is due and waits")
                       : fmt::format("a publish was refused {} ago", human(now - of.refused_at));
    return fmt::format(
        "topic {} is full ({}): {}; its queues are not done with what it holds, see "
        "brokerctl queue ls {}",
        of.name, bounds_text(of.settings), since, of.name);
}

std::string dropped_text(const topic& of, mono_time now) {
    return fmt::format(
        "topic {} drops messages to keep its bounds ({}): {} so far, the last {} ago", of.name,
        bounds_text(of.settings), of.drops.messages, human(now - of.dropped_at));
}

}  // namespace

bool is_abandoned(const queue& q, mono_time now) {
    return q.consumers.empty() && now - q.unused_since >= unused_after && waiting_in(q) > 0;
}

void warn_of_retention(const core& c, instant now, std::vector<std::string>& warnings) {
    warnings_of_a_kind full("topics that are full");
    warnings_of_a_kind dropping("topics that drop messages");
    warnings_of_a_kind unread("topics with messages and no queue");
    warnings_of_a_kind abandoned("queues with messages and no consumer");
    const wall_time wall = c.clock.at(now.mono);
    for (const auto& [name, of] : c.topics_by_name) {
        const bool refused =
            of->refused_at != mono_never && now.mono - of->refused_at <= refused_shown;
        const bool waits = schedules_wait_for_room(*of, wall);
        if ((refused || waits) && full.add()) {
            full.say(full_text(*of, now.mono, waits));
        }
        if (of->drops.messages > 0 && now.mono - of->dropped_at <= dropped_shown &&
            dropping.add()) {
            dropping.say(dropped_text(*of, now.mono));
        }
        const duration_us alone = now.mono - of->without_queue_since;
        const std::uint64_t messages = of->messages_below(of->end);
        if (of->queues.empty() && alone >= unused_after && messages > 0 && unread.add()) {
            unread.say(fmt::format("topic {} has {} and no queue for {}: nothing consumes them",
                                   name, human_count(messages, "message"), human(alone)));
        }
        for (const auto& [queue_name, q] : of->queues) {
            if (is_abandoned(*q, now.mono) && abandoned.add()) {
                abandoned.say(fmt::format("queue {} has {} and no consumer for {}", q->path(),
                                          human_count(waiting_in(*q), "message"),
                                          human(now.mono - q->unused_since)));
            }
        }
    }
    full.move_to(warnings);
    dropping.move_to(warnings);
    unread.move_to(warnings);
    abandoned.move_to(warnings);
}

}  // namespace brokerd::domain
