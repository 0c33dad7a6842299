// Connections, consumers and what becomes of leases when they end, over connections and restarts.
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct connection_test : testing::Test {
    void SetUp() override {
        h.make_queue("t/q");
        one = h.connect("worker@host:1");
        queue = h.attach(one, "t/q", 10).queue;
        h.publish("t", {"a", "b", "c"});
        got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(3));
    }
    harness h;
    connection_id one;
    queue_id queue;
    std::vector<received> got;
};

TEST_F(connection_test, a_lost_connection_costs_an_attempt_each) {
    h.close(one);
    const auto info = h.queue_info("t/q");
    EXPECT_EQ(info.retrying, 3U);
    EXPECT_EQ(info.consumers, 0U);
    const auto item = h.state_of("t", 1);
    EXPECT_EQ(item.attempts, 1U);
    ASSERT_THAT(item.history, SizeIs(1));
    EXPECT_EQ(item.history[0].outcome, attempt_outcome::lost);
    EXPECT_EQ(item.history[0].consumer, "worker@host:1");
}

// Promise: delivery.no_attempt
TEST_F(connection_test, goodbye_and_detach_release) {
    h.ask<codec::ok>(one, codec::detach{consumer_id{1}});
    EXPECT_EQ(h.queue_info("t/q").ready, 3U);
    h.attach(one, "t/q", 10);
    EXPECT_THAT(h.deliveries(one), SizeIs(3));
    h.close(one, true);
    EXPECT_EQ(h.queue_info("t/q").ready, 3U);
    const auto two = h.connect();
    h.attach(two, "t/q", 10);
    const auto again = h.deliveries(two);
    ASSERT_THAT(again, SizeIs(3));
    EXPECT_EQ(again[0].attempt, 1U);
}

// Promise: delivery.late_answer
TEST_F(connection_test, an_expired_lease_costs_an_attempt_and_still_holds_until_leased_again) {
    h.pass(30s);
    EXPECT_EQ(h.state_of("t", 0).history.at(0).outcome, attempt_outcome::expired);
    EXPECT_EQ(h.settle(one, queue, settle_action::ack, {run_of(got[0])}).accepted, 1U);
    EXPECT_EQ(h.state_of("t", 0).state, message_state::done);
    h.pass(5s);
    const auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(2));
    EXPECT_EQ(h.settle(one, queue, settle_action::ack, {run_of(got[1])}).refused, 1U);
    EXPECT_EQ(h.settle(one, queue, settle_action::ack, runs_of(again)).accepted, 2U);
}

// Promise: delivery.late_answer
TEST_F(connection_test, an_ack_over_a_new_connection_holds) {
    h.close(one);
    const auto two = h.connect();
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, runs_of(got)).accepted, 3U);
    EXPECT_EQ(h.queue_info("t/q").done, 3U);
    EXPECT_TRUE(h.store.exceptions.empty());
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, runs_of(got)).refused, 3U);
}

TEST_F(connection_test, a_late_nack_replaces_the_lost_attempt) {
    h.close(one);
    const auto two = h.connect("other@host:2");
    h.settle(two, queue, settle_action::nack, {run_of(got[0])}, 5s, "no");
    const auto item = h.state_of("t", 0);
    EXPECT_EQ(item.attempts, 1U);
    ASSERT_THAT(item.history, SizeIs(1));
    EXPECT_EQ(item.history[0].outcome, attempt_outcome::nacked);
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[0])}).refused, 1U)
        << "it has been settled";
}

// Promise: delivery.lease
TEST_F(connection_test, held_leases_are_taken_up_again_after_a_blip) {
    h.close(one);
    const auto two = h.connect();
    EXPECT_THAT(h.attach(two, "t/q", 10, runs_of(got)).gone, IsEmpty());
    EXPECT_EQ(h.queue_info("t/q").leased, 3U);
    EXPECT_EQ(h.state_of("t", 0).attempts, 0U) << "the attempt was taken back";
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, runs_of(got)).accepted, 3U);
    EXPECT_TRUE(h.store.exceptions.empty());
}

TEST_F(connection_test, held_leases_move_from_a_connection_that_is_not_known_to_be_dead) {
    const auto two = h.connect();
    EXPECT_THAT(h.attach(two, "t/q", 10, {{0, 3, got[0].lease.epoch, 1}}).gone, IsEmpty());
    h.close(one);
    EXPECT_EQ(h.queue_info("t/q").leased, 3U);
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, runs_of(got)).accepted, 3U);
}

