// What a command works with: its output, its input and the connection, which is made when the
// command first needs it. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "tools/brokerctl/output.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/client.hpp>

namespace brokerd::ctl {

inline constexpr const char* default_server = "127.0.0.1:4650";
// Long enough for a broker that was started a moment ago, short enough for a person.
inline constexpr std::chrono::microseconds default_connect_timeout = std::chrono::seconds{2};

struct connect_settings {
    std::string server = default_server;
    std::chrono::microseconds timeout = default_connect_timeout;
};

class context {
public:
    context(output& to, std::istream& from, bool from_terminal, connect_settings connection)
        : out_(to), in_(from), in_terminal_(from_terminal), connection_(std::move(connection)) {}

    [[nodiscard]] output& out() { return out_; }
    [[nodiscard]] std::istream& in() { return in_; }
    // Standard input is a person who types.
    [[nodiscard]] bool in_terminal() const { return in_terminal_; }
    [[nodiscard]] const std::string& server() const { return connection_.server; }
    [[nodiscard]] std::chrono::microseconds connect_timeout() const { return connection_.timeout; }

    // Connects on the first call; with room for `in_flight` messages where that is above the
    // client's default.
    [[nodiscard]] client& broker(std::uint32_t in_flight = 0);
    [[nodiscard]] brokerd::admin& admin();

private:
    output& out_;
    std::istream& in_;
    bool in_terminal_;
    connect_settings connection_;
    std::optional<client> client_;
    std::optional<brokerd::admin> admin_;
};

// The time now, for ages and relative times.
[[nodiscard]] timestamp wall_now();

}  // namespace brokerd::ctl
