// Opens the database so that nothing synced is missing, or refuses (RELIABILITY P3).
//
// What must be there: every commit that the marker or any commit found in the WAL files knew to be
// synced. The database is looked at read-only first, as RocksDB would recover it, and is opened for
// writing only if it reaches that far; so a refusal changes nothing. Recovery is first tried with
// kTolerateCorruptedTailRecords. That mode reports a page lost inside an *unsynced* record, which
// any power cut may leave, as corruption; then point-in-time recovery is tried, which drops what is
// behind the damage: harmless exactly if it still reaches all that was synced. In either mode
// recovery ends before the first commit that is missing (commit_order.hpp).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "broker/storage/catalog.hpp"
#include "broker/storage/marker.hpp"
#include "broker/storage/open_error.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "broker/storage/wal_scan.hpp"

namespace brokerd::storage {

// Features this version knows; a database that uses others is refused.
inline constexpr feature_bits known_features{.incompatible = incompatible_feature::lanes};

struct recovery_input {
    std::filesystem::path database;  // RocksDB's directory
    std::string database_id;         // what the format file says
    marker_state marker;
    rocks_sizes sizes;
    rocks_parts parts;
};

struct recovered {
    rocks_database database;
    shard_facts facts;
    bool dropped_tail = false;  // a damaged unsynced tail was dropped
};

// Creates the database if there is none and the marker knows of none.
[[nodiscard]] open_outcome<recovered> open_database(const recovery_input& input);

}  // namespace brokerd::storage
