// The rules of the model, one small function per fact: topics, queues, and what must hold. Those of
// leases are in model_leases.cpp, those of schedules in model_schedules.cpp, those of times to live
// in model_expiry.cpp, those of filters in model_filter.cpp, those of message ids in model_ids.cpp,
// those of topics of durability os, clones and temporary queues in model_queues.cpp, those of
// bounds in model_limits.cpp, those of pattern queues in model_patterns.cpp, those of levels of
// priority in model_levels.cpp.
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
    const auto content = load_le<std::uint64_t>(parsed->payload.data());
    expect(parsed->priority.value_or(0) == priority_of_content(content),
           "a record comes with priority {}, and was published with {}",
           parsed->priority.value_or(0), priority_of_content(content));
    return content;
}

std::uint64_t model_queue::count(message_state wanted) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        messages, [&](const auto& entry) { return entry.second.state == wanted; }));
}

offset_t model::floor(const model_topic& topic, const model_queue& queue) const {
    for (const auto& [offset, message] : queue.messages) {
        if (is_open(message) && !message.excepted &&
            !may_have_ended(topic, queue, offset, message)) {
            return offset;
        }
    }
    return std::max(queue.start, topic.end);
}

void model::topic_created(const std::string& topic, topic_id id, std::uint8_t levels) {
    auto& made = state.topics[topic];
    made = {};
    made.id = id;
    made.levels = levels;
}

void model::queue_created(const std::string& topic, const std::string& queue, queue_id id,
                          queue_mode mode, const queue_settings& settings, const model_sieve& sieve,
                          const position& asked, offset_t start) {
    auto& of = state.topics.at(topic);
    model_queue made;
    made.id = id;
    made.mode = mode;
    made.settings = settings;
    made.sieves = {sieve};
    // What is dropped already is not for it, though the trim point may have to follow yet.
    const auto wanted = [&](offset_t first) {
        return asked.kind == position_kind::latest   ? of.end
               : asked.kind == position_kind::offset ? std::clamp(asked.offset, first, of.end)
                                                     : first;
    };
    const offset_t stored = std::max(of.trim, of.limits.stored_below);
    const offset_t dropped =
        of.skipped.next_kept(std::clamp(of.limits.may_drop_below, stored, of.end));
    expect(start >= wanted(stored) && start <= wanted(dropped), "{}/{} starts at {}, not {} to {}",
           topic, queue, start, wanted(stored), wanted(dropped));
    made.start = start;
    made.unused_since = now_.mono;
    made.unsure = true;
    note_pending(of);
    of.limits.unsure = true;
    for (offset_t offset = of.skipped.next_kept(made.start); offset < of.end;
         offset = of.skipped.next_kept(offset + 1)) {
        model_message& message = made.messages[offset];
        message.perhaps_done = offset < of.limits.may_drop_below;
        if (made.ends_before(offset)) {
            sift(made, message);  // the others are looked at later
        }
    }
    of.queues[queue] = std::move(made);
    release_deaths();
}

void model::queue_removed(const std::string& topic, const std::string& queue) {
    auto& of = state.topics.at(topic);
    note_pending(of);
    of.limits.unsure = true;
    forget_owed(of.queues.at(queue).id);
    of.queues.erase(queue);
    std::erase_if(consumers, [&](const auto& entry) {
        return entry.second.topic == topic && entry.second.queue == queue;
    });
}

void model::attached(holder who, model_consumer what) {
    consumers[who] = std::move(what);
}

void model::detached(holder who, instant now) {
    note_dropped();
    for (auto& [name, topic] : state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (message.state == message_state::leased && message.by == who) {
                    release(message, now);
                }
            }
        }
    }
    if (const auto node = consumers.extract(who)) {
        consumer_left(node.mapped(), now);
    }
}

void model::connection_closed(connection_id connection, bool goodbye, instant now) {
    note_dropped();
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
    std::vector<model_consumer> gone;
    std::erase_if(consumers, [&](const auto& entry) {
        if (entry.first.first == connection) {
            gone.push_back(entry.second);
        }
        return entry.first.first == connection;
    });
    for (const model_consumer& each : gone) {
        consumer_left(each, now);
    }
}

void model::set_prefetch(holder who, std::uint32_t messages, std::uint64_t bytes) {
    consumers.at(who).prefetch = messages;
    consumers.at(who).prefetch_bytes = bytes;
}

