// Every message of the protocol, described once: the struct, its frame type, its fields in wire
// order with their documentation. Encoder, decoder, printer, fuzz input and the tables of
// PROTOCOL.md are generated from these descriptions. Pure; no thread affinity.
//
// Wire types (see wire.hpp): integers little-endian; bool one byte, 0 or 1; enums their integer;
// times i64 microseconds since 1970 UTC; durations i64 microseconds; strings u16 length and bytes;
// byte strings u32 length and bytes; structs u16 length and their fields; lists u32 count and the
// items, where an item that is a struct has a u32 length (so that a reader skips fields of later
// versions) and strings and lease runs (24 bytes) lie as they are. `rest` = all bytes up to the end
// of the body. Nothing may follow the last field of a body.
//
// To change a message: a frame's fields are fixed for a protocol version. Add a field with a new
// version number or a feature bit, keep the old reader, add a golden file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/field.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::codec {

inline constexpr std::uint32_t hello_magic = 0x444B5242U;  // "BRKD" on the wire
inline constexpr std::uint16_t protocol_version_min = 1;
inline constexpr std::uint16_t protocol_version_max = 1;

enum class frame_type : std::uint8_t {
    hello = 1,
    hello_ok = 2,
    ping = 3,
    pong = 4,
    goodbye = 5,
    draining = 7,
    error = 8,
    ok = 9,

    publish = 16,
    published = 17,
    credit = 18,
    schedule = 19,

    attach = 24,
    attached = 25,
    detach = 26,
    detached = 27,
    set_prefetch = 28,
    deliver = 29,
    settle = 30,
    settled = 31,

    topic_create = 40,
    topic_created = 41,
    topic_list = 42,
    topics = 43,
    topic_set = 44,
    topic_remove = 45,

    queue_create = 48,
    queue_created = 49,
    queue_list = 50,
    queues = 51,
    queue_set = 52,
    queue_remove = 53,
    queue_pause = 54,
    queue_seek = 55,
    queue_purge = 56,
    counted = 57,
    queue_explain = 58,
    explained = 59,

    transact = 60,
    transacted = 61,

    read = 64,
    messages = 65,
    message_show = 66,
    shown = 67,

    dead_list = 72,
    dead = 73,
    dead_redrive = 74,
    dead_purge = 75,

    consumer_list = 80,
    consumers = 81,
    connection_list = 82,
    connections = 83,
    connection_close = 84,

    health = 88,
    health_report = 89,
    stats = 90,
    stats_report = 91,

    schedule_list = 96,
    schedules = 97,
    schedule_cancel = 98,

    serve = 99,
    unserve = 100,
    service_request = 101,
    requested = 102,
    reply = 103,
    replied = 104,
    service_list = 105,
    services = 106,

    queue_clone = 107,

    pattern_create = 108,
    pattern_created = 109,
    pattern_list = 110,
    patterns = 111,
    pattern_remove = 112,
    pattern_attach = 113,
    pattern_queues = 114,

    queue_levels = 115,
    queue_levels_counted = 116,
};

// All bytes up to the end of the body: a view into the frame it was decoded from.
struct rest_bytes {
    byte_view view{};
    bool operator==(const rest_bytes& other) const { return as_text(view) == as_text(other.view); }
};
// A length-prefixed byte string: a view into the frame it was decoded from.
struct bytes_field {
    byte_view view{};
    bool operator==(const bytes_field& other) const { return as_text(view) == as_text(other.view); }
};

// ---------------------------------------------------------------------------------------------
// Connection

// Feature bits: what goes beyond the protocol's version, and is in force if both sides know it.
namespace feature {
// Deliveries of messages that failed before say how (see deliver).
inline constexpr std::uint64_t attempt_history = 1;
// The broker takes schedule, schedule_list and schedule_cancel.
inline constexpr std::uint64_t schedules = 2;
// The broker takes transact.
inline constexpr std::uint64_t transactions = 4;
// The broker takes serve, unserve, service_request, reply and service_list.
inline constexpr std::uint64_t services = 8;
// The broker looks at the ids of messages: one that comes again is not stored again.
inline constexpr std::uint64_t message_ids = 16;
// The broker takes pattern_create, pattern_list, pattern_remove and pattern_attach.
inline constexpr std::uint64_t pattern_queues = 32;
// The broker takes queue_levels, and topics may have levels of priority.
inline constexpr std::uint64_t priorities = 64;
}  // namespace feature

