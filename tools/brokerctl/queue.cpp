// brokerctl queue: ls, create, clone, info, set, rm, pause, resume, seek, purge, explain.
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/filter.hpp"
#include "tools/brokerctl/pace.hpp"
#include "tools/brokerctl/pattern.hpp"
#include "tools/brokerctl/queue_name.hpp"
#include "tools/brokerctl/settings.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

struct list_queues_options {
    std::string topic;
    bool patterns = false;
};

exit_code list_queues(context& ctx, const list_queues_options& options) {
    if (options.patterns) {
        if (!options.topic.empty()) {
            throw usage_error("--patterns lists all pattern queues; leave out the topic");
        }
        return list_patterns(ctx);
    }
    std::vector<json> rows;
    const auto now = wall_now();
    for (const auto& queue : ctx.admin().queues(options.topic)) {
        rows.push_back(queue_row(queue, now));
    }
    ctx.out().list(queue_columns(), rows);
    if (rows.empty()) {
        ctx.out().hint(fmt::format("no queues yet; 'brokerctl queue create {}/QUEUE' creates one",
                                   options.topic.empty() ? "TOPIC" : options.topic));
    }
    return exit_code::done;
}

struct create_queue_options {
    std::string queue;
    std::optional<log_position> from;
    std::optional<log_position> until;
    std::optional<delivery_mode> mode;
    queue_changes settings;
};

// Whether nothing can lie between the two, whatever the topic holds.
bool nothing_between(const log_position& from, const log_position& until) {
    using kind = log_position::kind;
    return from.which() == until.which() &&
           (from.which() == kind::latest ||
            (from.which() == kind::offset && from.offset() >= until.offset()) ||
            (from.which() == kind::time && from.time() >= until.time()));
}

// A time is the offset of the first message at or after it, as for --from; where there is none, of
// the next one to come, as the time has passed.
std::uint64_t end_offset(context& ctx, const std::string& topic, const log_position& until) {
    if (until.which() == log_position::kind::offset) {
        return until.offset();
    }
    const auto page = ctx.admin().read(topic, until, {.messages_max = 1});
    const auto end = page.messages.empty() ? page.next_offset : page.messages.front().offset;
    if (end <= page.first_offset) {
        throw refusal(
            fmt::format("no queue can end at {}@{}, as there is nothing before it; without --until "
                        "a queue has no end",
                        topic, end));
    }
    return end;
}

exit_code create_queue(context& ctx, const create_queue_options& options) {
    if (is_pattern(options.queue)) {
        return create_pattern(ctx, {.pattern = options.queue,
                                    .from = options.from,
                                    .has_end = options.until.has_value(),
                                    .mode = options.mode,
                                    .settings = options.settings});
    }
    if (options.from && options.until && nothing_between(*options.from, *options.until)) {
        throw usage_error("--from is not before --until, so the queue would get nothing");
    }
    queue_changes changes = options.settings;
    if (options.until) {
        changes.until =
            end_offset(ctx, std::string(split_queue(options.queue).first), *options.until);
    }
    queue_options settings;
    changes.apply_to(settings);
    const auto answer = ctx.broker().ensure_queue(options.queue, settings,
                                                  options.from.value_or(log_position::earliest()),
                                                  options.mode.value_or(delivery_mode::shared));
    if (const auto conflict = changes.conflict(answer.settings); !conflict.empty()) {
        throw refusal(fmt::format("queue {0} exists with {1}; 'brokerctl queue set {0}' changes it",
                                  options.queue, conflict));
    }
    json result = queue_json(options.queue);
    result["created"] = answer.created;
    result["topic_created"] = answer.topic_created;
    result["settings"] = settings_json(answer.settings);
    std::string text = fmt::format("queue {} exists\n", options.queue);
    if (answer.created) {
        const std::string topic = result["topic"];
        text = fmt::format("created {}queue {}\n",
                           answer.topic_created ? "topic " + topic + ", " : "", options.queue);
    }
    ctx.out().object(result, text);
    return exit_code::done;
}

struct clone_options {
    std::string queue;
    std::string name;
};

// The new queue with its topic. Only its name need be given; with a topic it has to be the same.
std::string clone_path(const clone_options& options) {
    const auto topic = split_queue(options.queue).first;
    const auto [first, second] = split_queue(options.name);
    if (second.empty()) {
        return fmt::format("{}/{}", topic, options.name);
    }
    if (first != topic) {
        throw usage_error(
            fmt::format("a clone is a queue of the same topic, so it cannot be {}; give its name "
                        "alone, or {}/{}",
                        options.name, topic, second));
    }
    return options.name;
}

