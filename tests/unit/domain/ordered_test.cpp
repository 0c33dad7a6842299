// Queues of mode keyed and single: order, locks, what blocks whom, and for how long.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const queue_settings no_jitter{.backoff = 1s, .jitter_percent = 0};

// One consumer of t/q that takes a lot.
class keyed_queue : public testing::Test {
protected:
    explicit keyed_queue(queue_mode mode = queue_mode::keyed) {
        h.ask<codec::topic_created>(h.admin, codec::topic_create{"t", {.keep_done = 1h}});
        h.make_queue("t/q", no_jitter, mode);
        one = h.connect("one@host:1");
        q = h.attach(one, "t/q").queue;
    }
    std::vector<received> take() { return h.deliveries(one); }
    void settle(const received& message, settle_action action, duration_us delay = duration_us{-1},
                const std::string& reason = {}) {
        h.settle(one, q, action, {run_of(message)}, delay, reason);
    }
    void ack(const received& message) { settle(message, settle_action::ack); }
    void set(after_failure policy) {
        auto settings = no_jitter;
        settings.after_failure = policy;
        h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", settings});
    }

    harness h;
    connection_id one;
    queue_id q;
};

// Promise: keyed.order
TEST_F(keyed_queue, gives_one_message_of_a_key_at_a_time) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"b"}, {"a"}, {"b"}, {"c"}});
    auto got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(0, 2, 5));
    ack(got[1]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(4));
    ack(got[0]);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(1));
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(3));
}

// Promise: keyed.block
TEST_F(keyed_queue, holds_back_no_message_without_a_key) {
    h.publish_keyed("t", {{""}, {""}, {"a"}, {""}, {"a"}, {""}});
    EXPECT_THAT(offsets_of(take()), ElementsAre(0, 1, 2, 3, 5));
}

// Promise: keyed.order
TEST_F(keyed_queue, keeps_the_order_of_a_key_over_consumers) {
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 1, 1 << 20});
    const auto two = h.connect("two@host:1");
    h.attach(two, "t/q", 1);
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}, {"b"}});
    auto first = take();
    auto second = h.deliveries(two);
    ASSERT_THAT(first, SizeIs(1));
    ASSERT_THAT(second, SizeIs(1));
    h.settle(one, q, settle_action::ack, {run_of(first[0])});
    h.settle(two, q, settle_action::ack, {run_of(second[0])});
    auto rest = take();
    for (auto& each : h.deliveries(two)) {
        rest.push_back(each);
    }
    EXPECT_THAT(offsets_of(rest), testing::UnorderedElementsAre(2, 3));
}

// Promise: keyed.block
TEST_F(keyed_queue, a_failure_blocks_its_key_and_no_other) {
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}, {"b"}});
    auto got = take();
    settle(got[0], settle_action::nack);
    ack(got[1]);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(3)) << "a is blocked";
    EXPECT_THAT(h.explain("t/q", 2),
                AllOf(HasSubstr("t/q@0 is retrying"), HasSubstr("until it is done or dead")));
    h.pass(1s);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(0));
    EXPECT_EQ(got[0].attempt, 2U);
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(2));
}

// Promise: keyed.block
TEST_F(keyed_queue, a_dead_message_unblocks_its_key) {
    h.publish_keyed("t", {{"a"}, {"a"}});
    auto got = take();
    settle(got[0], settle_action::nack, 60s);
    EXPECT_THAT(take(), IsEmpty());
    h.pass(60s);
    got = take();
    settle(got[0], settle_action::reject);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
}

// Promise: keyed.skip
TEST_F(keyed_queue, skip_goes_on_after_a_failure_one_at_a_time) {
    set(after_failure::skip);
    h.publish_keyed("t", {{"a"}, {"a"}, {"a"}});
    auto got = take();
    settle(got[0], settle_action::nack);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(1));
    h.pass(2s);
    EXPECT_THAT(take(), IsEmpty()) << "it is due, but its key is in flight";
    EXPECT_THAT(h.explain("t/q", 0), HasSubstr("t/q@1 is leased by one@host:1"));
    ack(got[0]);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(0)) << "before what was never delivered";
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(2));
}

