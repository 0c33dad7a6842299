// The blocking interface of brokerd: connect, publish, consume, read, ask and reply. It runs one
// thread of its own for the network; no Asio is needed to use it. C++20, no other library.
//
//     auto client = brokerd::connect("127.0.0.1:4650");
//     client.ensure_queue("orders.eu/billing", {.lease = 30s});
//     // Returns when it is durable, for example orders.eu@812.
//     auto at = client.publish("orders.eu", {.key = "42", .payload = "..."});
//     client.consume("orders.eu/billing", [](const brokerd::message& m) { handle(m); });
//
// The connection is the library's business: when it is lost, the client connects again with
// jittered back-off, sends again what may be sent again, takes its leases up again, and what waits
// simply waits longer, up to client_options::give_up_after.
//
// Every function that fails throws brokerd::error. Besides the errors named at each function, all
// of them may throw: closed (the client was closed), not_connected (no connection for
// give_up_after, nothing was done), invalid_argument (no broker would take this argument),
// broker_errc::draining and internal.
//
// The objects here are handles. All functions may be called from any number of threads at once,
// except the destructor and moves. None may be called from the callbacks of client_options,
// submit() or schedule(), unless it says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <brokerd/error.hpp>
#include <brokerd/message.hpp>
#include <brokerd/options.hpp>
#include <brokerd/service.hpp>
#include <brokerd/transaction.hpp>
#include <brokerd/types.hpp>

namespace brokerd {

class admin;

namespace client_core {
class blocking_client;
class blocking_consumer;
class blocking_reader;
}  // namespace client_core

/// Fate of one submitted or scheduled message. The views and the pointer are valid during the
/// callback.
struct publish_result {
    std::string_view topic;
    std::uint64_t offset = 0;  ///< Its address, of a scheduled one its id; if no failure.
    /// It had been stored before: by an earlier attempt of the client, or by whoever published or
    /// scheduled a message with its id before, and offset is that of the first.
    bool duplicate = false;
    durability_level level = durability_level::disk;  ///< How safe it was when it was acknowledged.
    const error* failure = nullptr;  ///< Why it was not acknowledged; errors as for publish().

    [[nodiscard]] explicit operator bool() const noexcept { return failure == nullptr; }
};

/// Called once for each submitted or scheduled message, on the client's network thread. Must return
/// soon, must not throw and must not call functions of the client that may block.
using publish_callback = std::function<void(const publish_result&)>;

/// What became of the answers of a consumer that asked for confirmation.
struct settle_counts {
    std::uint64_t accepted = 0;  ///< Durable.
    std::uint64_t refused = 0;   ///< The lease was lost before; these messages may come again.
};

/// Takes messages from a queue one by one. Created by client::open_consumer().
/// Thread safety: any threads; several threads in next() each get different messages.
class consumer {
public:
    consumer(consumer&&) noexcept;
    consumer& operator=(consumer&&) noexcept;
    /// As close(), without waiting for confirmations.
    ~consumer();

    /// The next message, or nothing when none came within `timeout`, when `limit` messages were
    /// returned, or when close() was called meanwhile. Zero: only what is already here.
    /// Losing the connection is no error; the wait goes on over the next one.
    /// Errors: queue_not_found, queue_removed, topic_removed: the queue went away;
    /// pattern_not_found: the pattern queue did.
    [[nodiscard]] std::optional<message> next(std::chrono::microseconds timeout = forever);

    /// Waits until every answer given so far is durable; needs consume_options::confirm. Returns
    /// the counts since the consumer was opened, without answers in transactions.
    /// Errors: invalid_argument without `confirm`. outcome_unknown: no connection for
    /// give_up_after, so some answers may not have arrived.
    settle_counts flush();

    /// Ends the consumer: sends the answers given, with `confirm` waits for their confirmation, and
    /// releases every other lease: of messages not handed out and of those the caller still holds
    /// (answers to these do nothing any more). A second close does nothing.
    /// Errors: outcome_unknown as for flush(); the consumer is closed nevertheless.
    void close();

