// Numbers as people read them: short durations, counts, bytes, rates, times. JSON never uses these,
// except for the time format. Pure; no thread affinity.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace brokerd::ctl {

// The largest one or two units: `3d4h`, `1min59s`, `1s`, `350ms`; below a millisecond `0s`.
[[nodiscard]] std::string short_duration(std::chrono::microseconds duration);

// Exact below 100000, then three digits: `123k`, `1.23M`. Cut, not rounded: never says more.
[[nodiscard]] std::string short_count(double count);

// `0`, `0.5`, `12.3`, `4512`, `123k`: something per second.
[[nodiscard]] std::string short_rate(double per_second);

// `512B`, `1.50KiB`, `64.0MiB`.
[[nodiscard]] std::string short_bytes(double bytes);

// Exact where that is short, for settings: `1MiB`, `1536KiB`, `1000B`.
[[nodiscard]] std::string exact_bytes(std::uint64_t bytes);

// Of settings that 0 switches off.
[[nodiscard]] std::string number_or_none(std::uint64_t number);
[[nodiscard]] std::string bytes_or_none(std::uint64_t bytes);
[[nodiscard]] std::string duration_or_none(std::chrono::microseconds duration);

// `1 message`, `2 messages`, exact.
[[nodiscard]] std::string plural(std::uint64_t count, std::string_view noun);

// RFC 3339 in UTC with microseconds: `2026-03-01T12:00:00.000000Z`.
[[nodiscard]] std::string rfc3339_text(std::chrono::sys_time<std::chrono::microseconds> time);

}  // namespace brokerd::ctl
