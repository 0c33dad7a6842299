// At most so many of something per second, and a count of what was left out: for log entries that
// strangers can cause. One owner at a time. Header only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "protocol/types/time.hpp"

namespace brokerd::base {

class rate_limit {
public:
    explicit constexpr rate_limit(std::uint32_t per_second) : per_second_(per_second) {}

    // The number of those suppressed since the last one allowed, or nothing: suppress this one too.
    [[nodiscard]] std::optional<std::uint64_t> allow(mono_time now) {
        if (now - since_ >= std::chrono::seconds{1}) {
            since_ = now;
            used_ = 0;
        }
        if (used_ >= per_second_) {
            ++suppressed_;
            return std::nullopt;
        }
        ++used_;
        const auto left_out = suppressed_;
        suppressed_ = 0;
        return left_out;
    }

private:
    std::uint32_t per_second_;
    std::uint32_t used_ = 0;
    std::uint64_t suppressed_ = 0;
    mono_time since_{};
};

}  // namespace brokerd::base
