// A directory of our own that goes away with its owner. Owner: the main thread.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace brokerd::app {

class temporary_directory {
public:
    [[nodiscard]] static std::expected<temporary_directory, std::error_code> create();

    temporary_directory(temporary_directory&& other) noexcept
        : path_(std::exchange(other.path_, {})) {}
    temporary_directory& operator=(temporary_directory&&) = delete;
    ~temporary_directory();

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    explicit temporary_directory(std::filesystem::path path) : path_(std::move(path)) {}

    std::filesystem::path path_;
};

}  // namespace brokerd::app
