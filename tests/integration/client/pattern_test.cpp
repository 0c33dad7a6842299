// Pattern queues through the client: one consumer for all topics of a kind, those that come later,
// too, over lost connections and restarts, and what ends it and what does not.
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/this_coro.hpp>

#include "brokerd/async_client.hpp"
#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr auto every_billing = "orders.*/billing";

class client_pattern_test : public client_fixture {
protected:
    void SetUp() override {
        with.ensure_topic("orders.eu", {.keep_done = 1h});
        with.ensure_topic("orders.us", {.keep_done = 1h});
        with.ensure_topic("invoices");
    }
    // With a message in each of the two topics.
    void make_queues() {
        with.ensure_queue(every_billing);
        publish("orders.eu");
        publish("orders.us");
    }
    address publish(const std::string& topic, const std::string& payload = "x") {
        return with.publish(topic, {.payload = payload});
    }
    queue_info info(const std::string& topic) { return admin(with).queue(topic + "/billing"); }
    std::uint64_t leased() {
        std::uint64_t sum = 0;
        for (const queue_info& each : admin(with).queues()) {
            sum += each.leased;
        }
        return sum;
    }
    // One message of each of the two topics, in order of their names.
    static std::pair<message, message> one_of_each(consumer& from) {
        std::map<std::string, message> held;
        for (int i = 0; i < 2; ++i) {
            message next = next_of(from);
            const std::string topic = next.topic();
            held.insert_or_assign(topic, std::move(next));
        }
        return {std::move(held.at("orders.eu")), std::move(held.at("orders.us"))};
    }

    client with = connected();
};

// Promise: pattern.consume
TEST_F(client_pattern_test, one_consumer_gets_present_and_future_topics) {
    const ensured_queue made = with.ensure_queue(every_billing, {.lease = 20s});
    EXPECT_TRUE(made.created);
    EXPECT_EQ(made.queues, 2U);
    EXPECT_EQ(made.settings.lease, 20s);
    publish("orders.eu", "eu");
    publish("orders.us", "us");
    publish("invoices", "not of this kind");
    consumer from = with.open_consumer(every_billing, {.confirm = true});
    EXPECT_EQ(from.queue(), every_billing);
    EXPECT_EQ(from.lease(), 20s);
    std::map<std::string, std::string> got;
    for (int i = 0; i < 2; ++i) {
        message next = next_of(from);
        EXPECT_EQ(next.queue(), next.topic() + "/billing");
        EXPECT_EQ(next.at(), (address{next.topic(), 0}));
        got[next.topic()] = next.payload();
        next.ack();
    }
    EXPECT_EQ(got, (std::map<std::string, std::string>{{"orders.eu", "eu"}, {"orders.us", "us"}}));
    with.ensure_topic("orders.asia");
    publish("orders.asia", "asia");
    message next = next_of(from);
    EXPECT_EQ(next.at(), (address{"orders.asia", 0}));
    next.ack();
    EXPECT_EQ(from.flush().accepted, 3U);
    for (const char* topic : {"orders.eu", "orders.us", "orders.asia"}) {
        EXPECT_EQ(info(topic).done, 1U) << topic;
    }
    EXPECT_FALSE(from.next(0s));
}

TEST_F(client_pattern_test, a_start_is_for_the_topics_that_exist) {
    publish("orders.eu", "before");
    with.ensure_queue(every_billing, {}, log_position::latest());
    with.ensure_topic("orders.asia");
    publish("orders.asia", "first");
    publish("orders.eu", "after");
    std::vector<std::string> got;
    with.consume(every_billing, [&](const message& m) { got.emplace_back(m.payload()); },
                 {.limit = 2, .confirm = true});
    EXPECT_THAT(got, UnorderedElementsAre("first", "after"));
}

TEST_F(client_pattern_test, a_pattern_may_end_with_any_number_of_words) {
    with.ensure_topic("orders.eu.big");
    EXPECT_EQ(with.ensure_queue("orders.>/audit").queues, 3U);
    EXPECT_EQ(with.ensure_queue("*/audit").queues, 1U);  // invoices
}

