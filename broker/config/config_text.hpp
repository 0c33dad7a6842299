// The configuration as text: what a file says, and how --print-config says it. Pure; no thread
// affinity.
//
//   # a comment
//   heartbeat = 15s               # behind a blank a comment too
//   data-dir = "/srv/my \"data\""
//
// A line is empty, a comment, or NAME = VALUE. A value without quotes ends before a comment and the
// blanks in front of it. In double quotes stand \\, \" and \xHH (a byte) for what is meant
// literally. There are no sections and no lists, and a name stands once.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/option_table.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::config {

// What a file may have; the whole configuration with its comments has less than a tenth of it.
inline constexpr std::size_t config_text_bytes_max = std::size_t{64} * 1024;

// The settings of a file in their order, each with "FILE:LINE" as its source. Which options there
// are and what they may be is not looked at: see configure(). Errors: invalid_setting, with file
// and line.
[[nodiscard]] outcome<std::vector<setting>> parse_config_text(std::string_view text,
                                                              std::string_view file);

// The whole configuration as a configuration file with comments; parse_config_text reads it back.
[[nodiscard]] std::string print_config(const configuration& of);

}  // namespace brokerd::config
