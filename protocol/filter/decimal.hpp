// Numbers as text, compared exactly: keys and headers hold identities and amounts that neither 64
// bits nor a double can hold. Pure; no allocation but for to_string; no thread affinity.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace brokerd::filters {

// A number taken apart; the views point into its text. Equal numbers have equal parts.
struct decimal {
    bool negative = false;        // never of zero
    std::string_view whole{};     // without leading zeros: empty below one
    std::string_view fraction{};  // without closing zeros
};

// `7`, `-7`, `007`, `1.50`; nothing for anything else, such as `+7`, `7.`, `.5`, `1e3`, ` 7`.
[[nodiscard]] std::optional<decimal> parse_decimal(std::string_view text) noexcept;

[[nodiscard]] std::strong_ordering compare(const decimal& a, const decimal& b) noexcept;

// The one form of this number: `-1.5`, `0`.
[[nodiscard]] std::string to_string(const decimal& number);

}  // namespace brokerd::filters
