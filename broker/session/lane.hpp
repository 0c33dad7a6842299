// One I/O thread with its connections: connection c lives on lane c % lanes. Everything but post()
// and what output_sink and turn_host say happens on the lane's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "broker/base/clock.hpp"
#include "broker/base/log.hpp"
#include "broker/base/rate_limit.hpp"
#include "broker/engine/engine.hpp"
#include "broker/session/closing_time.hpp"
#include "broker/session/connection.hpp"
#include "broker/session/connection_limits.hpp"
#include "broker/session/connection_registry.hpp"
#include "broker/session/session_counters.hpp"
#include "broker/session/session_settings.hpp"
#include "protocol/transport/asio_aliases.hpp"
#include "protocol/transport/task_group.hpp"

namespace brokerd::session {

// What all lanes of a server share.
struct server_context {
    session_settings settings;
    const base::clock& clock;
    base::logger log;
    connection_limits limits;
    connection_registry registry;
    session_counters counters;
    engine::engine* engine = nullptr;  // set before the first connection
    // Finds the lane of a connection; posts to it.
    std::function<void(connection_id, std::function<void(lane&)>)> on_lane_of;
};

class lane final : public engine::output_sink, public engine::turn_host {
public:
    lane(server_context& shared, std::uint64_t index, std::uint64_t lanes);
    ~lane() override;

    void start_thread();
    // The thread ends once every connection has. Any thread.
    void join();

    [[nodiscard]] asio::io_context& context() { return context_; }
    void post(std::function<void(lane&)> what);

    void accept(transport::tcp::socket socket, std::string ip, std::string address);
    // Asks all clients to leave; whoever has nothing in flight is closed at once, the others when
    // they are done or after `grace`. Calls `done` when no connection is left.
    void drain(duration_us grace, std::function<void()> done);
    // Null if there is none.
    [[nodiscard]] connection* find(connection_id id);

    void deliver(std::vector<domain::output> outputs) override;
    void close_all(const failure& why) override;
    void inbox_relieved() override;

    void run_soon(std::function<void()> turn) override;
    void run_at(mono_time when, std::function<void()> turn) override;

    // ---- for its connections ----
    [[nodiscard]] server_context& shared() { return shared_; }
    [[nodiscard]] instant now() const { return shared_.clock.now(); }
    void spawn(std::string name, transport::awaitable<> task);
    void wake_by(mono_time at);
    [[nodiscard]] const closing_time& ending() const { return ending_; }
    void ended(connection_id id);
    void log_closed(const session& of, const std::string& address);

private:
    void handle_outputs(std::vector<domain::output> outputs);
    void sweep();
    void sweep_drained(mono_time now);

    server_context& shared_;
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    transport::task_group tasks_;
    asio::steady_timer timer_;
    mono_time timer_at_ = mono_never;
    mono_time swept_{};                        // when every connection was last visited
    bool catching_up_ = false;                 // that was late, and the next visit is a full one
    asio::steady_timer turn_timer_{context_};  // of the engine, if that runs here
    mono_time turn_at_ = mono_never;
    bool leaving_ = false;  // no timer is to keep the thread
    std::unordered_map<connection_id, std::shared_ptr<connection>> connections_;
    std::uint64_t next_id_;
    std::uint64_t lanes_;
    base::rate_limit closed_log_{10};
    closing_time ending_;
    std::function<void()> drained_;
    std::thread thread_;
};

}  // namespace brokerd::session
