// The rules of message ids: which publishes are stored and which were there before.
//
// An id is remembered for the window of its topic, and no longer. While the broker runs that is by
// monotonic time, from the wall time of its start on, or from the latest time stored. If the wall
// time of the next start is ahead of this, or that of an append before it, as the wall clock was
// set forward meanwhile, all ids are older by as much. So one that was there before may be
// `fading`: either answer is right.
#include <algorithm>
#include <chrono>

#include "tests/sim/model.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

std::string shown_id(const std::string& id) {
    return id.starts_with("id") ? id : fmt::format("of {} bytes", id.size());
}

}  // namespace

std::optional<std::string> id_of_content(std::uint64_t content) {
    constexpr std::size_t long_one = 255;
    const std::uint64_t number = content >> id_shift;
    switch (number) {
        case 0: return std::nullopt;
        case 1: return std::string("\0\xff", 2);
        case 2: return std::string(long_one, 'i');
        default: return fmt::format("id{}", number);
    }
}

known_as model::knows(const model_topic& topic, std::uint64_t content) {
    const auto id = id_of_content(content);
    if (!id || topic.id_window == duration_us{0}) {
        return known_as::fresh;
    }
    const auto at = topic.ids.find(*id);
    if (at == topic.ids.end() || at->second.gone) {
        return known_as::fresh;
    }
    return at->second.fading ? known_as::perhaps : known_as::known;
}

bool model::repeats(const model_topic& topic, std::uint64_t content, bool is_scheduled,
                    std::uint64_t base) {
    if (knows(topic, content) == known_as::fresh) {
        return false;
    }
    const model_id& first = topic.ids.at(*id_of_content(content));
    return first.scheduled == is_scheduled && first.value == base;
}

bool model::is_repeated(model_topic& to, producer_id producer, std::uint64_t first_sequence,
                        std::uint64_t content, bool is_scheduled,
                        const domain::publish_accepted& answer) {
    const std::pair sequence{producer.value(), first_sequence};
    const auto resent = to.sequences.find(sequence);
    if (producer.value() != 0 && resent != to.sequences.end()) {
        expect(answer.duplicate, "a resent batch was stored twice, at {} and {}", resent->second,
               answer.base_offset);
        expect(answer.base_offset == resent->second, "a resent batch is at {}, answered {}",
               resent->second, answer.base_offset);
        return true;
    }
    const known_as known = knows(to, content);
    if (!answer.duplicate) {
        expect(known != known_as::known, "a message with a known id was stored again, at {}",
               answer.base_offset);
        learn_id(to, content, is_scheduled, answer.base_offset);
        return false;
    }
    const auto told = to.repeated.find(sequence);
    if (producer.value() != 0 && told != to.repeated.end() && told->second == answer.base_offset) {
        return true;
    }
    expect(known != known_as::fresh,
           "a new batch, or one whose message id is forgotten, was taken for a resend");
    const model_id& first = to.ids.at(*id_of_content(content));
    expect(first.scheduled == is_scheduled, "an id of a {} was taken for that of a {}",
           first.scheduled ? "schedule" : "message", is_scheduled ? "schedule" : "message");
    expect(answer.base_offset == first.value,
           "a message with the id of {} was answered with {} as its first", first.value,
           answer.base_offset);
    id_marks_.push_back(first.old ? "message id again after a start" : "message id again");
    if (producer.value() != 0) {
        to.repeated[sequence] = answer.base_offset;
    }
    return true;
}

void model::learn_id(model_topic& to, std::uint64_t content, bool is_scheduled,
                     std::uint64_t value) {
    const auto id = id_of_content(content);
    if (!id || to.id_window == duration_us{0}) {
        return;
    }
    model_id& put = to.ids[*id];
    if (put.fading) {
        id_marks_.push_back("message id forgotten");
    }
    put = {};
    put.value = value;
    put.scheduled = is_scheduled;
    put.born = now_.mono;
    put.born_clock = wall_time{now_.mono.time_since_epoch() + id_clock_};
    put.since = now_.mono;
    id_marks_.push_back(is_scheduled ? "schedule with an id" : "message with an id");
}

// Time has gone on.
void model::age_ids() {
    const bool restarted = std::exchange(ids_restarted_, false);
    wall_time begins = now_.wall;
    if (restarted) {
        for (const auto& [name, topic] : state.topics) {
            begins = topic.appended.empty() ? begins : std::max(begins, topic.appended.back());
        }
        id_clock_ = begins.time_since_epoch() - now_.mono.time_since_epoch();
    }
    for (auto& [name, topic] : state.topics) {
        const duration_us window = topic.id_window;
        for (auto& [id, each] : topic.ids) {
            if (restarted) {
                each.since = now_.mono;
                each.old = true;
                each.gone = false;  // that may have been in a commit that was lost
                each.leapt = std::max<duration_us>(
                    each.leapt, (begins - each.born_clock) - (now_.mono - each.born));
            }
            each.fading = each.fading || each.age_max(now_.mono) >= window;
            each.gone = each.gone || now_.mono - each.since > window;
        }
    }
}

void model::id_window_changed(const std::string& topic, duration_us window) {
    auto& of = state.topics.at(topic);
    of.id_window = window;
    for (auto& [id, each] : of.ids) {
        each.fading = each.fading || each.age_max(now_.mono) >= window;
    }
}

void model::id_refused(const std::string& topic, std::uint64_t content, bool is_scheduled,
                       const failure& why) const {
    const auto& of = state.topics.at(topic);
    const auto id = id_of_content(content);
    expect(id.has_value(), "a publish was refused: {}", why.text);
    expect(knows(of, content) != known_as::fresh && of.ids.at(*id).scheduled != is_scheduled,
           "a message with the id {} was refused without reason: {}", shown_id(*id), why.text);
    expect(why.code == error_code::invalid_argument && why.text.contains(topic) &&
               (!id->starts_with("id") || why.text.contains(*id)),
           "a {} with the id {} of a {} is refused, but not with that reason: {}",
           is_scheduled ? "schedule" : "message", shown_id(*id),
           is_scheduled ? "message" : "schedule", why.text);
}

bool model::has_id_conflict(const model_transaction& what, bool possible) const {
    std::map<std::pair<std::string, std::string>, bool> used;  // by the transaction: by a schedule
    for (const auto& publish : what.publishes) {
        const auto at = state.topics.find(publish.topic);
        const std::uint64_t content = publish.contents.front();
        const auto id = id_of_content(content);
        if (!id || at == state.topics.end() || at->second.id_window == duration_us{0}) {
            continue;
        }
        const bool is_scheduled = publish.later.has_value();
        const known_as known = knows(at->second, content);
        const bool differs =
            known != known_as::fresh && at->second.ids.at(*id).scheduled != is_scheduled;
        const auto [first, is_first] = used.try_emplace({publish.topic, *id}, is_scheduled);
        if ((differs && (known == known_as::known || possible)) ||
            (!is_first && first->second != is_scheduled)) {
            return true;
        }
    }
    return false;
}

}  // namespace brokerd::sim
