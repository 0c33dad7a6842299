// Walks the blocks of each log file.
#include "broker/storage/wal_scan.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "broker/storage/wal_commits.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

io_outcome<void> scan_file(const fs::path& path, wal_facts& facts) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::unexpected(fmt::format("cannot open {}", path.string()));
    }
    wal_commits commits;
    std::string block(wal_block_bytes, '\0');
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) ||
           file.gcount() > 0) {
        commits.add_block({block.data(), static_cast<std::size_t>(file.gcount())});
    }
    facts.synced = std::max(facts.synced, commits.synced());
    if (file.bad()) {
        return std::unexpected(fmt::format("cannot read {}", path.string()));
    }
    return {};
}

}  // namespace

io_outcome<wal_facts> scan_wals(const fs::path& directory) {
    wal_facts facts;
    std::error_code error;
    if (!fs::exists(directory, error) && !error) {
        return facts;
    }
    fs::directory_iterator entries(directory, error);
    for (; !error && entries != fs::directory_iterator{}; entries.increment(error)) {
        const auto path = entries->path();
        const auto stem = path.stem().string();
        wal_file file;
        if (path.extension() == ".log" &&
            std::from_chars(stem.data(), stem.data() + stem.size(), file.number).ec ==
                std::errc{}) {
            file.bytes = entries->file_size(error);
            facts.files.push_back(file);
            if (auto scanned = scan_file(path, facts); !scanned) {
                return std::unexpected(scanned.error());
            }
        }
    }
    if (error) {
        return std::unexpected(
            fmt::format("cannot list {}: {}", directory.string(), error.message()));
    }
    std::ranges::sort(facts.files, {}, &wal_file::number);
    return facts;
}

}  // namespace brokerd::storage
