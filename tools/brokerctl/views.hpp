// Topics, queues, pattern queues, consumers, connections, dead messages, schedules and services as
// JSON rows, and the tables made of these rows. The member names and their order are a contract
// with scripts. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/brokerctl/table.hpp"
#include <brokerd/admin.hpp>

namespace brokerd::ctl {

[[nodiscard]] json topic_row(const topic_info& topic);
[[nodiscard]] std::span<const column> topic_columns();
// The row with settings and identity.
[[nodiscard]] json topic_details(const topic_info& topic);
[[nodiscard]] std::string topic_details_text(const topic_info& topic, timestamp now, bool colours);

[[nodiscard]] json queue_row(const queue_info& queue, timestamp now);
[[nodiscard]] std::span<const column> queue_columns();
// `levels`: of a queue whose topic has several.
[[nodiscard]] json queue_details(const queue_info& queue, const std::optional<level_counts>& levels,
                                 timestamp now);
[[nodiscard]] std::string queue_details_text(const queue_info& queue,
                                             const std::optional<level_counts>& levels,
                                             timestamp now, bool colours);

[[nodiscard]] json pattern_row(const pattern_info& of);
[[nodiscard]] std::span<const column> pattern_columns();
[[nodiscard]] std::string pattern_details_text(const pattern_info& of, timestamp now, bool colours);

// The settings of queues of this mode, as lines.
void add_settings(std::vector<detail>& to, delivery_mode mode, const queue_options& settings);

[[nodiscard]] json consumer_row(const consumer_info& consumer, timestamp now);
[[nodiscard]] std::span<const column> consumer_columns();

[[nodiscard]] json connection_row(const connection_info& connection, timestamp now);
[[nodiscard]] std::span<const column> connection_columns();

[[nodiscard]] json dead_row(std::string_view topic, std::string_view queue,
                            const dead_message& message, timestamp now);
[[nodiscard]] std::span<const column> dead_columns();
[[nodiscard]] std::span<const column> dead_reason_columns();

[[nodiscard]] json stat_row(const stat& counter);
[[nodiscard]] std::span<const column> stat_columns();

[[nodiscard]] json schedule_row(std::string_view topic, const schedule_info& schedule,
                                timestamp now);
[[nodiscard]] std::span<const column> schedule_columns();

[[nodiscard]] json service_row(const service_info& service);
[[nodiscard]] std::span<const column> service_columns();

// Settings with their units in the names.
[[nodiscard]] json settings_json(const topic_options& settings);
[[nodiscard]] json settings_json(const queue_options& settings);

// Bytes that are no text go under the name NAME_base64.
void add_bytes(json& to, const std::string& name, std::string_view bytes);
[[nodiscard]] json time_json(timestamp time);  // RFC 3339, null for "no such time"
[[nodiscard]] double seconds_of(std::chrono::microseconds duration);
[[nodiscard]] json number_json(double value);  // whole numbers as such: 12, not 12.0
// Age of something that happened at `time`, never negative: clocks differ between machines.
[[nodiscard]] double age_seconds(timestamp time, timestamp now);

}  // namespace brokerd::ctl
