// The chunk: what one commit appended to one topic and lane; the unit of storage and of the cache.
// Immutable once sealed and shared by reference, so any thread may read one. Pure.
//
//   offset size
//    0   u8   version          1
//    1   u8   lane             level of priority of all its messages, below limits::priorities_max
//    2   u16  reserved         0
//    4   u32  count            messages
//    8   u64  topic
//   16   u64  base_offset      of the first message
//   24   i64  append_time      microseconds since 1970 UTC
//   32   u32  batches_bytes    bytes behind the header
//   36   u32  crc32c           over bytes 0..35, then over the crc32c field of each record in order
//   40        record batches, each with its own header (protocol/codec/record_batch.hpp)
//
// The checksum covers topic and offset, so a misplaced chunk is found. To change: new version, keep
// the old reader, add a golden file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

// When a message appended at `appended` expires; `own_ms` = its own time to live, `ttl` = of those
// without one, 0: never. Times beyond limits::ttl_max are never, and 0 of its own is long ago.
[[nodiscard]] wall_time expires_at(wall_time appended, std::optional<std::uint64_t> own_ms,
                                   duration_us ttl);

inline constexpr std::size_t chunk_header_bytes = 40;
inline constexpr std::uint8_t chunk_version = 1;

class chunk;
using chunk_ptr = std::shared_ptr<const chunk>;

// Whole records that lie next to each other in one batch of a chunk.
struct record_slice {
    offset_t first = 0;
    std::uint32_t count = 0;
    byte_view bytes;  // valid as long as the chunk
};

class chunk {
public:
    // Takes sealed bytes (header included) that were verified record by record when they arrived.
    // `positions` = start of each record within `bytes`. Used by chunk_builder.
    chunk(byte_buffer bytes, std::vector<std::uint32_t> positions);

    // Verifies bytes read from disk: header, checksum, walk over all batches and records.
    // `check_records` also verifies the checksum of each record. Errors: bad_batch, bad_checksum.
    [[nodiscard]] static outcome<chunk_ptr> load(byte_buffer bytes, bool check_records);

    [[nodiscard]] topic_id topic() const { return topic_; }
    [[nodiscard]] std::uint8_t lane() const { return lane_; }
    [[nodiscard]] offset_t base_offset() const { return base_offset_; }
    [[nodiscard]] offset_t end_offset() const { return base_offset_ + count_; }  // exclusive
    [[nodiscard]] offset_t last_offset() const { return end_offset() - 1; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] wall_time append_time() const { return append_time_; }
    [[nodiscard]] byte_view bytes() const { return bytes_; }  // header included, as stored
    [[nodiscard]] bool contains(offset_t offset) const {
        return offset >= base_offset_ && offset < end_offset();
    }

    // When the first of its messages with a time to live of their own expires; wall_never: none
    // has.
    [[nodiscard]] wall_time first_expiry() const { return first_expiry_; }
    // When the message expires; `ttl` = of those without one of their own, 0: never.
    [[nodiscard]] wall_time expiry_of(offset_t offset, duration_us ttl) const;
    // False: none of its messages has expired, whatever `ttl` gives those without one.
    [[nodiscard]] bool may_have_expired(wall_time now, duration_us ttl) const {
        return first_expiry_ <= now || (ttl > duration_us{0} && append_time_ + ttl <= now);
    }

    // Size in bytes of the record at `offset`, which must be contained.
    [[nodiscard]] std::uint32_t record_size(offset_t offset) const;
    [[nodiscard]] byte_view record(offset_t offset) const;
    // The records from `first` on that lie in the same batch, at most `count_max` of them and at
    // most `bytes_max` bytes, but at least one.
    [[nodiscard]] record_slice slice(offset_t first, std::uint64_t count_max,
                                     std::uint64_t bytes_max) const;
    // Bytes this chunk occupies in memory, for the cache budget.
    [[nodiscard]] std::size_t memory_bytes() const;

private:
    byte_buffer bytes_;
    std::vector<std::uint32_t> positions_;  // start of record i in bytes_
    topic_id topic_;
    std::uint8_t lane_ = 0;
    offset_t base_offset_ = 0;
    std::uint32_t count_ = 0;
    wall_time append_time_{};
    wall_time first_expiry_ = wall_never;
};

// Gathers the batches of one commit for one topic and lane. Owner: the engine.
class chunk_builder {
public:
    chunk_builder(topic_id topic, offset_t base_offset, std::uint8_t lane = 0);

    [[nodiscard]] std::uint8_t lane() const { return lane_; }
    [[nodiscard]] offset_t next_offset() const { return base_offset_ + positions_.size(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }
    [[nodiscard]] bool empty() const { return positions_.empty(); }

    // Appends a whole checked batch of `count` records; returns the offset of its first message.
    offset_t append(byte_view batch, std::uint32_t count);
    // Completes the header. The builder must not be used afterwards.
    [[nodiscard]] chunk_ptr seal(wall_time append_time);

private:
    topic_id topic_;
    offset_t base_offset_;
    std::uint8_t lane_;
    byte_buffer bytes_;
    std::vector<std::uint32_t> positions_;
};

}  // namespace brokerd::domain
