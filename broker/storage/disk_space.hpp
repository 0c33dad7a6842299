// The free space of the disk: below the reserve publishes are refused, so that what frees space can
// still be written (RELIABILITY P8). What was taken before may use part of the reserve, down to a
// floor. A ballast file is given up when space gets tight, and at a start on a full disk. Any
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>

namespace brokerd::storage {

struct disk_limits {
    std::uint64_t reserve_bytes = 0;  // below: nothing new is taken
    std::uint64_t floor_bytes = 0;    // below: nothing that needs space is written
    std::uint64_t tight_bytes = 0;    // below: the ballast goes
    std::uint64_t ballast_bytes = 0;  // 0 = no ballast
};

class disk_space {
public:
    static constexpr const char* ballast_file_name = "ballast";

    // `free_bytes` measures; it returns nothing if it cannot.
    disk_space(std::filesystem::path directory, disk_limits limits,
               std::function<std::optional<std::uint64_t>()> free_bytes);

    // Measures, and gives up or takes back the ballast.
    void measure();

    [[nodiscard]] std::uint64_t free_bytes() const { return free_.load(std::memory_order_relaxed); }
    // Left only when there is a tenth more than the reserve.
    [[nodiscard]] bool below_reserve() const { return below_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool below_floor() const { return below_floor_.load(std::memory_order_relaxed); }
    [[nodiscard]] const disk_limits& limits() const { return limits_; }

private:
    void update_ballast(std::uint64_t free);

    const std::filesystem::path ballast_;
    const disk_limits limits_;
    const std::function<std::optional<std::uint64_t>()> measure_;
    std::mutex mutex_;              // one measurement at a time
    bool ballast_possible_ = true;  // guarded by mutex_
    std::atomic<std::uint64_t> free_ = 0;
    std::atomic<bool> below_ = false;
    std::atomic<bool> below_floor_ = false;
};

// The reserve if none is configured: 5 % of the disk, at most 1 GiB, at least two memtable budgets.
[[nodiscard]] std::uint64_t automatic_reserve(const std::filesystem::path& directory,
                                              std::uint64_t memtable_budget);

}  // namespace brokerd::storage
