// Requests of services on their way: each is sent once, and ends with its reply, with a refusal, or
// without an answer. Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: each request gets its callback exactly once, unless it was cancelled; none is ever
// sent twice; never more without an answer than the broker takes of a connection, and never more
// that wait to be sent than client_options::in_flight_*, or one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "brokerd/options.hpp"
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
    // Of the options, request_timeout is how much longer than a request's own time its answer may
    // take.
    explicit service_outbox(const client_options& options)
        : answer_timeout_(options.request_timeout),
          waiting_max_(options.in_flight_messages),
          waiting_bytes_max_(options.in_flight_bytes) {}

    // Returns a ticket for cancel(), or 0 if too many wait: it has failed then.
    std::uint64_t add(std::string service, byte_buffer record, mono_time deadline,
                      callback<service_reply> done, calls& out);
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

    [[nodiscard]] bool fits(std::size_t record_bytes) const;
    [[nodiscard]] entry take_waiting(std::uint64_t ticket);
    [[nodiscard]] result<void> check(const codec::service_request& frame) const;
    [[nodiscard]] error late(const entry& of) const;
    [[nodiscard]] mono_time answer_by(const entry& of) const;
    void end_unanswered(mono_time now, calls& out);

    std::map<std::uint64_t, entry> waiting_;  // by ticket: in the order they came
    std::set<std::pair<mono_time, std::uint64_t>> waiting_until_;  // deadlines and tickets of these
    std::uint64_t waiting_bytes_ = 0;                              // of records
    std::map<std::uint32_t, entry> sent_;                          // by request id
    mono_time look_at_ = mono_never;                               // none of sent_ is over before
    std::uint64_t last_ticket_ = 0;
    duration_us answer_timeout_;
    std::size_t waiting_max_;
    std::uint64_t waiting_bytes_max_;
    bool ready_ = false;
    bool takes_requests_ = false;
    std::size_t frame_bytes_max_ = 0;
};

}  // namespace brokerd::client_core
