// Units for people in the sentences the domain makes: `4 s`, `2 min 5 s`, `3 h`. Header only; pure.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "protocol/types/time.hpp"

namespace brokerd::domain {

// At most two units; below ten seconds rounded up, so that nothing is due "in 0 s".
[[nodiscard]] inline std::string human(duration_us span) {
    constexpr std::int64_t second = 1000000;
    const std::int64_t us = span.count() < 0 ? 0 : span.count();
    if (us < second) {
        return fmt::format("{} ms", (us + 999) / 1000);
    }
    const std::int64_t s = us / second;
    const auto two = [](std::int64_t big, const char* big_unit, std::int64_t small,
                        const char* small_unit) {
        return small == 0 ? fmt::format("{} {}", big, big_unit)
                          : fmt::format("{} {} {} {}", big, big_unit, small, small_unit);
    };
    if (s < 60) {
        return fmt::format("{} s", s);
    }
    if (s < 60 * 60) {
        return two(s / 60, "min", s % 60, "s");
    }
    if (s < 24 * 60 * 60) {
        return two(s / 3600, "h", s % 3600 / 60, "min");
    }
    return two(s / 86400, "d", s % 86400 / 3600, "h");
}

[[nodiscard]] inline std::string human_count(std::uint64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace brokerd::domain