void model::paused(const std::string& topic, const std::string& queue, bool on) {
    state.topics.at(topic).queues.at(queue).paused = on;
}

void model::published(const std::string& topic, producer_id producer, std::uint64_t first_sequence,
                      const std::vector<std::uint64_t>& contents,
                      const domain::publish_accepted& answer) {
    auto& to = state.topics.at(topic);
    if (is_repeated(to, producer, first_sequence, contents.front(), false, answer)) {
        return;
    }
    expect(answer.base_offset >= to.next(), "published at {}, expected {} at least",
           answer.base_offset, to.next());
    expect(!to.mixes_levels(contents), "{} took a batch at {} that mixes levels", topic,
           answer.base_offset);
    const std::uint64_t bytes = batch_bytes(contents);
    check_room(topic, to, answer.base_offset, contents.size(), bytes, false);
    to.limits.note_batch(contents.size(), bytes);
    to.contents.resize(to.place(answer.base_offset), unknown_content);
    to.contents.insert(to.contents.end(), contents.begin(), contents.end());
    remember(to, producer, first_sequence, contents.size(), answer.base_offset);
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

std::pair<const std::string, model_topic>* model::owner_of(queue_id id) {
    const auto found = std::ranges::find_if(state.topics, [&](const auto& each) {
        return std::ranges::any_of(each.second.queues,
                                   [&](const auto& entry) { return entry.second.id == id; });
    });
    return found == state.topics.end() ? nullptr : &*found;
}

void model::trimmed(topic_id id, offset_t first) {
    for (auto& [name, topic] : state.topics) {
        if (topic.id != id) {
            continue;
        }
        expect(first >= topic.trim, "the trim point of {} went back", name);
        if (topic.queues.empty()) {
            expect(first <= topic.limits.may_drop_below,
                   "topic {} without a queue was trimmed to {}, its bounds allow it to {}", name,
                   first, topic.limits.may_drop_below);
            limit_marks_.push_back("dropped without queue");
        }
        for (const auto& [queue_name, queue] : topic.queues) {
            expect(is_administered(queue) || first <= std::max(floor(topic, queue), queue.start),
                   "{} was trimmed to {} though {} is at {}", name, first, queue_name,
                   floor(topic, queue));
        }
        topic.trim = first;
    }
}

model_count model::sought(const std::string& topic, const std::string& name, offset_t position,
                          offset_t end) {
    auto& of = state.topics.at(topic);
    auto& queue = of.queues.at(name);
    note_pending(of);
    for (offset_t offset = of.skipped.next_kept(position); offset < queue.start;
         offset = of.skipped.next_kept(offset + 1)) {
        queue.messages[offset] = {};
    }
    queue.start = std::min(queue.start, position);
    for (auto& [offset, message] : queue.messages) {
        if (message.state == message_state::dead) {
            continue;
        }
        const bool failed = message.excepted;
        message = {.state = offset < position ? message_state::done : message_state::ready};
        message.perhaps_done = offset >= position && offset < of.limits.may_drop_below;
        // What had failed is moved one by one, and may be looked at later.
        if (offset >= position && !failed && queue.ends_before(offset)) {
            sift(queue, message);
        }
    }
    queue.fence = std::max(queue.newest, lease_id{epoch, 0});
    model_count ready;
    for (const auto& [offset, message] : queue.messages) {
        if (message.state == message_state::ready) {
            ready.least += offset >= end || is_in_doubt(of, queue, offset, message) ? 0U : 1U;
            ++ready.most;
        }
    }
    deaths_held_ = false;
    release_deaths();
    return ready;
}

model_count model::purged(const std::string& topic, const std::string& name,
                          const model_selection& which, offset_t until) {
    model_count count;
    auto& of = state.topics.at(topic);
    auto& queue = of.queues.at(name);
    for (auto& [offset, message] : queue.messages) {
        if (offset < which.from || offset >= until || !which.takes(of.content(offset), message)) {
            continue;
        }
        if (message.state == message_state::ready || message.state == message_state::retrying) {
            count.least += may_have_ended(of, queue, offset, message) ? 0U : 1U;
            ++count.most;
            message = {.state = message_state::done};
        }
    }
    return count;
}

model_count model::redriven(const std::string& topic, const std::string& name, instant now,
                            const model_selection& which, offset_t until) {
    std::uint64_t count = 0;
    auto& of = state.topics.at(topic);
    for (auto& [offset, message] : of.queues.at(name).messages) {
        if (offset < which.from || offset >= until || !which.takes(of.content(offset), message)) {
            continue;
        }
        if (message.state == message_state::dead) {
            message.state = message_state::retrying;
            message.failed = 0;
            message.lease_failed = false;
            message.excepted = true;
            message.lifted = true;
            message.wait(now, duration_us{0}, duration_us{0});
            ++count;
        }
    }
    return {count, count};
}

model_count model::dead_purged(const std::string& topic, const std::string& name,
                               const model_selection& which, offset_t until) {
    std::uint64_t count = 0;
    auto& of = state.topics.at(topic);
    for (auto& [offset, message] : of.queues.at(name).messages) {
        if (offset < which.from || offset >= until || !which.takes(of.content(offset), message)) {
            continue;
        }
        if (message.state == message_state::dead) {
            message = {.state = message_state::done};
            ++count;
        }
    }
    return {count, count};
}

void model::check_counts(const codec::queue_item& item, instant now) const {
    const auto& topic = state.topics.at(item.topic);
    const auto& queue = topic.queues.at(item.queue);
    std::uint64_t doubtful = 0;  // that wait, or are done
    std::uint64_t held = 0;      // that are leased, or are done
    std::uint64_t least = 0;
    std::uint64_t most = 0;
    for (const auto& [offset, message] : queue.messages) {
        const bool doubt = may_have_ended(topic, queue, offset, message);
        const bool ready = message.state == message_state::ready;
        held += doubt && message.state == message_state::leased ? 1U : 0U;
        doubtful += doubt && message.state != message_state::leased ? 1U : 0U;
        least += !doubt && (ready || message.must_be_due(now)) ? 1U : 0U;
        most += ready || message.may_be_due(now) ? 1U : 0U;
    }
    const auto check = [&](const char* what, std::uint64_t told, model_count wanted) {
        expect(wanted.takes(told), "{}/{} says {} {}, the model {}", item.topic, item.queue, told,
               what, wanted.text());
    };
    const auto exactly = [](std::uint64_t count) { return model_count{count, count}; };
    const std::uint64_t done = queue.count(message_state::done);
    // Offsets that no message has are done in every queue; whether they count is not said.
    const std::uint64_t skipped = topic.skipped.total() - topic.skipped.below(queue.start);
    const bool counted = item.done >= done + skipped;
    const std::uint64_t told_done = item.done - (counted ? skipped : 0);
    const std::uint64_t waiting =
        queue.count(message_state::ready) + queue.count(message_state::retrying);
    const std::uint64_t leased = queue.count(message_state::leased);
    check("leased", item.leased, {leased - held, leased});
    check("dead", item.dead, exactly(queue.count(message_state::dead)));
    check("done", told_done, {done, done + doubtful + held});
    check("ready or retrying", item.ready + item.retrying, {waiting - doubtful, waiting});
    check("ready, retrying, leased or done", item.ready + item.retrying + item.leased + told_done,
          exactly(waiting + leased + done));
    expect(item.dropped >= queue.dropped, "{}/{} has dropped {} messages, and before it were {}",
           item.topic, item.queue, item.dropped, queue.dropped);
    check("ready", item.ready, {least, most});
    expect(item.paused == queue.paused, "{}/{} is paused or not", item.topic, item.queue);
    check_sieve(item.topic, item.queue, item.settings);
}

ended_by model::check_shown(const std::string& topic, offset_t offset, const codec::shown& shown,
                            instant now) {
    auto& of = state.topics.at(topic);
    expect(shown.queues.size() == of.queues.size(), "show {}@{} misses a queue", topic, offset);
    ended_by ended = ended_by::nothing;
    for (const auto& item : shown.queues) {
        auto& queue = of.queues.at(item.queue);
        const auto at = queue.messages.find(offset);
        if (at == queue.messages.end()) {
            expect(item.state == message_state::done,
                   "show {}@{}: {} in {}, which begins behind it", topic, offset,
                   to_string(item.state), item.queue);
            continue;
        }
        model_message& message = at->second;
        if (item.state == message_state::done && may_have_ended(of, queue, offset, message)) {
            if (may_be_dropped(of, offset, message)) {
                queue.gone_early.insert(offset);
            }
            ended = may_be_sifted(of, queue, offset, message)           ? ended_by::sieve
                    : may_have_ended_itself(of, queue, offset, message) ? ended_by::age
                                                                        : ended_by::bound;
            message = {.state = message_state::done};
            continue;
        }
        auto wanted = message.state;
        if (wanted == message_state::retrying && item.state == message_state::ready) {
            expect(message.may_be_due(now), "show {}@{}: ready in {}, but due in {} us", topic,
                   offset, item.queue, (message.due_min - now.mono).count());
            message.due_max = std::min(message.due_max, now.mono);
            wanted = message_state::ready;
        } else if (wanted == message_state::retrying && item.state == wanted) {
            expect(!message.must_be_due(now), "show {}@{}: retrying in {}, but due since {} us",
                   topic, offset, item.queue, (now.mono - message.due_max).count());
            message.due_min = std::max(message.due_min, now.mono + duration_us{1});
        }
        expect(item.state == wanted, "show {}@{}: {} in {}, the model says {}; it {} and {}", topic,
               offset, to_string(item.state), item.queue, to_string(wanted),
               age(of, offset, message), sieve_text(of, queue, offset, message));
        message.perhaps_done = false;
        message.perhaps_dropped = false;
        if (wanted == message_state::done) {
            continue;
        }
        expect(item.attempts == message.failed, "show {}@{}: {} attempts, the model {}", topic,
               offset, item.attempts, message.failed);
        const bool of_age =
            !item.history.empty() && item.history.back().outcome == attempt_outcome::ttl_expired;
        expect(wanted != message_state::dead ||
                   of_age == (message.history.back() == attempt_outcome::ttl_expired),
               "show {}@{}: its history in {} tells another reason why it is dead", topic, offset,
               item.queue);
    }
    return ended;
}

void model::check_dead(const std::string& topic, const std::string& name,
                       const codec::dead& page) const {
    const auto& queue = state.topics.at(topic).queues.at(name);
    const offset_t until = page.more ? page.next : offset_end;
    auto item = page.items.begin();
    for (const auto& [offset, message] : queue.messages) {
        if (offset >= until || message.state != message_state::dead) {
            continue;
        }
        expect(item != page.items.end() && item->offset == offset,
               "{}/{}@{} is dead and not in the list", topic, name, offset);
        expect(item->attempts == message.failed, "{}/{}@{} is listed with {} attempts, not {}",
               topic, name, offset, item->attempts, message.failed);
        ++item;
    }
    expect(item == page.items.end(), "{}/{} lists dead messages that are not", topic, name);
}

void model::restarted(model_state durable, broker_epoch new_epoch, instant now, bool clean) {
    state = std::move(durable);
    may_skip_ = !clean;
    ids_restarted_ = true;
    consumers.clear();
    turns_ = {};
    epoch = new_epoch;
    now_ = now;
    wall_ = {};  // nothing expires before the broker runs again
    latest_wall_ = {};
    deaths_.clear();
    deaths_held_ = false;
    administered_ = {};
    started_ = now.mono;
    lag_max_.reset();
    for (auto& [name, topic] : state.topics) {
        model_limits& limits = topic.limits;
        limits.earlier.clear();
        limits.highest_pending = 0;
        limits.base = limits.spans.empty() ? wall_time{} : limits.spans.back().appended;
        limits.restarted = true;
        limits.must_trim_below = 0;
        // What the trim point had not followed yet stays dropped, and is not counted again.
        limits.dropped_below = limits.stored_below;
        limits.gone_least = topic.place(std::max(topic.trim, limits.stored_below));
        limits.gone_most = limits.gone_least;
        note_bounds(topic);
        for (auto& [queue_name, queue] : topic.queues) {
            // Clients may take some time to find the broker again.
            queue.unused_since = now.mono + std::max<duration_us>(limits::expires_after_start_min -
                                                                      queue.settings.expires,
                                                                  duration_us{0});
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
    text += message.lifted ? ", lifted" : "";
    text += message.perhaps_done ? ", perhaps done" : "";
    text += message.perhaps_dropped ? ", perhaps dropped" : "";
    if (const auto* owner = owner_of(id)) {
        text += ", " + age(owner->second, offset, message);
        text += ", " + sieve_text(owner->second, *queue, offset, message);
        text +=
            fmt::format(", the bounds allow to drop below {}", owner->second.limits.may_drop_below);
    }
    for (const auto outcome : message.history) {
        text += fmt::format(" {}", to_string(outcome));
    }
    return text;
}

}  // namespace brokerd::sim
