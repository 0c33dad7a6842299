// Recursive descent, one function per rule. Recursion is bounded: each parenthesis and each not
// takes one level of limits::filter_depth_max, and nothing else recurses.
#include "protocol/filter/parser.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "protocol/filter/lexer.hpp"
#include "protocol/filter/literals.hpp"
#include "protocol/filter/position.hpp"
#include "protocol/filter/suggestion.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::filters {
namespace {

using words = std::span<const std::string_view>;

constexpr std::size_t shown_bytes_max = 40;  // of what was found, in an error

constexpr std::array<std::string_view, 2> joining_words{"and", "or"};
constexpr std::array<std::string_view, 3> comparing_words{"in", "like", "not"};
constexpr std::array<std::string_view, 10> beginning_words{
    "offset", "time", "age", "size", "key", "header", "attempts", "state", "reason", "has"};
constexpr std::array<std::string_view, 4> reserved_words{"and", "or", "in", "like"};

constexpr std::array comparing_signs{operation::equal,   operation::unequal,
                                     operation::less,    operation::less_equal,
                                     operation::greater, operation::greater_equal};

bool is_reserved(std::string_view word) {
    return std::ranges::find(reserved_words, word) != reserved_words.end();
}

bool is_order(operation op) {
    return op == operation::less || op == operation::less_equal || op == operation::greater ||
           op == operation::greater_equal;
}

bool is_like(operation op) {
    return op == operation::like || op == operation::not_like;
}

bool is_list(operation op) {
    return op == operation::in || op == operation::not_in;
}

std::string found(const token& what) {
    switch (what.kind) {
        case token_kind::end: return "the end";
        case token_kind::text:
            return fmt::format("the text \"{}\"", printable(what.inside, shown_bytes_max));
        default: return fmt::format("\"{}\"", printable(what.text, shown_bytes_max));
    }
}

class parser {
public:
    explicit parser(std::string_view text) : text_(text), lexer_(text) { advance(); }

    outcome<syntax_tree> parse() {
        if (parse_any(tree_.root) && (current_.kind == token_kind::end ||
                                      expected(R"("and", "or" or the end)", joining_words))) {
            return std::move(tree_);
        }
        return std::unexpected(failure{error_code::invalid_argument, std::move(error_)});
    }

private:
    // --- the current token ---

    void advance() { current_ = lexer_.next(); }

    [[nodiscard]] bool at_word(std::string_view word) const {
        return current_.kind == token_kind::word && lowered(current_.text) == word;
    }
    [[nodiscard]] bool at_sign(std::string_view sign) const {
        return current_.kind == token_kind::sign && current_.text == sign;
    }
    [[nodiscard]] bool take_word(std::string_view word) {
        const bool there = at_word(word);
        if (there) {
            advance();
        }
        return there;
    }
    [[nodiscard]] bool take_sign(std::string_view sign) {
        const bool there = at_sign(sign);
        if (there) {
            advance();
        }
        return there;
    }

    // --- errors: each of these records the error and is false ---

    [[nodiscard]] bool fail(std::size_t at, std::string_view what) {
        error_ = fmt::format("column {}: {}", column_of(text_, at), what);
        return false;
    }
    [[nodiscard]] bool expected(std::string_view what, words candidates = {}) {
        if (current_.kind == token_kind::bad) {
            return fail(current_.at, current_.problem);
        }
        std::string hint;
        if (current_.kind == token_kind::word) {
            hint = did_you_mean(lowered(current_.text), candidates);
        }
        return fail(current_.at,
                    fmt::format("expected {}, found {}{}", what, found(current_), hint));
    }

    // --- and, or, not, parentheses ---

    [[nodiscard]] bool parse_any(node& out) {
        return parse_chain(out, node_kind::any_of, "or", &parser::parse_all);
    }

    [[nodiscard]] bool parse_all(node& out) {
        return parse_chain(out, node_kind::all_of, "and", &parser::parse_not);
    }

