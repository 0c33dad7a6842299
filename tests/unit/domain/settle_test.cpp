// Settling leases: ack, nack, reject, release, extend, and what no longer holds.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

struct settle_test : testing::Test {
    void SetUp() override {
        h.make_queue("orders/billing");
        consumer = h.connect("brokerctl@laptop:812");
        queue = h.attach(consumer, "orders/billing").queue;
    }
    harness h;
    connection_id consumer;
    queue_id queue;
};

TEST_F(settle_test, delivers_what_is_published_and_an_ack_makes_it_done) {
    EXPECT_EQ(h.publish("orders", {"a", "b", "c"}), 0U);
    const auto got = h.deliveries(consumer);
    ASSERT_THAT(got, SizeIs(3));
    EXPECT_EQ(got[1].payload, "b");
    EXPECT_EQ(got[1].attempt, 1U);
    EXPECT_EQ(h.queue_info("orders/billing").leased, 3U);
    const auto settled =
        h.settle(consumer, queue, settle_action::ack, {{0, 3, got[0].lease.epoch, 1}});
    EXPECT_EQ(settled.accepted, 3U);
    EXPECT_EQ(settled.refused, 0U);
    const auto info = h.queue_info("orders/billing");
    EXPECT_EQ(info.done, 3U);
    EXPECT_EQ(info.leased, 0U);
    EXPECT_EQ(info.floor, 3U);
    EXPECT_EQ(h.state_of("orders", 1).state, message_state::done);
}

// Promise: retry.delay
TEST_F(settle_test, nack_retries_after_its_delay_with_the_next_attempt) {
    h.publish("orders", {"a"});
    const auto first = h.deliveries(consumer);
    h.settle(consumer, queue, settle_action::nack, runs_of(first), 5s, "card service down");
    h.pass(1s);
    EXPECT_EQ(h.explain("orders/billing", 0),
              "retrying: attempt 1 of 16 nacked 1 s ago by brokerctl@laptop:812 (\"card service "
              "down\"); due in 4 s");
    EXPECT_THAT(h.deliveries(consumer), SizeIs(0));
    h.pass(4s);
    const auto again = h.deliveries(consumer);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].attempt, 2U);
    EXPECT_EQ(again[0].payload, "a");
    EXPECT_GT(again[0].lease, first[0].lease);
    h.settle(consumer, queue, settle_action::ack, runs_of(again));
    EXPECT_TRUE(h.store.exceptions.empty());
    EXPECT_EQ(h.queue_info("orders/billing").done, 1U);
}

// Promise: dead.attempts
TEST_F(settle_test, reject_makes_dead_at_once) {
    h.publish("orders", {"a"});
    h.settle(consumer, queue, settle_action::reject, runs_of(h.deliveries(consumer)),
             duration_us{-1}, "no such card");
    EXPECT_EQ(h.queue_info("orders/billing").dead, 1U);
    const auto dead = h.ask<codec::dead>(h.admin, codec::dead_list{.queue = "orders/billing"});
    ASSERT_THAT(dead.items, SizeIs(1));
    EXPECT_EQ(dead.items[0].reason, "no such card");
    EXPECT_FALSE(dead.more);
    h.pass(18ms);
    EXPECT_EQ(
        h.explain("orders/billing", 0),
        "dead: attempt 1 of 16 rejected 18 ms ago by brokerctl@laptop:812 (\"no such card\"); "
        "it stays until it is redriven or purged: brokerctl dead redrive orders/billing");
}

TEST_F(settle_test, nobody_is_said_to_have_expired_or_lost_a_lease) {
    h.publish("orders", {"a"});
    ASSERT_THAT(h.deliveries(consumer), SizeIs(1));
    h.pass(30s);
    EXPECT_THAT(h.explain("orders/billing", 0),
                HasSubstr("attempt 1 of 16 expired 0 ms ago at brokerctl@laptop:812; due in "));
}

