// Chunks: building, sealing, loading, slicing.
#include "broker/domain/chunk.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/crc32c.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t at_version = 0;
constexpr std::size_t at_lane = 1;
constexpr std::size_t at_reserved = 2;
constexpr std::size_t at_count = 4;
constexpr std::size_t at_topic = 8;
constexpr std::size_t at_base_offset = 16;
constexpr std::size_t at_append_time = 24;
constexpr std::size_t at_batches_bytes = 32;
constexpr std::size_t at_crc = 36;
constexpr std::size_t record_crc_at = 4;  // within a record, behind its length

// Over the header without its last field, then over the checksum of each record.
std::uint32_t chunk_checksum(byte_view bytes, const std::vector<std::uint32_t>& positions) {
    std::uint32_t crc = crc32c(0, bytes.first(at_crc));
    std::array<std::byte, 256> gathered;
    std::size_t filled = 0;
    for (const std::uint32_t position : positions) {
        std::copy_n(bytes.data() + position + record_crc_at, sizeof(std::uint32_t),
                    gathered.data() + filled);
        filled += sizeof(std::uint32_t);
        if (filled == gathered.size()) {
            crc = crc32c(crc, gathered);
            filled = 0;
        }
    }
    return crc32c(crc, byte_view{gathered}.first(filled));
}

std::unexpected<failure> damaged(std::string_view what) {
    return refuse(error_code::bad_batch, fmt::format("the chunk {}", what));
}

// Appends the positions of the records of the batch at `position`; returns the end of the batch.
outcome<std::size_t> walk_batch(byte_view bytes, std::size_t position, bool check_records,
                                std::vector<std::uint32_t>& positions) {
    const auto header = codec::load_batch_header(bytes.subspan(position));
    if (!header) {
        return std::unexpected(header.error());
    }
    position += codec::batch_header_bytes;
    if (header->records_bytes > bytes.size() - position) {
        return damaged("ends within a batch");
    }
    const std::size_t end = position + header->records_bytes;
    for (std::uint32_t i = 0; i < header->count; ++i) {
        const byte_view rest = bytes.subspan(position, end - position);
        const std::size_t size = codec::record_size_at(rest);
        if (size < codec::record_bytes_min) {
            return damaged("ends within a record");
        }
        if (check_records) {
            if (const auto record = codec::check_record(rest.first(size)); !record) {
                return std::unexpected(record.error());
            }
        }
        positions.push_back(static_cast<std::uint32_t>(position));
        position += size;
    }
    if (position != end) {
        return damaged("has bytes behind the records of a batch");
    }
    return end;
}

}  // namespace

wall_time expires_at(wall_time appended, std::optional<std::uint64_t> own_ms, duration_us ttl) {
    using std::chrono::milliseconds;
    constexpr auto own_max = std::chrono::duration_cast<milliseconds>(limits::ttl_max).count();
    if (own_ms == 0) {
        return {};  // also while the clock is set back behind its append
    }
    if (own_ms) {
        return *own_ms > static_cast<std::uint64_t>(own_max)
                   ? wall_never
                   : appended + milliseconds(static_cast<std::int64_t>(*own_ms));
    }
    return ttl > duration_us{0} ? appended + ttl : wall_never;
}

chunk::chunk(byte_buffer bytes, std::vector<std::uint32_t> positions)
    : bytes_(std::move(bytes)),
      positions_(std::move(positions)),
      topic_(load_le<std::uint64_t>(bytes_.data() + at_topic)),
      lane_(load_le<std::uint8_t>(bytes_.data() + at_lane)),
      base_offset_(load_le<std::uint64_t>(bytes_.data() + at_base_offset)),
      count_(load_le<std::uint32_t>(bytes_.data() + at_count)),
      append_time_(wall_from_us(load_le<std::int64_t>(bytes_.data() + at_append_time))) {
    BROKERD_ASSERT(count_ > 0 && count_ == positions_.size());
    std::optional<std::uint64_t> earliest;
    for (std::size_t at = chunk_header_bytes; at < bytes_.size();) {
        const codec::batch_summary batch = codec::summarize_batch(byte_view{bytes_}.subspan(at));
        if (batch.earliest_ttl_ms != codec::no_ttl) {
            earliest = std::min(earliest.value_or(codec::no_ttl), batch.earliest_ttl_ms);
        }
        at += batch.bytes;
    }
    first_expiry_ = expires_at(append_time_, earliest, duration_us{0});
}

wall_time chunk::expiry_of(offset_t offset, duration_us ttl) const {
    return expires_at(append_time_, codec::record_ttl_ms(record(offset)), ttl);
}