    // Parts with `word` between them; a single part is that part.
    [[nodiscard]] bool parse_chain(node& out, node_kind kind, std::string_view word,
                                   bool (parser::*parse_part)(node&)) {
        std::vector<node> parts;
        do {
            node part;
            if (!(this->*parse_part)(part)) {
                return false;
            }
            if (part.kind == kind) {
                std::ranges::move(part.children, std::back_inserter(parts));
            } else {
                parts.push_back(std::move(part));
            }
        } while (take_word(word));
        if (parts.size() == 1) {
            out = std::move(parts.front());
        } else {
            const std::size_t first = parts.front().first_term;
            out = {kind, first, std::move(parts)};
        }
        return true;
    }

    [[nodiscard]] bool parse_not(node& out) {
        const bool negated = at_word("not");
        if (!negated && !at_sign("(")) {
            return parse_term(out);
        }
        if (depth_ == limits::filter_depth_max) {
            return fail(current_.at,
                        fmt::format("more than {} parentheses and nots inside each other",
                                    limits::filter_depth_max));
        }
        ++depth_;
        advance();
        const bool parsed = negated ? parse_negation(out) : parse_parenthesis(out);
        --depth_;
        return parsed;
    }

    [[nodiscard]] bool parse_negation(node& out) {
        node inner;
        if (!parse_not(inner)) {
            return false;
        }
        if (inner.kind == node_kind::negation) {
            out = std::move(inner.children.front());
        } else {
            out = {node_kind::negation, inner.first_term, {}};
            out.children.push_back(std::move(inner));
        }
        return true;
    }

    [[nodiscard]] bool parse_parenthesis(node& out) {
        return parse_any(out) &&
               (take_sign(")") || expected("\"and\", \"or\" or \")\"", joining_words));
    }

    // --- terms ---

    [[nodiscard]] bool parse_term(node& out) {
        const std::size_t at = current_.at;
        term next;
        const bool parsed = take_word("has")
                                ? parse_presence(next)
                                : parse_field(next) && parse_operation(next) && parse_values(next);
        if (!parsed) {
            return false;
        }
        if (tree_.terms.size() == limits::filter_terms_max) {
            return fail(at, fmt::format("more than {} comparisons", limits::filter_terms_max));
        }
        out = {node_kind::term, tree_.terms.size(), {}};
        tree_.terms.push_back(std::move(next));
        return true;
    }

    [[nodiscard]] bool parse_presence(term& to) {
        const std::size_t at = current_.at;
        if (!parse_field(to)) {
            return false;
        }
        const field_info& field = describe(to.field);
        return field.kind == value_kind::text ||
               fail(at, fmt::format("{} is always there; \"has\" is for key, header.NAME and "
                                    "reason",
                                    field.name));
    }

