// Pattern queues: listing, creating, showing, changing and removing them.
#include "tools/brokerctl/pattern.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

json pattern_json(std::string_view path) {
    const auto [pattern, queue] = split_queue(path);
    return {{"pattern", pattern}, {"queue", queue}};
}

void check_pattern_options(const create_pattern_options& options) {
    using kind = log_position::kind;
    if (options.from && options.from->which() != kind::earliest &&
        options.from->which() != kind::latest) {
        throw usage_error(
            "--from of a pattern queue is earliest or latest: an offset or a time is a place in "
            "one topic; create it, then move a queue: brokerctl queue seek TOPIC/QUEUE");
    }
    if (options.has_end) {
        throw usage_error(
            "a pattern queue has no --until, which is a place in one topic; give it to one of its "
            "queues: brokerctl queue set TOPIC/QUEUE --until OFFSET");
    }
}

}  // namespace

exit_code list_patterns(context& ctx) {
    std::vector<json> rows;
    for (const auto& each : ctx.admin().patterns()) {
        rows.push_back(pattern_row(each));
    }
    ctx.out().list(pattern_columns(), rows);
    if (rows.empty()) {
        ctx.out().hint("no pattern queues yet; brokerctl queue create 'TOPIC.*/QUEUE' creates one");
    }
    return exit_code::done;
}

exit_code create_pattern(context& ctx, const create_pattern_options& options) {
    check_pattern_options(options);
    queue_options settings;
    options.settings.apply_to(settings);
    const auto answer = ctx.broker().ensure_queue(options.pattern, settings,
                                                  options.from.value_or(log_position::earliest()),
                                                  options.mode.value_or(delivery_mode::shared));
    if (const auto conflict = options.settings.conflict(answer.settings); !conflict.empty()) {
        throw refusal(
            fmt::format("pattern queue {0} exists with {1}; brokerctl queue set '{0}' changes it",
                        options.pattern, conflict));
    }
    json result = pattern_json(options.pattern);
    result["created"] = answer.created;
    result["queues"] = answer.queues;
    result["settings"] = settings_json(answer.settings);
    ctx.out().object(result, answer.created
                                 ? fmt::format("created pattern queue {} with {}\n",
                                               options.pattern, plural(answer.queues, "queue"))
                                 : fmt::format("pattern queue {} exists with {}\n", options.pattern,
                                               plural(answer.queues, "queue")));
    return exit_code::done;
}

exit_code show_pattern(context& ctx, const std::string& pattern) {
    const auto shown = ctx.admin().pattern(pattern);
    ctx.out().object(pattern_row(shown),
                     pattern_details_text(shown, wall_now(), ctx.out().colours()));
    return exit_code::done;
}

exit_code set_pattern(context& ctx, const std::string& pattern, const queue_changes& changes) {
    if (changes.until) {
        throw usage_error(
            "a pattern queue has no --until, which is a place in one topic; set it for one of its "
            "queues");
    }
    auto settings = ctx.admin().pattern(pattern).settings;
    changes.apply_to(settings);
    const auto changed = ctx.admin().set_pattern(pattern, settings);
    json result = pattern_json(pattern);
    result["queues"] = changed.queues;
    result["changed"] = changed.changed;
    result["settings"] = settings_json(settings);
    ctx.out().object(result, fmt::format("set pattern queue {} and {}: {}\n", pattern,
                                         plural(changed.queues, "queue"), changes.text()));
    return exit_code::done;
}

exit_code remove_pattern(context& ctx, const std::string& pattern, bool with_queues, bool dry_run) {
    const auto had = ctx.admin().pattern(pattern);
    const auto removed = ctx.admin().remove_pattern(pattern, with_queues, dry_run);
    const auto kept = had.queues - std::min<std::uint64_t>(had.queues, removed);
    json result = pattern_json(pattern);
    result["removed"] = !dry_run;
    result["queues_removed"] = removed;
    result["queues_kept"] = kept;
    ctx.out().object(
        result,
        fmt::format("{} pattern queue {}{}; {}\n", dry_run ? "would remove" : "removed", pattern,
                    with_queues ? fmt::format(" and {}", plural(removed, "queue")) : "",
                    kept == 1 ? "1 queue stays" : fmt::format("{} queues stay", kept)));
    return exit_code::done;
}

}  // namespace brokerd::ctl
