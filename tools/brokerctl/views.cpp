// JSON rows and table columns of everything that is listed.
#include "tools/brokerctl/views.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

// Cells read one member of the row; the member's name is the template argument, so that a column
// stays a plain function.
template <std::size_t Size>
struct member {
    consteval member(const char (&name)[Size]) { std::copy_n(name, Size, text); }
    char text[Size] = {};
};

template <member Name>
cell text_of(const json& row) {
    return terminal_text(row.at(Name.text).template get<std::string>());
}

template <member Name>
cell count_of(const json& row) {
    return short_count(row.at(Name.text).template get<double>());
}

template <member Name>
cell rate_of(const json& row) {
    return short_rate(row.at(Name.text).template get<double>());
}

template <member Name>
cell bytes_of(const json& row) {
    return short_bytes(row.at(Name.text).template get<double>());
}

template <member Name>
cell whole_of(const json& row) {
    return row.at(Name.text).dump();
}

std::string duration_text(double seconds) {
    return short_duration(std::chrono::microseconds{std::llround(seconds * 1e6)});
}

template <member Name>
cell duration_of(const json& row) {
    const json& value = row.at(Name.text);
    return value.is_null() ? cell{"-", tone::dim} : cell{duration_text(value.get<double>())};
}

cell path_of(const json& row) {
    return row.at("topic").get<std::string>() + "/" + row.at("queue").get<std::string>();
}

// Red where there is one: somebody has to look.
cell dead_count(const json& row) {
    const auto text = count_of<"dead">(row).text;
    return {text, text == "0" ? tone::plain : tone::bad};
}

cell retrying_count(const json& row) {
    const auto text = count_of<"retrying">(row).text;
    return {text, text == "0" ? tone::plain : tone::warning};
}

// How long until nothing is ready; null in JSON when it does not get less.
cell drain_text(const json& row) {
    const json& seconds = row.at("drain_seconds");
    if (seconds.is_null()) {
        return {"never", tone::warning};
    }
    return seconds.get<double>() == 0 ? cell{"-", tone::dim}
                                      : cell{duration_text(seconds.get<double>())};
}

cell dead_address(const json& row) {
    return fmt::format("{}@{}", row.at("topic").get<std::string>(), row.at("offset").dump());
}

// To the second; JSON has the rest.
cell due_text(const json& row) {
    const auto due = row.at("due").get<std::string>();
    return due.substr(0, due.find('.')) + "Z";
}

cell key_text(const json& row) {
    const auto bytes = row.find("key_base64");
    if (bytes != row.end()) {
        return {"base64 " + bytes->get<std::string>(), tone::dim};
    }
    const json& key = row.at("key");
    return key.is_null() ? cell{"-", tone::dim} : cell{terminal_text(key.get<std::string>())};
}

constexpr std::array topics_table{
    column{"TOPIC", align::left, text_of<"topic">},
    column{"MESSAGES", align::right, count_of<"messages">},
    column{"BYTES", align::right, bytes_of<"bytes">},
    column{"FIRST", align::right, whole_of<"first_offset">},
    column{"NEXT", align::right, whole_of<"next_offset">},
    column{"IN/s", align::right, rate_of<"in_per_second">},
    column{"QUEUES", align::right, count_of<"queues">},
    column{"SCHEDULED", align::right, count_of<"scheduled">},
};

constexpr std::array queues_table{
    column{"QUEUE", align::left, path_of},
    column{"MODE", align::left, text_of<"mode">},
    column{"READY", align::right, count_of<"ready">},
    column{"LEASED", align::right, count_of<"leased">},
    column{"RETRYING", align::right, retrying_count},
    column{"DEAD", align::right, dead_count},
    column{"OLDEST", align::right, duration_of<"oldest_seconds">},
    column{"IN/s", align::right, rate_of<"in_per_second">},
    column{"OUT/s", align::right, rate_of<"out_per_second">},
    column{"DRAIN", align::right, drain_text},
    column{"CONSUMERS", align::right, count_of<"consumers">},
    column{"STATE", align::left, text_of<"state">},
};

constexpr std::array consumers_table{
    column{"CONSUMER", align::left, text_of<"name">},
    column{"QUEUE", align::left, path_of},
    column{"LEASED", align::right, count_of<"leased">},
    column{"BYTES", align::right, bytes_of<"leased_bytes">},
    column{"PREFETCH", align::right, count_of<"prefetch_messages">},
    column{"DELIVERED", align::right, count_of<"delivered">},
    column{"ROLE", align::left, text_of<"role">},
    column{"ATTACHED", align::right, duration_of<"attached_seconds">},
    column{"CONNECTION", align::right, whole_of<"connection">},
};

