// Aborting with the seed and the end of its trace.
#include "tests/sim/watchdog.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

namespace brokerd::sim {

std::string to_string(const trace_step& step) {
    return fmt::format("{:>12} us  {} {}", step.at.time_since_epoch().count(), step.what,
                       step.number);
}

void trace_tail::add(mono_time at, std::string_view what, std::uint64_t number) {
    const std::scoped_lock lock(mutex_);
    trace_step& oldest = ring_[added_++ % steps_max];
    oldest.at = at;
    oldest.what.assign(what);
    oldest.number = number;
}

void trace_tail::clear() {
    const std::scoped_lock lock(mutex_);
    added_ = 0;
}

std::vector<trace_step> trace_tail::steps() const {
    const std::scoped_lock lock(mutex_);
    std::vector<trace_step> steps;
    for (std::size_t i = added_ - std::min(added_, steps_max); i < added_; ++i) {
        steps.push_back(ring_[i % steps_max]);
    }
    return steps;
}

watchdog::watchdog(std::chrono::milliseconds patience) : patience_(patience) {
    if (patience_ > patience_.zero()) {
        thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    }
}

void watchdog::begin(std::uint64_t seed) {
    tail_.clear();
    const std::scoped_lock lock(mutex_);
    seed_ = seed;
    deadline_ = clock::now() + patience_;
}

void watchdog::watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (clock::now() >= deadline_) {
            give_up();
        }
        // Nobody wakes it when a seed begins: it looks by itself as often.
        const auto until = std::min(deadline_, clock::now() + patience_);
        (void)stopped_.wait_until(lock, stop, until, [] { return false; });
    }
}

void watchdog::give_up() const {
    for (const trace_step& each : tail_.steps()) {
        fmt::print(stderr, "{}\n", to_string(each));
    }
    fmt::print(stderr, "seed {}: does not end: it has run for more than {} ms\n", seed_,
               patience_.count());
    std::abort();
}

}  // namespace brokerd::sim
