// Every key of the database as a type with encode and parse, and the table of column families.
// Numbers are big-endian, so that the order of bytes is the order of the fields; times are shifted
// so that negative ones come first. Pure; any thread.
//
//   family      key                                                    value (values.hpp)
//   meta        shard u16, topic u64, kind u8, queue u64               see meta_kind
//   log         shard u16, topic u64, lane u8, LAST offset u64         chunk (domain/chunk.hpp)
//   kept        shard u16, topic u64, queue u64, offset u64            kept record
//   cursors     shard u16, topic u64, queue u64, kind u8, number u64   snapshot or delta
//   exceptions  shard u16, topic u64, queue u64, 1, offset u64         exception
//               shard u16, topic u64, queue u64, 2, due i64, offset    due entry
//   dedup       shard u16, topic u64, queue u64, producer u64, slot u32   producer slot
//   schedule    shard u16, topic u64, 1, due i64, id u64               scheduled batch
//               shard u16, topic u64, 2, id u64                        when it is due, its size
//   expiry      shard u16, topic u64, at i64, LAST offset u64          messages of the chunk
//   message_ids shard u16, topic u64, id bytes                         when and what it led to
//
// Topic 0 is the shard itself, queue 0 the topic itself: real ids begin at 1. A pattern queue has
// topic 0 and its own id as queue. The lane of a chunk is the level of priority of its messages: 0
// in topics with one level, and always below limits::priorities_max.
//
// To change: durable. New kinds take new numbers; a key's layout never changes. A new family goes
// to the end of the table; the next start adds it to the databases made before.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::storage {

// The column families, in the order of their handles. RocksDB wants one named "default": meta.
enum class family : std::uint8_t {
    meta,
    log,
    kept,
    cursors,
    exceptions,
    dedup,
    schedule,
    expiry,
    message_ids,
};
inline constexpr std::array<std::string_view, 9> family_names{
    "default", "log",      "kept",   "cursors",    "exceptions",
    "dedup",   "schedule", "expiry", "message_ids"};

inline constexpr shard_id the_shard{0};  // one engine today

// An encoded key or the start of one; on the stack, no allocation.
class key_bytes {
public:
    [[nodiscard]] std::string_view view() const { return {data_.data(), size_}; }

    key_bytes& u8(std::uint8_t value) { return put(value, 1); }
    key_bytes& u16(std::uint16_t value) { return put(value, 2); }
    key_bytes& u32(std::uint32_t value) { return put(value, 4); }
    key_bytes& u64(std::uint64_t value) { return put(value, 8); }
    key_bytes& time(wall_time value) {
        return u64(static_cast<std::uint64_t>(to_us(value)) ^ (std::uint64_t{1} << 63));
    }

private:
    key_bytes& put(std::uint64_t value, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) {
            data_[size_ + i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
        }
        size_ += bytes;
        return *this;
    }

    std::array<char, 40> data_{};
    std::size_t size_ = 0;
};

// The first key behind all that begin with `prefix`.
[[nodiscard]] key_bytes behind(const key_bytes& prefix);

// What is known about a shard (topic 0), a topic (queue 0) or a queue.
enum class meta_kind : std::uint8_t {
    // of the shard
    identity = 1,     // database id and feature bits
    commit = 2,       // number of the last commit
    epoch = 3,        // last broker epoch
    next_id = 4,      // next topic, queue or pattern id
    retry_clock = 5,  // how far the clock of due times was
    pattern = 27,     // a pattern queue; its id stands where that of a queue does
    // of a topic
    topic = 16,            // as created
    topic_settings = 17,   // as changed last
    trim = 18,             // trim point
    done_marks = 19,       // for keep_done
    schedule_totals = 20,  // what is scheduled
    expiry_watched = 21,   // messages with a time to live of their own
    forgotten_ids = 22,    // before when message ids are
    reserved = 23,         // offsets, ahead of what is stored
    skipped = 24,          // offsets that no message has
    log_marks = 25,        // where bytes and times lie in the log
    drops = 26,            // what was dropped to keep its bounds
    // of a queue
    queue = 32,           // as created
    queue_settings = 33,  // as changed last
};

