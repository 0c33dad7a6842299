// The checksum of RocksDB's log. RocksDB as Debian builds it computes CRC-32C without the
// processor's instruction, at 1.4 GB/s, which took a quarter of the commit thread. So brokerd has a
// function of the same name, which a program's dynamic linking prefers to that of a shared library
// (System V ABI, "Symbol Resolution"). BROKERD_WAL_CHECKSUM=OFF leaves RocksDB as it is.
#pragma once

namespace brokerd::storage {

// Whether what this process computes is the checksum that RocksDB means: known values, at every
// alignment. Asked before a database is opened, and cheap. Any thread.
[[nodiscard]] bool wal_checksum_is_right();

}  // namespace brokerd::storage
