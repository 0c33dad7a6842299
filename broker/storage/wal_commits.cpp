// Puts together the end of each record from its fragments and reads the commit there.
#include "broker/storage/wal_commits.hpp"

#include <algorithm>
#include <bit>

#include "broker/storage/values.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace {

constexpr std::size_t header_bytes = 7;
constexpr std::uint8_t last_type = 4;
constexpr std::size_t sector_bytes = 512;  // what any disk writes whole or not at all

// RocksDB stores its checksums turned and shifted.
std::uint32_t masked(std::uint32_t crc) {
    return std::rotr(crc, 15) + 0xa282ead8U;
}

}  // namespace

// A damaged fragment ends its record. What is behind it in the block is found by its length, unless
// that makes no sense or the disk may have written only one half of it: what a sector that was
// never written would make of it could lead into a message.
void wal_commits::add_block(std::string_view block) {
    const std::size_t size = block.size();
    while (block.size() >= header_bytes) {
        const std::byte* const header = as_bytes(block).data();
        const std::size_t length = load_le<std::uint16_t>(header + 4);
        const auto type = std::to_integer<std::uint8_t>(header[6]);
        if (type == 0 || type > last_type || length > block.size() - header_bytes) {
            end_.clear();
            return;
        }
        const auto checked = block.substr(6, 1 + length);
        if (load_le<std::uint32_t>(header) == masked(crc32c(0, as_bytes(checked)))) {
            add_fragment(fragment{type}, checked.substr(1));
        } else {
            end_.clear();
            const std::size_t in_sector = (size - block.size()) % sector_bytes;
            if (in_sector + header_bytes > sector_bytes) {
                return;
            }
        }
        block.remove_prefix(header_bytes + length);
    }
}

void wal_commits::add_fragment(fragment type, std::string_view payload) {
    if (type == fragment::full || type == fragment::first) {
        end_.clear();
    }
    end_ += payload.substr(payload.size() - std::min(payload.size(), commit_value::bytes));
    end_.erase(0, end_.size() - std::min(end_.size(), commit_value::bytes));
    if (type == fragment::full || type == fragment::last) {
        commit_value value;
        if (decode_value(end_, value)) {
            synced_ = std::max(synced_, value.synced);
        }
        end_.clear();
    }
}

}  // namespace brokerd::storage
