// Topics that drop the oldest messages: whatever state those are in, in queues of every mode, and
// counted exactly.
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/retention_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

topic_settings dropping(std::uint64_t max_messages) {
    return {.max_messages = max_messages, .when_full = full_policy::drop_oldest};
}

struct retention_drop_test : retention_fixture {
    void make_mode(const topic_settings& settings, queue_mode mode) {
        make(settings, {});
        h.make_queue("t/q", slow_retries(), mode);
    }
    // So many messages have failed, and their records are not read before read().
    void fail_unread(int count) {
        const auto one = attach();
        publish(count);
        settle(one, h.deliveries(one), settle_action::nack);
        h.restart();
        h.hold_fetches = true;
    }
    void read() {
        h.hold_fetches = false;
        h.run();
    }
    offset_t publish_key(const std::string& key) { return h.publish_keyed("t", {{key}}); }
};

// Promise: bounds.drop_oldest
TEST_F(retention_drop_test, ready_messages_make_room) {
    make(dropping(3));
    publish(3);
    EXPECT_EQ(topic().dropped, 0U);
    EXPECT_EQ(topic().last_dropped, wall_never);
    publish(2);
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(queue().done, 2U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_EQ(topic().first_offset, 2U) << "the trim point follows at once";
    EXPECT_EQ(topic().dropped, 2U);
    EXPECT_NEAR(static_cast<double>(topic().dropped_bytes), static_cast<double>(2 * bytes_of("0")),
                4.0);
    EXPECT_EQ(topic().last_dropped, h.now.wall);
    EXPECT_EQ(h.state.counters().dropped_messages, 2U);
    EXPECT_EQ(h.state.counters().refused_publishes, 0U);
    const auto one = attach();
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3, 4));
}

TEST_F(retention_drop_test, bytes_are_a_bound_too) {
    make({.max_bytes = limits::topic_bytes_min, .when_full = full_policy::drop_oldest});
    const std::string payload(500, 'x');
    for (int i = 0; i < 20; ++i) {
        h.publish("t", {payload});
        EXPECT_LE(topic().pending_bytes, limits::topic_bytes_min);
    }
    EXPECT_EQ(queue().ready, limits::topic_bytes_min / bytes_of(payload));
    h.restart();
    EXPECT_EQ(queue().ready, limits::topic_bytes_min / bytes_of(payload));
}

TEST_F(retention_drop_test, a_batch_larger_than_the_bound_leaves_its_end) {
    make(dropping(3));
    h.publish("t", {"a", "b", "c", "d", "e"});
    const auto one = attach();
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3, 4));
    EXPECT_EQ(topic().dropped, 2U);
}

TEST_F(retention_drop_test, leases_of_what_is_dropped_end) {
    make(dropping(3));
    const auto one = attach();
    h.publish("t", {"a", "b", "c"});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(3));
    h.publish("t", {"d", "e"});
    EXPECT_EQ(queue().leased, 3U);
    EXPECT_EQ(topic().first_offset, 2U);
    const auto settled = settle(one, got);
    EXPECT_EQ(settled.accepted, 1U);
    EXPECT_EQ(settled.refused, 2U);
    EXPECT_EQ(queue().done, 3U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(3, 4));
    for (const settle_action late : {settle_action::nack, settle_action::release,
                                     settle_action::reject, settle_action::extend}) {
        EXPECT_EQ(settle(one, {got[0]}, late).refused, 1U) << to_string(late);
    }
    EXPECT_EQ(queue().retrying + queue().dead, 0U);
    h.pass(11min);  // and they do not expire
    EXPECT_EQ(queue().retrying, 2U);
}

TEST_F(retention_drop_test, what_was_given_back_is_dropped_like_the_rest) {
    make(dropping(3));
    const auto one = attach();
    publish(3);
    h.close(one, true);
    EXPECT_EQ(queue().ready, 3U);
    publish(2);
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(topic().first_offset, 2U);
    const auto two = attach();
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(2, 3, 4));
}

// Promise: bounds.counted
TEST_F(retention_drop_test, what_failed_stays) {
    make(dropping(3));
    const auto one = attach();
    publish(3);
    const auto got = h.deliveries(one);
    settle(one, {got[0]}, settle_action::nack);
    settle(one, {got[1]}, settle_action::reject);
    publish(4);
    EXPECT_EQ(queue().retrying, 1U);
    EXPECT_EQ(queue().dead, 1U);
    EXPECT_EQ(queue().leased, 3U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_EQ(topic().first_offset, 4U);
    EXPECT_THAT(h.store.kept, SizeIs(2));
    std::vector<received> held = h.deliveries(one);
    EXPECT_EQ(settle(one, held).accepted, 3U) << "one of the four was dropped";
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].payload, "1");
    settle(one, again);
    h.pass(1h);
    again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].payload, "0");
    settle(one, again);
    EXPECT_THAT(h.store.kept, IsEmpty());
    EXPECT_EQ(queue().done, 7U);
}

