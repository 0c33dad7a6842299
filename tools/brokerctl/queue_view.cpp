// Queues as JSON rows, table and details.
#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/cells.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

cell dead_count(const json& row) {
    return rare_count<"dead">(row, tone::bad);
}

cell retrying_count(const json& row) {
    return rare_count<"retrying">(row, tone::warning);
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

constexpr std::array queues_table{
    column{"QUEUE", align::left, path_of},
    column{"MODE", align::left, text_of<"mode">},
    column{"READY", align::right, count_of<"ready">},
    column{"LEASED", align::right, count_of<"leased">},
    column{"RETRYING", align::right, retrying_count},
    column{"DEAD", align::right, dead_count},
    column{"DROPPED", align::right, dropped_count, has_dropped},
    column{"OLDEST", align::right, duration_of<"oldest_seconds">},
    column{"IN/s", align::right, rate_of<"in_per_second">},
    column{"OUT/s", align::right, rate_of<"out_per_second">},
    column{"DRAIN", align::right, drain_text},
    column{"CONSUMERS", align::right, count_of<"consumers">},
    column{"STATE", align::left, text_of<"state">},
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

// `124 (level 2: 3, level 1: 0, level 0: 117, failed before: 4)`: what the queue gives out next is
// in front. Counted one after the other, so what happened in between lets them differ.
std::string ready_text(const queue_info& queue, const std::optional<level_counts>& levels) {
    std::string text = fmt::format("{}", queue.ready);
    if (!levels) {
        return text;
    }
    const char* before = " (";
    for (std::size_t level = levels->ready.size(); level-- > 0;) {
        text +=
            fmt::format("{}level {}: {}", std::exchange(before, ", "), level, levels->ready[level]);
    }
    return text + fmt::format("{}failed before: {})", before, levels->due);
}

json levels_json(const level_counts& levels) {
    json rows = json::array();
    for (std::size_t level = levels.ready.size(); level-- > 0;) {
        rows.push_back({{"level", level}, {"ready", levels.ready[level]}});
    }
    return rows;
}

}  // namespace

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
            {"state", queue.state},
            {"dropped", queue.dropped}};
}

std::span<const column> queue_columns() {
    return queues_table;
}

json queue_details(const queue_info& queue, const std::optional<level_counts>& levels,
                   timestamp now) {
    json details = queue_row(queue, now);
    if (levels) {
        details["ready_levels"] = levels_json(*levels);
        details["ready_failed_before"] = levels->due;
    }
    details["id"] = queue.id;
    details["created"] = time_json(queue.created);
    details["floor"] = queue.floor;
    details["settings"] = settings_json(queue.settings);
    return details;
}

void add_settings(std::vector<detail>& to, delivery_mode mode, const queue_options& settings) {
    to.insert(to.end(), {
                            detail{"lease", format_duration(settings.lease)},
                            detail{"attempts", fmt::format("{}", settings.attempts)},
                            detail{"backoff", format_duration(settings.backoff)},
                            detail{"backoff-max", format_duration(settings.backoff_max)},
                            detail{"gives up", give_up_text(settings)},
                            detail{"jitter", fmt::format("{} %", settings.jitter_percent)},
                            detail{"max-retrying", fmt::format("{}", settings.max_retrying)},
                            detail{"max-runs", fmt::format("{}", settings.max_runs)},
                        });
    if (mode != delivery_mode::shared) {
        to.push_back(detail{"after-failure", std::string(to_string(settings.after_failure))});
    }
    if (settings.expires != std::chrono::microseconds{0}) {
        to.push_back(detail{"expires", format_duration(settings.expires) + " without a consumer"});
    }
    to.push_back(detail{"on-expiry", std::string(to_string(settings.on_expiry))});
    if (!settings.filter.empty()) {
        to.push_back(detail{"filter", terminal_text(settings.filter)});
    }
}

std::string queue_details_text(const queue_info& queue, const std::optional<level_counts>& levels,
                               timestamp now, bool colours) {
    const json row = queue_row(queue, now);
    const auto& settings = queue.settings;
    std::vector details{
        detail{"queue", queue.path()},
        detail{"mode", std::string(to_string(queue.mode))},
        detail{"state", queue.state},
        detail{"ready", ready_text(queue, levels)},
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
    };
    if (queue.dropped != 0) {
        const auto done = std::ranges::find(details, std::string_view("done"), &detail::name);
        details.insert(std::next(done),
                       detail{"dropped", {fmt::format("{}", queue.dropped), tone::warning}});
    }
    add_settings(details, queue.mode, settings);
    if (settings.until != 0) {
        details.push_back(detail{"until", fmt::format("{}@{}", queue.topic, settings.until)});
    }
    return render_details(details, colours);
}

}  // namespace brokerd::ctl
