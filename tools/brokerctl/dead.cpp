// brokerctl dead: ls, export, redrive, purge.
#include <map>
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/filter.hpp"
#include "tools/brokerctl/message_view.hpp"
#include "tools/brokerctl/pace.hpp"
#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

// Calls take(message) for each dead message of `queue`, in order of offset, while it says true.
template <typename Take>
void each_dead(context& ctx, const std::string& queue, const queue_filter& filter, Take take) {
    constexpr std::uint32_t page_max = 1000;
    for (std::uint64_t from = 0;;) {
        const auto page = ctx.admin().dead(queue, from, page_max, filter.text);
        for (const auto& message : page.messages) {
            if (!take(message)) {
                return;
            }
        }
        if (!page.more) {
            return;
        }
        from = page.next;
    }
}

// The queue named, or all that have dead messages.
std::vector<std::string> queues_with_dead(context& ctx, const std::string& only) {
    if (!only.empty()) {
        return {only};
    }
    std::vector<std::string> names;
    for (const auto& queue : ctx.admin().queues()) {
        if (queue.dead > 0) {
            names.push_back(queue.path());
        }
    }
    return names;
}

struct list_dead_options {
    std::string queue;
    std::string by;
    queue_filter filter;
    std::uint64_t limit = UINT64_MAX;
};

std::vector<json> dead_rows(context& ctx, const list_dead_options& options, timestamp now) {
    std::vector<json> rows;
    for (const auto& name : queues_with_dead(ctx, options.queue)) {
        const auto [topic, queue] = split_queue(name);
        each_dead(ctx, name, options.filter,
                  [&, topic = topic, queue = queue](const dead_message& message) {
                      rows.push_back(dead_row(topic, queue, message, now));
                      ctx.out().progress("dead messages", rows.size());
                      return rows.size() < options.limit;
                  });
        if (rows.size() >= options.limit) {
            break;
        }
    }
    return rows;
}

struct reason_group {
    std::uint64_t count = 0;
    timestamp oldest = no_timestamp;
    std::uint64_t sample = 0;  // offset of the oldest
};

// Per queue the most frequent reason first.
void append_groups(std::vector<json>& rows, const std::string& name,
                   const std::map<std::string, reason_group>& groups, timestamp now) {
    std::vector<std::pair<std::string, reason_group>> sorted(groups.begin(), groups.end());
    std::ranges::stable_sort(
        sorted, std::ranges::greater{},
        [](const std::pair<std::string, reason_group>& each) { return each.second.count; });
    for (const auto& [reason, group] : sorted) {
        json row = queue_json(name);
        row["reason"] = reason;
        row["count"] = group.count;
        row["oldest_seconds"] = age_seconds(group.oldest, now);
        row["sample"] = fmt::format("{}@{}", split_queue(name).first, group.sample);
        rows.push_back(std::move(row));
    }
}

std::vector<json> reason_rows(context& ctx, const list_dead_options& options, timestamp now) {
    std::vector<json> rows;
    std::uint64_t looked_at = 0;
    for (const auto& name : queues_with_dead(ctx, options.queue)) {
        std::map<std::string, reason_group> groups;
        each_dead(ctx, name, options.filter, [&](const dead_message& message) {
            auto& group = groups[message.reason];
            ++group.count;
            if (message.since < group.oldest) {
                group.oldest = message.since;
                group.sample = message.offset;
            }
            ctx.out().progress("dead messages", ++looked_at);
            return true;
        });
        append_groups(rows, name, groups, now);
    }
    if (rows.size() > options.limit) {
        rows.resize(options.limit);
    }
    return rows;
}

exit_code list_dead(context& ctx, const list_dead_options& options) {
    const bool by_reason = !options.by.empty();
    const auto now = wall_now();
    const auto rows = by_reason ? reason_rows(ctx, options, now) : dead_rows(ctx, options, now);
    ctx.out().end_progress();
    ctx.out().list(by_reason ? dead_reason_columns() : dead_columns(), rows);
    if (rows.empty()) {
        ctx.out().remark("no dead messages");
    }
    return exit_code::done;
}

struct export_options {
    std::string queue;
    queue_filter filter;
    std::uint64_t limit = UINT64_MAX;
};

exit_code export_dead(context& ctx, const export_options& options) {
    const auto [topic, queue] = split_queue(options.queue);
    std::uint64_t count = 0;
    ctx.out().begin_stream();
    each_dead(ctx, options.queue, options.filter, [&](const dead_message& dead) {
        const auto shown = ctx.admin().show(topic, dead.offset);
        if (!shown.message) {
            return true;  // redriven or purged meanwhile, and done
        }
        const auto view = view_of(*shown.message);
        json item = message_json(view);
        item["queue"] = queue;
        item["attempts"] = dead.attempts;
        item["reason"] = dead.reason;
        item["consumer"] = dead.consumer;
        item["died"] = time_json(dead.since);
        ctx.out().stream_item(item, message_line(view));
        return ++count < options.limit && ctx.out().flush();
    });
    ctx.out().end_stream();
    if (count == 0) {
        ctx.out().remark("no dead messages");
    }
    return exit_code::done;
}

struct change_options {
    queue_target target;
    std::optional<std::string> reason;
    queue_filter filter;
    std::optional<std::uint64_t> rate;
    bool dry_run = false;
};

using change_function = slice (admin::*)(std::string_view, const selection&, bool);

// What a change does and how it is told.
struct change {
    change_function function;
    const char* done;   // "redrove"
    const char* would;  // "would redrive"
};