// Its record has to be read, and meanwhile others would take the key.
TEST(keyed_queue_without_cache, a_due_retry_takes_its_key_before_what_is_newer) {
    harness h({.cache_bytes_max = 1});
    auto skip = no_jitter;
    skip.after_failure = after_failure::skip;
    h.make_queue("t/q", skip, queue_mode::keyed);
    for (int i = 0; i < 6; ++i) {
        h.publish_keyed("t", {{"a"}});
    }
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    auto got = h.deliveries(one);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    h.settle(one, q, settle_action::nack, runs_of(got));
    got = h.deliveries(one);
    ASSERT_THAT(offsets_of(got), ElementsAre(1));
    for (int i = 0; i < 3; ++i) {
        h.publish("t", {"x"});  // commits, so that memory forgets the exception
    }
    h.pass(2s);
    h.settle(one, q, settle_action::ack, {run_of(got[0])});
    for (const received& each : h.deliveries(one)) {
        got.push_back(each);
    }
    EXPECT_THAT(offsets_of(got), testing::Contains(0U));
    EXPECT_THAT(offsets_of(got), testing::Not(testing::Contains(2U)));
}

// Promise: keyed.skip
TEST_F(keyed_queue, the_policy_can_be_changed_while_a_key_is_blocked) {
    h.publish_keyed("t", {{"a"}, {"a"}});
    settle(take()[0], settle_action::nack, 60s);
    EXPECT_THAT(take(), IsEmpty());
    set(after_failure::skip);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
}

TEST_F(keyed_queue, what_is_given_back_comes_before_what_waits) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"b"}});
    auto got = take();
    settle(got[0], settle_action::release);
    got = take();
    EXPECT_THAT(offsets_of(got), ElementsAre(0));
    EXPECT_EQ(got[0].attempt, 1U);
}

TEST_F(keyed_queue, a_lost_consumer_frees_its_keys_and_its_messages_come_alone) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"b"}, {"c"}});
    EXPECT_THAT(offsets_of(take()), ElementsAre(0, 2, 3));
    h.close(one);
    const auto two = h.connect("two@host:1");
    h.attach(two, "t/q");
    h.pass(1s);
    std::vector<offset_t> order;
    for (int i = 0; i < 4; ++i) {
        const auto got = h.deliveries(two);
        ASSERT_THAT(got, SizeIs(1)) << i;
        order.push_back(got[0].offset);
        h.settle(two, q, settle_action::ack, runs_of(got));
    }
    EXPECT_THAT(order, testing::UnorderedElementsAre(0, 1, 2, 3));
    EXPECT_LT(std::ranges::find(order, 0U), std::ranges::find(order, 1U));
}

// Promise: keyed.restart
TEST_F(keyed_queue, keys_are_blocked_again_after_a_restart) {
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}, {"b"}});
    auto got = take();
    settle(got[0], settle_action::nack, 60s);
    ack(got[1]);
    (void)take();
    h.restart();
    const auto two = h.connect("two@host:1");
    q = h.attach(two, "t/q").queue;
    got = h.deliveries(two);
    EXPECT_THAT(offsets_of(got), ElementsAre(3)) << "b goes on, a stays blocked";
    h.settle(two, q, settle_action::ack, runs_of(got));
    h.pass(60s);
    got = h.deliveries(two);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    h.settle(two, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(2));
}

// Promise: keyed.restart
TEST_F(keyed_queue, a_lease_held_over_a_restart_holds_its_key) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"b"}});
    auto got = take();
    ASSERT_THAT(offsets_of(got), ElementsAre(0, 2));
    h.restart();
    const auto back = h.connect("one@host:1");
    q = h.attach(back, "t/q", 100, {run_of(got[0])}).queue;
    EXPECT_THAT(offsets_of(h.deliveries(back)), ElementsAre(2)) << "a is in flight";
    h.settle(back, q, settle_action::ack, {run_of(got[0])});
    EXPECT_THAT(offsets_of(h.deliveries(back)), ElementsAre(1));
}

