// Columns and carets.
#include "protocol/filter/position.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "protocol/types/utf8.hpp"

namespace brokerd::filters {
namespace {

constexpr std::size_t shown_before_max = 48;  // columns of the filter left of the caret
constexpr std::size_t shown_behind_max = 24;
constexpr std::string_view cut = "...";

// Takes one character from the front of `text`: as it can be shown.
std::string_view take_character(std::string_view& text) {
    const std::size_t length = utf8_sequence(text);
    std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length == 1 && (character == "\t" || character == "\n" || character == "\r")) {
        return " ";
    }
    return length == 0 || is_control(character, length) ? "?" : character;
}

std::optional<std::size_t> column_in(std::string_view error_text) {
    constexpr std::string_view word = "column ";
    const std::size_t at = error_text.find(word);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view digits = error_text.substr(at + word.size());
    std::size_t column = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), column);
    const bool closed = end != digits.data() + digits.size() && *end == ':';
    return error == std::errc{} && closed && column > 0 ? std::optional{column} : std::nullopt;
}

}  // namespace

std::size_t column_of(std::string_view filter_text, std::size_t at) {
    std::size_t column = 1;
    std::string_view before = filter_text.substr(0, at);
    while (!before.empty()) {
        static_cast<void>(take_character(before));
        ++column;
    }
    return column;
}

std::string caret_lines(std::string_view filter_text, std::string_view error_text) {
    const auto column = column_in(error_text);
    if (!column) {
        return {};
    }
    std::vector<std::string_view> characters;
    while (!filter_text.empty()) {
        characters.push_back(take_character(filter_text));
    }
    const std::size_t caret = std::min(*column - 1, characters.size());
    const std::size_t begin = caret > shown_before_max ? caret - shown_before_max : 0;
    const std::size_t end = std::min(caret + shown_behind_max, characters.size());
    std::string line{begin > 0 ? cut : ""};
    const std::size_t indent = line.size() + caret - begin;
    for (std::size_t i = begin; i < end; ++i) {
        line += characters[i];
    }
    line += end < characters.size() ? cut : "";
    return line + "\n" + std::string(indent, ' ') + "^";
}

}  // namespace brokerd::filters
