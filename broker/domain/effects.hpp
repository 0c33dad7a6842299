// Effects: what a turn of the domain wants done. Mutations go into the commit being gathered;
// outputs go to connections once the commit they depend on is durable; fetches go to the store and
// come back as commands. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "broker/domain/command.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/codec/transaction_messages.hpp"

namespace brokerd::domain {

// Records to send with what keeps their bytes alive.
struct record_run {
    lease_run leases;  // for deliveries; only first_offset and count for reads
    wall_time append_time{};
    std::uint32_t attempt = 1;
    shared_bytes records;
    std::vector<brokerd::attempt> history{};  // how earlier attempts failed
    queue_id queue{};                         // for a consumer of a pattern queue; else 0
};

// A publish was accepted (or had been before). The session coalesces these into `published`.
struct publish_accepted {
    offset_t base_offset = 0;  // of a schedule: its id
    std::uint32_t count = 0;
    bool duplicate = false;
    durability level = durability::disk;
};

// A publish was refused. The session answers error and gives the credit back.
struct publish_refused {
    failure why;
};

struct delivery {
    consumer_id consumer;
    std::vector<record_run> runs;
};

struct read_result {
    topic_id incarnation;
    offset_t first_offset = 0;
    offset_t next_offset = 0;
    offset_t position = 0;
    std::vector<record_run> runs;
};

// Like codec::shown, with the record's bytes kept alive.
struct show_result {
    codec::shown message;  // its record field is empty
    shared_bytes record;
};

// A request for a responder, with its bytes kept alive: the record of the message is empty, and so
// is the time that remains. It is counted when the frame is written, which may be later.
struct request_push {
    codec::requested message;
    shared_bytes record;
    mono_time deadline{};
};
// Likewise its reply, for who asked.
struct reply_result {
    codec::replied message;
    shared_bytes record;
};

// The answer to connection_draining.
struct holds_nothing {};

using output_body =
    std::variant<publish_accepted, publish_refused, delivery, read_result, show_result, codec::ok,
                 codec::error, codec::attached, codec::detached, codec::settled,
                 codec::topic_created, codec::topics, codec::queue_created, codec::queues,
                 codec::counted, codec::explained, codec::dead, codec::consumers, codec::schedules,
                 codec::transacted, codec::services, codec::pattern_created, codec::patterns,
                 codec::pattern_queues, codec::queue_levels_counted, request_push, reply_result,
                 holds_nothing>;

struct output {
    connection_id connection;
    std::uint64_t request = 0;  // 0 = pushed
    commit_number depends_on;   // 0 = none; send only when this commit is durable
    output_body body;
    bool when_applied = false;  // it may be sent when that commit is applied, synced or not
};

// ---- what to read from the store ----

struct fetch_log {
    topic_id topic;
    offset_t from = 0;          // the chunk that holds it, then those behind
    std::size_t bytes_max = 0;  // stop after this many bytes, but at least one chunk
    std::uint64_t reader = 0;   // same number for successive reads of one place: keeps an iterator
    // Only chunks of this lane, from the first on that ends behind `from`; none: those of all
    // lanes, in the order of their offsets.
    std::optional<std::uint8_t> lane{};
};
struct fetch_exceptions {
    topic_id topic;
    queue_id queue;
    std::vector<offset_t> offsets;  // ascending
    bool with_records = false;
    // Stop behind the record with which the memory they keep reaches this, but read one at least;
    // 0: no limit.
    std::size_t bytes_max = 0;
};
// Exceptions of one state within [from, until), ascending.
struct scan_exceptions {
    topic_id topic;
    queue_id queue;
    message_state state = message_state::dead;
    offset_t from = 0;
    offset_t until = offset_end;
    std::uint32_t limit = 0;
};
struct fetch_due {
    topic_id topic;
    queue_id queue;
    wall_time from{};   // inclusive
    wall_time until{};  // exclusive
    std::uint32_t limit = 0;
};
// Append times of messages.
struct fetch_times {
    struct place {
        topic_id topic;
        offset_t offset = 0;
    };
    std::vector<place> places;
};
// First offset of a topic appended at or after a time; the end of the topic if there is none.
struct fetch_offset {
    topic_id topic;
    wall_time time{};
};

// What is scheduled for a topic from `from` on, inclusive, and due before `until`.
struct fetch_schedules {
    topic_id topic;
    schedule_key from{};
    wall_time until{};
    std::uint32_t limit = 0;
    std::size_t bytes_max = 0;  // of batches; stop behind the one that reaches it
};
// Schedules by their ids, without their batches.
struct find_schedules {
    topic_id topic;
    std::vector<std::uint64_t> ids;
};

// Entries of a topic's expiry index before `until`, in order.
struct fetch_expiring {
    topic_id topic;
    wall_time until{};
    std::uint32_t limit = 0;
};

// What is remembered of message ids.
struct fetch_message_ids {
    topic_id topic;
    std::vector<std::string> ids;
};

using fetch_body =
    std::variant<fetch_log, fetch_exceptions, scan_exceptions, fetch_due, fetch_times, fetch_offset,
                 fetch_schedules, find_schedules, fetch_expiring, fetch_message_ids>;

struct fetch {
    std::uint64_t id = 0;
    fetch_body body;
};

// Gathers effects; owned and emptied by the engine, reused from turn to turn.
struct effects {
    std::vector<mutation> mutations;  // since the last commit was cut
    bool urgent = false;  // some mutation must be synced now; else within plain_ack_sync_max
    bool prompt = false;  // some must be applied now, and synced within the time of os topics
    std::vector<output> outputs;
    std::vector<fetch> fetches;
};

}  // namespace brokerd::domain