exit_code clone_queue(context& ctx, const clone_options& options) {
    const auto made = clone_path(options);
    const auto settings = ctx.admin().clone_queue(options.queue, split_queue(made).second);
    json result = queue_json(made);
    result["cloned_from"] = options.queue;
    result["settings"] = settings_json(settings);
    ctx.out().object(result, fmt::format("created queue {}, a clone of {}\n", made, options.queue));
    return exit_code::done;
}

struct name_options {
    std::string queue;
};

exit_code show_queue(context& ctx, const name_options& options) {
    if (is_pattern(options.queue)) {
        return show_pattern(ctx, options.queue);
    }
    const auto queue = ctx.admin().queue(options.queue);
    std::optional<level_counts> levels;
    if (ctx.admin().topic(queue.topic).settings.priorities > 1) {
        levels = ctx.admin().queue_levels(options.queue);
    }
    const auto now = wall_now();
    ctx.out().object(queue_details(queue, levels, now),
                     queue_details_text(queue, levels, now, ctx.out().colours()));
    return exit_code::done;
}

struct set_queue_options {
    std::string queue;
    queue_changes settings;
};

exit_code set_queue(context& ctx, const set_queue_options& options) {
    if (options.settings.empty()) {
        throw usage_error("nothing to set; give a setting such as --lease or --attempts");
    }
    if (is_pattern(options.queue)) {
        return set_pattern(ctx, options.queue, options.settings);
    }
    auto settings = ctx.admin().queue(options.queue).settings;
    options.settings.apply_to(settings);
    ctx.admin().set_queue(options.queue, settings);
    json result = queue_json(options.queue);
    result["settings"] = settings_json(settings);
    ctx.out().object(result,
                     fmt::format("set queue {}: {}\n", options.queue, options.settings.text()));
    return exit_code::done;
}

struct remove_queue_options {
    std::string queue;
    bool with_queues = false;
    bool dry_run = false;
};

exit_code remove_queue(context& ctx, const remove_queue_options& options) {
    if (is_pattern(options.queue)) {
        return remove_pattern(ctx, options.queue, options.with_queues, options.dry_run);
    }
    if (options.with_queues) {
        throw usage_error("--queues is for a pattern queue, PATTERN/QUEUE; leave it out");
    }
    const auto queue = ctx.admin().queue(options.queue);
    if (!options.dry_run) {
        ctx.admin().remove_queue(options.queue);
    }
    const auto open = queue.ready + queue.leased + queue.retrying;
    json result = queue_json(options.queue);
    result["removed"] = !options.dry_run;
    result["open"] = open;
    result["dead"] = queue.dead;
    ctx.out().object(result, fmt::format("{} queue {} with {} to do and {} dead\n",
                                         options.dry_run ? "would remove" : "removed",
                                         options.queue, plural(open, "message"), queue.dead));
    return exit_code::done;
}

exit_code report_paused(context& ctx, const std::string& queue, bool paused) {
    json result = queue_json(queue);
    result["paused"] = paused;
    ctx.out().object(result, fmt::format("{} queue {}\n", paused ? "paused" : "resumed", queue));
    return exit_code::done;
}

exit_code pause(context& ctx, const name_options& options) {
    ctx.admin().pause_queue(options.queue);
    return report_paused(ctx, options.queue, true);
}

exit_code resume(context& ctx, const name_options& options) {
    ctx.admin().resume_queue(options.queue);
    return report_paused(ctx, options.queue, false);
}

struct seek_options {
    std::string queue;
    std::optional<log_position> to;
    bool dry_run = false;
};

exit_code seek(context& ctx, const seek_options& options) {
    const auto moved = ctx.admin().seek_queue(options.queue, *options.to, options.dry_run);
    json result = queue_json(options.queue);
    result["offset"] = moved.next;
    result["ready"] = moved.messages;
    result["dry_run"] = options.dry_run;
    ctx.out().object(result, fmt::format("{} queue {} to {}@{}: {} ready\n",
                                         options.dry_run ? "would move" : "moved", options.queue,
                                         result["topic"].get<std::string>(), moved.next,
                                         plural(moved.messages, "message")));
    return exit_code::done;
}

struct purge_queue_options {
    std::string queue;
    queue_filter filter;
    std::optional<std::uint64_t> rate;
    bool dry_run = false;
};