// Promise: dead.attempts
TEST_F(settle_test, attempts_used_up_make_dead) {
    h.make_queue("few/q", {.attempts = 2, .backoff = 0s});
    const auto q = h.attach(consumer, "few/q", 10, {}, consumer_id{2}).queue;
    h.publish("few", {"x"});
    h.settle(consumer, q, settle_action::nack, runs_of(h.deliveries(consumer)));
    const auto again = h.deliveries(consumer);
    ASSERT_THAT(again, SizeIs(1));
    h.settle(consumer, q, settle_action::nack, runs_of(again), duration_us{-1}, "twice");
    EXPECT_EQ(h.state_of("few", 0).state, message_state::dead);
    EXPECT_THAT(h.state_of("few", 0).history, SizeIs(2));
}

// Promise: delivery.no_attempt
TEST_F(settle_test, release_is_no_attempt) {
    h.publish("orders", {"a", "b"});
    const auto got = h.deliveries(consumer);
    h.settle(consumer, queue, settle_action::release, {run_of(got[0])});
    const auto again = h.deliveries(consumer);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].offset, 0U);
    EXPECT_EQ(again[0].attempt, 1U);
    EXPECT_EQ(h.settle(consumer, queue, settle_action::ack, {run_of(got[0])}).refused, 1U)
        << "the released lease is gone";
}

// Promise: delivery.lease
TEST_F(settle_test, extend_moves_the_deadline) {
    h.publish("orders", {"a"});
    const auto got = h.deliveries(consumer);
    h.pass(20s);
    EXPECT_EQ(h.settle(consumer, queue, settle_action::extend, runs_of(got)).accepted, 1U);
    h.pass(20s);
    EXPECT_EQ(h.state_of("orders", 0).state, message_state::leased);
    h.pass(10s);
    EXPECT_EQ(h.state_of("orders", 0).state, message_state::retrying);
    EXPECT_EQ(h.state_of("orders", 0).history.at(0).outcome, attempt_outcome::expired);
}

TEST_F(settle_test, what_is_not_held_is_named) {
    h.publish("orders", {"a", "b"});
    const auto got = h.deliveries(consumer);
    h.settle(consumer, queue, settle_action::ack, runs_of(got));
    const auto settled =
        h.settle(consumer, queue, settle_action::ack,
                 {{0, 2, got[0].lease.epoch, got[0].lease.counter}, {7, 3, {}, 1}});
    EXPECT_EQ(settled.accepted, 0U);
    EXPECT_EQ(settled.refused, 5U);
    EXPECT_FALSE(settled.gone.empty());
    const auto refused = h.ask_refused(
        consumer, codec::settle{.queue = queue, .runs = {{1, 1, got[0].lease.epoch, 2}}});
    EXPECT_EQ(refused.code, error_code::lease_gone);
    EXPECT_THAT(refused.text, HasSubstr("orders/billing@1"));
}

// One run may name leases from before and after a seek, of messages that share all else.
TEST_F(settle_test, a_run_over_a_seek_is_judged_lease_by_lease) {
    h.publish("orders", {"a", "b", "c", "d", "e", "f"});
    ASSERT_THAT(h.deliveries(consumer), SizeIs(6));
    h.ask<codec::counted>(h.admin, codec::queue_seek{.queue = "orders/billing", .to = {}});
    const auto got = h.deliveries(consumer);
    ASSERT_THAT(got, SizeIs(6));
    ASSERT_EQ(got[0].lease.counter, 7U);
    const lease_run from_before{2, 4, got[0].lease.epoch, 5};
    const std::vector<lease_run> gone{{2, 2, got[0].lease.epoch, 5}};
    h.restart();
    const auto other = h.connect();
    EXPECT_EQ(h.attach(other, "orders/billing", 0, {from_before}).gone, gone);
    h.restart();
    const auto settled = h.settle(h.connect(), queue, settle_action::ack, {from_before});
    EXPECT_EQ(settled.accepted, 2U);
    EXPECT_EQ(settled.gone, gone);
    EXPECT_EQ(h.queue_info("orders/billing").done, 2U);
}

