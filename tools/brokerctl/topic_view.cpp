// Topics as JSON rows, table and details.
#include <array>

#include <fmt/format.h>

#include "tools/brokerctl/cells.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

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

std::string scheduled_text(const topic_info& topic) {
    if (topic.scheduled == 0) {
        return "0";
    }
    return fmt::format("{} ({})", plural(topic.scheduled, "message"),
                       short_bytes(static_cast<double>(topic.scheduled_bytes)));
}

}  // namespace

json settings_json(const topic_options& settings) {
    return {{"keep_done_seconds", number_json(seconds_of(settings.keep_done))},
            {"max_message_bytes", settings.max_message_bytes},
            {"ttl_seconds", number_json(seconds_of(settings.ttl))},
            {"durability", to_string(settings.durability)},
            {"message_id_window_seconds", number_json(seconds_of(settings.message_id_window))}};
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

}  // namespace brokerd::ctl
