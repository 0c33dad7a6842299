// When each message of a fixed rate is due. It depends on nothing that happens: who is late does
// not move what comes behind, so a pause of the broker shows in every message that fell into it.
// Pure; header only.
#pragma once

#include <chrono>
#include <cstdint>

namespace brokerd::ctl {

class bench_schedule {
public:
    using time_point = std::chrono::steady_clock::time_point;

    // `per_second` messages in all, of which every `shares`-th from number `share` on are ours.
    bench_schedule(time_point start, std::uint64_t per_second, std::uint64_t share,
                   std::uint64_t shares)
        : start_(start), per_second_(per_second), share_(share), shares_(shares) {}

    // Of our message `number`, from 0.
    [[nodiscard]] time_point due(std::uint64_t number) const {
        constexpr std::uint64_t second = 1'000'000'000;
        const std::uint64_t of_all = number * shares_ + share_;
        return start_ + std::chrono::seconds(of_all / per_second_) +
               std::chrono::nanoseconds(of_all % per_second_ * second / per_second_);
    }

private:
    time_point start_;
    std::uint64_t per_second_;
    std::uint64_t share_;
    std::uint64_t shares_;
};

}  // namespace brokerd::ctl
