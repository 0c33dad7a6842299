// Between the types of the protocol and those of the public headers. Pure; no thread affinity.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "brokerd/admin.hpp"
#include "brokerd/service.hpp"
#include "brokerd/types.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/pattern_messages.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd::client_core {

[[nodiscard]] topic_settings to_wire(const topic_options& options);
[[nodiscard]] queue_settings to_wire(const queue_options& options);
[[nodiscard]] position to_wire(const log_position& where);
// The views of the result point into `message`. Fails with invalid_argument beyond the limits.
[[nodiscard]] result<codec::record_fields> to_wire(const outgoing_message& message);

// Fails with invalid_argument: no pattern queue can be so.
[[nodiscard]] result<codec::pattern_create> to_pattern_create(std::string_view pattern,
                                                              const queue_options& settings,
                                                              log_position start,
                                                              delivery_mode mode);

[[nodiscard]] topic_options to_public(const topic_settings& settings);
[[nodiscard]] queue_options to_public(const queue_settings& settings);
[[nodiscard]] ensured_topic to_public(const codec::topic_created& reply);
[[nodiscard]] ensured_queue to_public(const codec::queue_created& reply);
[[nodiscard]] ensured_queue to_public(const codec::pattern_created& reply);
[[nodiscard]] pattern_info to_public(const codec::pattern_item& item);
[[nodiscard]] topic_info to_public(const codec::topic_item& item);
[[nodiscard]] queue_info to_public(const codec::queue_item& item);
[[nodiscard]] failed_attempt to_public(const attempt& item);
[[nodiscard]] message_in_queue to_public(const codec::queue_state_item& item);
[[nodiscard]] dead_page to_public(const codec::dead& reply);
[[nodiscard]] schedule_info to_public(const codec::schedule_item& item);
// One slice of the count of a queue.
struct level_slice {
    std::vector<std::uint64_t> ready;  // by level
    std::uint64_t due = 0;             // of the whole queue
    offset_t next = 0;
    bool more = false;
};
[[nodiscard]] level_slice to_public(const codec::queue_levels_counted& reply);
// The next slice.
void add(level_counts& to, const level_slice& what);
[[nodiscard]] slice to_public(const codec::counted& reply);
[[nodiscard]] consumer_info to_public(const codec::consumer_item& item);
[[nodiscard]] connection_info to_public(const codec::connection_item& item);
[[nodiscard]] health_info to_public(const codec::health_report& reply);
[[nodiscard]] stat to_public(const codec::stat_item& item);
[[nodiscard]] broker_info to_public(const codec::hello_ok& terms);

// Cut where microseconds end: a record may say more, and both are as good as never.
[[nodiscard]] std::optional<std::chrono::milliseconds> to_ttl(
    std::optional<std::uint64_t> of_record) noexcept;
[[nodiscard]] stored_message to_stored(std::string_view topic, offset_t offset, wall_time time,
                                       const codec::record_view& record);
[[nodiscard]] service_info to_public(const codec::service_item& item);
[[nodiscard]] service_reply to_reply(std::string_view responder, const codec::record_view& record);

// The messages of a reply to read. Fails with protocol_error if a record is damaged.
[[nodiscard]] result<read_page> to_page(std::string_view topic, const codec::messages& reply);
// The reply to a listing behind `from`.
[[nodiscard]] schedule_page to_page(const schedule_position& from, const codec::schedules& reply);
[[nodiscard]] result<shown_message> to_shown(std::string_view topic, offset_t offset,
                                             const codec::shown& reply);

// Each item of `items` as its public type.
template <typename Item>
[[nodiscard]] auto to_public_list(const std::vector<Item>& items) {
    std::vector<decltype(to_public(items.front()))> out;
    out.reserve(items.size());
    for (const Item& item : items) {
        out.push_back(to_public(item));
    }
    return out;
}

}  // namespace brokerd::client_core
