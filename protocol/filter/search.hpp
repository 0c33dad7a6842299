// Where a text occurs in another, in a time that grows with the sum of their lengths whatever they
// hold: filters and messages come from strangers. (Knuth, Morris and Pratt.)
// Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace brokerd::filters {

// Appends the borders of `needle` to `to`, one per byte of it: how long the longest end of
// needle[0..i] is that the needle also begins with. At most 65535 bytes.
void append_borders(std::string_view needle, std::vector<std::uint16_t>& to);

// First position of `needle`, which is not empty, in `text`; npos if there is none. Does not
// allocate.
[[nodiscard]] std::size_t find_text(std::string_view text, std::string_view needle,
                                    std::span<const std::uint16_t> borders) noexcept;

}  // namespace brokerd::filters
