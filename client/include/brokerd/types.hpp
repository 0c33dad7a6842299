// The plain values of the client library: addresses, messages to publish and as stored, positions,
// settings. Owned data without behaviour; no thread affinity. C++20, no other library.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace brokerd {

/// Wall time in UTC with microseconds.
using timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// "No such time": a due time that is not set, the oldest message of an empty queue.
inline constexpr timestamp no_timestamp = timestamp::max();

/// A wait without end.
inline constexpr std::chrono::microseconds forever = std::chrono::microseconds::max();

/// Where a message is: `orders.eu@812`.
struct address {
    std::string topic;
    std::uint64_t offset = 0;

    /// Reads `TOPIC@OFFSET`. Throws error (client_errc::invalid_argument) for anything else.
    [[nodiscard]] static address parse(std::string_view text);

    bool operator==(const address&) const = default;
};
/// Writes `TOPIC@OFFSET`.
[[nodiscard]] std::string to_string(const address& at);
std::ostream& operator<<(std::ostream& out, const address& at);

/// Name and value. UTF-8 text without control characters.
using header = std::pair<std::string, std::string>;

/// A message to publish: `{.key = "42", .headers = {{"trace", id}}, .payload = body}`.
/// Limits: key 4 KiB; 64 headers, 16 KiB of names and values; id 255 bytes; the whole message what
/// the topic accepts (1 MiB unless the topic says otherwise).
struct outgoing_message {
    std::optional<std::string> key{};  ///< Groups messages that belong together; any bytes.
    std::vector<header> headers{};
    std::string payload{};  ///< Any bytes.
    /// How long it may wait to be delivered, counted from its append; then it is done or dead, as
    /// each queue says (queue_options::on_expiry). Not set: what the topic says. At least 1 ms,
    /// rounded up to milliseconds.
    std::optional<std::chrono::microseconds> ttl{};
    /// Says which message it is, whoever sends it how often: while the topic remembers an id
    /// (topic_options::message_id_window), a message with it is not stored again, and its publish
    /// has the offset of the first. Any bytes; empty: none.
    std::string id{};
    /// 0 to 9; a higher one goes first where the topic has levels (topic_options::priorities) and
    /// the queue is of mode shared. It is delivered in any case.
    std::uint8_t priority = 0;
};

/// A message as the topic stores it, seen by looking and not leased.
struct stored_message {
    std::string topic;
    std::uint64_t offset = 0;
    timestamp time{};  ///< When the broker appended it.
    std::optional<std::string> key;
    std::vector<header> headers;
    std::string payload;
    /// Its own time to live; not set: what the topic says (topic_options::ttl).
    std::optional<std::chrono::milliseconds> ttl{};
    std::string id{};           ///< What its publisher named it; empty: nothing.
    std::uint8_t priority = 0;  ///< As published; 0: none.

    bool operator==(const stored_message&) const = default;
};

/// How far a message was made safe before its publish was answered.
enum class durability_level : std::uint8_t {
    disk = 1,    ///< Synced to disk.
    memory = 2,  ///< The broker keeps its data only as long as it runs. No setting of a topic.
    os = 3,      ///< Handed to the operating system and synced soon: a power cut may take it.
};
/// "disk", "memory", "os".
[[nodiscard]] std::string_view to_string(durability_level level) noexcept;

/// How an attempt ended.
enum class attempt_end : std::uint8_t {
    nacked = 1,
    expired = 2,  ///< The lease ran out.
    lost = 3,     ///< The connection went away without goodbye.
    rejected = 4,
    ttl_expired = 5,  ///< Its time to live was over: no attempt, but why it is dead.
};
/// "nacked", "expired", ...
[[nodiscard]] std::string_view to_string(attempt_end end) noexcept;

struct failed_attempt {
    timestamp time{};
    attempt_end outcome = attempt_end::nacked;
    std::string consumer;  ///< name@host:pid
    std::string reason;    ///< The consumer's words; empty for expiry and loss.
};

/// Identity of a lease and a fencing token: of two leases of one message the later compares
/// greater, so a resource that remembers the greatest token it has seen can refuse a holder that
/// was too slow.
struct lease_token {
    std::uint32_t epoch = 0;    ///< Incremented at each start of the broker.
    std::uint64_t counter = 0;  ///< Per queue.

    auto operator<=>(const lease_token&) const = default;
};

/// A place in a topic: where a reader or a new queue begins, where a seek goes.
class log_position {
public:
    enum class kind : std::uint8_t { earliest = 1, latest = 2, offset = 3, time = 4 };

