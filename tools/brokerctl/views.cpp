// JSON rows and table columns of what is listed, but for topics and queues.
#include "tools/brokerctl/views.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "tools/brokerctl/cells.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

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
