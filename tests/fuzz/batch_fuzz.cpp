// Record batches: what check_batch accepts, parse_record takes apart again to the same bytes.
//
// Input: a mode (one byte), the batch. With an odd mode the checksums are made right first, so that
// what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/record_parse.hpp"
#include "protocol/types/crc32c.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace brokerd;

constexpr std::uint32_t records_max = 100;
constexpr std::size_t header_crc_at = 12;

void mend_checksums(byte_buffer& batch) {
    if (batch.size() < codec::batch_header_bytes) {
        return;
    }
    store_le(batch.data() + header_crc_at, std::uint32_t{0});
    const byte_view header = byte_view(batch).first(codec::batch_header_bytes);
    store_le(batch.data() + header_crc_at, crc32c(0, header));
    std::size_t at = codec::batch_header_bytes;
    while (const std::size_t size = codec::record_size_at(byte_view(batch).subspan(at))) {
        const byte_view record = byte_view(batch).subspan(at, size);
        store_le(batch.data() + at + sizeof(std::uint32_t), codec::record_checksum(record));
        at += size;
    }
}

void check_records(const codec::checked_batch& batch) {
    byte_view left = batch.bytes.subspan(codec::batch_header_bytes);
    std::uint64_t largest = 0;
    for (std::uint32_t i = 0; i < batch.header.count; ++i) {
        const std::size_t size = codec::record_size_at(left);
        largest = std::max<std::uint64_t>(largest, size);
        const auto record = codec::parse_record(left);
        FUZZ_CHECK(record.has_value());
        FUZZ_CHECK(record->bytes.size() == size);
        FUZZ_CHECK(record->headers().size() == record->headers_count);
        FUZZ_CHECK(record->payload.size() < size);
        left = left.subspan(size);
    }
    FUZZ_CHECK(left.empty());
    FUZZ_CHECK(largest == batch.largest_record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const byte_view input = std::as_bytes(std::span(data, size));
    byte_buffer batch(input.begin() + 1, input.end());
    if ((data[0] & 1U) != 0) {
        mend_checksums(batch);
    }
    const auto checked = codec::check_batch(batch, records_max);
    if (checked) {
        check_records(*checked);
    }
    return 0;
}
