// Reads RocksDB's WAL files without RocksDB, to learn what they know to have been synced. Each
// commit carries the number of the last commit synced before it, so a commit that survives behind a
// damaged place proves what must have been in front of it, whether or not recovery can reach it.
//
// A commit counts only where write_translation puts it, at the very end of a record: all before
// that may be a message, and whoever writes that can make it look like any commit.
//
// Only reads; understands the block format of RocksDB's log (32 KiB blocks of records with header
// crc u32, length u16, type u8), skips what is damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "broker/storage/file_io.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::storage {

struct wal_file {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
};

struct wal_facts {
    std::vector<wal_file> files;  // ascending by number
    commit_number synced;         // the newest commit that any commit in them knew to be synced
};

// No directory, no files: nothing known. Anything that cannot be looked at is an error.
[[nodiscard]] io_outcome<wal_facts> scan_wals(const std::filesystem::path& directory);

}  // namespace brokerd::storage
