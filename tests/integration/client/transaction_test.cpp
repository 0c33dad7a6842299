// Transactions against the real broker: all of it or nothing, once, whatever happens meanwhile.
#include <atomic>
#include <functional>
#include <future>
#include <set>
#include <stop_token>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "brokerd/async_client.hpp"
#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr timestamp next_century = std::chrono::sys_days{std::chrono::year{2100} / 1 / 1};

std::error_code commit_code(client& with, transaction& what) {
    try {
        with.commit(what);
    } catch (const error& failed) {
        return failed.code();
    }
    return {};
}

class client_transaction_test : public client_fixture {
protected:
    void SetUp() override {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_topic("invoices", {.keep_done = 1h});
        with.ensure_queue("orders/billing", {.backoff = 1ms, .backoff_max = 1ms});
    }
    queue_info info(const std::string& queue = "orders/billing") {
        return admin(with).queue(queue);
    }
    static message take(consumer& from) {
        auto next = from.next(patience);
        if (!next) {
            throw std::runtime_error("no message came");
        }
        return std::move(*next);
    }
    // Makes an invoice of each of `count` orders, in a transaction each, while `disturb` does its
    // worst; returns how many were committed. `disturb` may wait for the orders committed so far.
    std::uint64_t invoice_all(client& worker, std::uint64_t count,
                              const std::function<void(counter&)>& disturb) {
        publish_numbers(with, "orders", static_cast<int>(count));
        std::atomic<std::uint64_t> done = 0;
        counter so_far;
        std::stop_source stop;
        const auto handle = [&](message& order) {
            transaction all;
            all.publish("invoices", {.payload = std::string(order.payload())});
            all.ack(std::move(order));
            if (const auto failed = commit_code(worker, all)) {
                // The order comes again.
                EXPECT_EQ(failed, broker_errc::lease_gone);
                return;
            }
            so_far.add();
            if (++done == count) {
                stop.request_stop();
            }
        };
        auto consuming = std::async(std::launch::async, [&] {
            worker.consume("orders/billing", handle,
                           {.prefetch_messages = 50, .concurrency = 4, .stop = stop.get_token()});
        });
        disturb(so_far);
        consuming.get();
        return done;
    }
    // Each order is done, and has one invoice.
    void expect_one_invoice_each(std::uint64_t count) {
        const std::vector<std::string> invoices = payloads(with, "invoices");
        EXPECT_THAT(invoices, SizeIs(count));
        EXPECT_THAT(std::set<std::string>(invoices.begin(), invoices.end()), SizeIs(count));
        EXPECT_EQ(info().done, count);
        EXPECT_EQ(info().ready + info().leased + info().retrying + info().dead, 0U);
    }

    client with = connected();
};

// Promise: recipe.transform
TEST_F(client_transaction_test, consumes_transforms_and_produces) {
    EXPECT_EQ(invoice_all(with, 200, [](counter&) {}), 200U);
    expect_one_invoice_each(200);
}

TEST_F(client_transaction_test, many_messages_of_many_topics_in_one) {
    with.ensure_queue("orders/audit");
    with.ensure_topic("log", {.keep_done = 1h});
    publish_numbers(with, "orders", 100);
    consumer billing = with.open_consumer("orders/billing");
    consumer audit = with.open_consumer("orders/audit");
    transaction all;
    for (int i = 0; i < 100; ++i) {
        message order = take(billing);
        all.publish("invoices", {.key = "k", .payload = "invoice " + std::string(order.payload())});
        all.ack(std::move(order));
        all.ack(take(audit));
    }
    all.publish("log", {.payload = "a hundred"});
    const committed done = with.commit(all);
    ASSERT_THAT(done.messages, SizeIs(101));
    EXPECT_EQ(done.messages[0], (address{"invoices", 0}));
    EXPECT_EQ(done.messages[99], (address{"invoices", 99}));
    EXPECT_EQ(done.messages[100], (address{"log", 0}));
    EXPECT_TRUE(all.empty());
    EXPECT_EQ(info().done, 100U);
    EXPECT_EQ(info("orders/audit").done, 100U);
    const auto invoices = payloads(with, "invoices");
    ASSERT_THAT(invoices, SizeIs(100));
    EXPECT_EQ(invoices[99], "invoice 99");
    EXPECT_THAT(payloads(with, "log"), ElementsAre("a hundred"));
}

