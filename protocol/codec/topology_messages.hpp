// The protocol's messages about topics and queues: create, list, change, remove, seek, explain.
// Same rules as messages.hpp. Pure; no thread affinity.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

// ---------------------------------------------------------------------------------------------
// Topics

struct topic_create {
    static constexpr frame_type type = frame_type::topic_create;
    static constexpr const char* doc =
        "Creates a topic, or leaves an existing one unchanged. Answered by topic_created.";
    std::string topic{};
    topic_settings settings{};
    bool operator==(const topic_create&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_create::topic, "its name"},
                          field{"settings", &topic_create::settings, "for a new topic"}};
    }
};

struct topic_created {
    static constexpr frame_type type = frame_type::topic_created;
    static constexpr const char* doc = "The topic exists.";
    bool created = false;
    topic_id topic{};
    topic_settings settings{};
    std::vector<std::string> differing{};
    bool operator==(const topic_created&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"created", &topic_created::created, "it is new"},
            field{"topic", &topic_created::topic, "its incarnation: never reused"},
            field{"settings", &topic_created::settings, "in force"},
            field{"differing", &topic_created::differing, "settings that are not as asked for"}};
    }
};

struct topic_list {
    static constexpr frame_type type = frame_type::topic_list;
    static constexpr const char* doc = "Lists topics by name. Answered by topics.";
    std::string topic{};
    std::string after{};
    std::uint32_t limit = limits::list_items_max;
    bool operator==(const topic_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_list::topic, "only this one; empty = all"},
                          field{"after", &topic_list::after, "start behind this name"},
                          field{"limit", &topic_list::limit, "most items wanted"}};
    }
};

struct topic_item {
    std::string name{};
    topic_id topic{};
    topic_settings settings{};
    wall_time created{};
    offset_t first_offset = 0;
    offset_t next_offset = 0;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint32_t queues = 0;
    double in_per_second = 0;
    std::uint64_t scheduled = 0;
    std::uint64_t scheduled_bytes = 0;
    std::uint64_t pending = 0;
    std::uint64_t pending_bytes = 0;
    std::uint64_t dropped = 0;
    std::uint64_t dropped_bytes = 0;
    wall_time last_dropped = wall_never;
    bool operator==(const topic_item&) const = default;
    static constexpr std::size_t fields_min = 10;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"name", &topic_item::name, ""},
            field{"topic", &topic_item::topic, "incarnation"},
            field{"settings", &topic_item::settings, ""},
            field{"created", &topic_item::created, ""},
            field{"first_offset", &topic_item::first_offset, "trim point: oldest readable offset"},
            field{"next_offset", &topic_item::next_offset, "offset of the next message"},
            field{"messages", &topic_item::messages, "readable messages"},
            field{"bytes", &topic_item::bytes, "of the batches of readable messages"},
            field{"queues", &topic_item::queues, "number of queues"},
            field{"in_per_second", &topic_item::in_per_second, "publish rate, 10 s average"},
            field{"scheduled", &topic_item::scheduled,
                  "messages that are scheduled and not appended yet; may be missing: 0"},
            field{"scheduled_bytes", &topic_item::scheduled_bytes,
                  "of their batches; may be missing: 0"},
            field{"pending", &topic_item::pending,
                  "messages from the first one on that some queue has ready or leased, without "
                  "queues all: what max_messages bounds; may be missing: 0"},
            field{"pending_bytes", &topic_item::pending_bytes,
                  "of their batches: what max_bytes bounds; may be missing: 0"},
            field{"dropped", &topic_item::dropped,
                  "messages dropped to keep the topic's bounds that some queue was not done with, "
                  "since it was created; may be missing: 0"},
            field{"dropped_bytes", &topic_item::dropped_bytes, "of these; may be missing: 0"},
            field{"last_dropped", &topic_item::last_dropped,
                  "when; the largest value or missing: never"}};
    }
};

