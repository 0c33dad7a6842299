// The record: one message as bytes, the same on the wire and on disk. Pure; no thread affinity.
//
//   u32  length     of all bytes behind this field
//   u32  crc32c     over length and all bytes behind this field
//   u8   flags      1 key, 2 headers, 4 ttl, 8 priority, 16 message id; others are refused
//   [u64 ttl_ms]    with flag 4: how long it may wait to be delivered, from its append on
//   [u8  priority]  with flag 8
//   [u8  id_length, id bytes]                                        with flag 16
//   [u16 key_length, key bytes]                                      with flag 1
//   [u16 count, count x (u16 length, name, u16 length, value)]       with flag 2
//   payload         the rest
//
// To change: new batch version, keep this reader, add a golden file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::codec {

inline constexpr std::size_t record_prefix_bytes = 8;  // length and checksum
inline constexpr std::size_t record_bytes_min = 9;     // prefix and flags

enum record_flags : std::uint8_t {
    record_has_key = 1,
    record_has_headers = 2,
    record_has_ttl = 4,
    record_has_priority = 8,
    record_has_id = 16,
    record_flags_known = 31,
};

using header_view = std::pair<std::string_view, std::string_view>;  // name, value

// A record taken apart; every view points into the record's bytes.
struct record_view {
    byte_view bytes{};  // the whole record
    std::uint8_t flags = 0;
    std::optional<std::string_view> key{};
    std::optional<std::uint64_t> ttl_ms{};
    std::optional<std::uint8_t> priority{};
    std::optional<std::string_view> id{};
    byte_view headers_bytes{};  // behind the count
    std::uint16_t headers_count = 0;
    byte_view payload{};

    // Allocates; for those who look, not for the hot path.
    [[nodiscard]] std::vector<header_view> headers() const;
    // Value of the first header of that name. Does not allocate.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

// What to write; views need to live only during the call.
struct record_fields {
    std::optional<std::string_view> key{};
    std::vector<header_view> headers{};
    byte_view payload{};
    std::optional<std::uint64_t> ttl_ms{};
    std::optional<std::uint8_t> priority{};
    std::optional<std::string_view> id{};  // 1 to limits::message_id_bytes_max bytes
};

// The flags of the record that encode_record makes of them.
[[nodiscard]] std::uint8_t flags_of(const record_fields& fields);
// Bytes encode_record will append.
[[nodiscard]] std::size_t record_size(const record_fields& fields);
// Appends the record. The caller keeps the limits (check_record holds them on the other side).
void encode_record(byte_buffer& out, const record_fields& fields);

// The key of a record verified earlier, empty if it has none: reads only what lies before it.
[[nodiscard]] std::string_view record_key(byte_view record);

// The message id of a record verified earlier, empty if it has none: reads only what lies before
// it.
[[nodiscard]] std::string_view record_id(byte_view record);

// The time to live of a record verified earlier, if it has one of its own. Reads only that.
[[nodiscard]] std::optional<std::uint64_t> record_ttl_ms(byte_view record);

// The priority of a record verified earlier, 0 if it has none. Reads only what lies before it.
[[nodiscard]] std::uint8_t record_priority(byte_view record);

// Size of the record at the front of `bytes`, 0 if there is no whole one. Reads only the length.
[[nodiscard]] std::size_t record_size_at(byte_view bytes);

// Takes the record at the front of `bytes` apart and verifies structure, limits and checksum.
// Errors: bad_batch (truncated, unknown flags), bad_checksum, key_too_large, too_many_headers.
[[nodiscard]] outcome<record_view> check_record(byte_view bytes);

// As check_record, for bytes verified earlier: no checksum.
[[nodiscard]] outcome<record_view> parse_record(byte_view bytes);

}  // namespace brokerd::codec
