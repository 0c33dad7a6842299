// A filter as it was written: terms, and how and, or and not tie them together. Made by the parser,
// printed and compiled, then dropped. Pure; no thread affinity.
//
// It is normalised: an all_of has no all_of among its children, an any_of no any_of, a negation no
// negation, and both have at least two children. Its depth is bounded by limits::filter_depth_max.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/filter/fields.hpp"

namespace brokerd::filters {

enum class operation : std::uint8_t {
    equal,
    unequal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in,
    like,
    not_like,
    has,
};

// As it is written: `<=`, `not in`.
[[nodiscard]] std::string_view to_string(operation op) noexcept;

enum class literal_kind : std::uint8_t {
    number,   // of the unit of its field
    text,     // bytes, escapes resolved
    decimal,  // a bare number beside a text field: digits, the one form of this number
};

struct literal {
    literal_kind kind = literal_kind::number;
    std::uint64_t number = 0;
    std::string text{};
};

// One comparison. `has` has no literals, lists have one or more, the others one; for like the
// literals are the texts between the stars, in order: n stars make n + 1 texts.
struct term {
    field_id field = field_id::offset;
    std::string header{};  // its name, with field_id::header
    operation op = operation::has;
    std::vector<literal> literals{};
};

enum class node_kind : std::uint8_t { term, negation, all_of, any_of };

struct node {
    node_kind kind = node_kind::term;
    std::size_t first_term = 0;  // the first below it; the terms of its parts follow one another
    std::vector<node> children{};
};

struct syntax_tree {
    std::vector<term> terms{};  // in the order they were written
    node root{};
};

// The one way to write it, which the parser reads to an equal tree.
[[nodiscard]] std::string to_string(const syntax_tree& tree);

// What a time becomes to be compared as an unsigned number: the order stays.
[[nodiscard]] constexpr std::uint64_t ordered(std::int64_t us) noexcept {
    return static_cast<std::uint64_t>(us) ^ (std::uint64_t{1} << 63U);
}
[[nodiscard]] constexpr std::int64_t from_ordered(std::uint64_t number) noexcept {
    return static_cast<std::int64_t>(number ^ (std::uint64_t{1} << 63U));
}

}  // namespace brokerd::filters