struct topics {
    static constexpr frame_type type = frame_type::topics;
    static constexpr const char* doc = "A page of topics.";
    bool more = false;
    std::vector<topic_item> items{};
    bool operator==(const topics&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"more", &topics::more, "there are further ones"},
                          field{"items", &topics::items, ""}};
    }
};

struct topic_set {
    static constexpr frame_type type = frame_type::topic_set;
    static constexpr const char* doc = "Replaces the settings of a topic. Answered by ok.";
    std::string topic{};
    topic_settings settings{};
    bool operator==(const topic_set&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_set::topic, ""},
                          field{"settings", &topic_set::settings, "all of them"}};
    }
};

struct topic_remove {
    static constexpr frame_type type = frame_type::topic_remove;
    static constexpr const char* doc =
        "Removes a topic, its queues and all its messages. Answered by ok.";
    std::string topic{};
    bool operator==(const topic_remove&) const = default;
    static constexpr auto fields() { return std::tuple{field{"topic", &topic_remove::topic, ""}}; }
};

// ---------------------------------------------------------------------------------------------
// Queues

struct queue_create {
    static constexpr frame_type type = frame_type::queue_create;
    static constexpr const char* doc =
        "Creates a queue, or leaves an existing one of the same mode unchanged. Answered by "
        "queue_created.";
    std::string queue{};
    queue_mode mode = queue_mode::shared;
    queue_settings settings{};
    brokerd::position start{};
    bool create_topic = false;
    bool operator==(const queue_create&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_create::queue, "TOPIC/QUEUE"},
                          field{"mode", &queue_create::mode, "1 shared, 2 keyed, 3 single"},
                          field{"settings", &queue_create::settings, "for a new queue"},
                          field{"start", &queue_create::start, "first message of a new queue"},
                          field{"create_topic", &queue_create::create_topic,
                                "create a missing topic with default settings"}};
    }
};

struct queue_created {
    static constexpr frame_type type = frame_type::queue_created;
    static constexpr const char* doc = "The queue exists.";
    bool created = false;
    bool topic_created = false;
    queue_id queue{};
    queue_settings settings{};
    std::vector<std::string> differing{};
    bool operator==(const queue_created&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"created", &queue_created::created, "it is new"},
            field{"topic_created", &queue_created::topic_created, "its topic is new"},
            field{"queue", &queue_created::queue, "its incarnation: never reused"},
            field{"settings", &queue_created::settings, "in force"},
            field{"differing", &queue_created::differing, "settings that are not as asked for"}};
    }
};

struct queue_clone {
    static constexpr frame_type type = frame_type::queue_clone;
    static constexpr const char* doc =
        "Creates a queue of the same topic with the settings and the whole state of another: what "
        "is done, retrying and dead there, with the attempts; what is leased there is ready or "
        "retrying here. All of it or nothing. Answered by queue_created.";
    std::string queue{};
    std::string name{};
    bool operator==(const queue_clone&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_clone::queue, "TOPIC/QUEUE that is copied"},
                          field{"name", &queue_clone::name,
                                "of the new queue, without its topic; must not exist"}};
    }
};

struct queue_levels {
    static constexpr frame_type type = frame_type::queue_levels;
    static constexpr const char* doc =
        "Counts the ready messages of a queue by their level of priority, one slice of the topic "
        "per request. Answered by queue_levels_counted.";
    std::string queue{};
    offset_t from = 0;
    bool operator==(const queue_levels&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_levels::queue, "TOPIC/QUEUE"},
                          field{"from", &queue_levels::from,
                                "first offset that is looked at: 0, then what the answer says"}};
    }
};

struct level_count {
    std::uint8_t level = 0;
    std::uint64_t ready = 0;
    bool operator==(const level_count&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"level", &level_count::level, "0 is the lowest"},
                          field{"ready", &level_count::ready,
                                "messages of this level in the slice that are ready and have never "
                                "failed"}};
    }
};

