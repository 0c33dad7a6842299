// How long and how much a topic keeps: max_age, keep_done_bytes; and what health says of topics and
// queues that nobody attends to.
#include <gmock/gmock.h>

#include "tests/unit/domain/retention_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct retention_age_test : retention_fixture {
    // Published and done with, all of one size.
    void consume(connection_id one, int count) {
        for (int i = 0; i < count; ++i) {
            h.publish("t", {payload});
            settle(one, h.deliveries(one));
        }
    }
    std::string payload = std::string(100, 'x');
};

// ---- keep_done_bytes ----

TEST_F(retention_age_test, as_many_bytes_as_a_number_can_be_keep_everything) {
    make({.keep_done_bytes = ~std::uint64_t{0}}, {"q", "slow"});
    const auto one = attach();
    const auto two = attach("slow");
    publish(3);
    settle(one, h.deliveries(one));
    auto got = h.deliveries(two);
    got.pop_back();
    settle(two, got, settle_action::ack, "slow");
    h.pass(1h);
    EXPECT_EQ(topic().first_offset, 0U);
}

TEST_F(retention_age_test, what_is_done_is_kept_up_to_so_many_bytes) {
    make({.keep_done_bytes = 10 * bytes_of(payload)});
    const auto one = attach();
    consume(one, 30);
    h.pass(2s);
    EXPECT_EQ(topic().messages, 10U);
    EXPECT_EQ(topic().first_offset, 20U);
    h.pass(24h);
    EXPECT_EQ(topic().messages, 10U) << "however old";
    h.publish("t", {payload});
    h.pass(2s);
    EXPECT_EQ(topic().messages, 11U) << "what is not done does not count";
    settle(one, h.deliveries(one));
    h.pass(2s);
    EXPECT_EQ(topic().first_offset, 21U);
    h.restart();
    h.pass(2s);
    EXPECT_EQ(topic().first_offset, 21U);
    set({});
    h.pass(2s);
    EXPECT_EQ(topic().messages, 0U) << "without any bound none is kept";
}

TEST_F(retention_age_test, what_is_done_is_kept_while_within_both_bounds) {
    make({.keep_done = 64s, .keep_done_bytes = 10 * bytes_of(payload)});
    const auto one = attach();
    consume(one, 30);
    h.pass(2s);
    EXPECT_EQ(topic().messages, 10U);
    h.pass(66s);
    EXPECT_EQ(topic().messages, 0U);
    consume(one, 5);
    h.pass(30s);
    EXPECT_EQ(topic().messages, 5U);
}

// ---- max_age ----

// Promise: bounds.age
TEST_F(retention_age_test, what_is_too_old_is_dropped_without_a_publish) {
    make({.max_age = 64s});
    for (int i = 0; i < 10; ++i) {
        publish(1);
        h.pass(1s);
    }
    h.pass(53s);
    EXPECT_EQ(queue().ready, 10U);
    h.pass(3s);
    EXPECT_GE(topic().first_offset, 1U);
    EXPECT_LE(topic().first_offset, 3U);
    EXPECT_EQ(topic().dropped, topic().first_offset);
    EXPECT_EQ(queue().ready, 10U - queue().dropped);
    h.pass(10s);
    EXPECT_EQ(queue().ready, 0U);
    EXPECT_EQ(topic().messages, 0U);
    EXPECT_EQ(queue().dropped, 10U);
    EXPECT_EQ(topic().bytes, 0U);
    EXPECT_THAT(h.state.take_drop_notices(),
                Contains(testing::Field(&drop_notice::bound, "max_age 1 min 4 s")));
}

TEST_F(retention_age_test, done_or_not_and_leased_or_not) {
    make({.keep_done = 24h, .max_age = 64s});
    const auto one = attach();
    publish(2);
    const auto got = h.deliveries(one);
    settle(one, {got[0]});
    h.pass(60s);
    EXPECT_EQ(topic().messages, 2U);
    EXPECT_EQ(queue().leased, 1U);
    h.pass(6s);
    EXPECT_EQ(topic().messages, 0U);
    EXPECT_EQ(queue().leased, 0U);
    EXPECT_EQ(topic().dropped, 1U) << "the other one was done";
    EXPECT_EQ(settle(one, {got[1]}).refused, 1U);
}

// The time comes while a commit is gathered, which another topic makes look at the bounds of all.
TEST_F(retention_age_test, what_is_too_old_is_dropped_before_messages_are_given_out) {
    make({.max_age = 64s});
    h.make_queue("other/q");
    publish(2);
    const connection_id late = h.connect();
    h.now.mono += 70s;
    h.now.wall += 70s;
    h.state.apply(
        request{late, 1,
                codec::attach{.queue = "t/q", .consumer = consumer_id{1}, .prefetch_messages = 1}},
        h.now, h.out);
    h.state.apply(request{h.admin, 1, codec::topic_set{.topic = "other"}}, h.now, h.out);
    h.commit();
    EXPECT_THAT(h.deliveries(late), testing::IsEmpty());
    EXPECT_EQ(queue().leased, 0U);
    EXPECT_EQ(queue().dropped, 2U);
}

TEST_F(retention_age_test, what_failed_outlives_max_age) {
    make({.max_age = 64s});
    const auto one = attach();
    publish(3);
    const auto got = h.deliveries(one);
    settle(one, {got[0]}, settle_action::nack);
    settle(one, {got[1]}, settle_action::reject);
    h.pass(70s);
    EXPECT_EQ(topic().first_offset, 3U);
    EXPECT_EQ(queue().retrying, 1U);
    EXPECT_EQ(queue().dead, 1U);
    EXPECT_EQ(queue().dropped, 1U);
    h.pass(1h);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0));
}

