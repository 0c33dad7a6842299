// What every sample service does the same way: one line of log per event on standard error, and a
// clean stop on SIGTERM or SIGINT. Header only; thread safe.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <brokerd/client.hpp>

namespace samples {

// 2026-03-01T10:00:00.000Z
inline std::string format_time(std::chrono::system_clock::time_point time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const auto fraction = std::chrono::floor<std::chrono::milliseconds>(time - seconds);
    return fmt::format("{:%FT%T}.{:03}Z", seconds, fraction.count());
}

inline void log(std::string_view text) {
    fmt::print(stderr, "{} {}\n", format_time(std::chrono::system_clock::now()), text);
}

// Turns SIGTERM and SIGINT into a stop token. Must be created before any thread is started, as
// these inherit that the two signals are blocked.
class stop_signal {
public:
    stop_signal() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        waiter_ = std::thread([this] {
            int signal_number = 0;
            sigwait(&signals_, &signal_number);
            source_.request_stop();
        });
    }
    ~stop_signal() {
        if (waiter_.joinable()) {
            pthread_kill(waiter_.native_handle(), SIGTERM);
            waiter_.join();
        }
    }
    stop_signal(const stop_signal&) = delete;
    stop_signal& operator=(const stop_signal&) = delete;

    std::stop_token token() const { return source_.get_token(); }

    // Returns when one of the signals came. At most once.
    void wait() { waiter_.join(); }

private:
    sigset_t signals_{};
    std::stop_source source_;
    std::thread waiter_;
};

// For client_options::on_event.
inline void log_connection(const brokerd::connection_event& event) {
    log(event.text);
}

// Connects to the broker, waiting for it to be there. A stop ends the process meanwhile, which
// holds nothing yet.
inline brokerd::client connect(const stop_signal& stop, const std::string& server,
                               brokerd::client_options options = {}) {
    options.on_event = log_connection;
    try {
        return brokerd::connect(server, std::move(options), stop.token());
    } catch (const brokerd::error&) {
        if (!stop.token().stop_requested()) {
            throw;
        }
        log("stopped before the broker was there");
        std::exit(0);
    }
}

}  // namespace samples
