// Levels of priority as the model sees them: the priority of a simulated message and the level it
// has in its topic.
#pragma once

#include <algorithm>
#include <cstdint>

namespace brokerd::sim {

// The priority is in the four bits below the message id; of most runs all have none.
inline constexpr unsigned priority_shift = 52;
inline constexpr unsigned id_shift = 56;
inline constexpr std::uint64_t priority_bits = std::uint64_t{0xF} << priority_shift;

[[nodiscard]] constexpr std::uint8_t priority_of_content(std::uint64_t content) {
    return static_cast<std::uint8_t>((content & priority_bits) >> priority_shift);
}
[[nodiscard]] constexpr std::uint64_t with_priority(std::uint64_t content, std::uint64_t priority) {
    return (content & ~priority_bits) | (priority << priority_shift);
}
// In a topic with so many levels. Higher priorities count as the highest level.
[[nodiscard]] constexpr std::uint8_t level_of_content(std::uint64_t content, std::uint8_t levels) {
    return std::min(priority_of_content(content), static_cast<std::uint8_t>(levels - 1));
}

}  // namespace brokerd::sim
