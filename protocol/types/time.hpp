// Time as the broker sees it. Intervals (leases, heartbeats) run on monotonic time, persisted
// deadlines and append times are wall time; both in microseconds. Header only.
#pragma once

#include <chrono>
#include <cstdint>

namespace brokerd {

using duration_us = std::chrono::microseconds;

struct monotonic_clock_tag {
    using duration = duration_us;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<monotonic_clock_tag, duration_us>;
    static constexpr bool is_steady = true;
};

// Microseconds since an arbitrary start; comparable only within one process.
using mono_time = std::chrono::time_point<monotonic_clock_tag, duration_us>;
// Microseconds since 1970-01-01T00:00:00Z.
using wall_time = std::chrono::sys_time<duration_us>;

// The two times of one instant, read together and passed to the domain as data.
struct instant {
    mono_time mono;
    wall_time wall;
};

inline constexpr wall_time wall_never = wall_time::max();
inline constexpr mono_time mono_never = mono_time::max();

[[nodiscard]] constexpr std::int64_t to_us(wall_time t) {
    return t.time_since_epoch().count();
}
[[nodiscard]] constexpr wall_time wall_from_us(std::int64_t us) {
    return wall_time{duration_us{us}};
}

}  // namespace brokerd
