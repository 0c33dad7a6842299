// brokerctl topic: ls, create, info, set, rm.
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/settings.hpp"
#include "tools/brokerctl/units.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

struct list_topics_options {};

exit_code list_topics(context& ctx, const list_topics_options&) {
    std::vector<json> rows;
    for (const auto& topic : ctx.admin().topics()) {
        rows.push_back(topic_row(topic));
    }
    ctx.out().list(topic_columns(), rows);
    if (rows.empty()) {
        ctx.out().hint("no topics yet; 'brokerctl topic create TOPIC' creates one");
    }
    return exit_code::done;
}

struct create_topic_options {
    std::string topic;
    topic_changes settings;
};

exit_code create_topic(context& ctx, const create_topic_options& options) {
    topic_options settings;
    options.settings.apply_to(settings);
    const auto answer = ctx.broker().ensure_topic(options.topic, settings);
    if (const auto levels = options.settings.priorities;
        levels && *levels != answer.settings.priorities) {
        throw refusal(fmt::format(
            "topic {} exists with priorities {}, not {}; they are fixed: make another topic",
            options.topic, answer.settings.priorities, *levels));
    }
    if (const auto conflict = options.settings.conflict(answer.settings); !conflict.empty()) {
        throw refusal(fmt::format("topic {0} exists with {1}; 'brokerctl topic set {0}' changes it",
                                  options.topic, conflict));
    }
    ctx.out().object({{"topic", options.topic},
                      {"created", answer.created},
                      {"settings", settings_json(answer.settings)}},
                     fmt::format("{}topic {}{}\n", answer.created ? "created " : "", options.topic,
                                 answer.created ? "" : " exists"));
    return exit_code::done;
}

struct show_topic_options {
    std::string topic;
};

exit_code show_topic(context& ctx, const show_topic_options& options) {
    const auto topic = ctx.admin().topic(options.topic);
    ctx.out().object(topic_details(topic),
                     topic_details_text(topic, wall_now(), ctx.out().colours()));
    return exit_code::done;
}

struct set_topic_options {
    std::string topic;
    topic_changes settings;
};

exit_code set_topic(context& ctx, const set_topic_options& options) {
    if (options.settings.empty()) {
        throw usage_error("nothing to set; give a setting such as --keep-done or --max-messages");
    }
    auto settings = ctx.admin().topic(options.topic).settings;
    options.settings.apply_to(settings);
    ctx.admin().set_topic(options.topic, settings);
    ctx.out().object({{"topic", options.topic}, {"settings", settings_json(settings)}},
                     fmt::format("set topic {}: {}\n", options.topic, options.settings.text()));
    return exit_code::done;
}

struct remove_topic_options {
    std::string topic;
    bool dry_run = false;
};

exit_code remove_topic(context& ctx, const remove_topic_options& options) {
    const auto topic = ctx.admin().topic(options.topic);
    const auto scheduled =
        topic.scheduled == 0 ? std::string{} : ", " + plural(topic.scheduled, "scheduled message");
    if (!options.dry_run) {
        ctx.admin().remove_topic(options.topic);
    }
    ctx.out().object(
        {{"topic", options.topic},
         {"removed", !options.dry_run},
         {"messages", topic.messages},
         {"queues", topic.queues},
         {"scheduled", topic.scheduled}},
        fmt::format("{} topic {} with {}{} and {}\n", options.dry_run ? "would remove" : "removed",
                    options.topic, plural(topic.messages, "message"), scheduled,
                    plural(topic.queues, "queue")));
    return exit_code::done;
}

}  // namespace

void add_topic_verbs(command_line& line) {
    auto& noun = line.add_noun("topic", "Topics: ls, create, info, set, rm");

    line.add_verb(noun,
                  {"ls", "List the topics.",
                   "  brokerctl topic ls\n"
                   "  brokerctl topic ls -o json\n"},
                  list_topics);

    auto create_verb = line.add_verb(
        noun,
        {"create", "Create a topic. One that exists with the same settings is fine.",
         "  brokerctl topic create orders.eu\n"
         "  brokerctl topic create orders.eu --keep-done 7d\n"
         "  brokerctl topic create orders.us --max-messages 1000000 --max-bytes 10GiB\n"
         "  brokerctl topic create positions --max-messages 1000 --when-full "
         "drop-oldest\n"
         "  brokerctl topic create prices --ttl 10s\n"
         "  brokerctl topic create mails --priorities 3\n"
         "  brokerctl topic create clicks --durability os\n"},
        create_topic);
    add_name(create_verb.app, "TOPIC", create_verb.options.topic, "Its name");
    create_verb.options.settings.add_to(create_verb.app);

    auto info_verb = line.add_verb(
        noun, {"info", "Show a topic with its settings.", "  brokerctl topic info orders.eu\n"},
        show_topic);
    add_name(info_verb.app, "TOPIC", info_verb.options.topic, "Its name");

    auto set_verb =
        line.add_verb(noun,
                      {"set", "Change settings of a topic; the others stay.",
                       "  brokerctl topic set orders.eu --keep-done 1h\n"
                       "  brokerctl topic set orders.eu --max-bytes 20GiB --max-age 7d\n"
                       "  brokerctl topic set orders.eu --ttl 0\n"
                       "  brokerctl topic set orders.eu --message-id-window 7d\n"},
                      set_topic);
    add_name(set_verb.app, "TOPIC", set_verb.options.topic, "Its name");
    set_verb.options.settings.add_to(set_verb.app);

    auto rm_verb = line.add_verb(noun,
                                 {"rm", "Remove a topic with its queues and all its messages.",
                                  "  brokerctl topic rm orders.eu --dry-run\n"
                                  "  brokerctl topic rm orders.eu\n"},
                                 remove_topic);
    add_name(rm_verb.app, "TOPIC", rm_verb.options.topic, "Its name");
    rm_verb.app.add_flag("--dry-run", rm_verb.options.dry_run, "Only say what would be removed");
}

}  // namespace brokerd::ctl
