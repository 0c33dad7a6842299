// The asynchronous interface: the same on awaitables, with cancellation.
#include <functional>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include "brokerd/async_client.hpp"
#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::SizeIs;

// Coroutines are named functions with arguments by value; the test keeps what they point to.
class client_async_test : public client_fixture {
protected:
    // Runs a coroutine to its end on one thread.
    void run(asio::awaitable<void> what) {
        asio::io_context context;
        std::exception_ptr failed;
        asio::co_spawn(context, std::move(what), [&](std::exception_ptr why) { failed = why; });
        context.run_for(patience);
        EXPECT_TRUE(context.stopped()) << "it did not end in time";
        if (failed) {
            std::rethrow_exception(failed);
        }
    }
};

asio::awaitable<void> publish_and_read(std::string server) {
    async_client with{co_await asio::this_coro::executor, server};
    co_await with.connected();
    EXPECT_TRUE(with.is_connected());
    const topic_options keep{.keep_done = 1h};
    const ensured_topic topic = co_await with.ensure_topic("orders", keep);
    EXPECT_TRUE(topic.created);
    const outgoing_message first{.key = "k", .payload = "a"};
    const address at = co_await with.publish("orders", first);
    EXPECT_EQ(to_string(at), "orders@0");
    int results = 0;
    for (int i = 0; i < 1000; ++i) {
        const outgoing_message more{.payload = std::to_string(i)};
        const publish_callback count = [&results](const publish_result& result) {
            EXPECT_TRUE(result);
            ++results;
        };
        co_await with.submit("orders", more, count);
    }
    co_await with.flush();
    EXPECT_EQ(results, 1000);
    async_reader from = with.open_reader("orders");
    int read = 0;
    while (auto next = co_await from.next(0s)) {
        EXPECT_EQ(next->offset, static_cast<std::uint64_t>(read));
        ++read;
    }
    EXPECT_EQ(read, 1001);
    co_await with.close();
}

TEST_F(client_async_test, publishes_and_reads) {
    run(publish_and_read(broker.address()));
}

asio::awaitable<void> schedule_and_consume(std::string server) {
    async_client with{co_await asio::this_coro::executor, server};
    const queue_options settings;
    co_await with.ensure_queue("orders/billing", settings);
    const outgoing_message out{.payload = "later"};
    const std::uint64_t first = co_await with.schedule("orders", out, schedule_time::after(50ms));
    std::uint64_t second = 0;
    const publish_callback note = [&second](const publish_result& result) {
        EXPECT_TRUE(result);
        second = result.offset;
    };
    co_await with.schedule("orders", out, schedule_time::after(50ms), note);
    co_await with.flush();
    EXPECT_GT(second, first);
    bool refused = false;
    try {
        co_await with.schedule("orders", out, schedule_time::after(-1s));
    } catch (const error& failed) {
        refused = failed.code() == client_errc::invalid_argument;
    }
    EXPECT_TRUE(refused);
    async_consumer from = co_await with.open_consumer("orders/billing");
    for (int i = 0; i < 2; ++i) {
        auto next = co_await from.next(patience);
        EXPECT_TRUE(next && next->payload() == "later");
        if (next) {
            next->ack();
        }
    }
    co_await from.close();
    co_await with.close();
}

TEST_F(client_async_test, schedules) {
    run(schedule_and_consume(broker.address()));
}

asio::awaitable<void> consume_some(std::string server) {
    async_client with{co_await asio::this_coro::executor, server};
    const queue_options settings{.backoff = 1h, .backoff_max = 1h};
    co_await with.ensure_queue("orders/billing", settings);
    for (int i = 0; i < 10; ++i) {
        const outgoing_message out{.payload = std::to_string(i)};
        co_await with.publish("orders", out);
    }
    consume_options options;
    options.limit = 10;
    options.confirm = true;
    options.concurrency = 3;
    std::function<asio::awaitable<void>(message&)> handler =
        [](message& m) -> asio::awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
        co_await timer.async_wait(asio::use_awaitable);
        if (m.payload() == "3") {
            throw std::runtime_error("not three");
        }
    };
    const std::uint64_t handled = co_await with.consume("orders/billing", handler, options);
    EXPECT_EQ(handled, 10U);
    co_await with.close();
}

TEST_F(client_async_test, consumes_with_coroutines) {
    run(consume_some(broker.address()));
    client with = connected();
    EXPECT_EQ(admin(with).queue("orders/billing").done, 9U);
    EXPECT_EQ(history(with, "orders", 3).at(0).reason, "not three");
}

asio::awaitable<void> explicit_loop(std::string server) {
    async_client with{co_await asio::this_coro::executor, server};
    co_await with.ensure_queue("orders/billing");
    const outgoing_message out{.payload = "x"};
    co_await with.publish("orders", out);
    async_consumer from = co_await with.open_consumer("orders/billing");
    EXPECT_EQ(from.lease(), 30s);
    std::optional<message> next = co_await from.next(patience);
    EXPECT_TRUE(next.has_value());
    co_await from.ack_confirmed(std::move(*next));
    const std::optional<message> none = co_await from.next(10ms);
    EXPECT_FALSE(none);
    co_await from.close();
    co_await with.close();
}

