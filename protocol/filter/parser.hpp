// The grammar of filters (FILTER.md): text to syntax. Pure; no thread affinity.
#pragma once

#include <string_view>

#include "protocol/filter/syntax.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::filters {

// Every limit and every type is checked here. Fails with invalid_argument and a text that begins
// with `column N: `, but for a filter that is too long as a whole.
[[nodiscard]] outcome<syntax_tree> parse_filter(std::string_view text);

}  // namespace brokerd::filters
