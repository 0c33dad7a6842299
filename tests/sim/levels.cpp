// Topics with levels of priority, and messages with priorities: which ones they are given, batches
// that mix levels, and that the levels of a topic stay as they are. With random numbers of their
// own, so that runs without any are as they were.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {
namespace {

constexpr std::uint64_t priorities = limits::priorities_max;  // 0 to 9

}  // namespace

std::uint8_t world::any_levels() {
    constexpr std::uint8_t numbers[] = {0, 1, 2, 2, 3, 3, 10, 10};
    return levels_ ? numbers[level_random_.below(std::size(numbers))] : std::uint8_t{0};
}

// Where there is one level, any priority goes with any other.
void world::give_priority(pending_publish& to) {
    if (!levels_ || level_random_.chance(1, 4)) {
        return;
    }
    const auto of = model_.state.topics.find(to.topic);
    const std::uint64_t levels = of == model_.state.topics.end() ? 1 : of->second.levels;
    const std::uint64_t level = level_random_.below(levels);
    const bool mixed = to.contents.size() > 1 && level_random_.chance(1, 8);
    for (std::uint64_t& content : to.contents) {
        const std::uint64_t priority = mixed ? level_random_.below(priorities)
                                       : level + 1 == levels
                                           ? level + level_random_.below(priorities - level)
                                           : level;
        content = with_priority(content, priority);
    }
    if (levels == 1) {
        note("priority without levels");
    } else if (priority_of_content(to.contents.front()) >= levels) {
        note("priority above the highest");
    }
}

void world::unmix(const sim_client& who, pending_publish& what) {
    const std::uint8_t priority = priority_of_content(what.contents.front());
    for (std::uint64_t& content : what.contents) {
        content = with_priority(content, priority);
    }
    what.batch = make_batch(what.contents, who.producer, what.sequence);
}

bool world::is_mixed(const pending_publish& what) const {
    const auto of = model_.state.topics.find(what.topic);
    return of != model_.state.topics.end() && of->second.mixes_levels(what.contents);
}

// Nothing changes.
void world::set_levels(sim_client& who) {
    const auto topic =
        std::next(model_.state.topics.begin(),
                  static_cast<std::ptrdiff_t>(level_random_.below(model_.state.topics.size())));
    const std::string name = topic->first;
    const std::uint8_t levels = topic->second.levels;
    const auto asked = static_cast<std::uint8_t>(level_random_.below(priorities + 2));
    const bool same = asked == 0 || asked == levels;
    topic_settings settings = settings_of_topic(name);
    settings.priorities = asked;
    if (level_random_.chance(1, 3) && asked <= priorities) {
        codec::topic_create again;
        again.topic = name;
        again.settings = settings;
        const auto reply = ask(who, again);
        const auto* told = std::get_if<codec::topic_created>(&reply->body);
        expect(told != nullptr && !told->created && told->settings.priorities == levels,
               "{} is made again, or said to have other levels", name);
        expect(told->differing.empty() == same, "{} differs in {} settings from what was asked for",
               name, told->differing.size());
        return;
    }
    codec::topic_set what;
    what.topic = name;
    what.settings = settings;
    const auto reply = ask(who, what);
    if (same) {
        expect(std::holds_alternative<codec::ok>(reply->body), "{} may not stay as it is", name);
        return;
    }
    const auto* refused = std::get_if<codec::error>(&reply->body);
    expect(refused != nullptr && refused->code == error_code::invalid_setting,
           "{} may have {} levels after it was made with {}", name, asked, levels);
    note("levels refused", asked);
}

void world::note_level_marks() {
    for (const char* mark : model_.take_level_marks()) {
        note(mark);
    }
}

}  // namespace brokerd::sim
