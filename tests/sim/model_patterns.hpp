// Pattern queues as the model sees them: the rules, what a pattern means, word by word, and how
// often a queue of a consumer was passed over while others had their turn.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "tests/sim/model_filter.hpp"

namespace brokerd::sim {

using holder = std::pair<connection_id, consumer_id>;

// Whether a topic of this name is meant.
[[nodiscard]] bool pattern_means(std::string_view pattern, std::string_view topic);
// Whether there may be a topic that both mean.
[[nodiscard]] bool may_mean_the_same(std::string_view one, std::string_view other);

struct model_rule {
    std::string topics;  // the pattern
    std::string queue;
    queue_mode mode = queue_mode::shared;
    queue_settings settings;  // with the text of the filter as the broker gives it back
    model_sieve sieve;
    std::uint64_t age = 0;  // the oldest one has the lowest

    [[nodiscard]] bool means(std::string_view topic) const { return pattern_means(topics, topic); }
};

// What consumers of pattern queues were given in a turn, and which of their queues was not.
struct model_turns {
    std::set<holder> takers;    // consumers of pattern queues
    std::set<queue_id> givers;  // queues that gave anything to anybody
    std::map<std::pair<holder, queue_id>, std::uint64_t> passed;  // in a row, while others gave
};

}  // namespace brokerd::sim
