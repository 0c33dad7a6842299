// Makes the checksums of an input right, so that a fuzz target reaches what lies behind them: no
// fuzzer guesses a checksum. Header only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "broker/domain/chunk.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/record_parse.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

namespace brokerd::fuzz {

// Of the header of a batch and of each whole record behind it, which `visit` is called with.
template <typename Visit>
void mend_batch(std::span<std::byte> batch, const Visit& visit) {
    constexpr std::size_t header_crc_at = 12;
    if (batch.size() < codec::batch_header_bytes) {
        return;
    }
    store_le(batch.data() + header_crc_at, std::uint32_t{0});
    store_le(batch.data() + header_crc_at, crc32c(0, batch.first(codec::batch_header_bytes)));
    auto left = batch.subspan(codec::batch_header_bytes);
    while (const std::size_t size = codec::record_size_at(left)) {
        const auto record = left.first(size);
        store_le(record.data() + sizeof(std::uint32_t), codec::record_checksum(record));
        visit(record);
        left = left.subspan(size);
    }
}

inline void mend_batch(std::span<std::byte> batch) {
    mend_batch(batch, [](byte_view) {});
}

// Of a chunk and all its batches; with them what its header says about their length and number.
inline void mend_chunk(std::span<std::byte> chunk) {
    constexpr std::size_t count_at = 4;
    constexpr std::size_t batches_bytes_at = 32;
    constexpr std::size_t crc_at = 36;
    constexpr std::size_t records_bytes_at = 8;  // within the header of a batch
    if (chunk.size() < domain::chunk_header_bytes) {
        return;
    }
    std::uint32_t count = 0;
    byte_buffer record_crcs;
    auto left = chunk.subspan(domain::chunk_header_bytes);
    store_le(chunk.data() + batches_bytes_at, static_cast<std::uint32_t>(left.size()));
    while (left.size() >= codec::batch_header_bytes) {
        const std::size_t records_bytes = load_le<std::uint32_t>(left.data() + records_bytes_at);
        const auto batch =
            left.first(std::min(left.size(), codec::batch_header_bytes + records_bytes));
        mend_batch(batch, [&](byte_view record) {
            const auto crc = record.subspan(sizeof(std::uint32_t), sizeof(std::uint32_t));
            record_crcs.insert(record_crcs.end(), crc.begin(), crc.end());
            ++count;
        });
        left = left.subspan(batch.size());
    }
    store_le(chunk.data() + count_at, count);
    const std::uint32_t header_crc = crc32c(0, chunk.first(crc_at));
    store_le(chunk.data() + crc_at, crc32c(header_crc, record_crcs));
}

}  // namespace brokerd::fuzz
