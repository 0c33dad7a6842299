// The values people write on the command line: durations, sizes, times, positions, addresses,
// NAME=VALUE pairs. Each parser answers the value or a text that says what was expected.
// Pure; no thread affinity.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <brokerd/types.hpp>

namespace brokerd::ctl {

using std::chrono::microseconds;

template <typename T>
using parsed = std::expected<T, std::string>;

// As brokerd's options: `5s`, `100ms`, `10min` or `10m`, `2h`, `7d`, `1h30min`, `0`.
[[nodiscard]] parsed<microseconds> parse_duration(std::string_view text);

// As parse_duration, and a number alone means seconds: for waiting times.
[[nodiscard]] parsed<microseconds> parse_seconds(std::string_view text);

// `512`, `512B`, `64KiB`, `1MiB`, `2GiB`, `1TiB`, `64KB` (= 64000): bytes.
[[nodiscard]] parsed<std::uint64_t> parse_size(std::string_view text);

// `1`, `1000`: how many, at least one.
[[nodiscard]] parsed<std::uint64_t> parse_count(std::string_view text);

// `1000`: how many at most; `0`: no bound.
[[nodiscard]] parsed<std::uint64_t> parse_bound(std::string_view text);

// Of a message: 0 to 9.
[[nodiscard]] parsed<std::uint8_t> parse_priority(std::string_view text);

// How many a topic has: 1 to 10.
[[nodiscard]] parsed<std::uint8_t> parse_priorities(std::string_view text);

// RFC 3339 (`2026-03-01T12:00:00Z`, with fraction and zone), `-10min` before `now`, or `now`.
[[nodiscard]] parsed<timestamp> parse_time(std::string_view text, timestamp now);

// When something is to happen: RFC 3339, from 1970 on.
[[nodiscard]] parsed<timestamp> parse_due(std::string_view text);

// The id of a schedule.
[[nodiscard]] parsed<std::uint64_t> parse_schedule_id(std::string_view text);

// `earliest`, `latest`, an offset (`812` or `@812`) or a time as in parse_time.
[[nodiscard]] parsed<log_position> parse_position(std::string_view text, timestamp now);

// Where a queue ends: `latest`, an offset from 1 on, or a time, which must not lie behind `now`.
[[nodiscard]] parsed<log_position> parse_end(std::string_view text, timestamp now);

// `812` or `@812`; 0 is one, too.
[[nodiscard]] parsed<std::uint64_t> parse_offset(std::string_view text);

// `TOPIC@OFFSET`. Names are not checked here: the broker does it, for every client.
[[nodiscard]] parsed<address> parse_address(std::string_view text);

// `TOPIC/QUEUE[@OFFSET]`.
struct queue_target {
    std::string queue;
    std::optional<std::uint64_t> offset;

    bool operator==(const queue_target&) const = default;
};
[[nodiscard]] parsed<queue_target> parse_queue_target(std::string_view text);

// `NAME=VALUE`; the value may be empty and may contain `=`.
[[nodiscard]] parsed<header> parse_header(std::string_view text);

// `HOST:PORT`, `[::1]:PORT`.
[[nodiscard]] parsed<std::string> parse_server(std::string_view text);

}  // namespace brokerd::ctl
