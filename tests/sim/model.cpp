// The rules of the model, one small function per fact: topics, queues, and what must hold. Those of
// leases are in model_leases.cpp, those of schedules in model_schedules.cpp.
#include "tests/sim/model.hpp"

#include <algorithm>

#include "protocol/codec/record.hpp"

namespace brokerd::sim {
namespace {

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
                          queue_mode mode, const queue_settings& settings, offset_t start) {
    auto& of = state.topics.at(topic);
    model_queue made;
    made.id = id;
    made.mode = mode;
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
    if (is_resend(to, producer, first_sequence, answer)) {
        return;
    }
    expect(answer.base_offset >= to.contents.size(), "published at {}, expected {} at least",
           answer.base_offset, to.contents.size());
    to.contents.resize(answer.base_offset, unknown_content);
    to.contents.insert(to.contents.end(), contents.begin(), contents.end());
    remember(to, producer, first_sequence, contents.size(), answer.base_offset);
}

bool model::is_resend(const model_topic& to, producer_id producer, std::uint64_t first_sequence,
                      const domain::publish_accepted& answer) {
    const auto known = to.sequences.find({producer.value(), first_sequence});
    if (producer.value() == 0 || known == to.sequences.end()) {
        expect(!answer.duplicate, "a new batch was taken for a resend");
        return false;
    }
    expect(answer.duplicate, "a resent batch was stored twice, at {} and {}", known->second,
           answer.base_offset);
    expect(answer.base_offset == known->second, "a resent batch is at {}, answered {}",
           known->second, answer.base_offset);
    return true;
}

void model::remember(model_topic& to, producer_id producer, std::uint64_t first_sequence,
                     std::size_t count, std::uint64_t first) {
    for (std::size_t i = 0; i < count; ++i) {
        to.sequences[{producer.value(), first_sequence + i}] = first + i;
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

std::uint64_t model::purged(const std::string& topic, const std::string& name,
                            const model_selection& which, offset_t until) {
    std::uint64_t count = 0;
    auto& of = state.topics.at(topic);
    for (auto& [offset, message] : of.queues.at(name).messages) {
        if (offset < which.from || offset >= until ||
            !which.takes(of.contents.at(offset), message)) {
            continue;
        }
        if (message.state == message_state::ready || message.state == message_state::retrying) {
            message = {.state = message_state::done};
            ++count;
        }
    }
    return count;
}

std::uint64_t model::redriven(const std::string& topic, const std::string& name, instant now,
                              const model_selection& which, offset_t until) {
    std::uint64_t count = 0;
    auto& of = state.topics.at(topic);
    for (auto& [offset, message] : of.queues.at(name).messages) {
        if (offset < which.from || offset >= until ||
            !which.takes(of.contents.at(offset), message)) {
            continue;
        }
        if (message.state == message_state::dead) {
            message.state = message_state::retrying;
            message.failed = 0;
            message.lease_failed = false;
            message.excepted = true;
            message.wait(now, duration_us{0}, duration_us{0});
            ++count;
        }
    }
    return count;
}

std::uint64_t model::dead_purged(const std::string& topic, const std::string& name,
                                 const model_selection& which, offset_t until) {
    std::uint64_t count = 0;
    auto& of = state.topics.at(topic);
    for (auto& [offset, message] : of.queues.at(name).messages) {
        if (offset < which.from || offset >= until ||
            !which.takes(of.contents.at(offset), message)) {
            continue;
        }
        if (message.state == message_state::dead) {
            message = {.state = message_state::done};
            ++count;
        }
    }
    return count;
}

void model::check_counts(const codec::queue_item& item, instant now) const {
    const auto& queue = state.topics.at(item.topic).queues.at(item.queue);
    const auto check = [&](const char* what, std::uint64_t told, message_state wanted) {
        expect(told == queue.count(wanted), "{}/{} says {} {}, the model {}", item.topic,
               item.queue, told, what, queue.count(wanted));
    };
    check("leased", item.leased, message_state::leased);
    check("dead", item.dead, message_state::dead);
    check("done", item.done, message_state::done);
    const std::uint64_t waiting =
        queue.count(message_state::ready) + queue.count(message_state::retrying);
    expect(item.ready + item.retrying == waiting,
           "{}/{} says {} ready and {} retrying, the model {} in all", item.topic, item.queue,
           item.ready, item.retrying, waiting);
    std::uint64_t least = 0;
    std::uint64_t most = 0;
    for (const auto& [offset, message] : queue.messages) {
        const bool ready = message.state == message_state::ready;
        least += ready || message.must_be_due(now) ? 1U : 0U;
        most += ready || message.may_be_due(now) ? 1U : 0U;
    }
    expect(least <= item.ready && item.ready <= most, "{}/{} says {} ready, the model {} to {}",
           item.topic, item.queue, item.ready, least, most);
    expect(item.paused == queue.paused, "{}/{} is paused or not", item.topic, item.queue);
}

void model::check_shown(const std::string& topic, offset_t offset, const codec::shown& shown,
                        instant now) {
    auto& of = state.topics.at(topic);
    expect(shown.queues.size() == of.queues.size(), "show {}@{} misses a queue", topic, offset);
    for (const auto& item : shown.queues) {
        auto& queue = of.queues.at(item.queue);
        const auto at = queue.messages.find(offset);
        auto wanted = at == queue.messages.end() ? message_state::done : at->second.state;
        if (wanted == message_state::retrying && item.state == message_state::ready) {
            expect(at->second.may_be_due(now), "show {}@{}: ready in {}, but due in {} us", topic,
                   offset, item.queue, (at->second.due_min - now.mono).count());
            at->second.due_max = std::min(at->second.due_max, now.mono);
            wanted = message_state::ready;
        } else if (wanted == message_state::retrying) {
            expect(!at->second.must_be_due(now), "show {}@{}: retrying in {}, but due since {} us",
                   topic, offset, item.queue, (now.mono - at->second.due_max).count());
            at->second.due_min = std::max(at->second.due_min, now.mono + duration_us{1});
        }
        expect(item.state == wanted, "show {}@{}: {} in {}, the model says {}", topic, offset,
               to_string(item.state), item.queue, to_string(wanted));
        if (at != queue.messages.end() && wanted != message_state::done) {
            expect(item.attempts == at->second.failed, "show {}@{}: {} attempts, the model {}",
                   topic, offset, item.attempts, at->second.failed);
        }
    }
}

void model::restarted(model_state durable, broker_epoch new_epoch, instant now) {
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
                // A restart may shorten a wait, never make it longer than it was at first.
                message.due_min = {};
                message.due_max = now.mono + message.wait_max;
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

}  // namespace brokerd::sim
