// Reads or creates BROKERD, and tells a foreign directory from an empty one.
#include "broker/storage/format_file.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <sys/random.h>
#include <system_error>

#include <fmt/format.h>

#include "broker/storage/directory_lock.hpp"
#include "broker/storage/file_io.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t file_bytes_max = 4096;

io_outcome<std::string> random_id() {
    std::array<std::uint64_t, 2> words{};
    if (::getrandom(words.data(), sizeof words, 0) != sizeof words) {
        return std::unexpected(io_failure("read", "random numbers"));
    }
    return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

// What is in the directory besides what an interrupted creation leaves behind.
io_outcome<std::string> foreign_entry(const fs::path& directory) {
    const std::array<std::string, 3> ours{
        directory_lock::file_name, std::string(format_file::file_name) + ".new", "lost+found"};
    std::error_code error;
    fs::directory_iterator entries(directory, error);
    for (; !error && entries != fs::directory_iterator{}; entries.increment(error)) {
        auto name = entries->path().filename().string();
        if (std::ranges::find(ours, name) == ours.end()) {
            return name;
        }
    }
    if (error) {
        return std::unexpected(
            fmt::format("cannot list {}: {}", directory.string(), error.message()));
    }
    return std::string{};
}

// The file, or nothing where it may be created.
open_outcome<std::optional<format_file>> read_if_there(const fs::path& directory) {
    const auto path = directory / format_file::file_name;
    std::error_code error;
    std::string foreign;
    if (!fs::exists(path, error)) {
        auto found = foreign_entry(directory);
        if (!found) {
            return open_failed(open_failure::failed, found.error());
        }
        foreign = std::move(*found);
    }
    // Looked for again: another brokerd may have created it, and the rest behind it.
    if (fs::exists(path, error)) {
        const auto text = read_small_file(path, file_bytes_max);
        if (!text) {
            return open_failed(open_failure::failed, text.error());
        }
        auto facts = parse_format_text(*text, path);
        if (!facts) {
            return std::unexpected(std::move(facts.error()));
        }
        return format_file{std::move(*facts)};
    }
    if (!foreign.empty()) {
        return open_failed(open_failure::refused,
                           fmt::format("{} has files (such as {}) but no {} file, so it is no data "
                                       "directory of brokerd. Nothing was changed; choose an empty "
                                       "or new directory",
                                       directory.string(), foreign, format_file::file_name));
    }
    return std::nullopt;
}

}  // namespace

open_outcome<void> format_file::check(const fs::path& directory) {
    if (const auto read = read_if_there(directory); !read) {
        return std::unexpected(read.error());
    }
    return {};
}

open_outcome<format_file> format_file::read_or_create(const fs::path& directory) {
    const auto path = directory / file_name;
    const auto read = read_if_there(directory);
    if (!read) {
        return std::unexpected(read.error());
    }
    if (*read) {
        return **read;
    }
    auto id = random_id();
    if (!id) {
        return open_failed(open_failure::failed, id.error());
    }
    format_file fresh{{.database_id = std::move(*id)}, true};
    if (const auto written = write_whole_file(path, format_text(fresh)); !written) {
        return open_failed(open_failure::failed, written.error());
    }
    return fresh;
}

}  // namespace brokerd::storage