exit_code purge_queue(context& ctx, const purge_queue_options& options) {
    pace speed(options.dry_run ? std::nullopt : options.rate);
    selection which{.filter = options.filter.text, .limit = speed.step()};
    if (!which.filter.empty() || which.limit > 0) {
        // What comes while this goes on is not meant.
        which.until = ctx.admin().topic(split_queue(options.queue).first).next_offset;
    }
    std::uint64_t purged = 0;
    for (bool more = true; more;) {
        const auto part = ctx.admin().purge_queue(options.queue, which, options.dry_run);
        purged += part.messages;
        more = part.more;
        which.from = part.next;
        ctx.out().progress("messages purged", purged);
        if (more) {
            speed.wait_after(part.messages);
        }
    }
    ctx.out().end_progress();
    json result = queue_json(options.queue);
    result["messages"] = purged;
    result["dry_run"] = options.dry_run;
    ctx.out().object(result,
                     fmt::format("{} {} of queue {}\n", options.dry_run ? "would purge" : "purged",
                                 plural(purged, "message"), options.queue));
    return exit_code::done;
}

struct explain_options {
    queue_target target;
};

exit_code explain(context& ctx, const explain_options& options) {
    const auto sentence = ctx.admin().explain(options.target.queue, options.target.offset);
    json result = queue_json(options.target.queue);
    if (options.target.offset) {
        result["offset"] = *options.target.offset;
    }
    result["sentence"] = sentence;
    ctx.out().object(result, sentence + "\n");
    return exit_code::done;
}

void add_settings_verbs(command_line& line, CLI::App& noun) {
    auto create_verb = line.add_verb(
        noun,
        {"create",
         "Create a queue, and its topic when missing; or a pattern queue: one in "
         "every topic that a pattern matches, in later ones, too. In PATTERN * is one "
         "word, > at the end one or more. One that exists with the same settings is "
         "fine.",
         "  brokerctl queue create orders/billing\n"
         "  brokerctl queue create orders/mail --lease 2min --attempts 5 --from "
         "latest\n"
         "  brokerctl queue create orders/stock --mode keyed\n"
         "  brokerctl queue create prices/audit --on-expiry dead\n"
         "  brokerctl queue create orders/german --filter \"header.country = 'DE'\"\n"
         "  brokerctl queue create orders/again --from -2d --until -1d\n"
         "  brokerctl queue create 'orders.*/billing' --lease 2min\n"},
        create_queue);
    add_name(create_verb.app, "TOPIC/QUEUE", create_verb.options.queue,
             "Its name, or PATTERN/QUEUE");
    add_position(create_verb.app, "--from", create_verb.options.from,
                 "First message of a new queue (default earliest)");
    add_value(
        create_verb.app, "--until", create_verb.options.until,
        [](std::string_view text) { return parse_end(text, wall_now()); }, "POSITION",
        "Where it ends, messages from there on are not for it: latest (it gets what is there now), "
        "an offset, a time that has passed (2026-03-01T12:00:00Z) or -10min (default: no end)");
    add_choice(create_verb.app, "--mode", create_verb.options.mode, delivery_modes,
               "Which order it keeps: none, that of each key, that of all messages (default "
               "shared)");
    create_verb.options.settings.add_to(create_verb.app);

    auto clone_verb = line.add_verb(
        noun,
        {"clone",
         "Create a queue of the same topic with the settings and the whole state of another: what "
         "is done, retrying and dead there. What is leased there is ready in it. The other queue "
         "goes on as it is.",
         "  brokerctl queue clone orders/billing billing-v2\n"},
        clone_queue);
    add_name(clone_verb.app, "TOPIC/QUEUE", clone_verb.options.queue, "The queue to copy");
    add_name(clone_verb.app, "NEW_QUEUE", clone_verb.options.name,
             "Name of the new queue, which must not exist");

    auto set_verb =
        line.add_verb(noun,
                      {"set",
                       "Change settings of a queue, or of a pattern queue and all its queues; the "
                       "others stay. Those that a queue of it was given for itself do not.",
                       "  brokerctl queue set orders/billing --lease 2min\n"
                       "  brokerctl queue set orders/billing --filter \"size < 64KiB\"\n"
                       "  brokerctl queue set orders/billing --filter '' --until 0\n"
                       "  brokerctl queue set 'orders.*/billing' --attempts 5\n"},
                      set_queue);
    add_name(set_verb.app, "TOPIC/QUEUE", set_verb.options.queue, "Its name, or PATTERN/QUEUE");
    set_verb.options.settings.add_to(set_verb.app);
    add_value(set_verb.app, "--until", set_verb.options.settings.until, parse_offset, "OFFSET",
              "Where it ends, messages from there on are not for it; 0: no end");
}

