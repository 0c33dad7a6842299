// What the simulated clients do with schedules, what they are told about them, and how well the
// world knows the domain's wall clock.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

// ---- the clock ----

void world::start_wall_clock() {
    ahead_min_ = now_.wall.time_since_epoch() - now_.mono.time_since_epoch();
    ahead_max_ = ahead_min_;
}

void world::note_wall_clock() {
    const duration_us ahead = now_.wall.time_since_epoch() - now_.mono.time_since_epoch();
    ahead_min_ = std::min(ahead_min_, ahead);
    ahead_max_ = std::max(ahead_max_, ahead);
}

wall_time world::wall_min() const {
    return wall_time{now_.mono.time_since_epoch() + ahead_min_};
}

wall_time world::wall_max() const {
    return wall_time{now_.mono.time_since_epoch() + ahead_max_};
}

// ---- steps ----

domain::schedule_time world::any_schedule_time() {
    const auto up_to = [&](duration_us most) {
        return duration_us{random_.between(0, most.count())};
    };
    const std::uint64_t dice = random_.below(10);
    if (dice < 6) {
        return {.delay = up_to(4s)};
    }
    if (dice < 8) {
        return {.delay = dice < 7 ? duration_us{0} : up_to(5min)};  // beyond the horizon of memory
    }
    const wall_time about = dice < 9 ? wall_min() : now_.wall;
    return {.due = about + duration_us{random_.between(-120'000'000, 120'000'000)}};
}

void world::do_schedule(sim_client& who) {
    if (auto what = new_batch(who, 3)) {
        what->later = any_schedule_time();
        send_publish(who, *std::move(what));
    }
}

// One that waits, most of the time; else one that is gone, or never was.
std::uint64_t world::any_schedule(const model_topic& of) {
    std::vector<std::uint64_t> waiting;
    for (const auto& [id, each] : of.schedules) {
        if (each.waits()) {
            waiting.push_back(id);
        }
    }
    if (!waiting.empty() && random_.chance(2, 3)) {
        return waiting[random_.below(waiting.size())];
    }
    if (of.schedules.empty() || random_.chance(1, 4)) {
        return 1'000'000 + random_.below(10);
    }
    return std::next(of.schedules.begin(),
                     static_cast<std::ptrdiff_t>(random_.below(of.schedules.size())))
        ->first;
}

void world::do_cancel(sim_client& who) {
    named_schedules what{any_topic(), {}};
    if (!model_.state.topics.contains(what.topic)) {
        return;
    }
    for (std::uint64_t i = 1 + random_.below(4); i > 0; --i) {
        what.ids.push_back(any_schedule(model_.state.topics.at(what.topic)));
    }
    if (random_.chance(1, 4)) {
        what.ids.push_back(what.ids.front());
    }
    const std::uint32_t id = next_request_++;
    cancels_[id] = what;
    apply(domain::request{who.connection, id,
                          codec::schedule_cancel{std::move(what.topic), std::move(what.ids)}});
    settle_outputs();
}

void world::do_list(sim_client& who) {
    codec::schedule_list what;
    what.topic = any_topic();
    what.limit = static_cast<std::uint32_t>(1 + random_.below(4));
    if (!model_.state.topics.contains(what.topic)) {
        return;
    }
    if (random_.chance(1, 3)) {  // a page, answered when the store likes
        lists_[next_request_] = {what, model_.newest_schedule(what.topic)};
        apply(domain::request{who.connection, next_request_++, what});
        settle_outputs();
        return;
    }
    bool more = true;
    for (int pages = 0; more; ++pages) {
        expect(pages < 1000, "a list of schedules comes to no end");
        lists_[next_request_] = {what, model_.newest_schedule(what.topic)};
        const auto reply = ask(who, what);
        const auto& page = std::get<codec::schedules>(reply->body);
        more = page.more;
        if (!page.items.empty()) {
            what.after_due = page.items.back().due;
            what.after_id = page.items.back().id;
        }
    }
    check_totals(who);
}

// All that was appended is in a commit before they are asked for.
void world::check_totals(sim_client& who) {
    finish_commit();
    wants_commit_ = true;
    turn();
    const auto reply = ask(who, codec::topic_list{});
    for (const auto& item : std::get<codec::topics>(reply->body).items) {
        const std::uint64_t expected = model_.scheduled_messages(item.name);
        expect(item.scheduled == expected, "{} has {} messages scheduled, the model says {}",
               item.name, item.scheduled, expected);
        const duration_us ttl = model_.state.topics.at(item.name).ttl;
        expect(item.settings.ttl == ttl, "{} has a time to live of {} us, the model says {}",
               item.name, item.settings.ttl.count(), ttl.count());
        expect(item.settings == settings_of_topic(item.name), "{} has other settings", item.name);
        const model_topic& of = model_.state.topics.at(item.name);
        expect(item.messages == of.place(item.next_offset) - of.place(item.first_offset),
               "{} has {} messages from {} to {}", item.name, item.messages, item.first_offset,
               item.next_offset);
        model_.check_topic(item);
    }
}

// ---- answers ----

void world::observe_schedules(const domain::output& what) {
    if (const auto sent = cancels_.find(what.request); sent != cancels_.end()) {
        const auto* answer = std::get_if<codec::counted>(&what.body);
        expect(answer != nullptr, "a cancel was refused");
        note(answer->messages > 0 ? "cancelled" : "nothing to cancel", answer->messages);
        const auto certain =
            model_.cancelled(sent->second.topic, sent->second.ids, answer->messages);
        cancelled_[what.request] = {sent->second.topic, {certain.begin(), certain.end()}};
        cancels_.erase(sent);
    } else if (const auto asked = lists_.find(what.request); asked != lists_.end()) {
        const auto* page = std::get_if<codec::schedules>(&what.body);
        expect(page != nullptr, "a list of schedules was refused");
        note("listed", page->items.size());
        model_.listed(asked->second.what, asked->second.newest, *page);
        lists_.erase(asked);
    }
}

void world::receive_cancelled(std::uint64_t request) {
    const auto at = cancelled_.find(request);
    if (at == cancelled_.end()) {
        return;
    }
    const auto topic = model_.state.topics.at(at->second.topic).id.value();
    for (const std::uint64_t id : at->second.ids) {
        told_.emplace(topic, id);
    }
    cancelled_.erase(at);
}

// The broker went down: nobody answers what is on its way.
void world::lose_schedules() {
    cancels_.clear();
    cancelled_.clear();
    lists_.clear();
}

// What the state the broker comes back with knows of what clients were told.
void world::check_kept_schedules() const {
    for (const auto& [name, topic] : model_.state.topics) {
        for (const auto& [topic_number, id] : kept_) {
            expect(topic_number != topic.id.value() || topic.schedules.contains(id),
                   "schedule {} of {} was acknowledged and is lost", id, name);
        }
        for (const auto& [topic_number, id] : told_) {
            expect(topic_number != topic.id.value() ||
                       (topic.schedules.contains(id) &&
                        topic.schedules.at(id).fate == schedule_fate::cancelled),
                   "that schedule {} of {} was cancelled is undone", id, name);
        }
    }
}

}  // namespace brokerd::sim
