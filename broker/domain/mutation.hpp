// Mutations: the durable facts a turn of the domain produces, in order. Logical and versioned: the
// store turns them into keys and values, a replicated log could carry them; chunk boundaries, times
// and ids are already chosen, so applying a batch is deterministic. Loading a store yields the same
// mutations back and the domain replays them: one path for live and recovery. Pure.
//
// Their bytes (encode_batch) are golden-tested. To change one: give it a new kind number, keep
// reading the old one, add a golden file.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "protocol/types/field.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd::domain {

enum class mutation_kind : std::uint8_t {
    epoch_started = 1,
    topic_created = 2,
    topic_changed = 3,
    topic_removed = 4,
    queue_created = 5,
    queue_changed = 6,
    queue_removed = 7,
    appended = 8,
    trimmed = 9,
    queue_delta = 10,
    queue_snapshot = 11,
    exception_put = 12,
    exception_erased = 13,
    kept_put = 14,
    kept_erased = 15,
    producer_put = 16,
    producer_erased = 17,
    retry_clock = 18,
    done_marks = 19,
    schedule_put = 20,
    schedule_erased = 21,
    schedule_totals = 22,
    expiry_moved = 23,
    expiry_watched = 24,
    message_id_put = 25,
    message_ids_forgotten = 26,
    offsets_reserved = 27,
    offsets_skipped = 28,
    log_marked = 29,
    messages_dropped = 30,
    pattern_put = 32,
    pattern_erased = 33,
};

struct epoch_started {
    static constexpr mutation_kind kind = mutation_kind::epoch_started;
    broker_epoch epoch;
    bool operator==(const epoch_started&) const = default;
    static constexpr auto fields() { return std::tuple{field{"epoch", &epoch_started::epoch, ""}}; }
};

struct topic_created {
    static constexpr mutation_kind kind = mutation_kind::topic_created;
    topic_id topic;
    std::string name;
    topic_settings settings;
    wall_time created{};
    bool operator==(const topic_created&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_created::topic, ""},
                          field{"name", &topic_created::name, ""},
                          field{"settings", &topic_created::settings, ""},
                          field{"created", &topic_created::created, ""}};
    }
};

struct topic_changed {
    static constexpr mutation_kind kind = mutation_kind::topic_changed;
    topic_id topic;
    topic_settings settings;
    bool operator==(const topic_changed&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &topic_changed::topic, ""},
                          field{"settings", &topic_changed::settings, ""}};
    }
};

// The topic, its queues, their exceptions, kept records and producer windows go.
struct topic_removed {
    static constexpr mutation_kind kind = mutation_kind::topic_removed;
    topic_id topic;
    bool operator==(const topic_removed&) const = default;
    static constexpr auto fields() { return std::tuple{field{"topic", &topic_removed::topic, ""}}; }
};

struct queue_created {
    static constexpr mutation_kind kind = mutation_kind::queue_created;
    topic_id topic;
    queue_id queue;
    std::string name;
    queue_mode mode = queue_mode::shared;
    queue_settings settings;
    offset_t start = 0;
    wall_time created{};
    bool operator==(const queue_created&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &queue_created::topic, ""},
                          field{"queue", &queue_created::queue, ""},
                          field{"name", &queue_created::name, ""},
                          field{"mode", &queue_created::mode, ""},
                          field{"settings", &queue_created::settings, ""},
                          field{"start", &queue_created::start, "offset of its first message"},
                          field{"created", &queue_created::created, ""}};
    }
};

struct queue_changed {
    static constexpr mutation_kind kind = mutation_kind::queue_changed;
    topic_id topic;
    queue_id queue;
    queue_settings settings;
    bool paused = false;
    lease_id fence;
    offset_t unsifted = offset_end;
    bool operator==(const queue_changed&) const = default;
    static constexpr std::size_t fields_min = 5;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"topic", &queue_changed::topic, ""},
            field{"queue", &queue_changed::queue, ""},
            field{"settings", &queue_changed::settings, ""},
            field{"paused", &queue_changed::paused, ""},
            field{"fence", &queue_changed::fence, "leases up to this one are void: moved by seek"},
            field{"unsifted", &queue_changed::unsifted,
                  "from here on some may not be for the queue; may be missing: none"}};
    }
};

struct queue_removed {
    static constexpr mutation_kind kind = mutation_kind::queue_removed;
    topic_id topic;
    queue_id queue;
    bool operator==(const queue_removed&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &queue_removed::topic, ""},
                          field{"queue", &queue_removed::queue, ""}};
    }
};

