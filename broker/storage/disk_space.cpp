// Measures, decides with hysteresis, sets the ballast aside with fallocate.
#include "broker/storage/disk_space.hpp"

#include <algorithm>
#include <fcntl.h>
#include <system_error>
#include <utility>

#include "broker/storage/file_io.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

disk_space::disk_space(fs::path directory, disk_limits limits,
                       std::function<std::optional<std::uint64_t>()> free_bytes)
    : ballast_(std::move(directory) / ballast_file_name),
      limits_(limits),
      measure_(std::move(free_bytes)) {
    measure();
}

void disk_space::measure() {
    const std::lock_guard lock(mutex_);
    const auto free = measure_();
    if (!free) {
        return;  // the next write will tell
    }
    free_.store(*free, std::memory_order_relaxed);
    below_floor_.store(*free < limits_.floor_bytes, std::memory_order_relaxed);
    if (*free < limits_.reserve_bytes) {
        below_.store(true, std::memory_order_relaxed);
    } else if (*free >= limits_.reserve_bytes + limits_.reserve_bytes / 10) {
        below_.store(false, std::memory_order_relaxed);
    }
    if (limits_.ballast_bytes > 0) {
        update_ballast(*free);
    }
}

void disk_space::update_ballast(std::uint64_t free) {
    std::error_code error;
    const auto size = fs::file_size(ballast_, error);
    const bool there = !error;
    // A power cut or a kill while it was made leaves less than it should be.
    const bool whole = there && size >= limits_.ballast_bytes;
    if (there && free < limits_.tight_bytes) {
        fs::remove(ballast_, error);
    } else if (!whole && ballast_possible_ &&
               free / 2 >= limits_.reserve_bytes + limits_.ballast_bytes) {
        const auto file = open_file(ballast_, O_WRONLY | O_CREAT);
        // Where blocks cannot be set aside the file would be no help.
        if (!file ||
            ::fallocate(file->get(), 0, 0, static_cast<off_t>(limits_.ballast_bytes)) != 0) {
            fs::remove(ballast_, error);
            ballast_possible_ = false;
        }
    }
}

std::uint64_t automatic_reserve(const fs::path& directory, std::uint64_t memtable_budget) {
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    std::error_code error;
    const auto space = fs::space(directory, error);
    const std::uint64_t share = error ? most : space.capacity / 20;
    return std::max(std::min(share, most), 2 * memtable_budget);
}

}  // namespace brokerd::storage
