// The options, each with its reason where the name does not give it away.
#include "broker/storage/rocks_options.hpp"

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

namespace brokerd::storage {

namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

constexpr int background_jobs = 2;
constexpr int open_files_max = 512;
constexpr std::size_t small_memtable_bytes = 16 * mib;
// Memory is taken in such steps; a small one keeps an idle broker small.
constexpr std::size_t small_arena_block_bytes = 64 * kib;
constexpr std::size_t log_arena_block_bytes = 1 * mib;
constexpr std::size_t log_block_bytes = 32 * kib;
constexpr std::uint64_t expiry_rewrite_seconds = 3600;
constexpr std::uint64_t message_ids_rewrite_seconds = 24 * 3600;
constexpr double bloom_bits_per_key = 10;

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::BlockBasedTableOptions table;
    table.format_version = 5;
    // Debian's library computes CRC-32C in software: XXH3 is three times as fast there.
    table.checksum = rocksdb::kXXH3;
    table.block_cache = cache;
    // Index blocks count against the cache, so that memory stays bounded.
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    return table;
}

rocksdb::ColumnFamilyOptions common_options(const rocks_sizes& sizes) {
    rocksdb::ColumnFamilyOptions options;
    options.compression = rocksdb::kNoCompression;
    options.bottommost_compression = rocksdb::kNoCompression;
    options.compaction_style = rocksdb::kCompactionStyleLevel;
    options.write_buffer_size = std::min(small_memtable_bytes, sizes.memtable_bytes);
    options.arena_block_size = std::min(small_arena_block_bytes, options.write_buffer_size / 8);
    options.max_write_buffer_number = 4;
    options.level_compaction_dynamic_level_bytes = true;
    options.force_consistency_checks = true;
    options.paranoid_file_checks = false;
    return options;
}

// The lines that are the same in every process, in order.
std::string sorted_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream from(text);
    for (std::string line; std::getline(from, line);) {
        line.erase(0, line.find_first_not_of(' '));
        const bool pointer = line.find("0x") != line.npos;
        if (!line.empty() && !pointer) {
            lines.push_back(std::move(line));
        }
    }
    std::ranges::sort(lines);
    std::string sorted;
    for (const std::string& line : lines) {
        sorted += line + "\n";
    }
    return sorted;
}

}  // namespace

rocksdb::DBOptions make_db_options(const rocks_sizes& sizes, const rocks_parts& parts,
                                   rocksdb::WALRecoveryMode mode) {
    rocksdb::DBOptions options;
    options.env = parts.env;
    options.create_missing_column_families = true;
    options.info_log = parts.info_log;
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.listeners = {parts.listener};

    // What was synced must be there: see recovery.hpp.
    options.wal_recovery_mode = mode;
    options.wal_filter = parts.wal_filter;
    options.paranoid_checks = true;
    options.track_and_verify_wals_in_manifest = true;
    options.max_total_wal_size = sizes.wal_bytes_max;
    options.recycle_log_file_num = 0;
    options.avoid_flush_during_recovery = false;
    options.avoid_flush_during_shutdown = false;
    // A failed write is final; whether to go on is decided by a restart.
    options.max_bgerror_resume_count = 0;

    // One thread writes.
    options.allow_concurrent_memtable_write = false;
    options.enable_pipelined_write = false;
    options.enable_write_thread_adaptive_yield = false;
    options.max_background_jobs = background_jobs;
    options.max_open_files = open_files_max;
    options.max_file_opening_threads = 2;

    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.skip_stats_update_on_db_open = true;
    return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> make_families(const rocks_sizes& sizes,
                                                           const rocks_parts& parts) {
    const auto cache = rocksdb::NewLRUCache(sizes.block_cache_bytes, 2);
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (std::size_t i = 0; i < family_names.size(); ++i) {
        auto options = common_options(sizes);
        auto table = table_options(cache);
        if (static_cast<family>(i) == family::log) {
            options.write_buffer_size = sizes.memtable_bytes;
            options.arena_block_size = std::min(log_arena_block_bytes, sizes.memtable_bytes / 8);
            // It answers nothing until the trim points are loaded, so a compaction that starts
            // before that is harmless. (Keeping compactions off until then would cost each start
            // another file of options with its syncs.)
            options.compaction_filter_factory = parts.trim_filter;
            // Appends to one lane of a topic ascend: the memtable finds their place without a
            // search.
            options.memtable_insert_with_hint_prefix_extractor.reset(
                rocksdb::NewFixedPrefixTransform(log_key::prefix_bytes));
            table.block_size = log_block_bytes;
        }
        if (static_cast<family>(i) == family::expiry) {
            options.compaction_filter_factory = parts.expiry_filter;
            // Entries of one topic mostly ascend, and tables that do not overlap are only moved
            // from level to level, past the filter: it sees them again when they are so old.
            options.periodic_compaction_seconds = expiry_rewrite_seconds;
        }
        if (static_cast<family>(i) == family::message_ids) {
            options.compaction_filter_factory = parts.message_id_filter;
            options.periodic_compaction_seconds = message_ids_rewrite_seconds;
            // Most ids that are looked up are new.
            table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(bloom_bits_per_key));
        }
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        families.emplace_back(std::string(family_names[i]), std::move(options));
    }
    return families;
}

rocksdb::WriteOptions make_write_options(bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return options;
}

rocksdb::ReadOptions make_read_options() {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    return options;
}

std::string describe_options(rocksdb::DB& db,
                             const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
    rocksdb::ConfigOptions config;
    config.delimiter = "\n";
    std::string text;
    std::string part;
    if (rocksdb::GetStringFromDBOptions(config, db.GetDBOptions(), &part).ok()) {
        text += "[database]\n" + sorted_lines(part);
    }
    for (rocksdb::ColumnFamilyHandle* const handle : handles) {
        rocksdb::ColumnFamilyDescriptor descriptor;
        if (handle->GetDescriptor(&descriptor).ok() &&
            rocksdb::GetStringFromColumnFamilyOptions(config, descriptor.options, &part).ok()) {
            part += descriptor.options.table_factory->GetPrintableOptions();
            text += "\n[family " + handle->GetName() + "]\n" + sorted_lines(part);
        }
    }
    return text;
}

}  // namespace brokerd::storage
