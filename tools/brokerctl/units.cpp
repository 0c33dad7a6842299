// Formatting of numbers for people.
#include "tools/brokerctl/units.hpp"

#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"

namespace brokerd::ctl {
namespace {

// Three digits of a number in [1, 1000), cut: 1.23, 12.3, 123.
std::string three_digits(double value) {
    if (value >= 100) {
        return fmt::format("{:.0f}", std::floor(value));
    }
    if (value >= 10) {
        return fmt::format("{:.1f}", std::floor(value * 10) / 10);
    }
    return fmt::format("{:.2f}", std::floor(value * 100) / 100);
}

}  // namespace

std::string short_duration(std::chrono::microseconds duration) {
    using namespace std::chrono_literals;
    // Nobody wants the milliseconds of an age of a second, nor microseconds at all.
    const auto step =
        duration < 1s ? std::chrono::microseconds{1ms} : std::chrono::microseconds{1s};
    return cut_duration(duration / step * step, 2);
}

std::string short_count(double count) {
    if (count < 100'000) {
        return fmt::format("{:.0f}", std::floor(count));
    }
    constexpr std::string_view prefixes = "kMGTPE";
    std::size_t prefix = 0;
    double value = count / 1000;
    while (value >= 1000 && prefix + 1 < prefixes.size()) {
        value /= 1000;
        ++prefix;
    }
    return three_digits(value) + prefixes[prefix];
}

std::string short_rate(double per_second) {
    if (per_second >= 100) {
        return short_count(std::round(per_second));
    }
    if (per_second < 0.05) {
        return per_second > 0 ? "<0.1" : "0";
    }
    return fmt::format("{:.1f}", per_second);
}

std::string short_bytes(double bytes) {
    constexpr std::array<std::string_view, 5> prefixes{"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) {
        return fmt::format("{:.0f}B", bytes);
    }
    std::size_t prefix = 0;
    double value = bytes / 1024;
    while (value >= 1000 && prefix + 1 < prefixes.size()) {
        value /= 1024;
        ++prefix;
    }
    // 1000..1023 KiB became 0.97 MiB above; three digits hold for both.
    return (value >= 1 ? three_digits(value) : fmt::format("{:.2f}", value)) +
           std::string(prefixes[prefix]);
}

std::string exact_bytes(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t name = 0;
    while (bytes > 0 && bytes % 1024 == 0 && name + 1 < names.size()) {
        bytes /= 1024;
        ++name;
    }
    return fmt::format("{}{}", bytes, names[name]);
}

std::string number_or_none(std::uint64_t number) {
    return number == 0 ? "none" : fmt::format("{}", number);
}

std::string bytes_or_none(std::uint64_t bytes) {
    return bytes == 0 ? "none" : exact_bytes(bytes);
}

std::string duration_or_none(std::chrono::microseconds duration) {
    return duration == std::chrono::microseconds{0} ? "none" : format_duration(duration);
}

std::string plural(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string rfc3339_text(std::chrono::sys_time<std::chrono::microseconds> time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss clock{time - days};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

}  // namespace brokerd::ctl
