// The interface for programs with an event loop of their own: the same as brokerd/client.hpp on
// asio::awaitable. Needs standalone Asio (1.22 or later). C++20.
//
//     asio::awaitable<void> work() {
//         brokerd::async_client client{co_await asio::this_coro::executor, "127.0.0.1:4650"};
//         brokerd::outgoing_message mail{.payload = body()};
//         auto at = co_await client.publish("emails", mail);
//         co_await client.close();
//     }
//
// g++ 12 destroys some temporaries of a co_await expression twice, among them structs written in
// braces: give messages, options and handlers a name before, as above.
//
// What holds for every operation here:
//   Completion: on the executor of the awaiting coroutine.
//   Errors: thrown as brokerd::error, the same as of the blocking function of that name; besides
//     closed, not_connected and invalid_argument, which each may throw.
//   Cancellation (asio::cancellation_type terminal, partial or total, through the coroutine's
//     slot): ends the wait with client_errc::cancelled; what was handed in stays handed in, each
//     operation says what that means. A coroutine that was cancelled before it awaits gets Asio's
//     own operation_aborted (std::system_error), and nothing was begun.
//   Arguments: views and references need to live until the call returns its awaitable, except
//     where an operation says more. The awaitable must be awaited, at most once; nothing happens
//     before.
//   Thread safety: any threads; the executor may be a thread pool.
//   Lifetime: the objects are handles; destroying one while operations of it are awaited is allowed
//     and ends these with `closed`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <brokerd/client.hpp>
#include <brokerd/error.hpp>
#include <brokerd/message.hpp>
#include <brokerd/options.hpp>
#include <brokerd/service.hpp>
#include <brokerd/transaction.hpp>
#include <brokerd/types.hpp>

namespace brokerd {

namespace client_core {
class core;
class core_consumer;
class core_reader;
}  // namespace client_core

/// Takes messages from a queue; see brokerd::consumer. Created by async_client::open_consumer().
class async_consumer {
public:
    async_consumer(async_consumer&&) noexcept;
    async_consumer& operator=(async_consumer&&) noexcept;
    /// As close(), without waiting for anything.
    ~async_consumer();

    /// Completes with the next message; with nothing after `timeout`, when `limit` messages were
    /// returned or when close() was called.
    /// Errors: queue_not_found, queue_removed, topic_removed.
    /// Cancellation: no message is lost; one that was already on its way is released.
    [[nodiscard]] asio::awaitable<std::optional<message>> next(
        std::chrono::microseconds timeout = forever);

    /// Acks `message` and completes when the ack is durable. The message must be one of this
    /// consumer's and is answered by this call, whatever becomes of the wait.
    /// Errors: lease_gone, outcome_unknown, queue_removed, queue_not_found as for
    /// message::ack_confirmed().
    /// Cancellation: the ack is sent nevertheless.
    [[nodiscard]] asio::awaitable<void> ack_confirmed(message message);

    /// Completes when every answer given so far is durable; see consumer::flush().
    [[nodiscard]] asio::awaitable<settle_counts> flush();

    /// Ends the consumer; see consumer::close().
    /// Cancellation: ends the wait for confirmations; the consumer is closed.
    [[nodiscard]] asio::awaitable<void> close();

    /// As those of consumer.
    [[nodiscard]] const std::string& queue() const noexcept;
    [[nodiscard]] std::chrono::microseconds lease() const;
    [[nodiscard]] std::uint32_t attempts() const;

private:
    friend class async_client;
    explicit async_consumer(std::shared_ptr<client_core::core_consumer> state);

    std::shared_ptr<client_core::core_consumer> state_;
};

/// Sees the messages of a topic; see brokerd::reader. One operation at a time.
class async_reader {
public:
    async_reader(async_reader&&) noexcept;
    async_reader& operator=(async_reader&&) noexcept;
    ~async_reader();