TEST_F(keyed_queue, what_is_given_back_before_the_cursor_came_by_is_no_gap) {
    h.publish_keyed("t", {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}});
    const auto got = take();
    ASSERT_THAT(got, SizeIs(5));
    ack(got[1]);
    ack(got[3]);
    auto settings = no_jitter;
    settings.max_runs = 2;
    h.ask<codec::ok>(h.admin, codec::queue_set{"t/q", settings});
    h.restart();
    const auto back = h.connect("one@host:1");
    const std::vector<lease_run> held{run_of(got[0]), run_of(got[2]), run_of(got[4])};
    q = h.attach(back, "t/q", 100, held).queue;
    ASSERT_EQ(h.queue_info("t/q").leased, 3U);
    h.settle(back, q, settle_action::release, held);
    const auto again = h.deliveries(back);
    EXPECT_THAT(offsets_of(again), ElementsAre(0, 2));
    h.settle(back, q, settle_action::ack, runs_of(again));
    EXPECT_THAT(offsets_of(h.deliveries(back)), ElementsAre(4));
}

TEST_F(keyed_queue, a_late_ack_after_a_restart_holds_for_a_message_the_cursor_has_passed) {
    h.publish_keyed("t", {{"a"}, {"a"}});
    auto got = take();
    settle(got[0], settle_action::nack, 60s);
    h.restart();
    const auto back = h.connect("one@host:1");
    q = h.attach(back, "t/q").queue;
    EXPECT_THAT(h.deliveries(back), IsEmpty());
    // Made up by a client: the message was never given out. It holds for want of another holder.
    const auto settled =
        h.settle(back, q, settle_action::ack, {{1, 1, broker_epoch{1}, got[0].lease.counter + 1}});
    EXPECT_EQ(settled.accepted, 1U);
    EXPECT_EQ(h.queue_info("t/q").done, 1U);
}

// Taken up and given back counts as leased again, also before the cursor has come by.
TEST_F(keyed_queue, an_older_lease_ends_when_a_newer_one_was_taken_up_and_given_back) {
    h.publish_keyed("t", {{"a"}, {"a"}});
    const auto older = take();
    ASSERT_THAT(offsets_of(older), ElementsAre(0));
    h.restart();
    auto back = h.connect("one@host:1");
    q = h.attach(back, "t/q").queue;
    const auto newer = h.deliveries(back);
    ASSERT_THAT(offsets_of(newer), ElementsAre(0));
    h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", true});
    h.restart();
    back = h.connect("one@host:1");
    h.attach(back, "t/q");
    EXPECT_EQ(h.settle(back, q, settle_action::extend, runs_of(newer)).accepted, 1U);
    EXPECT_EQ(h.settle(back, q, settle_action::release, runs_of(newer)).accepted, 1U);
    EXPECT_EQ(h.settle(back, q, settle_action::ack, runs_of(older)).accepted, 0U);
    EXPECT_EQ(h.queue_info("t/q").ready, 2U);
    h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", false});
    auto got = h.deliveries(back);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    h.settle(back, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(offsets_of(h.deliveries(back)), ElementsAre(1));
}

TEST_F(keyed_queue, redriven_messages_of_one_key_come_in_order) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"a"}});
    for (int i = 0; i < 2; ++i) {
        settle(take()[0], settle_action::reject);
    }
    auto got = take();
    ASSERT_THAT(offsets_of(got), ElementsAre(2));
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"}).messages, 2U);
    EXPECT_THAT(take(), IsEmpty()) << "their key is in flight";
    EXPECT_EQ(h.queue_info("t/q").ready, 2U);
    ack(got[0]);
    got = take();
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
}

TEST_F(keyed_queue, purge_and_seek_know_what_waits_for_its_key) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"a"}, {"b"}});
    auto got = take();
    EXPECT_EQ(h.queue_info("t/q").ready, 2U);
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q"}).messages, 2U);
    ack(got[0]);
    EXPECT_THAT(take(), IsEmpty());
    h.ask<codec::counted>(h.admin, codec::queue_seek{"t/q", {position_kind::offset, 1}});
    EXPECT_THAT(offsets_of(take()), ElementsAre(1, 3));
}

