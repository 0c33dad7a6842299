// Walks the records of a block and searches the payloads of whole ones for commits.
#include "broker/storage/wal_commits.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "broker/storage/values.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace {

constexpr std::size_t header_bytes = 7;
constexpr std::uint8_t last_plain_type = 4;  // full, first, middle, last are 1 to 4

// RocksDB stores its checksums turned and shifted.
std::uint32_t masked(std::uint32_t crc) {
    return std::rotr(crc, 15) + 0xa282ead8U;
}

}  // namespace

// A damaged record ends the block, as its length cannot be trusted.
void wal_commits::add_block(std::string_view block) {
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
        add_record(checked.substr(1));
        block.remove_prefix(header_bytes + length);
    }
}

void wal_commits::add_record(std::string_view payload) {
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

void wal_commits::search(std::string_view bytes) {
    for (auto at = bytes.find(commit_magic); at != bytes.npos;
         at = bytes.find(commit_magic, at + 1)) {
        commit_value value;
        // The version byte stands in front of the magic.
        if (at > 0 && decode_value(bytes.substr(at - 1, commit_value::bytes), value)) {
            last_ = std::max(last_, value.number);
            synced_ = std::max(synced_, value.synced);
        }
    }
}

}  // namespace brokerd::storage
