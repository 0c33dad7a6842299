// The rules of the model, one small function per fact.
#include "tests/sim/model.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "protocol/codec/record.hpp"

namespace brokerd::sim {
namespace {

template <typename... Args>
void expect(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) {
        throw violation(fmt::format(text, std::forward<Args>(args)...));
    }
}

bool is_open(const model_message& message) {
    return message.state == message_state::ready || message.state == message_state::leased;
}

}  // namespace

std::uint64_t content_of(byte_view record) {
    const auto parsed = codec::parse_record(record);
    expect(parsed.has_value() && parsed->payload.size() >= 8, "a delivered record is damaged");
    return load_le<std::uint64_t>(parsed->payload.data());
}

std::uint64_t model_queue::count(message_state wanted) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        messages, [&](const auto& entry) { return entry.second.state == wanted; }));
}

offset_t model_queue::floor() const {
    for (const auto& [offset, message] : messages) {
        if (is_open(message) && !message.excepted) {
            return offset;
        }
    }
    return messages.empty() ? start : messages.rbegin()->first + 1;
}

void model::topic_created(const std::string& topic, topic_id id) {
    auto& made = state.topics[topic];
    made = {};
    made.id = id;
}

void model::queue_created(const std::string& topic, const std::string& queue, queue_id id,
                          const queue_settings& settings, offset_t start) {
    auto& of = state.topics.at(topic);
    model_queue made;
    made.id = id;
    made.settings = settings;
    made.start = start;
    for (offset_t offset = start; offset < of.end; ++offset) {
        made.messages[offset] = {};
    }
    of.queues[queue] = std::move(made);
}

void model::queue_removed(const std::string& topic, const std::string& queue) {
    state.topics.at(topic).queues.erase(queue);
    std::erase_if(consumers, [&](const auto& entry) {
        return entry.second.topic == topic && entry.second.queue == queue;
    });
}

void model::attached(holder who, model_consumer what) {
    consumers[who] = std::move(what);
}

void model::detached(holder who, instant now) {
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (message.state == message_state::leased && message.by == who) {
                    release(message, now);
                }
            }
        }
    }
    consumers.erase(who);
}

void model::connection_closed(connection_id connection, bool goodbye, instant now) {
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (message.state != message_state::leased || message.by.first != connection) {
                    continue;
                }
                if (goodbye) {
                    release(message, now);
                } else {
                    fail_lease(queue, message, attempt_outcome::lost, std::nullopt, now);
                }
            }
        }
    }
    std::erase_if(consumers, [&](const auto& entry) { return entry.first.first == connection; });
}

void model::set_prefetch(holder who, std::uint32_t messages) {
    consumers.at(who).prefetch = messages;
}

void model::paused(const std::string& topic, const std::string& queue, bool on) {
    state.topics.at(topic).queues.at(queue).paused = on;
}

void model::published(const std::string& topic, producer_id producer, std::uint64_t first_sequence,
                      const std::vector<std::uint64_t>& contents,
                      const domain::publish_accepted& answer) {
    auto& to = state.topics.at(topic);
    const auto known = to.sequences.find({producer.value(), first_sequence});
    if (producer.value() != 0 && known != to.sequences.end()) {
        expect(answer.duplicate, "a resent batch was stored twice, at {} and {}", known->second,
               answer.base_offset);
        expect(answer.base_offset == known->second, "a resent batch is at {}, answered {}",
               known->second, answer.base_offset);
        return;
    }
    expect(!answer.duplicate, "a new batch was taken for a resend");
    expect(answer.base_offset == to.contents.size(), "published at {}, expected {}",
           answer.base_offset, to.contents.size());
    for (std::size_t i = 0; i < contents.size(); ++i) {
        const offset_t offset = to.contents.size();
        to.contents.push_back(contents[i]);
        to.sequences[{producer.value(), first_sequence + i}] = offset;
    }
}

void model::sealed(topic_id id, offset_t end) {
    for (auto& [name, topic] : state.topics) {
        if (topic.id != id) {
            continue;
        }
        expect(end >= topic.end && end <= topic.contents.size(), "a chunk of {} ends at {}", name,
               end);
        for (; topic.end < end; ++topic.end) {
            for (auto& [queue_name, queue] : topic.queues) {
                if (topic.end >= queue.start) {
                    queue.messages[topic.end] = {};
                }
            }
        }
    }
}

model_queue* model::find(queue_id id) {
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            if (queue.id == id) {
                return &queue;
            }
        }
    }
    return nullptr;
}

