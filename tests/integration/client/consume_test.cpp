// Consuming: answers, handlers, leases, the end.
#include <barrier>
#include <future>
#include <map>
#include <stop_token>
#include <thread>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class client_consume_test : public client_fixture {
protected:
    void ensure(const queue_options& settings = {}) {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_queue("orders/billing", settings);
    }
    queue_info info() { return admin(with).queue("orders/billing"); }

    client with = connected();
};

// Promise: delivery.order, client.handlers
TEST_F(client_consume_test, returning_acks) {
    ensure();
    publish_numbers(with, "orders", 1000);
    std::vector<std::string> seen;
    const auto handled = with.consume("orders/billing",
                                      [&](const message& m) {
                                          EXPECT_EQ(m.topic(), "orders");
                                          EXPECT_EQ(m.queue(), "orders/billing");
                                          EXPECT_EQ(m.attempt(), 1U);
                                          EXPECT_GT(m.lease(), lease_token());
                                          seen.emplace_back(m.payload());
                                      },
                                      {.limit = 1000, .confirm = true});
    EXPECT_EQ(handled, 1000U);
    ASSERT_THAT(seen, SizeIs(1000));
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(seen[static_cast<std::size_t>(i)], std::to_string(i));
    }
    EXPECT_EQ(info().done, 1000U);
}

// Promise: client.handlers
TEST_F(client_consume_test, throwing_nacks_with_the_words) {
    ensure({.backoff = 1h, .backoff_max = 1h});
    with.publish("orders", {.payload = "x"});
    with.consume("orders/billing", [](message&) { throw std::runtime_error("card service\ndown"); },
                 {.limit = 1, .confirm = true});
    const auto attempts = history(with, "orders", 0);
    ASSERT_THAT(attempts, SizeIs(1));
    EXPECT_EQ(attempts[0].outcome, attempt_end::nacked);
    EXPECT_EQ(attempts[0].reason, "card service down");
    EXPECT_THAT(attempts[0].consumer, HasSubstr("@"));
    EXPECT_EQ(info().retrying, 1U);
}

// Promise: client.handlers
TEST_F(client_consume_test, throwing_reject_message_is_for_good) {
    ensure();
    with.publish("orders", {.payload = "x"});
    with.consume("orders/billing", [](message&) { throw reject_message("no such card"); },
                 {.limit = 1, .confirm = true});
    EXPECT_EQ(info().dead, 1U);
    const auto dead = admin(with).dead("orders/billing").messages;
    ASSERT_THAT(dead, SizeIs(1));
    EXPECT_EQ(dead[0].reason, "no such card");
}

TEST_F(client_consume_test, a_handler_that_answers_has_decided) {
    ensure({.backoff = 1h, .backoff_max = 1h});
    publish_numbers(with, "orders", 2);
    with.consume("orders/billing",
                 [](message& m) {
                     if (m.offset() == 0) {
                         m.nack(1h, "later");
                     } else {
                         m.reject("never");
                     }
                 },
                 {.limit = 2, .confirm = true});
    EXPECT_EQ(history(with, "orders", 0).at(0).reason, "later");
    EXPECT_EQ(info().retrying, 1U);
    EXPECT_EQ(info().dead, 1U);
}

TEST_F(client_consume_test, a_nacked_message_comes_again_with_its_next_attempt) {
    ensure();
    with.publish("orders", {.payload = "x"});
    consumer from = with.open_consumer("orders/billing");
    auto first = from.next(patience);
    ASSERT_TRUE(first);
    EXPECT_THAT(first->history(), IsEmpty());
    first->nack(1ms, "once more");
    const auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempt(), 2U);
    ASSERT_THAT(again->history(), SizeIs(1));
    EXPECT_EQ(again->history()[0].outcome, attempt_end::nacked);
    EXPECT_EQ(again->history()[0].reason, "once more");
    EXPECT_GE(again->history()[0].time, again->time());
    EXPECT_FALSE(again->history()[0].consumer.empty());
}

// Promise: client.dropped
TEST_F(client_consume_test, a_message_dropped_without_answer_is_released) {
    ensure();
    with.publish("orders", {.payload = "x"});
    consumer from = with.open_consumer("orders/billing");
    {
        const auto dropped = from.next(patience);
    }
    auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempt(), 1U);
    EXPECT_THAT(history(with, "orders", 0), IsEmpty());
    again->ack();
}

TEST_F(client_consume_test, a_confirmed_ack_is_done_when_it_returns) {
    ensure();
    with.publish("orders", {.payload = "x"});
    consumer from = with.open_consumer("orders/billing");
    from.next(patience)->ack_confirmed();
    EXPECT_EQ(info().done, 1U);
}

// Promise: client.confirm
TEST_F(client_consume_test, a_confirmed_ack_tells_of_a_lost_lease) {
    ensure();
    publish_numbers(with, "orders", 2);
    consumer from = with.open_consumer("orders/billing", {.prefetch_messages = 1});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    admin(with).seek_queue("orders/billing", log_position::earliest());
    try {
        held->ack_confirmed();
        FAIL() << "the lease was fenced by the seek";
    } catch (const error& failed) {
        EXPECT_EQ(failed.code(), broker_errc::lease_gone);
    }
}

