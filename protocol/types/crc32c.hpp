// CRC-32C (Castagnoli), the checksum of every frame, record and chunk. Uses the processor's
// instruction where there is one, a table elsewhere. Thread safe.
#pragma once

#include <cstdint>

#include "protocol/types/bytes.hpp"

namespace brokerd {

// Extends `crc` (0 to start) over `data`. crc32c(crc32c(0, a), b) == crc32c(0, a ++ b).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, byte_view data) noexcept;

namespace detail {
// The table implementation, reachable for the test that compares both.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t crc, byte_view data) noexcept;
}  // namespace detail

}  // namespace brokerd
