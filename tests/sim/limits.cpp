// Topics with bounds: which they are given, how they change, a topic that no queue reads, and what
// publishers are told. With random numbers of its own, so that runs without any are as they were.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

constexpr const char* unread_topic = "c";
constexpr const char* late_queue = "c/late";

void put_bounds(topic_settings& to, const model_bounds& what) {
    to.keep_done = what.keep_done;
    to.keep_done_bytes = what.keep_done_bytes;
    to.max_bytes = what.max_bytes;
    to.max_messages = what.max_messages;
    to.when_full = what.when_full;
    to.max_age = what.max_age;
}

}  // namespace

// ---- what is asked for ----

// Each order of magnitude as often as any other.
model_bounds world::any_bounds() {
    constexpr std::uint64_t messages_max = 200;
    constexpr std::uint64_t magnitudes = 8;
    const auto any_magnitude = [&] {
        const std::uint64_t least = std::uint64_t{1} << limit_random_.below(magnitudes);
        return least + limit_random_.below(least);
    };
    model_bounds made;
    if (limit_random_.chance(2, 3)) {
        made.max_messages = std::min(std::max(any_magnitude(), any_magnitude()), messages_max);
    }
    if (limit_random_.chance(1, 3)) {
        made.max_bytes = limits::topic_bytes_min +
                         limit_random_.below(limits::topic_bytes_min << limit_random_.below(2));
    }
    made.when_full = limit_random_.chance(1, 2) ? full_policy::drop_oldest : full_policy::refuse;
    if (limit_random_.chance(1, 3)) {
        made.max_age = std::chrono::seconds(any_magnitude());
    }
    if (limit_random_.chance(1, 4)) {
        made.keep_done = std::chrono::seconds(limit_random_.below(60));
    }
    if (limit_random_.chance(1, 4)) {
        made.keep_done_bytes = limit_random_.below(2 * limits::topic_bytes_min);
    }
    return made;
}

// ---- steps ----

void world::make_topic(sim_client& who, const std::string& topic) {
    if (model_.state.topics.contains(topic)) {
        return;
    }
    const model_bounds bounds = limits_ ? any_bounds() : model_bounds{};
    codec::topic_create create;
    create.topic = topic;
    put_bounds(create.settings, bounds);
    create.settings.priorities = any_levels();
    const std::size_t mark = effects_.mutations.size();
    const auto reply = ask(who, create);
    const auto* created = std::get_if<codec::topic_created>(&reply->body);
    expect(created != nullptr && created->created, "topic {} could not be created", topic);
    learn_topic(topic, created->topic, mark, create.settings.priorities);
    if (limits_) {
        note("topic with bounds", bounds.max_messages);
        model_.bounds_changed(topic, bounds);
    }
}

void world::change_bounds(sim_client& who, const std::string& topic, const model_bounds& to) {
    codec::topic_set what;
    what.topic = topic;
    what.settings = settings_of_topic(topic);
    put_bounds(what.settings, to);
    model_.bounds_changed(topic, to);
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "bounds of {} were refused", topic);
}

// Nothing changes.
void world::try_bad_bounds(sim_client& who, const std::string& topic) {
    codec::topic_set what;
    what.topic = topic;
    what.settings = settings_of_topic(topic);
    switch (limit_random_.below(3)) {
        case 0:
            what.settings.max_bytes = 1 + limit_random_.below(limits::topic_bytes_min - 1);
            break;
        case 1: what.settings.max_age = 1ms; break;
        default: what.settings.when_full = static_cast<full_policy>(3); break;
    }
    const auto reply = ask(who, what);
    const auto* refused = std::get_if<codec::error>(&reply->body);
    expect(refused != nullptr && refused->code == error_code::invalid_setting,
           "{} may have bounds that are none", topic);
    note("bounds refused");
}