TEST_F(settle_test, an_unconfirmed_ack_is_answered_by_nothing_and_is_not_urgent) {
    h.publish("orders", {"a"});
    const auto got = h.deliveries(consumer);
    h.state.apply(request{consumer, 77, codec::settle{.queue = queue, .runs = runs_of(got)}}, h.now,
                  h.out);
    EXPECT_FALSE(h.out.urgent);
    EXPECT_TRUE(h.state.dirty());
    h.run();
    EXPECT_FALSE(h.answer_to(consumer, 77));
    EXPECT_EQ(h.queue_info("orders/billing").done, 1U);
}

// Promise: dedup.outcome
TEST_F(settle_test, a_resent_settle_has_the_first_outcome) {
    h.publish("orders", {"a", "b"});
    const auto got = h.deliveries(consumer);
    const codec::settle ack{.queue = queue,
                            .confirm = true,
                            .producer = producer_id{9},
                            .sequence = 1,
                            .runs = runs_of(got)};
    EXPECT_EQ(h.ask<codec::settled>(consumer, ack).accepted, 2U);
    const auto again = h.ask<codec::settled>(consumer, ack);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.accepted, 2U);
    h.restart();
    const auto after = h.ask<codec::settled>(h.connect(), ack);
    EXPECT_TRUE(after.duplicate);
    EXPECT_EQ(after.accepted, 2U);
}

struct late_settle_test : settle_test {
    // Two messages whose leases have expired; memory does not know their exceptions any more.
    void SetUp() override {
        settle_test::SetUp();
        h.make_queue("late/q", {.lease = 1s, .backoff = 1h, .backoff_max = 1h});
        late_queue = h.attach(consumer, "late/q", 2, {}, consumer_id{2}).queue;
        h.publish("late", {"a", "b"});
        expired = h.deliveries(consumer);
        ASSERT_THAT(expired, SizeIs(2));
        h.pass(2s);
        h.publish("orders", {"x"});
        h.publish("orders", {"y"});
        (void)h.deliveries(consumer);
    }
    codec::settle ack(std::vector<lease_run> runs, std::uint64_t sequence = 1) const {
        return {.queue = late_queue,
                .confirm = true,
                .producer = producer_id{9},
                .sequence = sequence,
                .runs = std::move(runs)};
    }
    codec::settled outcome_of(std::uint32_t request) {
        const auto answer = h.answer_to(consumer, request);
        const auto* settled = answer ? std::get_if<codec::settled>(&answer->body) : nullptr;
        EXPECT_NE(settled, nullptr);
        return settled == nullptr ? codec::settled{} : *settled;
    }
    queue_id late_queue;
    std::vector<received> expired;
};

TEST_F(late_settle_test, a_resend_that_overtakes_the_read_of_the_first_has_its_outcome) {
    h.hold_fetches = true;
    const auto first = h.send(consumer, ack(runs_of(expired)));
    const auto resent = h.send(consumer, ack(runs_of(expired)));
    EXPECT_FALSE(h.answer_to(consumer, first));
    h.hold_fetches = false;
    h.run();
    const auto outcome = outcome_of(first);
    EXPECT_EQ(outcome.accepted, 2U);
    EXPECT_FALSE(outcome.duplicate);
    const auto again = outcome_of(resent);
    EXPECT_EQ(again.accepted, 2U);
    EXPECT_EQ(again.refused, 0U);
    EXPECT_TRUE(again.duplicate);
    EXPECT_TRUE(h.ask<codec::settled>(consumer, ack(runs_of(expired))).duplicate);
}

TEST_F(late_settle_test, nothing_is_settled_when_the_read_fails) {
    h.publish("late", {"c"});
    h.ask<codec::ok>(consumer, codec::set_prefetch{consumer_id{2}, 3, 1000});
    const auto held = h.deliveries(consumer);
    ASSERT_THAT(held, SizeIs(1));
    std::vector<lease_run> runs = runs_of(expired);
    runs.push_back(run_of(held[0]));
    h.store.failing = true;
    EXPECT_EQ(h.ask_refused(consumer, ack(runs)).code, error_code::storage_failed);
    EXPECT_EQ(h.queue_info("late/q").leased, 1U);
    h.store.failing = false;
    const auto settled = h.ask<codec::settled>(consumer, ack(runs));
    EXPECT_EQ(settled.accepted, 3U);
    EXPECT_EQ(settled.refused, 0U);
    EXPECT_FALSE(settled.duplicate);
}

