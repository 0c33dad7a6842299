// Administration and inspection: what brokerctl is made of. Looking changes nothing.
// The structs mirror the answers of the broker. C++20, no other library.
//
//     auto client = brokerd::connect("127.0.0.1:4650");
//     brokerd::admin admin{client};
//     for (const auto& queue : admin.queues()) { std::cout << queue.queue << queue.ready; }
//
// All functions block until the answer is there, and throw brokerd::error. Besides those named at
// each function: closed, not_connected, and
//   functions that only look: timed_out, no answer within request_timeout. They are asked again by
//     themselves after a loss of the connection.
//   functions that change something: outcome_unknown, no answer within request_timeout or the
//     connection was lost after the request was sent. Those that say "repeatable" are repeated by
//     themselves instead, as doing them twice is doing them once.
// A function on a topic throws topic_not_found and invalid_name, one on a queue queue_not_found and
// invalid_name, without saying so again.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <brokerd/client.hpp>
#include <brokerd/types.hpp>

namespace brokerd {

struct topic_info {
    std::string topic;
    std::uint64_t id = 0;  ///< Incarnation: never reused.
    topic_options settings;
    timestamp created{};
    std::uint64_t first_offset = 0;  ///< Oldest readable offset.
    std::uint64_t next_offset = 0;   ///< Offset of the next message.
    std::uint64_t messages = 0;      ///< Readable messages.
    std::uint64_t bytes = 0;         ///< Of their batches, as they were published.
    std::uint32_t queues = 0;
    double in_per_second = 0;           ///< 10 s average.
    std::uint64_t scheduled = 0;        ///< Messages that are scheduled and not appended yet.
    std::uint64_t scheduled_bytes = 0;  ///< Of these, as stored.
    /// What topic_options::max_messages bounds: messages from the first one on that some queue has
    /// ready or leased; without a queue all.
    std::uint64_t pending = 0;
    std::uint64_t pending_bytes = 0;  ///< Of these: what topic_options::max_bytes bounds.
    /// Messages that were dropped to keep the bounds of the topic and that some queue was not done
    /// with, or without a queue all that were; since the topic was created.
    std::uint64_t dropped = 0;
    std::uint64_t dropped_bytes = 0;        ///< Of these, estimated.
    timestamp last_dropped = no_timestamp;  ///< When the last ones were.
};

struct queue_info {
    std::string topic;
    std::string queue;     ///< Name without the topic.
    std::uint64_t id = 0;  ///< Incarnation: never reused.
    delivery_mode mode = delivery_mode::shared;
    queue_options settings;
    timestamp created{};
    std::uint64_t ready = 0;
    std::uint64_t leased = 0;
    std::uint64_t retrying = 0;
    std::uint64_t dead = 0;
    std::uint64_t done = 0;           ///< Since the queue was created.
    timestamp oldest = no_timestamp;  ///< Append time of the oldest that is neither done nor dead.
    double in_per_second = 0;         ///< 10 s average.
    double out_per_second = 0;        ///< Done per second, 10 s average.
    std::uint32_t consumers = 0;
    bool paused = false;
    std::uint64_t floor = 0;  ///< All messages below are done, retrying or dead.
    std::string state;        ///< One word: why it moves or not.
    /// Messages it was not done with when its topic dropped them, since the queue was created.
    std::uint64_t dropped = 0;

    [[nodiscard]] std::string path() const { return topic + '/' + queue; }
};

/// A pattern queue: the rule that makes a queue in every topic it matches.
struct pattern_info {
    std::string pattern;  ///< PATTERN/QUEUE: `orders.*/billing`
    delivery_mode mode = delivery_mode::shared;
    queue_options settings;  ///< Of the queues it makes.
    timestamp created{};
    /// Queues of its name and mode in topics it matches, whoever made them.
    std::uint32_t queues = 0;
    std::uint32_t consumers = 0;  ///< Attached to the pattern queue itself.

    bool operator==(const pattern_info&) const = default;
};

/// Answer of set_pattern.
struct changed_pattern {
    std::uint32_t queues = 0;   ///< That it has.
    std::uint32_t changed = 0;  ///< Of these: those that had other settings.

