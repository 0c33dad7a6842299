// What a slot of DIR/marker says, and its bytes. Pure; any thread. The file: marker.hpp.
//
//   slot: "brokerdM", u32 version 1, u32 crc32c over the slot with this field 0, u64 generation,
//         32 bytes database id, u64 synced commit, u64 sequence, u64 wal number, u64 wal bytes,
//         zeros up to 4 KiB
//
// To change: durable. New version, keep reading the old one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/types/ids.hpp"

namespace brokerd::storage {

struct marker_state {
    std::string database_id;
    commit_number synced;          // the last commit known to be synced
    std::uint64_t sequence = 0;    // of RocksDB, at or after that commit
    std::uint64_t wal_number = 0;  // the live WAL then, and how much of it was synced
    std::uint64_t wal_bytes = 0;
    bool operator==(const marker_state&) const = default;
};

// A marker as found: the newest whole slot.
struct found_marker {
    marker_state state;
    std::uint64_t generation = 0;
    bool operator==(const found_marker&) const = default;
};

inline constexpr std::size_t marker_slot_bytes = 4096;
inline constexpr std::size_t marker_slots = 2;

using marker_slot = std::array<std::byte, marker_slot_bytes>;

[[nodiscard]] marker_slot encode_marker_slot(const marker_state& state, std::uint64_t generation);
// Nothing unless `slot` is whole.
[[nodiscard]] std::optional<found_marker> decode_marker_slot(std::string_view slot);
// The newest whole slot of a file; nothing if there is none or the file has another size.
[[nodiscard]] std::optional<found_marker> newest_marker_slot(std::string_view file);

}  // namespace brokerd::storage
