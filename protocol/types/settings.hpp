// Settings and enumerations of the model that appear in protocol, domain and storage alike.
// Enum values are durable: never change or reuse a number. Header only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "protocol/types/field.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/time.hpp"

namespace brokerd {

// How a queue hands out messages; fixed at creation.
enum class queue_mode : std::uint8_t {
    shared = 1,  // any consumer, any order of completion
    keyed = 2,   // the messages of a key in stored order, one at a time
    single = 3,  // all messages in stored order, one at a time, to one active consumer
};

// What the later messages of a key (mode single: all later messages) do while one is retrying.
enum class after_failure : std::uint8_t {
    block = 1,  // wait until it is done or dead
    skip = 2,   // go on; it comes when its retry is due
};

// What a message whose time to live is over becomes in a queue.
enum class expiry_action : std::uint8_t {
    done = 1,  // as if it had been acknowledged
    dead = 2,  // kept, with the reason, until it is redriven or purged
};

// What becomes of a publish that a topic has no room for.
enum class full_policy : std::uint8_t {
    refuse = 1,       // it is refused, and what is scheduled waits
    drop_oldest = 2,  // the oldest messages make room, whether or not a queue still needs them
};

// State of a message in a queue.
enum class message_state : std::uint8_t {
    ready = 1,     // waits for a consumer
    leased = 2,    // a consumer holds it
    retrying = 3,  // an attempt failed; waits for its due time
    dead = 4,      // attempts used up or rejected; kept until redriven or purged
    done = 5,      // acknowledged, purged or sought past
};

// How a lease ended in failure.
enum class attempt_outcome : std::uint8_t {
    nacked = 1,
    expired = 2,
    lost = 3,  // the connection went away without goodbye
    rejected = 4,
    ttl_expired = 5,  // its time to live was over; no attempt, but why it is dead
};

// How far a publish is made safe before its reply. A topic may ask for disk or os.
enum class durability : std::uint8_t {
    disk = 1,    // synced to disk
    memory = 2,  // broker runs without a data directory that outlives it
    os = 3,      // handed to the operating system, synced soon: a power cut may take it
};

// What a settle request does with its leases.
enum class settle_action : std::uint8_t {
    ack = 1,
    nack = 2,
    reject = 3,
    release = 4,
    extend = 5,
};

// Where a queue starts, a seek goes, a reader begins.
enum class position_kind : std::uint8_t { earliest = 1, latest = 2, offset = 3, time = 4 };

[[nodiscard]] constexpr std::string_view to_string(queue_mode mode) {
    switch (mode) {
        case queue_mode::shared: return "shared";
        case queue_mode::keyed: return "keyed";
        case queue_mode::single: return "single";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(after_failure policy) {
    switch (policy) {
        case after_failure::block: return "block";
        case after_failure::skip: return "skip";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(expiry_action action) {
    switch (action) {
        case expiry_action::done: return "done";
        case expiry_action::dead: return "dead";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(full_policy policy) {
    switch (policy) {
        case full_policy::refuse: return "refuse";
        case full_policy::drop_oldest: return "drop-oldest";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(durability level) {
    switch (level) {
        case durability::disk: return "disk";
        case durability::memory: return "memory";
        case durability::os: return "os";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(message_state state) {
    switch (state) {
        case message_state::ready: return "ready";
        case message_state::leased: return "leased";
        case message_state::retrying: return "retrying";
        case message_state::dead: return "dead";
        case message_state::done: return "done";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(attempt_outcome outcome) {
    switch (outcome) {
        case attempt_outcome::nacked: return "nacked";
        case attempt_outcome::expired: return "expired";
        case attempt_outcome::lost: return "lost";
        case attempt_outcome::rejected: return "rejected";
        case attempt_outcome::ttl_expired: return "ttl expired";
    }
    return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(settle_action action) {
    switch (action) {
        case settle_action::ack: return "ack";
        case settle_action::nack: return "nack";
        case settle_action::reject: return "reject";
        case settle_action::release: return "release";
        case settle_action::extend: return "extend";
    }
    return "unknown";
}

// Settings of a topic. Durations in microseconds, sizes in bytes.
struct topic_settings {
    duration_us keep_done{0};  // how long a message stays readable after every queue is done
    std::uint64_t max_message_bytes = limits::message_bytes_default;
    duration_us ttl{0};  // of messages without one of their own, from their append on; 0 = none
    brokerd::durability durability = brokerd::durability::disk;  // of publishes: disk or os
    // How long the ids of messages are remembered; 0 = ids are not looked at.
    duration_us message_id_window = limits::message_id_window_default;
    // Bytes of messages that every queue is done with that stay readable. With keep_done: those
    // within both; alone: however old they are; 0: no bound, keep_done alone.
    std::uint64_t keep_done_bytes = 0;
    // Bounds of what some queue is not done with yet (without queues: of everything); 0: none.
    std::uint64_t max_bytes = 0;  // of the batches as they were published
    std::uint64_t max_messages = 0;
    full_policy when_full = full_policy::refuse;
    // Older messages are dropped, whether or not a queue still needs them; 0: never.
    duration_us max_age{0};
    // Levels of priority, fixed when the topic is made: 1 .. limits::priorities_max. 0: not said,
    // which is 1 for a new topic and no change for one that is there.
    std::uint8_t priorities = 0;

    bool operator==(const topic_settings&) const = default;
    static constexpr std::size_t fields_min = 2;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"keep_done", &topic_settings::keep_done,
                  "how long a message stays readable after every queue is done with it"},
            field{"max_message_bytes", &topic_settings::max_message_bytes,
                  "largest message the topic accepts"},
            field{
                "ttl", &topic_settings::ttl,
                "time to live of messages that have none of their own, from their append on; 0 or "
                "missing: for ever"},
            field{"durability", &topic_settings::durability,
                  "how far a publish is made safe before its reply: 1 disk, 3 os; may be missing: "
                  "1"},
            field{"message_id_window", &topic_settings::message_id_window,
                  "how long the ids of messages are remembered; 0: they are not looked at; may be "
                  "missing: 24 hours"},
            field{
                "keep_done_bytes", &topic_settings::keep_done_bytes,
                "bytes of messages every queue is done with that stay readable: within keep_done, "
                "or without it however old; 0 or missing: no bound by bytes"},
            field{"max_bytes", &topic_settings::max_bytes,
                  "most bytes of messages some queue is not done with; 0 or missing: no bound"},
            field{"max_messages", &topic_settings::max_messages,
                  "likewise, most messages; 0 or missing: no bound"},
            field{"when_full", &topic_settings::when_full,
                  "what becomes of a publish beyond these bounds: 1 refuse, 2 drop the oldest "
                  "messages; may be missing: 1"},
            field{"max_age", &topic_settings::max_age,
                  "older messages are dropped, done or not; 0 or missing: never"},
            field{"priorities", &topic_settings::priorities,
                  "levels of priority, 1 to 10, fixed when the topic is made; 0 or missing: 1, or "
                  "as it is"}};
    }
};

// Settings of a queue.
struct queue_settings {
    duration_us lease = limits::lease_default;              // 100 ms .. 12 h
    std::uint32_t attempts = limits::attempts_default;      // 1 .. 1000; then a message is dead
    duration_us backoff = limits::backoff_initial_default;  // first retry delay, doubled each time
    duration_us backoff_max = limits::backoff_max_default;
    std::uint64_t max_retrying = limits::retrying_default;  // dispatch pauses beyond
    std::uint64_t max_runs = limits::runs_default;          // likewise, intervals of done messages
    std::uint32_t jitter_percent = limits::backoff_jitter_percent;  // 0 .. 100, of each delay
    brokerd::after_failure after_failure = brokerd::after_failure::block;  // keyed and single
    duration_us expires{0};  // a temporary queue goes after so long without a consumer; 0 = never
    expiry_action on_expiry = expiry_action::done;  // of messages whose time to live is over
    std::string filter{};  // FILTER.md; messages it does not take are done at once; empty: all
    offset_t until = 0;    // messages from this offset on are done at once; 0: none

    bool operator==(const queue_settings&) const = default;
    static constexpr std::size_t fields_min = 6;  // of its first version
    static constexpr auto fields() {
        return std::tuple{
            field{"lease", &queue_settings::lease, "how long a lease lasts unless extended"},
            field{"attempts", &queue_settings::attempts, "failed leases after which it is dead"},
            field{"backoff", &queue_settings::backoff, "first retry delay, doubled each time"},
            field{"backoff_max", &queue_settings::backoff_max, "longest retry delay"},
            field{"max_retrying", &queue_settings::max_retrying,
                  "retrying messages beyond which dispatch pauses"},
            field{"max_runs", &queue_settings::max_runs,
                  "gaps between settled messages beyond which dispatch pauses"},
            field{"jitter_percent", &queue_settings::jitter_percent,
                  "retry delays are spread by up to this much to either side; may be missing: 20"},
            field{"after_failure", &queue_settings::after_failure,
                  "of keyed and single queues: 1 block what comes behind a retrying message, 2 "
                  "skip; may "
                  "be missing: 1"},
            field{"expires", &queue_settings::expires,
                  "the queue is removed after so long without a consumer; 0 or missing: never"},
            field{"on_expiry", &queue_settings::on_expiry,
                  "what a message whose time to live is over becomes: 1 done, 2 dead; may be "
                  "missing: 1"},
            field{"filter", &queue_settings::filter,
                  "FILTER.md; messages it does not take are done at once; empty or missing: takes "
                  "all"},
            field{"until", &queue_settings::until,
                  "messages from this offset on are done at once; 0 or missing: none"}};
    }
};

struct position {
    position_kind kind = position_kind::earliest;
    offset_t offset = 0;  // with kind offset
    wall_time time{};     // with kind time: the first message appended at or after it

    bool operator==(const position&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"kind", &position::kind, "1 earliest, 2 latest, 3 offset, 4 time"},
                          field{"offset", &position::offset, "with kind 3"},
                          field{"time", &position::time,
                                "with kind 4: the first message appended at or after it"}};
    }
};

// One failed lease of a message, as kept in its history.
struct attempt {
    wall_time time{};
    attempt_outcome outcome = attempt_outcome::nacked;
    std::string consumer{};  // name@host:pid
    std::string reason{};    // the consumer's words; empty for expiry and loss

    bool operator==(const attempt&) const = default;
    static constexpr auto fields() {
        return std::tuple{field{"time", &attempt::time, "when it ended"},
                          field{"outcome", &attempt::outcome,
                                "1 nacked, 2 expired, 3 lost, 4 rejected, 5 ttl expired"},
                          field{"consumer", &attempt::consumer, "name@host:pid"},
                          field{"reason", &attempt::reason, "the consumer's words"}};
    }
};

}  // namespace brokerd