    bool operator==(const changed_pattern&) const = default;
};

/// State of a message in a queue.
enum class delivery_state : std::uint8_t {
    ready = 1,     ///< Waits for a consumer.
    leased = 2,    ///< A consumer holds it.
    retrying = 3,  ///< An attempt failed; waits for its due time.
    dead = 4,      ///< Attempts used up, rejected, or expired (queue_options::on_expiry).
    done = 5,      ///< Acknowledged, purged, sought past, expired, or not for the queue.
};
/// "ready", "leased", ...
[[nodiscard]] std::string_view to_string(delivery_state state) noexcept;

/// A message in one queue.
struct message_in_queue {
    std::string queue;  ///< Name without the topic.
    delivery_state state = delivery_state::ready;
    std::uint32_t attempts = 0;            ///< Failed so far.
    std::uint32_t attempts_max = 0;        ///< Dead after this many.
    timestamp due = no_timestamp;          ///< Retrying: when it is ready again.
    timestamp lease_until = no_timestamp;  ///< Leased: until when.
    std::string consumer;                  ///< Leased: to whom.
    lease_token lease;                     ///< Leased: its identity.
    std::vector<failed_attempt> history;   ///< Oldest first.
    std::string next;                      ///< What happens next, one sentence.
};

struct shown_message {
    bool readable = false;  ///< False: removed, no queue keeps it.
    std::optional<stored_message> message;
    std::vector<message_in_queue> queues;
};

/// A page of a topic.
struct read_page {
    std::uint64_t first_offset = 0;  ///< Oldest readable offset of the topic.
    std::uint64_t next_offset = 0;   ///< Offset of its next message.
    std::uint64_t position = 0;      ///< Where to continue.
    std::vector<stored_message> messages;
};

struct read_options {
    std::uint32_t messages_max = 1024;
    std::uint32_t bytes_max = 1024 * 1024;  ///< One message is always returned.
    std::chrono::microseconds wait{0};      ///< Nothing there: wait for something, at most 30 s.
};

struct dead_message {
    std::uint64_t offset = 0;
    timestamp since{};
    std::uint32_t attempts = 0;
    std::string reason;    ///< Of the last attempt; "ttl expired" if its time to live was over.
    std::string consumer;  ///< Of the last attempt.
};

/// Some of the messages of a queue: those of a range that a filter takes.
struct selection {
    std::string filter;                ///< In the language of FILTER.md; empty: all.
    std::uint64_t from = 0;            ///< First offset.
    std::uint64_t until = UINT64_MAX;  ///< End of the range, exclusive.
    /// Most messages of one call; 0: as many as the broker does at once.
    std::uint32_t limit = 0;
};

struct dead_page {
    std::uint64_t next = 0;  ///< Continue from here.
    bool more = false;       ///< There are further ones.
    std::vector<dead_message> messages;
};

/// What an operation on many messages did in one slice.
struct slice {
    std::uint64_t messages = 0;  ///< Concerned in this slice.
    std::uint64_t next = 0;      ///< Continue from here; seek: where it led.
    bool more = false;           ///< There is more to do.
};

/// What is scheduled under one id.
struct schedule_info {
    std::uint64_t id = 0;        ///< Unique in its topic, never reused.
    timestamp due{};             ///< When it is appended to the topic.
    std::uint32_t messages = 0;  ///< More than one only if another client library scheduled it.
    std::uint64_t bytes = 0;     ///< As stored.
    std::string key;             ///< Of the first message; empty: none.

    bool operator==(const schedule_info&) const = default;
};

/// A place in the schedules of a topic, which are in order of due time, then id: behind these.
struct schedule_position {
    timestamp due{};
    std::uint64_t id = 0;