constexpr std::array connections_table{
    column{"CONNECTION", align::right, whole_of<"connection">},
    column{"CLIENT", align::left, text_of<"name">},
    column{"ADDRESS", align::left, text_of<"address">},
    column{"CONSUMERS", align::right, count_of<"consumers">},
    column{"IN", align::right, bytes_of<"bytes_in">},
    column{"OUT", align::right, bytes_of<"bytes_out">},
    column{"OUTBOX", align::right, bytes_of<"outbox_bytes">},
    column{"CREDIT", align::right, count_of<"credit_messages">},
    column{"CONNECTED", align::right, duration_of<"connected_seconds">},
};

constexpr std::array dead_table{
    column{"MESSAGE", align::left, dead_address},
    column{"QUEUE", align::left, path_of},
    column{"ATTEMPTS", align::right, count_of<"attempts">},
    column{"DEAD FOR", align::right, duration_of<"dead_seconds">},
    column{"REASON", align::left, text_of<"reason">},
    column{"CONSUMER", align::left, text_of<"consumer">},
};

constexpr std::array dead_reasons_table{
    column{"QUEUE", align::left, path_of},
    column{"REASON", align::left, text_of<"reason">},
    column{"COUNT", align::right, count_of<"count">},
    column{"OLDEST", align::right, duration_of<"oldest_seconds">},
    column{"SAMPLE", align::left, text_of<"sample">},
};

constexpr std::array schedules_table{
    column{"ID", align::right, whole_of<"schedule">},
    column{"DUE", align::left, due_text},
    column{"IN", align::right, duration_of<"due_seconds">},
    column{"MESSAGES", align::right, count_of<"messages">},
    column{"BYTES", align::right, bytes_of<"bytes">},
    column{"KEY", align::left, key_text},
};

constexpr std::array stats_table{
    column{"NAME", align::left, text_of<"name">},
    column{"VALUE", align::right, whole_of<"value">},
    column{"MEANING", align::left, text_of<"help">},
};

constexpr std::array services_table{
    column{"SERVICE", align::left, text_of<"service">},
    column{"RESPONDERS", align::right, count_of<"responders">},
    column{"IN_PROGRESS", align::right, count_of<"in_progress">},
    column{"WAITING", align::right, count_of<"waiting">},
    column{"ANSWERED", align::right, count_of<"answered">},
    column{"FAILED", align::right, count_of<"failed">},
};

json drain_seconds(const queue_info& queue) {
    if (queue.ready == 0) {
        return 0;
    }
    const double shrinks_by = queue.out_per_second - queue.in_per_second;
    if (shrinks_by <= 0) {
        return nullptr;
    }
    return static_cast<double>(queue.ready) / shrinks_by;
}

std::string scheduled_text(const topic_info& topic) {
    if (topic.scheduled == 0) {
        return "0";
    }
    return fmt::format("{} ({})", plural(topic.scheduled, "message"),
                       short_bytes(static_cast<double>(topic.scheduled_bytes)));
}

std::string duration_or_none(std::chrono::microseconds duration) {
    return duration == std::chrono::microseconds{0} ? "none" : format_duration(duration);
}

std::string age_text(timestamp time, timestamp now) {
    return fmt::format("{} ({} ago)", rfc3339_text(time), duration_text(age_seconds(time, now)));
}

}  // namespace

void add_bytes(json& to, const std::string& name, std::string_view bytes) {
    if (is_utf8(bytes)) {
        to[name] = bytes;
    } else {
        to[name + "_base64"] = base64(bytes);
    }
}

json time_json(timestamp time) {
    return time == no_timestamp ? json(nullptr) : json(rfc3339_text(time));
}

