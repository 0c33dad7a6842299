// The life of a client's connection: when to connect, hello, heartbeats, back-off with jitter,
// goodbye. Sans-I/O. Owner: the holder of the client's lock.
//
//   waiting --time--> connecting --connected--> greeting --hello_ok--> ready --leave--> leaving
//      ^                  |                        |                     |                 |
//      +------lost--------+-----------lost---------+---------lost--------+   ok, lost, late: closed
//   leave() in any other phase: closed
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "brokerd/options.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class connection_state {
public:
    enum class phase : std::uint8_t { waiting, connecting, greeting, ready, leaving, closed };

    // What the driver does next while there is no connection.
    struct step {
        enum class kind : std::uint8_t { wait, connect, stop };
        kind what = kind::wait;
        mono_time until = mono_never;  // wait: look again then; connect: give up then
    };

    // `server` is for texts.
    connection_state(std::string server, const client_options& options, std::uint64_t seed,
                     mono_time now);

    [[nodiscard]] step next_step(mono_time now);
    void on_connected(mono_time now);
    // Fails with protocol_error if the hello_ok is not acceptable.
    [[nodiscard]] result<void> on_hello_ok(const codec::hello_ok& terms, mono_time now);
    // The connection is gone or could not be made. Returns what is told: whom, and why.
    std::string on_lost(const std::string& why, mono_time now);

    void on_sent(mono_time now) { last_sent_ = now; }
    void on_received(mono_time now) { last_received_ = now; }
    // Appends hello, pings, pongs and goodbye.
    void write(outgoing& out);
    [[nodiscard]] bool wants_write(mono_time now) const;
    void on_ping(std::uint32_t request) { pong_ = request; }

    // Why the connection must be dropped now, if it must.
    [[nodiscard]] std::optional<std::string> overdue(mono_time now) const;
    [[nodiscard]] mono_time deadline() const;

    // Whether what waits for a connection has waited too long; then it starts to count anew.
    [[nodiscard]] bool take_give_up(mono_time now);
    // Why there is no connection, for who gives up.
    [[nodiscard]] std::string trouble() const;

    // Says goodbye if there is a connection, and ends.
    void leave(mono_time now);
    [[nodiscard]] bool is_goodbye(std::uint32_t request) const;
    void on_goodbye_answered() { phase_ = phase::closed; }

    [[nodiscard]] phase current() const { return phase_; }
    [[nodiscard]] bool ready() const { return phase_ == phase::ready; }
    [[nodiscard]] const codec::hello_ok& terms() const { return terms_; }  // of the last hello

private:
    [[nodiscard]] duration_us jittered(duration_us pause);
    [[nodiscard]] mono_time ping_at() const;
    [[nodiscard]] mono_time dead_at() const;

    std::string server_;
    std::string client_name_;
    duration_us connect_timeout_;
    duration_us give_up_after_;
    duration_us backoff_initial_;
    duration_us backoff_max_;
    std::uint64_t random_;

    phase phase_ = phase::waiting;
    mono_time retry_at_;
    duration_us pause_{0};
    mono_time attempt_until_{};
    mono_time give_up_at_;
    mono_time leave_until_ = mono_never;
    std::string last_trouble_ = "the first attempt to connect is under way";

    bool hello_due_ = false;
    bool goodbye_due_ = false;
    std::uint32_t goodbye_ = 0;  // its request id
    std::uint32_t pong_ = 0;     // request id of a ping to answer
    mono_time last_sent_{};
    mono_time last_received_{};
    mono_time last_ping_{};
    codec::hello_ok terms_;
};

}  // namespace brokerd::client_core