TEST_F(client_consume_test, flush_counts_what_is_durable) {
    ensure();
    publish_numbers(with, "orders", 10);
    consumer from = with.open_consumer("orders/billing", {.confirm = true});
    for (int i = 0; i < 10; ++i) {
        from.next(patience)->ack();
    }
    EXPECT_EQ(from.flush().accepted, 10U);
    EXPECT_EQ(info().done, 10U);
}

TEST_F(client_consume_test, a_limit_is_never_exceeded) {
    ensure();
    publish_numbers(with, "orders", 10);
    consumer from = with.open_consumer("orders/billing", {.limit = 3});
    std::vector<message> held;
    while (auto next = from.next(patience)) {
        held.push_back(std::move(*next));
    }
    EXPECT_THAT(held, SizeIs(3));
    EXPECT_EQ(info().leased, 3U);
    EXPECT_EQ(info().ready, 7U);
}

TEST_F(client_consume_test, handlers_run_at_the_same_time) {
    ensure();
    publish_numbers(with, "orders", 8);
    std::barrier all(4);  // passes only when four handlers are in it
    const auto handled = with.consume("orders/billing", [&](message&) { all.arrive_and_wait(); },
                                      {.limit = 8, .concurrency = 4});
    EXPECT_EQ(handled, 8U);
}

// Promise: client.dropped
TEST_F(client_consume_test, a_stop_request_ends_it_and_gives_back_the_rest) {
    ensure();
    publish_numbers(with, "orders", 10);
    std::stop_source stop;
    const auto handled = with.consume("orders/billing", [&](message&) { stop.request_stop(); },
                                      {.confirm = true, .stop = stop.get_token()});
    EXPECT_EQ(handled, 1U);
    EXPECT_EQ(info().done, 1U);
    EXPECT_EQ(info().ready, 9U);
    EXPECT_THAT(history(with, "orders", 5), IsEmpty());
}

TEST_F(client_consume_test, goodbye_counts_no_attempt) {
    ensure();
    with.publish("orders", {.payload = "x"});
    client other = connected();
    consumer leaving = other.open_consumer("orders/billing");
    const auto held = leaving.next(patience);
    ASSERT_TRUE(held);
    other.close();
    consumer from = with.open_consumer("orders/billing");
    const auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempt(), 1U);
}

// Promise: client.renewal
TEST_F(client_consume_test, slow_handlers_with_short_leases_lose_nothing) {
    constexpr int count = 100;
    ensure({.lease = 300ms});
    publish_numbers(with, "orders", count);
    std::map<std::string, int> seen;
    with.consume("orders/billing",
                 [&](const message& m) {
                     EXPECT_EQ(m.attempt(), 1U);
                     ++seen[std::string(m.payload())];
                     // The work: all of it takes several leases.
                     std::promise<void>().get_future().wait_for(15ms);
                 },
                 {.prefetch_messages = count, .limit = count, .confirm = true});
    EXPECT_THAT(seen, SizeIs(count));
    for (const auto& [payload, times] : seen) {
        EXPECT_EQ(times, 1) << payload;
    }
    EXPECT_EQ(info().done, static_cast<std::uint64_t>(count));
    for (std::uint64_t offset = 0; offset < count; ++offset) {
        EXPECT_THAT(history(with, "orders", offset), IsEmpty());
    }
}

TEST_F(client_consume_test, without_renewal_a_lease_runs_out) {
    ensure({.lease = 100ms, .backoff = 1ms, .backoff_max = 1ms});
    with.publish("orders", {.payload = "x"});
    consumer from = with.open_consumer("orders/billing", {.max_hold = 0s});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempt(), 2U);
    EXPECT_GT(again->lease(), held->lease());
    EXPECT_EQ(history(with, "orders", 0).at(0).outcome, attempt_end::expired);
}

TEST_F(client_consume_test, a_message_outlives_consumer_and_client) {
    ensure();
    with.publish("orders", {.key = "k", .payload = "x"});
    std::optional<message> held;
    {
        client other = connected();
        consumer from = other.open_consumer("orders/billing");
        held = from.next(patience);
    }
    ASSERT_TRUE(held);
    EXPECT_EQ(held->payload(), "x");
    EXPECT_EQ(held->key(), "k");
    held->ack();
    EXPECT_TRUE(held->answered());
    EXPECT_EQ(info().ready, 1U);
}

TEST_F(client_consume_test, a_removed_queue_ends_consuming) {
    ensure();
    consumer from = with.open_consumer("orders/billing");
    auto waiting = std::async(std::launch::async, [&] { return from.next(patience); });
    admin(with).remove_queue("orders/billing");
    try {
        (void)waiting.get();
        FAIL() << "the queue is gone";
    } catch (const error& failed) {
        EXPECT_EQ(failed.code(), broker_errc::queue_removed);
    }
}

// Promise: client.one_connection
TEST_F(client_consume_test, consuming_and_publishing_on_one_connection) {
    ensure();
    with.ensure_topic("invoices", {.keep_done = 1h});
    publish_numbers(with, "orders", 500);
    with.consume(
        "orders/billing",
        [&](const message& m) { with.publish("invoices", {.payload = std::string(m.payload())}); },
        {.limit = 500, .confirm = true, .concurrency = 8});
    EXPECT_THAT(payloads(with, "invoices"), SizeIs(500));
    EXPECT_EQ(info().done, 500U);
}

}  // namespace
}  // namespace brokerd::client_integration