    /// `TOPIC/QUEUE`, or `PATTERN/QUEUE`.
    [[nodiscard]] const std::string& queue() const noexcept;
    /// How long a lease of this queue lasts unless renewed; of a pattern queue the shortest of its
    /// queues, 0 while it has none.
    [[nodiscard]] std::chrono::microseconds lease() const;
    /// Failed attempts after which a message of this queue is dead; of a pattern queue likewise.
    [[nodiscard]] std::uint32_t attempts() const;

private:
    friend class client;
    explicit consumer(std::shared_ptr<client_core::blocking_consumer> state);

    std::shared_ptr<client_core::blocking_consumer> state_;
};

/// Sees the messages of a topic from a position on. Leases nothing, changes nothing. Created by
/// client::open_reader(). It goes on over lost connections and restarts of the broker, but never
/// from one topic to another one with the same name.
/// Thread safety: one thread at a time; close() from any.
class reader {
public:
    reader(reader&&) noexcept;
    reader& operator=(reader&&) noexcept;
    ~reader();

    /// The next message, or nothing when none came within `timeout` or close() was called.
    /// Zero: only what the broker has now.
    /// Errors: gone: the next message was removed (see reader_options::skip_removed).
    /// topic_removed: the topic was, whether or not it was created again. other_data: the client
    /// was connected again, to other data (a new directory, an ephemeral broker started again).
    /// After each of these seek() goes on. topic_not_found: before the first answer.
    [[nodiscard]] std::optional<stored_message> next(std::chrono::microseconds timeout = forever);

    /// Goes on at `where` in the topic the reader is in; after topic_removed and other_data, in the
    /// one that has its name then.
    void seek(log_position where);

    /// Offset of the message next() returns next, if it exists by then. 0 before the first answer
    /// unless the reader was opened at an offset.
    [[nodiscard]] std::uint64_t position() const;

    void close() noexcept;

private:
    friend class client;
    explicit reader(std::shared_ptr<client_core::blocking_reader> state);

    std::shared_ptr<client_core::blocking_reader> state_;
};

/// A connection to a broker, kept up by the library. Created by connect().
class client {
public:
    client(client&&) noexcept;
    client& operator=(client&&) noexcept;
    /// As close(), ignoring failures: waits up to client_options::close_timeout for what is in
    /// flight if there is a connection.
    ~client();

    /// Appends a message to a topic and returns its address once it is durable.
    /// Messages published at the same time, from any threads, travel in common batches; a lone one
    /// goes at once. Waits while in_flight_messages or in_flight_bytes are reached. Messages of one
    /// topic handed in one after the other are stored in this order, unless the broker refuses one.
    /// A loss of the connection is repaired by sending again: the broker recognizes what it has
    /// stored, so the message is there once. With an id (outgoing_message::id) that holds for
    /// whoever publishes it again, too: the address is that of the first. A message with an id is a
    /// batch of its own. A batch has messages of one priority (outgoing_message::priority): where
    /// the next one has another, it ends.
    /// What durable means is for the topic to say (topic_options::durability).
    /// A topic may have bounds (topic_options::max_bytes, max_messages). One that refuses what is
    /// beyond them answers topic_full, and nothing is stored; publishing again, and when, is for
    /// the caller to decide: there is room when queues are done with what is pending. Messages that
    /// traveled in one batch are taken or refused together, though a single one might have had
    /// room; but a batch that would not fit into the empty topic either is sent again one by one.
    /// Errors: topic_not_found, topic_removed, invalid_name, too_many_headers, key_too_large;
    /// message_too_large, also for a message larger than topic_options::max_bytes;
    /// invalid_argument: beyond the limits of a message (a priority above 9, say), or a schedule
    /// has its id; feature_unsupported: the broker is too old for ids; topic_full, resource_disk,
    /// resource_memory, busy: may be repeated later.
    /// outcome_unknown: it was sent and no connection came for give_up_after, or the client was
    /// closed: it may be stored.
    address publish(std::string_view topic, const outgoing_message& message);

