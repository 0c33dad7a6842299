// Tokens by their first character.
#include "protocol/filter/lexer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/ascii.hpp"
#include "protocol/types/names.hpp"
#include "protocol/types/utf8.hpp"

namespace brokerd::filters {
namespace {

constexpr bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

constexpr bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

constexpr bool is_word_char(char c) {
    return is_letter(c) || is_digit(c);
}

constexpr bool is_number_char(char c) {
    return is_word_char(c) || c == '.';
}

template <typename Predicate>
std::size_t length_of(std::string_view text, std::size_t from, Predicate belongs) {
    std::size_t length = 0;
    while (from + length < text.size() && belongs(text[from + length])) {
        ++length;
    }
    return length;
}

// Longer ones first, as they begin with others.
constexpr std::array<std::string_view, 9> signs{"!=", "<=", ">=", "=", "<", ">", "(", ")", ","};

// How other languages write it, and how it is written here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> foreign_signs{{
    {"==", "="},
    {"<>", "!="},
    {"&&", "and"},
    {"||", "or"},
    {"!", "not"},
    {"=~", "like"},
}};

}  // namespace

std::string lowered(std::string_view text) {
    std::string lower{text};
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

token lexer::taken(token_kind kind, std::size_t length) {
    token next{kind, at_, text_.substr(at_, length)};
    at_ += length;
    return next;
}

token lexer::bad(std::size_t at, std::string problem) const {
    token next{token_kind::bad, at, text_.substr(at, 1)};
    next.problem = std::move(problem);
    return next;
}

token lexer::next() {
    at_ += length_of(text_, at_, is_space);
    if (at_ == text_.size()) {
        return taken(token_kind::end, 0);
    }
    const char c = text_[at_];
    if (c == '\'' || c == '"') {
        return quoted_text();
    }
    if (is_letter(c)) {
        return word_or_header();
    }
    if (is_digit(c) || (c == '-' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
        return number();
    }
    return sign();
}

token lexer::quoted_text() {
    const char quote = text_[at_];
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) {
        const std::size_t length = utf8_sequence(text_.substr(end));
        if (length == 0 || is_control(text_.substr(end), length)) {
            return bad(end, fmt::format("a byte that is no printable text; write it as \\x{:02x}",
                                        static_cast<std::uint8_t>(text_[end])));
        }
        // What is behind a backslash does not end the text; whether it may stand there is seen
        // when the text is used.
        const bool escapes = text_[end] == '\\' && end + 1 < text_.size() &&
                             static_cast<std::uint8_t>(text_[end + 1]) < 0x80;
        end += escapes ? 2 : length;
    }
    if (end >= text_.size()) {
        return bad(at_, fmt::format("the text that begins here has no closing {}", quote));
    }
    token next = taken(token_kind::text, end + 1 - at_);
    next.inside = next.text.substr(1, next.text.size() - 2);
    return next;
}

token lexer::word_or_header() {
    const std::size_t length = length_of(text_, at_, is_word_char);
    const std::size_t name_at = at_ + length + 1;
    if (name_at > text_.size() || text_[name_at - 1] != '.' ||
        lowered(text_.substr(at_, length)) != "header") {
        return taken(token_kind::word, length);
    }
    const std::size_t begin = at_;
    at_ = name_at;
    token next;
    if (at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"')) {
        next = quoted_text();
        next.quoted = true;
    } else {
        next = taken(token_kind::text, length_of(text_, at_, is_header_char));
        next.inside = next.text;
        if (next.text.empty()) {
            next = bad(name_at, R"(no name behind "header."; write header.NAME or header."NAME")");
        }
    }
    if (next.kind == token_kind::bad) {
        at_ = begin;
        return next;
    }
    next.kind = token_kind::header;
    next.at = begin;
    next.text = text_.substr(begin, at_ - begin);
    return next;
}

token lexer::number() {
    return taken(token_kind::number, 1 + length_of(text_, at_ + 1, is_number_char));
}

token lexer::sign() {
    const std::string_view rest = text_.substr(at_);
    for (const auto& [foreign, ours] : foreign_signs) {
        if (rest.starts_with(foreign) && !rest.starts_with("!=")) {
            return bad(at_, fmt::format("\"{}\" is not known; write \"{}\"", foreign, ours));
        }
    }
    for (const std::string_view each : signs) {
        if (rest.starts_with(each)) {
            return taken(token_kind::sign, each.size());
        }
    }
    const std::size_t length = std::max<std::size_t>(utf8_sequence(rest), 1);
    return bad(at_, fmt::format("unexpected \"{}\"", printable(rest.substr(0, length))));
}

}  // namespace brokerd::filters