// Promise: pattern.prefetch
TEST_F(client_pattern_test, prefetch_and_limit_are_for_all_queues_together) {
    with.ensure_queue(every_billing);
    publish_numbers(with, "orders.eu", 10);
    publish_numbers(with, "orders.us", 10);
    {
        consumer from = with.open_consumer(every_billing, {.prefetch_messages = 4});
        std::vector<message> held;
        for (int i = 0; i < 4; ++i) {
            held.push_back(next_of(from));
        }
        EXPECT_EQ(leased(), 4U);
        EXPECT_FALSE(from.next(0s));
        held.front().ack();
        EXPECT_TRUE(from.next(patience)) << "there is room again";
        from.close();
    }
    EXPECT_EQ(leased(), 0U);
    EXPECT_EQ(with.consume(every_billing, [](const message&) {}, {.limit = 12, .confirm = true}),
              12U);
    EXPECT_EQ(info("orders.eu").done + info("orders.us").done, 13U);
    EXPECT_EQ(leased(), 0U);
}

TEST_F(client_pattern_test, shares_the_messages_with_a_consumer_of_one_queue) {
    with.ensure_queue(every_billing);
    consumer plain = with.open_consumer("orders.eu/billing", {.prefetch_messages = 1});
    publish_numbers(with, "orders.eu", 2);
    auto held = plain.next(patience);
    ASSERT_TRUE(held);
    consumer from = with.open_consumer(every_billing);
    message other = next_of(from);
    EXPECT_NE(held->offset(), other.offset());
}

// ---- over lost connections

// Promise: pattern.leases
TEST_F(client_pattern_test, leases_of_two_queues_are_kept_over_a_lost_connection) {
    with.ensure_queue(every_billing);
    publish_numbers(with, "orders.eu", 5);
    publish_numbers(with, "orders.us", 5);
    relay network(broker.port());
    client working = connect(network.address());
    consumer from = working.open_consumer(every_billing, {.confirm = true});
    std::vector<message> held;
    for (int i = 0; i < 10; ++i) {
        message next = next_of(from);
        EXPECT_EQ(next.attempt(), 1U);
        held.push_back(std::move(next));
        if (i == 3) {
            network.cut();
        }
    }
    network.cut();
    for (message& each : held) {
        each.ack();
    }
    const settle_counts counts = from.flush();
    EXPECT_EQ(counts.accepted, 10U);
    EXPECT_EQ(counts.refused, 0U);
    for (const char* topic : {"orders.eu", "orders.us"}) {
        EXPECT_EQ(info(topic).done, 5U) << topic;
        EXPECT_THAT(history(with, topic, 0), IsEmpty());
    }
}

// Promise: pattern.leases
TEST_F(client_pattern_test, acks_given_while_the_broker_is_away_hold) {
    make_queues();
    consumer from = with.open_consumer(every_billing, {.confirm = true});
    auto [eu, us] = one_of_each(from);
    broker.kill();
    eu.ack();
    us.nack("could not reach the broker either");
    broker.restart();
    const settle_counts counts = from.flush();
    EXPECT_EQ(counts.accepted, 2U);
    EXPECT_EQ(counts.refused, 0U);
    EXPECT_EQ(info("orders.eu").done, 1U);
    EXPECT_THAT(history(with, "orders.us", 0), SizeIs(1));
    // It goes on, for topics that come now, too.
    with.ensure_topic("orders.asia");
    publish("orders.asia");
    auto next = from.next(patience);
    while (next && next->topic() != "orders.asia") {
        next->ack();
        next = from.next(patience);
    }
    EXPECT_TRUE(next);
}

// Promise: pattern.consume, durability.ack
TEST_F(client_pattern_test, confirmed_acks_survive_a_kill) {
    make_queues();
    consumer from = with.open_consumer(every_billing);
    auto [eu, us] = one_of_each(from);
    eu.ack_confirmed();
    us.ack_confirmed();
    broker.kill();
    broker.restart();
    EXPECT_EQ(info("orders.eu").done, 1U);
    EXPECT_EQ(info("orders.us").done, 1U);
    EXPECT_EQ(admin(with).pattern(every_billing).queues, 2U);
}

