// The protocol's messages about pattern queues: rules that make a queue in every topic they match,
// and consumers that are attached to all queues of a rule. Same rules as messages.hpp. Pure; no
// thread affinity.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

struct pattern_create {
    static constexpr frame_type type = frame_type::pattern_create;
    static constexpr const char* doc =
        "Creates a pattern queue: a rule that makes a queue in every topic it matches, those there "
        "are at once and others when they are created; or leaves an existing one of the same mode "
        "unchanged, or replaces its settings. Answered by pattern_created.";
    std::string pattern{};
    queue_mode mode = queue_mode::shared;
    queue_settings settings{};
    brokerd::position start{};
    bool replace = false;
    bool operator==(const pattern_create&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"pattern", &pattern_create::pattern,
                  "PATTERN/QUEUE; in PATTERN * is one word, > at the end one or more"},
            field{"mode", &pattern_create::mode, "1 shared, 2 keyed, 3 single; of all its queues"},
            field{"settings", &pattern_create::settings, "of the queues it makes; without until"},
            field{"start", &pattern_create::start,
                  "1 earliest or 2 latest: first message of the queues made in topics that exist; "
                  "those of later topics begin with the first message"},
            field{"replace", &pattern_create::replace,
                  "of an existing rule: these are its settings from now on, and those of all its "
                  "queues"}};
    }
};

struct pattern_created {
    static constexpr frame_type type = frame_type::pattern_created;
    static constexpr const char* doc = "The pattern queue exists.";
    bool created = false;
    queue_settings settings{};
    std::vector<std::string> differing{};
    std::uint32_t queues = 0;
    std::uint32_t changed = 0;
    bool operator==(const pattern_created&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"created", &pattern_created::created, "the rule is new"},
            field{"settings", &pattern_created::settings, "of the rule, in force"},
            field{"differing", &pattern_created::differing, "settings that are not as asked for"},
            field{"queues", &pattern_created::queues, "that it has now"},
            field{"changed", &pattern_created::changed,
                  "of these: made by this request, or with replace changed by it"}};
    }
};

struct pattern_list {
    static constexpr frame_type type = frame_type::pattern_list;
    static constexpr const char* doc = "Lists pattern queues by name. Answered by patterns.";
    std::string pattern{};
    std::string after{};
    std::uint32_t limit = limits::patterns_page_max;
    bool operator==(const pattern_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"pattern", &pattern_list::pattern, "only this PATTERN/QUEUE; empty = all"},
            field{"after", &pattern_list::after, "start behind this PATTERN/QUEUE"},
            field{"limit", &pattern_list::limit, "most items wanted"}};
    }
};

struct pattern_item {
    std::string pattern{};
    queue_mode mode = queue_mode::shared;
    queue_settings settings{};
    wall_time created{};
    std::uint32_t queues = 0;
    std::uint32_t consumers = 0;
    bool operator==(const pattern_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"pattern", &pattern_item::pattern, "PATTERN/QUEUE"},
            field{"mode", &pattern_item::mode, ""},
            field{"settings", &pattern_item::settings, "of the queues it makes"},
            field{"created", &pattern_item::created, ""},
            field{"queues", &pattern_item::queues,
                  "queues of its name and mode in topics it matches, whoever made them"},
            field{"consumers", &pattern_item::consumers, "attached to the pattern queue itself"}};
    }
};

struct patterns {
    static constexpr frame_type type = frame_type::patterns;
    static constexpr const char* doc = "A page of pattern queues.";
    bool more = false;
    std::vector<pattern_item> items{};
    bool operator==(const patterns&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"more", &patterns::more, "there are further ones"},
                          field{"items", &patterns::items, ""}};
    }
};

struct pattern_remove {
    static constexpr frame_type type = frame_type::pattern_remove;
    static constexpr const char* doc =
        "Removes a pattern queue and ends the consumers that are attached to it. Its queues stay, "
        "or go too. Answered by counted: how many queues are removed, or would be.";
    std::string pattern{};
    bool queues = false;
    bool dry_run = false;
    bool operator==(const pattern_remove&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"pattern", &pattern_remove::pattern, "PATTERN/QUEUE"},
            field{"queues", &pattern_remove::queues,
                  "remove its queues with their state, but for those of another rule, too"},
            field{"dry_run", &pattern_remove::dry_run, "change nothing, only count"}};
    }
};

struct pattern_held {
    queue_id queue{};
    std::vector<lease_run> runs{};
    bool operator==(const pattern_held&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &pattern_held::queue, "identity of the queue"},
                          field{"runs", &pattern_held::runs, "leases of it"}};
    }
};

struct pattern_attach {
    static constexpr frame_type type = frame_type::pattern_attach;
    static constexpr const char* doc =
        "Attaches one consumer to all queues of a pattern queue, those that come later too. "
        "Answered by pattern_queues.";
    std::string pattern{};
    consumer_id consumer{};
    std::uint32_t prefetch_messages = limits::prefetch_messages_default;
    std::uint64_t prefetch_bytes = limits::prefetch_bytes_default;
    std::uint64_t limit = 0;
    std::vector<pattern_held> held{};
    bool operator==(const pattern_attach&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"pattern", &pattern_attach::pattern, "PATTERN/QUEUE"},
            field{"consumer", &pattern_attach::consumer,
                  "chosen by the client, unique on its connection, as in attach"},
            field{"prefetch_messages", &pattern_attach::prefetch_messages,
                  "most messages leased at once, of all queues together; 0 = none until "
                  "set_prefetch"},
            field{"prefetch_bytes", &pattern_attach::prefetch_bytes,
                  "most bytes likewise; one message is always allowed"},
            field{"limit", &pattern_attach::limit,
                  "deliveries after which the consumer gets no more; 0 = unlimited"},
            field{"held", &pattern_attach::held,
                  "leases from a lost connection or an earlier epoch, as in attach, by queue"}};
    }
};

struct pattern_member {
    queue_id queue{};
    std::string topic{};
    duration_us lease{0};
    std::uint32_t attempts = 0;
    bool operator==(const pattern_member&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &pattern_member::queue, "identity of the queue, for settle"},
            field{"topic", &pattern_member::topic, "name of its topic"},
            field{"lease", &pattern_member::lease, "how long a lease lasts unless extended"},
            field{"attempts", &pattern_member::attempts, "attempts before a message is dead"}};
    }
};

struct pattern_left {
    queue_id queue{};
    error_code code = error_code::queue_removed;
    std::string text{};
    bool operator==(const pattern_left&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &pattern_left::queue, "identity of the queue"},
                          field{"code", &pattern_left::code, "why, from the error table"},
                          field{"text", &pattern_left::text, "why, for people"}};
    }
};

struct pattern_queues {
    static constexpr frame_type type = frame_type::pattern_queues;
    static constexpr const char* doc =
        "The consumer is attached to these queues. Pushed with request id 0 when there are more "
        "than 1,000, and when queues come or go.";
    consumer_id consumer{};
    std::vector<pattern_member> joined{};
    std::vector<pattern_left> left{};
    std::vector<pattern_held> gone{};
    bool operator==(const pattern_queues&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"consumer", &pattern_queues::consumer, "the consumer"},
            field{"joined", &pattern_queues::joined,
                  "queues that it gets messages of from now on; at most 1,000"},
            field{"left", &pattern_queues::left, "queues that are no more; at most 1,000"},
            field{"gone", &pattern_queues::gone,
                  "in the answer: those of held that could not be taken up again"}};
    }
};

}  // namespace brokerd::codec
