// Durations as people write and read them, the same for every program: `30s`, `1500ms`, `1h30min`.
// Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "protocol/types/error.hpp"
#include "protocol/types/time.hpp"

namespace brokerd {

// What parse_duration reads, for help and for errors.
inline constexpr std::string_view duration_forms =
    "a number with us, ms, s, min (or m), h or d: 100ms, 1.5s, 10min, 1h30min";

// One or more numbers, each with a unit; a fraction is cut to microseconds. Only 0 may go without a
// unit, as nobody can see whether a bare number means seconds or days. No sign, no spaces.
// Fails with invalid_argument and a text that quotes what was given.
[[nodiscard]] outcome<duration_us> parse_duration(std::string_view text);

// `1d2h`, `10min`, `1s500ms`, `0s`: exact, as parse_duration reads it.
[[nodiscard]] std::string format_duration(duration_us duration);
// The same, cut to units_max neighbouring units, the largest first: `3d4h`, `1h`.
[[nodiscard]] std::string cut_duration(duration_us duration, std::size_t units_max);

}  // namespace brokerd
