// Decimal numbers by their digits.
#include "protocol/filter/decimal.hpp"

#include <algorithm>
#include <cstddef>

namespace brokerd::filters {
namespace {

std::size_t digits_at_front(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size() && text[length] >= '0' && text[length] <= '9') {
        ++length;
    }
    return length;
}

std::strong_ordering compare_magnitude(const decimal& a, const decimal& b) {
    if (const auto by_length = a.whole.size() <=> b.whole.size(); by_length != 0) {
        return by_length;
    }
    if (const auto by_whole = a.whole <=> b.whole; by_whole != 0) {
        return by_whole;
    }
    return a.fraction <=> b.fraction;  // no closing zeros: a prefix is the smaller number
}

}  // namespace

std::optional<decimal> parse_decimal(std::string_view text) noexcept {
    decimal number;
    if (text.starts_with('-')) {
        number.negative = true;
        text.remove_prefix(1);
    }
    number.whole = text.substr(0, digits_at_front(text));
    text.remove_prefix(number.whole.size());
    if (number.whole.empty()) {
        return std::nullopt;
    }
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        number.fraction = text;
        if (text.empty() || digits_at_front(text) != text.size()) {
            return std::nullopt;
        }
    } else if (!text.empty()) {
        return std::nullopt;
    }
    number.whole.remove_prefix(std::min(number.whole.find_first_not_of('0'), number.whole.size()));
    number.fraction = number.fraction.substr(0, number.fraction.find_last_not_of('0') + 1);
    number.negative = number.negative && !(number.whole.empty() && number.fraction.empty());
    return number;
}

std::strong_ordering compare(const decimal& a, const decimal& b) noexcept {
    if (a.negative != b.negative) {
        return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    return a.negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

std::string to_string(const decimal& number) {
    std::string text = number.negative ? "-" : "";
    text += number.whole.empty() ? "0" : number.whole;
    if (!number.fraction.empty()) {
        text += '.';
        text += number.fraction;
    }
    return text;
}

}  // namespace brokerd::filters