std::uint64_t change_range(context& ctx, const change& how, const change_options& options,
                           std::uint64_t from, std::uint64_t until) {
    pace speed(options.dry_run ? std::nullopt : options.rate);
    selection which{
        .filter = options.filter.text, .from = from, .until = until, .limit = speed.step()};
    std::uint64_t changed = 0;
    for (bool more = true; more;) {
        const auto part = (ctx.admin().*how.function)(options.target.queue, which, options.dry_run);
        changed += part.messages;
        more = part.more;
        which.from = part.next;
        ctx.out().progress("dead messages", changed);
        if (more) {
            speed.wait_after(part.messages);
        }
    }
    return changed;
}

// Only the messages that died of this reason. Neighbours go together; a range never reaches over
// an offset that was not listed, as that message may die of something else meanwhile.
std::uint64_t change_by_reason(context& ctx, const change& how, const change_options& options) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    each_dead(ctx, options.target.queue, options.filter, [&](const dead_message& message) {
        if (message.reason == *options.reason) {
            if (!ranges.empty() && ranges.back().second == message.offset) {
                ++ranges.back().second;
            } else {
                ranges.emplace_back(message.offset, message.offset + 1);
            }
        }
        return true;
    });
    std::uint64_t changed = 0;
    for (const auto& [from, until] : ranges) {
        changed += change_range(ctx, how, options, from, until);
    }
    return changed;
}

exit_code change_dead(context& ctx, const change& how, const change_options& options) {
    const auto& offset = options.target.offset;
    if (offset && (options.reason || !options.filter.text.empty())) {
        throw usage_error("give either an offset, or --reason and --filter, not both");
    }
    std::uint64_t changed = 0;
    if (options.reason) {
        changed = change_by_reason(ctx, how, options);
    } else if (offset) {
        changed = change_range(ctx, how, options, *offset, *offset + 1);
    } else {
        changed = change_range(ctx, how, options, 0, UINT64_MAX);
    }
    ctx.out().end_progress();
    if (offset && changed == 0) {
        throw refusal(
            fmt::format("{0}@{1} is not dead; 'brokerctl queue explain {0}@{1}' says "
                        "what it is",
                        options.target.queue, *offset));
    }
    json result = queue_json(options.target.queue);
    result["messages"] = changed;
    result["dry_run"] = options.dry_run;
    ctx.out().object(result,
                     fmt::format("{} {} of queue {}\n", options.dry_run ? how.would : how.done,
                                 plural(changed, "dead message"), options.target.queue));
    return exit_code::done;
}

exit_code redrive(context& ctx, const change_options& options) {
    return change_dead(ctx, {&admin::redrive_dead, "redrove", "would redrive"}, options);
}

exit_code purge_dead(context& ctx, const change_options& options) {
    return change_dead(ctx, {&admin::purge_dead, "purged", "would purge"}, options);
}

void add_change_options(verb<change_options> each) {
    add_value(each.app, "TOPIC/QUEUE[@OFFSET]", each.options.target, parse_queue_target, "",
              "The queue, or one message of it")
        ->required();
    each.app.add_option("--reason", each.options.reason,
                        "Only those whose last reason is exactly this; see 'dead ls --by reason'");
    each.options.filter.add_to(each.app);
    add_count(each.app, "--rate", each.options.rate, "At most so many per second");
    each.app.add_flag("--dry-run", each.options.dry_run, "Only count");
}

}  // namespace

void add_dead_verbs(command_line& line) {
    auto& noun = line.add_noun("dead", "Dead messages: ls, export, redrive, purge");

    auto [app, options] =
        line.add_verb(noun,
                      {"ls", "List dead messages, or how many died of which reason.",
                       "  brokerctl dead ls\n"
                       "  brokerctl dead ls --by reason\n"
                       "  brokerctl dead ls orders/billing --filter \"header.country = 'DE'\"\n"
                       "  brokerctl dead ls orders/billing -o ndjson\n"},
                      list_dead);
    app.add_option("TOPIC/QUEUE", options.queue, "Only of this queue (default: all queues)");
    app.add_option("--by", options.by, "reason: count by the last reason")
        ->check(CLI::IsMember({"reason"}))
        ->type_name("reason");
    options.filter.add_to(app);
    add_count(app, "--limit", options.limit, "At most so many rows (default: all)");

    auto export_verb = line.add_verb(
        noun,
        {"export", "Print dead messages of a queue whole, and why they died.",
         "  brokerctl dead export orders/billing -o ndjson > dead.ndjson\n"
         "  brokerctl dead export orders/billing --filter \"reason like '*timeout*'\"\n"},
        export_dead);
    add_name(export_verb.app, "TOPIC/QUEUE", export_verb.options.queue, "The queue");
    export_verb.options.filter.add_to(export_verb.app);
    add_count(export_verb.app, "--limit", export_verb.options.limit,
              "At most so many (default: all)");

    add_change_options(line.add_verb(
        noun,
        {"redrive", "Make dead messages ready again, with all their attempts before them.",
         "  brokerctl dead redrive orders/billing --dry-run\n"
         "  brokerctl dead redrive orders/billing@812\n"
         "  brokerctl dead redrive orders/billing --reason 'card service down'\n"
         "  brokerctl dead redrive orders/billing --filter \"age < 1d\" --rate 100\n"},
        redrive));

    add_change_options(
        line.add_verb(noun,
                      {"purge", "Make dead messages done: nobody will work on them any more.",
                       "  brokerctl dead purge orders/billing --dry-run\n"
                       "  brokerctl dead purge orders/billing --reason 'no such card'\n"},
                      purge_dead));
}

}  // namespace brokerd::ctl
