// Lost connections and restarts of the broker, without a line of application code for it.
#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class client_restart_test : public client_fixture {
protected:
    void SetUp() override {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_queue("orders/billing", {.backoff = 1ms, .backoff_max = 1ms});
    }
    queue_info info() { return admin(with).queue("orders/billing"); }

    client with = connected();
};

// Promise: client.reconnect
TEST_F(client_restart_test, a_consumer_goes_on_after_an_orderly_restart) {
    counter handled;
    std::stop_source stop;
    auto consuming = std::async(std::launch::async, [&] {
        return with.consume("orders/billing",
                            [&](const message& m) {
                                EXPECT_EQ(m.attempt(), 1U);
                                handled.add();
                            },
                            {.confirm = true, .stop = stop.get_token()});
    });
    publish_numbers(with, "orders", 100);
    ASSERT_TRUE(handled.reaches(100));
    EXPECT_EQ(broker.terminate(), 0);
    auto while_away = with.publish_async("orders", {.payload = "while it was away"});
    broker.restart();
    EXPECT_EQ(while_away.get().offset, 100U);
    publish_numbers(with, "orders", 100);
    ASSERT_TRUE(handled.reaches(201));
    stop.request_stop();
    EXPECT_EQ(consuming.get(), 201U);
    EXPECT_EQ(info().done, 201U);
}

// Promise: client.resend
TEST_F(client_restart_test, kill_under_load_loses_and_doubles_no_publish) {
    constexpr int count = 20'000;
    std::atomic<int> acknowledged = 0;
    counter under_way;
    auto publishing = std::async(std::launch::async, [&] {
        for (int i = 0; i < count; ++i) {
            with.submit("orders", {.payload = std::to_string(i)},
                        [&](const publish_result& result) {
                            EXPECT_TRUE(result) << result.failure->what();
                            ++acknowledged;
                        });
            if (i % 1000 == 999) {
                under_way.add();
            }
        }
        with.flush();
    });
    for (const int at : {3, 12}) {
        ASSERT_TRUE(under_way.reaches(at));
        broker.kill();
        broker.restart();
    }
    publishing.get();
    EXPECT_EQ(acknowledged, count);
    const auto stored = payloads(with, "orders");
    ASSERT_THAT(stored, SizeIs(count));
    for (int i = 0; i < count; ++i) {
        ASSERT_EQ(stored[static_cast<std::size_t>(i)], std::to_string(i));
    }
}

// Promise: client.leases_kept
TEST_F(client_restart_test, an_ack_given_while_the_broker_is_away_holds) {
    publish_numbers(with, "orders", 3);
    consumer from = with.open_consumer("orders/billing", {.confirm = true});
    auto first = from.next(patience);
    auto second = from.next(patience);
    ASSERT_TRUE(first && second);
    broker.kill();
    first->ack();
    second->nack("could not reach the broker either");
    broker.restart();
    const settle_counts counts = from.flush();
    EXPECT_EQ(counts.accepted, 2U);
    EXPECT_EQ(counts.refused, 0U);
    EXPECT_EQ(info().done, 1U);
    EXPECT_THAT(history(with, "orders", 1), SizeIs(1));
    // The third was buffered all the time, and a restart is no attempt.
    auto third = from.next(patience);
    while (third && third->offset() != 2) {
        third->ack();
        third = from.next(patience);
    }
    ASSERT_TRUE(third);
    EXPECT_EQ(third->attempt(), 1U);
}

// Promise: durability.ack
TEST_F(client_restart_test, a_confirmed_ack_survives_a_kill) {
    publish_numbers(with, "orders", 2);
    consumer from = with.open_consumer("orders/billing");
    from.next(patience)->ack_confirmed();
    broker.kill();
    broker.restart();
    EXPECT_EQ(info().done, 1U);
}

TEST_F(client_restart_test, a_confirmed_ack_waits_through_a_restart) {
    publish_numbers(with, "orders", 1);
    consumer from = with.open_consumer("orders/billing");
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    broker.kill();
    auto acking = std::async(std::launch::async, [&] { held->ack_confirmed(); });
    broker.restart();
    EXPECT_NO_THROW(acking.get());
    EXPECT_EQ(info().done, 1U);
}

// Promise: client.leases_kept
TEST_F(client_restart_test, leases_are_kept_over_a_lost_connection) {
    publish_numbers(with, "orders", 10);
    relay network(broker.port());
    client working = connect(network.address());
    consumer from = working.open_consumer("orders/billing", {.confirm = true});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    network.cut();
    // What was held and what was buffered is answered over the next connection.
    held->ack();
    for (int i = 1; i < 10; ++i) {
        auto next = from.next(patience);
        ASSERT_TRUE(next);
        EXPECT_EQ(next->attempt(), 1U);
        next->ack();
        if (i == 5) {
            network.cut();
        }
    }
    EXPECT_EQ(from.flush().refused, 0U);
    EXPECT_EQ(info().done, 10U);
}

