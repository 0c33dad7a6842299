// What a store keeps in memory about each topic: its name for messages to people, its lanes, its
// trim point, its end. Changed by the commit thread only; any thread may ask.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <shared_mutex>
#include <string>
#include <vector>

#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::storage {

// Topics of before there were priorities have one lane.
[[nodiscard]] inline std::uint8_t lanes_of(const topic_settings& settings) {
    return std::clamp<std::uint8_t>(settings.priorities, 1, limits::priorities_max);
}

struct topic_facts {
    std::string name;
    std::uint8_t lanes = 1;            // of the log: levels of priority
    offset_t trim = 0;                 // nothing below is readable
    offset_t next_offset = 0;          // behind the last chunk, at least the trim point
    wall_time last_append{};           // times of a topic never run backwards
    wall_time ids_forgotten_before{};  // as it was when the table was read
};

class topic_table {
public:
    void create(topic_id topic, std::string name, std::uint8_t lanes);
    void remove(topic_id topic);
    void append(topic_id topic, offset_t next_offset, wall_time time);
    void trim(topic_id topic, offset_t first);
    void forget_ids(topic_id topic, wall_time before);
    void clear();

    // Facts of a topic that is not there: nothing readable.
    [[nodiscard]] topic_facts facts(topic_id topic) const;
    [[nodiscard]] std::uint8_t lanes(topic_id topic) const;
    [[nodiscard]] std::map<topic_id, topic_facts> all() const;
    // `orders@812`, for texts.
    [[nodiscard]] std::string place(topic_id topic, offset_t offset) const;
    // `message ids of orders`
    [[nodiscard]] std::string message_ids_place(topic_id topic) const;
    // `schedule 7 of orders`
    [[nodiscard]] std::string schedule_place(topic_id topic, std::uint64_t id) const;

private:
    // `orders`, or `topic 3` if it has no name any more.
    [[nodiscard]] std::string name_of(topic_id topic) const;

    mutable std::shared_mutex mutex_;
    std::map<topic_id, topic_facts> topics_;  // guarded by mutex_
};

}  // namespace brokerd::storage
