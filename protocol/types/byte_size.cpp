// Numbers with units, by table.
#include "protocol/types/byte_size.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <span>

#include <fmt/format.h>

namespace brokerd {
namespace {

struct unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array byte_units{unit{"TiB", 1ULL << 40}, unit{"GiB", 1ULL << 30},
                                unit{"MiB", 1ULL << 20}, unit{"KiB", 1ULL << 10}, unit{"B", 1}};

struct parsed_number {
    std::uint64_t value;
    std::string_view rest;
};

std::optional<parsed_number> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    return parsed_number{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

std::optional<std::uint64_t> scale(const parsed_number& number, std::span<const unit> units,
                                   std::uint64_t max) {
    for (const unit& u : units) {
        if (u.name == number.rest) {
            return number.value <= max / u.factor ? std::optional{number.value * u.factor}
                                                  : std::nullopt;
        }
    }
    return std::nullopt;
}

std::string format_scaled(std::uint64_t value, std::span<const unit> units) {
    for (const unit& u : units) {
        if (value % u.factor == 0) {
            return fmt::format("{}{}", value / u.factor, u.name);
        }
    }
    return fmt::format("{}", value);
}

}  // namespace

std::optional<std::uint64_t> parse_count(std::string_view text) {
    const auto number = parse_number(text);
    return number && number->rest.empty() ? std::optional{number->value} : std::nullopt;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    const auto number = parse_number(text);
    if (!number) {
        return std::nullopt;
    }
    if (number->rest.empty()) {
        return number->value;
    }
    return scale(*number, byte_units, std::numeric_limits<std::uint64_t>::max());
}

std::string format_bytes(std::uint64_t bytes) {
    return bytes == 0 ? "0" : format_scaled(bytes, byte_units);
}

}  // namespace brokerd
