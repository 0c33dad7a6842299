// The protocol's messages for administration and inspection: topics, queues, reading, dead
// messages, connections, health. Same rules as messages.hpp. Pure; no thread affinity.
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
    bool operator==(const topic_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"name", &topic_item::name, ""},
            field{"topic", &topic_item::topic, "incarnation"},
            field{"settings", &topic_item::settings, ""},
            field{"created", &topic_item::created, ""},
            field{"first_offset", &topic_item::first_offset, "trim point: oldest readable offset"},
            field{"next_offset", &topic_item::next_offset, "offset of the next message"},
            field{"messages", &topic_item::messages, "readable messages"},
            field{"bytes", &topic_item::bytes, "record bytes of readable messages"},
            field{"queues", &topic_item::queues, "number of queues"},
            field{"in_per_second", &topic_item::in_per_second, "publish rate, 10 s average"}};
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
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_remove::topic, ""}};
    }
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
        return std::tuple{
            field{"queue", &queue_create::queue, "TOPIC/QUEUE"},
            field{"mode", &queue_create::mode, "1 shared"},
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
    bool operator==(const queue_item&) const = default;
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
            field{"state", &queue_item::state, "one word: why it moves or not"}};
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
        "Makes every ready and retrying message done; leased and dead ones stay. Answered by "
        "counted.";
    std::string queue{};
    bool dry_run = false;
    bool operator==(const queue_purge&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_purge::queue, "TOPIC/QUEUE"},
                          field{"dry_run", &queue_purge::dry_run, "change nothing, only count"}};
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

// ---------------------------------------------------------------------------------------------
// Reading without state

struct read {
    static constexpr frame_type type = frame_type::read;
    static constexpr const char* doc =
        "Reads messages from a position on without leasing them. Answered by messages.";
    std::string topic{};
    brokerd::position from{};
    std::uint32_t messages_max = limits::batch_records_default;
    std::uint32_t bytes_max = 1024 * 1024;
    duration_us wait{0};
    bool operator==(const read&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &read::topic, ""},
            field{"from", &read::from, "an offset below the trim point is refused with gone"},
            field{"messages_max", &read::messages_max, "at most this many"},
            field{"bytes_max", &read::bytes_max, "at most this many bytes, but one message"},
            field{"wait", &read::wait,
                  "with nothing to read yet: answer when something comes, or empty after this "
                  "time (at most 30 s)"}};
    }
};

// Neighbours read together.
struct message_run {
    offset_t first_offset = 0;
    std::uint32_t count = 0;
    wall_time append_time{};
    bytes_field records{};
    bool operator==(const message_run&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"first_offset", &message_run::first_offset, ""},
                          field{"count", &message_run::count, ""},
                          field{"append_time", &message_run::append_time, ""},
                          field{"records", &message_run::records, "count records"}};
    }
};

struct messages {
    static constexpr frame_type type = frame_type::messages;
    static constexpr const char* doc =
        "What was read. Body: first_offset u64, next_offset u64, position u64, then runs up to the "
        "end of the body, each: first_offset u64, count u32, append_time i64, records_bytes u32, "
        "records.";
    offset_t first_offset = 0;
    offset_t next_offset = 0;
    offset_t position = 0;  // where to continue
    std::vector<message_run> runs{};
    bool operator==(const messages&) const = default;
};

struct message_show {
    static constexpr frame_type type = frame_type::message_show;
    static constexpr const char* doc =
        "The state of a message in every queue of its topic. Answered by shown.";
    std::string topic{};
    offset_t offset = 0;
    bool operator==(const message_show&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &message_show::topic, ""},
                          field{"offset", &message_show::offset, ""}};
    }
};

struct queue_state_item {
    std::string queue{};
    message_state state = message_state::ready;
    std::uint32_t attempts = 0;
    std::uint32_t attempts_max = 0;
    wall_time due = wall_never;
    wall_time lease_until = wall_never;
    std::string consumer{};
    lease_id lease{};
    std::vector<attempt> history{};
    std::string next{};
    bool operator==(const queue_state_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &queue_state_item::queue, "name without the topic"},
            field{"state", &queue_state_item::state,
                  "1 ready, 2 leased, 3 retrying, 4 dead, 5 done"},
            field{"attempts", &queue_state_item::attempts, "failed so far"},
            field{"attempts_max", &queue_state_item::attempts_max, "dead after this many"},
            field{"due", &queue_state_item::due, "retrying: when it is ready again"},
            field{"lease_until", &queue_state_item::lease_until, "leased: until when"},
            field{"consumer", &queue_state_item::consumer, "leased: to whom"},
            field{"lease", &queue_state_item::lease, "leased: epoch u32 and counter u64"},
            field{"history", &queue_state_item::history, "failed attempts, oldest first"},
            field{"next", &queue_state_item::next, "what happens next, one sentence"}};
    }
};

