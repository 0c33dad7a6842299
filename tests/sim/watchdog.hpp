// Looks on while seeds run: when one takes too long it says which and what it did last, and aborts.
// Else nobody would know of a run without end more than that there is one. The watchdog has a
// thread of its own; a trace_tail belongs to any.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "protocol/types/time.hpp"

namespace brokerd::sim {

struct trace_step {
    mono_time at{};
    std::string what;
    std::uint64_t number = 0;
};

// "         123 us  what number"
[[nodiscard]] std::string to_string(const trace_step& step);

// The last steps of a run.
class trace_tail {
public:
    static constexpr std::size_t steps_max = 100;

    void add(mono_time at, std::string_view what, std::uint64_t number);
    void clear();
    // The oldest first.
    [[nodiscard]] std::vector<trace_step> steps() const;

private:
    mutable std::mutex mutex_;
    std::array<trace_step, steps_max> ring_;
    std::size_t added_ = 0;
};

class watchdog {
public:
    // `patience`: what one seed may take, of wall time; 0: whatever it takes.
    explicit watchdog(std::chrono::milliseconds patience);

    // The one before is over.
    void begin(std::uint64_t seed);
    // For world_options.
    [[nodiscard]] trace_tail& tail() { return tail_; }

private:
    using clock = std::chrono::steady_clock;

    void watch(const std::stop_token& stop);
    [[noreturn]] void give_up() const;

    const std::chrono::milliseconds patience_;
    trace_tail tail_;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    std::uint64_t seed_ = 0;
    clock::time_point deadline_ = clock::time_point::max();
    std::jthread thread_;  // the last member: it is joined before the others go
};

}  // namespace brokerd::sim