TEST_F(connection_test, held_leases_that_are_lost_while_others_are_read_are_taken_up_too) {
    queue_settings settings;
    settings.backoff = settings.backoff_max = 1h;
    h.ask<codec::ok>(h.admin, codec::queue_set{.queue = "t/q", .settings = settings});
    h.settle(one, queue, settle_action::extend, {run_of(got[1]), run_of(got[2])}, 10min);
    h.pass(1min);  // the lease of the first expires
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0});
    h.publish("t", {"d"});
    h.publish("t", {"e"});
    const auto two = h.connect();
    h.hold_fetches = true;
    const auto request = h.send(two, codec::attach{.queue = "t/q",
                                                   .consumer = consumer_id{1},
                                                   .prefetch_messages = 3,
                                                   .prefetch_bytes = 1000,
                                                   .held = runs_of(got)});
    h.close(one);
    EXPECT_FALSE(h.answer_to(two, request)) << "the exception of the first is read";
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(two, request);
    ASSERT_TRUE(answer);
    EXPECT_THAT(std::get<codec::attached>(answer->body).gone, IsEmpty());
    EXPECT_EQ(h.queue_info("t/q").leased, 3U);
}

// Leases are told by clients: the same one for two messages, or of an epoch that never was, is made
// up.
TEST_F(connection_test, a_lease_is_taken_up_for_one_message_only) {
    h.restart();
    const auto two = h.connect();
    const broker_epoch before = got[0].lease.epoch;
    const auto attached = h.attach(
        two, "t/q", 10, {{0, 1, before, 1}, {1, 1, before, 1}, {2, 1, broker_epoch{0}, 3}});
    EXPECT_THAT(attached.gone,
                ElementsAre(lease_run{1, 1, before, 1}, lease_run{2, 1, broker_epoch{0}, 3}));
    EXPECT_EQ(h.settle(two, queue, settle_action::extend, {{2, 1, before, 1}}, 60s).refused, 1U);
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {{0, 1, before, 1}}).accepted, 1U);
}

TEST_F(connection_test, requests_name_a_bounded_number_of_leases) {
    constexpr std::uint32_t half = limits::settle_leases_max / 2;
    const broker_epoch epoch = got[0].lease.epoch;
    std::vector<lease_run> runs{{0, half, epoch, 1}, {0, half, epoch, 1}};
    const auto settled = h.settle(one, queue, settle_action::ack, runs);
    EXPECT_EQ(settled.accepted, 3U);
    EXPECT_EQ(settled.refused, limits::settle_leases_max - 3);
    EXPECT_THAT(settled.gone, SizeIs(testing::Le(4U))) << "neighbours are named together";
    runs.push_back({0, 1, epoch, 1});
    EXPECT_EQ(h.ask_refused(one, codec::settle{.queue = queue, .confirm = true, .runs = runs}).code,
              error_code::invalid_argument);
    EXPECT_EQ(
        h.ask_refused(one, codec::attach{.queue = "t/q", .consumer = consumer_id{9}, .held = runs})
            .code,
        error_code::invalid_argument);
}

// Promise: delivery.lease
TEST_F(connection_test, what_was_leased_again_is_gone) {
    h.close(one);
    const auto two = h.connect();
    h.attach(two, "t/q", 10);
    h.pass(2s);
    const auto again = h.deliveries(two);
    ASSERT_THAT(again, SizeIs(1)) << "alone";
    const auto three = h.connect();
    const auto attached = h.attach(three, "t/q", 10, runs_of(got));
    EXPECT_THAT(attached.gone, ElementsAre(run_of(got[again[0].offset])));
}

// Promise: delivery.no_attempt
TEST_F(connection_test, a_restart_is_no_attempt_and_acks_of_the_epoch_before_hold) {
    h.restart();
    EXPECT_EQ(h.queue_info("t/q").ready, 3U);
    EXPECT_EQ(h.state.epoch().value(), got[0].lease.epoch.value() + 1);
    const auto two = h.connect();
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[1])}).accepted, 1U);
    EXPECT_THAT(h.attach(two, "t/q", 10, {run_of(got[0])}).gone, IsEmpty());
    const auto fresh = h.deliveries(two);
    ASSERT_THAT(fresh, SizeIs(1));
    EXPECT_EQ(fresh[0].offset, 2U);
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[2])}).refused, 1U)
        << "leased again in this epoch";
    EXPECT_EQ(h.settle(two, queue, settle_action::extend, {run_of(got[0])}).accepted, 1U);
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[0]), run_of(fresh[0])}).accepted,
              2U);
    EXPECT_EQ(h.queue_info("t/q").done, 3U);
}

TEST_F(connection_test, a_retried_message_leased_at_a_restart_can_be_acked_after_it) {
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 0s);
    const auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    h.restart();
    const auto two = h.connect();
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[0])}).refused, 1U)
        << "that lease was nacked";
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, runs_of(again)).accepted, 1U);
}

