// The generated parts of PROTOCOL.md: tables of messages, errors and limits, example frames. Each
// block stands between two markers:
//
//     <!-- generated: errors -->
//     ...
//     <!-- end of errors -->
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace brokerd::codec::document {

// Name of a block to its text.
[[nodiscard]] std::map<std::string, std::string> blocks();

// `text` with every block replaced. A block without markers is reported in `missing`.
[[nodiscard]] std::string replace_blocks(std::string text,
                                         const std::map<std::string, std::string>& blocks,
                                         std::string& missing);

}  // namespace brokerd::codec::document
