// DIR/marker: how far the database was known to be on disk. RocksDB opens without complaint when
// its live WAL was cut short or removed; the marker is what notices. Two slots (marker_slot.hpp)
// are overwritten in turn, so that a torn write leaves the other one.
//
// The writer has a thread of its own: a commit only leaves its number (advance), the thread writes
// and syncs the newest one at most once a second, and close() writes the last one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "broker/storage/file_io.hpp"
#include "broker/storage/marker_slot.hpp"
#include "broker/storage/open_error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::storage {

inline constexpr const char* marker_file_name = "marker";

// Creates the file with both slots, durable, naming no commit.
[[nodiscard]] io_outcome<void> create_marker(const std::filesystem::path& path,
                                             const std::string& database_id);
// Nothing: there is no such file. Errors: refused (no slot is whole), failed.
[[nodiscard]] open_outcome<std::optional<found_marker>> read_marker(
    const std::filesystem::path& path);

class marker_writer {
public:
    // `found` is what read_marker returned. `measure` fills in sequence and WAL of a state; it is
    // called on the marker's thread. `failed` is called there once if a write fails.
    marker_writer(std::filesystem::path path, file_handle file, found_marker found,
                  std::function<void(marker_state&)> measure,
                  std::function<void(const std::string&)> failed);
    ~marker_writer();  // close()
    marker_writer(const marker_writer&) = delete;
    marker_writer& operator=(const marker_writer&) = delete;

    // All up to this commit is synced. Cheap; called on the commit thread.
    void advance(commit_number synced);
    // Writes what is not written yet and ends the thread.
    void close();
    // Ends the thread without writing.
    void abandon();

private:
    void run();
    void stop();
    void write(commit_number synced);

    const std::filesystem::path path_;
    const std::function<void(marker_state&)> measure_;
    const std::function<void(const std::string&)> failed_;

    std::mutex mutex_;
    std::condition_variable wake_;
    commit_number wanted_;  // guarded by mutex_
    bool closing_ = false;  // guarded by mutex_

    file_handle file_;  // from here on: the marker's thread, then the closing one
    marker_state state_;
    std::uint64_t generation_ = 0;
    bool broken_ = false;

    std::thread thread_;
};

}  // namespace brokerd::storage
