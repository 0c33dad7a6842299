// What a pattern queue has to reach: a queue in each topic that was made, and each message of it.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"

namespace brokerd::crash {

class pattern_ledger {
public:
    pattern_ledger(std::string pattern, findings& told)
        : pattern_(std::move(pattern)), told_(told) {}

    // A topic of the pattern is there. Whether it has its queue is known from then on.
    void made(const std::string& topic, bool with_queue) {
        const std::scoped_lock lock(mutex_);
        topics_.try_emplace(topic);
        if (!with_queue) {
            told_.tell(fmt::format("{} was made without its queue of {}", topic, pattern_));
        }
    }

    void delivered(const std::string& topic, std::uint64_t offset) {
        const std::scoped_lock lock(mutex_);
        ++delivered_;
        const auto at = topics_.find(topic);
        if (at == topics_.end()) {
            told_.tell(fmt::format("{}: {}@{} came, of a topic that nobody made", pattern_, topic,
                                   offset));
            return;
        }
        at->second.insert(offset);
    }

    // When nothing is left: the topics in which the pattern has a queue.
    void audit_queues(const std::set<std::string>& there) const {
        const std::scoped_lock lock(mutex_);
        for (const auto& [topic, came] : topics_) {
            if (!there.contains(topic)) {
                told_.tell(fmt::format("{} has lost its queue of {}", topic, pattern_));
            }
        }
        for (const auto& topic : there) {
            if (!topics_.contains(topic)) {
                told_.tell(fmt::format("{} has a queue of {} and nobody made it", topic, pattern_));
            }
        }
    }
    // All messages of one topic.
    void audit(const std::string& topic,
               const std::map<std::uint64_t, std::uint64_t>& stored) const {
        const std::scoped_lock lock(mutex_);
        const auto at = topics_.find(topic);
        for (const auto& [offset, content] : stored) {
            if (at == topics_.end() || !at->second.contains(offset)) {
                told_.tell(
                    fmt::format("{}: {}@{} with {} never came", pattern_, topic, offset, content));
            }
        }
    }

    [[nodiscard]] std::size_t topic_count() const {
        const std::scoped_lock lock(mutex_);
        return topics_.size();
    }
    [[nodiscard]] std::size_t delivered_count() const {
        const std::scoped_lock lock(mutex_);
        return delivered_;
    }

private:
    std::string pattern_;
    findings& told_;
    mutable std::mutex mutex_;
    std::map<std::string, std::set<std::uint64_t>> topics_;  // what came, by topic
    std::size_t delivered_ = 0;
};

}  // namespace brokerd::crash
