// What became of messages with ids: the first publish of an id decides, all others have its offset.
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/types.hpp>

namespace brokerd::crash {

class id_ledger {
public:
    id_ledger(std::string topic, findings& told) : topic_(std::move(topic)), told_(told) {}

    void submitted(const std::string& id) {
        const std::scoped_lock lock(mutex_);
        ++submits_;
        submitted_.insert(id);
    }

    void answered(const std::string& id, std::uint64_t offset, bool duplicate) {
        const std::scoped_lock lock(mutex_);
        ++answers_;
        duplicates_ += duplicate ? 1U : 0U;
        const auto [at, fresh] = offsets_.try_emplace(id, offset);
        if (at->second != offset) {
            told_.tell(fmt::format("{}: id {} is at {} and was answered with {}", topic_, id,
                                   at->second, offset));
        }
        if (!duplicate && !new_.insert(id).second) {
            told_.tell(fmt::format("{}: id {} was new twice", topic_, id));
        }
    }

    // The whole topic, when every publish has its answer.
    void audit(const std::vector<stored_message>& stored) {
        const std::scoped_lock lock(mutex_);
        std::map<std::string, std::uint64_t> places;
        for (const auto& each : stored) {
            const auto [at, once] = places.try_emplace(each.id, each.offset);
            if (!once) {
                told_.tell(fmt::format("{}: id {} is stored at {} and {}", topic_, each.id,
                                       at->second, each.offset));
            }
            if (!submitted_.contains(each.id) || !each.payload.starts_with(each.id + ' ')) {
                told_.tell(fmt::format("{}@{} has id {} and payload {}, which nobody published",
                                       topic_, each.offset, each.id, each.payload));
            }
        }
        for (const std::string& id : submitted_) {
            const auto told = offsets_.find(id);
            const auto at = places.find(id);
            if (told == offsets_.end()) {
                told_.tell(fmt::format("{}: id {} was never acknowledged", topic_, id));
            } else if (at == places.end()) {
                told_.tell(fmt::format("{}: id {} is lost", topic_, id));
            } else if (at->second != told->second) {
                told_.tell(fmt::format("{}: id {} was answered with {} and lies at {}", topic_, id,
                                       told->second, at->second));
            }
        }
    }

    [[nodiscard]] std::size_t unanswered() const {
        const std::scoped_lock lock(mutex_);
        return submits_ - answers_;
    }
    [[nodiscard]] std::string summary() const {
        const std::scoped_lock lock(mutex_);
        return fmt::format("{} publishes of {} ids, {} duplicates", submits_, submitted_.size(),
                           duplicates_);
    }

private:
    std::string topic_;
    findings& told_;
    mutable std::mutex mutex_;
    std::size_t submits_ = 0;
    std::size_t answers_ = 0;
    std::size_t duplicates_ = 0;
    std::set<std::string> submitted_;
    std::set<std::string> new_;
    std::map<std::string, std::uint64_t> offsets_;
};

}  // namespace brokerd::crash
