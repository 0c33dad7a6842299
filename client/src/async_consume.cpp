// Workers, and who waits for them.
#include "client/src/async_consume.hpp"

#include <exception>
#include <mutex>
#include <stop_token>
#include <utility>

#include <asio/cancellation_state.hpp>
#include <asio/co_spawn.hpp>
#include <asio/this_coro.hpp>

#include "client/src/async_op.hpp"
#include "client/src/message_access.hpp"
#include "client/src/wait_for.hpp"

namespace brokerd::client_core {
namespace {

// Shared by the workers of one consume() and who waits for them. Any thread of the executor.
class consume_run {
public:
    consume_run(std::shared_ptr<core_consumer> from,
                std::function<asio::awaitable<void>(message&)> handler, std::uint32_t workers)
        : from_(std::move(from)), handler_(std::move(handler)), active_(workers) {}

    // One worker; ended() when it is over.
    static asio::awaitable<void> work(std::shared_ptr<consume_run> run) {
        while (true) {
            std::optional<message> next = co_await next_message(run->from_, forever);
            if (!next) {
                break;
            }
            std::exception_ptr thrown;
            try {
                co_await run->handler_(*next);
            } catch (...) {
                thrown = std::current_exception();
            }
            message_access::settle_handled(*next, thrown);
            const std::lock_guard lock(run->mutex_);
            ++run->handled_;
        }
    }

    void ended(const std::exception_ptr& why) {
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

    void wait_ended(callback<void> done) {
        {
            const std::lock_guard lock(mutex_);
            if (active_ > 0) {
                done_ = std::move(done);
                return;
            }
        }
        done({});
    }

    void stop() { from_->stop(); }

    // When all have ended.
    std::uint64_t finish() {
        const std::lock_guard lock(mutex_);
        if (failed_) {
            std::rethrow_exception(failed_);
        }
        return handled_;
    }

private:
    std::shared_ptr<core_consumer> from_;
    std::function<asio::awaitable<void>(message&)> handler_;
    std::mutex mutex_;
    std::uint32_t active_;
    std::uint64_t handled_ = 0;
    std::exception_ptr failed_;
    callback<void> done_;
};

}  // namespace

asio::awaitable<std::optional<message>> next_message(std::shared_ptr<core_consumer> from,
                                                     std::chrono::microseconds timeout) {
    bool over = false;
    std::optional<handed_message> taken = from->take(over);
    if (!taken && (over || timeout > std::chrono::microseconds{0})) {
        using maybe = std::optional<message>;
        auto start = [&](callback<maybe> done) -> cancel_hook {
            // Made a message at once: one that nobody takes is released.
            const std::uint64_t ticket = from->wait(
                timeout,
                [done = std::move(done)](result<std::optional<handed_message>> next) mutable {
                    if (!next) {
                        done(std::unexpected(next.error()));
                    } else if (!*next) {
                        done(maybe());
                    } else {
                        done(maybe(message_access::make(std::move(**next))));
                    }
                });
            return [from, ticket] { from->cancel_wait(ticket); };
        };
        result<maybe> next = co_await suspend<maybe>(std::move(start));
        co_return value_or_throw(std::move(next));
    }
    if (!taken) {
        co_return std::nullopt;
    }
    co_return message_access::make(std::move(*taken));
}

asio::awaitable<std::uint64_t> consume_all(std::shared_ptr<core_consumer> from,
                                           std::function<asio::awaitable<void>(message&)> handler,
                                           consume_options options) {
    auto run = std::make_shared<consume_run>(from, std::move(handler), options.concurrency);
    const std::stop_callback stop(options.stop, [from] { from->stop(); });
    const auto executor = co_await asio::this_coro::executor;
    // A cancellation is a stop request, whenever it comes; nothing here may throw because of it
    // while workers run.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    for (std::uint32_t i = 0; i < options.concurrency; ++i) {
        asio::co_spawn(executor, consume_run::work(run),
                       [run](const std::exception_ptr& why) { run->ended(why); });
    }
    auto start = [&](callback<void> done) -> cancel_hook {
        run->wait_ended(std::move(done));
        return [run] { run->stop(); };
    };
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) {
        run->stop();
    }
    const result<void> ended = co_await suspend<void>(start);
    if (!ended) {
        // What is being handled goes on, and must be over before we are.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        const result<void> stopped = co_await suspend<void>(start);
        value_or_throw(stopped);
    }
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    co_await asio::this_coro::throw_if_cancelled(throws);
    co_return run->finish();
}

}  // namespace brokerd::client_core
