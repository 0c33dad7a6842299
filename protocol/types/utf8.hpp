// What foreign text is made of, sequence by sequence: for checks, for printing, for columns.
// Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <string_view>

namespace brokerd {

// Length of the valid UTF-8 sequence at the front of `text`, which is not empty; 0 if there is
// none (RFC 3629).
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

// Whether the valid sequence of `length` bytes at the front of `text` is a control character.
[[nodiscard]] bool is_control(std::string_view text, std::size_t length);

}  // namespace brokerd