TEST_F(client_async_test, an_explicit_loop) {
    run(explicit_loop(broker.address()));
    client with = connected();
    EXPECT_EQ(admin(with).queue("orders/billing").done, 1U);
}

asio::awaitable<void> wait_for_message(async_consumer& from, std::error_code& failed) {
    try {
        (void)co_await from.next();
    } catch (const error& why) {
        failed = why.code();
    }
}

asio::awaitable<void> cancel_a_wait(std::string server) {
    const auto executor = co_await asio::this_coro::executor;
    async_client with{executor, server};
    co_await with.ensure_queue("orders/billing");
    async_consumer from = co_await with.open_consumer("orders/billing");
    asio::cancellation_signal cancel;
    std::error_code failed;
    bool ended = false;
    asio::co_spawn(executor, wait_for_message(from, failed),
                   asio::bind_cancellation_slot(cancel.slot(),
                                                [&](const std::exception_ptr&) { ended = true; }));
    asio::steady_timer timer(executor, 10ms);
    co_await timer.async_wait(asio::use_awaitable);
    EXPECT_FALSE(ended);
    cancel.emit(asio::cancellation_type::terminal);
    while (!ended) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    EXPECT_EQ(failed, client_errc::cancelled);
    const outgoing_message out{.payload = "x"};
    co_await with.publish("orders", out);
    const std::optional<message> next = co_await from.next(patience);
    EXPECT_TRUE(next.has_value());
    co_await with.close();
}

// Promise: client.cancel
TEST_F(client_async_test, a_cancelled_wait_loses_no_message) {
    run(cancel_a_wait(broker.address()));
}

asio::awaitable<void> handle_slowly(std::function<void()> first, message&) {
    first();
    asio::steady_timer timer(co_await asio::this_coro::executor, 20ms);
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<std::uint64_t> consume_until_cancelled(async_client& with,
                                                       std::function<void()> first) {
    const consume_options options{.confirm = true};
    const std::function<asio::awaitable<void>(message&)> handler =
        std::bind_front(handle_slowly, first);
    co_return co_await with.consume("orders/billing", handler, options);
}

asio::awaitable<void> cancel_consuming(std::string server) {
    const auto executor = co_await asio::this_coro::executor;
    async_client with{executor, server};
    co_await with.ensure_queue("orders/billing");
    for (int i = 0; i < 5; ++i) {
        const outgoing_message out{.payload = "x"};
        co_await with.publish("orders", out);
    }
    asio::cancellation_signal cancel;
    std::optional<std::uint64_t> handled;
    const std::function<void()> first = [&] { cancel.emit(asio::cancellation_type::terminal); };
    asio::co_spawn(executor, consume_until_cancelled(with, first),
                   asio::bind_cancellation_slot(
                       cancel.slot(), [&](const std::exception_ptr& why, std::uint64_t count) {
                           EXPECT_FALSE(why);
                           handled = count;
                       }));
    asio::steady_timer timer(executor);
    while (!handled) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    EXPECT_EQ(handled, 1U);
    co_await with.close();
}

TEST_F(client_async_test, cancelling_consume_lets_the_running_handler_finish) {
    run(cancel_consuming(broker.address()));
    client with = connected();
    const queue_info info = admin(with).queue("orders/billing");
    EXPECT_EQ(info.done, 1U);
    EXPECT_EQ(info.ready, 4U);
}

asio::awaitable<void> publish_many(async_client& with, int count) {
    for (int i = 0; i < count; ++i) {
        const outgoing_message out{.payload = "x"};
        co_await with.publish("orders", out);
    }
}

TEST_F(client_async_test, works_on_a_thread_pool) {
    asio::thread_pool pool(3);
    {
        async_client with{pool.get_executor(), broker.address()};
        const topic_options keep{.keep_done = 1h};
        asio::co_spawn(pool, with.ensure_topic("orders", keep), asio::use_future).get();
        std::vector<std::future<void>> all;
        for (int i = 0; i < 8; ++i) {
            all.push_back(asio::co_spawn(pool, publish_many(with, 50), asio::use_future));
        }
        for (auto& each : all) {
            each.get();
        }
        asio::co_spawn(pool, with.close(), asio::use_future).get();
    }
    pool.join();
    client with = connected();
    EXPECT_THAT(payloads(with, "orders"), SizeIs(400));
}

TEST_F(client_async_test, a_client_dropped_without_close_ends_by_itself) {
    asio::io_context context;
    {
        async_client with{context.get_executor(), broker.address()};
    }
    context.run_for(patience);
    EXPECT_TRUE(context.stopped());
}

TEST_F(client_async_test, a_context_that_goes_first_takes_the_client_with_it) {
    auto context = std::make_unique<asio::io_context>();
    std::optional<async_client> with;
    with.emplace(context->get_executor(), broker.address());
    context->run_for(50ms);
    with.reset();
    context.reset();
}

}  // namespace
}  // namespace brokerd::client_integration
