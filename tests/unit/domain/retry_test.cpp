// When a failed message is ready again: from the moment its retry is due or it is redriven, whether
// or not somebody is there to take it, and whatever the wall clock did between two starts.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

struct retry_test : testing::Test {
    void SetUp() override {
        h.make_queue("t/q");
        one = h.connect("worker@host:7");
        queue = h.attach(one, "t/q", 5000).queue;
    }
    // Publishes as many messages and nacks them all.
    void fail(std::size_t count, duration_us delay) {
        h.publish("t", std::vector<std::string>(count, "x"));
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(count));
        h.settle(one, queue, settle_action::nack, runs_of(got), delay, "no");
    }
    void expect(std::uint64_t ready, std::uint64_t retrying, std::uint64_t dead = 0) {
        const auto info = h.queue_info("t/q");
        EXPECT_EQ(info.ready, ready);
        EXPECT_EQ(info.retrying, retrying);
        EXPECT_EQ(info.dead, dead);
    }
    // Time goes by and nobody looks.
    void idle(duration_us span) {
        h.now.mono += span;
        h.now.wall += span;
    }
    harness h;
    connection_id one;
    queue_id queue;
};

// Promise: retry.history
TEST_F(retry_test, a_delivery_tells_how_earlier_attempts_failed) {
    fail(1, 1s);
    h.pass(1s);
    auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    ASSERT_THAT(got[0].history, SizeIs(1));
    EXPECT_EQ(got[0].history[0].reason, "no");
    EXPECT_EQ(got[0].history[0].consumer, "worker@host:7");
    h.settle(one, queue, settle_action::reject, runs_of(got), duration_us{-1}, "never");
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].attempt, 1U);
    ASSERT_THAT(got[0].history, SizeIs(2)) << "a redrive keeps it";
    EXPECT_EQ(got[0].history[1].outcome, attempt_outcome::rejected);
}

TEST_F(retry_test, a_due_message_is_ready_although_nobody_takes_it) {
    fail(3, 5s);
    h.close(one, true);
    h.pass(4s);
    expect(0, 3);
    EXPECT_EQ(h.state_of("t", 1).state, message_state::retrying);
    EXPECT_EQ(h.queue_info("t/q").state, "no consumer");
    h.pass(1s);
    expect(3, 0);
    const auto shown = h.state_of("t", 1);
    EXPECT_EQ(shown.state, message_state::ready);
    EXPECT_EQ(shown.attempts, 1U);
    EXPECT_THAT(shown.history, SizeIs(1));
    EXPECT_EQ(shown.next,
              "ready: attempt 1 of 16 nacked 5 s ago by worker@host:7 (\"no\"); no consumer is "
              "attached");
    EXPECT_EQ(h.explain("t/q", 1), shown.next);
    EXPECT_EQ(h.explain("t/q"), "3 messages wait: no consumer is attached");
}

TEST_F(retry_test, counts_what_is_due_at_the_moment_of_the_question) {
    fail(2, 5s);
    h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", true});
    idle(5s - 1us);
    expect(0, 2);
    idle(1us);
    expect(2, 0);
    h.restart();
    idle(1ms);
    EXPECT_EQ(h.state_of("t", 0).state, message_state::ready);
    EXPECT_THAT(h.explain("t/q", 1), StartsWith("ready: attempt 1"));
    expect(2, 0);
}

TEST_F(retry_test, knows_after_a_start_what_is_due_without_a_consumer) {
    fail(3000, 5min);  // more than one part of the due index
    fail(2, 1h);
    h.restart();
    expect(0, 3002);
    EXPECT_THAT(h.explain("t/q"), HasSubstr("the next is due in more than 1 min"));
    idle(5min);
    expect(3000, 2);
    EXPECT_EQ(h.state_of("t", 2999).state, message_state::ready);
    EXPECT_EQ(h.state_of("t", 3000).state, message_state::retrying);
    idle(1h);
    expect(3002, 0);
}

TEST_F(retry_test, a_redriven_message_is_ready_at_once) {
    h.publish("t", {"a", "b"});
    h.settle(one, queue, settle_action::reject, runs_of(h.deliveries(one)), duration_us{-1}, "bad");
    h.close(one, true);
    expect(0, 0, 2);
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    expect(2, 0);
    EXPECT_THAT(h.explain("t/q", 0), StartsWith("ready: redriven with all attempts"));
    h.restart();
    expect(2, 0);
    EXPECT_EQ(h.state_of("t", 1).state, message_state::ready);
}

TEST_F(retry_test, a_released_retry_is_ready_again) {
    fail(1, 0s);
    const auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0});
    h.settle(one, queue, settle_action::release, runs_of(again));
    expect(1, 0);
    h.restart();
    expect(1, 0);
}

TEST_F(retry_test, a_message_that_waits_to_be_given_out_alone_is_ready) {
    h.publish("t", {"a", "b"});
    h.close(one);
    const auto two = h.connect();
    h.attach(two, "t/q");
    h.publish("t", {"c"});
    h.pass(2s);
    EXPECT_THAT(h.deliveries(two), SizeIs(1));
    expect(2, 0);
    EXPECT_THAT(h.state_of("t", 0).next, HasSubstr("alone"));
}

