// Walks the blocks of each log file and reads the commit at the end of each record.
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

// A record is one full fragment, or a first, any number of middle ones and a last. RocksDB's own
// numbers; those of recycled log files are others, and brokerd recycles none.
enum class fragment : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };
constexpr std::uint8_t first_type = 1;
constexpr std::uint8_t last_type = 4;

// RocksDB stores its checksums turned and shifted.
std::uint32_t masked(std::uint32_t crc) {
    return std::rotr(crc, 15) + 0xa282ead8U;
}

// Puts together the end of each record from its fragments and reads the commit there.
class commit_reader {
public:
    explicit commit_reader(wal_facts& facts) : facts_(facts) {}

    void add(fragment type, std::string_view payload) {
        if (type == fragment::full || type == fragment::first) {
            end_.clear();
        }
        end_ += payload.substr(payload.size() - std::min(payload.size(), commit_value::bytes));
        end_.erase(0, end_.size() - std::min(end_.size(), commit_value::bytes));
        if (type == fragment::full || type == fragment::last) {
            read();
            end_.clear();
        }
    }
    // What follows does not continue what was added before.
    void skipped() { end_.clear(); }

private:
    void read() {
        commit_value value;
        if (decode_value(end_, value)) {
            facts_.synced = std::max(facts_.synced, value.synced);
        }
    }

    wal_facts& facts_;
    std::string end_;  // of the record that is being put together
};

// The whole fragments of one block; a damaged one ends it, as its length cannot be trusted.
void scan_block(std::string_view block, commit_reader& reader) {
    while (block.size() >= header_bytes) {
        const std::byte* const header = as_bytes(block).data();
        const std::size_t length = load_le<std::uint16_t>(header + 4);
        const auto type = std::to_integer<std::uint8_t>(header[6]);
        if (type < first_type || type > last_type || length > block.size() - header_bytes) {
            reader.skipped();
            return;
        }
        const auto checked = block.substr(6, 1 + length);
        if (load_le<std::uint32_t>(header) != masked(crc32c(0, as_bytes(checked)))) {
            reader.skipped();
            return;
        }
        reader.add(fragment{type}, checked.substr(1));
        block.remove_prefix(header_bytes + length);
    }
}

io_outcome<void> scan_file(const fs::path& path, wal_facts& facts) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::unexpected(fmt::format("cannot open {}", path.string()));
    }
    commit_reader reader(facts);
    std::string block(block_bytes, '\0');
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) ||
           file.gcount() > 0) {
        scan_block({block.data(), static_cast<std::size_t>(file.gcount())}, reader);
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
