// Kinds of ASCII characters, whatever the locale. Pure; header only.
#pragma once

namespace brokerd {

[[nodiscard]] constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace brokerd
