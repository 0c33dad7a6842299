// The rules of times to live: when a message expires, and that it then ends.
//
// One that was made dead is known to be so from the mutation that says it. That one was made done
// is told by nothing at that moment, so one that has expired while it waits counts as perhaps done:
// what is asked about it may be answered in either way, and a show or a delivery tells. Which it is
// matters to no other rule, as one that was ended and one that waits for it are given to nobody.
#include <algorithm>
#include <utility>

#include "tests/sim/model.hpp"

namespace brokerd::sim {

wall_time model::expiry_of(const model_topic& topic, offset_t offset,
                           const model_message& message) {
    if (message.lifted) {
        return wall_never;
    }
    const wall_time appended = topic.appended_at(offset);
    if (const auto own_ms = ttl_ms_of_content(topic.content(offset))) {
        return appended + std::chrono::milliseconds(*own_ms);
    }
    return topic.ttl == duration_us{0} ? wall_never : appended + topic.ttl;
}

bool model::has_expired(const model_topic& topic, offset_t offset,
                        const model_message& message) const {
    return expiry_of(topic, offset, message) <= wall_;
}

std::string model::age(const model_topic& topic, offset_t offset,
                       const model_message& message) const {
    const wall_time at = expiry_of(topic, offset, message);
    if (at == wall_never) {
        return message.lifted ? "was redriven and never expires" : "never expires";
    }
    return at <= wall_ ? fmt::format("expired {} us ago", (wall_ - at).count())
                       : fmt::format("expires in {} us", (at - wall_).count());
}

bool model::may_have_ended(const model_topic& topic, const model_queue& queue, offset_t offset,
                           const model_message& message) const {
    return may_be_dropped(topic, offset, message) ||
           may_have_ended_itself(topic, queue, offset, message);
}

bool model::may_have_ended_itself(const model_topic& topic, const model_queue& queue,
                                  offset_t offset, const model_message& message) const {
    return queue.settings.on_expiry == expiry_action::done
               ? is_in_doubt_itself(topic, queue, offset, message)
               : message.perhaps_done || may_be_sifted(topic, queue, offset, message);
}

bool model::is_in_doubt(const model_topic& topic, const model_queue& queue, offset_t offset,
                        const model_message& message) const {
    return may_be_dropped(topic, offset, message) ||
           is_in_doubt_itself(topic, queue, offset, message);
}

bool model::is_in_doubt_itself(const model_topic& topic, const model_queue& queue, offset_t offset,
                               const model_message& message) const {
    return message.perhaps_done || may_be_sifted(topic, queue, offset, message) ||
           (message.may_wait(now_) && has_expired(topic, offset, message));
}

void model::note_expired() {
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                message.perhaps_done = may_have_ended_itself(topic, queue, offset, message);
            }
        }
    }
}

void model::time_is(instant now, wall_time in_the_domain) {
    note_expired();
    note_dropped();
    const bool set_back = in_the_domain < wall_;
    now_ = now;
    wall_ = in_the_domain;
    latest_wall_ = std::max(latest_wall_, wall_);
    const duration_us lag = now.mono.time_since_epoch() - wall_.time_since_epoch();
    lag_max_ = std::max(lag_max_.value_or(lag), lag);
    for (auto& [name, topic] : state.topics) {
        if (set_back) {
            topic.limits.dropped_below = topic.limits.may_drop_below;
        }
        note_bounds(topic);
    }
    age_ids();
}

void model::ttl_changed(const std::string& topic, duration_us ttl) {
    note_expired();
    state.topics.at(topic).ttl = ttl;
}

void model::died_of_age(queue_id id, offset_t offset) {
    auto* const owner = owner_of(id);
    if (deaths_held_ || owner == nullptr) {
        deaths_.emplace_back(id, offset);
        return;
    }
    const model_topic& topic = owner->second;
    model_queue& queue = *find(id);
    const auto at = queue.messages.find(offset);
    expect(at != queue.messages.end(), "offset {} expired in queue {} and was never there", offset,
           id.value());
    model_message& message = at->second;
    if (message.state == message_state::dead) {
        return;  // it is written once more
    }
    expect(queue.settings.on_expiry == expiry_action::dead,
           "offset {} expired and is dead in a queue in which it is to be done", offset);
    expect(message.may_wait(now_), "offset {} was made dead as expired while it was {}; it {}",
           offset, to_string(message.state), age(topic, offset, message));
    expect(has_expired(topic, offset, message), "offset {} was made dead as expired, but it {}",
           offset, age(topic, offset, message));
    expect(may_be_for(topic, queue, offset, message),
           "offset {} was made dead as expired, but it {}", offset,
           sieve_text(topic, queue, offset, message));
    message.state = message_state::dead;
    message.excepted = true;
    message.perhaps_done = false;
    message.perhaps_dropped = false;
    message.spared = true;
    message.lease_failed = false;
    message.history.push_back(attempt_outcome::ttl_expired);
    message.died_of_age = true;
}

void model::release_deaths() {
    for (const auto& [queue, offset] : std::exchange(deaths_, {})) {
        died_of_age(queue, offset);
    }
}

bool model::is_in_doubt(queue_id id, offset_t offset) {
    const auto* const owner = owner_of(id);
    if (owner == nullptr) {
        return false;
    }
    const model_queue& queue = *find(id);
    const auto at = queue.messages.find(offset);
    return at != queue.messages.end() && is_in_doubt(owner->second, queue, offset, at->second);
}

bool model::is_worth_unknown(queue_id id, offset_t offset) {
    const model_queue* const queue = find(id);
    if (queue == nullptr) {
        return false;
    }
    const auto at = queue->messages.find(offset);
    return at != queue->messages.end() && at->second.died_of_age &&
           at->second.state == message_state::retrying;
}

std::vector<overdue_message> model::overdue() const {
    std::vector<overdue_message> found;
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            for (const auto& [offset, message] : queue.messages) {
                if (message.state != message_state::ready || !queue.sifts_at_once()) {
                    continue;  // where gaps are few, some have to wait
                }
                const bool stays = may_be_for(topic, queue, offset, message);
                if (!stays || has_expired(topic, offset, message)) {
                    found.push_back({name, queue_name, offset, stays});
                }
            }
        }
    }
    return found;
}

}  // namespace brokerd::sim
