// Which messages a queue has to give out, and which not: of a filter, a part of a log, a clone, a
// queue that was moved. For one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"

namespace brokerd::crash {

class visit_ledger {
public:
    visit_ledger(std::string queue, findings& told) : queue_(std::move(queue)), told_(told) {}

    // Has to come, at least once.
    void expect(std::uint64_t offset) { set(offset, state::awaited); }
    // May come or not.
    void perhaps(std::uint64_t offset) { set(offset, state::perhaps); }
    // Must not come any more.
    void done(std::uint64_t offset) { set(offset, state::done); }
    void done_below(std::uint64_t end) {
        for (auto& [offset, is] : states_) {
            if (offset < end && is == state::awaited) {
                --awaited_;
            }
            is = offset < end ? state::done : is;
        }
    }

    void delivered(std::uint64_t offset) {
        ++delivered_;
        const auto at = states_.find(offset);
        if (at == states_.end()) {
            told_.tell(fmt::format("{}: {} came and is not for it", queue_, offset));
        } else if (at->second == state::done) {
            told_.tell(fmt::format("{}: {} was done for sure and came", queue_, offset));
        } else if (at->second == state::awaited) {
            at->second = state::seen;
            --awaited_;
        }
    }

    [[nodiscard]] std::size_t missing() const { return awaited_; }
    [[nodiscard]] std::size_t delivered_count() const { return delivered_; }

    // When nothing is left in the queue.
    void audit() const {
        for (const auto& [offset, is] : states_) {
            if (is == state::awaited) {
                told_.tell(fmt::format("{}: {} never came", queue_, offset));
            }
        }
    }

private:
    enum class state : std::uint8_t { awaited, seen, perhaps, done };

    void set(std::uint64_t offset, state to) {
        const auto [at, fresh] = states_.try_emplace(offset, to);
        if (!fresh && at->second == state::awaited) {
            --awaited_;
        }
        awaited_ += to == state::awaited ? 1U : 0U;
        at->second = to;
    }

    std::string queue_;
    findings& told_;
    std::map<std::uint64_t, state> states_;
    std::size_t awaited_ = 0;
    std::size_t delivered_ = 0;
};

}  // namespace brokerd::crash
