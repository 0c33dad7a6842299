// brokerctl schedule: ls, cancel. Scheduling is part of message publish.
#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "protocol/types/limits.hpp"
#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

// Calls take(schedules) for each page of the topic, the next due first, while it says true.
template <typename Take>
void each_page(context& ctx, const std::string& topic, Take take,
               std::uint64_t page_max = limits::schedules_page_max) {
    const auto limit =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(page_max, limits::schedules_page_max));
    schedule_position from;
    for (bool more = true; more;) {
        const auto page = ctx.admin().schedules(topic, from, limit);
        more = take(page.schedules) && page.more;
        from = page.next;
    }
}

struct list_schedules_options {
    std::string topic;
    std::uint64_t limit = UINT64_MAX;
};

exit_code list_schedules(context& ctx, const list_schedules_options& options) {
    const auto now = wall_now();
    std::vector<json> rows;
    const auto take = [&](const std::vector<schedule_info>& page) {
        for (const auto& schedule : page) {
            if (rows.size() < options.limit) {
                rows.push_back(schedule_row(options.topic, schedule, now));
            }
        }
        ctx.out().progress("schedules", rows.size());
        return rows.size() < options.limit;
    };
    each_page(ctx, options.topic, take, options.limit);
    ctx.out().end_progress();
    ctx.out().list(schedule_columns(), rows);
    if (rows.empty()) {
        ctx.out().hint(
            fmt::format("nothing is scheduled; 'brokerctl message publish {} --delay 10min' "
                        "schedules a message",
                        options.topic));
    }
    return exit_code::done;
}

struct cancel_options {
    std::string topic;
    std::set<std::uint64_t> ids;
    bool all = false;
    bool dry_run = false;
};

std::uint64_t cancel_ids(context& ctx, const cancel_options& options) {
    const std::vector<std::uint64_t> ids(options.ids.begin(), options.ids.end());
    std::uint64_t cancelled = 0;
    for (std::size_t at = 0; at < ids.size(); at += limits::schedules_cancel_max) {
        const auto end = std::min<std::size_t>(at + limits::schedules_cancel_max, ids.size());
        cancelled += ctx.admin().cancel_schedules(options.topic,
                                                  {ids.begin() + static_cast<std::ptrdiff_t>(at),
                                                   ids.begin() + static_cast<std::ptrdiff_t>(end)});
        ctx.out().progress("schedules cancelled", cancelled);
    }
    return cancelled;
}

// A page is a slice: what becomes due meanwhile is no page's any more.
std::uint64_t cancel_all(context& ctx, const std::string& topic) {
    static_assert(limits::schedules_page_max <= limits::schedules_cancel_max);
    std::uint64_t cancelled = 0;
    each_page(ctx, topic, [&](const std::vector<schedule_info>& page) {
        std::vector<std::uint64_t> ids;
        for (const auto& schedule : page) {
            ids.push_back(schedule.id);
        }
        if (!ids.empty()) {
            cancelled += ctx.admin().cancel_schedules(topic, ids);
            ctx.out().progress("schedules cancelled", cancelled);
        }
        return true;
    });
    return cancelled;
}

// How many there are of those named, or of all.
std::uint64_t count_schedules(context& ctx, const cancel_options& options) {
    std::uint64_t count = 0;
    each_page(ctx, options.topic, [&](const std::vector<schedule_info>& page) {
        for (const auto& schedule : page) {
            count += options.all || options.ids.contains(schedule.id) ? 1U : 0U;
        }
        ctx.out().progress("schedules", count);
        return options.all || count < options.ids.size();
    });
    return count;
}

exit_code cancel(context& ctx, const cancel_options& options) {
    if (options.all != options.ids.empty()) {
        throw usage_error(options.all ? "give either IDs or --all, not both"
                                      : "name the schedules to cancel, or give --all");
    }
    std::uint64_t count = 0;
    if (options.dry_run) {
        count = count_schedules(ctx, options);
    } else {
        count = options.all ? cancel_all(ctx, options.topic) : cancel_ids(ctx, options);
    }
    ctx.out().end_progress();
    ctx.out().object(
        {{"topic", options.topic}, {"schedules", count}, {"dry_run", options.dry_run}},
        fmt::format("{} {} of topic {}\n", options.dry_run ? "would cancel" : "cancelled",
                    plural(count, "schedule"), options.topic));
    if (!options.all && count < options.ids.size()) {
        throw refusal(
            fmt::format("{} of {} not found: appended to topic {} or cancelled before, or "
                        "never scheduled; "
                        "'brokerctl schedule ls {}' shows what is",
                        options.ids.size() - count, plural(options.ids.size(), "schedule"),
                        options.topic, options.topic));
    }
    return exit_code::done;
}

// Not by add_value: there may be many.
void add_ids(CLI::App& app, std::set<std::uint64_t>& ids) {
    app.add_option_function<std::vector<std::string>>(
           "ID",
           [&ids](const std::vector<std::string>& texts) {
               for (const auto& text : texts) {
                   const auto id = parse_schedule_id(text);
                   if (!id) {
                       throw CLI::ValidationError("ID", id.error());
                   }
                   ids.insert(*id);
               }
           },
           "The schedules, as 'message publish' and 'schedule ls' print them")
        ->type_name("");
}

}  // namespace

void add_schedule_verbs(command_line& line) {
    auto& noun = line.add_noun("schedule", "Messages for later: ls, cancel");

    auto [app, options] = line.add_verb(
        noun,
        {"ls",
         "List what is scheduled for a topic, the next due first. 'brokerctl message publish' with "
         "--delay or --at schedules.",
         "  brokerctl schedule ls reminders\n"
         "  brokerctl schedule ls reminders --limit 10\n"
         "  brokerctl schedule ls reminders -o ndjson\n"},
        list_schedules);
    add_name(app, "TOPIC", options.topic, "The topic");
    add_count(app, "--limit", options.limit, "At most so many rows (default: all)");

    auto cancel_verb = line.add_verb(
        noun,
        {"cancel",
         "Cancel what is scheduled: it is removed and never appended. Exits with 1 if one of those "
         "named is not there any more, because it was appended or cancelled before.",
         "  brokerctl schedule cancel reminders 17 18\n"
         "  brokerctl schedule cancel reminders --all --dry-run\n"
         "  brokerctl schedule cancel reminders --all\n"},
        cancel);
    add_name(cancel_verb.app, "TOPIC", cancel_verb.options.topic, "The topic");
    add_ids(cancel_verb.app, cancel_verb.options.ids);
    cancel_verb.app.add_flag("--all", cancel_verb.options.all, "All of the topic");
    cancel_verb.app.add_flag("--dry-run", cancel_verb.options.dry_run, "Only count");
}

}  // namespace brokerd::ctl
