// Events per second, averaged over the last ten whole seconds and the running one, or over the time
// since the broker started if that is less: a flow shows at once, and as what it is. What nothing
// ever happened to needs no seconds to remember. Header only; pure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>

#include "protocol/types/time.hpp"

namespace brokerd::domain {

class rate_meter {
public:
    static constexpr std::int64_t seconds = 10;

    void add(mono_time now, std::uint64_t events) {
        advance(second_of(now));
        if (!buckets_) {
            buckets_ = std::make_unique<buckets>();
        }
        current_ += events;
    }

    // `since`: when counting began, for all meters alike.
    [[nodiscard]] double per_second(mono_time now, mono_time since) {
        advance(second_of(now));
        std::uint64_t sum = current_;
        if (buckets_) {
            sum = std::accumulate(buckets_->begin(), buckets_->end(), sum);
        }
        const duration_us looked_back =
            now.time_since_epoch() - std::chrono::seconds{second_ - seconds};
        // Shorter than a second nothing is a rate.
        const duration_us window =
            std::max<duration_us>(std::min(looked_back, now - since), std::chrono::seconds{1});
        return static_cast<double>(sum) / std::chrono::duration<double>(window).count();
    }

private:
    using buckets = std::array<std::uint32_t, seconds>;

    static std::int64_t second_of(mono_time now) {
        return std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    }
    // The running second becomes history when the next begins.
    void advance(std::int64_t second) {
        if (second <= second_) {
            return;
        }
        for (std::int64_t passed = 0; buckets_ && second_ < second && passed < seconds; ++passed) {
            bucket(second_) = static_cast<std::uint32_t>(current_);
            current_ = 0;
            ++second_;
        }
        if (second_ < second) {  // longer ago than the meter looks back
            if (buckets_) {
                buckets_->fill(0);
            }
            current_ = 0;
            second_ = second;
        }
    }
    std::uint32_t& bucket(std::int64_t second) {
        return (*buckets_)[static_cast<std::size_t>(((second % seconds) + seconds) % seconds)];
    }

    std::unique_ptr<buckets> buckets_;
    std::uint64_t current_ = 0;
    std::int64_t second_ = 0;
};

}  // namespace brokerd::domain