outcome<chunk_ptr> chunk::load(byte_buffer bytes, bool check_records) {
    if (bytes.size() < chunk_header_bytes) {
        return damaged("is shorter than its header");
    }
    const std::byte* header = bytes.data();
    if (load_le<std::uint8_t>(header + at_version) != chunk_version) {
        return damaged(
            fmt::format("has unknown version {}", load_le<std::uint8_t>(header + at_version)));
    }
    if (load_le<std::uint8_t>(header + at_lane) >= limits::priorities_max ||
        load_le<std::uint16_t>(header + at_reserved) != 0) {
        return damaged("has an unknown lane or reserved bits");
    }
    if (load_le<std::uint32_t>(header + at_batches_bytes) != bytes.size() - chunk_header_bytes) {
        return damaged("does not have the length its header says");
    }
    std::vector<std::uint32_t> positions;
    for (std::size_t position = chunk_header_bytes; position < bytes.size();) {
        const auto end = walk_batch(bytes, position, check_records, positions);
        if (!end) {
            return std::unexpected(end.error());
        }
        position = *end;
    }
    if (positions.empty() || load_le<std::uint32_t>(header + at_count) != positions.size()) {
        return damaged("does not hold as many messages as its header says");
    }
    const auto base_offset = load_le<std::uint64_t>(header + at_base_offset);
    if (base_offset + positions.size() < base_offset) {
        return damaged("goes beyond the largest offset");
    }
    if (load_le<std::uint32_t>(header + at_crc) != chunk_checksum(bytes, positions)) {
        return refuse(error_code::bad_checksum, "the chunk does not match its checksum");
    }
    return std::make_shared<const chunk>(std::move(bytes), std::move(positions));
}

std::uint32_t chunk::record_size(offset_t offset) const {
    BROKERD_ASSERT(contains(offset));
    const std::uint32_t position = positions_[offset - base_offset_];
    return static_cast<std::uint32_t>(codec::record_size_at(byte_view{bytes_}.subspan(position)));
}

byte_view chunk::record(offset_t offset) const {
    return byte_view{bytes_}.subspan(positions_[offset - base_offset_], record_size(offset));
}

record_slice chunk::slice(offset_t first, std::uint64_t count_max, std::uint64_t bytes_max) const {
    const std::uint32_t begin = positions_[first - base_offset_];
    std::uint32_t end = begin + record_size(first);
    std::uint32_t count = 1;
    // The next record begins where this one ends unless a batch header lies between them.
    for (offset_t next = first + 1; next < end_offset() && count < count_max; ++next, ++count) {
        if (positions_[next - base_offset_] != end) {
            break;
        }
        const std::uint32_t size = record_size(next);
        if (end - begin + size > bytes_max) {
            break;
        }
        end += size;
    }
    return {first, count, byte_view{bytes_}.subspan(begin, end - begin)};
}

std::size_t chunk::memory_bytes() const {
    return sizeof(chunk) + bytes_.capacity() + positions_.capacity() * sizeof(std::uint32_t);
}

chunk_builder::chunk_builder(topic_id topic, offset_t base_offset, std::uint8_t lane)
    : topic_(topic), base_offset_(base_offset), lane_(lane), bytes_(chunk_header_bytes) {}

offset_t chunk_builder::append(byte_view batch, std::uint32_t count) {
    const offset_t first = next_offset();
    std::size_t position = bytes_.size() + codec::batch_header_bytes;
    bytes_.insert(bytes_.end(), batch.begin(), batch.end());
    for (std::uint32_t i = 0; i < count; ++i) {
        positions_.push_back(static_cast<std::uint32_t>(position));
        position += codec::record_size_at(byte_view{bytes_}.subspan(position));
    }
    BROKERD_ASSERT(position == bytes_.size(), "a batch of {} bytes does not hold {} records",
                   batch.size(), count);
    return first;
}

chunk_ptr chunk_builder::seal(wall_time append_time) {
    std::byte* header = bytes_.data();
    store_le<std::uint8_t>(header + at_version, chunk_version);
    store_le<std::uint8_t>(header + at_lane, lane_);
    store_le<std::uint16_t>(header + at_reserved, 0);
    store_le<std::uint32_t>(header + at_count, static_cast<std::uint32_t>(positions_.size()));
    store_le<std::uint64_t>(header + at_topic, topic_.value());
    store_le<std::uint64_t>(header + at_base_offset, base_offset_);
    store_le<std::int64_t>(header + at_append_time, to_us(append_time));
    store_le<std::uint32_t>(header + at_batches_bytes,
                            static_cast<std::uint32_t>(bytes_.size() - chunk_header_bytes));
    store_le<std::uint32_t>(header + at_crc, chunk_checksum(bytes_, positions_));
    return std::make_shared<const chunk>(std::move(bytes_), std::move(positions_));
}

}  // namespace brokerd::domain
