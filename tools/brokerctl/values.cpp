// Parsers of command line values.
#include "tools/brokerctl/values.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "protocol/types/ascii.hpp"
#include "protocol/types/duration.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/rfc3339.hpp"

namespace brokerd::ctl {
namespace {

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || !is_digit(text.front()) || error != std::errc{} ||
        end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

// Takes the number (digits, perhaps with a fraction) from the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    std::size_t length = 0;
    while (length < text.size() && (is_digit(text[length]) || text[length] == '.')) {
        ++length;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + length, value);
    if (length == 0 || error != std::errc{} || end != text.data() + length) {
        return std::nullopt;
    }
    text.remove_prefix(length);
    return value;
}

struct unit {
    std::string_view name;
    double factor;
};

constexpr std::array size_units{
    unit{"", 1},
    unit{"B", 1},
    unit{"KiB", 1024},
    unit{"MiB", 1048576},
    unit{"GiB", 1073741824},
    unit{"TiB", 1099511627776},
    unit{"KB", 1e3},
    unit{"MB", 1e6},
    unit{"GB", 1e9},
    unit{"TB", 1e12},
};

template <std::size_t Count>
std::optional<double> factor_of(const std::array<unit, Count>& units, std::string_view name) {
    for (const unit& known : units) {
        if (known.name == name) {
            return known.factor;
        }
    }
    return std::nullopt;
}

}  // namespace

parsed<microseconds> parse_duration(std::string_view text) {
    auto duration = brokerd::parse_duration(text);
    if (!duration) {
        return std::unexpected(std::move(duration.error().text));
    }
    return *duration;
}

parsed<microseconds> parse_seconds(std::string_view text) {
    auto rest = text;
    const auto number = take_number(rest);
    if (number && rest.empty() && *number < 9e12) {
        return microseconds{std::llround(*number * 1e6)};
    }
    return parse_duration(text);
}

parsed<std::uint64_t> parse_size(std::string_view text) {
    auto rest = text;
    const auto number = take_number(rest);
    const auto factor = factor_of(size_units, rest);
    if (!number || !factor) {
        return std::unexpected(
            fmt::format("\"{}\" is no size; write for example 512, 64KiB or 1MiB", text));
    }
    if (const auto bytes = whole_number<std::uint64_t>(text)) {
        return *bytes;  // exact also beyond what a double holds
    }
    const double bytes = *number * *factor;
    if (bytes >= 18e18) {
        return std::unexpected(fmt::format("\"{}\" is too large", text));
    }
    return static_cast<std::uint64_t>(bytes);
}

parsed<std::uint64_t> parse_count(std::string_view text) {
    if (const auto count = whole_number<std::uint64_t>(text); count && *count > 0) {
        return *count;
    }
    return std::unexpected(fmt::format("\"{}\" is no count; write a number from 1 on", text));
}

parsed<std::uint64_t> parse_bound(std::string_view text) {
    if (const auto count = whole_number<std::uint64_t>(text)) {
        return *count;
    }
    return std::unexpected(fmt::format("\"{}\" is no bound; write a number, 0 for none", text));
}

parsed<std::uint8_t> parse_priority(std::string_view text) {
    if (const auto number = whole_number<std::uint8_t>(text);
        number && *number < limits::priorities_max) {
        return *number;
    }
    return std::unexpected(
        fmt::format("\"{}\" is no priority; write 0 to 9, 9 is the highest", text));
}

parsed<std::uint8_t> parse_priorities(std::string_view text) {
    if (const auto number = whole_number<std::uint8_t>(text);
        number && *number > 0 && *number <= limits::priorities_max) {
        return *number;
    }
    return std::unexpected(fmt::format("\"{}\" is no number of levels; write 1 to 10", text));
}

parsed<timestamp> parse_time(std::string_view text, timestamp now) {
    if (text == "now") {
        return now;
    }
    if (text.starts_with('-')) {
        if (const auto before = parse_duration(text.substr(1))) {
            return now - *before;
        }
    } else if (const auto time = parse_rfc3339(text)) {
        return *time;
    }
    return std::unexpected(fmt::format(
        "\"{}\" is no time; write 2026-03-01T12:00:00Z, or -10min for ten minutes ago", text));
}

