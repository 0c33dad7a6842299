// The one error table: number, name, default text, whether a retry can help, whether the broker
// closes the connection after it. It feeds the enum, the client's error category, brokerctl and
// PROTOCOL.md. Numbers are never reused or changed.
//
// To add an error: append a row here; the compiler then names every switch that must know it.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace brokerd {

// clang-format off
//  X(name, number, retryable, closes, text)
#define BROKERD_ERROR_TABLE(X)                                                                      \
    X(ok,                     0, false, false, "done")                                              \
    X(bad_frame,              1, false, true,  "the bytes are no brokerd frame")                    \
    X(frame_too_large,        2, false, true,  "the frame is larger than the broker accepts")       \
    X(unknown_type,           3, false, false, "the broker does not know this frame type")          \
    X(bad_flags,              4, false, false, "the frame has flags the broker does not know")      \
    X(malformed,              5, false, false, "the body of the frame cannot be decoded")           \
    X(unexpected,             6, false, true,  "this frame is not allowed in this state")           \
    X(version_unsupported,    7, false, true,  "no protocol version in common")                     \
    X(feature_unsupported,    8, false, true,  "a required feature is not supported")               \
    X(handshake_timeout,      9, true,  true,  "no valid hello arrived in time")                    \
    X(too_many_connections,  10, true,  true,  "the connection limit is reached")                   \
    X(credit_overrun,        11, false, true,  "more was published than credit allowed")            \
    X(draining,              12, true,  true,  "the broker is shutting down")                       \
    X(closed_by_admin,       13, true,  true,  "an administrator closed the connection")            \
    X(slow_consumer,         14, true,  true,  "the connection does not read what it asked for")    \
    X(idle_timeout,          15, true,  true,  "nothing was heard from the connection in time")     \
    X(frame_timeout,         16, true,  true,  "a frame did not complete in time")                  \
    X(internal,              20, true,  false, "the broker failed")                                 \
    X(storage_failed,        21, true,  true,  "the broker's storage failed; outcome unknown")      \
    X(resource_disk,         22, true,  false, "the broker's disk is nearly full")                  \
    X(resource_memory,       23, true,  false, "the broker's memory limit is reached")              \
    X(busy,                  24, true,  false, "the broker is busy; try again")                     \
    X(invalid_name,          30, false, false, "the name is not valid")                             \
    X(topic_not_found,       31, false, false, "no such topic")                                     \
    X(queue_not_found,       32, false, false, "no such queue")                                     \
    X(topic_exists,          33, false, false, "the topic exists")                                  \
    X(queue_exists,          34, false, false, "the queue exists")                                  \
    X(invalid_setting,       35, false, false, "a setting is out of its bounds")                    \
    X(too_many_queues,       36, false, false, "the topic has as many queues as it may have")       \
    X(unsupported,           37, false, false, "the broker does not support this")                  \
    X(invalid_argument,      38, false, false, "an argument is not valid")                          \
    X(empty_batch,           40, false, false, "the batch holds no message")                        \
    X(bad_batch,             41, false, false, "the batch is damaged or truncated")                 \
    X(bad_checksum,          42, false, false, "a record does not match its checksum")              \
    X(message_too_large,     43, false, false, "the message is larger than the topic accepts")      \
    X(too_many_records,      44, false, false, "the batch holds too many messages")                 \
    X(too_many_headers,      45, false, false, "the message has too many or too large headers")     \
    X(key_too_large,         46, false, false, "the key is too large")                              \
    X(sequence_too_old,      47, false, false, "the sequence is older than the producer window")    \
    X(sequence_mismatch,     48, false, false, "the batch overlaps sequences already used")         \
    X(consumer_exists,       50, false, false, "the consumer id is in use on this connection")      \
    X(consumer_not_found,    51, false, false, "no such consumer on this connection")               \
    X(too_many_consumers,    52, false, false, "the connection has as many consumers as it may")    \
    X(lease_gone,            53, false, false, "the lease is no longer held")                       \
    X(gone,                  54, false, false, "the message was removed")                           \
    X(not_found,             55, false, false, "no such message")                                   \
    X(queue_removed,         56, false, false, "the queue was removed")                             \
    X(topic_removed,         57, false, false, "the topic was removed")                             \
    X(wrong_state,           58, false, false, "the message is not in the state this needs")        \
    X(connection_not_found,  59, false, false, "no such connection")                                \
    X(cross_shard,           60, false, false, "the operation spans more than one shard")           \
    X(no_responder,          61, true,  false, "nobody answers requests of this service")           \
    X(responder_gone,        62, false, false, "the responder left; outcome unknown")                \
    X(deadline_exceeded,     63, false, false, "no reply came before the deadline")                 \
    X(request_failed,        64, false, false, "the responder failed the request")                  \
    X(responder_exists,      65, false, false, "the responder id is in use on this connection")     \
    X(responder_not_found,   66, false, false, "no such responder on this connection")              \
    X(too_many_responders,   67, false, false, "the connection has as many responders as it may")   \
    X(reply_dropped,         68, false, false, "there was a reply, but no room for it")             \
    X(topic_full,            69, true,  false, "the topic holds as much as it may")
// clang-format on

enum class error_code : std::uint16_t {
#define BROKERD_ERROR_ENUM(name, number, retryable, closes, text) name = number,
    BROKERD_ERROR_TABLE(BROKERD_ERROR_ENUM)
#undef BROKERD_ERROR_ENUM
};

struct error_info {
    error_code code;
    std::string_view name;
    std::string_view text;
    bool retryable;          // the same request may succeed later
    bool closes_connection;  // the broker closes the connection after sending it
};

// All rows, in ascending order of number.
[[nodiscard]] std::span<const error_info> error_table() noexcept;

// The row of `code`; the row of `internal` for a number that is not in the table (a newer peer).
[[nodiscard]] const error_info& describe(error_code code) noexcept;

// What a refused operation answers: the code and a text that names the object and what to do.
struct failure {
    error_code code = error_code::internal;
    std::string text{};

    bool operator==(const failure&) const = default;
};

// Result of an operation that may be refused.
template <typename T>
using outcome = std::expected<T, failure>;

[[nodiscard]] inline std::unexpected<failure> refuse(error_code code, std::string text) {
    return std::unexpected(failure{code, std::move(text)});
}

}  // namespace brokerd