TEST_F(keyed_queue, a_seek_keeps_the_order_of_a_key_that_was_retrying) {
    h.publish_keyed("t", {{"a"}, {"a"}, {"a"}});
    auto got = take();
    ack(got[0]);
    settle(take()[0], settle_action::nack, 60s);
    h.ask<codec::counted>(h.admin, codec::queue_seek{"t/q", {position_kind::earliest}});
    for (const offset_t expected : {0U, 1U, 2U}) {
        got = take();
        ASSERT_THAT(offsets_of(got), ElementsAre(expected));
        ack(got[0]);
    }
}

// Promise: keyed.parked
TEST_F(keyed_queue, one_blocked_key_stops_no_other_however_much_waits_behind_it) {
    std::vector<keyed_message> messages{{"slow"}};
    for (int i = 0; i < 2200; ++i) {
        messages.push_back({"slow"});
        messages.push_back({"k" + std::to_string(i)});
    }
    for (std::size_t at = 0; at < messages.size(); at += 1000) {
        const auto end = std::min(messages.size(), at + 1000);
        h.publish_keyed("t", {messages.begin() + static_cast<std::ptrdiff_t>(at),
                              messages.begin() + static_cast<std::ptrdiff_t>(end)});
    }
    received slow;
    std::size_t others = 0;
    for (auto got = take(); !got.empty(); got = take()) {
        std::vector<received> mine;
        for (const received& each : got) {
            if (each.key == "slow") {
                EXPECT_EQ(each.offset, 0U);
                slow = each;
            } else {
                mine.push_back(each);
            }
        }
        others += mine.size();
        if (!mine.empty()) {
            h.settle(one, q, settle_action::ack, runs_of(mine));
        }
    }
    EXPECT_EQ(others, 2200U);
    EXPECT_EQ(h.queue_info("t/q").ready, 2200U);
    // More waits than is remembered; all of it comes, in order.
    ack(slow);
    offset_t last = 0;
    for (int i = 0; i < 2200; ++i) {
        const auto got = take();
        ASSERT_THAT(got, SizeIs(1)) << i;
        EXPECT_GT(got[0].offset, last);
        last = got[0].offset;
        ack(got[0]);
    }
    EXPECT_EQ(h.queue_info("t/q").done, messages.size());
}

TEST_F(keyed_queue, explains_what_waits) {
    h.publish_keyed("t", {{"a"}, {"a"}});
    (void)take();
    EXPECT_THAT(h.explain("t/q", 1),
                AllOf(HasSubstr("ready: another message with its key comes first: t/q@0 is leased"),
                      HasSubstr("one@host:1")));
    EXPECT_THAT(h.explain("t/q"), HasSubstr("1 message waits: their keys are not free"));
}

// ---- reading ----

// What waits for its key lies in chunks that memory has not any more.
class keyed_backlog : public testing::Test {
protected:
    static constexpr int keys = 40;

    keyed_backlog() : h({.cache_bytes_max = 1, .read_ahead_bytes = 1}) {
        h.make_queue("t/q", no_jitter, queue_mode::keyed);
        for (int round = 0; round < 3; ++round) {
            for (int key = 0; key < keys; ++key) {
                h.publish_keyed("t", {{"k" + std::to_string(key)}});
            }
        }
        one = h.connect("one@host:1");
        q = h.attach(one, "t/q").queue;
        first = h.deliveries(one);
    }

    harness h;
    connection_id one;
    queue_id q;
    std::vector<received> first;
};

TEST_F(keyed_backlog, is_read_again_when_keys_are_free) {
    ASSERT_THAT(first, SizeIs(keys));
    h.settle(one, q, settle_action::ack, runs_of(first));
    EXPECT_THAT(h.deliveries(one), SizeIs(keys));
}

