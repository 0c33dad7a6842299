// The record batch: records that travel and are stored together, the same bytes on the wire and on
// disk. Pure; no thread affinity.
//
//   offset size
//    0   u8   version            1
//    1   u8   codec              0 = none
//    2   u8   flags              union of the flags of its records
//    3   u8   reserved           0
//    4   u32  count              records, at least 1
//    8   u32  records_bytes      bytes behind the header
//   12   u32  header_crc32c      over the header with this field 0
//   16   u64  producer           0 = not idempotent
//   24   u64  first_sequence     of the first record; the others follow. From 1; 0 without producer
//   32   u64  earliest_ttl_ms    smallest time to live of its records; the largest value = none
//   40   u64  latest_ttl_ms      largest time to live; the largest value = some record has none
//   48        records
#pragma once

#include <cstdint>
#include <limits>

#include "protocol/codec/record.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::codec {

inline constexpr std::size_t batch_header_bytes = 48;
inline constexpr std::uint8_t batch_version = 1;
inline constexpr std::uint64_t no_ttl = std::numeric_limits<std::uint64_t>::max();

struct batch_header {
    std::uint8_t version = batch_version;
    std::uint8_t codec = 0;
    std::uint8_t flags = 0;
    std::uint32_t count = 0;
    std::uint32_t records_bytes = 0;
    producer_id producer{};
    std::uint64_t first_sequence = 0;
    std::uint64_t earliest_ttl_ms = no_ttl;
    std::uint64_t latest_ttl_ms = no_ttl;

    bool operator==(const batch_header&) const = default;
};

// Writes the header with its checksum to the 48 bytes at `to`.
void store_batch_header(std::byte* to, const batch_header& header);
// Errors: bad_batch (truncated, unknown version or codec, reserved not 0), bad_checksum.
[[nodiscard]] outcome<batch_header> load_batch_header(byte_view bytes);

// What the header of a batch that was verified earlier says about it. Reads only that.
struct batch_summary {
    std::size_t bytes = 0;  // of the whole batch
    std::uint64_t earliest_ttl_ms = no_ttl;
};
[[nodiscard]] batch_summary summarize_batch(byte_view batch);

// A batch whose structure and checksums hold. `bytes` is the whole batch, header included.
struct checked_batch {
    byte_view bytes{};
    batch_header header;
    std::uint64_t largest_record = 0;  // bytes
};

// Verifies a whole received batch: header, exact length, each record (check_record), flags union.
// Errors: those of the above, empty_batch, too_many_records.
[[nodiscard]] outcome<checked_batch> check_batch(byte_view bytes, std::uint32_t records_max);

// Builds one batch, record by record; reusable after take(). Owner: one thread.
class batch_builder {
public:
    // Adds a record; its sequence is that of the batch plus its place.
    void add(const record_fields& fields);
    [[nodiscard]] std::uint32_t count() const { return header_.count; }
    [[nodiscard]] std::size_t bytes() const { return buffer_.size(); }  // header included
    [[nodiscard]] bool empty() const { return header_.count == 0; }
    // Completes the header and hands the bytes out; the builder is empty again.
    [[nodiscard]] byte_buffer take(producer_id producer, std::uint64_t first_sequence);

private:
    batch_header header_;
    byte_buffer buffer_;
};

}  // namespace brokerd::codec
