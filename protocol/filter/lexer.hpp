// The words, numbers, texts and signs of a filter, one after the other. Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace brokerd::filters {

enum class token_kind : std::uint8_t {
    end,
    word,    // of letters, digits and _: a field, a state or a word of the language
    number,  // digits with what sticks to them: `-1.5`, `64KiB`, `1h30min`
    text,    // in quotes
    header,  // `header.` and a name, bare or in quotes
    sign,    // `=`, `<=`, `(`
    bad,     // none of these
};

// The views point into the filter's text.
struct token {
    token_kind kind = token_kind::end;
    std::size_t at = 0;         // first byte of it
    std::string_view text{};    // all of it
    std::string_view inside{};  // of text: between the quotes; of header: its name, likewise
    bool quoted = false;        // of header: the name is in quotes
    std::string problem{};      // of bad: what is wrong, and what to write
};

// A character of a header's name that needs no quotes.
[[nodiscard]] constexpr bool is_header_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

// `text` with A to Z in lower case.
[[nodiscard]] std::string lowered(std::string_view text);

class lexer {
public:
    // `text` outlives the tokens.
    explicit lexer(std::string_view text) : text_(text) {}

    // The next one; from then on that again once it is end or bad.
    [[nodiscard]] token next();

private:
    [[nodiscard]] token taken(token_kind kind, std::size_t length);
    [[nodiscard]] token bad(std::size_t at, std::string problem) const;
    [[nodiscard]] token quoted_text();
    [[nodiscard]] token word_or_header();
    [[nodiscard]] token number();
    [[nodiscard]] token sign();

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace brokerd::filters
