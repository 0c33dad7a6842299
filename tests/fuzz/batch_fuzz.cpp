// Record batches: what check_batch accepts, parse_record takes apart again to the same bytes.
//
// Input: a mode (one byte), the batch. With an odd mode the checksums are made right first, so that
// what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/codec/record_batch.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/mend.hpp"

namespace {

using namespace brokerd;

constexpr std::uint32_t records_max = 100;

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
        fuzz::mend_batch(batch);
    }
    const auto checked = codec::check_batch(batch, records_max);
    if (checked) {
        check_records(*checked);
    }
    return 0;
}