// Promise: retry.restart
TEST_F(connection_test, retries_survive_a_restart_with_their_due_time) {
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 100s, "later");
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/q", 10);
    h.settle(two, queue, settle_action::ack, runs_of(h.deliveries(two)));
    EXPECT_THAT(h.explain("t/q", 0), HasSubstr("due in 1 min 40 s"));
    h.pass(99s);
    EXPECT_THAT(h.explain("t/q", 0), HasSubstr("due in 1 s"));
    h.pass(2s);
    const auto late = h.deliveries(two);
    ASSERT_THAT(late, SizeIs(1));
    EXPECT_EQ(late.front().offset, 0U);
    EXPECT_EQ(late.front().attempt, 2U);
}

TEST_F(connection_test, a_clock_set_back_while_down_makes_no_retry_wait_longer) {
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 100s);
    h.now.wall -= 24h;
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/q", 10);
    h.settle(two, queue, settle_action::ack, runs_of(h.deliveries(two)));
    h.pass(101s);
    EXPECT_THAT(h.deliveries(two), SizeIs(1));
}

// Promise: retry.restart
TEST_F(connection_test, a_step_of_the_clock_is_a_warning_and_moves_no_retry) {
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 100s);
    h.now.wall += 24h;
    h.pass(10s);
    EXPECT_THAT(h.state.warnings(h.now), ElementsAre(HasSubstr("clock was set")));
    EXPECT_EQ(h.state_of("t", 0).state, message_state::retrying);
}

// Promise: retry.delay
TEST_F(connection_test, back_off_doubles_with_jitter_up_to_its_maximum) {
    h.make_queue("t2/q", {.attempts = 10, .backoff = 1s, .backoff_max = 8s});
    const auto q = h.attach(one, "t2/q", 10, {}, consumer_id{2}).queue;
    h.publish("t2", {"x"});
    for (const duration_us expected : {1s, 2s, 4s, 8s, 8s}) {
        const auto message = h.deliveries(one);
        ASSERT_THAT(message, SizeIs(1));
        h.settle(one, q, settle_action::nack, runs_of(message));
        const duration_us wait = h.state_of("t2", 0).due - h.now.wall;
        EXPECT_GE(wait, expected * 8 / 10);
        EXPECT_LE(wait, expected * 12 / 10);
        h.pass(wait + 1ms);
    }
}

// Promise: retry.history
TEST_F(connection_test, the_history_keeps_the_first_and_the_last_attempts) {
    h.make_queue("t2/q", {.attempts = 100, .backoff = 0s});
    const auto q = h.attach(one, "t2/q", 10, {}, consumer_id{2}).queue;
    h.publish("t2", {"x"});
    for (int i = 1; i <= 20; ++i) {
        h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)), duration_us{-1},
                 "attempt " + std::to_string(i));
    }
    const auto item = h.state_of("t2", 0);
    EXPECT_EQ(item.attempts, 20U);
    ASSERT_THAT(item.history, SizeIs(limits::attempts_history_max));
    EXPECT_EQ(item.history.front().reason, "attempt 1");
    EXPECT_EQ(item.history[1].reason, "attempt 6");
    EXPECT_EQ(item.history.back().reason, "attempt 20");
}

TEST_F(connection_test, refuses_what_cannot_be_attached) {
    EXPECT_EQ(h.ask_refused(one, codec::attach{.queue = "t/q", .consumer = consumer_id{1}}).code,
              error_code::consumer_exists);
    EXPECT_EQ(h.ask_refused(one, codec::attach{.queue = "t/x", .consumer = consumer_id{2}}).text,
              "queue t/x does not exist; create it: brokerctl queue create t/x");
    EXPECT_EQ(h.ask_refused(one, codec::attach{.queue = "t", .consumer = consumer_id{2}}).code,
              error_code::invalid_name);
    EXPECT_EQ(
        h.ask_refused(one, codec::attach{.queue = "t/q",
                                         .consumer = consumer_id{2},
                                         .prefetch_messages = limits::prefetch_messages_max + 1})
            .code,
        error_code::invalid_argument);
    EXPECT_EQ(h.ask_refused(one, codec::detach{consumer_id{9}}).code,
              error_code::consumer_not_found);
    EXPECT_EQ(h.ask_refused(one, codec::set_prefetch{consumer_id{9}, 1, 1}).code,
              error_code::consumer_not_found);
    EXPECT_EQ(h.ask_refused(connection_id{999}, codec::attach{.queue = "t/q"}).code,
              error_code::unexpected);
}

TEST(connection_bounds, consumers_per_connection) {
    harness h({.consumers_per_connection_max = 2});
    h.make_queue("t/q");
    const auto one = h.connect();
    h.attach(one, "t/q", 1, {}, consumer_id{1});
    h.attach(one, "t/q", 1, {}, consumer_id{2});
    EXPECT_EQ(h.ask_refused(one, codec::attach{.queue = "t/q", .consumer = consumer_id{3}}).code,
              error_code::too_many_consumers);
}

}  // namespace
}  // namespace brokerd::domain::test