    /// Completes with the next message, with nothing after `timeout` or when close() was called.
    /// Errors: gone, topic_not_found, topic_removed, other_data.
    /// Cancellation: no message is skipped.
    [[nodiscard]] asio::awaitable<std::optional<stored_message>> next(
        std::chrono::microseconds timeout = forever);

    void seek(log_position where);
    [[nodiscard]] std::uint64_t position() const;
    void close() noexcept;

private:
    friend class async_client;
    explicit async_reader(std::shared_ptr<client_core::core_reader> state);

    std::shared_ptr<client_core::core_reader> state_;
};

/// A connection to a broker, kept up by the library; see brokerd::client.
class async_client {
public:
    /// Starts to connect to `HOST:PORT`, `HOST` or `[IPV6]:PORT`, on `executor`, and goes on until
    /// close() or the destructor. Operations may be started at once; they wait for the connection.
    /// The context of the executor must run until close() has completed, or be destroyed only after
    /// this object.
    /// Throws error (invalid_argument) for an address that cannot be read or options out of bounds.
    async_client(const asio::any_io_executor& executor, std::string_view server);
    async_client(const asio::any_io_executor& executor, std::string_view server,
                 const client_options& options);
    async_client(async_client&&) noexcept;
    async_client& operator=(async_client&&) noexcept;
    /// Says goodbye without waiting; what is in flight fails.
    ~async_client();

    /// Completes when there is a connection.
    /// Errors: not_connected after give_up_after; version_unsupported, feature_unsupported,
    /// protocol_error at once.
    [[nodiscard]] asio::awaitable<void> connected();

    /// Appends a message to a topic; completes with its address when it is durable. The message is
    /// taken up when the awaitable is awaited, in this order; waits while too much is in flight.
    /// Errors: as client::publish().
    /// Cancellation: while it waits for room: not published. After that: it is published, the
    /// result is dropped.
    /// Arguments: copied by the call.
    [[nodiscard]] asio::awaitable<address> publish(std::string_view topic,
                                                   const outgoing_message& message);

    /// Hands a message in; completes as soon as there is room for it, which makes this awaitable
    /// back-pressure. `on_result` is called with its fate on the client's executor, in the order of
    /// submission per topic; never if submit() throws.
    /// Cancellation: while it waits for room: not published, `on_result` is not called.
    [[nodiscard]] asio::awaitable<void> submit(std::string_view topic,
                                               const outgoing_message& message,
                                               publish_callback on_result);

    /// Stores a message that the broker appends to its topic at `when`; completes with the id of
    /// the schedule when it is durable. Taken up as by publish().
    /// Errors: as client::schedule().
    /// Cancellation: while it waits for room: not scheduled. After that: it is scheduled, the
    /// result is dropped.
    /// Arguments: copied by the call.
    [[nodiscard]] asio::awaitable<std::uint64_t> schedule(std::string_view topic,
                                                          const outgoing_message& message,
                                                          schedule_time when);

    /// As submit(), for a message that is scheduled: publish_result::offset is the id of the
    /// schedule.
    /// Cancellation: while it waits for room: not scheduled, `on_result` is not called.
    [[nodiscard]] asio::awaitable<void> schedule(std::string_view topic,
                                                 const outgoing_message& message,
                                                 schedule_time when, publish_callback on_result);

    /// Carries a transaction out; completes with what it did when all of it is durable. Begun when
    /// the awaitable is awaited.
    /// Errors: as client::commit().
    /// Cancellation: it is carried out, or refused, nevertheless; until then the transaction cannot
    /// be used, but be destroyed.
    /// Arguments: `what` may be moved or destroyed as soon as the call has returned.
    [[nodiscard]] asio::awaitable<committed> commit(transaction& what);

    /// Completes when nothing is in flight.
    [[nodiscard]] asio::awaitable<void> flush();

    /// As client::ensure_topic(). Cancellation: it may be done nevertheless.
    [[nodiscard]] asio::awaitable<ensured_topic> ensure_topic(std::string_view topic,
                                                              const topic_options& settings = {});

