// The server: listening socket, lanes, and what they share. Built in two steps, because the engine
// needs the lanes as its sinks and the lanes need the engine.
//
//   bind() -> sinks() -> [engine starts] -> start() -> drain() -> [engine stops]
//
// Owner: the thread that builds it; drain() blocks that thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/log.hpp"
#include "broker/engine/engine.hpp"
#include "broker/session/connection_limits.hpp"
#include "broker/session/lane.hpp"
#include "broker/session/session_settings.hpp"
#include "protocol/transport/asio_aliases.hpp"

namespace brokerd::session {

struct server_settings {
    connection_bounds bounds;
    std::size_t io_threads = 1;
};

class server {
public:
    server(const server_settings& settings, const base::clock& clock, base::logger log);
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    // Takes the address; nobody can connect yet.
    [[nodiscard]] std::error_code bind(const std::string& host, std::uint16_t port);
    // ADDRESS:PORT that was taken.
    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] std::vector<engine::output_sink*> sinks();
    // The first lane, for an engine that has no thread of its own.
    [[nodiscard]] engine::turn_host& host() { return *lanes_.front(); }

    // Listens and serves.
    [[nodiscard]] std::error_code start(engine::engine& engine, session_settings settings);
    // Stops listening, lets clients finish for at most `grace`, closes every connection and ends
    // the threads. The engine must still run.
    void drain(duration_us grace);

private:
    transport::awaitable<> accept_loop();
    void take(transport::tcp::socket socket);
    void send_refusal(transport::tcp::socket& socket, const failure& why);
    void accept_failed(const std::error_code& error);

    server_context shared_;
    std::vector<std::unique_ptr<lane>> lanes_;
    transport::tcp::acceptor acceptor_;
    asio::steady_timer pause_;  // after a failed accept
    std::string address_;
    base::rate_limit refused_log_{1};
    std::uint64_t next_lane_ = 0;
    bool accept_failing_ = false;  // logged; reset by the next success
    bool stopping_ = false;        // lane 0
    bool started_ = false;
};

}  // namespace brokerd::session