parsed<timestamp> parse_due(std::string_view text) {
    const auto time = parse_rfc3339(text);
    if (!time) {
        return std::unexpected(
            fmt::format("\"{}\" is no time; write 2026-03-01T12:00:00Z or "
                        "2026-03-01T12:00:00+01:00, or say with --delay how long from now",
                        text));
    }
    if (*time < timestamp{}) {
        return std::unexpected(fmt::format("\"{}\" is before 1970", text));
    }
    return *time;
}

parsed<std::uint64_t> parse_schedule_id(std::string_view text) {
    if (const auto id = whole_number<std::uint64_t>(text)) {
        return *id;
    }
    return std::unexpected(fmt::format(
        "\"{}\" is no schedule; write a number that 'brokerctl schedule ls TOPIC' shows", text));
}

parsed<log_position> parse_position(std::string_view text, timestamp now) {
    if (text == "earliest") {
        return log_position::earliest();
    }
    if (text == "latest") {
        return log_position::latest();
    }
    if (const auto offset = parse_offset(text)) {
        return log_position::at_offset(*offset);
    }
    if (const auto time = parse_time(text, now)) {
        return log_position::at_time(*time);
    }
    return std::unexpected(
        fmt::format("\"{}\" is no position; write earliest, latest, an offset, a time such as "
                    "2026-03-01T12:00:00Z, or -10min",
                    text));
}

parsed<log_position> parse_end(std::string_view text, timestamp now) {
    const auto end = parse_position(text, now);
    if (!end || *end == log_position::earliest() || *end == log_position::at_offset(0)) {
        return std::unexpected(fmt::format(
            "\"{}\" is no end{}; write latest, an offset, a time such as 2026-03-01T12:00:00Z, or "
            "-10min",
            text, end ? ", as there is nothing before it" : ""));
    }
    if (end->which() == log_position::kind::time && end->time() > now) {
        return std::unexpected(
            fmt::format("\"{}\" is still to come; a queue can end at an offset or at a time that "
                        "has passed",
                        text));
    }
    return end;
}

parsed<std::uint64_t> parse_offset(std::string_view text) {
    if (const auto offset =
            whole_number<std::uint64_t>(text.starts_with('@') ? text.substr(1) : text)) {
        return *offset;
    }
    return std::unexpected(fmt::format("\"{}\" is no offset; write a number", text));
}

parsed<address> parse_address(std::string_view text) {
    const auto at = text.find('@');
    const auto offset = at == std::string_view::npos
                            ? std::nullopt
                            : whole_number<std::uint64_t>(text.substr(at + 1));
    if (!offset || at == 0) {
        return std::unexpected(
            fmt::format("\"{}\" is no message; write TOPIC@OFFSET, for example orders@812", text));
    }
    return address{std::string(text.substr(0, at)), *offset};
}

parsed<queue_target> parse_queue_target(std::string_view text) {
    const auto at = text.find('@');
    queue_target target{std::string(text.substr(0, at)), std::nullopt};
    if (at != std::string_view::npos) {
        target.offset = whole_number<std::uint64_t>(text.substr(at + 1));
    }
    if (target.queue.find('/') == std::string::npos ||
        (at != std::string_view::npos && !target.offset)) {
        return std::unexpected(
            fmt::format("\"{}\" is no queue; write TOPIC/QUEUE or TOPIC/QUEUE@OFFSET, for example "
                        "orders/billing@812",
                        text));
    }
    return target;
}

parsed<header> parse_header(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return std::unexpected(fmt::format("\"{}\" is no header; write NAME=VALUE", text));
    }
    return header{text.substr(0, equals), text.substr(equals + 1)};
}

parsed<std::string> parse_server(std::string_view text) {
    const auto colon = text.rfind(':');
    const auto host = text.substr(0, colon);
    const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
    const bool host_ok = bracketed || (!host.empty() && host.find(':') == std::string_view::npos);
    if (colon == std::string_view::npos || !host_ok ||
        whole_number<std::uint16_t>(text.substr(colon + 1)).value_or(0) == 0) {
        return std::unexpected(fmt::format(
            "\"{}\" is no server address; write HOST:PORT, for example 127.0.0.1:4650", text));
    }
    return std::string(text);
}

}  // namespace brokerd::ctl
