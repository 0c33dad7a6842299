// Commands: everything that can happen to the domain. A request is the decoded protocol message
// with who asked; the rest are events of connections and answers of the store. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/codec/transaction_messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

struct connection_opened {
    connection_id connection;
    std::string name;  // name@host:pid
};

struct connection_closed {
    connection_id connection;
    bool goodbye = false;  // true: leases are released and count as no attempt
};

// Its consumers and responders get nothing new from here on, also those that come later. Asks for a
// holds_nothing as soon as none of them holds a lease or a request.
struct connection_draining {
    connection_id connection;
};

// When a publish is to be appended.
struct schedule_time {
    wall_time due{};  // by the broker's clock; zero: after `delay`
    duration_us delay{0};
};

// A publish whose batch the session has verified (codec::check_batch).
struct publish_request {
    std::string topic;
    shared_bytes batch;  // whole batch, header included
    std::uint32_t count = 0;
    producer_id producer;
    std::uint64_t first_sequence = 0;
    std::uint64_t largest_record = 0;      // bytes
    std::string id{};                      // of its one message; empty: it has none
    std::optional<schedule_time> later{};  // a schedule; none: append now
};

// All of it or nothing.
struct transaction_request {
    producer_id producer;
    std::uint64_t first_sequence = 0;
    std::vector<publish_request> publishes;  // without producers
    std::vector<codec::transact_settle> settles;
};

// A request for whoever answers at a service; the session has verified its record.
struct service_request {
    std::string service;
    mono_time deadline{};  // its time runs from its arrival at the session
    shared_bytes record;
};

// What a responder says to it.
struct service_reply {
    request_token token;
    bool failed = false;
    std::string text{};     // with failed: why
    shared_bytes record{};  // verified; without failed
};

using request_body = std::variant<
    publish_request, transaction_request, service_request, service_reply, codec::attach,
    codec::detach, codec::set_prefetch, codec::settle, codec::topic_create, codec::topic_list,
    codec::topic_set, codec::topic_remove, codec::queue_create, codec::queue_list, codec::queue_set,
    codec::queue_remove, codec::queue_pause, codec::queue_seek, codec::queue_purge,
    codec::queue_clone, codec::queue_levels, codec::queue_explain, codec::read, codec::message_show,
    codec::dead_list, codec::dead_redrive, codec::dead_purge, codec::consumer_list,
    codec::schedule_list, codec::schedule_cancel, codec::serve, codec::unserve, codec::service_list,
    codec::pattern_create, codec::pattern_list, codec::pattern_remove, codec::pattern_attach>;

struct request {
    connection_id connection;
    std::uint64_t id = 0;  // chosen by who asks, repeated in the output
    request_body body;
};

// ---- what the store answers to a fetch (effects.hpp) ----

struct log_fetched {
    std::vector<chunk_ptr> chunks;  // ascending; empty = nothing stored from there on
};

// An exception with its record, if it still exists.
struct exception_entry {
    offset_t offset = 0;
    exception_state value;
    wall_time append_time{};
    shared_bytes record;  // empty unless asked for
    // False: the store has the record, but no exception yet; only where records are asked for.
    bool stored = true;
};
struct exceptions_fetched {
    std::vector<exception_entry> entries;  // ascending by offset
    bool more = false;                     // a scan stopped at its limit
    offset_t looked_below = offset_end;    // a fetch of offsets stopped at its limit before this
};

struct due_item {
    wall_time due{};
    offset_t offset = 0;
};
struct due_fetched {
    std::vector<due_item> items;  // ascending by due; those before `until`, at most the limit
    bool more = false;
};

struct times_fetched {
    std::vector<wall_time> times;  // in the order asked; wall_never where nothing is stored
};

struct offset_fetched {
    offset_t offset = 0;
};

// Where a schedule stands among those of its topic.
struct schedule_key {
    wall_time due{};
    std::uint64_t id = 0;
    auto operator<=>(const schedule_key&) const = default;
};
struct scheduled_batch {
    schedule_key key;
    std::uint32_t messages = 0;
    std::uint64_t bytes = 0;
    shared_bytes batch;  // empty where only found by its id
};
struct schedules_fetched {
    std::vector<scheduled_batch> items;  // ascending by key, or in the order of the ids asked for
    bool more = false;                   // stopped at a limit
};

// A chunk with messages that expire.
struct expiring_chunk {
    wall_time at{};
    offset_t last = 0;        // of its messages
    std::uint32_t count = 0;  // of them
    bool operator==(const expiring_chunk&) const = default;
};
struct expiring_fetched {
    std::vector<expiring_chunk> items;  // ascending by time and offset, at most the limit
    wall_time next = wall_never;        // of the entry behind them; wall_never: there is none
};

struct message_ids_fetched {
    std::vector<std::optional<message_id_entry>> entries;  // in the order asked
};

using fetch_result =
    std::variant<log_fetched, exceptions_fetched, due_fetched, times_fetched, offset_fetched,
                 schedules_fetched, expiring_fetched, message_ids_fetched, failure>;

struct fetched {
    std::uint64_t id = 0;
    fetch_result result;
};

using command =
    std::variant<connection_opened, connection_closed, connection_draining, request, fetched>;

}  // namespace brokerd::domain