    [[nodiscard]] bool parse_field(term& to) {
        if (current_.kind == token_kind::header) {
            to.field = field_id::header;
            to.header = current_.inside;
            if (current_.quoted && !decode(current_, to.header)) {
                return false;
            }
            advance();
            return true;
        }
        const std::string word = lowered(current_.text);
        if (current_.kind != token_kind::word || is_reserved(word)) {
            return expected(R"(a field, "has", "not" or "(")");
        }
        const auto field = find_field(word);
        if (!field) {
            const std::string hint = did_you_mean(word, beginning_words);
            return fail(
                current_.at,
                fmt::format("unknown field \"{}\"{}", printable(current_.text, shown_bytes_max),
                            hint.empty() ? "; there are offset, time, age, size, key, "
                                           "header.NAME, attempts, state and reason"
                                         : hint));
        }
        if (*field == field_id::header) {
            return fail(current_.at,
                        R"("header" needs a name; write header.NAME or header."NAME")");
        }
        to.field = *field;
        advance();
        return true;
    }

    [[nodiscard]] bool parse_operation(term& to) {
        const std::size_t at = current_.at;
        if (!take_operation(to.op)) {
            return expected("a comparison (=, !=, <, <=, >, >=, in, not in, like, not like)",
                            comparing_words);
        }
        const field_info& field = describe(to.field);
        if (is_like(to.op) && field.kind != value_kind::text) {
            return fail(at, fmt::format("\"like\" is for key, header.NAME and reason, not for {}",
                                        field.name));
        }
        if (is_order(to.op) && field.kind == value_kind::state) {
            return fail(at, "states have no order; compare with =, !=, in or not in");
        }
        return true;
    }

    [[nodiscard]] bool take_operation(operation& op) {
        for (const operation each : comparing_signs) {
            if (take_sign(to_string(each))) {
                op = each;
                return true;
            }
        }
        const bool negated = take_word("not");
        if (take_word("in")) {
            op = negated ? operation::not_in : operation::in;
            return true;
        }
        if (take_word("like")) {
            op = negated ? operation::not_like : operation::like;
            return true;
        }
        return false;
    }

    // --- values ---

    [[nodiscard]] bool parse_values(term& to) {
        if (is_like(to.op)) {
            return parse_pattern(to);
        }
        return is_list(to.op) ? parse_list(to) : parse_value(to);
    }

    [[nodiscard]] bool parse_pattern(term& to) {
        if (current_.kind != token_kind::text) {
            return expected("a text in quotes behind \"like\"");
        }
        auto parts = decode_pattern(current_.inside);
        if (!parts) {
            return bad_escape(current_, parts.error());
        }
        for (std::string& part : *parts) {
            to.literals.push_back({literal_kind::text, 0, std::move(part)});
        }
        advance();
        return true;
    }

    [[nodiscard]] bool parse_list(term& to) {
        if (!take_sign("(")) {
            return expected("\"(\" and a list");
        }
        do {
            if (to.literals.size() == limits::filter_list_items_max) {
                return fail(current_.at, fmt::format("more than {} values in a list",
                                                     limits::filter_list_items_max));
            }
            if (!parse_value(to)) {
                return false;
            }
        } while (take_sign(","));
        return take_sign(")") || expected("\",\" or \")\"");
    }

    [[nodiscard]] bool parse_value(term& to) {
        const field_info& field = describe(to.field);
        literal value;
        if (current_.kind == token_kind::text && field.kind == value_kind::text) {
            value.kind = literal_kind::text;
            if (!decode(current_, value.text)) {
                return false;
            }
        } else if (auto read = read_literal(current_, field.kind)) {
            value = std::move(*read);
        } else {
            return expected(fmt::format("{} for {}", value_forms(field.kind), field.name),
                            field.kind == value_kind::state ? state_names() : words{});
        }
        to.literals.push_back(std::move(value));
        advance();
        return true;
    }

    // Resolves the escapes of a text in quotes.
    [[nodiscard]] bool decode(const token& from, std::string& to) {
        auto text = decode_text(from.inside);
        if (!text) {
            return bad_escape(from, text.error());
        }
        to = std::move(*text);
        return true;
    }

    [[nodiscard]] bool bad_escape(const token& in, std::size_t at) {
        const auto begin = static_cast<std::size_t>(in.inside.data() - text_.data());
        return fail(begin + at, R"(an unknown escape; there are \\ \' \" \* \n \r \t and \xHH)");
    }

    std::string_view text_;
    lexer lexer_;
    token current_;
    syntax_tree tree_;
    std::size_t depth_ = 0;
    std::string error_;
};

}  // namespace

outcome<syntax_tree> parse_filter(std::string_view text) {
    if (text.size() > limits::filter_bytes_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("the filter has {} bytes; at most {} are allowed", text.size(),
                                  limits::filter_bytes_max));
    }
    return parser(text).parse();
}

}  // namespace brokerd::filters
