// DIR/BROKERD: what the directory is and in which format (format_text.hpp). Checked before RocksDB
// is opened; written once, when the directory is new.
#pragma once

#include <filesystem>

#include "broker/storage/format_text.hpp"
#include "broker/storage/open_error.hpp"

namespace brokerd::storage {

struct format_file : format_facts {
    static constexpr const char* file_name = "BROKERD";

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