TEST_F(client_transaction_test, every_answer_means_what_it_means_alone) {
    publish_numbers(with, "orders", 3);
    consumer from = with.open_consumer("orders/billing");
    transaction all;
    all.ack(take(from));
    all.nack(take(from), 1h, "no card service");
    all.reject(take(from), "no such card");
    EXPECT_THAT(with.commit(all).messages, IsEmpty());
    EXPECT_EQ(info().done, 1U);
    EXPECT_EQ(info().retrying, 1U);
    EXPECT_EQ(info().dead, 1U);
    EXPECT_EQ(history(with, "orders", 1).at(0).reason, "no card service");
    EXPECT_EQ(history(with, "orders", 2).at(0).reason, "no such card");
}

// Promise: transaction.refused
TEST_F(client_transaction_test, with_one_lease_gone_nothing_is_done) {
    with.ensure_queue("orders/audit");
    publish_numbers(with, "orders", 1);
    consumer billing = with.open_consumer("orders/billing");
    consumer audit = with.open_consumer("orders/audit");
    transaction all;
    all.publish("invoices", {.payload = "never"});
    all.schedule("invoices", {.payload = "never, later"}, schedule_time::at(next_century));
    all.ack(take(billing));
    all.ack(take(audit));
    admin(with).seek_queue("orders/audit", log_position::earliest());
    EXPECT_EQ(commit_code(with, all), broker_errc::lease_gone);
    EXPECT_THAT(payloads(with, "invoices"), IsEmpty());
    EXPECT_EQ(admin(with).topic("invoices").scheduled, 0U);
    EXPECT_EQ(info().leased, 1U);
    EXPECT_EQ(info().done, 0U);
    auto back = all.take_back();
    ASSERT_THAT(back, SizeIs(2));
    EXPECT_NO_THROW(back[0].ack_confirmed());
    EXPECT_EQ(info().done, 1U);
}

TEST_F(client_transaction_test, what_is_refused_can_be_tried_again) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    transaction all;
    all.publish("invoices", {.payload = "1"});
    all.publish("later", {.payload = "2"});
    all.ack(take(from));
    EXPECT_EQ(commit_code(with, all), broker_errc::topic_not_found);
    EXPECT_THAT(payloads(with, "invoices"), IsEmpty());
    EXPECT_EQ(info().leased, 1U);
    with.ensure_topic("later", {.keep_done = 1h, .max_message_bytes = 1024});
    EXPECT_EQ(commit_code(with, all), std::error_code());
    EXPECT_THAT(payloads(with, "invoices"), ElementsAre("1"));
    EXPECT_EQ(info().done, 1U);
    all.publish("invoices", {.payload = "3"});
    all.publish("later", {.payload = std::string(2000, 'x')});
    EXPECT_EQ(commit_code(with, all), broker_errc::message_too_large);
    EXPECT_THAT(payloads(with, "invoices"), SizeIs(1));
}

// Promise: client.dropped
TEST_F(client_transaction_test, destroyed_it_gives_its_messages_back) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    {
        transaction all;
        all.publish("nowhere", {});
        all.ack(take(from));
        EXPECT_EQ(commit_code(with, all), broker_errc::topic_not_found);
    }
    EXPECT_EQ(take(from).attempt(), 1U);
    EXPECT_THAT(history(with, "orders", 0), IsEmpty());
}

TEST_F(client_transaction_test, a_message_of_another_client_is_refused) {
    publish_numbers(with, "orders", 1);
    client other = connected();
    consumer from = other.open_consumer("orders/billing");
    transaction all;
    all.ack(take(from));
    EXPECT_EQ(commit_code(with, all), client_errc::invalid_argument);
    EXPECT_EQ(commit_code(other, all), std::error_code());
    EXPECT_EQ(info().done, 1U);
}

