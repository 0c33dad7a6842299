// Places in the text of a filter, as errors name them and as a program shows them. A column is
// 1-based and counts characters (a byte that is no UTF-8 counts as one). Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace brokerd::filters {

// The column of byte `at`.
[[nodiscard]] std::size_t column_of(std::string_view filter_text, std::size_t at);

// The two lines that point out the place which an error of filter::parse names, without a newline
// at the end, for a terminal:
//
//   key = 'a' und state = dead
//             ^
//
// Of a long filter only the surroundings; control characters are replaced. The error may have come
// from the broker and have words in front. Empty if it names no column.
[[nodiscard]] std::string caret_lines(std::string_view filter_text, std::string_view error_text);

}  // namespace brokerd::filters