    /// As publish(), without waiting for the acknowledgement: pipelining. Waits only while too much
    /// is in flight. Errors are those of publish(): of the arguments and `closed` from the call,
    /// all others from the future. A future may be dropped.
    [[nodiscard]] std::future<address> publish_async(std::string_view topic,
                                                     const outgoing_message& message);

    /// As publish_async() with a callback: the cheapest way to publish much. The callbacks of one
    /// topic come in the order of submission, unless the broker refuses a message. When submit()
    /// throws, the callback is not called.
    void submit(std::string_view topic, const outgoing_message& message,
                publish_callback on_result);

    /// Stores a message that the broker appends to its topic at `when`, and returns the id of the
    /// schedule once it is durable: unique in the topic, never reused; see admin::schedules() and
    /// admin::cancel_schedules(). The message has no offset before it is appended, behind all that
    /// the topic holds by then. What becomes due while no broker runs is appended when one does. A
    /// topic that is full takes it as well; due, it waits there until there is room.
    /// Waits and is sent again as publish() is, so it is scheduled once. With an id that a schedule
    /// had before, the id of that schedule is returned, also if it was appended or cancelled since.
    /// Errors: as publish() but for topic_full; invalid_argument: a negative delay, a time before
    /// 1970, or more than 36500 days from now; a message that was published at once has its id;
    /// feature_unsupported: the broker is too old for it.
    std::uint64_t schedule(std::string_view topic, const outgoing_message& message,
                           schedule_time when);

    /// As schedule(), without waiting for the acknowledgement: as submit(), with which it shares
    /// bounds and order. publish_result::offset is the id of the schedule, which may have been
    /// appended or cancelled by then if it is a duplicate.
    void schedule(std::string_view topic, const outgoing_message& message, schedule_time when,
                  publish_callback on_result);

    /// Carries a transaction out and returns what it did once all of it is durable. The messages in
    /// it are answered then, and it is empty. Transactions committed at the same time, from any
    /// threads, are pipelined, in no order with messages of publish() in flight. A loss of the
    /// connection is repaired by sending it again: the broker recognizes what it has done, so it is
    /// done once. While there is a connection, the wait has no end of its own.
    /// Errors, all but the last: nothing of it was done, and the transaction is as it was, with the
    /// messages in it unanswered. lease_gone: the lease of a message in it is no longer held, so
    /// that may be delivered again. topic_not_found, topic_removed, queue_not_found, queue_removed,
    /// message_too_large, also if its messages alone are beyond the bounds of their topic.
    /// topic_full (what it acks makes no room for it), resource_disk, resource_memory, busy: may be
    /// repeated later. feature_unsupported: the broker is too old for it. invalid_argument: beyond
    /// the limits of a transaction, a due time or delay no broker would take, a message of another
    /// client's consumer, the id of a message that a schedule has, or of a schedule that a message
    /// has, or a commit of it is under way.
    /// outcome_unknown: it was sent and no connection came for give_up_after, the client was
    /// closed, or the broker that was asked again could not say: all of it was done, or nothing.
    /// The messages are still in it; an answer to one of them has an effect only if nothing was
    /// done.
    committed commit(transaction& what);

    /// Waits until nothing is in flight: every message and transaction handed in before has its
    /// result.
    /// Errors: none besides those of every function; results are reported where they belong.
    void flush();

    /// Makes sure the topic exists. An existing one is left as it is, and what differs is returned.
    /// May be sent again after a loss of the connection; `created` can then be false although it
    /// was this call that created it.
    /// Errors: invalid_name, invalid_setting; outcome_unknown: no answer within request_timeout.
    ensured_topic ensure_topic(std::string_view topic, const topic_options& settings = {});