    /// The oldest message that can be read. What a default-constructed position means.
    [[nodiscard]] static log_position earliest() { return {}; }
    /// Behind the newest message: only what is published from now on.
    [[nodiscard]] static log_position latest() { return {kind::latest, 0, {}}; }
    [[nodiscard]] static log_position at_offset(std::uint64_t offset) {
        return {kind::offset, offset, {}};
    }
    /// The first message appended at or after `time`.
    [[nodiscard]] static log_position at_time(timestamp time) { return {kind::time, 0, time}; }

    log_position() = default;

    [[nodiscard]] kind which() const { return kind_; }
    [[nodiscard]] std::uint64_t offset() const { return offset_; }  ///< With kind::offset.
    [[nodiscard]] timestamp time() const { return time_; }          ///< With kind::time.

    bool operator==(const log_position&) const = default;

private:
    log_position(kind which, std::uint64_t offset, timestamp time)
        : kind_(which), offset_(offset), time_(time) {}

    kind kind_ = kind::earliest;
    std::uint64_t offset_ = 0;
    timestamp time_{};
};

/// When a scheduled message is appended to its topic: `schedule_time::after(10min)`,
/// `schedule_time::at(midnight)`. Times that have passed mean at once.
class schedule_time {
public:
    /// So long after its arrival at the broker, not negative; 0: at once.
    [[nodiscard]] static schedule_time after(std::chrono::microseconds delay) {
        return {{}, delay};
    }
    /// At this time of the broker's clock, from 1970 on; rounded up to microseconds.
    template <typename Duration>
    [[nodiscard]] static schedule_time at(
        std::chrono::time_point<std::chrono::system_clock, Duration> time) {
        return {std::chrono::ceil<std::chrono::microseconds>(time), {}};
    }

    [[nodiscard]] timestamp time() const { return time_; }  ///< 1970: it is after(delay()).
    [[nodiscard]] std::chrono::microseconds delay() const { return delay_; }  ///< 0 with at().

    bool operator==(const schedule_time&) const = default;

private:
    schedule_time(timestamp time, std::chrono::microseconds delay) : time_(time), delay_(delay) {}

    timestamp time_{};
    std::chrono::microseconds delay_{};
};

/// What becomes of a publish that a topic has no room for.
enum class overflow_policy : std::uint8_t {
    refuse = 1,       ///< It is refused with topic_full; what is scheduled waits for room.
    drop_oldest = 2,  ///< The oldest messages make room, whether or not a queue still needs them.
};
/// "refuse", "drop-oldest".
[[nodiscard]] std::string_view to_string(overflow_policy policy) noexcept;

/// Settings of a topic. The defaults are those of the broker.
struct topic_options {
    /// How long a message stays readable after every queue is done with it; see keep_done_bytes.
    std::chrono::microseconds keep_done{0};
    /// Largest message the topic accepts, in bytes; at most 64 MiB.
    std::uint64_t max_message_bytes = 1024 * 1024;
    /// Time to live of messages that have none of their own, from their append on, also of those
    /// that are stored already; 0: for ever.
    std::chrono::microseconds ttl{0};
    /// How far a publish is made safe before it is answered: disk, or os, which is faster and may
    /// lose what was acknowledged last in a power cut (not when the broker alone is killed).
    durability_level durability = durability_level::disk;
    /// How long the ids of messages are remembered, up to 365 days, and as long as no more than
    /// 16,777,216 messages came behind; 0: they are stored, but not looked at.
    std::chrono::microseconds message_id_window = std::chrono::hours{24};
    /// How many bytes of messages that every queue is done with stay readable: of what keep_done
    /// keeps, or without it of the last ones, however old; 0: no bound by bytes. They never make
    /// the topic full: they give way to what is published.
    std::uint64_t keep_done_bytes = 0;
    /// Most bytes of what is pending, at least 4 KiB; 0: no bound. Pending is everything from the
    /// first message on that some queue has ready or leased, in a topic without queues everything;
    /// messages before that which are retrying or dead do not count. Bytes are those of the batches
    /// as they were published.
    std::uint64_t max_bytes = 0;
    /// Most messages of what is pending; 0: no bound.
    std::uint64_t max_messages = 0;
    /// What becomes of a publish beyond max_bytes or max_messages.
    overflow_policy when_full = overflow_policy::refuse;
    /// Messages that were appended longer ago are dropped, whether or not a queue still needs them,
    /// and whatever keep_done says: 1 s to 36500 days, to within a 64th of it (at least 100 ms);
    /// 0: never. What is dropped, for this or to make room, is done in every queue and no longer
    /// readable, but what is retrying or dead stays; it is counted (topic_info::dropped).
    std::chrono::microseconds max_age{0};
    /// Levels of priority, 1 to 10, fixed when the topic is made. A message of priority p has the
    /// level min(p, priorities - 1); queues of mode shared give out the highest level first, and
    /// within a level the oldest. Modes keyed and single promise the order of the topic, and take
    /// no notice. 0: not said, which means 1 for a new topic, and as it is for one that exists. Of
    /// a broker that is too old for priorities it is 0.
    std::uint8_t priorities = 0;

