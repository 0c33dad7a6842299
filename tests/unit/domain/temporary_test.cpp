// Temporary queues: when they go, and what they leave.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct temporary_test : testing::Test {
    void SetUp() override { h.make_queue("t/q", {.expires = 10s}); }

    bool exists() {
        const auto listed =
            h.ask<codec::queues>(h.admin, codec::queue_list{.topic = "t", .queue = {}});
        return !listed.items.empty();
    }

    harness h;
};

// Promise: replay.temporary
TEST_F(temporary_test, goes_when_no_consumer_came_for_so_long) {
    h.publish("t", {"a", "b"});
    h.pass(9s);
    EXPECT_TRUE(exists());
    EXPECT_THAT(h.explain("t/q"), HasSubstr("removed in 1 s unless one comes"));
    h.pass(1s);
    EXPECT_FALSE(exists());
    EXPECT_EQ(h.state.counters().expired_queues, 1U);
    h.restart();
    EXPECT_FALSE(exists()) << "durably";
}

// Promise: replay.temporary
TEST_F(temporary_test, stays_while_it_has_one_and_counts_anew_when_the_last_has_gone) {
    const auto first = h.connect();
    const auto second = h.connect();
    h.attach(first, "t/q");
    h.attach(second, "t/q");
    h.pass(1h);
    EXPECT_TRUE(exists());
    h.close(first);
    h.pass(20s);
    EXPECT_TRUE(exists());
    h.close(second, true);
    h.pass(9s);
    const auto third = h.connect();
    h.attach(third, "t/q");
    h.pass(5s);
    h.ask<codec::ok>(third, codec::detach{consumer_id{1}});
    h.pass(9s);
    EXPECT_TRUE(exists());
    h.pass(1s);
    EXPECT_FALSE(exists());
}

TEST_F(temporary_test, a_restart_is_no_time_without_a_consumer) {
    h.pass(9s);
    h.restart();
    h.pass(9s);
    EXPECT_TRUE(exists());
    h.pass(1s);
    EXPECT_FALSE(exists());
}

TEST_F(temporary_test, what_it_held_is_trimmed) {
    h.publish("t", {"a", "b"});
    h.make_queue("t/other");
    const auto consumer = h.connect();
    h.attach(consumer, "t/other");
    const auto got = h.deliveries(consumer);
    h.settle(consumer, h.queue_info("t/other").id, settle_action::ack, runs_of(got));
    h.pass(11s);
    EXPECT_EQ(h.topic_info("t").first_offset, 2U);
}

TEST_F(temporary_test, the_setting_can_be_changed) {
    h.pass(5s);
    auto settings = h.queue_info("t/q").settings;
    settings.expires = 0s;
    h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", settings});
    h.pass(1h);
    ASSERT_TRUE(exists());
    settings.expires = 2s;
    h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", settings});
    h.pass(1s);
    EXPECT_TRUE(exists()) << "the hour before does not count";
    h.pass(1s);
    EXPECT_FALSE(exists());
}

TEST_F(temporary_test, who_makes_sure_that_it_exists_or_attaches_has_the_whole_time) {
    h.pass(9s);
    const auto made = h.ask<codec::queue_created>(
        h.admin, codec::queue_create{.queue = "t/q", .settings = {.expires = 10s}});
    EXPECT_FALSE(made.created);
    h.pass(9s);
    EXPECT_TRUE(exists());
    h.pass(1s);
    EXPECT_FALSE(exists());
}

// Promise: replay.temporary
TEST(temporary, clients_have_some_time_to_come_back_after_a_start) {
    harness h;
    h.make_queue("t/q", {.expires = 1s});
    h.restart();
    h.pass(9s);
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{}).items, SizeIs(1));
    h.pass(1s);
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{}).items, IsEmpty());
}

TEST(temporary, the_setting_has_bounds) {
    harness h;
    for (const duration_us bad :
         {duration_us{-1}, duration_us{limits::expires_min} - 1us, limits::expires_max + 1us}) {
        const auto refused = h.ask_refused(
            h.admin, codec::queue_create{
                         .queue = "t/q", .settings = {.expires = bad}, .create_topic = true});
        EXPECT_EQ(refused.code, error_code::invalid_setting);
        EXPECT_THAT(refused.text, HasSubstr("expires"));
    }
    h.make_queue("t/a", {.expires = limits::expires_min});
    h.make_queue("t/b", {.expires = limits::expires_max});
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{}).items, SizeIs(2));
    h.pass(1s);
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{.topic = "t"}).items, SizeIs(1));
    h.ask<codec::ok>(h.admin, codec::queue_remove{"t/b"});
    EXPECT_THAT(h.ask<codec::queues>(h.admin, codec::queue_list{}).items, IsEmpty());
}

}  // namespace
}  // namespace brokerd::domain::test
