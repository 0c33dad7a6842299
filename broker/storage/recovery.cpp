// Look read-only, compare with what must be there, only then open for writing.
#include "broker/storage/recovery.hpp"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/values.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

using base::fault;
using base::seeded_fault;
using rocksdb::WALRecoveryMode;

constexpr auto strict_mode = WALRecoveryMode::kTolerateCorruptedTailRecords;
constexpr auto lenient_mode = WALRecoveryMode::kPointInTimeRecovery;

enum class access : std::uint8_t { look, write, create };

using rocks_outcome = std::expected<rocks_database, rocksdb::Status>;

rocks_outcome open_rocks(const recovery_input& input, WALRecoveryMode mode, access how) {
    auto options = make_db_options(input.sizes, input.parts, mode);
    options.create_if_missing = how == access::create;
    auto families = make_families(input.sizes, input.parts);
    const std::string path = input.database.string();
    if (how == access::look) {
        // Not all of them are there after an interrupted creation.
        std::vector<std::string> there;
        if (auto status = rocksdb::DB::ListColumnFamilies(options, path, &there); !status.ok()) {
            return std::unexpected(status);
        }
        std::erase_if(families, [&](const auto& each) {
            return std::ranges::find(there, each.name) == there.end();
        });
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = how == access::look
                            ? rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &db)
                            : rocksdb::DB::Open(options, path, families, &handles, &db);
    if (!status.ok()) {
        return std::unexpected(status);
    }
    return rocks_database(std::unique_ptr<rocksdb::DB>(db), std::move(handles));
}

// Corruption or a missing file: the data is to blame. Anything else: the disk or the system.
open_error error_of(const recovery_input& input, const rocksdb::Status& status) {
    const bool gone = status.IsNotFound() || status.IsPathNotFound();
    if (status.IsCorruption() || status.IsInvalidArgument() || gone) {
        return {open_failure::refused,
                fmt::format("the database in {} is damaged: {}. {}", input.database.string(),
                            status.ToString(), refusal_advice)};
    }
    return {open_failure::failed, fmt::format("cannot open the database in {}: {}",
                                              input.database.string(), status.ToString())};
}

open_error error_of(const recovery_input& input, const failure& why) {
    return {open_failure::refused, fmt::format("in {}: {}", input.database.string(), why.text)};
}

// What became of the WAL that the marker saw, in words.
std::string wal_story(const recovery_input& input, const wal_facts& wal) {
    const marker_state& marker = input.marker;
    if (marker.wal_number == 0) {
        return {};
    }
    const auto found = std::ranges::find(wal.files, marker.wal_number, &wal_file::number);
    if (found == wal.files.end()) {
        return fmt::format("; the log file {:06}.log, which had {} bytes, is gone",
                           marker.wal_number, marker.wal_bytes);
    }
    if (found->bytes < marker.wal_bytes) {
        return fmt::format("; the log file {:06}.log had {} bytes and has {}", marker.wal_number,
                           marker.wal_bytes, found->bytes);
    }
    return "; a log file in it is damaged";
}

open_error missing(const recovery_input& input, const wal_facts& wal, commit_number found,
                   commit_number required) {
    return {
        open_failure::refused,
        fmt::format("the database in {} ends at commit {}, but commits up to {} had been synced "
                    "to disk: acknowledged messages are missing{}. {}",
                    input.database.string(), found.value(), required.value(), wal_story(input, wal),
                    refusal_advice)};
}

// Whether the directory holds a database, or what an interrupted creation left.
bool holds_database(const fs::path& directory) {
    std::error_code error;
    // What cannot be looked at must not be created anew.
    if (fs::exists(directory / "CURRENT", error) || error) {
        return true;
    }
    fs::directory_iterator entries(directory, error);
    for (; !error && entries != fs::directory_iterator{}; entries.increment(error)) {
        const auto extension = entries->path().extension();
        if (extension == ".sst" || (extension == ".log" && entries->file_size(error) > 0)) {
            return true;
        }
    }
    return false;
}

std::optional<open_error> check_identity(const recovery_input& input, const shard_facts& facts) {
    const identity_value& identity = facts.identity;
    if (identity.database_id.empty() && facts.commit.number == commit_number{}) {
        return std::nullopt;  // created, but nothing written yet
    }
    if (identity.database_id != input.database_id) {
        return open_error{open_failure::refused,
                          fmt::format("{} holds database {}, but its directory says {}: files of "
                                      "two databases were mixed. {}",
                                      input.database.string(), identity.database_id,
                                      input.database_id, refusal_advice)};
    }
    const std::uint64_t unknown =
        (identity.features.incompatible & ~known_features.incompatible) |
        (identity.features.read_only_compatible & ~known_features.read_only_compatible);
    if (unknown != 0) {
        return open_error{open_failure::refused,
                          fmt::format("{} uses features this brokerd does not know (bits {:#x}). "
                                      "Nothing was changed; use the version that wrote it",
                                      input.database.string(), unknown)};
    }
    return std::nullopt;
}

open_outcome<recovered> open_as(const recovery_input& input, WALRecoveryMode mode, access how) {
    auto database = open_rocks(input, mode, how);
    if (!database) {
        return std::unexpected(error_of(input, database.error()));
    }
    auto facts = read_shard_facts(*database);
    if (!facts) {
        return std::unexpected(error_of(input, facts.error()));
    }
    return recovered{std::move(*database), std::move(*facts), mode == lenient_mode};
}

// How far the database reaches when it is recovered in this mode. No value: it reports corruption.
open_outcome<std::optional<shard_facts>> look(const recovery_input& input, WALRecoveryMode mode) {
    auto database = open_rocks(input, mode, access::look);
    if (!database) {
        if (database.error().IsCorruption()) {
            return std::nullopt;
        }
        return std::unexpected(error_of(input, database.error()));
    }
    auto facts = read_shard_facts(*database);
    if (!facts) {
        return std::unexpected(error_of(input, facts.error()));
    }
    return std::optional(std::move(*facts));
}

}  // namespace

open_outcome<recovered> open_database(const recovery_input& input) {
    if (seeded_fault(fault::default_wal_recovery)) {
        return open_as(input, lenient_mode,
                       holds_database(input.database) ? access::write : access::create);
    }
    const auto wal = scan_wals(input.database);
    if (!wal) {
        return open_failed(open_failure::failed, wal.error());
    }
    const commit_number required = std::max(input.marker.synced, wal->synced);
    if (!holds_database(input.database)) {
        if (required > commit_number{}) {
            return std::unexpected(missing(input, *wal, commit_number{}, required));
        }
        return open_as(input, strict_mode, access::create);
    }
    auto mode = strict_mode;
    auto facts = look(input, mode);
    if (facts && !*facts) {
        mode = lenient_mode;
        facts = look(input, mode);
    }
    if (!facts) {
        return std::unexpected(facts.error());
    }
    if (!*facts) {
        // Corruption in either mode: opening it so changes nothing and says what is wrong.
        return open_as(input, mode, access::look);
    }
    if (auto wrong = check_identity(input, **facts)) {
        return std::unexpected(std::move(*wrong));
    }
    if ((*facts)->commit.number < required) {
        return std::unexpected(missing(input, *wal, (*facts)->commit.number, required));
    }
    return open_as(input, mode, access::write);
}

}  // namespace brokerd::storage
