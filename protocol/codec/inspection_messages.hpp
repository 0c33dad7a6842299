// The protocol's messages for inspection: reading without state, one message in all its queues,
// dead messages, consumers, connections, health. Same rules as messages.hpp. Pure; no thread
// affinity.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "protocol/codec/messages.hpp"

namespace brokerd::codec {

// ---------------------------------------------------------------------------------------------
// Reading without state

struct read {
    static constexpr frame_type type = frame_type::read;
    static constexpr const char* doc =
        "Reads messages from a position on without leasing them. Answered by messages.";
    std::string topic{};
    topic_id incarnation{};
    brokerd::position from{};
    std::uint32_t messages_max = limits::batch_records_default;
    std::uint32_t bytes_max = 1024 * 1024;
    duration_us wait{0};
    bool operator==(const read&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &read::topic, ""},
            field{"incarnation", &read::incarnation,
                  "of the messages read before; if the topic has another one by now it is "
                  "topic_removed. 0 = whichever it has"},
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
        "What was read. Body: incarnation u64 (of the topic), first_offset u64, next_offset u64, "
        "position u64, then runs up to the end of the body, each: first_offset u64, count u32, "
        "append_time i64, records_bytes u32, records.";
    topic_id incarnation{};
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
    std::string filter{};
    bool operator==(const dead_list&) const = default;
    static constexpr std::size_t fields_min = 3;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &dead_list::queue, "TOPIC/QUEUE"},
            field{"from", &dead_list::from, "from this offset on"},
            field{"limit", &dead_list::limit, "most items wanted"},
            field{"filter", &dead_list::filter, "only those it matches; empty or missing: all"}};
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
        "Makes dead messages of a range ready again with all attempts, one slice per request. A "
        "slice ends at limit, or when the broker has looked at as many as it does at once, so that "
        "it may concern none and yet not be the last. Answered by counted.";
    std::string queue{};
    offset_t from = 0;
    offset_t until = offset_end;
    bool dry_run = false;
    std::string filter{};
    std::uint32_t limit = 0;
    bool operator==(const dead_redrive&) const = default;
    static constexpr std::size_t fields_min = 4;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &dead_redrive::queue, "TOPIC/QUEUE"},
            field{"from", &dead_redrive::from, "first offset"},
            field{"until", &dead_redrive::until, "end of the range, exclusive"},
            field{"dry_run", &dead_redrive::dry_run, "change nothing, only count"},
            field{"filter", &dead_redrive::filter, "only those it matches; empty or missing: all"},
            field{"limit", &dead_redrive::limit,
                  "most messages in this slice; 0 or missing: no limit"}};
    }
};

struct dead_purge {
    static constexpr frame_type type = frame_type::dead_purge;
    static constexpr const char* doc =
        "Makes dead messages of a range done, in slices as of dead_redrive. Answered by counted.";
    std::string queue{};
    offset_t from = 0;
    offset_t until = offset_end;
    bool dry_run = false;
    std::string filter{};
    std::uint32_t limit = 0;
    bool operator==(const dead_purge&) const = default;
    static constexpr std::size_t fields_min = 4;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &dead_purge::queue, "TOPIC/QUEUE"},
            field{"from", &dead_purge::from, "first offset"},
            field{"until", &dead_purge::until, "end of the range, exclusive"},
            field{"dry_run", &dead_purge::dry_run, "change nothing, only count"},
            field{"filter", &dead_purge::filter, "only those it matches; empty or missing: all"},
            field{"limit", &dead_purge::limit,
                  "most messages in this slice; 0 or missing: no limit"}};
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
    bool standby = false;
    bool operator==(const consumer_item&) const = default;
    static constexpr std::size_t fields_min = 11;  // of its first version
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
            field{"attached", &consumer_item::attached, "since when"},
            field{"standby", &consumer_item::standby,
                  "of a queue of mode single, and not the active one; may be missing: no"}};
    }
};

struct consumers {
    static constexpr frame_type type = frame_type::consumers;
    static constexpr const char* doc = "The consumers.";
    std::vector<consumer_item> items{};
    bool operator==(const consumers&) const = default;
    static constexpr auto fields() { return std::tuple{field{"items", &consumers::items, ""}}; }
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
    static constexpr auto fields() { return std::tuple{field{"items", &connections::items, ""}}; }
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
            field{"writable", &health_report::writable,
                  "a synced commit succeeded, and publishes "
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
    static constexpr auto fields() { return std::tuple{field{"items", &stats_report::items, ""}}; }
};

}  // namespace brokerd::codec