TEST_F(retention_drop_test, a_retry_that_is_leased_stays) {
    make(dropping(2));
    const auto one = attach();
    publish(1);
    h.settle(one, ids["q"], settle_action::nack, runs_of(h.deliveries(one)), 0s);
    const auto retry = h.deliveries(one);
    ASSERT_THAT(retry, SizeIs(1));
    EXPECT_EQ(retry[0].attempt, 2U);
    publish(5);
    EXPECT_EQ(topic().first_offset, 4U);
    EXPECT_EQ(settle(one, retry).accepted, 1U);
    EXPECT_EQ(queue().dropped, 3U);
}

// ---- queues in order ----

TEST_F(retention_drop_test, the_key_of_a_dropped_lease_is_free) {
    make_mode(dropping(3), queue_mode::keyed);
    const auto one = attach();
    for (const char* const key : {"a", "a", "b"}) {
        publish_key(key);
    }
    const auto got = h.deliveries(one);
    EXPECT_THAT(offsets_of(got), ElementsAre(0, 2));
    publish_key("c");
    EXPECT_THAT(offsets_of(h.deliveries(one)), UnorderedElementsAre(1, 3));
    EXPECT_EQ(settle(one, got).refused, 1U);
    EXPECT_EQ(queue().dropped, 1U);
}

TEST_F(retention_drop_test, messages_that_wait_for_their_key_are_dropped) {
    make_mode(dropping(3), queue_mode::keyed);
    const auto one = attach();
    publish_key("a");
    settle(one, h.deliveries(one), settle_action::nack);  // holds its key for an hour
    for (int i = 0; i < 5; ++i) {
        publish_key("a");
    }
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.pass(1h);
    for (const offset_t offset : std::initializer_list<offset_t>{0, 3, 4, 5}) {
        const auto got = h.deliveries(one);
        EXPECT_THAT(offsets_of(got), ElementsAre(offset));
        settle(one, got);
    }
    EXPECT_EQ(queue().ready + queue().leased + queue().retrying, 0U);
}

TEST_F(retention_drop_test, a_single_queue_goes_on_behind_what_is_dropped) {
    make_mode(dropping(3), queue_mode::single);
    const auto one = attach();
    publish(3);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0));
    publish(2);
    auto got = h.deliveries(one);
    EXPECT_THAT(offsets_of(got), ElementsAre(1, 2)) << "one after the other";
    EXPECT_EQ(settle(one, {got[0]}).refused, 1U);
    EXPECT_EQ(settle(one, {got[1]}).accepted, 1U);
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(3));
}

// ---- more queues, or none ----

// Promise: bounds.counted
TEST_F(retention_drop_test, each_queue_counts_what_it_was_not_done_with) {
    make(dropping(3), {"fast", "slow"});
    const auto one = attach("fast");
    for (int i = 0; i < 5; ++i) {
        publish(1);
        settle(one, h.deliveries(one), settle_action::ack, "fast");
    }
    EXPECT_EQ(queue("fast").dropped, 0U);
    EXPECT_EQ(queue("slow").dropped, 2U);
    EXPECT_EQ(topic().dropped, 2U);
    h.close(one, true);
    publish(5);
    EXPECT_EQ(queue("fast").dropped, 2U);
    EXPECT_EQ(queue("slow").dropped, 7U);
    EXPECT_EQ(topic().dropped, 7U) << "each message once";
    h.restart();
    EXPECT_EQ(queue("fast").dropped, 2U);
    EXPECT_EQ(queue("slow").dropped, 7U);
    EXPECT_EQ(topic().dropped, 7U);
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/slow"});
    EXPECT_EQ(topic().dropped, 7U);
    EXPECT_THAT(h.store.dropped[topic().topic].queues, SizeIs(1));
    publish(1);
    EXPECT_EQ(queue("fast").dropped, 3U);
}

TEST_F(retention_drop_test, a_topic_without_queues_drops_likewise) {
    make(dropping(3), {});
    publish(5);
    EXPECT_EQ(topic().first_offset, 2U);
    EXPECT_EQ(topic().dropped, 2U);
    EXPECT_EQ(topic().pending, 3U);
    h.make_queue("t/q");
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(queue().dropped, 0U);
}

TEST_F(retention_drop_test, what_the_last_queue_was_done_with_counts_when_it_goes) {
    make({.keep_done = 1h, .max_messages = 3, .when_full = full_policy::drop_oldest});
    const auto one = attach();
    for (int i = 0; i < 5; ++i) {
        publish(1);
        settle(one, h.deliveries(one));
    }
    EXPECT_EQ(topic().dropped, 0U);
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/q"});
    EXPECT_LE(topic().pending, 3U);
    EXPECT_LE(topic().messages, 3U);
}

// ---- settings, restarts, what goes on beside ----