TEST_F(client_pattern_test, an_orderly_restart_costs_nothing) {
    with.ensure_queue(every_billing);
    counter handled;
    std::stop_source stop;
    auto consuming = std::async(std::launch::async, [&] {
        return with.consume(every_billing,
                            [&](const message& m) {
                                EXPECT_EQ(m.attempt(), 1U);
                                handled.add();
                            },
                            {.confirm = true, .stop = stop.get_token()});
    });
    publish_numbers(with, "orders.eu", 50);
    publish_numbers(with, "orders.us", 50);
    ASSERT_TRUE(handled.reaches(100));
    EXPECT_EQ(broker.terminate(), 0);
    broker.restart();
    publish_numbers(with, "orders.us", 50);
    ASSERT_TRUE(handled.reaches(150));
    stop.request_stop();
    EXPECT_EQ(consuming.get(), 150U);
}

// Promise: pattern.consume, delivery.at_least_once
TEST_F(client_pattern_test, each_message_is_handled_through_kills) {
    constexpr int count = 500;
    with.ensure_queue(every_billing, {.backoff = 1ms, .backoff_max = 1ms});
    publish_numbers(with, "orders.eu", count);
    publish_numbers(with, "orders.us", count);
    std::mutex mutex;
    std::set<std::string> seen;
    counter handled;
    auto consuming = std::async(std::launch::async, [&] {
        std::stop_source stop;
        return with.consume(
            every_billing,
            [&](const message& m) {
                const std::lock_guard lock(mutex);
                seen.insert(to_string(m.at()));
                handled.add();
                if (seen.size() == 2 * count) {
                    stop.request_stop();
                }
            },
            {.prefetch_messages = 50, .confirm = true, .concurrency = 2, .stop = stop.get_token()});
    });
    for (const int at : {100, 500}) {
        ASSERT_TRUE(handled.reaches(at));
        broker.kill();
        broker.restart();
    }
    (void)consuming.get();
    EXPECT_THAT(seen, SizeIs(2 * count));
    for (const char* topic : {"orders.eu", "orders.us"}) {
        EXPECT_EQ(info(topic).done, static_cast<std::uint64_t>(count)) << topic;
    }
}

// ---- what goes away

// Promise: pattern.removed
TEST_F(client_pattern_test, goes_on_when_a_topic_is_removed) {
    make_queues();
    consumer from = with.open_consumer(every_billing, {.confirm = true});
    auto [eu, us] = one_of_each(from);
    admin(with).remove_topic("orders.eu");
    publish("orders.us", "later");
    message next = next_of(from);  // the news came before it
    EXPECT_EQ(next.payload(), "later");
    EXPECT_EQ(code_of([&held = eu] { held.ack_confirmed(); }), broker_errc::lease_gone);
    us.ack_confirmed();
    next.ack_confirmed();
    // The name again is another topic, and it has such a queue, too.
    with.ensure_topic("orders.eu");
    publish("orders.eu", "again");
    message again = next_of(from);
    EXPECT_EQ(again.at(), (address{"orders.eu", 0}));
    EXPECT_EQ(again.payload(), "again");
    again.ack();
    EXPECT_EQ(from.flush().refused, 0U);
}

TEST_F(client_pattern_test, a_queue_that_went_during_a_lost_connection_is_gone) {
    make_queues();
    relay network(broker.port());
    client working = connect(network.address());
    consumer from = working.open_consumer(every_billing, {.confirm = true});
    auto [eu, us] = one_of_each(from);
    // Whether it hears of it before the cut or after: it is refused.
    admin(with).remove_queue("orders.eu/billing");
    network.cut();
    EXPECT_NE(code_of([&held = eu] { held.ack_confirmed(); }), std::error_code());
    us.ack_confirmed();
    EXPECT_EQ(info("orders.us").done, 1U);
}

