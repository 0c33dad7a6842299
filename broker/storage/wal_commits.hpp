// What a WAL file of RocksDB tells about commits, from its bytes alone. Understands the block
// format of RocksDB's log (32 KiB blocks of records with header crc u32, length u16, type u8) and
// skips what is damaged. Pure; no thread affinity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "protocol/types/ids.hpp"

namespace brokerd::storage {

inline constexpr std::size_t wal_block_bytes = 32768;

class wal_commits {
public:
    // The blocks of one file in their order; only the last may be shorter.
    void add_block(std::string_view block);

    [[nodiscard]] commit_number last() const { return last_; }      // the newest commit found
    [[nodiscard]] commit_number synced() const { return synced_; }  // what any knew to be synced

private:
    void add_record(std::string_view payload);
    void search(std::string_view bytes);

    commit_number last_;
    commit_number synced_;
    std::string tail_;  // end of the record before: a commit may be split between two
};

}  // namespace brokerd::storage
