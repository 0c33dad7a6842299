// A map behind a shared mutex: the commit thread writes rarely, readers look up often.
#include "broker/storage/topic_table.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace brokerd::storage {

void topic_table::create(topic_id topic, std::string name, std::uint8_t lanes) {
    const std::unique_lock lock(mutex_);
    topic_facts& facts = topics_[topic];
    facts.name = std::move(name);
    facts.lanes = lanes;
}

void topic_table::remove(topic_id topic) {
    const std::unique_lock lock(mutex_);
    topics_.erase(topic);
}

void topic_table::append(topic_id topic, offset_t next_offset, wall_time time) {
    const std::unique_lock lock(mutex_);
    topic_facts& facts = topics_[topic];
    facts.next_offset = std::max(facts.next_offset, next_offset);
    facts.last_append = std::max(facts.last_append, time);
}

void topic_table::trim(topic_id topic, offset_t first) {
    const std::unique_lock lock(mutex_);
    const auto at = topics_.find(topic);
    if (at == topics_.end()) {
        return;  // removed
    }
    topic_facts& facts = at->second;
    facts.trim = std::max(facts.trim, first);
    facts.next_offset = std::max(facts.next_offset, first);
}

void topic_table::forget_ids(topic_id topic, wall_time before) {
    const std::unique_lock lock(mutex_);
    topics_[topic].ids_forgotten_before = before;
}

void topic_table::clear() {
    const std::unique_lock lock(mutex_);
    topics_.clear();
}

topic_facts topic_table::facts(topic_id topic) const {
    const std::shared_lock lock(mutex_);
    const auto found = topics_.find(topic);
    if (found != topics_.end()) {
        return found->second;
    }
    topic_facts removed;
    removed.trim = offset_end;
    removed.next_offset = offset_end;
    return removed;
}

std::uint8_t topic_table::lanes(topic_id topic) const {
    const std::shared_lock lock(mutex_);
    const auto found = topics_.find(topic);
    return found != topics_.end() ? found->second.lanes : topic_facts{}.lanes;
}

std::map<topic_id, topic_facts> topic_table::all() const {
    const std::shared_lock lock(mutex_);
    return topics_;
}

std::string topic_table::name_of(topic_id topic) const {
    const std::shared_lock lock(mutex_);
    const auto found = topics_.find(topic);
    return found != topics_.end() && !found->second.name.empty()
               ? found->second.name
               : fmt::format("topic {}", topic.value());
}

std::string topic_table::place(topic_id topic, offset_t offset) const {
    return fmt::format("{}@{}", name_of(topic), offset);
}

std::string topic_table::message_ids_place(topic_id topic) const {
    return fmt::format("message ids of {}", name_of(topic));
}

std::string topic_table::schedule_place(topic_id topic, std::uint64_t id) const {
    return fmt::format("schedule {} of {}", id, name_of(topic));
}

}  // namespace brokerd::storage