// Promise: pattern.removed
TEST_F(client_pattern_test, consuming_ends_with_the_rule) {
    with.ensure_queue(every_billing);
    counter handled;
    auto consuming = std::async(std::launch::async, [&] {
        return code_of(
            [&] { with.consume(every_billing, [&](const message&) { handled.add(); }); });
    });
    publish("orders.eu");
    ASSERT_TRUE(handled.reaches(1));
    EXPECT_EQ(admin(with).remove_pattern(every_billing), 0U);
    EXPECT_EQ(consuming.get(), broker_errc::pattern_not_found);
    EXPECT_NO_THROW((void)info("orders.eu")) << "its queues stay";
    EXPECT_EQ(code_of([&] { (void)with.open_consumer(every_billing); }),
              broker_errc::pattern_not_found);
}

// ---- administration

// Promise: pattern.settings
TEST_F(client_pattern_test, settings_are_replaced_with_those_of_all_queues) {
    with.ensure_queue(every_billing, {.lease = 20s, .attempts = 3});
    admin of(with);
    queue_options own = info("orders.us").settings;
    own.until = 7;
    of.set_queue("orders.us/billing", own);
    queue_options settings = of.pattern(every_billing).settings;
    EXPECT_EQ(settings.attempts, 3U);
    settings.attempts = 5;
    EXPECT_EQ(of.set_pattern(every_billing, settings),
              (changed_pattern{.queues = 2, .changed = 2}));
    EXPECT_EQ(of.pattern(every_billing).settings, settings);
    EXPECT_EQ(info("orders.eu").settings, settings);
    own.attempts = 5;
    EXPECT_EQ(info("orders.us").settings, own) << "an end is of one topic";
    with.ensure_topic("orders.asia");
    EXPECT_EQ(info("orders.asia").settings.attempts, 5U);
    EXPECT_EQ(of.set_pattern(every_billing, settings),
              (changed_pattern{.queues = 3, .changed = 0}));
    EXPECT_THAT(with.ensure_queue(every_billing, {.lease = 10s}).differing,
                ElementsAre("lease", "attempts"));
    EXPECT_EQ(code_of([&] { (void)of.set_pattern("none.*/billing", settings); }),
              broker_errc::pattern_not_found);
    EXPECT_THAT(of.patterns(), SizeIs(1)) << "a missing one is not created";
}

// Promise: pattern.settings
TEST_F(client_pattern_test, another_mode_is_refused) {
    with.ensure_queue(every_billing, {}, log_position::earliest(), delivery_mode::keyed);
    EXPECT_EQ(code_of([&] { with.ensure_queue(every_billing); }), broker_errc::pattern_exists);
    EXPECT_EQ(code_of([&] { with.ensure_queue("orders.>/billing"); }), broker_errc::pattern_exists);
    with.ensure_queue("orders.us/audit", {}, log_position::earliest(), delivery_mode::single);
    EXPECT_EQ(code_of([&] { with.ensure_queue("orders.*/audit"); }), broker_errc::queue_exists);
    EXPECT_EQ(admin(with).pattern(every_billing).mode, delivery_mode::keyed);
    EXPECT_EQ(info("orders.eu").mode, delivery_mode::keyed);
}

TEST_F(client_pattern_test, what_no_pattern_queue_can_be_is_refused) {
    EXPECT_EQ(code_of([&] { with.ensure_queue(every_billing, {}, log_position::at_offset(3)); }),
              client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { with.ensure_queue(every_billing, {.until = 3}); }),
              client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { with.ensure_queue("orders.e*/billing"); }), broker_errc::invalid_name);
    EXPECT_EQ(code_of([&] { (void)with.open_consumer("orders.>.eu/billing"); }),
              broker_errc::invalid_name);
    EXPECT_THAT(admin(with).patterns(), IsEmpty());
}

