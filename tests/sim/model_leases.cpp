// The rules of leases: how they are given, extended, taken up again, and how they end.
#include <algorithm>

#include "protocol/codec/record.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {

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

std::uint64_t model::settled(const codec::settle& what, holder by, instant now, bool all_held) {
    model_queue* queue = find(what.queue);
    if (queue == nullptr) {
        return 0;
    }
    const model_topic& topic = owner_of(what.queue)->second;
    std::uint64_t accepted = 0;
    for (const lease_run& run : what.runs) {
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const lease_id lease{run.epoch, run.first_lease + i};
            const auto at = queue->messages.find(run.first_offset + i);
            if (at == queue->messages.end() || !(all_held || holds(*queue, at->second, lease))) {
                named(*queue, {run.first_offset + i, 1, run.epoch, lease.counter});
                continue;
            }
            model_message& message = at->second;
            ++accepted;
            if (!all_held && may_be_dropped(topic, at->first, message)) {
                queue->gone_early.insert(at->first);
            }
            message.perhaps_dropped = false;
            const bool leased = message.state == message_state::leased;
            if (what.action != settle_action::extend || !leased) {
                named(*queue, {at->first, 1, run.epoch, lease.counter});
            }
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
                        owe(queue->id, message);
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

bool model::taken_up(queue_id id, offset_t offset, lease_id lease, holder by, instant now) {
    model_queue* const queue = find(id);
    if (queue == nullptr) {
        return false;
    }
    const auto at = queue->messages.find(offset);
    return at != queue->messages.end() && taken_up(*queue, at->second, lease, by, now);
}

bool model::taken_up(model_queue& queue, model_message& message, lease_id lease, holder by,
                     instant now) {
    named(queue, {0, 1, lease.epoch, lease.counter});
    if (!holds(queue, message, lease)) {
        return false;
    }
    if (message.state != message_state::leased && message.failed_lease == lease &&
        message.ended_silently() && message.must_be_alone()) {
        take_back(message, lease);  // the connection came back: no attempt after all
        message.state = message_state::retrying;
        message.wait(now, duration_us{0}, duration_us{0});
    }
    if (message.state == message_state::dead) {
        return false;
    }
    message.state = message_state::leased;
    message.lease = lease;
    message.by = by;
    message.returned = true;
    message.perhaps_done = false;
    message.perhaps_dropped = false;
    message.spared = true;
    message.taken_up = true;
    message.deadline = now.mono + queue.settings.lease;
    owe(queue.id, message);
    return true;
}

void model::owe(queue_id queue, const model_message& message) {
    const auto at = consumers.find(message.by);
    if (at != consumers.end()) {
        at->second.owed[{queue, message.lease}] = message.deadline;
    }
}

void model::forget_owed(queue_id removed) {
    for (auto& [who, each] : consumers) {
        std::erase_if(each.owed, [&](const auto& owed) { return owed.first.first == removed; });
    }
}

void model::named(const model_queue& queue, const lease_run& run) {
    for (auto& [who, each] : consumers) {
        for (std::uint32_t i = 0; i < run.count; ++i) {
            each.owed.erase({queue.id, {run.epoch, run.first_lease + i}});
        }
    }
}

void model::fail_lease(model_queue& queue, model_message& message, attempt_outcome outcome,
                       std::optional<duration_us> delay, instant now) {
    ++message.failed;
    message.excepted = true;
    message.history.push_back(outcome);
    message.failed_lease = message.lease;
    message.lease_failed = true;
    message.returned = true;
    message.perhaps_done = false;
    message.spared = true;
    message.died_of_age = false;
    if (outcome == attempt_outcome::rejected || message.failed >= queue.settings.attempts) {
        message.state = message_state::dead;
        return;
    }
    message.state = message_state::retrying;
    if (delay) {
        message.wait(now, *delay, *delay);
        return;
    }
    auto wait = queue.settings.backoff;
    for (std::uint32_t i = 1; i < message.failed && wait < queue.settings.backoff_max; ++i) {
        wait *= 2;
    }
    wait = std::min(wait, queue.settings.backoff_max);
    const duration_us jitter = wait * limits::backoff_jitter_percent / 100;
    message.wait(now, wait - jitter, wait + jitter);
}

void model::release(model_message& message, instant now) {
    message.returned = true;
    message.state = message.excepted ? message_state::retrying : message_state::ready;
    message.failed_lease = message.lease;
    message.lease_failed = false;
    message.perhaps_done = false;
    message.died_of_age = false;
    message.wait(now, duration_us{0}, duration_us{0});
}

odd_deliveries model::delivered(connection_id connection, consumer_id id,
                                const domain::record_run& run, instant now) {
    const holder who{connection, id};
    const auto at = consumers.find(who);
    expect(at != consumers.end(), "a delivery to a consumer that is not attached");
    const queue_path source = source_of(at->second, run.queue);
    auto& topic = state.topics.at(source.topic);
    auto& queue = topic.queues.at(source.queue);
    turns_.givers.insert(queue.id);
    if (!at->second.pattern.empty()) {
        turns_.takers.insert(who);
    }
    expect(!queue.paused, "a delivery from a paused queue");
    byte_view rest = run.records.view;
    odd_deliveries odd;
    for (std::uint32_t i = 0; i < run.leases.count; ++i) {
        const offset_t offset = run.leases.first_offset + i;
        const std::size_t size = codec::record_size_at(rest);
        expect(size > 0, "a delivery holds fewer records than it says");
        deliver_one(topic, queue, who, offset, {run.leases.epoch, run.leases.first_lease + i},
                    run.attempt, rest.first(size), now);
        expect(run.append_time == topic.appended_at(offset),
               "offset {} was appended at {} and comes with {}", offset,
               to_us(topic.appended_at(offset)), to_us(run.append_time));
        model_message aged = queue.messages.at(offset);
        aged.lifted = false;
        odd.redriven += has_expired(topic, offset, aged) ? 1U : 0U;
        odd.spared += queue.may_take(record_of(topic, offset)) ? 0U : 1U;
        rest = rest.subspan(size);
    }
    expect(rest.empty(), "a delivery holds more bytes than its records");
    return odd;
}

void model::check_order(const model_topic& topic, const model_queue& queue, offset_t offset) {
    if (queue.mode == queue_mode::shared && topic.levels > 1) {
        check_levels(topic, queue, offset);
        return;
    }
    const model_message& message = queue.messages.at(offset);
    const auto key = [&](offset_t of) { return key_of_content(topic.content(of)); };
    const bool keyless = queue.mode == queue_mode::keyed && !key(offset);
    for (const auto& [at, other] : queue.messages) {
        if (is_in_doubt(topic, queue, at, other)) {
            continue;  // it is passed over, or has ended
        }
        const bool before = at < offset;
        if (queue.mode == queue_mode::shared) {
            const bool fresh = message.state == message_state::ready && !message.returned;
            expect(!(fresh && before && other.state == message_state::ready && !other.returned),
                   "offset {} was delivered before {}", offset, at);
        } else if (!keyless && (queue.mode == queue_mode::single || key(at) == key(offset))) {
            expect(other.state != message_state::leased,
                   "offset {} was delivered while {}, which has its key, is in flight", offset, at);
            // Where failures are skipped, one comes when it is due, and who was overtaken by it
            // and given back comes after it.
            const bool skips = queue.settings.after_failure == after_failure::skip;
            expect(!(before && other.state == message_state::ready) || (skips && message.excepted),
                   "offset {} was delivered before {}, which has its key", offset, at);
            expect(!(before && other.state == message_state::retrying && !skips),
                   "offset {} was delivered while {}, which has its key, is retrying", offset, at);
        }
    }
}

void model::deliver_one(model_topic& topic, model_queue& queue, holder who, offset_t offset,
                        lease_id lease, std::uint32_t attempt, byte_view record, instant now) {
    const auto at = queue.messages.find(offset);
    expect(at != queue.messages.end(), "offset {} was delivered but never published", offset);
    model_message& message = at->second;
    expect(content_of(record) == topic.content(offset), "offset {} came with other contents",
           offset);
    expect(codec::record_id(record) == id_of_content(topic.content(offset)).value_or(""),
           "offset {} came with another message id", offset);
    expect(message.may_wait(now), "offset {} of queue {} was delivered while {} (due in {} us): {}",
           offset, queue.id.value(), to_string(message.state), (message.due_min - now.mono).count(),
           describe(queue.id, offset));
    expect(!has_expired(topic, offset, message), "offset {} was delivered, but it {}", offset,
           age(topic, offset, message));
    expect(may_be_for(topic, queue, offset, message), "offset {} was delivered, but it {}", offset,
           sieve_text(topic, queue, offset, message));
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
    check_bytes(who, offset, record.size());
    check_order(topic, queue, offset);
    expect(!holds_lonely(who), "offset {} joins a message that must be alone", offset);
    expect(!message.must_be_alone() || held_by(who) == 0, "offset {} must be delivered alone",
           offset);
    if (consumer.has_limit) {
        --consumer.limit;
    }
    message.state = message_state::leased;
    message.lease = lease;
    message.by = who;
    message.returned = true;
    message.perhaps_done = false;
    message.perhaps_dropped = false;
    message.spared = true;
    message.taken_up = false;
    message.deadline = now.mono + queue.settings.lease;
    owe(queue.id, message);
}

void model::expire(instant now) {
    note_dropped();
    for (auto& [who, each] : consumers) {
        std::erase_if(each.owed, [&](const auto& owed) { return owed.second <= now.mono; });
    }
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

std::uint64_t model::held_by(holder who) const {
    const model_consumer& consumer = consumers.at(who);
    std::uint64_t held = consumer.owed.size();
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            held += static_cast<std::uint64_t>(
                std::ranges::count_if(queue.messages, [&](const auto& entry) {
                    const auto& [offset, message] = entry;
                    return message.state == message_state::leased && message.by == who &&
                           !consumer.owed.contains({queue.id, message.lease}) &&
                           !may_be_dropped(topic, offset, message);
                }));
        }
    }
    return held;
}

}  // namespace brokerd::sim
