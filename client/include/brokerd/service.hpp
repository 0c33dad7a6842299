// Requests and replies: what is asked of a service and what comes back, as seen from either end,
// and how. Plain values; no thread affinity. C++20, no other library.
//
// A service is a name at which responders reply to requests. It is in memory only: it exists while
// a responder is attached, and nothing of a request outlives the connections it goes over. What
// must not be lost is published instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <brokerd/types.hpp>

namespace brokerd {

/// A request as its responder gets it.
struct service_request {
    std::string service;
    std::string requester;  ///< Client name of who asks.
    std::optional<std::string> key;
    std::vector<header> headers;
    std::string payload;
    /// When nobody waits for the reply any more.
    std::chrono::steady_clock::time_point deadline{};
};

/// A reply as whoever asked gets it.
struct service_reply {
    std::string responder;  ///< Client name of who replied.
    std::optional<std::string> key;
    std::vector<header> headers;
    std::string payload;
};

/// Options of request().
struct request_options {
    /// Time for the reply, from the call on: 1 ms to 1 h.
    std::chrono::microseconds timeout = std::chrono::seconds{30};
};

/// Options of serve(): `{.concurrency = 4}`.
struct serve_options {
    /// Handlers that run at the same time, in the blocking interface each on a thread of its own;
    /// at most 1024.
    std::uint32_t concurrency = 1;
    /// Most requests the broker gives to this responder at once, at most 65536, also of all
    /// responders of a client together (too_many_responders): those beyond `concurrency` wait in
    /// this process, where no other responder gets them, and save the time for the way. 0: twice
    /// `concurrency`.
    std::uint32_t prefetch = 0;
    /// Ends it: what has arrived is handled, nothing new is taken.
    std::stop_token stop{};
};

}  // namespace brokerd
