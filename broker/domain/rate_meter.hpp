// Events per second, averaged over the last ten whole seconds. Header only; pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "protocol/types/time.hpp"

namespace brokerd::domain {

class rate_meter {
public:
    static constexpr std::int64_t seconds = 10;

    void add(mono_time now, std::uint64_t events) {
        advance(second_of(now));
        current_ += events;
    }

    [[nodiscard]] double per_second(mono_time now) {
        advance(second_of(now));
        std::uint64_t sum = 0;
        for (const std::uint32_t each : buckets_) {
            sum += each;
        }
        return static_cast<double>(sum) / static_cast<double>(seconds);
    }

private:
    static std::int64_t second_of(mono_time now) {
        return std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    }
    // The running second becomes history when the next begins.
    void advance(std::int64_t second) {
        if (second <= second_) {
            return;
        }
        for (std::int64_t passed = 0; second_ < second && passed < seconds; ++passed) {
            bucket(second_) = static_cast<std::uint32_t>(current_);
            current_ = 0;
            ++second_;
        }
        if (second_ < second) {  // longer ago than the meter looks back
            buckets_.fill(0);
            current_ = 0;
            second_ = second;
        }
    }
    std::uint32_t& bucket(std::int64_t second) {
        return buckets_[static_cast<std::size_t>(((second % seconds) + seconds) % seconds)];
    }

    std::array<std::uint32_t, seconds> buckets_{};
    std::uint64_t current_ = 0;
    std::int64_t second_ = 0;
};

}  // namespace brokerd::domain