struct hello {
    static constexpr frame_type type = frame_type::hello;
    static constexpr const char* doc = "First frame of a client.";
    std::uint32_t magic = hello_magic;
    std::uint16_t version_min = protocol_version_min;
    std::uint16_t version_max = protocol_version_max;
    std::uint64_t features_required = 0;
    std::uint64_t features_offered = 0;
    std::string client_name{};
    bool operator==(const hello&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"magic", &hello::magic, "0x444B5242: the bytes BRKD"},
            field{"version_min", &hello::version_min, "lowest version the client speaks"},
            field{"version_max", &hello::version_max, "highest version the client speaks"},
            field{"features_required", &hello::features_required,
                  "feature bits without which the client cannot work"},
            field{"features_offered", &hello::features_offered,
                  "feature bits the client understands: 1 attempt_history, 2 schedules, 4 "
                  "transactions, 8 services, 16 message_ids, 32 pattern_queues, 64 priorities"},
            field{"client_name", &hello::client_name,
                  "name@host:pid, shown by tools; at most 255 bytes"}};
    }
};

struct hello_ok {
    static constexpr frame_type type = frame_type::hello_ok;
    static constexpr const char* doc = "Accepts a hello and states the terms.";
    std::uint16_t version = 0;
    std::uint64_t features = 0;
    std::string broker_version{};
    std::string database_id{};
    broker_epoch epoch{};
    connection_id connection{};
    std::uint32_t heartbeat_ms = 0;
    std::uint32_t dead_after_ms = 0;
    std::uint32_t frame_bytes_max = 0;
    std::uint32_t batch_records_max = 0;
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;
    bool operator==(const hello_ok&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"version", &hello_ok::version, "the version both will speak"},
            field{"features", &hello_ok::features, "feature bits in force"},
            field{"broker_version", &hello_ok::broker_version, "for people"},
            field{"database_id", &hello_ok::database_id,
                  "identity of the data directory; another one means other data"},
            field{"epoch", &hello_ok::epoch, "incremented at each start of the broker"},
            field{"connection", &hello_ok::connection, "identity of this connection"},
            field{"heartbeat_ms", &hello_ok::heartbeat_ms,
                  "send something at least this often; ping when there is nothing else"},
            field{"dead_after_ms", &hello_ok::dead_after_ms,
                  "silence after which either side may close"},
            field{"frame_bytes_max", &hello_ok::frame_bytes_max, "largest body the broker accepts"},
            field{"batch_records_max", &hello_ok::batch_records_max,
                  "most messages in one publish"},
            field{"credit_messages", &hello_ok::credit_messages,
                  "messages that may be published before more credit arrives"},
            field{"credit_bytes", &hello_ok::credit_bytes,
                  "bytes of record batches likewise; one message may always exceed what is left "
                  "when no publish is in flight"}};
    }
};

struct ping {
    static constexpr frame_type type = frame_type::ping;
    static constexpr const char* doc = "Either side; answered by pong with the same request id.";
    bool operator==(const ping&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct pong {
    static constexpr frame_type type = frame_type::pong;
    static constexpr const char* doc = "Answers a ping.";
    bool operator==(const pong&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct goodbye {
    static constexpr frame_type type = frame_type::goodbye;
    static constexpr const char* doc =
        "The client leaves: its leases are released and count as no attempt. Answered by ok, "
        "then the broker closes.";
    bool operator==(const goodbye&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

struct draining {
    static constexpr frame_type type = frame_type::draining;
    static constexpr const char* doc =
        "Pushed when the broker shuts down: no more deliveries and publishes; settle what is held.";
    std::uint32_t grace_ms = 0;
    bool operator==(const draining&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"grace_ms", &draining::grace_ms, "the broker closes after this time"}};
    }
};

struct error {
    static constexpr frame_type type = frame_type::error;
    static constexpr const char* doc =
        "Refuses the request with the same request id; id 0: concerns the connection.";
    error_code code = error_code::internal;
    std::string text{};
    bool operator==(const error&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"code", &error::code, "number from the error table"},
                          field{"text", &error::text, "what happened, to what, what to do"}};
    }
};

struct ok {
    static constexpr frame_type type = frame_type::ok;
    static constexpr const char* doc = "The request is done and, if it changed anything, durable.";
    bool operator==(const ok&) const = default;
    static constexpr auto fields() { return std::tuple{}; }
};

// ---------------------------------------------------------------------------------------------
// Publish

struct publish {
    static constexpr frame_type type = frame_type::publish;
    static constexpr const char* doc =
        "Appends a record batch to a topic. Answered by published (perhaps together with others) "
        "or error.";
    std::string topic{};
    rest_bytes batch{};
    bool operator==(const publish&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &publish::topic, "name of the topic"},
                          field{"batch", &publish::batch, "one record batch"}};
    }
};