bool model::holds(const model_queue& queue, const model_message& message, lease_id lease) const {
    if (message.state == message_state::leased) {
        return message.lease == lease;
    }
    if (lease <= queue.fence || message.state == message_state::done) {
        return false;
    }
    const bool earlier_epoch = lease.epoch < epoch;
    if (message.state == message_state::ready) {
        // Leased by an earlier epoch and not since.
        return earlier_epoch && !message.returned;
    }
    if (message.failed_lease == lease && message.ended_silently()) {
        return true;
    }
    // Leased again after its last failure when the broker went down.
    return earlier_epoch && message.state == message_state::retrying &&
           (message.failed_lease < lease ||
            (message.failed_lease == lease && !message.lease_failed));
}

void model::take_back(model_message& message, lease_id lease) {
    if (message.failed_lease == lease && message.ended_silently()) {
        message.history.pop_back();
        --message.failed;
        message.lease_failed = false;
    }
}

std::uint64_t model::settled(const codec::settle& what, holder by, instant now) {
    model_queue* queue = find(what.queue);
    if (queue == nullptr) {
        return 0;
    }
    std::uint64_t accepted = 0;
    for (const lease_run& run : what.runs) {
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const lease_id lease{run.epoch, run.first_lease + i};
            const auto at = queue->messages.find(run.first_offset + i);
            if (at == queue->messages.end() || !holds(*queue, at->second, lease)) {
                continue;
            }
            model_message& message = at->second;
            ++accepted;
            const bool leased = message.state == message_state::leased;
            switch (what.action) {
                case settle_action::ack: message = {.state = message_state::done}; break;
                case settle_action::nack:
                case settle_action::reject:
                    if (!leased) {
                        take_back(message, lease);
                    }
                    message.lease = lease;
                    fail_lease(*queue, message,
                               what.action == settle_action::nack ? attempt_outcome::nacked
                                                                  : attempt_outcome::rejected,
                               what.delay.count() < 0 ? std::nullopt : std::optional{what.delay},
                               now);
                    break;
                case settle_action::release:
                    if (!leased) {
                        take_back(message, lease);
                    }
                    if (leased || message.state != message_state::ready) {
                        message.lease = lease;
                        release(message, now);
                    }
                    break;
                case settle_action::extend:
                    if (leased) {
                        message.deadline =
                            now.mono +
                            (what.delay.count() < 0 ? queue->settings.lease : what.delay);
                    } else if (!consumers.contains(by) ||
                               !taken_up(*queue, message, lease, by, now)) {
                        --accepted;
                    }
                    break;
            }
        }
    }
    return accepted;
}

bool model::taken_up(const std::string& topic, const std::string& name, offset_t offset,
                     lease_id lease, holder by, instant now) {
    auto& queue = state.topics.at(topic).queues.at(name);
    const auto at = queue.messages.find(offset);
    return at != queue.messages.end() && taken_up(queue, at->second, lease, by, now);
}

bool model::taken_up(model_queue& queue, model_message& message, lease_id lease, holder by,
                     instant now) {
    if (!holds(queue, message, lease)) {
        return false;
    }
    if (message.state != message_state::leased && message.failed_lease == lease &&
        message.ended_silently() && message.must_be_alone()) {
        take_back(message, lease);  // the connection came back: no attempt after all
        message.state = message_state::retrying;
    }
    if (message.state == message_state::dead) {
        return false;
    }
    message.state = message_state::leased;
    message.lease = lease;
    message.by = by;
    message.returned = true;
    message.deadline = now.mono + queue.settings.lease;
    return true;
}

void model::fail_lease(model_queue& queue, model_message& message, attempt_outcome outcome,
                       std::optional<duration_us> delay, instant now) {
    ++message.failed;
    message.excepted = true;
    message.history.push_back(outcome);
    message.failed_lease = message.lease;
    message.lease_failed = true;
    message.returned = true;
    if (outcome == attempt_outcome::rejected || message.failed >= queue.settings.attempts) {
        message.state = message_state::dead;
        return;
    }
    message.state = message_state::retrying;
    if (delay) {
        message.due_min = now.mono + *delay;
        return;
    }
    auto wait = queue.settings.backoff;
    for (std::uint32_t i = 1; i < message.failed && wait < queue.settings.backoff_max; ++i) {
        wait *= 2;
    }
    wait = std::min(wait, queue.settings.backoff_max);
    message.due_min = now.mono + wait * (100 - limits::backoff_jitter_percent) / 100;
}