void add_moving_verbs(command_line& line, CLI::App& noun) {
    auto seek_verb =
        line.add_verb(noun,
                      {"seek",
                       "Move a queue: messages below become done, from there on ready; dead ones "
                       "stay, all leases end.",
                       "  brokerctl queue seek orders/billing --to 812 --dry-run\n"
                       "  brokerctl queue seek orders/billing --to -1h\n"
                       "  brokerctl queue seek orders/billing --to earliest\n"},
                      seek);
    add_name(seek_verb.app, "TOPIC/QUEUE", seek_verb.options.queue, "The queue");
    add_position(seek_verb.app, "--to", seek_verb.options.to, "Where to")->required();
    seek_verb.app.add_flag("--dry-run", seek_verb.options.dry_run, "Only say what would happen");

    auto purge_verb = line.add_verb(
        noun,
        {"purge", "Make ready and retrying messages done; leased and dead ones stay.",
         "  brokerctl queue purge orders/billing --dry-run\n"
         "  brokerctl queue purge orders/billing\n"
         "  brokerctl queue purge orders/billing --filter \"key = '42' or age > 1d\"\n"},
        purge_queue);
    add_name(purge_verb.app, "TOPIC/QUEUE", purge_verb.options.queue, "The queue");
    purge_verb.options.filter.add_to(purge_verb.app);
    add_count(purge_verb.app, "--rate", purge_verb.options.rate, "At most so many per second");
    purge_verb.app.add_flag("--dry-run", purge_verb.options.dry_run, "Only count");

    auto rm_verb = line.add_verb(noun,
                                 {"rm",
                                  "Remove a queue with its state; or a pattern queue, whose "
                                  "queues stay unless --queues is given.",
                                  "  brokerctl queue rm orders/billing --dry-run\n"
                                  "  brokerctl queue rm orders/billing\n"
                                  "  brokerctl queue rm 'orders.*/billing' --queues --dry-run\n"},
                                 remove_queue);
    add_name(rm_verb.app, "TOPIC/QUEUE", rm_verb.options.queue, "The queue, or PATTERN/QUEUE");
    rm_verb.app.add_flag("--queues", rm_verb.options.with_queues,
                         "Of a pattern queue: remove its queues with their state, too, but for "
                         "those that another pattern queue has");
    rm_verb.app.add_flag("--dry-run", rm_verb.options.dry_run, "Only say what would be removed");
}

}  // namespace

void add_queue_verbs(command_line& line) {
    auto& noun = line.add_noun(
        "queue", "Queues: ls, create, clone, info, set, rm, pause, resume, seek, purge, explain");

    auto ls_verb =
        line.add_verb(noun,
                      {"ls",
                       "List the queues with the state of their messages. IN/s and OUT/s "
                       "are averages over the last 10 s, or since the broker started.",
                       "  brokerctl queue ls\n"
                       "  brokerctl queue ls orders -o json\n"
                       "  brokerctl queue ls --patterns\n"},
                      list_queues);
    ls_verb.app.add_option("TOPIC", ls_verb.options.topic, "Only the queues of this topic");
    ls_verb.app.add_flag("--patterns", ls_verb.options.patterns,
                         "List the pattern queues themselves");

    auto info_verb = line.add_verb(noun,
                                   {"info", "Show a queue, or a pattern queue, with its settings.",
                                    "  brokerctl queue info orders/billing\n"
                                    "  brokerctl queue info 'orders.*/billing'\n"},
                                   show_queue);
    add_name(info_verb.app, "TOPIC/QUEUE", info_verb.options.queue, "The queue, or PATTERN/QUEUE");

    add_settings_verbs(line, noun);

    auto pause_verb = line.add_verb(noun,
                                    {"pause", "Stop dispatch; what is leased stays leased.",
                                     "  brokerctl queue pause orders/billing\n"},
                                    pause);
    add_name(pause_verb.app, "TOPIC/QUEUE", pause_verb.options.queue, "The queue");

    auto resume_verb = line.add_verb(
        noun, {"resume", "Start dispatch again.", "  brokerctl queue resume orders/billing\n"},
        resume);
    add_name(resume_verb.app, "TOPIC/QUEUE", resume_verb.options.queue, "The queue");

    add_moving_verbs(line, noun);

    auto explain_verb =
        line.add_verb(noun,
                      {"explain",
                       "Say in one sentence why a queue, or a message in it, does not "
                       "move.",
                       "  brokerctl queue explain orders/billing\n"
                       "  brokerctl queue explain orders/billing@812\n"},
                      explain);
    add_value(explain_verb.app, "TOPIC/QUEUE[@OFFSET]", explain_verb.options.target,
              parse_queue_target, "", "The queue or the message")
        ->required();
}

}  // namespace brokerd::ctl
