// Topics as JSON rows, table and details.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/cells.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

// Which part of what a bound allows there is; 0 without a bound.
double share(const json& amount, const json& bound) {
    return bound == 0 ? 0 : amount.get<double>() / bound.get<double>();
}

// The next publishes may be refused.
tone fullness(const json& row) {
    constexpr double nearly_full = 0.9;
    const json& settings = row.at("settings");
    const bool near = share(row.at("pending"), settings.at("max_messages")) >= nearly_full ||
                      share(row.at("pending_bytes"), settings.at("max_bytes")) >= nearly_full;
    return near && settings.at("when_full") == to_string(overflow_policy::refuse) ? tone::warning
                                                                                  : tone::plain;
}

// `812`; of the bound that is nearer `812 of 1000` or `9.00GiB of 10GiB`.
cell pending_cell(const json& row) {
    const json& settings = row.at("settings");
    const json& messages_max = settings.at("max_messages");
    const json& bytes_max = settings.at("max_bytes");
    const auto messages = count_of<"pending">(row).text;
    if (messages_max == 0 && bytes_max == 0) {
        return messages;
    }
    const bool by_bytes = messages_max == 0 || share(row.at("pending_bytes"), bytes_max) >
                                                   share(row.at("pending"), messages_max);
    return {by_bytes ? fmt::format("{} of {}", bytes_of<"pending_bytes">(row).text,
                                   exact_bytes(bytes_max.get<std::uint64_t>()))
                     : fmt::format("{} of {}", messages, short_count(messages_max.get<double>())),
            fullness(row)};
}

constexpr std::array topics_table{
    column{"TOPIC", align::left, text_of<"topic">},
    column{"MESSAGES", align::right, count_of<"messages">},
    column{"BYTES", align::right, bytes_of<"bytes">},
    column{"FIRST", align::right, whole_of<"first_offset">},
    column{"NEXT", align::right, whole_of<"next_offset">},
    column{"PENDING", align::right, pending_cell},
    column{"DROPPED", align::right, dropped_count, has_dropped},
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

// `812 of 1000 messages, 9.00GiB of 10GiB`, what has a bound with it.
std::string pending_text(const topic_info& topic) {
    const auto& bounds = topic.settings;
    const auto messages =
        bounds.max_messages == 0
            ? plural(topic.pending, "message")
            : fmt::format("{} of {}", topic.pending, plural(bounds.max_messages, "message"));
    const auto bytes = short_bytes(static_cast<double>(topic.pending_bytes));
    return bounds.max_bytes == 0
               ? fmt::format("{}, {}", messages, bytes)
               : fmt::format("{}, {} of {}", messages, bytes, exact_bytes(bounds.max_bytes));
}

std::string dropped_text(const topic_info& topic, timestamp now) {
    if (topic.dropped == 0) {
        return "0";
    }
    return fmt::format("{} ({}), last {}", plural(topic.dropped, "message"),
                       short_bytes(static_cast<double>(topic.dropped_bytes)),
                       age_text(topic.last_dropped, now));
}

// Without it what is done is kept by bytes alone, if at all.
std::string keep_done_text(const topic_options& settings) {
    const bool by_bytes =
        settings.keep_done == std::chrono::microseconds{0} && settings.keep_done_bytes != 0;
    return by_bytes ? "any age" : format_duration(settings.keep_done);
}

// A broker that is too old for them names none.
std::uint8_t levels_in(const topic_options& settings) {
    return std::max<std::uint8_t>(settings.priorities, 1);
}

json row_without_settings(const topic_info& topic) {
    return {{"topic", topic.topic},
            {"first_offset", topic.first_offset},
            {"next_offset", topic.next_offset},
            {"messages", topic.messages},
            {"bytes", topic.bytes},
            {"queues", topic.queues},
            {"in_per_second", topic.in_per_second},
            {"scheduled", topic.scheduled},
            {"scheduled_bytes", topic.scheduled_bytes},
            {"pending", topic.pending},
            {"pending_bytes", topic.pending_bytes},
            {"dropped", topic.dropped},
            {"dropped_bytes", topic.dropped_bytes},
            {"last_dropped", time_json(topic.last_dropped)}};
}

}  // namespace

json settings_json(const topic_options& settings) {
    return {{"keep_done_seconds", number_json(seconds_of(settings.keep_done))},
            {"max_message_bytes", settings.max_message_bytes},
            {"ttl_seconds", number_json(seconds_of(settings.ttl))},
            {"durability", to_string(settings.durability)},
            {"message_id_window_seconds", number_json(seconds_of(settings.message_id_window))},
            {"keep_done_bytes", settings.keep_done_bytes},
            {"max_bytes", settings.max_bytes},
            {"max_messages", settings.max_messages},
            {"when_full", to_string(settings.when_full)},
            {"max_age_seconds", number_json(seconds_of(settings.max_age))},
            {"priorities", levels_in(settings)}};
}

json topic_row(const topic_info& topic) {
    json row = row_without_settings(topic);
    row["settings"] = settings_json(topic.settings);
    return row;
}

std::span<const column> topic_columns() {
    return topics_table;
}

json topic_details(const topic_info& topic) {
    json details = row_without_settings(topic);
    details["id"] = topic.id;
    details["created"] = time_json(topic.created);
    details["settings"] = settings_json(topic.settings);
    return details;
}

std::string topic_details_text(const topic_info& topic, timestamp now, bool colours) {
    const json row = topic_row(topic);
    const auto& settings = topic.settings;
    const std::array details{
        detail{"topic", topic.topic},
        detail{"messages", fmt::format("{}", topic.messages)},
        detail{"bytes", short_bytes(static_cast<double>(topic.bytes))},
        detail{"offsets", fmt::format("{} to {}", topic.first_offset, topic.next_offset)},
        detail{"pending", {pending_text(topic), fullness(row)}},
        detail{"dropped", {dropped_text(topic, now), dropped_count(row).meaning}},
        detail{"in/s", short_rate(topic.in_per_second)},
        detail{"queues", fmt::format("{}", topic.queues)},
        detail{"scheduled", scheduled_text(topic)},
        detail{"created", age_text(topic.created, now)},
        detail{"id", fmt::format("{}", topic.id)},
        detail{"keep-done", keep_done_text(settings)},
        detail{"keep-done-bytes", bytes_or_none(settings.keep_done_bytes)},
        detail{"max-messages", number_or_none(settings.max_messages)},
        detail{"max-bytes", bytes_or_none(settings.max_bytes)},
        detail{"when-full", std::string(to_string(settings.when_full))},
        detail{"max-age", duration_or_none(settings.max_age)},
        detail{"max-message-bytes", exact_bytes(settings.max_message_bytes)},
        detail{"ttl", duration_or_none(settings.ttl)},
        detail{"durability", std::string(to_string(settings.durability))},
        detail{"message-id-window", duration_or_none(settings.message_id_window)},
        detail{"priorities", fmt::format("{}", levels_in(settings))},
    };
    return render_details(details, colours);
}

}  // namespace brokerd::ctl
