// One responder of a client: attaching to its service, the requests that have arrived, the replies
// on their way, and attaching again over the next connection.
// Sans-I/O. Owner: the holder of the client's lock.
//
//   detached --serve--> attaching --ok--> attached --unserve--> leaving --ok--> ended
//       ^  connection lost  |               |                     |
//       +-------------------+---------------+        lost --------+----------> ended
//   attaching --no answer in time--> detached, or ended if it was the first serve or stop() came
//   any --the first serve was refused--> ended
//
// A serve without an answer may still be carried out: an unserve follows it before anything else
// goes, or the broker would give requests to a responder that is none.
//
// Invariants: a reply goes over the connection its request came over, or nowhere: whoever asked was
// told when that was lost; and not after its deadline. Each waiter is called exactly once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "brokerd/service.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "client/src/waiting_line.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// Names a request to who handles it; of one connection.
struct request_handle {
    request_token token;
    std::uint64_t connection = 0;
    mono_time deadline{};  // nobody waits for the reply any more
};

// A request taken to be handled.
struct handed_request {
    request_handle handle;
    std::string requester;
    shared_bytes body;  // keeps `record` alive
    byte_view record;   // verified
};

// What a handler made of a request: a record, or why there is none.
struct made_reply {
    bool failed = false;
    std::string text;    // with failed; as the broker accepts it
    byte_buffer record;  // without
};

class responder_state {
public:
    struct setup {
        responder_id id;
        std::string service;  // valid
        std::uint32_t prefetch = 1;
        duration_us request_timeout;  // for the answer to serve
    };

    // `opened` is called when the broker has accepted or refused it for the first time, or by
    // stop().
    responder_state(setup what, callback<void> opened);

    // ---- the connection
    void on_ready(const codec::hello_ok& terms, calls& out);
    void on_lost(calls& out);
    [[nodiscard]] bool wants_write(mono_time now) const;
    void write(outgoing& out);
    mono_time tick(mono_time now, calls& out);

    // ---- frames for it; `request` of those it sent
    [[nodiscard]] bool owns(std::uint32_t request) const {
        return request_ != 0 && request == request_;
    }
    void on_ok(calls& out);
    void on_refused(const failure& why, mono_time now, calls& out);
    // Requests for it may come: it is attached, for all it knows.
    [[nodiscard]] bool serves() const {
        return phase_ == phase::attached || phase_ == phase::leaving;
    }
    // While it serves. False: the request is damaged. `push` points into `body`.
    [[nodiscard]] bool on_requested(const codec::requested& push, const shared_bytes& body,
                                    mono_time now, calls& out);

    // ---- the application
    // The next request, if one is here whose time is not over.
    [[nodiscard]] std::optional<handed_request> take(mono_time now);
    // Nothing more will come.
    [[nodiscard]] bool over() const { return phase_ == phase::ended && arrived_.empty(); }
    // Calls with the next request, or with nothing when no more will come.
    std::uint64_t wait(mono_time now, callback<std::optional<handed_request>> done, calls& out);
    void cancel_wait(std::uint64_t ticket);
    void reply(request_handle to, made_reply what, mono_time now);
    // Takes nothing new; what has arrived is to be handled.
    void stop(calls& out);
    // As stop(), when nobody handles any more: what has arrived ends without a reply.
    void abandon(calls& out);
    // Who waits for it to be accepted waits no longer.
    void give_up(const error& why, calls& out);
    // The client is closed.
    void end(const error& why, calls& out);

    [[nodiscard]] const std::string& service() const { return setup_.service; }
    // Neither the broker nor the application is owed anything.
    [[nodiscard]] bool ended() const { return phase_ == phase::ended && !late_serve_; }

private:
    enum class phase : std::uint8_t { detached, attaching, attached, leaving, ended };
    struct sent_reply {
        request_handle handle;
        made_reply what;
    };

    void write_reply(outgoing& out, const sent_reply& next) const;
    void make_room(mono_time now);
    void pump(mono_time now, calls& out);
    void fail(const error& why, calls& out);
    void retry_later(mono_time now, calls& out);

    setup setup_;
    phase phase_ = phase::detached;
    bool connected_ = false;
    bool stopped_ = false;
    bool abandon_due_ = false;  // the broker is to be told not to wait for replies
    bool late_serve_ = false;   // one was given up, the broker may carry it out; to be undone
    callback<void> opened_;
    std::optional<error> failed_;
    std::uint32_t request_ = 0;  // serve or unserve in flight
    mono_time request_deadline_ = mono_never;
    mono_time attach_at_{};         // not before
    std::uint64_t connection_ = 0;  // counts them
    std::size_t frame_bytes_max_ = 0;

    std::deque<handed_request> arrived_;
    std::deque<sent_reply> replies_;
    waiting_line<handed_request> waiters_;
};

}  // namespace brokerd::client_core
