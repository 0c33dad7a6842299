// The trim point: it follows the queues, keeps what was asked to be kept, and copies exceptions.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

struct trim_test : testing::Test {
    void make(const std::string& path, duration_us keep_done = 0s) {
        h.ask<codec::topic_created>(h.admin,
                                    codec::topic_create{.topic = path.substr(0, path.find('/')),
                                                        .settings = {.keep_done = keep_done}});
        h.make_queue(path);
    }
    harness h;
};

// Promise: durability.unconsumed
TEST_F(trim_test, follows_the_slowest_queue) {
    make("t/a");
    make("t/b");
    const auto one = h.connect();
    const auto a = h.attach(one, "t/a", 10, {}, consumer_id{1}).queue;
    const auto b = h.attach(one, "t/b", 10, {}, consumer_id{2}).queue;
    h.publish("t", {"x", "y", "z"});
    h.settle(one, a, settle_action::ack, {{0, 3, h.state.epoch(), 1}});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.settle(one, b, settle_action::ack, {{0, 2, h.state.epoch(), 1}});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").first_offset, 2U);
    EXPECT_EQ(h.topic_info("t").messages, 1U);
    const auto refused = h.ask_refused(
        one, codec::read{.topic = "t", .from = {.kind = position_kind::offset, .offset = 1}});
    EXPECT_EQ(refused.code, error_code::gone);
    EXPECT_EQ(refused.text, "t@1 was removed; the first readable message is t@2");
    EXPECT_EQ(h.explain("t/a", 0), "done, removed");
}

// Promise: durability.unconsumed
TEST_F(trim_test, a_topic_without_queues_keeps_everything) {
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    h.publish("t", {"x"});
    h.pass(10s);
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.make_queue("t/q");
    EXPECT_EQ(h.queue_info("t/q").ready, 1U) << "a new queue starts at the earliest";
}

// Two acks within the time between two samples, and nothing after.
TEST_F(trim_test, keep_done_keeps_no_longer_when_nothing_else_happens) {
    make("t/q", 64s);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    for (int i = 0; i < 2; ++i) {
        h.publish("t", {"x"});
        h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    }
    h.pass(63s);
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.pass(4s);
    EXPECT_EQ(h.topic_info("t").first_offset, 2U);
}

// Promise: durability.unconsumed
TEST_F(trim_test, keep_done_keeps_messages_readable) {
    make("t/q", 60s);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    for (int i = 0; i < 10; ++i) {
        h.publish("t", {"x"});
        h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
        h.pass(5s);
    }
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.pass(40s);
    const offset_t some = h.topic_info("t").first_offset;
    EXPECT_GT(some, 0U);
    EXPECT_LT(some, 10U);
    h.pass(60s);
    EXPECT_EQ(h.topic_info("t").first_offset, 10U);
}

TEST_F(trim_test, what_was_kept_before_a_restart_counts) {
    make("t/q", 24h);
    const auto keep_and_restart = [&] {
        const auto one = h.connect();
        const auto q = h.attach(one, "t/q").queue;
        h.publish("t", {"x"});
        h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
        h.pass(10h);
        h.restart();
    };
    keep_and_restart();  // kept for 10 h
    keep_and_restart();  // 20 h, 10 h
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.pass(3h);
    EXPECT_EQ(h.topic_info("t").first_offset, 0U);
    h.pass(1h + 1s);
    EXPECT_EQ(h.topic_info("t").first_offset, 1U);
    h.pass(10h);
    EXPECT_EQ(h.topic_info("t").first_offset, 2U);
}

TEST_F(trim_test, a_clock_set_back_keeps_no_message_longer_than_keep_done_again) {
    make("t/q", 24h);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish("t", {"x"});
    h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    h.pass(1s);
    h.now.wall -= 240h;
    h.restart();
    h.pass(24h + 1s);
    EXPECT_EQ(h.topic_info("t").first_offset, 1U);
}

TEST_F(trim_test, an_empty_topic_has_no_bytes) {
    make("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish("t", {"a", std::string(1000, 'b'), "c"});
    const auto whole = h.topic_info("t").bytes;
    EXPECT_GT(whole, 1000U);
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::ack, {run_of(got[0])});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").messages, 2U);
    EXPECT_LT(h.topic_info("t").bytes, whole);
    EXPECT_GT(h.topic_info("t").bytes, 0U);
    h.settle(one, q, settle_action::ack, {run_of(got[1]), run_of(got[2])});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").messages, 0U);
    EXPECT_EQ(h.topic_info("t").bytes, 0U);
    h.restart();
    EXPECT_EQ(h.topic_info("t").bytes, 0U);
    h.publish("t", {"d"});
    EXPECT_GT(h.topic_info("t").bytes, 0U);
    EXPECT_LT(h.topic_info("t").bytes, 200U);
}

// Promise: dead.kept
TEST_F(trim_test, exceptions_are_copied_before_it_passes_them) {
    make("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish("t", {"a", "b", "c", "d"});
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::reject, {run_of(got[0])}, duration_us{-1}, "bad");
    h.settle(one, q, settle_action::nack, {run_of(got[1])}, 1h);
    h.settle(one, q, settle_action::ack, {run_of(got[2]), run_of(got[3])});
    h.pass(3s);
    EXPECT_EQ(h.topic_info("t").first_offset, 4U);
    EXPECT_THAT(h.store.kept, SizeIs(2));
    EXPECT_TRUE(h.store.log.begin()->second.empty());
    const auto shown = h.ask<show_result>(h.admin, codec::message_show{.topic = "t", .offset = 0});
    EXPECT_TRUE(shown.message.readable);
    EXPECT_EQ(as_text(codec::check_record(shown.record.view)->payload), "a");
    EXPECT_FALSE(h.ask<show_result>(h.admin, codec::message_show{.topic = "t", .offset = 2})
                     .message.readable);
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].payload, "a");
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/q");
    again = h.deliveries(two);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].payload, "a");
    h.settle(two, q, settle_action::ack, runs_of(again));
    EXPECT_THAT(h.store.kept, SizeIs(1));
    h.pass(1h);
    const auto late = h.deliveries(two);
    ASSERT_THAT(late, SizeIs(1));
    EXPECT_EQ(late[0].payload, "b");
    h.settle(two, q, settle_action::ack, runs_of(late));
    EXPECT_THAT(h.store.kept, IsEmpty());
    EXPECT_THAT(h.store.exceptions, IsEmpty());
}

TEST_F(trim_test, waits_while_records_are_fetched_and_passes_many_in_steps) {
    harness small({.cache_bytes_max = 0});
    small.make_queue("t/q", {.attempts = 1});
    const auto one = small.connect();
    const auto q = small.attach(one, "t/q", 1000).queue;
    for (int i = 0; i < 10; ++i) {
        small.publish("t", std::vector<std::string>(60, "x"));
        const auto got = small.deliveries(one);
        small.settle(one, q, settle_action::reject, runs_of(got));
    }
    small.pass(5s);
    EXPECT_EQ(small.topic_info("t").first_offset, 600U);
    EXPECT_THAT(small.store.kept, SizeIs(600));
}

TEST_F(trim_test, trimming_is_not_urgent) {
    make("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish("t", {"x"});
    h.state.apply(request{one, 1, codec::settle{.queue = q, .runs = runs_of(h.deliveries(one))}},
                  h.now, h.out);
    EXPECT_FALSE(h.out.urgent);
    h.now.mono += 5s;
    h.state.tick(h.now, h.out);
    EXPECT_FALSE(h.out.urgent);
}

}  // namespace
}  // namespace brokerd::domain::test
