// The values that fields are compared with: what a token means to a kind of field, and the escapes
// of texts in quotes. Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/filter/fields.hpp"
#include "protocol/filter/lexer.hpp"
#include "protocol/filter/syntax.hpp"

namespace brokerd::filters {

// The literal of a token, for all but text in quotes beside a text field, which has escapes;
// nothing if it is none of that kind.
[[nodiscard]] std::optional<literal> read_literal(const token& from, value_kind kind);

// What can be written for that kind, for errors: `a duration such as 5min or 1h30min`.
[[nodiscard]] std::string_view value_forms(value_kind kind) noexcept;

[[nodiscard]] std::span<const std::string_view> state_names() noexcept;

// What stands between quotes, escapes resolved; else where the escape is that is not known.
[[nodiscard]] std::expected<std::string, std::size_t> decode_text(std::string_view inside);
// The same of a pattern, cut at its stars; neighbouring stars count as one.
[[nodiscard]] std::expected<std::vector<std::string>, std::size_t> decode_pattern(
    std::string_view inside);

}  // namespace brokerd::filters