// Promise: client.resend
TEST_F(client_restart_test, publishes_survive_cut_after_cut) {
    constexpr int count = 20'000;
    relay network(broker.port());
    client cut_off = connect(network.address());
    std::atomic<int> acknowledged = 0;
    for (int i = 0; i < count; ++i) {
        cut_off.submit("orders", {.payload = std::to_string(i)}, [&](const publish_result& result) {
            EXPECT_TRUE(result) << result.failure->what();
            ++acknowledged;
        });
        if (i % 2000 == 1999) {
            network.cut();
        }
    }
    cut_off.flush();
    EXPECT_EQ(acknowledged, count);
    const auto stored = payloads(with, "orders");
    ASSERT_THAT(stored, SizeIs(count));
    for (int i = 0; i < count; ++i) {
        ASSERT_EQ(stored[static_cast<std::size_t>(i)], std::to_string(i));
    }
}

// Promise: client.reconnect
TEST_F(client_restart_test, a_reader_goes_on_after_a_restart) {
    publish_numbers(with, "orders", 2);
    reader from = with.open_reader("orders");
    EXPECT_EQ(from.next(patience)->payload, "0");
    broker.kill();
    broker.restart();
    publish_numbers(with, "orders", 1);
    EXPECT_EQ(from.next(patience)->payload, "1");
    EXPECT_EQ(from.next(patience)->offset, 2U);
}

// Promise: delivery.removed
TEST_F(client_restart_test, a_reader_ends_with_its_topic_and_not_in_the_next_one) {
    publish_numbers(with, "orders", 2);
    reader from = with.open_reader("orders", log_position::latest());
    EXPECT_FALSE(from.next(0s));
    admin(with).remove_topic("orders");
    with.ensure_topic("orders");
    publish_numbers(with, "orders", 5);
    try {
        (void)from.next(patience);
        ADD_FAILURE() << "it went on in another topic";
    } catch (const error& failed) {
        EXPECT_EQ(failed.code(), broker_errc::topic_removed);
        EXPECT_THAT(failed.what(), HasSubstr("topic orders was removed and created again"));
    }
    from.seek(log_position::earliest());
    EXPECT_EQ(from.next(patience)->offset, 0U);
}

// Promise: client.other_data
TEST_F(client_restart_test, a_reader_ends_when_the_broker_has_other_data) {
    publish_numbers(with, "orders", 2);
    reader from = with.open_reader("orders");
    EXPECT_EQ(from.next(patience)->payload, "0");
    EXPECT_EQ(from.next(patience)->payload, "1");
    broker.kill();
    std::filesystem::remove_all(directory / "data");
    broker.restart();
    client other = connected();
    other.ensure_topic("orders");
    publish_numbers(other, "orders", 5);
    try {
        (void)from.next(patience);
        ADD_FAILURE() << "it went on in other data";
    } catch (const error& failed) {
        EXPECT_EQ(failed.code(), client_errc::other_data);
        EXPECT_FALSE(failed.retryable());
    }
}

TEST_F(client_restart_test, an_administrator_costs_no_attempt) {
    publish_numbers(with, "orders", 10);
    client working = connected();
    consumer from = working.open_consumer("orders/billing", {.prefetch_messages = 1});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    admin(with).close_connection(working.broker().connection);
    const auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempt(), 1U);
    EXPECT_THAT(history(with, "orders", 0), IsEmpty());
}

// Promise: delivery.at_least_once
TEST_F(client_restart_test, a_confirmed_consumer_handles_each_message_through_kills) {
    constexpr int count = 2000;
    publish_numbers(with, "orders", count);
    std::mutex mutex;
    std::map<std::uint64_t, int> seen;
    counter handled;
    auto consuming = std::async(std::launch::async, [&] {
        std::stop_source stop;
        return with.consume(
            "orders/billing",
            [&](const message& m) {
                const std::lock_guard lock(mutex);
                ++seen[m.offset()];
                handled.add();
                if (seen.size() == count) {
                    stop.request_stop();
                }
            },
            {.prefetch_messages = 50, .confirm = true, .concurrency = 2, .stop = stop.get_token()});
    });
    for (const int at : {200, 1000}) {
        ASSERT_TRUE(handled.reaches(at));
        broker.kill();
        broker.restart();
    }
    (void)consuming.get();
    EXPECT_THAT(seen, SizeIs(count));
    EXPECT_EQ(info().done, static_cast<std::uint64_t>(count));
    EXPECT_EQ(info().ready + info().leased + info().retrying + info().dead, 0U);
}

TEST_F(client_restart_test, requests_that_look_are_asked_again) {
    publish_numbers(with, "orders", 1);
    broker.kill();
    auto asking = std::async(std::launch::async, [&] { return info().ready; });
    auto ensuring =
        std::async(std::launch::async, [&] { return with.ensure_queue("orders/audit").created; });
    broker.restart();
    EXPECT_EQ(asking.get(), 1U);
    EXPECT_TRUE(ensuring.get());
}

TEST_F(client_restart_test, a_broker_that_stays_away_ends_in_not_connected) {
    client impatient = connected({.give_up_after = 200ms});
    broker.kill();
    try {
        impatient.publish("orders", {.payload = "x"});
        FAIL() << "there is no broker";
    } catch (const error& failed) {
        EXPECT_TRUE(failed.code() == client_errc::not_connected ||
                    failed.code() == client_errc::outcome_unknown)
            << failed.what();
    }
    broker.restart();
    EXPECT_NO_THROW((void)with.publish("orders", {.payload = "y"}));
}

}  // namespace
}  // namespace brokerd::client_integration