double seconds_of(std::chrono::microseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

json number_json(double value) {
    constexpr double exact_max = 9007199254740992.0;  // 2^53
    if (std::floor(value) == value && std::abs(value) <= exact_max) {
        return static_cast<std::int64_t>(value);
    }
    return value;
}

double age_seconds(timestamp time, timestamp now) {
    return seconds_of(std::max(now - time, std::chrono::microseconds{0}));
}

json settings_json(const topic_options& settings) {
    return {{"keep_done_seconds", number_json(seconds_of(settings.keep_done))},
            {"max_message_bytes", settings.max_message_bytes},
            {"ttl_seconds", number_json(seconds_of(settings.ttl))},
            {"durability", to_string(settings.durability)},
            {"message_id_window_seconds", number_json(seconds_of(settings.message_id_window))}};
}

json settings_json(const queue_options& settings) {
    return {{"lease_seconds", number_json(seconds_of(settings.lease))},
            {"attempts", settings.attempts},
            {"backoff_seconds", number_json(seconds_of(settings.backoff))},
            {"backoff_max_seconds", number_json(seconds_of(settings.backoff_max))},
            {"max_retrying", settings.max_retrying},
            {"max_runs", settings.max_runs},
            {"jitter_percent", settings.jitter_percent},
            {"after_failure", to_string(settings.after_failure)},
            {"expires_seconds", number_json(seconds_of(settings.expires))},
            {"on_expiry", to_string(settings.on_expiry)},
            {"filter", settings.filter},
            {"until", settings.until}};
}

json topic_row(const topic_info& topic) {
    return {{"topic", topic.topic},
            {"first_offset", topic.first_offset},
            {"next_offset", topic.next_offset},
            {"messages", topic.messages},
            {"bytes", topic.bytes},
            {"queues", topic.queues},
            {"in_per_second", topic.in_per_second},
            {"scheduled", topic.scheduled},
            {"scheduled_bytes", topic.scheduled_bytes}};
}

std::span<const column> topic_columns() {
    return topics_table;
}

json topic_details(const topic_info& topic) {
    json details = topic_row(topic);
    details["id"] = topic.id;
    details["created"] = time_json(topic.created);
    details["settings"] = settings_json(topic.settings);
    return details;
}

std::string topic_details_text(const topic_info& topic, timestamp now, bool colours) {
    const std::array details{
        detail{"topic", topic.topic},
        detail{"messages", fmt::format("{}", topic.messages)},
        detail{"bytes", short_bytes(static_cast<double>(topic.bytes))},
        detail{"offsets", fmt::format("{} to {}", topic.first_offset, topic.next_offset)},
        detail{"in/s", short_rate(topic.in_per_second)},
        detail{"queues", fmt::format("{}", topic.queues)},
        detail{"scheduled", scheduled_text(topic)},
        detail{"created", age_text(topic.created, now)},
        detail{"id", fmt::format("{}", topic.id)},
        detail{"keep-done", format_duration(topic.settings.keep_done)},
        detail{"max-message-bytes", exact_bytes(topic.settings.max_message_bytes)},
        detail{"ttl", duration_or_none(topic.settings.ttl)},
        detail{"durability", std::string(to_string(topic.settings.durability))},
        detail{"message-id-window", duration_or_none(topic.settings.message_id_window)},
    };
    return render_details(details, colours);
}

json queue_row(const queue_info& queue, timestamp now) {
    return {{"topic", queue.topic},
            {"queue", queue.queue},
            {"mode", to_string(queue.mode)},
            {"ready", queue.ready},
            {"leased", queue.leased},
            {"retrying", queue.retrying},
            {"dead", queue.dead},
            {"done", queue.done},
            {"oldest_seconds",
             queue.oldest == no_timestamp ? json(nullptr) : json(age_seconds(queue.oldest, now))},
            {"in_per_second", queue.in_per_second},
            {"out_per_second", queue.out_per_second},
            {"drain_seconds", drain_seconds(queue)},
            {"consumers", queue.consumers},
            {"paused", queue.paused},
            {"state", queue.state}};
}

std::span<const column> queue_columns() {
    return queues_table;
}

json queue_details(const queue_info& queue, timestamp now) {
    json details = queue_row(queue, now);
    details["id"] = queue.id;
    details["created"] = time_json(queue.created);
    details["floor"] = queue.floor;
    details["settings"] = settings_json(queue.settings);
    return details;
}

// When a message whose attempts all fail at once is dead, without jitter and lease times.
std::string give_up_text(const queue_options& settings) {
    std::chrono::microseconds delay = settings.backoff;
    std::chrono::microseconds all{0};
    for (std::uint32_t i = 1; i < settings.attempts; ++i) {
        all += std::min(delay, settings.backoff_max);
        delay = std::min(2 * delay, settings.backoff_max);
    }
    return fmt::format("after {} in about {}", plural(settings.attempts, "attempt"),
                       format_duration(std::chrono::floor<std::chrono::seconds>(all)));
}

std::string queue_details_text(const queue_info& queue, timestamp now, bool colours) {
    const json row = queue_row(queue, now);
    const auto& settings = queue.settings;
    std::vector details{
        detail{"queue", queue.path()},
        detail{"mode", std::string(to_string(queue.mode))},
        detail{"state", queue.state},
        detail{"ready", fmt::format("{}", queue.ready)},
        detail{"leased", fmt::format("{}", queue.leased)},
        detail{"retrying", {fmt::format("{}", queue.retrying), retrying_count(row).meaning}},
        detail{"dead", {fmt::format("{}", queue.dead), dead_count(row).meaning}},
        detail{"done", fmt::format("{}", queue.done)},
        detail{"oldest", duration_of<"oldest_seconds">(row)},
        detail{"in/s", short_rate(queue.in_per_second)},
        detail{"out/s", short_rate(queue.out_per_second)},
        detail{"drain", drain_text(row)},
        detail{"consumers", fmt::format("{}", queue.consumers)},
        detail{"floor", fmt::format("{}@{}", queue.topic, queue.floor)},
        detail{"created", age_text(queue.created, now)},
        detail{"id", fmt::format("{}", queue.id)},
        detail{"lease", format_duration(settings.lease)},
        detail{"attempts", fmt::format("{}", settings.attempts)},
        detail{"backoff", format_duration(settings.backoff)},
        detail{"backoff-max", format_duration(settings.backoff_max)},
        detail{"gives up", give_up_text(settings)},
        detail{"jitter", fmt::format("{} %", settings.jitter_percent)},
        detail{"max-retrying", fmt::format("{}", settings.max_retrying)},
        detail{"max-runs", fmt::format("{}", settings.max_runs)},
    };
    if (queue.mode != delivery_mode::shared) {
        details.push_back(detail{"after-failure", std::string(to_string(settings.after_failure))});
    }
    if (settings.expires != std::chrono::microseconds{0}) {
        details.push_back(
            detail{"expires", format_duration(settings.expires) + " without a consumer"});
    }
    details.push_back(detail{"on-expiry", std::string(to_string(settings.on_expiry))});
    if (!settings.filter.empty()) {
        details.push_back(detail{"filter", terminal_text(settings.filter)});
    }
    if (settings.until != 0) {
        details.push_back(detail{"until", fmt::format("{}@{}", queue.topic, settings.until)});
    }
    return render_details(details, colours);
}

json consumer_row(const consumer_info& consumer, timestamp now) {
    return {{"name", consumer.name},
            {"topic", consumer.topic},
            {"queue", consumer.queue},
            {"connection", consumer.connection},
            {"consumer", consumer.consumer},
            {"leased", consumer.leased},
            {"leased_bytes", consumer.leased_bytes},
            {"prefetch_messages", consumer.prefetch_messages},
            {"prefetch_bytes", consumer.prefetch_bytes},
            {"delivered", consumer.delivered},
            {"attached", time_json(consumer.attached)},
            {"attached_seconds", age_seconds(consumer.attached, now)},
            {"role", consumer.standby ? "standby" : "active"}};
}

std::span<const column> consumer_columns() {
    return consumers_table;
}

json connection_row(const connection_info& connection, timestamp now) {
    return {{"connection", connection.connection},
            {"name", connection.name},
            {"address", connection.address},
            {"consumers", connection.consumers},
            {"bytes_in", connection.bytes_in},
            {"bytes_out", connection.bytes_out},
            {"outbox_bytes", connection.outbox_bytes},
            {"credit_messages", connection.credit_messages},
            {"credit_bytes", connection.credit_bytes},
            {"connected", time_json(connection.connected)},
            {"connected_seconds", age_seconds(connection.connected, now)}};
}

std::span<const column> connection_columns() {
    return connections_table;
}

json dead_row(std::string_view topic, std::string_view queue, const dead_message& message,
              timestamp now) {
    return {{"topic", topic},
            {"queue", queue},
            {"offset", message.offset},
            {"attempts", message.attempts},
            {"since", time_json(message.since)},
            {"dead_seconds", age_seconds(message.since, now)},
            {"reason", message.reason},
            {"consumer", message.consumer}};
}

std::span<const column> dead_columns() {
    return dead_table;
}
std::span<const column> dead_reason_columns() {
    return dead_reasons_table;
}

json schedule_row(std::string_view topic, const schedule_info& schedule, timestamp now) {
    json row{{"topic", topic},
             {"schedule", schedule.id},
             {"due", rfc3339_text(schedule.due)},
             {"due_seconds", age_seconds(now, schedule.due)},
             {"messages", schedule.messages},
             {"bytes", schedule.bytes}};
    if (schedule.key.empty()) {
        row["key"] = nullptr;
    } else {
        add_bytes(row, "key", schedule.key);
    }
    return row;
}

std::span<const column> schedule_columns() {
    return schedules_table;
}

json stat_row(const stat& counter) {
    return {{"name", counter.name}, {"value", number_json(counter.value)}, {"help", counter.help}};
}

std::span<const column> stat_columns() {
    return stats_table;
}

json service_row(const service_info& service) {
    return {{"service", service.service},         {"responders", service.responders},
            {"in_progress", service.in_progress}, {"waiting", service.waiting},
            {"answered", service.answered},       {"failed", service.failed}};
}

std::span<const column> service_columns() {
    return services_table;
}

}  // namespace brokerd::ctl
