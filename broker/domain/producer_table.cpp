// The windows of all producers.
#include "broker/domain/producer_table.hpp"

#include <algorithm>
#include <utility>

namespace brokerd::domain {

producer_entry* producer_table::find(const producer_key& key) {
    const auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : &at->second;
}

producer_entry& producer_table::make(const producer_key& key) {
    const auto [at, is_new] = entries_.try_emplace(key, key);
    if (is_new) {
        at->second.age = ages_.insert(ages_.end(), key);
    }
    return at->second;
}

producer_table::entry_map::iterator producer_table::remove(entry_map::iterator at) {
    ages_.erase(at->second.age);
    return entries_.erase(at);
}

std::optional<producer_erased> producer_table::record(const producer_key& key, std::uint64_t first,
                                                      std::uint64_t count, std::uint64_t value,
                                                      wall_time now, commit_number commit) {
    producer_entry& entry = make(key);
    ages_.splice(ages_.end(), ages_, entry.age);
    entry.window.record(first, count, value);
    entry.last_commit = commit;
    entry.last_used = now;
    if (!entry.changed) {
        entry.changed = true;
        changed_.push_back(key);
    }
    if (entries_.size() <= entries_max_) {
        return std::nullopt;
    }
    const auto oldest = entries_.find(ages_.front());
    producer_erased gone{.topic = oldest->first.topic,
                         .queue = oldest->first.queue,
                         .producer = oldest->first.producer,
                         .slots = oldest->second.window.slots_used()};
    remove(oldest);
    return gone;
}

void producer_table::remove_topic(topic_id topic) {
    for (auto at = entries_.lower_bound({topic, queue_id{}, producer_id{}});
         at != entries_.end() && at->first.topic == topic;) {
        at = remove(at);
    }
}

void producer_table::remove_queue(topic_id topic, queue_id queue) {
    for (auto at = entries_.lower_bound({topic, queue, producer_id{}});
         at != entries_.end() && at->first.topic == topic && at->first.queue == queue;) {
        at = remove(at);
    }
}

void producer_table::take_changes(std::vector<mutation>& out) {
    for (const producer_key& key : changed_) {
        producer_entry* entry = find(key);
        if (entry == nullptr || !entry->changed) {
            continue;  // removed, or removed and made again: then it is in the list twice
        }
        entry->changed = false;
        entry->window.take_changed([&](std::uint32_t slot, std::span<const producer_run> runs) {
            out.emplace_back(producer_put{.topic = key.topic,
                                          .queue = key.queue,
                                          .producer = key.producer,
                                          .slot = slot,
                                          .last_used = entry->last_used,
                                          .runs = {runs.begin(), runs.end()}});
        });
    }
    changed_.clear();
}

void producer_table::load(const producer_put& slot) {
    producer_entry& entry = make({slot.topic, slot.queue, slot.producer});
    entry.window.load(slot.slot, slot.runs);
    entry.last_used = std::max(entry.last_used, slot.last_used);
}

void producer_table::finish_load() {
    for (auto& [key, entry] : entries_) {
        entry.window.finish_load();
    }
    ages_.sort([&](const producer_key& a, const producer_key& b) {
        return entries_.at(a).last_used < entries_.at(b).last_used;
    });
}

}  // namespace brokerd::domain