struct shown {
    static constexpr frame_type type = frame_type::shown;
    static constexpr const char* doc = "A message and its state in every queue.";
    bool readable = false;
    wall_time append_time{};
    bytes_field record{};
    std::vector<queue_state_item> queues{};
    bool operator==(const shown&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"readable", &shown::readable, "false: removed from the log"},
            field{"append_time", &shown::append_time, ""},
            field{"record", &shown::record, "the record; empty if it was removed everywhere"},
            field{"queues", &shown::queues, ""}};
    }
};

// ---------------------------------------------------------------------------------------------
// Dead messages

struct dead_list {
    static constexpr frame_type type = frame_type::dead_list;
    static constexpr const char* doc = "Lists dead messages of one queue. Answered by dead.";
    std::string queue{};
    offset_t from = 0;
    std::uint32_t limit = 1000;
    bool operator==(const dead_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &dead_list::queue, "TOPIC/QUEUE"},
                          field{"from", &dead_list::from, "from this offset on"},
                          field{"limit", &dead_list::limit, "most items wanted"}};
    }
};

struct dead_item {
    offset_t offset = 0;
    wall_time since{};
    std::uint32_t attempts = 0;
    std::string reason{};
    std::string consumer{};
    bool operator==(const dead_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"offset", &dead_item::offset, ""},
                          field{"since", &dead_item::since, "when it died"},
                          field{"attempts", &dead_item::attempts, "failed leases"},
                          field{"reason", &dead_item::reason, "of the last attempt"},
                          field{"consumer", &dead_item::consumer, "of the last attempt"}};
    }
};

struct dead {
    static constexpr frame_type type = frame_type::dead;
    static constexpr const char* doc = "A page of dead messages.";
    offset_t next = 0;
    bool more = false;
    std::vector<dead_item> items{};
    bool operator==(const dead&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"next", &dead::next, "continue from here"},
                          field{"more", &dead::more, "there are further ones"},
                          field{"items", &dead::items, ""}};
    }
};

struct dead_redrive {
    static constexpr frame_type type = frame_type::dead_redrive;
    static constexpr const char* doc =
        "Makes dead messages of a range ready again with all attempts, one slice per request. "
        "Answered by counted.";
    std::string queue{};
    offset_t from = 0;
    offset_t until = offset_end;
    bool dry_run = false;
    bool operator==(const dead_redrive&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &dead_redrive::queue, "TOPIC/QUEUE"},
                          field{"from", &dead_redrive::from, "first offset"},
                          field{"until", &dead_redrive::until, "end of the range, exclusive"},
                          field{"dry_run", &dead_redrive::dry_run, "change nothing, only count"}};
    }
};

struct dead_purge {
    static constexpr frame_type type = frame_type::dead_purge;
    static constexpr const char* doc =
        "Makes dead messages of a range done, one slice per request. Answered by counted.";
    std::string queue{};
    offset_t from = 0;
    offset_t until = offset_end;
    bool dry_run = false;
    bool operator==(const dead_purge&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &dead_purge::queue, "TOPIC/QUEUE"},
                          field{"from", &dead_purge::from, "first offset"},
                          field{"until", &dead_purge::until, "end of the range, exclusive"},
                          field{"dry_run", &dead_purge::dry_run, "change nothing, only count"}};
    }
};

// ---------------------------------------------------------------------------------------------
// Consumers, connections, health

struct consumer_list {
    static constexpr frame_type type = frame_type::consumer_list;
    static constexpr const char* doc = "Lists consumers. Answered by consumers.";
    std::string queue{};
    bool operator==(const consumer_list&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &consumer_list::queue, "of this queue; empty = all"}};
    }
};

