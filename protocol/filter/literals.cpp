// Literals by kind, with the parsers that options and command lines use too.
#include "protocol/filter/literals.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include "protocol/filter/decimal.hpp"
#include "protocol/types/byte_size.hpp"
#include "protocol/types/duration.hpp"
#include "protocol/types/rfc3339.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd::filters {
namespace {

constexpr std::array states{message_state::ready, message_state::leased, message_state::retrying,
                            message_state::dead, message_state::done};

constexpr auto names_of_states = [] {
    std::array<std::string_view, states.size()> names;
    std::ranges::transform(states, names.begin(), [](message_state s) { return to_string(s); });
    return names;
}();

std::optional<literal> numeric(std::optional<std::uint64_t> number) {
    return number ? std::optional{literal{literal_kind::number, *number, {}}} : std::nullopt;
}

std::optional<std::uint64_t> read_duration(std::string_view text) {
    const auto duration = parse_duration(text);
    return duration ? std::optional{static_cast<std::uint64_t>(duration->count())} : std::nullopt;
}

std::optional<std::uint64_t> read_time(std::string_view text) {
    const auto time = parse_rfc3339(text);
    return time ? std::optional{ordered(to_us(*time))} : std::nullopt;
}

std::optional<std::uint64_t> read_state(std::string_view text) {
    const std::string name = lowered(text);
    for (const message_state each : states) {
        if (to_string(each) == name) {
            return static_cast<std::uint64_t>(each);
        }
    }
    return std::nullopt;
}

// A number beside a text: as it is, or a size in bytes.
std::optional<literal> read_decimal(std::string_view text) {
    std::string digits{text};
    if (const auto bytes = parse_bytes(text)) {
        digits = std::to_string(*bytes);
    }
    const auto number = parse_decimal(digits);
    return number ? std::optional{literal{literal_kind::decimal, 0, to_string(*number)}}
                  : std::nullopt;
}

// Takes the escape behind a backslash from `text`; nothing if it is not known.
std::optional<char> take_escape(std::string_view& text) {
    constexpr std::string_view plain = "\\'\"*";
    constexpr std::size_t hex_digits = 2;
    const char c = text.empty() ? '\0' : text.front();
    text.remove_prefix(std::min<std::size_t>(1, text.size()));
    switch (c) {
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case 'x': break;
        default: return plain.find(c) == plain.npos ? std::nullopt : std::optional{c};
    }
    std::uint8_t byte = 0;
    const std::string_view digits = text.substr(0, hex_digits);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc{} || digits.size() != hex_digits ||
        end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    text.remove_prefix(hex_digits);
    return static_cast<char>(byte);
}

// Cut at bare stars, if they mean something here.
std::expected<std::vector<std::string>, std::size_t> decode(std::string_view inside,
                                                            bool stars_cut) {
    std::vector<std::string> parts(1);
    std::string_view rest = inside;
    while (!rest.empty()) {
        const std::size_t at = inside.size() - rest.size();
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == '\\') {
            const auto escaped = take_escape(rest);
            if (!escaped) {
                return std::unexpected(at);
            }
            parts.back() += *escaped;
        } else if (c != '*' || !stars_cut) {
            parts.back() += c;
        } else if (parts.size() == 1 || !parts.back().empty()) {
            parts.emplace_back();
        }
    }
    return parts;
}

}  // namespace

std::optional<literal> read_literal(const token& from, value_kind kind) {
    const bool number = from.kind == token_kind::number;
    switch (kind) {
        case value_kind::count: return number ? numeric(parse_count(from.text)) : std::nullopt;
        case value_kind::bytes: return number ? numeric(parse_bytes(from.text)) : std::nullopt;
        case value_kind::duration: return number ? numeric(read_duration(from.text)) : std::nullopt;
        case value_kind::time:
            return from.kind == token_kind::text ? numeric(read_time(from.inside)) : std::nullopt;
        case value_kind::state:
            return from.kind == token_kind::text   ? numeric(read_state(from.inside))
                   : from.kind == token_kind::word ? numeric(read_state(from.text))
                                                   : std::nullopt;
        case value_kind::text: return number ? read_decimal(from.text) : std::nullopt;
    }
    return std::nullopt;
}

std::string_view value_forms(value_kind kind) noexcept {
    switch (kind) {
        case value_kind::count: return "a whole number below 2^64";
        case value_kind::bytes: return "a size such as 512 or 64KiB";
        case value_kind::duration: return "a duration such as 5min or 1h30min";
        case value_kind::time: return "a time in quotes such as '2026-03-01T12:00:00Z'";
        case value_kind::state: return "ready, leased, retrying, dead or done";
        case value_kind::text: return "a text in quotes or a number";
    }
    return "a value";
}

std::span<const std::string_view> state_names() noexcept {
    return names_of_states;
}

std::expected<std::string, std::size_t> decode_text(std::string_view inside) {
    auto parts = decode(inside, false);
    if (!parts) {
        return std::unexpected(parts.error());
    }
    return std::move(parts->front());
}

std::expected<std::vector<std::string>, std::size_t> decode_pattern(std::string_view inside) {
    return decode(inside, true);
}

}  // namespace brokerd::filters
