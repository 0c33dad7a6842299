// Tells a connection to the broker from one of the client with itself. Header only; pure.
#pragma once

#include <system_error>

#include "protocol/transport/asio_aliases.hpp"

namespace brokerd::client_core {

// Whether both ends of a connected socket are the same. While nobody listens on a port of this
// machine that the system also gives to outgoing connections, an attempt may be given that very
// port as its own and meet itself (TCP's simultaneous open). It then talks to itself, and keeps the
// port from the broker that is about to come back.
[[nodiscard]] inline bool is_self_connection(const transport::tcp::socket& socket) {
    std::error_code no_local;
    std::error_code no_remote;
    const auto local = socket.local_endpoint(no_local);
    const auto remote = socket.remote_endpoint(no_remote);
    return !no_local && !no_remote && local == remote;
}

}  // namespace brokerd::client_core