// A chunk was appended to its topic. Encoded as the chunk's bytes. If it has messages with a time
// to live of their own (chunk::first_expiry), the store enters it into the expiry index at the
// earliest of them.
struct appended {
    static constexpr mutation_kind kind = mutation_kind::appended;
    chunk_ptr data;
    bool operator==(const appended& other) const {
        return as_text(data->bytes()) == as_text(other.data->bytes());
    }
};

// Nothing below `first` is readable any more. Only ever grows.
struct trimmed {
    static constexpr mutation_kind kind = mutation_kind::trimmed;
    topic_id topic;
    offset_t first = 0;
    bool operator==(const trimmed&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &trimmed::topic, ""},
                          field{"first", &trimmed::first, "the trim point"}};
    }
};

// Offsets that took a state. `ready` takes them back (only in memory ready; never below floor).
struct state_run {
    message_state state = message_state::done;
    offset_t first = 0;
    std::uint64_t count = 0;
    bool operator==(const state_run&) const = default;
};

// What one commit changed in a queue: small. Applied in order of number, after the snapshot.
struct queue_delta {
    static constexpr mutation_kind kind = mutation_kind::queue_delta;
    topic_id topic;
    queue_id queue;
    std::uint64_t number = 0;  // running, per queue
    offset_t floor = 0;        // after it: every offset below is done, retrying or dead
    std::uint64_t done_total = 0;
    std::vector<state_run> runs;
    bool operator==(const queue_delta&) const = default;
};

// The whole state of a queue after delta `number`; deltas up to it (those behind `replaces`, the
// number of the snapshot before) are dropped in the same batch.
struct queue_snapshot {
    static constexpr mutation_kind kind = mutation_kind::queue_snapshot;
    topic_id topic;
    queue_id queue;
    std::uint64_t number = 0;
    std::uint64_t replaces = 0;
    offset_t floor = 0;
    std::uint64_t done_total = 0;
    std::vector<state_run> runs;  // done at or above floor; retrying and dead anywhere
    bool operator==(const queue_snapshot&) const = default;
};

// A message whose lease failed: retrying or dead, with its history.
struct exception_state {
    message_state state = message_state::retrying;
    wall_time due{};  // retrying: when ready again; dead: when it died
    std::uint32_t attempts = 0;
    std::uint64_t key_hash = 0;    // 0 = no key
    lease_id last_lease;           // the newest lease that ended or was taken up again
    bool lease_failed = false;     // the last attempt of the history is that of last_lease
    std::vector<attempt> history;  // oldest first, at most limits::attempts_history_max
    bool ttl_lifted = false;       // redriven: its time to live does not count any more
    bool operator==(const exception_state&) const = default;
    static constexpr std::size_t fields_min = 7;  // of its first version
    static constexpr auto fields() {
        return std::tuple{field{"state", &exception_state::state, ""},
                          field{"due", &exception_state::due, ""},
                          field{"attempts", &exception_state::attempts, ""},
                          field{"key_hash", &exception_state::key_hash, ""},
                          field{"last_lease", &exception_state::last_lease, ""},
                          field{"lease_failed", &exception_state::lease_failed, ""},
                          field{"history", &exception_state::history, ""},
                          field{"ttl_lifted", &exception_state::ttl_lifted, ""}};
    }
};

// Writes or replaces an exception. `previous_due` = due of the value it replaces if that one was
// retrying, else wall_never (the store removes the due-index entry with it).
struct exception_put {
    static constexpr mutation_kind kind = mutation_kind::exception_put;
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;
    wall_time previous_due = wall_never;
    exception_state value;
    bool operator==(const exception_put&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &exception_put::topic, ""},
                          field{"queue", &exception_put::queue, ""},
                          field{"offset", &exception_put::offset, ""},
                          field{"previous_due", &exception_put::previous_due, ""},
                          field{"value", &exception_put::value, ""}};
    }
};

struct exception_erased {
    static constexpr mutation_kind kind = mutation_kind::exception_erased;
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;
    wall_time previous_due = wall_never;
    bool operator==(const exception_erased&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &exception_erased::topic, ""},
                          field{"queue", &exception_erased::queue, ""},
                          field{"offset", &exception_erased::offset, ""},
                          field{"previous_due", &exception_erased::previous_due, ""}};
    }
};

