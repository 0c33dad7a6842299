// At a shut-down: when a connection holds nothing any more, however its leases end.
#include <algorithm>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

struct drain_test : testing::Test {
    void SetUp() override {
        h.make_queue("t/q", {.lease = 30s});
        one = h.connect();
        queue = h.attach(one, "t/q", 10).queue;
        h.publish("t", {"a", "b", "c"});
        got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(3));
    }
    void drain() {
        h.apply(connection_draining{one});
        ASSERT_FALSE(told()) << "three leases are held";
    }
    // Takes the answer.
    bool told() {
        return std::erase_if(h.outputs, [&](const output& each) {
                   return each.connection == one &&
                          std::holds_alternative<holds_nothing>(each.body);
               }) == 1;
    }

    harness h;
    connection_id one;
    queue_id queue;
    std::vector<received> got;
};

TEST_F(drain_test, who_holds_nothing_is_told_at_once_and_once_for_each_question) {
    const auto other = h.connect();
    h.apply(connection_draining{other});
    h.apply(connection_draining{other});
    EXPECT_EQ(std::ranges::count_if(h.outputs,
                                    [&](const output& each) { return each.connection == other; }),
              2);
}

TEST_F(drain_test, settled_leases_are_not_held) {
    drain();
    h.settle(one, queue, settle_action::ack, {run_of(got[0]), run_of(got[1])});
    h.settle(one, queue, settle_action::extend, {run_of(got[2])}, 60s);
    EXPECT_FALSE(told());
    h.settle(one, queue, settle_action::nack, {run_of(got[2])});
    EXPECT_TRUE(told());
    h.pass(60s);
    EXPECT_FALSE(told()) << "once";
}

TEST_F(drain_test, nor_are_those_settled_over_another_connection) {
    drain();
    h.settle(h.connect(), queue, settle_action::release, runs_of(got));
    EXPECT_TRUE(told());
}

TEST_F(drain_test, nor_are_those_taken_up_by_another_connection) {
    drain();
    (void)h.attach(h.connect(), "t/q", 10, runs_of(got));
    EXPECT_TRUE(told());
}

TEST_F(drain_test, nor_are_expired_ones) {
    drain();
    h.pass(29s);
    EXPECT_FALSE(told());
    h.pass(2s);
    EXPECT_TRUE(told());
}

TEST_F(drain_test, nor_are_those_of_a_consumer_that_detached) {
    drain();
    (void)h.ask<codec::ok>(one, codec::detach{.consumer = consumer_id{1}});
    EXPECT_TRUE(told());
}

TEST_F(drain_test, nor_are_those_of_a_queue_that_was_removed) {
    drain();
    h.send(h.admin, codec::queue_remove{.queue = "t/q"});
    EXPECT_TRUE(told());
}

TEST_F(drain_test, nor_are_those_that_a_seek_took_away) {
    drain();
    h.send(h.admin, codec::queue_seek{.queue = "t/q", .to = {.kind = position_kind::earliest}});
    EXPECT_TRUE(told());
}

TEST_F(drain_test, who_drains_is_given_nothing_new) {
    drain();
    h.publish("t", {"d"});
    h.settle(one, queue, settle_action::release, runs_of(got));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_TRUE(told());
    (void)h.ask<codec::ok>(
        one, codec::set_prefetch{.consumer = consumer_id{1}, .messages = 10, .bytes = 1000});
    EXPECT_THAT(h.deliveries(one), IsEmpty()) << "whatever it asks for";
    const auto other = h.connect();
    (void)h.attach(other, "t/q", 10);
    EXPECT_THAT(h.deliveries(other), SizeIs(4));
}

TEST_F(drain_test, nor_is_a_consumer_that_comes_late) {
    drain();
    EXPECT_THAT(h.attach(one, "t/q", 10, runs_of(got), consumer_id{2}).gone, IsEmpty());
    h.publish("t", {"d"});
    h.settle(one, queue, settle_action::ack, runs_of(got));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
}

TEST_F(drain_test, who_has_left_is_told_nothing) {
    drain();
    h.close(one);
    EXPECT_FALSE(told());
}

}  // namespace
}  // namespace brokerd::domain::test
