// Awaiting a callback: an asynchronous operation of Asio made of the callbacks of the core.
// An operation completes once, on the executor of the awaiting coroutine, with the value of its
// callback or with client_errc::cancelled; what comes second is dropped.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/execution/outstanding_work.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/use_awaitable.hpp>

#include "client/src/result.hpp"

namespace brokerd::client_core {

// Withdraws what was started, as far as that is possible.
using cancel_hook = std::function<void()>;

template <typename T, typename Handler>
class async_op : public std::enable_shared_from_this<async_op<T, Handler>> {
public:
    explicit async_op(Handler handler)
        : handler_(std::move(handler)),
          executor_(asio::prefer(asio::get_associated_executor(handler_),
                                 asio::execution::outstanding_work.tracked)) {}

    // Before start: what a cancellation of the coroutine does.
    void accept_cancellation() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([op = this->shared_from_this()](asio::cancellation_type kind) {
                if (kind != asio::cancellation_type::none) {
                    op->cancel();
                }
            });
        }
    }
    void set_hook(cancel_hook hook) {
        const std::lock_guard lock(mutex_);
        if (!finished_) {
            hook_ = std::move(hook);
        }
    }
    void complete(result<T> value) {
        if (!finished_.exchange(true)) {
            deliver(std::move(value));
        }
    }

private:
    void cancel() {
        if (finished_.exchange(true)) {
            return;
        }
        cancel_hook hook;
        {
            const std::lock_guard lock(mutex_);
            hook = std::move(hook_);
        }
        if (hook) {
            hook();
        }
        deliver(std::unexpected(make_error(client_errc::cancelled, "the wait was cancelled")));
    }

    void deliver(result<T> value) {
        asio::post(executor_, [op = this->shared_from_this(), value = std::move(value)]() mutable {
            auto slot = asio::get_associated_cancellation_slot(op->handler_);
            Handler handler = std::move(op->handler_);
            op.reset();
            if (slot.is_connected()) {
                slot.clear();
            }
            std::move(handler)(std::move(value));
        });
    }

    Handler handler_;
    using executor_type =
        std::decay_t<decltype(asio::prefer(asio::get_associated_executor(std::declval<Handler&>()),
                                           asio::execution::outstanding_work.tracked))>;
    executor_type executor_;
    std::atomic<bool> finished_ = false;
    std::mutex mutex_;
    cancel_hook hook_;
};

// Awaits the callback that `start` gets; `start` returns the hook that withdraws it.
template <typename T, typename Start>
asio::awaitable<result<T>> suspend(Start start) {
    auto initiate = [start = std::move(start)](auto&& handler) mutable {
        using handler_type = std::decay_t<decltype(handler)>;
        auto op = std::make_shared<async_op<T, handler_type>>(std::move(handler));
        op->accept_cancellation();
        op->set_hook(start(callback<T>([op](result<T> value) { op->complete(std::move(value)); })));
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(result<T>)>(
        std::move(initiate), asio::use_awaitable);
}

}  // namespace brokerd::client_core
