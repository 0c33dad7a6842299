// Reads RocksDB's WAL files without RocksDB, to learn what they know to have been synced. Each
// commit carries the number of the last commit synced before it, so a commit that survives behind a
// damaged place proves what must have been in front of it, whether or not recovery can reach it.
//
// Only reads. What is found in the blocks of a file: wal_commits.hpp.
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
