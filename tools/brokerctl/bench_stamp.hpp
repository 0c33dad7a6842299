// The time at which a message was due, in the first bytes of its payload: written and read by one
// process. Pure; header only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace brokerd::ctl {

inline constexpr std::size_t bench_stamp_bytes = sizeof(std::int64_t);
// The stamp of a message that is not timed.
inline constexpr std::int64_t bench_untimed = 0;

// Nanoseconds of the steady clock.
[[nodiscard]] inline std::int64_t bench_time(std::chrono::steady_clock::time_point at) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

// Of a payload that has room for it.
inline void write_bench_stamp(std::string& payload, std::int64_t stamp) {
    std::memcpy(payload.data(), &stamp, bench_stamp_bytes);
}

// Untimed if it has not.
[[nodiscard]] inline std::int64_t read_bench_stamp(std::string_view payload) {
    std::int64_t stamp = bench_untimed;
    if (payload.size() >= bench_stamp_bytes) {
        std::memcpy(&stamp, payload.data(), bench_stamp_bytes);
    }
    return stamp;
}

}  // namespace brokerd::ctl