struct consumer_item {
    std::string topic{};
    std::string queue{};
    std::string name{};
    connection_id connection{};
    consumer_id consumer{};
    std::uint32_t prefetch_messages = 0;
    std::uint64_t prefetch_bytes = 0;
    std::uint64_t leased = 0;
    std::uint64_t leased_bytes = 0;
    std::uint64_t delivered = 0;
    wall_time attached{};
    bool operator==(const consumer_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &consumer_item::topic, ""},
            field{"queue", &consumer_item::queue, ""},
            field{"name", &consumer_item::name, "name@host:pid"},
            field{"connection", &consumer_item::connection, ""},
            field{"consumer", &consumer_item::consumer, ""},
            field{"prefetch_messages", &consumer_item::prefetch_messages, ""},
            field{"prefetch_bytes", &consumer_item::prefetch_bytes, ""},
            field{"leased", &consumer_item::leased, "messages it holds"},
            field{"leased_bytes", &consumer_item::leased_bytes, "their bytes"},
            field{"delivered", &consumer_item::delivered, "since it attached"},
            field{"attached", &consumer_item::attached, "since when"}};
    }
};

struct consumers {
    static constexpr frame_type type = frame_type::consumers;
    static constexpr const char* doc = "The consumers.";
    std::vector<consumer_item> items{};
    bool operator==(const consumers&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"items", &consumers::items, ""}};
    }
};

struct connection_list {
    static constexpr frame_type type = frame_type::connection_list;
    static constexpr const char* doc = "Lists connections. Answered by connections.";
    bool operator==(const connection_list&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct connection_item {
    connection_id connection{};
    std::string name{};
    std::string address{};
    wall_time connected{};
    std::uint32_t consumers = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t outbox_bytes = 0;
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;
    bool operator==(const connection_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"connection", &connection_item::connection, ""},
            field{"name", &connection_item::name, "client name from its hello"},
            field{"address", &connection_item::address, "peer address and port"},
            field{"connected", &connection_item::connected, "since when"},
            field{"consumers", &connection_item::consumers, "attached"},
            field{"bytes_in", &connection_item::bytes_in, ""},
            field{"bytes_out", &connection_item::bytes_out, ""},
            field{"outbox_bytes", &connection_item::outbox_bytes, "waiting to be sent"},
            field{"credit_messages", &connection_item::credit_messages, "publish credit left"},
            field{"credit_bytes", &connection_item::credit_bytes, "publish credit left"}};
    }
};

struct connections {
    static constexpr frame_type type = frame_type::connections;
    static constexpr const char* doc = "The connections.";
    std::vector<connection_item> items{};
    bool operator==(const connections&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"items", &connections::items, ""}};
    }
};

struct connection_close {
    static constexpr frame_type type = frame_type::connection_close;
    static constexpr const char* doc = "Closes a connection. Answered by ok.";
    connection_id connection{};
    bool operator==(const connection_close&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"connection", &connection_close::connection, ""}};
    }
};

struct health {
    static constexpr frame_type type = frame_type::health;
    static constexpr const char* doc =
        "Proves that the broker can write: answered by health_report after a synced commit.";
    bool operator==(const health&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct health_report {
    static constexpr frame_type type = frame_type::health_report;
    static constexpr const char* doc = "State of the broker.";
    bool writable = false;
    std::vector<std::string> warnings{};
    bool operator==(const health_report&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"writable", &health_report::writable, "a synced commit succeeded, and publishes "
                                                        "are accepted"},
            field{"warnings", &health_report::warnings, "what a person should look at"}};
    }
};

struct stats {
    static constexpr frame_type type = frame_type::stats;
    static constexpr const char* doc = "Counters of the broker. Answered by stats_report.";
    bool operator==(const stats&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct stat_item {
    std::string name{};
    double value = 0;
    std::string help{};
    bool operator==(const stat_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"name", &stat_item::name, ""},
                          field{"value", &stat_item::value, "f64"},
                          field{"help", &stat_item::help, "what is counted, unit"}};
    }
};

struct stats_report {
    static constexpr frame_type type = frame_type::stats_report;
    static constexpr const char* doc = "The counters.";
    std::vector<stat_item> items{};
    bool operator==(const stats_report&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"items", &stats_report::items, ""}};
    }
};

}  // namespace brokerd::codec
