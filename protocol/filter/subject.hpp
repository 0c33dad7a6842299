// What a filter looks at: one message, as its holder has it. Views only, cheap to make per message.
// Header only; no thread affinity.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/codec/record.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::filters {

// A message whose record is not at hand: what a filter would read of it.
struct message_parts {
    std::optional<std::string_view> key{};
    std::span<const codec::header_view> headers{};
    std::uint64_t payload_bytes = 0;
};

// Only what filter::uses() names must be there.
struct subject {
    // The record as it was verified earlier; taken apart only for key, headers and size. One that
    // is damaged has none of these.
    byte_view record{};
    const message_parts* parts = nullptr;  // instead of the record, if it is set
    offset_t offset = 0;
    wall_time time{};  // when it was appended
    wall_time now{};
    std::uint32_t attempts = 0;  // that failed
    message_state state = message_state::ready;
    std::optional<std::string_view> reason{};  // of the last that failed, if one did
};

}  // namespace brokerd::filters
