// The few plain files beside RocksDB (BROKERD, marker, lock, ballast), through POSIX calls that say
// what failed. No thread affinity; one owner per file.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

#include "protocol/types/bytes.hpp"

namespace brokerd::storage {

// The error is "cannot VERB PATH: REASON".
template <typename T>
using io_outcome = std::expected<T, std::string>;

// Text of errno as "cannot VERB PATH: REASON".
[[nodiscard]] std::string io_failure(std::string_view verb, const std::filesystem::path& path);

// An open file descriptor.
class file_handle {
public:
    file_handle() = default;
    explicit file_handle(int fd) : fd_(fd) {}
    file_handle(file_handle&& other) noexcept : fd_(other.release()) {}
    file_handle& operator=(file_handle&& other) noexcept;
    ~file_handle();

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    void close();

private:
    int release();

    int fd_ = -1;
};

// `flags` as for open(2); O_CLOEXEC is added, created files get mode 0640.
[[nodiscard]] io_outcome<file_handle> open_file(const std::filesystem::path& path, int flags);

// The whole file, which must not be larger than `bytes_max`.
[[nodiscard]] io_outcome<std::string> read_small_file(const std::filesystem::path& path,
                                                      std::size_t bytes_max);

// Makes a file appear whole and durable: a temporary beside it, fsync, rename, fsync of the
// directory.
[[nodiscard]] io_outcome<void> write_whole_file(const std::filesystem::path& path,
                                                std::string_view text);

// Writes all of `bytes` at `offset`.
[[nodiscard]] io_outcome<void> write_at(const file_handle& file, const std::filesystem::path& path,
                                        byte_view bytes, std::uint64_t offset);

[[nodiscard]] io_outcome<void> sync_file(const file_handle& file,
                                         const std::filesystem::path& path);
[[nodiscard]] io_outcome<void> sync_directory(const std::filesystem::path& path);

}  // namespace brokerd::storage
