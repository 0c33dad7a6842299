// Errors of the client library. Two categories keep two questions apart: did the library fail to
// get an answer (client_errc), or did the broker refuse (broker_errc)? C++20, no other library.
#pragma once

#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

namespace brokerd {

/// The library failed: no answer of the broker is behind it.
enum class client_errc {
    not_connected = 1,     ///< No connection in time; nothing was done. A retry may succeed.
    closed = 2,            ///< The client, consumer or reader was closed.
    timed_out = 3,         ///< No answer in time to what changes nothing, or it was not sent.
    outcome_unknown = 4,   ///< Sent, but no answer came: it may have been done or not.
    invalid_argument = 5,  ///< The argument cannot be sent to any broker; the text says why.
    cancelled = 6,         ///< The wait was cancelled by the caller.
    protocol_error = 7,    ///< The peer does not speak the protocol, or broke it.
    other_data = 8,        ///< The broker has other data than before: a place in it means nothing.
};

/// The broker refused. The numbers are those of the protocol's error table and never change; a
/// number not listed here comes from a newer broker and has the meaning of its text.
enum class broker_errc {
    bad_frame = 1,
    frame_too_large = 2,
    unknown_type = 3,
    bad_flags = 4,
    malformed = 5,
    unexpected = 6,
    version_unsupported = 7,
    feature_unsupported = 8,
    handshake_timeout = 9,
    too_many_connections = 10,
    credit_overrun = 11,
    draining = 12,
    closed_by_admin = 13,
    slow_consumer = 14,
    idle_timeout = 15,
    frame_timeout = 16,
    internal = 20,
    storage_failed = 21,
    resource_disk = 22,
    resource_memory = 23,
    busy = 24,
    invalid_name = 30,
    topic_not_found = 31,
    queue_not_found = 32,
    topic_exists = 33,
    queue_exists = 34,
    invalid_setting = 35,
    too_many_queues = 36,
    unsupported = 37,
    invalid_argument = 38,
    empty_batch = 40,
    bad_batch = 41,
    bad_checksum = 42,
    message_too_large = 43,
    too_many_records = 44,
    too_many_headers = 45,
    key_too_large = 46,
    sequence_too_old = 47,
    sequence_mismatch = 48,
    consumer_exists = 50,
    consumer_not_found = 51,
    too_many_consumers = 52,
    lease_gone = 53,
    gone = 54,
    not_found = 55,
    queue_removed = 56,
    topic_removed = 57,
    wrong_state = 58,
    connection_not_found = 59,
    cross_shard = 60,
    no_responder = 61,
    responder_gone = 62,
    deadline_exceeded = 63,
    request_failed = 64,
    responder_exists = 65,
    responder_not_found = 66,
    too_many_responders = 67,
    reply_dropped = 68,
    topic_full = 69,
};

/// Category "brokerd client": values are those of client_errc.
[[nodiscard]] const std::error_category& client_category() noexcept;
/// Category "brokerd": values are those of broker_errc, messages the texts of the error table.
[[nodiscard]] const std::error_category& broker_category() noexcept;

[[nodiscard]] std::error_code make_error_code(client_errc code) noexcept;
[[nodiscard]] std::error_code make_error_code(broker_errc code) noexcept;

/// What every operation of the library throws when it fails.
///
///     try { client.publish("orders.eu", {.payload = text}); }
///     catch (const brokerd::error& e) {
///         if (e.code() == brokerd::broker_errc::topic_not_found) { ... }
///         std::cerr << e.what();   // "no such topic orders.eu; create it with ..."
///     }
///
/// what() is the whole text for people: what happened, to which object, what to do.
/// Copying never throws. Thread safe as any exception object: share it, do not change it.
class error : public std::system_error {
public:
    error(std::error_code code, const std::string& text) : std::system_error(code), text_(text) {}

    [[nodiscard]] const char* what() const noexcept override { return text_.what(); }

    /// The broker refused; otherwise the library failed.
    [[nodiscard]] bool from_broker() const noexcept {
        return code().category() == broker_category();
    }

    /// The same operation may succeed later without any change. False for outcome_unknown: whether
    /// to repeat is for the caller to decide, as it may have been done.
    [[nodiscard]] bool retryable() const noexcept;

private:
    std::runtime_error text_;  // its copies share the text and cannot throw
};

/// Thrown by a handler of consume(): the message becomes dead at once, with what() as the reason,
/// instead of being retried. Any other exception is a nack.
class reject_message : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace brokerd

template <>
struct std::is_error_code_enum<brokerd::client_errc> : std::true_type {};
template <>
struct std::is_error_code_enum<brokerd::broker_errc> : std::true_type {};
