// A client in operation: the state machine of client_state behind a lock, and the coroutines that
// connect, read, write and keep time for it. A driver: what happens is decided in client_state.
//
// Threads:
//   mutex_ guards state_ and the members listed under it; any thread may take it through locked(),
//     for a short time and without waiting for anything.
//   strand_ owns the socket, the timers and the coroutines, and makes all callbacks, in order and
//     without the lock. (When the client has ended there is no strand; who is left calls.)
// Application threads so hand over messages and answers without a switch of threads. What is to be
// written now they write themselves if it is little and nobody writes (a lone message so leaves
// without waking another thread, which took 30 us of 210 with the answer); else they wake the
// strand.
//
// Life: run() holds a reference until the client is closed, then the core goes with its last
// handle. close() is the only way to end it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>

#include "client/src/client_state.hpp"
#include "client/src/frame_intake.hpp"
#include "client/src/result.hpp"
#include "client/src/server_address.hpp"
#include "protocol/transport/asio_aliases.hpp"

namespace brokerd::client_core {

class core : public std::enable_shared_from_this<core> {
public:
    // `context` is kept as long as the core: what the executor belongs to, if nobody else keeps it.
    // Throws error (invalid_argument).
    [[nodiscard]] static std::shared_ptr<core> start(const asio::any_io_executor& executor,
                                                     std::string_view server,
                                                     client_options options,
                                                     std::shared_ptr<void> context = nullptr);

    // Calls `what(state, now, calls)` under the lock and returns what it returns; the strand then
    // makes the calls and looks after what changed.
    template <typename F>
    auto locked(F&& what) {
        return run_locked(
            true, [&](client_state& state, calls& after) { return what(state, now(), after); });
    }

    // Hands a message in, to be scheduled with `when`. `make_admitted` is called, under the lock,
    // only if it must wait for room; it returns the callback for client_state::submit(). Returns
    // the ticket, 0 = it is in.
    template <typename F>
    std::uint64_t submit(std::string_view topic, byte_view record, publish_callback done,
                         const std::optional<schedule_time>& when, F&& make_admitted) {
        return run_locked(false, [&](client_state& state, calls& after) {
            callback<void> admitted;
            if (state.closing() || !state.has_room(record.size())) {
                admitted = make_admitted();
            }
            const auto result =
                state.submit(topic, record, std::move(done), std::move(admitted), after, when);
            wake_ = wake_ || result.wake;
            return result.ticket;
        });
    }

    // Answers a delivered message. False: its lease is no longer held; the callback in `what` was
    // not taken.
    bool settle(delivery& of, std::uint32_t index, answer& what);

    // The next message of a consumer without waiting. Nothing: `over` says whether to wait.
    [[nodiscard]] std::optional<handed_message> take(consumer_id consumer, bool& over);

    // Likewise the next request of a responder.
    [[nodiscard]] std::optional<handed_request> take_request(responder_id responder, bool& over);

private:
    using tcp = transport::tcp;
    template <typename T = void>
    using awaitable = transport::awaitable<T>;

    core(const asio::any_io_executor& executor, server_address server, std::string server_text,
         client_options options, std::shared_ptr<void> context);

    template <typename F>
    auto run_locked(bool look, F&& what) {
        follow_up after(*this);
        const std::lock_guard lock(mutex_);
        // Decided under the lock, done by the destructor of `after` without it.
        const defer_decision decide{*this, after, look};
        return what(state_, after.to_make);
    }

    // What follows when the lock is given up.
    struct follow_up {
        explicit follow_up(core& of) : owner(of) {}
        ~follow_up();
        follow_up(const follow_up&) = delete;
        follow_up& operator=(const follow_up&) = delete;

        core& owner;
        calls to_make;
        bool post = false;
    };
    struct defer_decision {
        core& owner;
        follow_up& after;
        bool look;
        ~defer_decision() { owner.decide(after, look); }
    };

    [[nodiscard]] static mono_time now();
    // At most a tick of the system ago, for a small part of the price.
    [[nodiscard]] static mono_time recently();
    void decide(follow_up& after, bool look);
    [[nodiscard]] bool may_write_here() const;
    void write_here(calls& after);
    static void make(calls& out);

    // On the strand.
    template <typename F>
    void on_strand(F&& what);
    void look_after();
    void arm(mono_time next, mono_time at);
    void disconnect();
    void spawn(awaitable<> task);
    awaitable<> run();
    awaitable<std::string> serve();
    awaitable<std::string> connect();
    awaitable<std::string> read_frames();
    awaitable<> write_frames();
    awaitable<> keep_time();
    awaitable<> join(std::size_t left);

    std::shared_ptr<void> context_;  // goes last
    server_address server_;
    asio::strand<asio::any_io_executor> strand_;
    tcp::resolver resolver_;
    tcp::socket socket_;
    asio::steady_timer retry_;     // the pause between attempts
    asio::steady_timer deadline_;  // the one timer for everything in state_
    asio::steady_timer writable_;  // never expires; cancelled to wake write_frames()
    asio::steady_timer joined_;    // never expires; cancelled when a spawned task has ended
    std::size_t tasks_ = 0;        // spawned and not ended
    bool disconnecting_ = false;   // read and write loops end
    bool write_wanted_ = false;
    bool stopped_ = false;  // keep_time() ends
    byte_buffer writing_bytes_;
    frame_intake intake_;  // of this connection

    std::mutex mutex_;
    // guarded by mutex_
    client_state state_;
    calls pending_;                 // of other threads, to be made on the strand
    mono_time armed_ = mono_never;  // when the strand looks again by itself
    bool posted_ = false;           // look_after() is on its way
    bool look_ = false;             // there is an earlier deadline
    bool wake_ = false;             // there is something to write now
    bool writing_ = true;           // a write is under way, or there is no connection to write to
    int connected_socket_ = -1;     // for write_here(); the strand closes it only after it is -1
    byte_buffer here_bytes_;        // of write_here()
    byte_buffer rest_;              // what the system did not take of it: goes before all else
    bool ended_ = false;            // nothing runs on the strand any more
};

}  // namespace brokerd::client_core