TEST_F(client_transaction_test, what_it_schedules_comes_when_it_is_due) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    transaction all;
    all.ack(take(from));
    all.schedule("orders", {.payload = "soon"}, schedule_time::after(50ms));
    all.schedule("orders", {.payload = "far"}, schedule_time::at(next_century));
    const committed done = with.commit(all);
    ASSERT_THAT(done.messages, SizeIs(2));
    message soon = take(from);
    EXPECT_EQ(soon.payload(), "soon");
    soon.ack();
    const schedule_page left = admin(with).schedules("orders");
    ASSERT_THAT(left.schedules, SizeIs(1));
    EXPECT_EQ(left.schedules[0].id, done.messages[1].offset);
    EXPECT_EQ(left.schedules[0].due, next_century);
    EXPECT_EQ(admin(with).cancel_schedules("orders", {done.messages[1].offset}), 1U);
}

TEST_F(client_transaction_test, survives_a_kill) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    transaction all;
    all.publish("invoices", {.payload = "1"});
    all.ack(take(from));
    with.commit(all);
    broker.kill();
    broker.restart();
    expect_one_invoice_each(1);
}

TEST_F(client_transaction_test, waits_through_an_orderly_restart) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    transaction all;
    all.publish("invoices", {.payload = "1"});
    all.ack(take(from));
    EXPECT_EQ(broker.terminate(), 0);
    auto committing = std::async(std::launch::async, [&] { return commit_code(with, all); });
    broker.restart();
    EXPECT_EQ(committing.get(), std::error_code());
    expect_one_invoice_each(1);
}

// Promise: transaction.exactly_once
TEST_F(client_transaction_test, kills_under_load_lose_and_double_nothing) {
    constexpr std::uint64_t count = 2000;
    const auto kill = [&](counter& so_far) {
        for (const int at : {200, 1000}) {
            ASSERT_TRUE(so_far.reaches(at));
            broker.kill();
            broker.restart();
        }
    };
    EXPECT_EQ(invoice_all(with, count, kill), count);
    expect_one_invoice_each(count);
}

TEST_F(client_transaction_test, cut_after_cut_loses_and_doubles_nothing) {
    constexpr std::uint64_t count = 1000;
    relay network(broker.port());
    client cut_off = connect(network.address());
    const auto cut = [&](counter& so_far) {
        for (const int at : {50, 200, 350, 500, 700}) {
            ASSERT_TRUE(so_far.reaches(at));
            network.cut();
        }
    };
    EXPECT_EQ(invoice_all(cut_off, count, cut), count);
    expect_one_invoice_each(count);
}

asio::awaitable<void> transform_some(std::string server) {
    async_client with{co_await asio::this_coro::executor, server};
    co_await with.connected();
    async_consumer from = co_await with.open_consumer("orders/billing");
    transaction all;
    for (int i = 0; i < 3; ++i) {
        std::optional<message> next = co_await from.next(patience);
        if (!next) {
            throw std::runtime_error("no message came");
        }
        const outgoing_message invoice{.payload = std::string(next->payload())};
        all.publish("invoices", invoice);
        all.ack(std::move(*next));
    }
    const committed done = co_await with.commit(all);
    EXPECT_THAT(done.messages, SizeIs(3));
    EXPECT_TRUE(all.empty());
    const outgoing_message lost{.payload = "never"};
    all.publish("nowhere", lost);
    std::error_code refused;
    try {
        co_await with.commit(all);
    } catch (const error& failed) {
        refused = failed.code();
    }
    EXPECT_EQ(refused, broker_errc::topic_not_found);
    co_await from.close();
    co_await with.close();
}

TEST_F(client_transaction_test, commits_on_awaitables) {
    publish_numbers(with, "orders", 3);
    asio::io_context context;
    std::exception_ptr failed;
    asio::co_spawn(context, transform_some(broker.address()),
                   [&](std::exception_ptr why) { failed = why; });
    context.run_for(patience);
    ASSERT_TRUE(context.stopped()) << "it did not end in time";
    if (failed) {
        std::rethrow_exception(failed);
    }
    expect_one_invoice_each(3);
}

}  // namespace
}  // namespace brokerd::client_integration
