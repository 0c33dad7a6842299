// Sizes and durations as people write them: `16MiB`, `512`, `30s`, `1500ms`. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/types/time.hpp"

namespace brokerd::config {

// A whole number without sign; nothing for anything else or beyond 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_count(std::string_view text);
// A whole number with B, KiB, MiB, GiB or TiB; without a unit it is bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);
// A whole number with us, ms, s, m or h. The unit must be there unless the number is 0.
[[nodiscard]] std::optional<duration_us> parse_duration(std::string_view text);

// The shortest exact form that the parsers above read.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
[[nodiscard]] std::string format_duration(duration_us duration);

}  // namespace brokerd::config
