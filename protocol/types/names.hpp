// Names of topics and queues and addresses of messages: `orders.eu`, `orders.eu/billing`,
// `orders.eu@812`, `orders.eu/billing@812`. Pure; no thread affinity.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd {

// Fails with invalid_name and a text that names the first thing that is wrong.
// Topic: 1..16 words of [A-Za-z0-9_-] joined by dots, at most 255 bytes.
[[nodiscard]] outcome<void> check_topic_name(std::string_view name);
// Service: the same form as a topic name; no service and topic are related by their names.
[[nodiscard]] outcome<void> check_service_name(std::string_view name);
// Queue (the part behind the slash): the same form as a topic name.
[[nodiscard]] outcome<void> check_queue_name(std::string_view name);
// Client and consumer names, reasons: valid UTF-8 without control characters, at most max bytes.
[[nodiscard]] outcome<void> check_text(std::string_view text, std::size_t bytes_max,
                                       std::string_view what);

// `topic/queue`, both valid.
struct queue_path {
    std::string topic{};
    std::string queue{};

    bool operator==(const queue_path&) const = default;
};
[[nodiscard]] outcome<queue_path> parse_queue_path(std::string_view text);
[[nodiscard]] std::string to_string(const queue_path& path);

// `pattern/queue`: a pattern has the form of a topic name in which words may be `*`, exactly one
// word, and the last one `>`, one or more words; at least one of them is.
[[nodiscard]] outcome<void> check_pattern(std::string_view pattern);
// Such a path, both parts valid; `topic` is the pattern.
[[nodiscard]] outcome<queue_path> parse_pattern_path(std::string_view text);
// Whether a topic name is one that the pattern means; whether there are names that both mean.
[[nodiscard]] bool pattern_matches(std::string_view pattern, std::string_view topic);
[[nodiscard]] bool patterns_overlap(std::string_view one, std::string_view other);

// `topic@offset` or `topic/queue@offset`; the offset is optional only where said.
struct message_address {
    std::string topic{};
    offset_t offset = 0;

    bool operator==(const message_address&) const = default;
};
[[nodiscard]] outcome<message_address> parse_message_address(std::string_view text);
[[nodiscard]] std::string to_string(const message_address& address);

// `topic/queue[@offset]`.
struct queue_address {
    queue_path path{};
    std::optional<offset_t> offset{};

    bool operator==(const queue_address&) const = default;
};
[[nodiscard]] outcome<queue_address> parse_queue_address(std::string_view text);

// Foreign text for logs and terminals: control characters and quotes escaped, cut at bytes_max.
[[nodiscard]] std::string printable(std::string_view foreign, std::size_t bytes_max = 256);

}  // namespace brokerd
