// Temporary queues: which are to go, and which to stay. For one thread.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"

namespace brokerd::crash {

class temporary_ledger {
public:
    explicit temporary_ledger(findings& told) : told_(told) {}

    void to_go(const std::string& queue) { going_.insert(queue); }
    // As long as its consumer is there, or its time is not over.
    void to_stay(const std::string& queue) { staying_.insert(queue); }

    // Those that are there, at any time.
    void audit_staying(const std::set<std::string>& there) const {
        for (const auto& queue : staying_) {
            if (!there.contains(queue)) {
                told_.tell(fmt::format("{} is gone, and was in use or not over", queue));
            }
        }
    }
    // How many are there that have to go.
    [[nodiscard]] std::size_t left(const std::set<std::string>& there) const {
        std::size_t count = 0;
        for (const auto& queue : going_) {
            count += there.contains(queue) ? 1U : 0U;
        }
        return count;
    }
    // Long after nobody used any of them.
    void audit_gone(const std::set<std::string>& there) const {
        for (const auto& queue : going_) {
            if (there.contains(queue)) {
                told_.tell(fmt::format("{} is unused and does not go", queue));
            }
        }
    }

    [[nodiscard]] std::size_t going_count() const { return going_.size(); }

private:
    findings& told_;
    std::set<std::string> going_;
    std::set<std::string> staying_;
};

}  // namespace brokerd::crash
