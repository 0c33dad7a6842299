// DIR/BROKERD: what the directory is and in which format. Text, so that a person can read it:
//
//   brokerd data directory
//   database 3f2a...            32 hex digits
//   format 1
//
// Checked before RocksDB is opened; written once, when the directory is new.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "broker/storage/open_error.hpp"

namespace brokerd::storage {

inline constexpr std::uint32_t format_major = 1;

struct format_file {
    static constexpr const char* file_name = "BROKERD";

    std::string database_id;  // 32 hex digits
    std::uint32_t format = format_major;
    bool created = false;  // by this call

    // Whether the directory can be ours: it has a good file, or is empty but for the lock. Writes
    // nothing, so it can be asked before the lock is taken, also beside another brokerd.
    // Errors: refused (not ours, damaged, newer), failed.
    [[nodiscard]] static open_outcome<void> check(const std::filesystem::path& directory);

    // Reads it, or creates it in a directory that is empty but for the lock.
    // Errors: refused (not ours, damaged, newer), failed.
    [[nodiscard]] static open_outcome<format_file> read_or_create(
        const std::filesystem::path& directory);
};

}  // namespace brokerd::storage
