// Walks the blocks of each log file and searches the payloads of whole records for commits.
#include "broker/storage/wal_scan.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "broker/storage/values.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block_bytes = 32768;
constexpr std::size_t header_bytes = 7;
constexpr std::uint8_t last_plain_type = 4;  // full, first, middle, last are 1 to 4

// RocksDB stores its checksums turned and shifted.
std::uint32_t masked(std::uint32_t crc) {
    return std::rotr(crc, 15) + 0xa282ead8U;
}

// Finds the commit values in a stream of record payloads; one may be split between two records.
class commit_finder {
public:
    explicit commit_finder(wal_facts& facts) : facts_(facts) {}

    void add(std::string_view payload) {
        const std::size_t carried = tail_.size();
        tail_.append(payload.substr(0, std::min(payload.size(), commit_value::bytes)));
        search(tail_);
        if (payload.size() >= commit_value::bytes) {
            search(payload);
            tail_ = payload.substr(payload.size() - commit_value::bytes + 1);
        } else if (carried + payload.size() >= commit_value::bytes) {
            tail_.erase(0, tail_.size() - commit_value::bytes + 1);
        }
    }

private:
    void search(std::string_view bytes) {
        for (auto at = bytes.find(commit_magic); at != bytes.npos;
             at = bytes.find(commit_magic, at + 1)) {
            commit_value value;
            // The version byte stands in front of the magic.
            if (at > 0 && decode_value(bytes.substr(at - 1, commit_value::bytes), value)) {
                facts_.last = std::max(facts_.last, value.number);
                facts_.synced = std::max(facts_.synced, value.synced);
            }
        }
    }

    wal_facts& facts_;
    std::string tail_;
};

// The whole records of one block; a damaged one ends the block, as its length cannot be trusted.
void scan_block(std::string_view block, commit_finder& finder) {
    while (block.size() >= header_bytes) {
        const std::byte* const header = as_bytes(block).data();
        const std::size_t length = load_le<std::uint16_t>(header + 4);
        const auto type = std::to_integer<std::uint8_t>(header[6]);
        if (type == 0 || type > last_plain_type || length > block.size() - header_bytes) {
            return;
        }
        const auto checked = block.substr(6, 1 + length);
        if (load_le<std::uint32_t>(header) != masked(crc32c(0, as_bytes(checked)))) {
            return;
        }
        finder.add(checked.substr(1));
        block.remove_prefix(header_bytes + length);
    }
}

io_outcome<void> scan_file(const fs::path& path, wal_facts& facts) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::unexpected(fmt::format("cannot open {}", path.string()));
    }
    commit_finder finder(facts);
    std::string block(block_bytes, '\0');
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) ||
           file.gcount() > 0) {
        scan_block({block.data(), static_cast<std::size_t>(file.gcount())}, finder);
    }
    if (file.bad()) {
        return std::unexpected(fmt::format("cannot read {}", path.string()));
    }
    return {};
}

}  // namespace

io_outcome<wal_facts> scan_wals(const fs::path& directory) {
    wal_facts facts;
    std::error_code error;
    if (!fs::exists(directory, error)) {
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
