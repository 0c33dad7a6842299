// Messages that expire: which ones do, what the world knows of the domain's time, how it finds out
// what has ended, and that it does so by itself.
#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/names.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

// ---- the clock ----

// As the domain sees every instant at which it is called, its clock and this one agree exactly.
void world::observe_clock() {
    const wall_time wall = clock_.observe(now_);
    latest_wall_ = std::max(latest_wall_, wall);
    if (wall != model_.wall() || now_.mono != model_.now().mono) {
        model_.time_is(now_, wall);
    }
}

// ---- steps ----

// From a moment to minutes, each order of magnitude as often as any other.
std::uint64_t world::any_ttl_ms() {
    constexpr std::uint64_t magnitudes = 19;
    const std::uint64_t least = std::uint64_t{1} << random_.below(magnitudes);
    return least + random_.below(least);
}

std::uint64_t world::new_content() {
    const std::uint64_t number = next_content_++;
    return ttl_share_ > 0 && random_.chance(1, ttl_share_) ? number | (any_ttl_ms() << ttl_shift)
                                                           : number;
}

void world::change_ttl(sim_client& who, const std::string& topic) {
    // Not so often so short that nothing of the topic is ever delivered.
    const std::uint64_t ttl_ms = random_.chance(1, 2) ? std::max(any_ttl_ms(), any_ttl_ms()) : 0;
    note("ttl", ttl_ms);
    codec::topic_set what;
    what.topic = topic;
    what.settings = settings_of_topic(topic);
    what.settings.ttl = std::chrono::milliseconds(ttl_ms);
    model_.ttl_changed(topic, what.settings.ttl);
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "a time to live was refused");
}

// ---- looking ----

void world::look_at(sim_client& who, const std::string& topic, offset_t offset) {
    const auto shown = ask(who, codec::message_show{topic, offset});
    if (const auto* result = std::get_if<domain::show_result>(&shown->body)) {
        switch (model_.check_shown(topic, offset, result->message, now_)) {
            case ended_by::age: note("done of age", offset); break;
            case ended_by::sieve: note("sifted later", offset); break;
            case ended_by::bound: note("seen dropped", offset); break;
            case ended_by::nothing: break;
        }
        return;
    }
    const model_topic& of = model_.state.topics.at(topic);
    if (of.skipped.contains(offset) && offset >= of.trim) {
        const auto* refused = std::get_if<codec::error>(&shown->body);
        expect(refused != nullptr && refused->code == error_code::gone &&
                   refused->text.contains("was reserved and never stored"),
               "{}@{} has no message, and that is not said: {}", topic, offset,
               refused == nullptr ? "" : refused->text);
        note("skipped offset shown", offset);
    }
}

void world::check_dead(sim_client& who, const std::string& path) {
    const auto parsed = parse_queue_path(path);
    const auto listed = ask(who, codec::dead_list{.queue = path});
    const auto* page = std::get_if<codec::dead>(&listed->body);
    expect(page != nullptr, "a list of dead messages was refused");
    model_.check_dead(parsed->topic, parsed->queue, *page);
}

void world::look_at_doubts(sim_client& who, queue_id queue, const std::vector<lease_run>& runs) {
    std::vector<offset_t> doubtful;
    for (const lease_run& run : runs) {
        for (offset_t offset = run.first_offset; offset < run.first_offset + run.count; ++offset) {
            if (model_.is_in_doubt(queue, offset)) {
                doubtful.push_back(offset);
            }
        }
    }
    if (doubtful.empty()) {
        return;
    }
    note("doubt", doubtful.size());
    while (!fetches_.empty()) {
        answer_fetch(random_.below(fetches_.size()));
    }
    for (const offset_t offset : doubtful) {
        look_at(who, model_.owner_of(queue)->first, offset);
    }
}

void world::look_at_all_doubts(sim_client& who) {
    for (auto& [topic_name, topic] : model_.state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            for (auto& [offset, message] : queue.messages) {
                if (model_.may_have_ended(topic, queue, offset, message)) {
                    look_at(who, topic_name, offset);
                }
            }
        }
    }
}

// ---- the end ----

void world::rest() {
    // Longer than any lease, as one may have been in the way when its message was looked at.
    constexpr duration_us step = 500ms;
    constexpr int rounds = 36;
    leave_all();
    turn();
    // After a start with a clock that was set back, what was to be looked at comes later.
    const bool behind = model_.wall() < latest_wall_;
    const auto overdue = model_.overdue();
    if (overdue.empty()) {
        return;
    }
    for (int round = 0; round < rounds; ++round) {
        now_.mono += step;
        now_.wall += step;
        wants_commit_ = true;
        turn();
        finish_commit();
        while (!fetches_.empty()) {
            answer_fetch(0);
        }
    }
    auto& who = clients_.front();
    connect(who);
    for (const overdue_message& each : overdue) {
        look_at(who, each.topic, each.offset);
        const auto& queues = model_.state.topics.at(each.topic).queues;
        if (!queues.contains(each.queue)) {
            continue;  // a temporary one
        }
        const auto& queue = queues.at(each.queue);
        const message_state state = queue.messages.at(each.offset).state;
        expect(
            (behind && each.of_age) || state == message_state::done || state == message_state::dead,
            "{}/{}@{} is still {} though it was at rest for {} s: {}", each.topic, each.queue,
            each.offset, to_string(state), std::chrono::seconds(rounds * step / 1s).count(),
            model_.describe(queue.id, each.offset));
    }
    const auto aged =
        static_cast<std::uint64_t>(std::ranges::count(overdue, true, &overdue_message::of_age));
    if (aged > 0) {
        note(behind ? "rested behind" : "rested", aged);
    }
    if (aged < overdue.size()) {
        note("sifted at rest", overdue.size() - aged);
    }
}

}  // namespace brokerd::sim