    bool operator==(const topic_options&) const = default;
};

/// How a queue hands out messages; fixed when it is created.
enum class delivery_mode : std::uint8_t {
    shared = 1,  ///< Any consumer, any order of completion.
    keyed = 2,   ///< The messages of a key in stored order, one at a time; keys go on in parallel.
    single = 3,  ///< All messages in stored order, one at a time, to one active consumer.
};
/// "shared", "keyed", "single".
[[nodiscard]] std::string_view to_string(delivery_mode mode) noexcept;

/// What the later messages of a key (mode single: all later messages) do while one is retrying.
enum class failure_policy : std::uint8_t {
    block = 1,  ///< Wait until it is done or dead.
    skip = 2,   ///< Go on; it comes when its retry is due.
};
/// "block", "skip".
[[nodiscard]] std::string_view to_string(failure_policy policy) noexcept;

/// What a message whose time to live is over becomes in a queue.
enum class expiry_policy : std::uint8_t {
    done = 1,  ///< As if it had been acknowledged.
    dead = 2,  ///< Kept, with the reason "ttl expired", until it is redriven or purged.
};
/// "done", "dead".
[[nodiscard]] std::string_view to_string(expiry_policy policy) noexcept;

/// Settings of a queue. The defaults are those of the broker.
struct queue_options {
    /// How long a lease lasts unless renewed: 100 ms to 12 h.
    std::chrono::microseconds lease = std::chrono::seconds{30};
    /// Failed attempts after which a message is dead: 1 to 1000.
    std::uint32_t attempts = 16;
    /// Delay before the first retry; it doubles with each.
    std::chrono::microseconds backoff = std::chrono::seconds{1};
    /// Longest delay before a retry.
    std::chrono::microseconds backoff_max = std::chrono::minutes{10};
    /// Retrying messages beyond which the queue pauses.
    std::uint64_t max_retrying = 100'000;
    /// Gaps between settled messages beyond which the queue pauses.
    std::uint64_t max_runs = 100'000;
    /// Retry delays are spread by up to this much to either side, so that what failed together
    /// does not come back together: 0 to 100.
    std::uint32_t jitter_percent = 20;
    /// Of queues of mode keyed and single.
    failure_policy after_failure = failure_policy::block;
    /// A temporary queue: it is removed, with what it holds, when it had no consumer for so long:
    /// 1 s to 365 days; 0: never. The time begins anew with ensure_queue() and with a start of the
    /// broker (then it is 10 s at least). Choose it well above the time in which a consumer that
    /// lost its connection is back: one that is later gets queue_not_found or queue_removed.
    std::chrono::microseconds expires{0};
    /// What messages become whose time to live is over.
    expiry_policy on_expiry = expiry_policy::done;
    /// Which messages are for the queue, in the language of FILTER.md: of offset, time, size, key
    /// and headers. All others are done at once. Empty: all are for it. Changed while running it
    /// applies to what is ready, not to what was given out before.
    std::string filter{};
    /// Messages from this offset on are not for the queue: it ends there. 0: it has no end.
    std::uint64_t until = 0;

    bool operator==(const queue_options&) const = default;
};

/// Answer of ensure_topic.
struct ensured_topic {
    bool created = false;                ///< False: it existed and was left as it is.
    topic_options settings;              ///< In force.
    std::vector<std::string> differing;  ///< Names of settings that are not as asked for.
};

/// Answer of ensure_queue.
struct ensured_queue {
    bool created = false;                ///< False: it existed and was left as it is.
    bool topic_created = false;          ///< Its topic was missing and is new, too.
    queue_options settings;              ///< In force.
    std::vector<std::string> differing;  ///< Names of settings that are not as asked for.
    std::uint32_t queues = 0;            ///< Of a pattern queue: how many it has now.
};

/// What is ready in a queue, by level of priority (topic_options::priorities).
struct level_counts {
    /// Messages that are ready and have never failed; ready[0] is the lowest level.
    std::vector<std::uint64_t> ready;
    /// Messages of any level that are ready and have failed before.
    std::uint64_t due = 0;

    bool operator==(const level_counts&) const = default;
};

/// Who answers at the other end.
struct broker_info {
    std::string version;           ///< For people.
    std::string database_id;       ///< Identity of the data directory.
    std::uint32_t epoch = 0;       ///< Incremented at each start of the broker.
    std::uint64_t connection = 0;  ///< Identity of this connection.
};

}  // namespace brokerd