void model::release(model_message& message, instant now) {
    message.returned = true;
    message.state = message.excepted ? message_state::retrying : message_state::ready;
    message.failed_lease = message.lease;
    message.lease_failed = false;
    message.due_min = now.mono;
}

void model::delivered(connection_id connection, consumer_id id, const domain::record_run& run,
                      instant now) {
    const holder who{connection, id};
    const auto at = consumers.find(who);
    expect(at != consumers.end(), "a delivery to a consumer that is not attached");
    auto& topic = state.topics.at(at->second.topic);
    auto& queue = topic.queues.at(at->second.queue);
    expect(!queue.paused, "a delivery from a paused queue");
    byte_view rest = run.records.view;
    for (std::uint32_t i = 0; i < run.leases.count; ++i) {
        const std::size_t size = codec::record_size_at(rest);
        expect(size > 0, "a delivery holds fewer records than it says");
        deliver_one(topic, queue, who, run.leases.first_offset + i,
                    {run.leases.epoch, run.leases.first_lease + i}, run.attempt, rest.first(size),
                    now);
        rest = rest.subspan(size);
    }
    expect(rest.empty(), "a delivery holds more bytes than its records");
}

void model::deliver_one(model_topic& topic, model_queue& queue, holder who, offset_t offset,
                        lease_id lease, std::uint32_t attempt, byte_view record, instant now) {
    const auto at = queue.messages.find(offset);
    expect(at != queue.messages.end(), "offset {} was delivered but never published", offset);
    model_message& message = at->second;
    expect(content_of(record) == topic.contents.at(offset), "offset {} came with other contents",
           offset);
    const bool due =
        message.state == message_state::retrying && (now.mono >= message.due_min || wall_jumped);
    expect(message.state == message_state::ready || due,
           "offset {} was delivered while {} (due in {} us)", offset, to_string(message.state),
           (message.due_min - now.mono).count());
    expect(attempt == message.failed + 1, "offset {}: attempt {}, expected {}", offset, attempt,
           message.failed + 1);
    expect(lease.epoch == epoch, "offset {} has a lease of epoch {}", offset, lease.epoch.value());
    expect(lease > queue.newest, "lease {} was given before", lease.counter);
    queue.newest = lease;
    auto& consumer = consumers.at(who);
    expect(held_by(who) < consumer.prefetch, "offset {} exceeds the prefetch of its consumer",
           offset);
    expect(!consumer.has_limit || consumer.limit > 0, "offset {} exceeds the consumer's limit",
           offset);
    bool holds_lonely = false;
    for (const auto& [other_offset, other] : queue.messages) {
        holds_lonely = holds_lonely || (other.state == message_state::leased && other.by == who &&
                                        other.must_be_alone());
        const bool fresh = message.state == message_state::ready && !message.returned;
        expect(!(fresh && other_offset < offset && other.state == message_state::ready &&
                 !other.returned),
               "offset {} was delivered before {}", offset, other_offset);
    }
    expect(!holds_lonely, "offset {} joins a message that must be alone", offset);
    expect(!message.must_be_alone() || held_by(who) == 0, "offset {} must be delivered alone",
           offset);
    if (consumer.has_limit) {
        --consumer.limit;
    }
    message.state = message_state::leased;
    message.lease = lease;
    message.by = who;
    message.returned = true;
    message.deadline = now.mono + queue.settings.lease;
}

void model::expire(instant now) {
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (message.state == message_state::leased && message.deadline <= now.mono) {
                    fail_lease(queue, message, attempt_outcome::expired, std::nullopt, now);
                }
            }
        }
    }
}

void model::trimmed(topic_id id, offset_t first) {
    for (auto& [name, topic] : state.topics) {
        if (topic.id != id) {
            continue;
        }
        expect(first >= topic.trim, "the trim point of {} went back", name);
        expect(!topic.queues.empty(), "topic {} without a queue was trimmed", name);
        for (const auto& [queue_name, queue] : topic.queues) {
            expect(first <= std::max(queue.floor(), queue.start),
                   "{} was trimmed to {} though {} is at {}", name, first, queue_name,
                   queue.floor());
        }
        topic.trim = first;
    }
}

void model::sought(const std::string& topic, const std::string& name, offset_t position) {
    auto& of = state.topics.at(topic);
    auto& queue = of.queues.at(name);
    for (offset_t offset = position; offset < queue.start; ++offset) {
        queue.messages[offset] = {};
    }
    queue.start = std::min(queue.start, position);
    for (auto& [offset, message] : queue.messages) {
        if (message.state == message_state::dead) {
            continue;
        }
        message = {.state = offset < position ? message_state::done : message_state::ready};
    }
    queue.fence = std::max(queue.newest, lease_id{epoch, 0});
}

