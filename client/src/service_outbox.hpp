// Requests of services on their way: each is sent once, and ends with its reply, with a refusal, or
// without an answer. Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: each request gets its callback exactly once, unless it was cancelled; none is ever
// sent twice; never more without an answer than the broker takes of a connection.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "brokerd/service.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class service_outbox {
public:
    // `answer_timeout`: how much longer than a request's own time its answer may take.
    explicit service_outbox(duration_us answer_timeout) : answer_timeout_(answer_timeout) {}

    // Returns a ticket for cancel().
    std::uint64_t add(std::string service, byte_buffer record, mono_time deadline,
                      callback<service_reply> done);
    // Drops the callback. What was sent may be handled nevertheless.
    void cancel(std::uint64_t ticket);

    void on_ready(const codec::hello_ok& terms);
    // What was sent ends with outcome_unknown, what was not waits for the next connection.
    void on_lost(calls& out);

    [[nodiscard]] bool wants_write() const;
    void write(outgoing& out, calls& done);

    [[nodiscard]] bool owns(std::uint32_t request) const { return sent_.contains(request); }
    // False: the reply is damaged.
    [[nodiscard]] bool on_replied(std::uint32_t request, const codec::replied& reply, calls& out);
    void on_refused(std::uint32_t request, const failure& why, calls& out);

    // Ends what had no answer in time; returns when to look again.
    mono_time tick(mono_time now, calls& out);

    // Ends everything: what was sent with outcome_unknown, the rest with `unsent`.
    void fail_all(const error& unsent, calls& out);

    [[nodiscard]] bool empty() const { return waiting_.empty() && sent_.empty(); }

private:
    struct entry {
        std::uint64_t ticket = 0;
        std::string service;
        byte_buffer record;  // until it was sent
        mono_time deadline{};
        callback<service_reply> done;
    };

    [[nodiscard]] result<void> check(const codec::service_request& frame) const;
    [[nodiscard]] error late(const entry& of) const;
    [[nodiscard]] mono_time answer_by(const entry& of) const;

    std::map<std::uint64_t, entry> waiting_;  // by ticket: in the order they came
    std::map<std::uint32_t, entry> sent_;     // by request id
    std::uint64_t last_ticket_ = 0;
    mono_time look_at_ = mono_never;  // nothing is over before
    duration_us answer_timeout_;
    bool ready_ = false;
    bool takes_requests_ = false;
    std::size_t frame_bytes_max_ = 0;
};

}  // namespace brokerd::client_core