struct schedule {
    static constexpr frame_type type = frame_type::schedule;
    static constexpr const char* doc =
        "Stores a record batch that is appended to its topic later. Takes publish credit and, with "
        "a producer, sequences like a publish. Answered by published, whose base_offset is the id "
        "of the schedule, or error.";
    std::string topic{};
    wall_time due{};
    duration_us delay{0};
    rest_bytes batch{};
    bool operator==(const schedule&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &schedule::topic, "name of the topic"},
            field{"due", &schedule::due,
                  "when it is appended, by the broker's clock; 0: after delay"},
            field{"delay", &schedule::delay, "how long after its arrival; 0 with a due"},
            field{"batch", &schedule::batch, "one record batch"}};
    }
};

struct published_item {
    std::uint32_t request = 0;
    offset_t base_offset = 0;
    durability level = durability::disk;
    bool duplicate = false;
    bool operator==(const published_item&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"request", &published_item::request, "request id of the publish or schedule"},
            field{"base_offset", &published_item::base_offset,
                  "offset of the first message; the others follow. Of a schedule: its id"},
            field{"level", &published_item::level,
                  "1 disk: synced; 2 memory: ephemeral broker; 3 os: synced soon"},
            field{"duplicate", &published_item::duplicate,
                  "the batch was stored earlier; base_offset is that of the first time"}};
    }
};

struct published {
    static constexpr frame_type type = frame_type::published;
    static constexpr const char* doc = "Pushed with request id 0: answers one or more publishes.";
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;
    std::vector<published_item> items{};
    bool operator==(const published&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"credit_messages", &published::credit_messages, "credit given back, in messages"},
            field{"credit_bytes", &published::credit_bytes, "credit given back, in bytes"},
            field{"items", &published::items, "one for each publish answered"}};
    }
};

struct credit {
    static constexpr frame_type type = frame_type::credit;
    static constexpr const char* doc = "Pushed: gives publish credit (after refused publishes).";
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
    bool operator==(const credit&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"messages", &credit::messages, "messages"},
                          field{"bytes", &credit::bytes, "bytes of record batches"}};
    }
};

// ---------------------------------------------------------------------------------------------
// Consume

struct attach {
    static constexpr frame_type type = frame_type::attach;
    static constexpr const char* doc = "Attaches a consumer to a queue. Answered by attached.";
    std::string queue{};
    consumer_id consumer{};
    std::uint32_t prefetch_messages = limits::prefetch_messages_default;
    std::uint64_t prefetch_bytes = limits::prefetch_bytes_default;
    std::uint64_t limit = 0;
    std::vector<lease_run> held{};
    bool operator==(const attach&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &attach::queue, "TOPIC/QUEUE"},
            field{"consumer", &attach::consumer, "chosen by the client, unique on its connection"},
            field{"prefetch_messages", &attach::prefetch_messages,
                  "most messages leased at once; 0 = none until set_prefetch"},
            field{"prefetch_bytes", &attach::prefetch_bytes,
                  "most bytes leased at once; one message is always allowed"},
            field{"limit", &attach::limit,
                  "deliveries after which the consumer gets no more; 0 = unlimited"},
            field{"held", &attach::held,
                  "leases of this client from a lost connection or an earlier epoch, taken up "
                  "again if the messages were not leased since"}};
    }
};

struct attached {
    static constexpr frame_type type = frame_type::attached;
    static constexpr const char* doc = "The consumer is attached.";
    queue_id queue{};
    duration_us lease{0};
    std::uint32_t attempts = 0;
    std::vector<lease_run> gone{};
    bool operator==(const attached&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &attached::queue, "identity of the queue, for settle"},
            field{"lease", &attached::lease, "how long a lease lasts unless extended"},
            field{"attempts", &attached::attempts, "attempts before a message is dead"},
            field{"gone", &attached::gone, "those of held that could not be taken up again"}};
    }
};

struct detach {
    static constexpr frame_type type = frame_type::detach;
    static constexpr const char* doc =
        "Ends a consumer: its leases are released and count as no attempt. Answered by ok.";
    consumer_id consumer{};
    bool operator==(const detach&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"consumer", &detach::consumer, "the consumer"}};
    }
};

