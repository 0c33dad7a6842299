// Line by line, so that every error names its line.
#include "broker/config/config_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/names.hpp"

namespace brokerd::config {
namespace {

constexpr std::string_view blanks = " \t\r";
constexpr std::size_t file_name_bytes_max = 4096;  // longer ones are cut where they are named

std::unexpected<failure> bad(std::string_view source, std::string_view why) {
    return refuse(error_code::invalid_setting, fmt::format("{}: {}", source, why));
}

std::string_view trim(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

bool is_empty_or_comment(std::string_view text) {
    return text.empty() || text.front() == '#';
}

std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string_view without_comment(std::string_view value) {
    for (auto at = value.find('#'); at != value.npos; at = value.find('#', at + 1)) {
        if (at == 0 || blanks.find(value[at - 1]) != blanks.npos) {
            return trim(value.substr(0, at));
        }
    }
    return value;
}

// What a backslash and the text behind it mean; the text is taken off. Nothing if they mean
// nothing.
std::optional<char> take_escaped(std::string_view& text) {
    if (text.starts_with('\\') || text.starts_with('"')) {
        const char literal = text.front();
        text.remove_prefix(1);
        return literal;
    }
    constexpr std::size_t digits = 2;
    std::uint8_t byte = 0;
    if (!text.starts_with('x') || text.size() < 1 + digits) {
        return std::nullopt;
    }
    const auto hex = text.substr(1, digits);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), byte, 16);
    if (error != std::errc{} || end != hex.data() + hex.size()) {
        return std::nullopt;
    }
    text.remove_prefix(1 + digits);
    return static_cast<char>(byte);
}

// A value whose opening quote was taken off, up to the end of its line.
outcome<std::string> read_quoted(std::string_view text, std::string_view source) {
    std::string value;
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c == '"') {
            if (is_empty_or_comment(trim(text))) {
                return value;
            }
            return bad(source, fmt::format("\"{}\" stands behind the closing quote; write \\\" for "
                                           "a quote within a value",
                                           printable(trim(text))));
        }
        if (c != '\\') {
            value += c;
        } else if (const auto meant = take_escaped(text)) {
            value += *meant;
        } else {
            return bad(source, "a backslash within quotes is written \\\\, a byte \\xHH");
        }
    }
    return bad(source, "the closing quote is missing");
}

outcome<std::string> read_value(std::string_view text, std::string_view source) {
    if (text.starts_with('"')) {
        return read_quoted(text.substr(1), source);
    }
    if (text.starts_with('\'')) {
        return bad(source, "a value is quoted with \" only");
    }
    return std::string(without_comment(text));
}

outcome<setting> read_setting(std::string_view line, std::string source) {
    const auto equals = line.find('=');
    const auto name = trim(line.substr(0, std::min(equals, line.size())));
    if (equals == line.npos || name.empty()) {
        return bad(source, fmt::format("\"{}\" is not of the form NAME = VALUE", printable(line)));
    }
    auto value = read_value(trim(line.substr(equals + 1)), source);
    if (!value) {
        return std::unexpected(std::move(value.error()));
    }
    return setting{std::string(name), *std::move(value), std::move(source)};
}

std::string in_quotes(std::string_view value) {
    return '"' + printable(value, std::numeric_limits<std::size_t>::max()) + '"';
}

}  // namespace

outcome<std::vector<setting>> parse_config_text(std::string_view text, std::string_view file) {
    const std::string shown_file = printable(file, file_name_bytes_max);
    if (text.size() > config_text_bytes_max) {
        return bad(shown_file,
                   fmt::format("a configuration file has at most {} bytes", config_text_bytes_max));
    }
    std::vector<setting> settings;
    std::map<std::string, std::size_t> lines;  // of each name
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto line = trim(take_line(text));
        if (is_empty_or_comment(line)) {
            continue;
        }
        auto read = read_setting(line, fmt::format("{}:{}", shown_file, number));
        if (!read) {
            return std::unexpected(std::move(read.error()));
        }
        if (const auto [first, fresh] = lines.emplace(read->name, number); !fresh) {
            return bad(read->source, fmt::format("{} was given in line {} already",
                                                 printable(read->name), first->second));
        }
        settings.push_back(*std::move(read));
    }
    return settings;
}

std::string print_config(const configuration& of) {
    std::string text;
    for (std::size_t i = 0; i < option_table().size(); ++i) {
        const option_row& row = option_table()[i];
        const std::string value = value_text(of.values, row);
        fmt::format_to(std::back_inserter(text), "# {}. Allowed: {}. From: {}.\n{} = {}\n",
                       row.help, allowed_text(row), of.sources[i], row.name,
                       row.kind == value_kind::text ? in_quotes(value) : value);
    }
    return text;
}

}  // namespace brokerd::config
