// Record batches: what check_batch accepts, parse_record takes apart again to the same bytes.
//
// Input: a mode (one byte), the batch. With an odd mode the checksums are made right first, so that
// what lies behind them is reached.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/record_parse.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/fuzz/mend.hpp"

namespace {

using namespace brokerd;

constexpr codec::batch_limits limits_of_test{.records_max = 100, .message_bytes_max = 4096};

void check_records(const codec::checked_batch& batch, const std::vector<std::uint32_t>& sizes) {
    FUZZ_CHECK(sizes.size() == batch.header.count);
    byte_view left = batch.bytes.subspan(codec::batch_header_bytes);
    for (const std::uint32_t size : sizes) {
        FUZZ_CHECK(codec::record_size_at(left) == size);
        const auto record = codec::parse_record(left);
        FUZZ_CHECK(record.has_value());
        FUZZ_CHECK(record->bytes.size() == size);
        FUZZ_CHECK(record->headers().size() == record->headers_count);
        FUZZ_CHECK(record->payload.size() < size);
        left = left.subspan(size);
    }
    FUZZ_CHECK(left.empty());
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
    std::vector<std::uint32_t> sizes;
    const auto checked = codec::check_batch(batch, limits_of_test, &sizes);
    if (checked) {
        check_records(*checked, sizes);
    }
    return 0;
}
