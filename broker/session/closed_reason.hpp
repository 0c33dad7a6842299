// Why a connection was closed: logged, counted, never guessed from an error code later.
// Header only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/types/error.hpp"

namespace brokerd::session {

//  X(name, no_attempt)   no_attempt: leases held by it are released and count as no attempt
#define BROKERD_CLOSED_REASONS(X)  \
    X(goodbye, true)               \
    X(peer_closed, false)          \
    X(peer_reset, false)           \
    X(protocol_error, false)       \
    X(refused_hello, false)        \
    X(handshake_timeout, false)    \
    X(frame_timeout, false)        \
    X(idle_timeout, false)         \
    X(credit_overrun, false)       \
    X(slow_consumer, false)        \
    X(too_many_connections, false) \
    X(closed_by_admin, true)       \
    X(draining, true)              \
    X(state_reloaded, true)        \
    X(storage_failed, true)        \
    X(internal, true)

enum class closed_reason : std::uint8_t {
#define BROKERD_CLOSED_ENUM(name, no_attempt) name,
    BROKERD_CLOSED_REASONS(BROKERD_CLOSED_ENUM)
#undef BROKERD_CLOSED_ENUM
};

struct closed_reason_info {
    std::string_view name;
    bool no_attempt;
};

inline constexpr std::array closed_reasons{
#define BROKERD_CLOSED_INFO(name, no_attempt) closed_reason_info{#name, no_attempt},
    BROKERD_CLOSED_REASONS(BROKERD_CLOSED_INFO)
#undef BROKERD_CLOSED_INFO
};

[[nodiscard]] constexpr const closed_reason_info& describe(closed_reason reason) {
    return closed_reasons[static_cast<std::size_t>(reason)];
}

// The reason that goes with an error that closes the connection.
[[nodiscard]] constexpr closed_reason reason_for(error_code code) {
    switch (code) {
        case error_code::version_unsupported:
        case error_code::feature_unsupported: return closed_reason::refused_hello;
        case error_code::handshake_timeout: return closed_reason::handshake_timeout;
        case error_code::frame_timeout: return closed_reason::frame_timeout;
        case error_code::idle_timeout: return closed_reason::idle_timeout;
        case error_code::credit_overrun: return closed_reason::credit_overrun;
        case error_code::slow_consumer: return closed_reason::slow_consumer;
        case error_code::too_many_connections: return closed_reason::too_many_connections;
        case error_code::closed_by_admin: return closed_reason::closed_by_admin;
        case error_code::draining: return closed_reason::draining;
        case error_code::storage_failed: return closed_reason::storage_failed;
        case error_code::internal: return closed_reason::internal;
        default: return closed_reason::protocol_error;
    }
}

}  // namespace brokerd::session
