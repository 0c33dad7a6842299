// RFC 3339 by its fixed columns.
#include "protocol/types/rfc3339.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include "protocol/types/ascii.hpp"

namespace brokerd {
namespace {

constexpr std::size_t seconds_end = 19;  // YYYY-MM-DDThh:mm:ss, then a fraction, then a zone

// The digits [at, at + count) as a number not above `most`.
std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t count,
                               unsigned most) {
    unsigned value = 0;
    for (const char c : text.substr(at, count)) {
        if (!is_digit(c)) {
            return std::nullopt;
        }
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value <= most ? std::optional{value} : std::nullopt;
}

std::optional<std::chrono::sys_seconds> whole_seconds(std::string_view text) {
    if (text.size() < seconds_end || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' ||
        text[16] != ':') {
        return std::nullopt;
    }
    const auto year = digits(text, 0, 4, 9999);
    const auto month = digits(text, 5, 2, 12);
    const auto day = digits(text, 8, 2, 31);
    const auto hour = digits(text, 11, 2, 23);
    const auto minute = digits(text, 14, 2, 59);
    const auto second = digits(text, 17, 2, 60);  // 60: a leap second
    if (!year || !month || !day || !hour || !minute || !second) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                           std::chrono::month{*month}, std::chrono::day{*day}};
    if (!date.ok()) {
        return std::nullopt;
    }
    return std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
           std::chrono::seconds{*second};
}

// Takes `.25` from the front of `text`; zero if there is no point.
std::optional<duration_us> take_fraction(std::string_view& text) {
    duration_us fraction{0};
    if (!text.starts_with('.')) {
        return fraction;
    }
    std::size_t length = 1;
    for (std::int64_t scale = 100'000; length < text.size() && is_digit(text[length]);
         ++length, scale /= 10) {
        fraction += duration_us{(text[length] - '0') * scale};
    }
    text.remove_prefix(length);
    return length > 1 ? std::optional{fraction} : std::nullopt;
}

// `Z` or `+hh:mm`: what to subtract to get UTC.
std::optional<std::chrono::minutes> zone_offset(std::string_view text) {
    if (text == "Z" || text == "z") {
        return std::chrono::minutes{0};
    }
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return std::nullopt;
    }
    const auto hours = digits(text, 1, 2, 23);
    const auto minutes = digits(text, 4, 2, 59);
    if (!hours || !minutes) {
        return std::nullopt;
    }
    const auto offset = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
    return text[0] == '+' ? offset : -offset;
}

// Zone and leap second can lead out of the years that have four digits.
bool has_four_digit_year(wall_time time) {
    const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(time)};
    return date.year() >= std::chrono::year{0} && date.year() <= std::chrono::year{9999};
}

}  // namespace

std::optional<wall_time> parse_rfc3339(std::string_view text) {
    const auto seconds = whole_seconds(text);
    if (!seconds) {
        return std::nullopt;
    }
    text.remove_prefix(seconds_end);
    const auto fraction = take_fraction(text);
    const auto zone = zone_offset(text);
    if (!fraction || !zone) {
        return std::nullopt;
    }
    const wall_time time = *seconds + *fraction - *zone;
    return has_four_digit_year(time) ? std::optional{time} : std::nullopt;
}

std::string format_rfc3339(wall_time time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::string text =
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    if (const auto fraction = clock.subseconds().count(); fraction != 0) {
        text += fmt::format(".{:06}", fraction);
        text.erase(text.find_last_not_of('0') + 1);
    }
    return text + "Z";
}

}  // namespace brokerd
