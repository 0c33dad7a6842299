// The text of DIR/BROKERD, so that a person can read it:
//
//   brokerd data directory
//   database 3f2a...            32 hex digits
//   format 1
//
// Pure; any thread. The file: format_file.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "broker/storage/open_error.hpp"

namespace brokerd::storage {

inline constexpr std::uint32_t format_major = 1;

struct format_facts {
    std::string database_id;  // 32 hex digits
    std::uint32_t format = format_major;
    bool operator==(const format_facts&) const = default;
};

[[nodiscard]] std::string format_text(const format_facts& facts);
// Strict, so that damage is noticed; `path` is named in errors. Errors: refused (damaged, newer).
[[nodiscard]] open_outcome<format_facts> parse_format_text(std::string_view text,
                                                           const std::filesystem::path& path);

}  // namespace brokerd::storage
