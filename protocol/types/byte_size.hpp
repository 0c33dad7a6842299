// Counts and sizes as people write them, the same for every program: `512`, `16MiB`.
// Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace brokerd {

// A whole number without sign; nothing for anything else or beyond 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_count(std::string_view text);
// A whole number with B, KiB, MiB, GiB or TiB; without a unit it is bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);

// The shortest exact form that parse_bytes reads.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

}  // namespace brokerd
