// The store: durable home of the domain's mutations, and the reads the domain asks for. Two
// implementations (memory, RocksDB) under one conformance suite.
//
// Threads: open and load on any one thread, while no apply runs; apply only on the commit thread;
// everything else on any thread, concurrently with load and apply.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/broker_state.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::storage {

// What became of a batch. Anything but done is final for this process, except no_space.
enum class append_status : std::uint8_t {
    done,      // applied and, if asked for, synced
    no_space,  // refused before anything was written: even the disk's reserve is nearly used up
    unknown,   // failed: it may or may not be there after a restart; stop and exit
};

struct append_result {
    append_status status = append_status::done;
    std::string text;  // what failed, for the log and the exit message
};

// The room on the disk as it was measured last.
struct disk_room {
    std::uint64_t free_bytes = 0;
    std::uint64_t reserve_bytes = 0;
    // Publishes are to be refused with resource_disk. What was taken before is still written: the
    // reserve has room for it.
    bool below_reserve = false;
};

struct store_statistics {
    std::uint64_t bytes_written = 0;  // WAL, flush and compaction
    std::uint64_t disk_bytes = 0;     // size of the data directory
    disk_room room;
    std::uint64_t wal_bytes = 0;
    std::uint64_t memtable_bytes = 0;
    std::string failure;  // not empty: the store failed for good; stop and exit 70
};

class store {
public:
    store() = default;
    store(const store&) = delete;
    store& operator=(const store&) = delete;
    virtual ~store() = default;

    // The state at the last commit. Errors: storage_failed with what was found.
    [[nodiscard]] virtual outcome<domain::loaded_state> load() = 0;

    // Applies a batch atomically under its number (numbers ascend by one) and, with `sync`, makes
    // it and all before it durable. Deterministic. Commit thread only.
    [[nodiscard]] virtual append_result apply(commit_number number,
                                              std::span<const domain::mutation> batch,
                                              bool sync) = 0;

    // Answers one fetch. Never fails with exceptions; errors come as `failure` (storage_failed, or
    // bad_checksum naming the place). Any thread.
    [[nodiscard]] virtual domain::fetch_result read(const domain::fetch_body& what) = 0;

    // Measures the disk, as apply does whenever it has written a few MiB. Every second or so on a
    // pool thread.
    virtual void measure() = 0;
    // Background work that may take minutes: frees the space of trimmed chunks. Called every second
    // or so on a pool thread, never twice at once.
    virtual void maintain() = 0;
    // A running maintain breaks off, and from now on none begins anything long. May wait for that.
    virtual void stop_maintaining() = 0;

    // Never waits for the disk. Any thread.
    [[nodiscard]] virtual disk_room room() const = 0;
    [[nodiscard]] virtual store_statistics statistics() const = 0;
    // That one of them which changes with each commit, for the cost of reading it.
    [[nodiscard]] virtual std::uint64_t bytes_written() const { return statistics().bytes_written; }
    // Identity of the data: 32 hex digits, chosen when the store was created.
    [[nodiscard]] virtual std::string database_id() const = 0;
};

}  // namespace brokerd::storage
