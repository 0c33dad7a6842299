// A message to publish as the record it will be, made before anything is locked or awaited.
// Pure; no thread affinity.
#pragma once

#include <optional>
#include <string_view>

#include "brokerd/types.hpp"
#include "client/src/result.hpp"
#include "protocol/types/bytes.hpp"

namespace brokerd::client_core {

// Writes the record of `message` to `out`, whose content is replaced.
// Fails with invalid_argument (beyond the limits) or the broker's invalid_name.
[[nodiscard]] result<void> encode_message(byte_buffer& out, std::string_view topic,
                                          const outgoing_message& message);

// Likewise of a request of a service, and of a reply.
[[nodiscard]] result<void> encode_request(byte_buffer& out, std::string_view service,
                                          const outgoing_message& message);
[[nodiscard]] result<void> encode_reply(byte_buffer& out, const outgoing_message& message);

// Fails with invalid_argument: no broker would take it.
[[nodiscard]] result<void> check_when(const std::optional<schedule_time>& when);

// As failures of the broker: no need to ask it.
[[nodiscard]] result<void> check_topic(std::string_view topic);
[[nodiscard]] result<void> check_queue(std::string_view queue);  // or a pattern queue
[[nodiscard]] result<void> check_service(std::string_view service);

// Whether TOPIC/QUEUE stands for queues of many topics: PATTERN/QUEUE.
[[nodiscard]] bool is_pattern(std::string_view queue);

}  // namespace brokerd::client_core
