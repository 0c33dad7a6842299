// The record parser without the cost of describing failures: what check_batch runs per record.
// Internal to the codec. Pure; no thread affinity.
#pragma once

#include <cstdint>

#include "protocol/codec/record.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::codec {

enum class record_fault : std::uint8_t {
    none,
    truncated,
    unknown_flags,
    checksum,
    key_too_large,
    too_many_headers,
};

// Checksum of a whole record: over its length and all behind the checksum itself.
[[nodiscard]] std::uint32_t record_checksum(byte_view record);

// Takes the record at the front of `bytes` apart into `record`, which must be fresh.
[[nodiscard]] record_fault parse_record_at(byte_view bytes, bool verify, record_view& record);

[[nodiscard]] failure describe_fault(record_fault fault);

}  // namespace brokerd::codec