TEST_F(late_settle_test, what_expires_during_the_read_is_settled_too) {
    h.publish("late", {"c"});
    h.ask<codec::ok>(consumer, codec::set_prefetch{consumer_id{2}, 3, 1000});
    std::vector<lease_run> runs = runs_of(expired);
    runs.push_back(run_of(h.deliveries(consumer).at(0)));
    h.hold_fetches = true;
    const auto request = h.send(consumer, ack(runs));
    h.pass(2s);
    EXPECT_FALSE(h.answer_to(consumer, request));
    h.hold_fetches = false;
    h.run();
    EXPECT_EQ(outcome_of(request).accepted, 3U);
}

// Both give held leases back: not those that a settle before them names.
TEST_F(late_settle_test, a_goodbye_waits_for_the_settles_before_it) {
    h.publish("late", {"c", "d"});
    h.ask<codec::ok>(consumer, codec::set_prefetch{consumer_id{2}, 4, 1000});
    const auto held = h.deliveries(consumer);
    ASSERT_THAT(held, SizeIs(2));
    std::vector<lease_run> runs = runs_of(expired);
    runs.push_back(run_of(held[0]));
    h.hold_fetches = true;
    const auto request = h.send(consumer, ack(runs));
    h.close(consumer, true);
    h.hold_fetches = false;
    h.run();
    EXPECT_EQ(outcome_of(request).accepted, 3U);
    EXPECT_EQ(h.queue_info("late/q").done, 3U);
    EXPECT_EQ(h.queue_info("late/q").ready, 1U);
    EXPECT_EQ(h.queue_info("late/q").consumers, 0U);
    EXPECT_EQ(h.state_of("late", 3).attempts, 0U);
}

TEST_F(late_settle_test, a_detach_waits_for_the_settles_before_it) {
    h.publish("late", {"c"});
    h.ask<codec::ok>(consumer, codec::set_prefetch{consumer_id{2}, 3, 1000});
    std::vector<lease_run> runs = runs_of(expired);
    runs.push_back(run_of(h.deliveries(consumer).at(0)));
    h.hold_fetches = true;
    const auto request = h.send(consumer, ack(runs));
    const auto detach = h.send(consumer, codec::detach{consumer_id{2}});
    EXPECT_FALSE(h.answer_to(consumer, detach));
    h.hold_fetches = false;
    h.run();
    EXPECT_EQ(outcome_of(request).accepted, 3U);
    EXPECT_TRUE(h.answer_to(consumer, detach));
    EXPECT_EQ(h.queue_info("late/q").done, 3U);
    EXPECT_EQ(h.queue_info("late/q").consumers, 0U);
}

// What is counted as lost needs no such care: a late settle still holds.
TEST_F(late_settle_test, a_lost_connection_waits_for_nothing) {
    h.publish("late", {"c"});
    h.ask<codec::ok>(consumer, codec::set_prefetch{consumer_id{2}, 3, 1000});
    std::vector<lease_run> runs = runs_of(expired);
    runs.push_back(run_of(h.deliveries(consumer).at(0)));
    h.hold_fetches = true;
    h.send(consumer, ack(runs));
    h.close(consumer);
    h.hold_fetches = false;
    h.run();
    EXPECT_EQ(h.queue_info("late/q").done, 3U);
    EXPECT_EQ(h.queue_info("late/q").consumers, 0U);
}

TEST_F(settle_test, a_removed_queue_is_named) {
    h.ask<codec::ok>(h.admin, codec::queue_remove{"orders/billing"});
    const auto refused =
        h.ask_refused(consumer, codec::settle{.queue = queue, .runs = {{0, 1, {}, 1}}});
    EXPECT_EQ(refused.code, error_code::queue_removed);
}

}  // namespace
}  // namespace brokerd::domain::test
