// Options of a client, of a consumer and of a reader, with their defaults. Plain values; no thread
// affinity. C++20, no other library.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

namespace brokerd {

/// What happened to the connection; for logs.
struct connection_event {
    enum class kind {
        connected,  ///< The broker accepted the hello.
        lost,       ///< The connection is gone, or the first attempts fail. Told once; attempts
                    ///< follow by themselves, silently, until `connected` or `closed`.
        draining,   ///< The broker shuts down; the connection will be lost soon.
        closed,     ///< The client is closed; nothing follows.
    };
    kind what = kind::connected;
    std::string text;  ///< One sentence: whom, and why.
};

/// Options of connect() and async_client.
struct client_options {
    /// Shown by the broker's tools, at most 255 bytes. Empty: `program@host:pid`.
    std::string client_name{};
    /// Time for one attempt: resolve, connect, hello.
    std::chrono::microseconds connect_timeout = std::chrono::seconds{5};
    /// How long without a connection until what waits for one fails: what was never sent with
    /// not_connected, what may have been done with outcome_unknown. Also how long connect() tries.
    /// The client goes on trying afterwards. `forever`: nothing fails for want of a connection.
    std::chrono::microseconds give_up_after = std::chrono::minutes{2};
    /// Pause before the second attempt to connect; it doubles with each, with jitter.
    std::chrono::microseconds backoff_initial = std::chrono::milliseconds{50};
    /// Longest such pause.
    std::chrono::microseconds backoff_max = std::chrono::seconds{2};
    /// Time for the answer to a request other than publishes, transactions and confirmed answers,
    /// which have none.
    /// Counts while there is a connection.
    std::chrono::microseconds request_timeout = std::chrono::seconds{30};
    /// Most messages handed in and not yet acknowledged; publishing waits beyond. Also most
    /// requests of services that wait to be sent; those beyond fail with timed_out.
    std::uint32_t in_flight_messages = 16'384;
    /// Most bytes of such messages, and of such requests; one is always allowed.
    std::uint64_t in_flight_bytes = std::uint64_t{32} * 1024 * 1024;
    /// Most messages that travel in one batch, 1 to 1024. What is in one is taken or refused
    /// together. 1: each message is sent as soon as credit allows and refused for itself alone, at
    /// several times the work for client and broker.
    std::uint32_t batch_messages = 1024;
    /// How long close() waits for what is in flight.
    std::chrono::microseconds close_timeout = std::chrono::seconds{5};
    /// Called for each event of the connection, on the thread that runs the client's I/O: it must
    /// return soon, must not call blocking functions of the client and must not throw.
    std::function<void(const connection_event&)> on_event{};
};

/// Options of consume() and open_consumer(): `{.prefetch_messages = 100, .concurrency = 4}`.
struct consume_options {
    /// Most messages held at once: buffered and being handled.
    std::uint32_t prefetch_messages = 256;
    /// Most bytes held at once; one message is always allowed.
    std::uint64_t prefetch_bytes = std::uint64_t{8} * 1024 * 1024;
    /// Messages after which the consumer gets no more; 0 = no limit. Never leases more than this.
    /// Fewer are handed out if a lost connection made some of them go to another consumer.
    std::uint64_t limit = 0;
    /// Leases are renewed by the library, buffered or being handled, until a message was held for
    /// this time; then its lease runs out and counts as a failed attempt. Zero: no renewal.
    std::chrono::microseconds max_hold = std::chrono::minutes{30};
    /// Every answer is confirmed by the broker once it is on disk; see consumer::flush(). Without,
    /// an answer may be lost with the connection or the broker, which means a redelivery.
    bool confirm = false;
    /// consume() only: handlers that run at the same time, in the blocking interface each on a
    /// thread of its own. Messages are handed out in offset order.
    std::uint32_t concurrency = 1;
    /// consume() only: ends it, as if the queue had run dry for good.
    std::stop_token stop{};
};

/// Options of open_reader().
struct reader_options {
    /// Messages asked for at once.
    std::uint32_t batch_messages = 1024;
    /// Bytes asked for at once; one message is always allowed.
    std::uint32_t batch_bytes = 1024 * 1024;
    /// Go on at the oldest readable message when the next one was removed; otherwise next() throws
    /// broker_errc::gone.
    bool skip_removed = false;
};

}  // namespace brokerd