struct detached {
    static constexpr frame_type type = frame_type::detached;
    static constexpr const char* doc = "Pushed: the broker ended a consumer.";
    consumer_id consumer{};
    error_code code = error_code::queue_removed;
    std::string text{};
    bool operator==(const detached&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"consumer", &detached::consumer, "the consumer"},
                          field{"code", &detached::code, "why, from the error table"},
                          field{"text", &detached::text, "why, for people"}};
    }
};

struct set_prefetch {
    static constexpr frame_type type = frame_type::set_prefetch;
    static constexpr const char* doc = "Changes the prefetch of a consumer. Answered by ok.";
    consumer_id consumer{};
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
    bool operator==(const set_prefetch&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"consumer", &set_prefetch::consumer, "the consumer"},
            field{"messages", &set_prefetch::messages, "most messages leased at once; 0 = none"},
            field{"bytes", &set_prefetch::bytes, "most bytes leased at once"}};
    }
};

// Neighbours delivered together: message i has offset first_offset + i and lease first_lease + i.
struct delivery_run {
    lease_run leases{};
    wall_time append_time{};
    std::uint32_t attempt = 1;
    bytes_field records{};
    std::vector<brokerd::attempt> history{};  // failed ones; with the feature attempt_history
    queue_id queue{};                         // for a consumer of a pattern queue; else 0
    bool operator==(const delivery_run&) const = default;
};
// The attempt's number as it lies in a run has this bit if a history follows, and this one if the
// queue does, before the history.
inline constexpr std::uint32_t has_history = std::uint32_t{1} << 31U;
inline constexpr std::uint32_t has_queue = std::uint32_t{1} << 30U;

struct deliver {
    static constexpr frame_type type = frame_type::deliver;
    static constexpr const char* doc =
        "Pushed: messages leased to a consumer. Body: consumer u32, then runs up to the end of the "
        "body, each: lease run (24 bytes), append_time i64, attempt u32, records_bytes u32, "
        "records. With the feature attempt_history the highest bit of attempt says that a list of "
        "attempt stands between records_bytes and records: those that failed, oldest first. For a "
        "consumer of a pattern queue the second highest bit is set, and the queue's identity, u64, "
        "stands there before it.";
    consumer_id consumer{};
    std::vector<delivery_run> runs{};
    bool operator==(const deliver&) const = default;
};

struct settle {
    static constexpr frame_type type = frame_type::settle;
    static constexpr const char* doc =
        "Acks, nacks, rejects, releases or extends leases. With confirm answered by settled once "
        "durable; without, answered only by error lease_gone if some lease was not held.";
    queue_id queue{};
    settle_action action = settle_action::ack;
    bool confirm = false;
    duration_us delay{-1};
    std::string reason{};
    producer_id producer{};
    std::uint64_t sequence = 0;
    std::vector<lease_run> runs{};
    bool operator==(const settle&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"queue", &settle::queue,
                  "identity of the queue, from attached or pattern_queues"},
            field{"action", &settle::action, "1 ack, 2 nack, 3 reject, 4 release, 5 extend"},
            field{"confirm", &settle::confirm, "answer with settled when it is durable"},
            field{"delay", &settle::delay,
                  "nack: until the retry, -1 = the queue's back-off; extend: new time from now, "
                  "-1 = the queue's lease time; else -1"},
            field{"reason", &settle::reason, "nack and reject: kept in the history"},
            field{"producer", &settle::producer,
                  "with sequence: makes a resend harmless; 0 = none"},
            field{"sequence", &settle::sequence, "ascending per producer and queue, from 1"},
            field{"runs", &settle::runs, "the leases"}};
    }
};

struct settled {
    static constexpr frame_type type = frame_type::settled;
    static constexpr const char* doc = "Answers a confirmed settle.";
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    bool duplicate = false;
    std::vector<lease_run> gone{};
    bool operator==(const settled&) const = default;
    static constexpr auto fields() {
        return std::tuple{
            field{"accepted", &settled::accepted, "leases that were held and are settled"},
            field{"refused", &settled::refused, "leases that were not held any more"},
            field{"duplicate", &settled::duplicate,
                  "a resend: the counts are those of the first time, gone is empty"},
            field{"gone", &settled::gone, "which were refused"}};
    }
};

}  // namespace brokerd::codec
