// Workers, and who waits for them.
#include "client/src/async_workers.hpp"

#include <utility>

#include <asio/cancellation_state.hpp>
#include <asio/co_spawn.hpp>
#include <asio/this_coro.hpp>

#include "client/src/async_op.hpp"
#include "client/src/wait_for.hpp"

namespace brokerd::client_core {

void worker_group::handled() {
    const std::lock_guard lock(mutex_);
    ++handled_;
}

void worker_group::ended(const std::exception_ptr& why) {
    callback<void> done;
    {
        const std::lock_guard lock(mutex_);
        failed_ = failed_ ? failed_ : why;
        if (--active_ > 0) {
            return;
        }
        done = std::move(done_);
    }
    if (done) {
        done({});
    }
}

void worker_group::wait_ended(callback<void> done) {
    {
        const std::lock_guard lock(mutex_);
        if (active_ > 0) {
            done_ = std::move(done);
            return;
        }
    }
    done({});
}

std::uint64_t worker_group::finish() {
    const std::lock_guard lock(mutex_);
    if (failed_) {
        std::rethrow_exception(failed_);
    }
    return handled_;
}

asio::awaitable<std::uint64_t> run_workers(std::shared_ptr<worker_group> group,
                                           std::function<asio::awaitable<void>()> work,
                                           std::uint32_t workers, std::stop_token stop) {
    const std::stop_callback stopped(std::move(stop), [group] { group->stop(); });
    const auto executor = co_await asio::this_coro::executor;
    // A cancellation is a stop request, whenever it comes; nothing here may throw because of it
    // while workers run.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    for (std::uint32_t i = 0; i < workers; ++i) {
        asio::co_spawn(executor, work(),
                       [group](const std::exception_ptr& why) { group->ended(why); });
    }
    auto start = [&](callback<void> done) -> cancel_hook {
        group->wait_ended(std::move(done));
        return [group] { group->stop(); };
    };
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) {
        group->stop();
    }
    const result<void> ended = co_await suspend<void>(start);
    if (!ended) {
        // What is being handled goes on, and must be over before we are.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        const result<void> all_ended = co_await suspend<void>(start);
        value_or_throw(all_ended);
    }
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    co_await asio::this_coro::throw_if_cancelled(throws);
    co_return group->finish();
}

}  // namespace brokerd::client_core
