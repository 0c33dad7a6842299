// What a simulated message is: its number says all of it, so whoever knows the number knows key,
// time to live, id, header and bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "tests/sim/model_levels.hpp"

namespace brokerd::sim {

// The key of a simulated message; some have none.
[[nodiscard]] constexpr std::optional<std::uint64_t> key_of_content(std::uint64_t content) {
    return content % 7 == 6 ? std::nullopt : std::optional{content % 7};
}

// Its own time to live is in the upper half of the number, in milliseconds; most have none.
inline constexpr unsigned ttl_shift = 32;
[[nodiscard]] constexpr std::optional<std::uint64_t> ttl_ms_of_content(std::uint64_t content) {
    const std::uint64_t ttl_ms =
        (content >> ttl_shift) & ((std::uint64_t{1} << (priority_shift - ttl_shift)) - 1);
    return ttl_ms == 0 ? std::nullopt : std::optional{ttl_ms};
}

// Its message id goes by the highest byte; most have none. Any bytes may be one.
[[nodiscard]] std::optional<std::string> id_of_content(std::uint64_t content);

// It has one header, `h`, or none.
[[nodiscard]] constexpr std::optional<std::uint64_t> header_of_content(std::uint64_t content) {
    return content % 5 == 4 ? std::nullopt : std::optional{content % 5 % 3};
}

// Bytes of its payload.
inline constexpr std::uint64_t payload_bytes_min = 8;
inline constexpr std::uint64_t large_content = std::uint64_t{1} << 31;  // numbers from here on
inline constexpr std::uint64_t large_bytes = 120;                       // have so many more
[[nodiscard]] constexpr std::uint64_t size_of_content(std::uint64_t content) {
    return payload_bytes_min + content % 4 + ((content & large_content) != 0 ? large_bytes : 0);
}
// The batch of these messages, and its bytes.
[[nodiscard]] byte_buffer make_batch(const std::vector<std::uint64_t>& contents,
                                     producer_id producer, std::uint64_t first_sequence);
[[nodiscard]] std::uint64_t batch_bytes(const std::vector<std::uint64_t>& contents);

}  // namespace brokerd::sim
