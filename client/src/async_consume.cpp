// Messages for coroutines.
#include "client/src/async_consume.hpp"

#include <exception>
#include <utility>

#include "client/src/async_op.hpp"
#include "client/src/async_workers.hpp"
#include "client/src/message_access.hpp"
#include "client/src/wait_for.hpp"

namespace brokerd::client_core {
namespace {

// One worker: message after message.
asio::awaitable<void> handle_messages(std::shared_ptr<core_consumer> from,
                                      std::function<asio::awaitable<void>(message&)> handler,
                                      std::shared_ptr<worker_group> group) {
    while (true) {
        std::optional<message> next = co_await next_message(from, forever);
        if (!next) {
            break;
        }
        std::exception_ptr thrown;
        try {
            co_await handler(*next);
        } catch (...) {
            thrown = std::current_exception();
        }
        message_access::settle_handled(*next, thrown);
        group->handled();
    }
}

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
    auto group = std::make_shared<worker_group>(options.concurrency, [from] { from->stop(); });
    std::function<asio::awaitable<void>()> work = [from, handler, group] {
        return handle_messages(from, handler, group);
    };
    return run_workers(std::move(group), std::move(work), options.concurrency, options.stop);
}

}  // namespace brokerd::client_core