TEST_F(client_pattern_test, is_listed_and_removed) {
    with.ensure_queue(every_billing);
    with.ensure_queue("orders.>/billing");
    admin of(with);
    const consumer from = with.open_consumer(every_billing);
    const auto listed = of.patterns();
    ASSERT_THAT(listed, SizeIs(2));
    EXPECT_EQ(listed[0].pattern, every_billing);
    EXPECT_EQ(listed[0].queues, 2U);
    EXPECT_EQ(listed[0].consumers, 1U);
    EXPECT_EQ(listed[1].pattern, "orders.>/billing");
    EXPECT_EQ(of.pattern(every_billing), listed[0]);
    // Those that another rule has stay.
    EXPECT_EQ(of.remove_pattern(every_billing, true, true), 0U);
    EXPECT_EQ(of.remove_pattern("orders.>/billing"), 0U);
    EXPECT_EQ(of.remove_pattern(every_billing, true, true), 2U);
    EXPECT_THAT(of.patterns(), SizeIs(1)) << "it was only counted";
    EXPECT_EQ(of.remove_pattern(every_billing, true), 2U);
    EXPECT_THAT(of.patterns(), IsEmpty());
    EXPECT_THAT(of.queues(), IsEmpty());
    EXPECT_EQ(code_of([&] { (void)of.pattern(every_billing); }), broker_errc::pattern_not_found);
}

// ---- transactions and coroutines

TEST_F(client_pattern_test, a_transaction_answers_messages_of_several_queues) {
    with.ensure_queue(every_billing);
    publish("orders.eu", "1");
    publish("orders.us", "2");
    consumer from = with.open_consumer(every_billing);
    auto [eu, us] = one_of_each(from);
    transaction both;
    both.publish("invoices", {.payload = "1 and 2"});
    both.ack(std::move(eu));
    both.ack(std::move(us));
    EXPECT_THAT(with.commit(both).messages, ElementsAre(address{"invoices", 0}));
    EXPECT_EQ(info("orders.eu").done, 1U);
    EXPECT_EQ(info("orders.us").done, 1U);
    EXPECT_THAT(payloads(with, "invoices"), ElementsAre("1 and 2"));
}

TEST_F(client_pattern_test, a_transaction_with_a_message_of_a_removed_queue_does_nothing) {
    make_queues();
    consumer from = with.open_consumer(every_billing);
    auto [eu, us] = one_of_each(from);
    admin(with).remove_queue("orders.eu/billing");
    transaction both;
    both.publish("invoices", {.payload = "never"});
    both.ack(std::move(eu));
    both.ack(std::move(us));
    EXPECT_NE(code_of([&] { with.commit(both); }), std::error_code());
    EXPECT_THAT(payloads(with, "invoices"), IsEmpty());
    EXPECT_EQ(info("orders.us").leased, 1U);
}

asio::awaitable<void> note_topic(std::set<std::string>& topics, message& m) {
    topics.insert(m.topic());
    co_return;
}

asio::awaitable<void> consume_by_coroutine(std::string server, std::set<std::string>& topics) {
    async_client to{co_await asio::this_coro::executor, server};
    const ensured_queue made = co_await to.ensure_queue(every_billing);
    EXPECT_EQ(made.queues, 2U);
    const outgoing_message what{.payload = "x"};
    co_await to.publish("orders.eu", what);
    co_await to.publish("orders.us", what);
    consume_options options;
    options.limit = 2;
    options.confirm = true;
    const std::function<asio::awaitable<void>(message&)> handler =
        std::bind_front(note_topic, std::ref(topics));
    const std::uint64_t handled = co_await to.consume(every_billing, handler, options);
    EXPECT_EQ(handled, 2U);
    async_consumer from = co_await to.open_consumer(every_billing);
    const bool more = (co_await from.next(std::chrono::microseconds{0})).has_value();
    EXPECT_FALSE(more);
    co_await from.close();
    co_await to.close();
}

TEST_F(client_pattern_test, can_be_awaited) {
    asio::io_context context;
    std::exception_ptr failed;
    std::set<std::string> topics;
    asio::co_spawn(context, consume_by_coroutine(broker.address(), topics),
                   [&](std::exception_ptr why) { failed = why; });
    context.run_for(patience);
    EXPECT_TRUE(context.stopped()) << "it did not end in time";
    if (failed) {
        std::rethrow_exception(failed);
    }
    EXPECT_THAT(topics, ElementsAre("orders.eu", "orders.us"));
    EXPECT_EQ(info("orders.eu").done, 1U);
}

}  // namespace
}  // namespace brokerd::client_integration
