// The address to listen on: `127.0.0.1:4650`, `[::1]:0`. Numeric only, so that nothing has to be
// looked up to know whether it is loopback. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/types/error.hpp"

namespace brokerd::config {

struct listen_address {
    std::string host;  // numeric, without brackets
    std::uint16_t port = 0;
    bool loopback = false;

    bool operator==(const listen_address&) const = default;
};

// Accepts `localhost` for 127.0.0.1. Errors: invalid_setting.
[[nodiscard]] outcome<listen_address> parse_listen_address(std::string_view text);

}  // namespace brokerd::config
