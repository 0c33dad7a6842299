// The connection of a command.
#include "tools/brokerctl/context.hpp"

#include <algorithm>

namespace brokerd::ctl {

client& context::broker(std::uint32_t in_flight) {
    if (!client_) {
        client_options options;
        options.give_up_after = connection_.timeout;
        options.in_flight_messages = std::max(options.in_flight_messages, in_flight);
        client_.emplace(connect(connection_.server, std::move(options)));
    }
    return *client_;
}

brokerd::admin& context::admin() {
    if (!admin_) {
        admin_.emplace(broker());
    }
    return *admin_;
}

timestamp wall_now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace brokerd::ctl
