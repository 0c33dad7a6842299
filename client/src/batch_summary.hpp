// What the header of a batch says about all its records together. The broker compares it with the
// records, so whoever makes a batch, or cuts one, counts it from them. Header only, pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::client_core {

// Of a record as encode_record made it.
[[nodiscard]] inline std::uint8_t record_flags_of(byte_view record) {
    return std::to_integer<std::uint8_t>(record[codec::record_prefix_bytes]);
}
[[nodiscard]] inline bool carries_id(byte_view record) {
    return (record_flags_of(record) & codec::record_has_id) != 0;
}

class batch_summary {
public:
    // A record as encode_record made it.
    void add(byte_view record) {
        const std::uint64_t ttl_ms = codec::record_ttl_ms(record).value_or(codec::no_ttl);
        flags_ |= record_flags_of(record);
        earliest_ttl_ms_ = std::min(earliest_ttl_ms_, ttl_ms);
        latest_ttl_ms_ = std::max(latest_ttl_ms_, ttl_ms);
        priority_ = codec::record_priority(record);
    }
    // Of each of its records: who adds sees to that.
    [[nodiscard]] std::uint8_t priority() const { return priority_; }
    // Such a record is alone in its batch.
    [[nodiscard]] bool has_id() const { return (flags_ & codec::record_has_id) != 0; }
    // After the first record.
    void write_to(codec::batch_header& header) const {
        header.flags = flags_;
        header.earliest_ttl_ms = earliest_ttl_ms_;
        header.latest_ttl_ms = latest_ttl_ms_;
    }

private:
    std::uint8_t flags_ = 0;
    std::uint8_t priority_ = 0;
    std::uint64_t earliest_ttl_ms_ = codec::no_ttl;
    std::uint64_t latest_ttl_ms_ = 0;
};

}  // namespace brokerd::client_core
