// What this process has taken from the machine so far, as the system counts it. Any thread.
#pragma once

#include <cstdint>

namespace brokerd::base {

struct process_usage {
    std::uint64_t cpu_us = 0;          // all threads, user and system
    std::uint64_t resident_bytes = 0;  // now
};

// Asks the system: a few microseconds.
[[nodiscard]] process_usage measure_process();

}  // namespace brokerd::base