// To the topic that has no queue most of the time.
void world::publish_unread(sim_client& who) {
    make_topic(who, unread_topic);
    pending_publish what;
    what.topic = unread_topic;
    for (std::uint64_t left = 1 + limit_random_.below(5); left > 0; --left) {
        what.contents.push_back(new_content());
    }
    give_priority(what);
    auto& next = who.next_sequence.try_emplace(what.topic, 1).first->second;
    what.sequence = next;
    next += what.contents.size();
    what.batch = make_batch(what.contents, who.producer, what.sequence);
    send_publish(who, std::move(what));
}

void world::do_limits(sim_client& who) {
    const std::uint64_t dice = limit_random_.below(20);
    if (dice < 10) {
        publish_unread(who);
        return;
    }
    if (dice < 12) {
        const auto paths = queue_paths();
        await_transactions();
        if (std::ranges::find(paths, late_queue) != paths.end()) {
            remove_queue(who, late_queue);
        } else if (model_.state.topics.contains(unread_topic) &&
                   model_.state.topics.at(unread_topic).queues.empty()) {
            make_queue(who, late_queue);
        }
        return;
    }
    const auto topic =
        std::next(model_.state.topics.begin(),
                  static_cast<std::ptrdiff_t>(limit_random_.below(model_.state.topics.size())));
    if (dice < 13) {
        try_bad_bounds(who, topic->first);
    } else if (dice < 17) {
        const model_bounds to = limit_random_.chance(1, 5) ? model_bounds{} : any_bounds();
        note("bounds changed", to.max_messages);
        change_bounds(who, std::string(topic->first), to);
    } else {
        check_totals(who);
    }
}

void world::relax_bounds(sim_client& who) {
    constexpr std::uint64_t batch_max = 5;
    for (const auto& [name, topic] : model_.state.topics) {
        model_bounds to = topic.limits.bounds;
        to.keep_done = 0s;
        to.keep_done_bytes = 0;
        if (topic.queues.empty()) {
            to = {};
        } else if (to.max_messages > 0) {
            to.max_messages = std::max(to.max_messages, batch_max);
        }
        change_bounds(who, name, to);
    }
}

// ---- answers ----

void world::observe_full(const sent_publish& made, const failure& why) {
    const pending_publish& sent = made.what;
    model_.refused_as_full(sent.topic, made.producer, sent.sequence, sent.contents,
                           sent.later.has_value(), why);
    note_limit_marks();
    expect(why.text.contains(sent.topic), "a refusal of {} does not name it: {}", sent.topic,
           why.text);
    if (why.code == error_code::topic_full) {
        const auto warnings = domain_->warnings(now_);
        expect(std::ranges::any_of(
                   warnings,
                   [&](const std::string& each) { return each.contains("topic " + sent.topic); }),
               "nobody is warned that {} is full", sent.topic);
    }
}

void world::note_limit_marks() {
    for (const char* mark : model_.take_limit_marks()) {
        note(mark);
    }
}

// For the log: all that was dropped is told, and not too often. Behind a commit that was sealed.
void world::check_drop_notices() {
    constexpr duration_us told_again = 10s;
    take_drop_notices();
    for (const auto& [each, at] : std::exchange(drop_notices_, {})) {
        note("drops told", each.messages);
        const model_limits& known = model_.state.topics.at(each.topic).limits;
        expect(each.messages > 0 && each.messages <= each.in_all && each.in_all <= known.dropped,
               "{} is told to have dropped {} of {} messages, it has {}", each.topic, each.messages,
               each.in_all, known.dropped);
        const auto [last, first] = drops_told_.try_emplace(each.topic, at);
        // What is left is told at once when the bounds go, as nobody looks at it again.
        const bool ends =
            !known.bounds.is_set() ||
            std::ranges::any_of(known.earlier, [](const auto& bounds) { return !bounds.is_set(); });
        expect(first || ends || at - last->second >= told_again, "{} tells what it dropped at once",
               each.topic);
        last->second = at;
    }
}

void world::take_drop_notices() {
    for (domain::drop_notice& each : domain_->take_drop_notices()) {
        drop_notices_.emplace_back(std::move(each), now_.mono);
    }
}

}  // namespace brokerd::sim
