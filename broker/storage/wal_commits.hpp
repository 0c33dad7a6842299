// What a WAL file of RocksDB tells about commits, from its bytes alone. Understands the block
// format of RocksDB's log (32 KiB blocks of fragments with header crc u32, length u16, type u8) and
// skips what is damaged. Pure; no thread affinity.
//
// A commit counts only where write_translation puts it, at the very end of a record: all before
// that may be a message, and whoever writes that can make it look like any commit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/types/ids.hpp"

namespace brokerd::storage {

inline constexpr std::size_t wal_block_bytes = 32768;

class wal_commits {
public:
    // The blocks of one file in their order; only the last may be shorter.
    void add_block(std::string_view block);

    // The newest commit that any commit in them knew to be synced.
    [[nodiscard]] commit_number synced() const { return synced_; }

private:
    // A record is one full fragment, or a first, any number of middle ones and a last. RocksDB's
    // own numbers; those of recycled log files are others, and brokerd recycles none.
    enum class fragment : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

    void add_fragment(fragment type, std::string_view payload);

    commit_number synced_;
    std::string end_;  // of the record that is being put together
};

}  // namespace brokerd::storage