    /// Makes sure the queue `TOPIC/QUEUE` exists, and its topic. `start`: where a new queue begins;
    /// `mode`: in which order it hands out messages. An existing one is left as it is, and what
    /// differs is returned. Resent as ensure_topic(). Errors: invalid_name, invalid_setting,
    /// queue_exists (with another mode), too_many_queues; outcome_unknown.
    /// `PATTERN/QUEUE` is a pattern queue, a rule: every topic that the pattern matches gets the
    /// queue, those that exist at once and others when they are created. A pattern is the name of a
    /// topic in which `*` stands for one word and `>`, at the end, for one or more:
    /// `orders.*/billing` is for orders.eu and not for orders.eu.big, `orders.>/billing` for both.
    /// `start` (earliest or latest) is for the topics that exist; of later ones its queues get
    /// everything. A queue that exists is taken as it is. admin::set_pattern() changes it. Errors
    /// besides those above: pattern_exists (with another mode, or one of another mode may match the
    /// same topics); too_many_patterns; pattern_too_wide: too many topics match; invalid_argument:
    /// a start at an offset or time, or an end; feature_unsupported: the broker is too old for it.
    ensured_queue ensure_queue(std::string_view queue, const queue_options& settings = {},
                               log_position start = log_position::earliest(),
                               delivery_mode mode = delivery_mode::shared);

    /// Handles the messages of a queue: when `handler` returns, the message is acked; when it
    /// throws reject_message, the message is rejected; when it throws anything else, the message is
    /// nacked with what() as the reason. A handler that answered the message itself, or moved it
    /// into a transaction, has decided.
    /// Leases are renewed while handlers run (max_hold).
    /// Of a pattern queue `PATTERN/QUEUE` it gets the messages of all its queues, of those that
    /// come later, too; see open_consumer().
    /// Returns the number of messages handled: when `options.limit` of them were, or a stop was
    /// requested through `options.stop` (handlers that run are waited for, buffered messages are
    /// released), or the client was closed. Never for want of messages or connection.
    /// The handler runs on the calling thread and, with concurrency above 1, on further threads; it
    /// may use the client.
    /// Errors: queue_not_found, queue_removed, topic_removed, pattern_not_found, invalid_name;
    /// feature_unsupported; invalid_argument: options out of bounds; outcome_unknown with
    /// `confirm`, as for consumer::close().
    std::uint64_t consume(std::string_view queue, const std::function<void(message&)>& handler,
                          const consume_options& options = {});

    /// Asks a service and returns the reply of one of its responders. Requests asked at the same
    /// time, from any threads, are pipelined; more than 1024 wait here, as many as the in_flight_*
    /// of client_options. Nothing of it is stored, and a request is never sent twice: whether to
    /// repeat it is for the caller to decide. Errors: no_responder: nobody is attached; busy: too
    /// many wait there, no responder had room in time, or the broker shuts down; timed_out and
    /// not_connected: it could not be sent in time, for want of a connection the latter; timed_out
    /// also at once, if too many wait here. Of these nothing was done. request_failed: the
    /// responder threw, and what() has its words. deadline_exceeded: no reply in time from the
    /// responder that has the request. responder_gone: the responder that had it left.
    /// outcome_unknown: the connection was lost, or the client closed, before the reply came; or
    /// the broker, which is to end it at the deadline, said nothing until
    /// client_options::request_timeout later. So it may last as long as both times together.
    /// reply_dropped: there was a reply, but too many before it were not read yet.
    /// message_too_large, invalid_name; invalid_argument: a timeout out of bounds, or what does not
    /// fit into a frame; feature_unsupported: the broker is too old. A time to live, an id and a
    /// priority of the message mean nothing here: requests go out as they come.
    service_reply request(std::string_view service, const outgoing_message& message,
                          const request_options& options = {});

    /// As request(), without waiting for the reply. Errors of the arguments come from the call, all
    /// others from the future. A future may be dropped: the request is handled nevertheless.
    [[nodiscard]] std::future<service_reply> request_async(std::string_view service,
                                                           const outgoing_message& message,
                                                           const request_options& options = {});

