// Numbers with units of time.
#include "protocol/types/duration.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "protocol/types/ascii.hpp"
#include "protocol/types/names.hpp"

namespace brokerd {
namespace {

struct time_unit {
    std::string_view name;
    std::int64_t us;
};

// From the largest, as they are written; `m` is only read.
constexpr std::array units{time_unit{"d", 86'400'000'000}, time_unit{"h", 3'600'000'000},
                           time_unit{"min", 60'000'000},   time_unit{"s", 1'000'000},
                           time_unit{"ms", 1'000},         time_unit{"us", 1}};
constexpr time_unit short_minute{"m", 60'000'000};

std::string_view take_while(std::string_view& text, bool digits) {
    std::size_t length = 0;
    while (length < text.size() && text[length] != '.' && is_digit(text[length]) == digits) {
        ++length;
    }
    const std::string_view taken = text.substr(0, length);
    text.remove_prefix(length);
    return taken;
}

const time_unit* find_unit(std::string_view name) {
    if (name == short_minute.name) {
        return &short_minute;
    }
    for (const time_unit& each : units) {
        if (each.name == name) {
            return &each;
        }
    }
    return nullptr;
}

// Digits behind the point, in microseconds.
std::int64_t fraction_of(std::string_view digits, std::int64_t us) {
    std::int64_t total = 0;
    for (const char digit : digits) {
        us /= 10;
        total += (digit - '0') * us;
    }
    return total;
}

}  // namespace

outcome<duration_us> parse_duration(std::string_view text) {
    if (text == "0") {
        return duration_us{0};
    }
    const auto refused = [text](std::string_view what) {
        return refuse(error_code::invalid_argument,
                      fmt::format("\"{}\" {}; write {}", printable(text), what, duration_forms));
    };
    std::string_view rest = text;
    std::int64_t total = 0;
    do {
        const std::string_view whole = take_while(rest, true);
        std::string_view fraction;
        const bool pointed = rest.starts_with('.');
        if (pointed) {
            rest.remove_prefix(1);
            fraction = take_while(rest, true);
        }
        if (whole.empty() || pointed != !fraction.empty()) {
            return refused("is no duration");
        }
        const std::string_view name = take_while(rest, false);
        if (name.empty() && rest.empty()) {
            return refused("has no unit");
        }
        const time_unit* const scale = find_unit(name);
        if (scale == nullptr) {
            return refused("is no duration");
        }
        std::int64_t number = 0;
        const auto read = std::from_chars(whole.data(), whole.data() + whole.size(), number);
        if (read.ec != std::errc{} || __builtin_mul_overflow(number, scale->us, &number) ||
            __builtin_add_overflow(number, fraction_of(fraction, scale->us), &number) ||
            __builtin_add_overflow(total, number, &total)) {
            return refused("is too long");
        }
    } while (!rest.empty());
    if (total == 0 && text.find_first_of("123456789") != std::string_view::npos) {
        return refused("is shorter than a microsecond");
    }
    return duration_us{total};
}

std::string format_duration(duration_us duration) {
    return cut_duration(duration, units.size());
}

std::string cut_duration(duration_us duration, std::size_t units_max) {
    if (duration.count() < 0) {
        return "-" + cut_duration(-duration, units_max);
    }
    std::string text;
    std::int64_t rest = duration.count();
    for (const time_unit& each : units) {
        if (units_max == 0) {
            break;
        }
        if (const std::int64_t whole = rest / each.us; whole > 0) {
            text += fmt::format("{}{}", whole, each.name);
            rest %= each.us;
            --units_max;
        } else if (!text.empty()) {
            --units_max;  // 1h and 5s: the second unit would be far below the first
        }
    }
    return text.empty() ? "0s" : text;
}

}  // namespace brokerd