TEST_F(keyed_backlog, is_given_out_after_reads_that_failed) {
    ASSERT_THAT(first, SizeIs(keys));
    for (bool* fault : {&h.store.failing, &h.store.log_lost}) {
        *fault = true;
        h.settle(one, q, settle_action::ack, runs_of(first));
        first = h.deliveries(one);
        EXPECT_LT(first.size(), std::size_t{keys}) << "some had to be read";
        h.pass(3s);
        EXPECT_THAT(h.explain("t/q"), HasSubstr("reading failed"));
        *fault = false;
        h.pass(3s);
        for (const received& each : h.deliveries(one)) {
            first.push_back(each);
        }
        EXPECT_EQ(first.size(), std::size_t{keys});
    }
}

// ---- mode single ----

class single_queue : public keyed_queue {
protected:
    single_queue() : keyed_queue(queue_mode::single) {}
};

// Promise: single.order
TEST_F(single_queue, gives_all_messages_in_order_one_at_a_time) {
    h.publish("t", {"0", "1", "2"});
    for (const offset_t expected : {0U, 1U, 2U}) {
        const auto got = take();
        ASSERT_THAT(offsets_of(got), ElementsAre(expected));
        EXPECT_THAT(h.explain("t/q"), HasSubstr(expected == 2 ? "nothing waits" : "one message"));
        ack(got[0]);
    }
}

// Promise: single.order
TEST_F(single_queue, a_failure_stops_all_until_it_is_done) {
    h.publish("t", {"0", "1"});
    settle(take()[0], settle_action::nack);
    EXPECT_THAT(take(), IsEmpty());
    h.pass(1s);
    const auto got = take();
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
}

// Promise: single.takeover
TEST_F(single_queue, one_consumer_is_active_and_the_next_takes_over_at_once) {
    const auto two = h.connect("two@host:1");
    h.attach(two, "t/q");
    const auto three = h.connect("three@host:1");
    h.attach(three, "t/q");
    h.publish("t", {"0", "1", "2", "3"});
    auto got = take();
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    ack(got[0]);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
    EXPECT_THAT(h.deliveries(two), IsEmpty());

    h.close(one, true);
    got = h.deliveries(two);
    ASSERT_THAT(offsets_of(got), ElementsAre(1)) << "in order of arrival";
    EXPECT_THAT(h.deliveries(three), IsEmpty());

    h.close(two, false);
    h.pass(1s);
    got = h.deliveries(three);
    ASSERT_THAT(offsets_of(got), ElementsAre(1));
    EXPECT_EQ(got[0].attempt, 2U);
    h.settle(three, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(offsets_of(h.deliveries(three)), ElementsAre(2));
}

// Promise: single.takeover
TEST_F(single_queue, who_lets_a_lease_expire_goes_to_the_end_of_the_line) {
    const auto two = h.connect("two@host:1");
    h.attach(two, "t/q");
    h.publish("t", {"0", "1"});
    EXPECT_THAT(take(), SizeIs(1));
    h.pass(31s);
    auto got = h.deliveries(two);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    h.settle(two, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(1));
    h.close(two, true);
    EXPECT_THAT(offsets_of(take()), ElementsAre(1));
}

TEST_F(single_queue, tells_who_stands_by) {
    const auto two = h.connect("two@host:1");
    h.attach(two, "t/q");
    const auto listed = h.ask<codec::consumers>(h.admin, codec::consumer_list{});
    ASSERT_THAT(listed.items, SizeIs(2));
    EXPECT_FALSE(listed.items[0].standby);
    EXPECT_TRUE(listed.items[1].standby);
    EXPECT_EQ(listed.items[1].name, "two@host:1");
}

// The newest lease is a fencing token: it only grows, over takeovers and restarts.
// Promise: single.fencing
TEST_F(single_queue, leases_grow_with_every_takeover) {
    h.publish("t", {"0"});
    lease_id last;
    auto holder = one;
    for (int i = 0; i < 6; ++i) {
        const auto got = h.deliveries(holder);
        ASSERT_THAT(got, SizeIs(1)) << i;
        EXPECT_GT(got[0].lease, last);
        last = got[0].lease;
        if (i == 2) {
            h.restart();
        } else {
            h.close(holder, true);
        }
        holder = h.connect("another@host:1");
        h.attach(holder, "t/q");
    }
}

}  // namespace
}  // namespace brokerd::domain::test
