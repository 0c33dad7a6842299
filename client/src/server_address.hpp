// Where the broker is, as users write it, and who we are. Pure but for client_name(), which asks
// the system.
#pragma once

#include <string>
#include <string_view>

#include "brokerd/options.hpp"
#include "brokerd/service.hpp"
#include "client/src/result.hpp"

namespace brokerd::client_core {

struct server_address {
    std::string host;
    std::string port;
};

// Reads `HOST:PORT`, `HOST`, `[IPV6]:PORT`, `[IPV6]`. The port is 4650 when it is missing.
[[nodiscard]] result<server_address> parse_server(std::string_view text);

// `program@host:pid`.
[[nodiscard]] std::string default_client_name();

// Options as they will be used: defaults filled in. Fails for what is out of bounds.
[[nodiscard]] result<client_options> check_options(client_options options);
[[nodiscard]] result<void> check_options(const consume_options& options);
[[nodiscard]] result<void> check_options(const reader_options& options);
[[nodiscard]] result<void> check_options(const request_options& options);
[[nodiscard]] result<void> check_options(const serve_options& options);

}  // namespace brokerd::client_core