TEST_F(retention_age_test, a_topic_without_queues_drops_what_is_too_old) {
    make({.max_age = 64s}, {});
    publish(3);
    h.pass(70s);
    EXPECT_EQ(topic().first_offset, 3U);
    EXPECT_EQ(topic().dropped, 3U);
    publish(1);
    EXPECT_EQ(topic().messages, 1U);
    h.pass(70s);
    EXPECT_EQ(topic().messages, 0U);
}

// Promise: bounds.age
TEST_F(retention_age_test, a_restart_makes_nothing_younger) {
    make({.max_age = 64s});
    publish(3);
    h.pass(30s);
    publish(2);
    h.restart();
    EXPECT_EQ(queue().ready, 5U);
    h.pass(32s);
    EXPECT_EQ(queue().ready, 5U);
    h.restart();
    h.pass(34s);
    EXPECT_EQ(queue().ready, 0U);
    EXPECT_EQ(queue().dropped, 5U);
}

TEST_F(retention_age_test, nothing_is_dropped_for_its_age_just_after_a_start) {
    make({.max_messages = 4, .when_full = full_policy::drop_oldest, .max_age = 1h});
    publish(3);
    h.now.wall += 24h;  // a wrong clock, perhaps
    h.restart();
    publish(1);
    h.pass(9s);
    EXPECT_EQ(queue().ready, 4U) << "consumers come back first";
    publish(1);
    EXPECT_EQ(queue().dropped, 1U) << "the other bounds hold";
    h.pass(1s);
    EXPECT_EQ(queue().ready, 2U);
    EXPECT_EQ(queue().dropped, 3U);
}

TEST_F(retention_age_test, a_clock_that_was_set_back_ends_the_warning_of_drops_in_time) {
    make({.max_messages = 1, .when_full = full_policy::drop_oldest});
    publish(2);
    h.now.wall -= 24h;
    h.restart();
    EXPECT_THAT(h.state.warnings(h.now), Contains(HasSubstr("drops messages")));
    h.pass(61min);
    EXPECT_THAT(h.state.warnings(h.now), Not(Contains(HasSubstr("drops messages"))));
}

TEST_F(retention_age_test, a_new_max_age_counts_at_once) {
    make({});
    publish(5);
    h.pass(2h);
    set({.max_age = 1h});
    EXPECT_EQ(queue().ready, 0U);
    EXPECT_EQ(topic().first_offset, 5U);
    EXPECT_EQ(topic().dropped, 5U);
    publish(1);
    EXPECT_EQ(queue().ready, 1U);
}

TEST_F(retention_age_test, what_was_dropped_is_logged_also_if_the_bounds_go) {
    make({.max_messages = 1, .when_full = full_policy::drop_oldest});
    publish(2);
    EXPECT_THAT(h.state.take_drop_notices(), SizeIs(1));
    publish(3);
    EXPECT_THAT(h.state.take_drop_notices(), IsEmpty()) << "not so soon";
    set({});
    const auto told = h.state.take_drop_notices();
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ(told[0].messages, 3U);
    EXPECT_EQ(told[0].in_all, 4U);
    EXPECT_EQ(told[0].bound, "max_messages 1, drop-oldest");
}

// ---- health ----

// Promise: bounds.warned
TEST_F(retention_age_test, a_queue_without_consumer_is_warned_of_after_an_hour) {
    make({});
    publish(1);
    h.pass(59min);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
    EXPECT_EQ(queue().state, "no consumer");
    h.pass(1min);
    EXPECT_THAT(h.state.warnings(h.now),
                ElementsAre("queue t/q has 1 message and no consumer for 1 h"));
    EXPECT_EQ(queue().state, "abandoned");
    h.restart();
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty()) << "the hour begins anew";
    EXPECT_EQ(queue().state, "no consumer");
    h.pass(2h);
    EXPECT_EQ(queue().state, "abandoned");
    const auto one = attach();
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
    settle(one, h.deliveries(one));
    h.close(one, true);
    h.pass(2h);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty()) << "nothing waits there";
    EXPECT_EQ(queue().state, "idle");
}

// Promise: bounds.warned
TEST_F(retention_age_test, topics_without_queue_are_warned_of_after_an_hour) {
    for (int i = 10; i < 22; ++i) {
        const std::string name = "t" + std::to_string(i);
        h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = name});
        h.publish(name, {"x"});
    }
    h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "empty"});
    h.pass(59min);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
    h.pass(1min);
    const auto told = h.state.warnings(h.now);
    ASSERT_THAT(told, SizeIs(11));
    EXPECT_EQ(told[0], "topic t10 has 1 message and no queue for 1 h: nothing consumes them");
    EXPECT_EQ(told[10], "and 2 more of the topics with messages and no queue");
    h.make_queue("t10/q");
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t10/q"});
    EXPECT_THAT(h.state.warnings(h.now),
                Contains("and 1 more of the topics with messages and no queue"))
        << "its hour begins anew";
}

// Promise: bounds.warned
TEST_F(retention_age_test, a_full_topic_is_warned_of_for_a_minute) {
    make({.max_messages = 1});
    publish(1);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
    EXPECT_TRUE(is_full());
    h.pass(3s);
    EXPECT_THAT(h.state.warnings(h.now),
                ElementsAre(HasSubstr("topic t is full (max_messages 1): a publish was refused 3 s "
                                      "ago")));
    h.pass(58s);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

}  // namespace
}  // namespace brokerd::domain::test
