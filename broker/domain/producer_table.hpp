// The windows of all producers, the least recently used of which go when there are too many. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "broker/domain/producer_window.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

struct producer_key {
    topic_id topic;  // 0: transactions
    queue_id queue;  // 0: publishes to the topic; else confirmed settles of this queue
    producer_id producer;
    constexpr auto operator<=>(const producer_key&) const = default;
};

struct producer_entry {
    explicit producer_entry(const producer_key& key)
        : window(key.queue == queue_id{} ? producer_window::content::offsets
                                         : producer_window::content::outcomes) {}

    producer_window window;
    commit_number last_commit;  // a duplicate's reply depends on it
    wall_time last_used{};
    bool changed = false;
    std::list<producer_key>::iterator age;
};

class producer_table {
public:
    explicit producer_table(std::size_t entries_max) : entries_max_(entries_max) {}

    [[nodiscard]] producer_entry* find(const producer_key& key);
    // Remembers sequences that are fresh; makes the window if need be. Returns what must go for it.
    std::optional<producer_erased> record(const producer_key& key, std::uint64_t first,
                                          std::uint64_t count, std::uint64_t value, wall_time now,
                                          commit_number commit);
    // The windows go with their topic or queue.
    void remove_topic(topic_id topic);
    void remove_queue(topic_id topic, queue_id queue);

    [[nodiscard]] bool changed() const { return !changed_.empty(); }
    // Appends the slots that changed since the last call.
    void take_changes(std::vector<mutation>& out);

    void load(const producer_put& slot);
    void finish_load();
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    using entry_map = std::map<producer_key, producer_entry>;

    producer_entry& make(const producer_key& key);
    entry_map::iterator remove(entry_map::iterator at);

    std::size_t entries_max_;
    entry_map entries_;
    std::list<producer_key> ages_;       // least recently used first
    std::vector<producer_key> changed_;  // some may be gone
};

}  // namespace brokerd::domain
