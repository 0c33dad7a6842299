// Connections over time: handshake deadline, heartbeats, limits, administration, drain.
#include <chrono>
#include <csignal>

#include "tests/integration/broker_fixture.hpp"

namespace brokerd::integration {
namespace {

using testing::HasSubstr;

class connection_test : public broker_fixture {
protected:
    // With a drain time longer than the client waits for anything: the end comes before it is over.
    void expect_shut_down_at_once(raw_client& with) {
        static_assert(raw_client::patience < 30s);
        broker().signal(SIGTERM);
        (void)with.expect<codec::draining>();
        EXPECT_EQ(with.expect_error().code, error_code::draining);
        EXPECT_EQ(broker().wait(), 0);
    }
};

TEST_F(connection_test, a_stranger_who_says_nothing_is_closed) {
    broker({"--handshake", "100ms"});
    raw_client silent(broker().port());
    EXPECT_EQ(silent.expect_error().code, error_code::handshake_timeout);
    EXPECT_TRUE(silent.closed());
}

// Promise: limits.silence
TEST_F(connection_test, whoever_answers_pings_lives_and_whoever_does_not_is_closed) {
    broker({"--heartbeat", "100ms", "--dead-after", "300ms"});
    const auto silent = client("silent@here:1");
    silent->stop_answering_pings();
    EXPECT_EQ(silent->expect_error().code, error_code::idle_timeout);
    EXPECT_TRUE(silent->closed());
    const auto lively = client("lively@here:2");
    raw_client waiting(broker().port());
    (void)waiting.hello();
    waiting.stop_answering_pings();
    // `lively` answers pings only while it waits for a frame: let it wait for one that comes late.
    create_queue(*lively);
    lively->send(9, codec::read{.topic = "t", .wait = 1s});
    EXPECT_TRUE(lively->expect<codec::messages>().runs.empty());
    EXPECT_EQ(waiting.expect_error().code, error_code::idle_timeout);
}

// Promise: limits.connections
TEST_F(connection_test, the_limit_of_connections_holds) {
    broker({"--max-connections-per-ip", "2"});
    const auto first = client();
    const auto second = client();
    {
        raw_client third(broker().port());
        const auto refused = third.expect_error();
        EXPECT_EQ(refused.code, error_code::too_many_connections);
        EXPECT_THAT(refused.text, HasSubstr("max-connections-per-ip 2"));
        EXPECT_TRUE(third.closed());
    }
    (void)first->ask<codec::ok>(codec::goodbye{});
    EXPECT_TRUE(first->closed());
    first->drop();
    // The place is free again once the broker has seen our end of it.
    for (;;) {
        raw_client next(broker().port());
        next.send(1, codec::hello{});
        if (const auto frame = next.next(); frame && frame->type == codec::frame_type::hello_ok) {
            break;
        }
    }
}

// Promise: limits.connections
TEST_F(connection_test, the_limit_of_handshakes_holds) {
    broker({"--max-handshakes-per-ip", "1"});
    raw_client first(broker().port());
    raw_client second(broker().port());
    EXPECT_EQ(second.expect_error().code, error_code::too_many_connections);
    (void)first.hello();
    (void)client();
}

TEST_F(connection_test, connections_are_listed_and_closed) {
    const auto admin = client("admin@here:1");
    const auto victim = client("victim@here:2");
    const auto list = admin->ask<codec::connections>(codec::connection_list{});
    ASSERT_EQ(list.items.size(), 2U);
    EXPECT_EQ(list.items[0].name, "admin@here:1");
    EXPECT_EQ(list.items[1].name, "victim@here:2");
    EXPECT_THAT(list.items[1].address, testing::StartsWith("127.0.0.1:"));
    (void)admin->ask<codec::ok>(codec::connection_close{list.items[1].connection});
    EXPECT_EQ(victim->expect_error().code, error_code::closed_by_admin);
    EXPECT_TRUE(victim->closed());
    const auto gone = admin->ask<codec::error>(codec::connection_close{connection_id{999}});
    EXPECT_EQ(gone.code, error_code::connection_not_found);
}

TEST_F(connection_test, frames_may_arrive_in_any_pieces) {
    const auto sender = client();
    create_queue(*sender);
    byte_buffer bytes;
    codec::encode_publish(bytes, 1, "t", make_batch({"one", "two"}));
    for (const auto& byte : bytes) {
        sender->send_bytes({&byte, 1});
    }
    EXPECT_EQ(sender->expect<codec::published>().items.at(0).base_offset, 0U);
}

// Promise: durability.drain
TEST_F(connection_test, shut_down_lets_a_consumer_settle_what_it_holds) {
    broker({"--drain", "30s"});
    const auto consumer = client();
    create_queue(*consumer);
    (void)publish(*consumer, {"x"});
    const auto queue = attach(*consumer).queue;
    const auto leases = consumer->expect<codec::deliver>().runs.at(0).leases;
    broker().signal(SIGTERM);
    EXPECT_EQ(consumer->expect<codec::draining>().grace_ms, 30'000U);
    const auto settled = consumer->ask<codec::settled>(
        codec::settle{.queue = queue, .confirm = true, .runs = {leases}});
    EXPECT_EQ(settled.accepted, 1U);
    EXPECT_EQ(consumer->expect_error().code, error_code::draining);
    EXPECT_TRUE(consumer->closed());
    EXPECT_EQ(broker().wait(), 0);
    broker().restart();
    EXPECT_EQ(queue_state(*client()).done, 1U);
}

TEST_F(connection_test, shut_down_ends_after_the_drain_time_and_counts_no_attempt) {
    broker({"--drain", "100ms"});
    const auto consumer = client();
    create_queue(*consumer);
    (void)publish(*consumer, {"x"});
    (void)attach(*consumer);
    (void)consumer->expect<codec::deliver>();
    broker().signal(SIGTERM);
    EXPECT_EQ(broker().wait(), 0);
    broker().restart();
    const auto next = client();
    (void)attach(*next);
    EXPECT_EQ(next->expect<codec::deliver>().runs.at(0).attempt, 1U);
}

TEST_F(connection_test, shut_down_does_not_wait_for_what_was_given_back_by_detaching) {
    broker({"--drain", "30s"});
    const auto consumer = client();
    create_queue(*consumer);
    (void)publish(*consumer, {"x", "y"});
    (void)attach(*consumer);
    (void)consumer->expect<codec::deliver>();
    (void)consumer->ask<codec::ok>(codec::detach{.consumer = consumer_id{1}});
    expect_shut_down_at_once(*consumer);
}

TEST_F(connection_test, shut_down_does_not_wait_for_leases_that_expired) {
    broker({"--drain", "30s"});
    const auto consumer = client();
    queue_settings settings;
    settings.lease = 200ms;
    settings.backoff = 60s;
    settings.backoff_max = 60s;
    create_queue(*consumer, settings);
    (void)publish(*consumer, {"x"});
    (void)attach(*consumer);
    (void)consumer->expect<codec::deliver>();
    expect_shut_down_at_once(*consumer);
}

TEST_F(connection_test, a_second_signal_ends_it_at_once) {
    broker({"--drain", "30s"});
    const auto consumer = client();
    create_queue(*consumer);
    (void)publish(*consumer, {"x"});
    (void)attach(*consumer);
    (void)consumer->expect<codec::deliver>();
    broker().signal(SIGINT);
    (void)consumer->expect<codec::draining>();
    broker().signal(SIGINT);
    EXPECT_EQ(broker().wait(5s), 128 + SIGINT);
}

}  // namespace
}  // namespace brokerd::integration
