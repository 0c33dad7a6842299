// Foreign bytes on the way to a terminal or into JSON: messages may hold anything.
// Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace brokerd::ctl {

// Length of the UTF-8 sequence at the front of `text`, 0 if there is none (RFC 3629).
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);

// Safe to print: control characters and bytes that are no UTF-8 become \n, \t, \r or \x1b. All
// else stays as it is, so JSON payloads remain readable.
[[nodiscard]] std::string terminal_text(std::string_view foreign);

// Columns `text` takes on a terminal, counting each code point as one.
[[nodiscard]] std::size_t display_width(std::string_view text);

// RFC 4648, with padding.
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace brokerd::ctl
