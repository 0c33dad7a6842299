// Every option of RocksDB, in one place; a test compares what is in effect with a golden text.
// PERFORMANCE and RELIABILITY hold the reasons that are not beside the option.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "broker/storage/keys.hpp"

namespace brokerd::storage {

// What may differ from one database to the next; tests use small ones.
struct rocks_sizes {
    std::size_t memtable_bytes = std::size_t{64} << 20;  // of the log
    std::size_t wal_bytes_max = std::size_t{64} << 20;   // bounds what a start has to replay
    std::size_t block_cache_bytes = std::size_t{8} << 20;
};

// Bytes that two full memtables need when they are flushed: the least that must stay free.
[[nodiscard]] constexpr std::uint64_t memtable_budget_bytes(const rocks_sizes& sizes) {
    return 2 * sizes.memtable_bytes;
}

struct rocks_parts {
    rocksdb::Env* env = nullptr;
    std::shared_ptr<rocksdb::Logger> info_log;
    std::shared_ptr<rocksdb::EventListener> listener;
    std::shared_ptr<rocksdb::CompactionFilterFactory> trim_filter;    // of the log
    std::shared_ptr<rocksdb::CompactionFilterFactory> expiry_filter;  // of the expiry index
    std::shared_ptr<rocksdb::CompactionFilterFactory> message_id_filter;
    rocksdb::WalFilter* wal_filter = nullptr;  // lives as long as the database
};

[[nodiscard]] rocksdb::DBOptions make_db_options(const rocks_sizes& sizes, const rocks_parts& parts,
                                                 rocksdb::WALRecoveryMode mode);
// In the order of `family`.
[[nodiscard]] std::vector<rocksdb::ColumnFamilyDescriptor> make_families(const rocks_sizes& sizes,
                                                                         const rocks_parts& parts);

[[nodiscard]] rocksdb::WriteOptions make_write_options(bool sync);
[[nodiscard]] rocksdb::ReadOptions make_read_options();
inline constexpr std::size_t write_protection_bytes_per_key = 8;

// Options and families as text, for the golden test: one per line, without paths and pointers.
[[nodiscard]] std::string describe_options(
    rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& handles);

}  // namespace brokerd::storage