TEST_F(retry_test, many_that_are_due_at_once_are_all_given_out) {
    for (const bool late : {false, true}) {
        h.late_store = late;
        fail(500, 0s);
        h.pass(1ms);
        const auto again = h.deliveries(one);
        ASSERT_THAT(again, SizeIs(500)) << late;
        h.settle(one, queue, settle_action::ack, runs_of(again));
    }
}

TEST_F(retry_test, of_many_that_wait_to_be_given_out_alone_memory_keeps_few) {
    h.publish("t", {"busy"});
    const auto busy = h.deliveries(one);
    const auto two = h.connect("other@host:8");
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 1, 1000});
    h.attach(two, "t/q", 1000);
    h.publish("t", std::vector<std::string>(500, "x"));
    ASSERT_THAT(h.deliveries(two), SizeIs(500));
    h.close(two);
    h.pass(2s);
    expect(500, 0);
    h.make_queue("u/one");
    h.make_queue("u/two");
    // What memory knows can be shown without the store.
    h.store.failing = true;
    std::size_t known = 0;
    for (offset_t offset = 1; offset <= 500; ++offset) {
        const auto id = h.send(h.admin, codec::message_show{.topic = "t", .offset = offset});
        const auto answer = h.answer_to(h.admin, id);
        ASSERT_TRUE(answer);
        if (std::holds_alternative<show_result>(answer->body)) {
            ++known;
        }
    }
    EXPECT_LE(known, 64U);
    h.store.failing = false;
    h.settle(one, queue, settle_action::ack, runs_of(busy));
    for (offset_t offset = 1; offset <= 500; ++offset) {
        h.run();
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1)) << offset;
        EXPECT_EQ(got[0].attempt, 2U);
        h.settle(one, queue, settle_action::ack, runs_of(got));
    }
    EXPECT_EQ(h.queue_info("t/q").done, 501U);
}

// Promise: retry.restart
TEST_F(retry_test, a_wall_clock_that_was_ahead_and_is_set_back_delays_no_retry) {
    h.now.wall += 1h;
    h.restart();
    one = h.connect();
    h.attach(one, "t/q");
    fail(1, 2h);
    h.pass(2h);
    const auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    h.settle(one, queue, settle_action::nack, runs_of(again), 5s);
    h.now.wall -= 1h;
    h.restart();
    expect(0, 1);
    idle(5s);
    expect(1, 0);
}

TEST_F(retry_test, what_was_redriven_stays_ready_when_the_wall_clock_is_set_back) {
    h.publish("t", {"a"});
    h.settle(one, queue, settle_action::reject, runs_of(h.deliveries(one)));
    h.close(one, true);
    h.pass(1h);
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    h.now.wall -= 30min;
    h.restart();
    expect(1, 0);
}

TEST_F(retry_test, a_failing_store_is_not_asked_for_ever) {
    fail(1, 1h);
    h.restart();
    h.store.failing = true;
    expect(0, 1);
    h.store.failing = false;
    idle(1h);
    expect(1, 0);
}

TEST_F(retry_test, a_read_that_failed_is_warned_of_until_one_succeeds) {
    fail(1, 1h);
    h.restart();  // memory forgets the message
    one = h.connect();
    h.attach(one, "t/q");
    h.pass(1h - 1s);  // and knows when it is due
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
    h.store.failing = true;
    h.pass(2s);
    EXPECT_THAT(h.state.warnings(h.now), ElementsAre(HasSubstr("the test says so")));
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(retry_test, a_removed_queue_ends_a_question_that_reads) {
    fail(1, 1h);
    h.restart();
    h.hold_fetches = true;
    const auto list = h.send(h.admin, codec::queue_list{});
    const auto show = h.send(h.admin, codec::message_show{.topic = "t", .offset = 0});
    const auto explain = h.send(h.admin, codec::queue_explain{.queue = "t/q"});
    h.ask<codec::ok>(h.admin, codec::queue_remove{"t/q"});
    h.hold_fetches = false;
    h.run();
    EXPECT_TRUE(h.answer_to(h.admin, list));
    EXPECT_TRUE(h.answer_to(h.admin, show));
    EXPECT_TRUE(h.answer_to(h.admin, explain));
}

// A read of the log or of an exception is under way at every commit; each ends in time.
TEST_F(retry_test, memory_forgets_exceptions_under_a_stream_of_reads) {
    constexpr std::size_t round_size = 50;
    fail(1, 1h);
    h.hold_fetches = true;
    for (int round = 0; round < 40; ++round) {
        fail(round_size, 1h);
        const std::size_t waiting = h.out.fetches.size();
        h.send(h.admin, codec::message_show{.topic = "t", .offset = 0});
        ASSERT_GT(h.out.fetches.size(), waiting) << "it is still in memory";
        if (waiting > 0) {
            const fetch oldest = h.out.fetches.front();
            h.out.fetches.erase(h.out.fetches.begin());
            h.apply(fetched{oldest.id, h.store.read(oldest.body)});
        }
        EXPECT_LE(h.state.exceptions_in_memory(), 6 * round_size);
    }
}

}  // namespace
}  // namespace brokerd::domain::test
