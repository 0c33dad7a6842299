// --rate: a long change in small steps, so that what it wakes up is not overrun. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

namespace brokerd::ctl {

class pace {
public:
    // Messages per second; nothing: as fast as it goes.
    explicit pace(std::optional<std::uint64_t> rate) : rate_(rate) {}

    // Most messages of the next step; 0: no limit.
    [[nodiscard]] std::uint32_t step() const {
        constexpr std::uint64_t steps_per_second = 10;
        constexpr std::uint64_t step_max = 1000;
        return rate_ ? static_cast<std::uint32_t>(
                           std::clamp<std::uint64_t>(*rate_ / steps_per_second, 1, step_max))
                     : 0;
    }
    // Waits until the next step may come, after this many more.
    void wait_after(std::uint64_t messages) {
        if (rate_) {
            const std::chrono::duration<double> pause(static_cast<double>(messages) /
                                                      static_cast<double>(*rate_));
            next_ =
                std::max(next_, clock::now()) + std::chrono::duration_cast<clock::duration>(pause);
            std::this_thread::sleep_until(next_);
        }
    }

private:
    using clock = std::chrono::steady_clock;

    std::optional<std::uint64_t> rate_;
    clock::time_point next_ = clock::now();
};

}  // namespace brokerd::ctl
