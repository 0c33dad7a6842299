// Counting connections.
#include "broker/session/connection_limits.hpp"

#include <fmt/format.h>

#include "broker/base/assert.hpp"

namespace brokerd::session {

outcome<void> connection_limits::admit(const std::string& ip) {
    const std::lock_guard lock(mutex_);
    usage& here = ips_[ip];
    const auto too_many = [&](std::uint64_t used, std::uint64_t bound, std::string_view option) {
        return used < bound ? outcome<void>{}
                            : refuse(error_code::too_many_connections,
                                     fmt::format("{} connections are open, {} {} are allowed", used,
                                                 option, bound));
    };
    outcome<void> result = too_many(total_.all, bounds_.total, "max-connections");
    result = result ? too_many(here.all, bounds_.per_ip, "max-connections-per-ip") : result;
    result = result ? too_many(total_.handshakes, bounds_.handshakes, "max-handshakes") : result;
    result = result ? too_many(here.handshakes, bounds_.handshakes_per_ip, "max-handshakes-per-ip")
                    : result;
    if (result) {
        ++total_.all;
        ++total_.handshakes;
        ++here.all;
        ++here.handshakes;
    } else if (here.all == 0) {
        ips_.erase(ip);
    }
    return result;
}

void connection_limits::confirm(const std::string& ip) {
    const std::lock_guard lock(mutex_);
    --total_.handshakes;
    --ips_.at(ip).handshakes;
}

void connection_limits::release(const std::string& ip, bool confirmed) {
    const std::lock_guard lock(mutex_);
    const auto at = ips_.find(ip);
    BROKERD_ASSERT(at != ips_.end(), "no connection from {} is counted", ip);
    --total_.all;
    --at->second.all;
    if (!confirmed) {
        --total_.handshakes;
        --at->second.handshakes;
    }
    if (at->second.all == 0) {
        ips_.erase(at);
    }
}

std::uint64_t connection_limits::total() const {
    const std::lock_guard lock(mutex_);
    return total_.all;
}

}  // namespace brokerd::session
