// The right to a data directory: one brokerd at a time, held by a lock on DIR/lock that goes with
// the process. Owner: rocks_store.
#pragma once

#include <filesystem>

#include "broker/storage/file_io.hpp"
#include "broker/storage/open_error.hpp"

namespace brokerd::storage {

class directory_lock {
public:
    static constexpr const char* file_name = "lock";

    // Errors: locked (the text names the process that has it), failed.
    [[nodiscard]] static open_outcome<directory_lock> acquire(
        const std::filesystem::path& directory);

private:
    explicit directory_lock(file_handle file) : file_(std::move(file)) {}

    file_handle file_;
};

}  // namespace brokerd::storage
