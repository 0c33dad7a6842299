// A message as JSON and as text, the same for all verbs that show one. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/brokerctl/table.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/message.hpp>

namespace brokerd::ctl {

// Views into a stored or a leased message, which must outlive it.
struct message_view {
    std::string_view topic;
    std::uint64_t offset = 0;
    timestamp time{};
    std::optional<std::string_view> key;
    std::vector<std::pair<std::string_view, std::string_view>> headers;
    std::string_view payload;
    std::optional<std::chrono::milliseconds> ttl;  // its own
    std::optional<std::uint32_t> attempt;
    std::string_view id;  // empty: none
    std::uint8_t priority = 0;
};
[[nodiscard]] message_view view_of(const stored_message& message);
[[nodiscard]] message_view view_of(const message& leased);

// Members topic, offset, time, key, headers, payload, priority; id when it has one; ttl_seconds
// when it has a time to live of its own; attempt when leased. A key, an id or payload that is no
// text is key_base64, id_base64 or payload_base64 instead; a header name that occurs more than once
// has an array of values.
[[nodiscard]] json message_json(const message_view& view);

// One line: `orders@0  key 42  attempt 1  {"id":42}`.
[[nodiscard]] std::string message_line(const message_view& view);

// Several lines, for one message.
[[nodiscard]] std::string message_details_text(const message_view& view, timestamp now,
                                               bool colours);

// The message with its state in each queue.
[[nodiscard]] json shown_json(const message_view& view, const shown_message& shown);
[[nodiscard]] std::string shown_text(const message_view& view, const shown_message& shown,
                                     timestamp now, bool colours);

}  // namespace brokerd::ctl
