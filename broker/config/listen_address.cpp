// Parses with inet_pton, so what is accepted is what the system accepts.
#include "broker/config/listen_address.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>

#include <fmt/format.h>

#include "protocol/types/names.hpp"

namespace brokerd::config {
namespace {

std::unexpected<failure> bad_address(std::string_view text, std::string_view why) {
    return refuse(
        error_code::invalid_setting,
        fmt::format("listen \"{}\": {}; write ADDRESS:PORT, for example 127.0.0.1:4650 or "
                    "[::1]:4650",
                    printable(text), why));
}

}  // namespace

outcome<listen_address> parse_listen_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return bad_address(text, "the port is missing");
    }
    listen_address result;
    const auto port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (error != std::errc{} || end != port.data() + port.size()) {
        return bad_address(text, "the port is no number from 0 to 65535");
    }
    auto host = text.substr(0, colon);
    if (host == "localhost") {
        host = "127.0.0.1";
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        result.host = host.substr(1, host.size() - 2);
        in6_addr v6{};
        if (inet_pton(AF_INET6, result.host.c_str(), &v6) != 1) {
            return bad_address(text, "no IPv6 address between the brackets");
        }
        result.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
        return result;
    }
    result.host = host;
    in_addr v4{};
    if (inet_pton(AF_INET, result.host.c_str(), &v4) != 1) {
        return bad_address(text, "no numeric address");
    }
    result.loopback = (ntohl(v4.s_addr) >> 24) == 127;
    return result;
}

}  // namespace brokerd::config