// The record of an exception, copied out of the log before the trim point passes it.
struct kept_put {
    static constexpr mutation_kind kind = mutation_kind::kept_put;
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;
    wall_time append_time{};
    std::string record;  // the record's bytes
    bool operator==(const kept_put&) const = default;
};

struct kept_erased {
    static constexpr mutation_kind kind = mutation_kind::kept_erased;
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;
    bool operator==(const kept_erased&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &kept_erased::topic, ""},
                          field{"queue", &kept_erased::queue, ""},
                          field{"offset", &kept_erased::offset, ""}};
    }
};

// Sequences first_sequence .. +count-1 of a producer had this outcome: for a topic the offset of
// the first one; for a queue (confirmed settles) accepted and refused packed by the domain.
struct producer_run {
    std::uint64_t first_sequence = 0;
    std::uint64_t count = 0;
    std::uint64_t value = 0;
    bool operator==(const producer_run&) const = default;
};

// One slot of the window of a producer: the window is a ring of slots of a few runs each, so that a
// commit rewrites only the newest.
struct producer_put {
    static constexpr mutation_kind kind = mutation_kind::producer_put;
    topic_id topic;  // 0: transactions
    queue_id queue;  // 0: publishes to the topic; else confirmed settles of this queue
    producer_id producer;
    std::uint32_t slot = 0;
    wall_time last_used{};
    std::vector<producer_run> runs;
    bool operator==(const producer_put&) const = default;
};

// The whole window of a producer goes (all its slots below `slots`).
struct producer_erased {
    static constexpr mutation_kind kind = mutation_kind::producer_erased;
    topic_id topic;
    queue_id queue;
    producer_id producer;
    std::uint32_t slots = 0;
    bool operator==(const producer_erased&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &producer_erased::topic, ""},
                          field{"queue", &producer_erased::queue, ""},
                          field{"producer", &producer_erased::producer, ""},
                          field{"slots", &producer_erased::slots, ""}};
    }
};

// How far the clock of due times was when this commit was sealed: in each commit that puts an
// exception, so that no later start begins before it and makes a retry wait longer than it had to.
struct retry_clock {
    static constexpr mutation_kind kind = mutation_kind::retry_clock;
    wall_time reading{};
    bool operator==(const retry_clock&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"reading", &retry_clock::reading, ""}};
    }
};

// By `time` every queue of the topic was done with all messages below `below`.
struct done_mark {
    wall_time time{};
    offset_t below = 0;
    bool operator==(const done_mark&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"time", &done_mark::time, ""},
                          field{"below", &done_mark::below, ""}};
    }
};

// From when on keep_done counts, for the messages it keeps; replaces the marks before.
struct done_marks {
    static constexpr mutation_kind kind = mutation_kind::done_marks;
    topic_id topic;
    std::vector<done_mark> marks;  // ascending
    bool operator==(const done_marks&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &done_marks::topic, ""},
                          field{"marks", &done_marks::marks, ""}};
    }
};

// A batch that is to be appended to its topic when it is due.
struct schedule_put {
    static constexpr mutation_kind kind = mutation_kind::schedule_put;
    topic_id topic;
    std::uint64_t id = 0;  // unique in the topic, never reused
    wall_time due{};
    shared_bytes batch;  // whole record batch, header included
    bool operator==(const schedule_put& other) const {
        return topic == other.topic && id == other.id && due == other.due &&
               as_text(batch.view) == as_text(other.batch.view);
    }
};

// It was appended or cancelled.
struct schedule_erased {
    static constexpr mutation_kind kind = mutation_kind::schedule_erased;
    topic_id topic;
    std::uint64_t id = 0;
    wall_time due{};
    bool operator==(const schedule_erased&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &schedule_erased::topic, ""},
                          field{"id", &schedule_erased::id, ""},
                          field{"due", &schedule_erased::due, ""}};
    }
};

// What is scheduled for a topic after this commit, so that no start has to count it.
struct schedule_totals {
    static constexpr mutation_kind kind = mutation_kind::schedule_totals;
    topic_id topic;
    std::uint64_t next_id = 1;
    std::uint64_t schedules = 0;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    bool operator==(const schedule_totals&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &schedule_totals::topic, ""},
                          field{"next_id", &schedule_totals::next_id, "of the next schedule"},
                          field{"schedules", &schedule_totals::schedules, ""},
                          field{"messages", &schedule_totals::messages, "in their batches"},
                          field{"bytes", &schedule_totals::bytes, "of their batches"}};
    }
};