std::uint64_t model::purged(const std::string& topic, const std::string& name) {
    std::uint64_t count = 0;
    for (auto& [offset, message] : state.topics.at(topic).queues.at(name).messages) {
        if (message.state == message_state::ready || message.state == message_state::retrying) {
            message = {.state = message_state::done};
            ++count;
        }
    }
    return count;
}

std::uint64_t model::redriven(const std::string& topic, const std::string& name, instant now) {
    std::uint64_t count = 0;
    for (auto& [offset, message] : state.topics.at(topic).queues.at(name).messages) {
        if (message.state == message_state::dead) {
            message.state = message_state::retrying;
            message.failed = 0;
            message.lease_failed = false;
            message.excepted = true;
            message.due_min = now.mono;
            ++count;
        }
    }
    return count;
}

std::uint64_t model::dead_purged(const std::string& topic, const std::string& name) {
    std::uint64_t count = 0;
    for (auto& [offset, message] : state.topics.at(topic).queues.at(name).messages) {
        if (message.state == message_state::dead) {
            message = {.state = message_state::done};
            ++count;
        }
    }
    return count;
}

void model::check_counts(const codec::queue_item& item) const {
    const auto& queue = state.topics.at(item.topic).queues.at(item.queue);
    const auto check = [&](const char* what, std::uint64_t told, message_state wanted) {
        expect(told == queue.count(wanted), "{}/{} says {} {}, the model {}", item.topic,
               item.queue, told, what, queue.count(wanted));
    };
    check("ready", item.ready, message_state::ready);
    check("leased", item.leased, message_state::leased);
    check("retrying", item.retrying, message_state::retrying);
    check("dead", item.dead, message_state::dead);
    expect(item.paused == queue.paused, "{}/{} is paused or not", item.topic, item.queue);
}

void model::check_shown(const std::string& topic, offset_t offset,
                        const codec::shown& shown) const {
    const auto& of = state.topics.at(topic);
    expect(shown.queues.size() == of.queues.size(), "show {}@{} misses a queue", topic, offset);
    for (const auto& item : shown.queues) {
        const auto& queue = of.queues.at(item.queue);
        const auto at = queue.messages.find(offset);
        const auto wanted = at == queue.messages.end() ? message_state::done : at->second.state;
        expect(item.state == wanted, "show {}@{}: {} in {}, the model says {}", topic, offset,
               to_string(item.state), item.queue, to_string(wanted));
        if (at != queue.messages.end() && wanted != message_state::done) {
            expect(item.attempts == at->second.failed, "show {}@{}: {} attempts, the model {}",
                   topic, offset, item.attempts, at->second.failed);
        }
    }
}

void model::restarted(model_state durable, broker_epoch new_epoch) {
    state = std::move(durable);
    consumers.clear();
    epoch = new_epoch;
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (message.state == message_state::leased) {
                    message.state =
                        message.excepted ? message_state::retrying : message_state::ready;
                }
                message.returned = false;
                message.due_min = {};  // a restart may shorten the wait, never lengthen it
            }
        }
    }
}

std::string model::describe(queue_id id, offset_t offset) {
    const model_queue* queue = find(id);
    if (queue == nullptr || !queue->messages.contains(offset)) {
        return "unknown";
    }
    const model_message& message = queue->messages.at(offset);
    std::string text =
        fmt::format("{}, lease {}:{}, failed {} (lease {}:{}), fence {}:{}{}{}",
                    to_string(message.state), message.lease.epoch.value(), message.lease.counter,
                    message.failed, message.failed_lease.epoch.value(),
                    message.failed_lease.counter, queue->fence.epoch.value(), queue->fence.counter,
                    message.excepted ? ", excepted" : "", message.returned ? ", returned" : "");
    for (const auto outcome : message.history) {
        text += fmt::format(" {}", to_string(outcome));
    }
    return text;
}

std::uint64_t model::held_by(holder who) const {
    std::uint64_t held = 0;
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            held += static_cast<std::uint64_t>(
                std::ranges::count_if(queue.messages, [&](const auto& entry) {
                    return entry.second.state == message_state::leased && entry.second.by == who;
                }));
        }
    }
    return held;
}

}  // namespace brokerd::sim
