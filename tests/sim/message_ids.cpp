// What the simulated clients do with message ids: they choose among few, so that many messages come
// again, from the same client or another, at once, for later or in a transaction. With random
// numbers of their own, so that runs without any are as they were.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

void world::give_id(pending_publish& to) {
    constexpr std::uint64_t ids = 10;
    if (ids_ && id_random_.chance(1, 4)) {
        to.contents.resize(1);
        to.contents.front() |= (1 + id_random_.below(ids)) << id_shift;
    }
}

// What waits to be decided is decided before.
void world::change_window(sim_client& who) {
    constexpr duration_us windows[] = {0s, 1s, 5s, 20s, 60s, 24h};
    const std::string topic = id_random_.chance(1, 2) ? "a" : "b";
    if (!model_.state.topics.contains(topic)) {
        return;
    }
    while (!fetches_.empty()) {
        answer_fetch(id_random_.below(fetches_.size()));
    }
    codec::topic_set what;
    what.topic = topic;
    what.settings = settings_of_topic(topic);
    what.settings.message_id_window = windows[id_random_.below(std::size(windows))];
    note(what.settings.message_id_window == 0s ? "ids not looked at" : "window of ids",
         static_cast<std::uint64_t>(what.settings.message_id_window.count()));
    model_.id_window_changed(topic, what.settings.message_id_window);
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "a window of message ids was refused");
}

void world::note_id_marks() {
    for (const char* mark : model_.take_id_marks()) {
        note(mark);
    }
}

}  // namespace brokerd::sim