struct queue_levels_counted {
    static constexpr frame_type type = frame_type::queue_levels_counted;
    static constexpr const char* doc = "What is ready in one slice, as it was in one moment.";
    std::vector<level_count> levels{};
    std::uint64_t due = 0;
    offset_t next = 0;
    bool more = false;
    bool operator==(const queue_levels_counted&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"levels", &queue_levels_counted::levels,
                  "each level of the topic, the lowest first"},
            field{
                "due", &queue_levels_counted::due,
                "messages of the whole queue, of any level, that are ready and have failed before "
                "(their retry is due, or they were redriven)"},
            field{"next", &queue_levels_counted::next, "ask for the next slice from here"},
            field{"more", &queue_levels_counted::more, "there may be something to count there"}};
    }
};

struct queue_list {
    static constexpr frame_type type = frame_type::queue_list;
    static constexpr const char* doc = "Lists queues by name. Answered by queues.";
    std::string topic{};
    std::string queue{};
    std::string after{};
    std::uint32_t limit = limits::list_items_max;
    bool operator==(const queue_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &queue_list::topic, "only of this topic; empty = all"},
                          field{"queue", &queue_list::queue, "only this TOPIC/QUEUE; empty = all"},
                          field{"after", &queue_list::after, "start behind this TOPIC/QUEUE"},
                          field{"limit", &queue_list::limit, "most items wanted"}};
    }
};

struct queue_item {
    std::string topic{};
    std::string queue{};
    queue_id id{};
    queue_mode mode = queue_mode::shared;
    queue_settings settings{};
    wall_time created{};
    std::uint64_t ready = 0;
    std::uint64_t leased = 0;
    std::uint64_t retrying = 0;
    std::uint64_t dead = 0;
    std::uint64_t done = 0;
    wall_time oldest = wall_never;
    double in_per_second = 0;
    double out_per_second = 0;
    std::uint32_t consumers = 0;
    bool paused = false;
    offset_t floor = 0;
    std::string state{};
    std::uint64_t dropped = 0;
    bool operator==(const queue_item&) const = default;
    static constexpr std::size_t fields_min = 18;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &queue_item::topic, ""},
            field{"queue", &queue_item::queue, "name without the topic"},
            field{"id", &queue_item::id, "incarnation"},
            field{"mode", &queue_item::mode, ""},
            field{"settings", &queue_item::settings, ""},
            field{"created", &queue_item::created, ""},
            field{"ready", &queue_item::ready, ""},
            field{"leased", &queue_item::leased, ""},
            field{"retrying", &queue_item::retrying, ""},
            field{"dead", &queue_item::dead, ""},
            field{"done", &queue_item::done, "since the queue was created"},
            field{"oldest", &queue_item::oldest,
                  "append time of the oldest ready, leased or retrying message; the largest value "
                  "= none"},
            field{"in_per_second", &queue_item::in_per_second, "10 s average"},
            field{"out_per_second", &queue_item::out_per_second, "done per second, 10 s average"},
            field{"consumers", &queue_item::consumers, "attached"},
            field{"paused", &queue_item::paused, ""},
            field{"floor", &queue_item::floor, "all messages below are done, retrying or dead"},
            field{"state", &queue_item::state, "one word: why it moves or not"},
            field{
                "dropped", &queue_item::dropped,
                "messages it was not done with when its topic dropped them, since it was created; "
                "may be missing: 0"}};
    }
};

struct queues {
    static constexpr frame_type type = frame_type::queues;
    static constexpr const char* doc = "A page of queues.";
    bool more = false;
    std::vector<queue_item> items{};
    bool operator==(const queues&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"more", &queues::more, "there are further ones"},
                          field{"items", &queues::items, ""}};
    }
};