struct meta_key {
    topic_id topic;
    meta_kind kind = meta_kind::identity;
    queue_id queue;

    [[nodiscard]] static meta_key of_shard(meta_kind kind) { return {{}, kind, {}}; }
    [[nodiscard]] static meta_key of_pattern(pattern_id id) {
        return {{}, meta_kind::pattern, queue_id{id.value()}};
    }
    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<meta_key> parse(std::string_view key);
    bool operator==(const meta_key&) const = default;
};

struct log_key {
    static constexpr std::size_t prefix_bytes = 11;  // shard, topic, lane
    static constexpr std::size_t bytes = 19;

    topic_id topic;
    // Of the chunk: in a topic with one lane a seek to any offset lands on the chunk holding it.
    offset_t last_offset = 0;
    std::uint8_t lane = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<log_key> parse(std::string_view key);
    bool operator==(const log_key&) const = default;
};

struct kept_key {
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<kept_key> parse(std::string_view key);
    bool operator==(const kept_key&) const = default;
};

enum class cursor_kind : std::uint8_t { snapshot = 1, delta = 2 };

struct cursor_key {
    topic_id topic;
    queue_id queue;
    cursor_kind kind = cursor_kind::snapshot;
    std::uint64_t number = 0;  // of the delta; the snapshot has one segment, number 0

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<cursor_key> parse(std::string_view key);
    bool operator==(const cursor_key&) const = default;
};

struct exception_key {
    topic_id topic;
    queue_id queue;
    offset_t offset = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<exception_key> parse(std::string_view key);
    bool operator==(const exception_key&) const = default;
};

struct due_key {
    topic_id topic;
    queue_id queue;
    wall_time due{};
    offset_t offset = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<due_key> parse(std::string_view key);
    bool operator==(const due_key&) const = default;
};

struct dedup_key {
    topic_id topic;  // 0: transactions
    queue_id queue;  // 0: publishes to the topic
    producer_id producer;
    std::uint32_t slot = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<dedup_key> parse(std::string_view key);
    bool operator==(const dedup_key&) const = default;
};

// A scheduled batch in the order in which they become due.
struct schedule_due_key {
    topic_id topic;
    wall_time due{};
    std::uint64_t id = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<schedule_due_key> parse(std::string_view key);
    bool operator==(const schedule_due_key&) const = default;
};

// Leads from the id of a schedule to its schedule_due_key.
struct schedule_id_key {
    topic_id topic;
    std::uint64_t id = 0;

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<schedule_id_key> parse(std::string_view key);
    bool operator==(const schedule_id_key&) const = default;
};

// A chunk with messages that expire, at the time of the next look at it.
struct expiry_key {
    topic_id topic;
    wall_time at{};
    offset_t last_offset = 0;  // of the chunk

    [[nodiscard]] key_bytes encode() const;
    [[nodiscard]] static std::optional<expiry_key> parse(std::string_view key);
    bool operator==(const expiry_key&) const = default;
};

// A message id of a topic. Unlike the others it may be long, so it is no key_bytes.
struct message_id_key {
    topic_id topic;
    std::string_view id;

    [[nodiscard]] std::string encode() const;
    // The id is a view into `key`.
    [[nodiscard]] static std::optional<message_id_key> parse(std::string_view key);
    bool operator==(const message_id_key&) const = default;
};

// The start of all keys of a topic, in every family; of a queue, in those whose keys name one
// behind the topic; of a lane, in the log.
[[nodiscard]] key_bytes topic_prefix(topic_id topic);
[[nodiscard]] key_bytes queue_prefix(topic_id topic, queue_id queue);
[[nodiscard]] key_bytes lane_prefix(topic_id topic, std::uint8_t lane);

}  // namespace brokerd::storage