    /// As client::ensure_queue(), also of a pattern queue. Cancellation: it may be done
    /// nevertheless.
    [[nodiscard]] asio::awaitable<ensured_queue> ensure_queue(std::string_view queue);
    [[nodiscard]] asio::awaitable<ensured_queue> ensure_queue(
        std::string_view queue, const queue_options& settings,
        log_position start = log_position::earliest(), delivery_mode mode = delivery_mode::shared);

    /// As admin::clone_queue(). Cancellation: it may be done nevertheless.
    [[nodiscard]] asio::awaitable<queue_options> clone_queue(std::string_view queue,
                                                             std::string_view name);

    /// As admin::queue_levels(). Cancellation: ends the wait.
    [[nodiscard]] asio::awaitable<level_counts> queue_levels(std::string_view queue);

    /// Handles the messages of a queue with a coroutine per message, `options.concurrency` of them
    /// at the same time, on the executor of the awaiting coroutine; see client::consume().
    /// Completes with the number of messages handled.
    /// Cancellation: as a stop request; completes after the handlers that run, which are not
    /// cancelled. Afterwards the coroutine can be cancelled again (terminal).
    /// Arguments: copied by the call.
    [[nodiscard]] asio::awaitable<std::uint64_t> consume(
        std::string_view queue, const std::function<asio::awaitable<void>(message&)>& handler);
    [[nodiscard]] asio::awaitable<std::uint64_t> consume(
        std::string_view queue, const std::function<asio::awaitable<void>(message&)>& handler,
        const consume_options& options);

    /// Asks a service; completes with the reply. Sent when the awaitable is awaited.
    /// Errors: as client::request().
    /// Cancellation: ends the wait; the request may be handled nevertheless.
    /// Arguments: copied by the call.
    [[nodiscard]] asio::awaitable<service_reply> request(std::string_view service,
                                                         const outgoing_message& message);
    [[nodiscard]] asio::awaitable<service_reply> request(std::string_view service,
                                                         const outgoing_message& message,
                                                         const request_options& options);

    /// Replies to the requests of a service with a coroutine per request, `options.concurrency` of
    /// them at the same time, on the executor of the awaiting coroutine; see client::serve(). The
    /// request lives until its handler has completed. Completes with the number of requests
    /// handled. Cancellation: as a stop request; completes after the handlers that run, which are
    /// not cancelled. Afterwards the coroutine can be cancelled again (terminal). Arguments: copied
    /// by the call.
    [[nodiscard]] asio::awaitable<std::uint64_t> serve(
        std::string_view service,
        const std::function<asio::awaitable<outgoing_message>(const service_request&)>& handler);
    [[nodiscard]] asio::awaitable<std::uint64_t> serve(
        std::string_view service,
        const std::function<asio::awaitable<outgoing_message>(const service_request&)>& handler,
        const serve_options& options);

    /// Completes when the broker has accepted the consumer. Errors: as client::open_consumer().
    /// Cancellation: nothing stays attached.
    [[nodiscard]] asio::awaitable<async_consumer> open_consumer(std::string_view queue);
    [[nodiscard]] asio::awaitable<async_consumer> open_consumer(std::string_view queue,
                                                                const consume_options& options);

    /// As client::open_reader().
    [[nodiscard]] async_reader open_reader(std::string_view topic,
                                           log_position from = log_position::earliest(),
                                           const reader_options& options = {});

    [[nodiscard]] broker_info broker() const;
    [[nodiscard]] bool is_connected() const noexcept;

    /// Ends everything in order, see client::close(). Completes when nothing of the client runs
    /// any more.
    /// Cancellation: ends the wait; closing goes on.
    [[nodiscard]] asio::awaitable<void> close();

private:
    std::shared_ptr<client_core::core> core_;
};

}  // namespace brokerd
