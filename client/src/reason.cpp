// Character by character, only where it must be.
#include "client/src/reason.hpp"

#include <algorithm>

#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::client_core {
namespace {

constexpr std::size_t utf8_bytes_max = 4;

// Length of the character at the front if the broker accepts it, 0 if not.
std::size_t accepted_character(std::string_view text) {
    for (std::size_t length = 1; length <= std::min(text.size(), utf8_bytes_max); ++length) {
        if (check_text(text.substr(0, length), length, "reason")) {
            return length;
        }
    }
    return 0;
}

}  // namespace

std::string clean_reason(std::string_view text) {
    if (check_text(text, limits::reason_bytes_max, "reason")) {
        return std::string(text);
    }
    std::string out;
    while (!text.empty()) {
        const std::size_t length = accepted_character(text);
        const std::string_view next = length > 0 ? text.substr(0, length) : " ";
        if (out.size() + next.size() > limits::reason_bytes_max) {
            break;
        }
        out += next;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

}  // namespace brokerd::client_core