// The next look at a chunk of the expiry index: its messages are from `last` - `count` + 1 to
// `last`.
struct expiry_moved {
    static constexpr mutation_kind kind = mutation_kind::expiry_moved;
    topic_id topic;
    offset_t last = 0;
    std::uint32_t count = 0;
    wall_time from = wall_never;  // the entry that goes; wall_never: none
    wall_time to = wall_never;    // the entry that comes; wall_never: none
    bool operator==(const expiry_moved&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &expiry_moved::topic, ""},
                          field{"last", &expiry_moved::last, "offset of its last message"},
                          field{"count", &expiry_moved::count, "of its messages"},
                          field{"from", &expiry_moved::from, ""},
                          field{"to", &expiry_moved::to, ""}};
    }
};

// The topic has, or once had, messages with a time to live of their own. Those from `again_from` on
// are to be looked at once more, as a queue may hold some that the index has passed; offset_end:
// none.
struct expiry_watched {
    static constexpr mutation_kind kind = mutation_kind::expiry_watched;
    topic_id topic;
    offset_t again_from = offset_end;
    bool operator==(const expiry_watched&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &expiry_watched::topic, ""},
                          field{"again_from", &expiry_watched::again_from, ""}};
    }
};

// What the first publish with a message id led to.
struct message_id_entry {
    wall_time time{};         // when it came: for how long it is remembered
    std::uint64_t value = 0;  // offset of the message, or id of its schedule
    bool scheduled = false;
    bool operator==(const message_id_entry&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"time", &message_id_entry::time, ""},
                          field{"value", &message_id_entry::value, ""},
                          field{"scheduled", &message_id_entry::scheduled, ""}};
    }
};

struct message_id_put {
    static constexpr mutation_kind kind = mutation_kind::message_id_put;
    topic_id topic;
    std::string id;
    message_id_entry entry;
    bool operator==(const message_id_put&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &message_id_put::topic, ""},
                          field{"id", &message_id_put::id, "bytes"},
                          field{"entry", &message_id_put::entry, ""}};
    }
};

// Ids that came before `before` are forgotten: it only grows. The store may drop them when it
// likes. `marks` = up to which end of the topic they had come by when, for those that are forgotten
// because too many messages have come since.
struct message_ids_forgotten {
    static constexpr mutation_kind kind = mutation_kind::message_ids_forgotten;
    topic_id topic;
    wall_time before{};
    std::vector<done_mark> marks;  // ascending
    bool operator==(const message_ids_forgotten&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &message_ids_forgotten::topic, ""},
                          field{"before", &message_ids_forgotten::before, ""},
                          field{"marks", &message_ids_forgotten::marks, ""}};
    }
};

// A topic of durability os gives out no offset from `below` on until a later one is durable: so
// after a start it begins there, and none is used twice. 0: none is reserved.
struct offsets_reserved {
    static constexpr mutation_kind kind = mutation_kind::offsets_reserved;
    topic_id topic;
    offset_t below = 0;
    bool operator==(const offsets_reserved&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &offsets_reserved::topic, ""},
                          field{"below", &offsets_reserved::below, ""}};
    }
};

struct offset_run {
    offset_t first = 0;
    std::uint64_t count = 0;
    bool operator==(const offset_run&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"first", &offset_run::first, ""},
                          field{"count", &offset_run::count, ""}};
    }
};

// These offsets may have been given out before the broker stopped without goodbye, and no message
// has them: they are done in every queue. Ascending and without neighbours; replaces those before.
// The topic ends behind the last one, or behind its last chunk.
struct offsets_skipped {
    static constexpr mutation_kind kind = mutation_kind::offsets_skipped;
    topic_id topic;
    std::vector<offset_run> runs;
    bool operator==(const offsets_skipped&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &offsets_skipped::topic, ""},
                          field{"runs", &offsets_skipped::runs, ""}};
    }
};

// The messages below `offset` were appended by `time` at the latest, and their batches have `bytes`
// bytes in all, as published, counted since the topic was made.
struct log_mark {
    offset_t offset = 0;
    std::uint64_t bytes = 0;
    wall_time time{};
    bool operator==(const log_mark&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"offset", &log_mark::offset, ""},
                          field{"bytes", &log_mark::bytes, ""}, field{"time", &log_mark::time, ""}};
    }
};

// Where a topic's bytes and times lie in its log; replaces the marks before. Those of offsets below
// the trim point but for the last one are left out.
struct log_marked {
    static constexpr mutation_kind kind = mutation_kind::log_marked;
    topic_id topic;
    std::vector<log_mark> marks;  // ascending
    bool operator==(const log_marked&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &log_marked::topic, ""},
                          field{"marks", &log_marked::marks, ""}};
    }
};

