// Pattern queues as JSON rows, table and details.
#include <array>
#include <vector>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/cells.hpp"
#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

cell pattern_path(const json& row) {
    return row.at("pattern").get<std::string>() + "/" + row.at("queue").get<std::string>();
}

cell pattern_lease(const json& row) {
    return duration_text(row.at("settings").at("lease_seconds").get<double>());
}

cell pattern_attempts(const json& row) {
    return row.at("settings").at("attempts").dump();
}

cell pattern_filter(const json& row) {
    return terminal_text(row.at("settings").at("filter").get<std::string>());
}

bool has_filter(const json& row) {
    return row.at("settings").at("filter") != "";
}

constexpr std::array patterns_table{
    column{"PATTERN", align::left, pattern_path},
    column{"MODE", align::left, text_of<"mode">},
    column{"QUEUES", align::right, count_of<"queues">},
    column{"CONSUMERS", align::right, count_of<"consumers">},
    column{"LEASE", align::right, pattern_lease},
    column{"ATTEMPTS", align::right, pattern_attempts},
    column{"FILTER", align::left, pattern_filter, has_filter},
};

}  // namespace

json pattern_row(const pattern_info& of) {
    const auto [pattern, queue] = split_queue(of.pattern);
    return {{"pattern", pattern},
            {"queue", queue},
            {"mode", to_string(of.mode)},
            {"queues", of.queues},
            {"consumers", of.consumers},
            {"created", time_json(of.created)},
            {"settings", settings_json(of.settings)}};
}

std::span<const column> pattern_columns() {
    return patterns_table;
}

std::string pattern_details_text(const pattern_info& of, timestamp now, bool colours) {
    std::vector details{
        detail{"pattern", of.pattern},
        detail{"mode", std::string(to_string(of.mode))},
        detail{"queues", fmt::format("{}", of.queues)},
        detail{"consumers", fmt::format("{}", of.consumers)},
        detail{"created", age_text(of.created, now)},
    };
    add_settings(details, of.mode, of.settings);
    return render_details(details, colours);
}

}  // namespace brokerd::ctl