TEST_F(retention_drop_test, a_lower_bound_drops_at_once) {
    make({.keep_done = 1h});
    attach("q", 4);
    publish(10);
    set({.keep_done = 1h, .max_messages = 3, .when_full = full_policy::drop_oldest});
    EXPECT_EQ(topic().first_offset, 7U) << "whatever is to be kept";
    EXPECT_EQ(queue().ready + queue().leased, 3U);
    EXPECT_EQ(topic().dropped, 7U);
    h.restart();
    EXPECT_EQ(topic().first_offset, 7U);
    EXPECT_EQ(topic().dropped, 7U);
    EXPECT_EQ(queue().ready, 3U);
    publish(1);
    EXPECT_EQ(topic().dropped, 8U);
}

TEST_F(retention_drop_test, a_topic_of_durability_os_keeps_its_bound_through_a_power_cut) {
    make({.durability = durability::os, .max_messages = 3, .when_full = full_policy::drop_oldest});
    for (int i = 0; i < 3; ++i) {
        publish(5);
        EXPECT_EQ(queue().ready, 3U);
        h.power_cut();
        EXPECT_LE(topic().pending, 3U);
    }
    publish(5);
    EXPECT_EQ(topic().pending, 3U);
    EXPECT_EQ(queue().ready, 3U);
}

TEST_F(retention_drop_test, nobody_begins_below_what_is_dropped_while_the_trim_point_waits) {
    make({.keep_done = 1h, .max_messages = 3, .when_full = full_policy::drop_oldest});
    fail_unread(1);
    publish(5);
    h.make_queue("t/new");
    EXPECT_EQ(queue("new").ready, 3U);
    read();
    EXPECT_EQ(topic().first_offset, 3U);
    EXPECT_EQ(queue("new").dropped, 0U);
}

TEST_F(retention_drop_test, a_restart_brings_nothing_back_while_the_trim_point_waits) {
    make({.keep_done = 1h, .max_messages = 3, .when_full = full_policy::drop_oldest});
    fail_unread(1);
    publish(5);
    EXPECT_EQ(topic().first_offset, 0U);
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/q"});
    h.restart();
    h.make_queue("t/new");
    EXPECT_EQ(queue("new").ready, 3U);
    read();
    EXPECT_EQ(topic().first_offset, 3U);
    EXPECT_EQ(topic().dropped, 2U);
    EXPECT_EQ(queue("new").dropped, 0U);
}

TEST_F(retention_drop_test, what_a_seek_makes_ready_below_is_dropped_too) {
    make(dropping(5), {"q", "slow"});
    fail_unread(2);
    (void)h.send(h.admin, codec::queue_seek{.queue = "t/q"});
    publish(5);
    EXPECT_EQ(queue("slow").dropped, 2U);
    read();
    EXPECT_EQ(queue().ready, 5U);
    EXPECT_EQ(queue().retrying, 0U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_EQ(topic().dropped, 2U);
    EXPECT_EQ(topic().first_offset, 2U);
}

TEST_F(retention_drop_test, what_a_seek_makes_ready_below_counts_when_it_is_dropped) {
    make({.keep_done = 1h, .max_messages = 5, .when_full = full_policy::drop_oldest});
    fail_unread(2);
    (void)h.send(h.admin, codec::queue_seek{.queue = "t/q"});
    publish(7);
    EXPECT_EQ(topic().dropped, 2U) << "what failed stays";
    read();
    EXPECT_EQ(queue().retrying, 0U);
    EXPECT_EQ(queue().dropped, 4U);
    EXPECT_EQ(topic().dropped, 4U);
    EXPECT_EQ(h.state.counters().dropped_messages, 4U);
}

TEST_F(retention_drop_test, a_clone_under_way_has_what_is_left) {
    make(dropping(3));
    fail_unread(1);
    (void)h.send(h.admin, codec::queue_clone{.queue = "t/q", .name = "copy"});
    publish(5);
    read();
    EXPECT_EQ(queue("copy").ready, 3U);
    EXPECT_EQ(queue("copy").retrying, 1U);
    EXPECT_EQ(topic().first_offset, 3U);
}

TEST_F(retention_drop_test, the_log_is_told_at_most_each_ten_seconds) {
    make(dropping(3));
    publish(4);
    auto told = h.state.take_drop_notices();
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ(told[0].topic, "t");
    EXPECT_EQ(told[0].messages, 1U);
    EXPECT_EQ(told[0].in_all, 1U);
    EXPECT_EQ(told[0].bound, "max_messages 3, drop-oldest");
    publish(2);
    h.pass(9s);
    EXPECT_THAT(h.state.take_drop_notices(), IsEmpty());
    h.pass(1s);
    told = h.state.take_drop_notices();
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ(told[0].messages, 2U);
    EXPECT_EQ(told[0].in_all, 3U);
    EXPECT_THAT(h.state.warnings(h.now), ElementsAre(HasSubstr("topic t drops messages")));
    h.pass(1h);
    EXPECT_THAT(h.state.take_drop_notices(), IsEmpty());
    EXPECT_THAT(h.state.warnings(h.now), Not(Contains(HasSubstr("drops messages"))));
}

}  // namespace
}  // namespace brokerd::domain::test
