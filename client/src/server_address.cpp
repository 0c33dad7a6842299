// Reading addresses, naming the program, holding options to their bounds.
#include "client/src/server_address.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {
namespace {

constexpr std::string_view default_port = "4650";

std::unexpected<error> refuse_argument(const std::string& text) {
    return std::unexpected(make_error(client_errc::invalid_argument, text));
}

std::unexpected<error> refuse_server(std::string_view text) {
    return refuse_argument(
        fmt::format("\"{}\" is no address of a broker; write HOST:PORT", printable(text)));
}

bool is_port(std::string_view text) {
    std::uint16_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size() && number > 0;
}

}  // namespace

result<server_address> parse_server(std::string_view text) {
    std::string_view host = text;
    std::string_view rest;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) {
            return refuse_server(text);
        }
        host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        rest = text.substr(colon);
    }
    std::string_view port = default_port;
    if (!rest.empty()) {
        port = rest.substr(1);
    }
    if (host.empty() || (!rest.empty() && rest[0] != ':') || !is_port(port)) {
        return refuse_server(text);
    }
    return server_address{std::string(host), std::string(port)};
}

std::string default_client_name() {
    std::string program;
    std::ifstream("/proc/self/comm") >> program;
    if (program.empty()) {
        program = "client";
    }
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        return fmt::format("{}@localhost:{}", program, getpid());
    }
    return fmt::format("{}@{}:{}", program, static_cast<const char*>(host), getpid());
}

result<client_options> check_options(client_options options) {
    if (options.client_name.empty()) {
        options.client_name = default_client_name();
        // A name the system gave us is made to fit rather than refused.
        options.client_name.resize(
            std::min(options.client_name.size(), limits::client_name_bytes_max));
    }
    const auto named =
        check_text(options.client_name, limits::client_name_bytes_max, "client name");
    if (!named) {
        return refuse_argument(named.error().text);
    }
    const duration_us zero{0};
    if (options.connect_timeout <= zero || options.give_up_after <= zero ||
        options.request_timeout <= zero || options.close_timeout < zero) {
        return refuse_argument("the timeouts of a client must be greater than zero");
    }
    if (options.backoff_initial <= zero || options.backoff_max < options.backoff_initial) {
        return refuse_argument(
            "backoff_initial must be greater than zero and backoff_max not smaller");
    }
    if (options.in_flight_messages == 0 || options.in_flight_bytes == 0) {
        return refuse_argument("in_flight_messages and in_flight_bytes must be at least 1");
    }
    if (options.batch_messages == 0 || options.batch_messages > client_limits::batch_records_max) {
        return refuse_argument(
            fmt::format("batch_messages must be 1 to {}", client_limits::batch_records_max));
    }
    return options;
}

result<void> check_options(const consume_options& options) {
    if (options.prefetch_messages == 0 ||
        options.prefetch_messages > client_limits::prefetch_messages_max) {
        return refuse_argument(
            fmt::format("prefetch_messages must be 1 to {}", client_limits::prefetch_messages_max));
    }
    if (options.prefetch_bytes == 0 || options.prefetch_bytes > client_limits::prefetch_bytes_max) {
        return refuse_argument(
            fmt::format("prefetch_bytes must be 1 to {}", client_limits::prefetch_bytes_max));
    }
    if (options.concurrency == 0 || options.concurrency > client_limits::concurrency_max) {
        return refuse_argument(
            fmt::format("concurrency must be 1 to {}", client_limits::concurrency_max));
    }
    if (options.max_hold < duration_us{0}) {
        return refuse_argument("max_hold must not be negative");
    }
    return {};
}

result<void> check_options(const reader_options& options) {
    if (options.batch_messages == 0 || options.batch_bytes == 0) {
        return refuse_argument("batch_messages and batch_bytes must be at least 1");
    }
    return {};
}

result<void> check_options(const request_options& options) {
    if (options.timeout < limits::request_timeout_min ||
        options.timeout > limits::request_timeout_max) {
        return refuse_argument("the timeout of a request must be 1 ms to 1 h");
    }
    return {};
}

result<void> check_options(const serve_options& options) {
    if (options.concurrency == 0 || options.concurrency > client_limits::concurrency_max) {
        return refuse_argument(
            fmt::format("concurrency must be 1 to {}", client_limits::concurrency_max));
    }
    if (options.prefetch > client_limits::service_prefetch_max) {
        return refuse_argument(fmt::format("prefetch must be at most {}, 0 for twice concurrency",
                                           client_limits::service_prefetch_max));
    }
    return {};
}

}  // namespace brokerd::client_core