struct queue_set {
    static constexpr frame_type type = frame_type::queue_set;
    static constexpr const char* doc = "Replaces the settings of a queue. Answered by ok.";
    std::string queue{};
    queue_settings settings{};
    bool operator==(const queue_set&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_set::queue, "TOPIC/QUEUE"},
                          field{"settings", &queue_set::settings, "all of them"}};
    }
};

struct queue_remove {
    static constexpr frame_type type = frame_type::queue_remove;
    static constexpr const char* doc = "Removes a queue with its state. Answered by ok.";
    std::string queue{};
    bool operator==(const queue_remove&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_remove::queue, "TOPIC/QUEUE"}};
    }
};

struct queue_pause {
    static constexpr frame_type type = frame_type::queue_pause;
    static constexpr const char* doc = "Stops or restarts dispatch. Answered by ok.";
    std::string queue{};
    bool paused = false;
    bool operator==(const queue_pause&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_pause::queue, "TOPIC/QUEUE"},
                          field{"paused", &queue_pause::paused, "true = stop dispatch"}};
    }
};

struct queue_seek {
    static constexpr frame_type type = frame_type::queue_seek;
    static constexpr const char* doc =
        "Moves a queue: messages below become done, from there on ready; dead ones stay; all "
        "leases end. Answered by counted: how many are ready afterwards.";
    std::string queue{};
    brokerd::position to{};
    bool dry_run = false;
    bool operator==(const queue_seek&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_seek::queue, "TOPIC/QUEUE"},
                          field{"to", &queue_seek::to, "clamped to the readable range"},
                          field{"dry_run", &queue_seek::dry_run, "change nothing, only count"}};
    }
};

struct queue_purge {
    static constexpr frame_type type = frame_type::queue_purge;
    static constexpr const char* doc =
        "Makes ready and retrying messages done; leased and dead ones stay. With a filter, a limit "
        "or a range in slices as of dead_redrive; otherwise all at once. Answered by counted.";
    std::string queue{};
    bool dry_run = false;
    offset_t from = 0;
    offset_t until = offset_end;
    std::string filter{};
    std::uint32_t limit = 0;
    bool operator==(const queue_purge&) const = default;
    static constexpr std::size_t fields_min = 2;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &queue_purge::queue, "TOPIC/QUEUE"},
            field{"dry_run", &queue_purge::dry_run, "change nothing, only count"},
            field{"from", &queue_purge::from, "first offset; may be missing: 0"},
            field{"until", &queue_purge::until,
                  "end of the range, exclusive; may be missing: everything"},
            field{"filter", &queue_purge::filter, "only those it matches; empty or missing: all"},
            field{"limit", &queue_purge::limit,
                  "most messages in this slice; 0 or missing: no limit"}};
    }
};

struct counted {
    static constexpr frame_type type = frame_type::counted;
    static constexpr const char* doc = "How many messages an operation concerned.";
    std::uint64_t messages = 0;
    offset_t position = 0;
    bool more = false;
    bool operator==(const counted&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"messages", &counted::messages, "in this slice"},
            field{"position", &counted::position, "seek: where it led; slices: continue from here"},
            field{"more", &counted::more, "slices: there is more to do from position on"}};
    }
};

struct queue_explain {
    static constexpr frame_type type = frame_type::queue_explain;
    static constexpr const char* doc =
        "Why a queue or one of its messages does not move. Answered by explained.";
    std::string queue{};
    bool has_offset = false;
    offset_t offset = 0;
    bool operator==(const queue_explain&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_explain::queue, "TOPIC/QUEUE"},
                          field{"has_offset", &queue_explain::has_offset, "about one message"},
                          field{"offset", &queue_explain::offset, "its offset"}};
    }
};

struct explained {
    static constexpr frame_type type = frame_type::explained;
    static constexpr const char* doc = "One true sentence.";
    std::string sentence{};
    bool operator==(const explained&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"sentence", &explained::sentence, ""}};
    }
};

}  // namespace brokerd::codec
