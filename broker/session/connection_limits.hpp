// How many connections there may be: in all, per address, and of those without a handshake.
// Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "protocol/types/error.hpp"

namespace brokerd::session {

struct connection_bounds {
    std::uint64_t total = 0;
    std::uint64_t per_ip = 0;
    std::uint64_t handshakes = 0;
    std::uint64_t handshakes_per_ip = 0;
};

class connection_limits {
public:
    explicit connection_limits(const connection_bounds& bounds) : bounds_(bounds) {}

    // Counts a new connection, without a handshake yet. Error: too_many_connections.
    [[nodiscard]] outcome<void> admit(const std::string& ip);
    // Its handshake is done.
    void confirm(const std::string& ip);
    void release(const std::string& ip, bool confirmed);

    [[nodiscard]] std::uint64_t total() const;

private:
    struct usage {
        std::uint64_t all = 0;
        std::uint64_t handshakes = 0;
    };

    connection_bounds bounds_;
    mutable std::mutex mutex_;
    usage total_;                       // guarded by mutex_
    std::map<std::string, usage> ips_;  // guarded by mutex_; only those in use
};

}  // namespace brokerd::session