    /// Replies to the requests of a service: with what `handler` returns; when it throws, whoever
    /// asked gets request_failed with what() (of at most 256 bytes). Requests go to the responder
    /// of the service that has the fewest in progress. One whose time was over before a handler was
    /// free is not handed out.
    /// Attaches again by itself after a loss of the connection; whoever asked was told then, and a
    /// reply that is ready only now is dropped, as is one that comes after its deadline.
    /// Returns the number of requests handled: when a stop was requested through `options.stop`
    /// (what has arrived is handled and replied to before), or the client was closed. Never for
    /// want of requests or connection. The handler runs on the calling thread and, with concurrency
    /// above 1, on further threads; it may use the client, but not close it. Errors: invalid_name,
    /// too_many_responders; invalid_argument: options out of bounds; feature_unsupported: the
    /// broker is too old. Of the first attach only: busy (the broker shuts down), not_connected,
    /// timed_out.
    std::uint64_t serve(std::string_view service,
                        const std::function<outgoing_message(const service_request&)>& handler,
                        const serve_options& options = {});

    /// Attaches a consumer to the queue `TOPIC/QUEUE`; returns when the broker has accepted it.
    /// Errors: queue_not_found, invalid_name, too_many_consumers; invalid_argument: options out of
    /// bounds; timed_out.
    /// Of a pattern queue `PATTERN/QUEUE` (ensure_queue()) it is one consumer of all its queues:
    /// prefetch and limit are for all of them together, and each gets its turn. There is no order
    /// between messages of different queues. message::topic() and message::queue() say where a
    /// message comes from, and its answer goes there. Queues come with their topics; when one goes,
    /// what is held of it is refused as lease_gone, and the consumer goes on, with no queue at all,
    /// too. It ends with pattern_not_found when the pattern queue is removed. Errors besides those
    /// above: pattern_not_found; pattern_too_wide: it has more queues than a consumer may be
    /// attached to; feature_unsupported: the broker is too old for it.
    [[nodiscard]] consumer open_consumer(std::string_view queue,
                                         const consume_options& options = {});

    /// Opens a reader. Does not wait: a missing topic is reported by the first next().
    [[nodiscard]] reader open_reader(std::string_view topic,
                                     log_position from = log_position::earliest(),
                                     const reader_options& options = {});

    /// Who is at the other end, as of the last hello.
    [[nodiscard]] broker_info broker() const;

    /// Whether there is a connection at this moment; for health displays. It may change at once.
    [[nodiscard]] bool connected() const noexcept;

    /// Ends everything in order: waits for the results of what is in flight (at most
    /// close_timeout; the rest fails with outcome_unknown), sends the answers given, releases all
    /// other leases, says goodbye. Other threads that wait in functions of this client, its
    /// consumers or readers get `closed` or nothing. Returns when the network thread has ended; a
    /// second close does nothing.
    void close() noexcept;

private:
    friend class admin;
    friend client connect(std::string_view server, client_options options, std::stop_token stop);
    explicit client(std::shared_ptr<client_core::blocking_client> state);

    std::shared_ptr<client_core::blocking_client> state_;
};

/// Connects to the broker at `HOST:PORT`, `HOST` (port 4650) or `[IPV6]:PORT`. Tries until a broker
/// accepts the hello, at most give_up_after, or until `stop` is requested. The token is for the
/// waiting alone: it does not close a client that was returned.
/// Errors: not_connected: no broker within give_up_after; the text says what went wrong last.
/// closed: stop was requested first. invalid_argument: the address cannot be read, or an option is
/// out of bounds. At once, as trying again is pointless: version_unsupported, feature_unsupported,
/// protocol_error (something else than a broker answers).
[[nodiscard]] client connect(std::string_view server, client_options options = {},
                             std::stop_token stop = {});

}  // namespace brokerd