struct queue_drops {
    queue_id queue;
    std::uint64_t messages = 0;  // that it was not done with
    bool operator==(const queue_drops&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"queue", &queue_drops::queue, ""},
                          field{"messages", &queue_drops::messages, ""}};
    }
};

// What a topic has dropped to keep its bounds, in all; replaces what was counted before.
struct messages_dropped {
    static constexpr mutation_kind kind = mutation_kind::messages_dropped;
    topic_id topic;
    std::uint64_t messages = 0;  // that some queue was not done with, or without any queue
    std::uint64_t bytes = 0;     // of their batches, to within a 32nd of what the topic held
    wall_time last{};            // when the last ones were
    std::vector<queue_drops> queues;
    offset_t below = 0;  // what is below is dropped, also if the trim point has not followed yet
    bool operator==(const messages_dropped&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"topic", &messages_dropped::topic, ""},
                          field{"messages", &messages_dropped::messages, ""},
                          field{"bytes", &messages_dropped::bytes, ""},
                          field{"last", &messages_dropped::last, ""},
                          field{"queues", &messages_dropped::queues, ""},
                          field{"below", &messages_dropped::below, ""}};
    }
};

// A pattern queue: topics that are created from now on get a queue where it means them. Replaces
// the rule of this id. Its queues are mutations of their own, in the same commit.
struct pattern_put {
    static constexpr mutation_kind kind = mutation_kind::pattern_put;
    pattern_id pattern;
    std::string topics;  // orders.*
    std::string queue;   // billing
    queue_mode mode = queue_mode::shared;
    queue_settings settings;
    wall_time created{};
    bool operator==(const pattern_put&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"pattern", &pattern_put::pattern, "the id of the rule"},
                          field{"topics", &pattern_put::topics, "pattern of the topics it means"},
                          field{"queue", &pattern_put::queue, "name of its queues"},
                          field{"mode", &pattern_put::mode, ""},
                          field{"settings", &pattern_put::settings, ""},
                          field{"created", &pattern_put::created, ""}};
    }
};

struct pattern_erased {
    static constexpr mutation_kind kind = mutation_kind::pattern_erased;
    pattern_id pattern;
    bool operator==(const pattern_erased&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"pattern", &pattern_erased::pattern, ""}};
    }
};

using mutation =
    std::variant<epoch_started, topic_created, topic_changed, topic_removed, queue_created,
                 queue_changed, queue_removed, appended, trimmed, queue_delta, queue_snapshot,
                 exception_put, exception_erased, kept_put, kept_erased, producer_put,
                 producer_erased, retry_clock, done_marks, schedule_put, schedule_erased,
                 schedule_totals, expiry_moved, expiry_watched, message_id_put,
                 message_ids_forgotten, offsets_reserved, offsets_skipped, log_marked,
                 messages_dropped, pattern_put, pattern_erased>;

// Described mutations are encoded field by field (protocol/codec/wire.hpp), the others:
//   appended        the bytes of the chunk
//   queue_delta     u64 topic, u64 queue, varints number, floor, done_total, count of runs; per run
//                   u8 state, zigzag varint of first minus the end of the run before, varint count
//   queue_snapshot  the same with varint replaces behind number
//   kept_put        u64 topic, u64 queue, u64 offset, i64 append_time, the record
//   producer_put    u64 topic, u64 queue, u64 producer, u32 slot, i64 last_used, varint count of
//                   runs; per run varints first_sequence, count, value
//   schedule_put    u64 topic, u64 id, i64 due, the batch
[[nodiscard]] mutation_kind kind_of(const mutation& m);
// Appends the body of one mutation; stores may use it as a value.
void encode_body(byte_buffer& out, const mutation& m);
// Errors: malformed, those of chunk::load.
[[nodiscard]] outcome<mutation> decode_body(mutation_kind kind, byte_view body);

// The bytes of a batch: u8 version 1, then per mutation u8 kind, u32 length, body.
void encode_batch(byte_buffer& out, const std::vector<mutation>& batch);
[[nodiscard]] outcome<std::vector<mutation>> decode_batch(byte_view bytes);

// Rough size of what the store will write, for limits and statistics.
[[nodiscard]] std::size_t payload_bytes(const mutation& m);

}  // namespace brokerd::domain
