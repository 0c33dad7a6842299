// Layout of a slot, and the choice of the newest whole one.
#include "broker/storage/marker_slot.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::storage {

namespace {

constexpr std::string_view magic = "brokerdM";
constexpr std::uint32_t marker_version = 1;
constexpr std::size_t version_at = 8;
constexpr std::size_t crc_at = 12;
constexpr std::size_t generation_at = 16;
constexpr std::size_t id_at = 24;
constexpr std::size_t id_bytes = 32;
constexpr std::size_t numbers_at = id_at + id_bytes;

std::uint32_t crc_of(marker_slot bytes) {
    store_le(bytes.data() + crc_at, std::uint32_t{0});
    return crc32c(0, bytes);
}

}  // namespace

marker_slot encode_marker_slot(const marker_state& state, std::uint64_t generation) {
    marker_slot bytes{};
    std::memcpy(bytes.data(), magic.data(), magic.size());
    store_le(bytes.data() + version_at, marker_version);
    store_le(bytes.data() + generation_at, generation);
    std::memcpy(bytes.data() + id_at, state.database_id.data(),
                std::min(id_bytes, state.database_id.size()));
    std::byte* const numbers = bytes.data() + numbers_at;
    store_le(numbers, state.synced.value());
    store_le(numbers + 8, state.sequence);
    store_le(numbers + 16, state.wal_number);
    store_le(numbers + 24, state.wal_bytes);
    store_le(bytes.data() + crc_at, crc_of(bytes));
    return bytes;
}

std::optional<found_marker> decode_marker_slot(std::string_view slot) {
    marker_slot bytes{};
    if (slot.size() != bytes.size()) {
        return std::nullopt;
    }
    std::memcpy(bytes.data(), slot.data(), bytes.size());
    if (!slot.starts_with(magic) ||
        load_le<std::uint32_t>(bytes.data() + version_at) != marker_version ||
        load_le<std::uint32_t>(bytes.data() + crc_at) != crc_of(bytes)) {
        return std::nullopt;
    }
    found_marker found;
    found.generation = load_le<std::uint64_t>(bytes.data() + generation_at);
    found.state.database_id = slot.substr(id_at, id_bytes);
    const std::byte* const numbers = bytes.data() + numbers_at;
    found.state.synced = commit_number{load_le<std::uint64_t>(numbers)};
    found.state.sequence = load_le<std::uint64_t>(numbers + 8);
    found.state.wal_number = load_le<std::uint64_t>(numbers + 16);
    found.state.wal_bytes = load_le<std::uint64_t>(numbers + 24);
    return found;
}

std::optional<found_marker> newest_marker_slot(std::string_view file) {
    std::optional<found_marker> newest;
    if (file.size() != marker_slots * marker_slot_bytes) {
        return newest;
    }
    for (std::size_t i = 0; i < marker_slots; ++i) {
        auto found = decode_marker_slot(file.substr(i * marker_slot_bytes, marker_slot_bytes));
        if (found && (!newest || found->generation > newest->generation)) {
            newest = std::move(found);
        }
    }
    return newest;
}

}  // namespace brokerd::storage