    bool operator==(const schedule_position&) const = default;
};

struct schedule_page {
    schedule_position next;  ///< Continue from here.
    bool more = false;       ///< There are further ones.
    std::vector<schedule_info> schedules;
};

struct consumer_info {
    std::string topic;
    std::string queue;  ///< Name without the topic.
    std::string name;   ///< name@host:pid
    std::uint64_t connection = 0;
    std::uint32_t consumer = 0;  ///< Unique on its connection.
    std::uint32_t prefetch_messages = 0;
    std::uint64_t prefetch_bytes = 0;
    std::uint64_t leased = 0;        ///< Messages it holds.
    std::uint64_t leased_bytes = 0;  ///< Their bytes.
    std::uint64_t delivered = 0;     ///< Since it attached.
    timestamp attached{};
    bool standby = false;  ///< Of a queue of mode single, and not the active one.
};

struct connection_info {
    std::uint64_t connection = 0;
    std::string name;
    std::string address;
    timestamp connected{};
    std::uint32_t consumers = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t outbox_bytes = 0;
    std::uint32_t credit_messages = 0;
    std::uint64_t credit_bytes = 0;
};

struct service_info {
    std::string service;
    std::uint32_t responders = 0;
    std::uint64_t in_progress = 0;  ///< Requests with a responder.
    std::uint64_t waiting = 0;      ///< Requests that wait for one with room.
    std::uint64_t answered = 0;     ///< Since the service has had responders.
    std::uint64_t failed = 0;       ///< Likewise: with a failure, in no time, or by nobody.

    bool operator==(const service_info&) const = default;
};

struct health_info {
    bool writable = false;              ///< A synced commit succeeded, publishes are accepted.
    std::vector<std::string> warnings;  ///< What a person should look at.
};

struct stat {
    std::string name;
    double value = 0;
    std::string help;  ///< What is counted, unit.
};

/// Administration through a client; a handle that shares its connection. It must not outlive the
/// client. Thread safe.
class admin {
public:
    explicit admin(client& client);

    // Topics. Creating: client::ensure_topic().

    /// All topics by name, or the one named. Errors: topic_not_found.
    [[nodiscard]] std::vector<topic_info> topics(std::string_view only = {});
    /// One topic.
    [[nodiscard]] topic_info topic(std::string_view topic);
    /// Replaces all settings; they hold from now on, also for what is stored. Repeatable.
    /// Errors: invalid_setting.
    void set_topic(std::string_view topic, const topic_options& settings);
    /// Removes a topic, its queues, all its messages and what is scheduled for it.
    void remove_topic(std::string_view topic);

    // Queues, named TOPIC/QUEUE. Creating: client::ensure_queue().

    /// All queues by name, or those of one topic.
    [[nodiscard]] std::vector<queue_info> queues(std::string_view topic = {});
    /// One queue.
    [[nodiscard]] queue_info queue(std::string_view queue);
    /// Replaces all settings. Repeatable. Errors: invalid_setting.
    void set_queue(std::string_view queue, const queue_options& settings);
    /// Makes a queue of the same topic, called `name` (without the topic), with the settings and
    /// the whole state of `queue`: what is done, retrying and dead there; what is leased is ready
    /// in the new one. All of it or nothing; `queue` is left as it is. Returns the settings.
    /// Errors: queue_exists: the name is taken; too_many_queues; busy: it is being moved or cloned
    /// by another; invalid_argument: more messages are retrying or dead than can be copied, or
    /// their attempts or the records kept for them have too many bytes; queue_removed: `queue` went
    /// meanwhile; resource_disk.
    queue_options clone_queue(std::string_view queue, std::string_view name);
    /// Counts what is ready by level of priority, in slices of which each reads some of the topic:
    /// exact if nothing happens in the queue meanwhile. Errors: feature_unsupported: the broker is
    /// too old for priorities; queue_removed: meanwhile.
    [[nodiscard]] level_counts queue_levels(std::string_view queue);
    /// Removes a queue with its state.
    void remove_queue(std::string_view queue);
    /// Stops dispatch; what is leased stays leased. Repeatable.
    void pause_queue(std::string_view queue);
    /// Starts dispatch again. Repeatable.
    void resume_queue(std::string_view queue);
    /// Moves a queue: messages below become done, from there on ready; dead ones stay; all leases
    /// end. Returns how many are ready afterwards and where it led (the position is clamped to the
    /// readable range). `dry_run`: change nothing, only count.
    slice seek_queue(std::string_view queue, log_position to, bool dry_run = false);
    /// Makes ready and retrying messages done; leased and dead ones stay. One slice per call: call
    /// again from `next` while `more`, which a slice that concerned none may say. Without a
    /// selection all in one call. `dry_run`: change nothing, only count. Errors: invalid_argument:
    /// the filter.
    slice purge_queue(std::string_view queue, const selection& which = {}, bool dry_run = false);
    /// Why the queue, or one of its messages, does not move: one sentence.
    [[nodiscard]] std::string explain(std::string_view queue,
                                      std::optional<std::uint64_t> offset = std::nullopt);

