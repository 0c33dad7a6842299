// The store on RocksDB. One directory:
//
//   DIR/lock      held by the process (directory_lock)
//   DIR/BROKERD   what this is (format_file)
//   DIR/marker    how far it was synced (marker)
//   DIR/ballast   space given up when the disk is full (disk_space)
//   DIR/db/       RocksDB
//
// A failed write or sync, or a background error, is latched: nothing is written any more, every
// later apply answers unknown, statistics().failure says why. Recovery is a restart.
//
// Owner: app. Threads: see store.hpp; the marker has a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/open_error.hpp"
#include "broker/storage/store.hpp"

namespace rocksdb {
class FileSystem;
}

namespace brokerd::storage {

struct rocks_store_options {
    std::filesystem::path directory;
    // Free space below which publishes are to be refused; nothing = 5 % of the disk, at most 1 GiB.
    std::optional<std::uint64_t> disk_reserve_bytes;
    // Set aside for a start on a full disk; 0 = none.
    std::uint64_t ballast_bytes = std::uint64_t{64} << 20;
    std::size_t memtable_bytes = std::size_t{64} << 20;
    // What memtables may hold of a database that nobody writes to. A million messages of 100 bytes
    // in a queue are 67 MB of them, which with the cache of chunks is the most of what they take.
    std::size_t idle_memtable_bytes = std::size_t{8} << 20;
    std::size_t wal_bytes_max = std::size_t{64} << 20;
    // Bounds what a start has to replay when there are many small commits.
    std::uint64_t wal_records_max = 200'000;
    // Dead bytes in tables beyond which maintain compacts.
    std::uint64_t dead_bytes_max = std::uint64_t{32} << 20;
    // RocksDB's warnings; called on any thread.
    std::function<void(std::string_view)> warn;
    // Nothing outlives the process, so nothing is synced: each commit counts as if it were.
    bool ephemeral = false;
    // Instead of the system's; for tests.
    std::shared_ptr<rocksdb::FileSystem> file_system;
};

class rocks_store final : public store {
public:
    // Creates the directory if needed. The text of an error says what to do.
    [[nodiscard]] static open_outcome<std::unique_ptr<rocks_store>> open(
        rocks_store_options options);
    ~rocks_store() override;  // close()

    // Flushes, so that the next start has nothing to replay, and writes the marker. No reads or
    // applies may be running.
    void close();
    // Leaves the files as a killed process would: no flush, and no marker unless `marked`. For
    // tests.
    void abandon(bool marked = false);

    [[nodiscard]] outcome<domain::loaded_state> load() override;
    [[nodiscard]] append_result apply(commit_number number, std::span<const domain::mutation> batch,
                                      bool sync) override;
    [[nodiscard]] domain::fetch_result read(const domain::fetch_body& what) override;
    void measure() override;
    void maintain() override;
    void stop_maintaining() override;
    [[nodiscard]] disk_room room() const override;
    [[nodiscard]] store_statistics statistics() const override;
    [[nodiscard]] std::uint64_t bytes_written() const override;
    [[nodiscard]] std::string database_id() const override;

    // The options in effect, as text.
    [[nodiscard]] std::string options_text() const;

private:
    struct impl;
    explicit rocks_store(std::unique_ptr<impl> parts);

    std::unique_ptr<impl> impl_;
};

}  // namespace brokerd::storage
