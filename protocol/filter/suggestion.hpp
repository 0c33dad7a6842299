// What someone who mistyped a word may have meant. Pure; no thread affinity.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace brokerd::filters {

// `; did you mean "offset"?` when one of the candidates is a slip or two away from the word, else
// empty. Nothing is found for words of more than 32 bytes.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace brokerd::filters