    // Pattern queues, named PATTERN/QUEUE. Creating: client::ensure_queue(). Their queues are
    // queues like any other, named TOPIC/QUEUE: they may be paused, moved, removed, each for
    // itself. Errors: pattern_not_found, invalid_name; feature_unsupported: the broker is too old
    // for them.

    /// All pattern queues by name.
    [[nodiscard]] std::vector<pattern_info> patterns();
    /// One pattern queue.
    [[nodiscard]] pattern_info pattern(std::string_view pattern);
    /// Replaces all settings of the pattern queue and of all its queues, all of it or nothing; an
    /// end (queue_options::until) that one of them has stays, the rule itself has none. A missing
    /// one is not created, unless it is removed between the look for it and the change. Errors:
    /// invalid_setting; invalid_argument: an end; pattern_too_wide: it has more queues than one
    /// request may change.
    changed_pattern set_pattern(std::string_view pattern, const queue_options& settings);
    /// Removes the pattern queue; consumers of it end with pattern_not_found. Its queues stay, and
    /// are queues like any other; with `remove_queues` they go, but for those that another pattern
    /// queue has, too. Returns how many went. `dry_run`: change nothing, only count. Errors:
    /// pattern_too_wide: more queues than one request may remove.
    std::uint64_t remove_pattern(std::string_view pattern, bool remove_queues = false,
                                 bool dry_run = false);

    // Messages.

    /// Messages from a position on. To follow a topic use a reader: it notices when the topic is
    /// not the same one any more. Errors: gone: the offset is below the oldest readable one.
    [[nodiscard]] read_page read(std::string_view topic, log_position from,
                                 const read_options& options = {});
    /// A message and its state in every queue. Errors: not_found: no message has this offset yet.
    [[nodiscard]] shown_message show(std::string_view topic, std::uint64_t offset);

    // What is scheduled for a topic. Scheduling: client::schedule().

    /// At most `limit` (1 to 1000), the next due first. A page may hold fewer and yet not be the
    /// last: go on from `next` while `more`.
    [[nodiscard]] schedule_page schedules(std::string_view topic,
                                          const schedule_position& from = {},
                                          std::uint32_t limit = 1000);
    /// Cancels schedules, 1 to 1000 of them, and returns how many were: those that were appended or
    /// cancelled before, and ids that never were, are passed over. What is cancelled is never
    /// appended, and its id not used again. Errors: invalid_argument: too few or too many.
    std::uint64_t cancel_schedules(std::string_view topic, const std::vector<std::uint64_t>& ids);

    // Dead messages of a queue. A page or slice may hold none and yet not be the last: go on from
    // `next` while `more`. Errors: invalid_argument: the filter.

    /// At most `limit` (1 to 1000) of those that the filter takes; empty: all.
    [[nodiscard]] dead_page dead(std::string_view queue, std::uint64_t from = 0,
                                 std::uint32_t limit = 1000, std::string_view filter = {});
    /// Makes dead messages ready again with all attempts. `dry_run`: change nothing, only count.
    slice redrive_dead(std::string_view queue, const selection& which = {}, bool dry_run = false);
    /// Makes dead messages done, likewise.
    slice purge_dead(std::string_view queue, const selection& which = {}, bool dry_run = false);

    // The broker.

    /// All consumers, or those of one queue TOPIC/QUEUE.
    [[nodiscard]] std::vector<consumer_info> consumers(std::string_view queue = {});
    /// All services that have a responder, by name. Asking one: client::request().
    [[nodiscard]] std::vector<service_info> services();
    [[nodiscard]] std::vector<connection_info> connections();
    /// Closes a connection of some client. Errors: connection_not_found.
    void close_connection(std::uint64_t connection);
    /// Proves that the broker can write: answered after a synced commit.
    [[nodiscard]] health_info health();
    [[nodiscard]] std::vector<stat> stats();

private:
    std::shared_ptr<client_core::blocking_client> state_;
};

}  // namespace brokerd
