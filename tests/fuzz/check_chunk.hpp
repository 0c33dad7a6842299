// What must hold of every chunk that was loaded: each of its records can be had, alone and in
// slices, and they lie within its bytes. Header only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "broker/domain/chunk.hpp"
#include "protocol/codec/record.hpp"
#include "tests/fuzz/check.hpp"

namespace brokerd::fuzz {

inline void check_chunk(const domain::chunk& chunk) {
    FUZZ_CHECK(chunk.count() > 0);
    FUZZ_CHECK(chunk.end_offset() > chunk.base_offset());
    std::size_t record_bytes = 0;
    for (offset_t at = chunk.base_offset(); at < chunk.end_offset(); ++at) {
        FUZZ_CHECK(chunk.contains(at));
        FUZZ_CHECK(chunk.record(at).size() == chunk.record_size(at));
        FUZZ_CHECK(chunk.record_size(at) >= codec::record_bytes_min);
        record_bytes += chunk.record_size(at);
    }
    FUZZ_CHECK(record_bytes < chunk.bytes().size());
    std::size_t slice_bytes = 0;
    for (offset_t at = chunk.base_offset(); at < chunk.end_offset();) {
        constexpr auto no_bound = std::numeric_limits<std::uint64_t>::max();
        const domain::record_slice slice = chunk.slice(at, no_bound, no_bound);
        FUZZ_CHECK(slice.first == at && slice.count > 0);
        slice_bytes += slice.bytes.size();
        at += slice.count;
        FUZZ_CHECK(at <= chunk.end_offset());
    }
    FUZZ_CHECK(slice_bytes == record_bytes);
}

}  // namespace brokerd::fuzz
