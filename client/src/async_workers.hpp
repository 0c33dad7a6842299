// Handling what comes with several coroutines at the same time, and waiting for all of them.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>

#include <asio/awaitable.hpp>

#include "client/src/result.hpp"

namespace brokerd::client_core {

// Shared by the workers of one operation and who waits for them. Any thread of the executor.
class worker_group {
public:
    // `stop`: nothing new for the workers, please.
    worker_group(std::uint32_t workers, std::function<void()> stop)
        : stop_(std::move(stop)), active_(workers) {}

    // One more was handled.
    void handled();
    // A worker has ended; with `why` if it failed.
    void ended(const std::exception_ptr& why);
    // Calls when all have ended.
    void wait_ended(callback<void> done);
    void stop() { stop_(); }
    // When all have ended: how many were handled, or the first failure.
    std::uint64_t finish();

private:
    std::function<void()> stop_;
    std::mutex mutex_;
    std::uint32_t active_;
    std::uint64_t handled_ = 0;
    std::exception_ptr failed_;
    callback<void> done_;
};

// Runs `work` as often as there are workers, on the executor of the caller, until all have ended. A
// cancellation, like `stop`, is a request to stop: it completes after what is being handled.
[[nodiscard]] asio::awaitable<std::uint64_t> run_workers(
    std::shared_ptr<worker_group> group, std::function<asio::awaitable<void>()> work,
    std::uint32_t workers, std::stop_token stop);

}  // namespace brokerd::client_core
