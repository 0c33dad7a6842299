// Seek and purge.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A queue with one message of each state: 0, 1 done, 2 dead, 3 retrying, 4 leased, 5 to 7 ready.
struct move_test : testing::Test {
    void SetUp() override {
        h.ask<codec::topic_created>(
            h.admin, codec::topic_create{.topic = "t", .settings = {.keep_done = 24h}});
        h.make_queue("t/q");
        one = h.connect();
        queue = h.attach(one, "t/q", 5).queue;
        h.publish("t", {"0", "1", "2", "3", "4", "5", "6", "7"});
        got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(5));
        h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0});
        h.settle(one, queue, settle_action::ack, {run_of(got[0]), run_of(got[1])});
        h.settle(one, queue, settle_action::reject, {run_of(got[2])});
        h.settle(one, queue, settle_action::nack, {run_of(got[3])}, 1h);
        expect(3, 1, 1, 1, 2);
    }
    void expect(std::uint64_t ready, std::uint64_t leased, std::uint64_t retrying,
                std::uint64_t dead, std::uint64_t done) {
        const auto info = h.queue_info("t/q");
        EXPECT_EQ(info.ready, ready);
        EXPECT_EQ(info.leased, leased);
        EXPECT_EQ(info.retrying, retrying);
        EXPECT_EQ(info.dead, dead);
        EXPECT_EQ(info.done, done);
    }
    codec::counted seek(position to, bool dry_run = false) {
        return h.ask<codec::counted>(
            h.admin, codec::queue_seek{.queue = "t/q", .to = to, .dry_run = dry_run});
    }
    harness h;
    connection_id one;
    queue_id queue;
    std::vector<received> got;
};

// Promise: replay.seek, explain.looking
TEST_F(move_test, seek_makes_done_below_and_ready_from_there) {
    const auto dry = seek({.kind = position_kind::offset, .offset = 1}, true);
    EXPECT_EQ(dry.messages, 6U);
    EXPECT_EQ(dry.position, 1U);
    expect(3, 1, 1, 1, 2);
    const auto moved = seek({.kind = position_kind::offset, .offset = 1});
    EXPECT_EQ(moved.messages, 6U);
    expect(6, 0, 0, 1, 1);
    EXPECT_THAT(h.store.exceptions, SizeIs(1)) << "the dead one stays";
    EXPECT_EQ(h.settle(one, queue, settle_action::ack, {run_of(got[4])}).refused, 1U)
        << "all leases end";
    h.restart();
    expect(6, 0, 0, 1, 1);
    const auto two = h.connect();
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[4])}).refused, 1U)
        << "fenced for ever";
    h.attach(two, "t/q", 100);
    std::vector<offset_t> offsets;
    for (const received& each : h.deliveries(two)) {
        EXPECT_EQ(each.attempt, 1U);
        offsets.push_back(each.offset);
    }
    EXPECT_THAT(offsets, ElementsAre(1, 3, 4, 5, 6, 7));
}

TEST_F(move_test, seek_to_the_end_makes_all_but_dead_ones_done) {
    EXPECT_EQ(seek({.kind = position_kind::latest}).messages, 0U);
    expect(0, 0, 0, 1, 7);
    h.restart();
    expect(0, 0, 0, 1, 7);
}

// Promise: replay.seek
TEST_F(move_test, seek_by_time) {
    h.pass(10s);
    const wall_time then = h.now.wall;
    h.publish("t", {"8"});
    EXPECT_EQ(seek({.kind = position_kind::time, .time = then}).position, 8U);
    EXPECT_EQ(seek({.kind = position_kind::time, .time = then + 1h}).position, 9U);
    EXPECT_EQ(seek({.kind = position_kind::time, .time = wall_from_us(1)}).position, 0U);
    h.restart();  // nothing in memory: the store knows
    EXPECT_EQ(seek({.kind = position_kind::time, .time = then}).position, 8U);
}

TEST_F(move_test, seek_is_clamped_to_what_is_readable) {
    EXPECT_EQ(seek({.kind = position_kind::offset, .offset = 1000}).position, 8U);
}

TEST_F(move_test, a_second_move_waits_for_the_first) {
    h.restart();
    h.hold_fetches = true;
    const auto first = h.send(h.admin, codec::queue_seek{.queue = "t/q", .to = {}});
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_purge{.queue = "t/q"}).code, error_code::busy);
    h.hold_fetches = false;
    h.run();
    EXPECT_TRUE(h.answer_to(h.admin, first));
    h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q"});
}

// Promise: replay.purge
TEST_F(move_test, purge_takes_ready_and_retrying) {
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::queue_purge{"t/q", true}).messages, 4U);
    expect(3, 1, 1, 1, 2);
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::queue_purge{"t/q", false}).messages, 4U);
    expect(0, 1, 0, 1, 6);
    EXPECT_EQ(h.settle(one, queue, settle_action::ack, {run_of(got[4])}).accepted, 1U);
    h.restart();
    expect(0, 0, 0, 1, 7);
}

// Promise: dead.kept
TEST_F(move_test, dead_ones_are_redriven_or_purged) {
    h.publish("t", {"8"});
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q", .dry_run = true})
                  .messages,
              1U);
    const auto redriven = h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    EXPECT_EQ(redriven.messages, 1U);
    EXPECT_FALSE(redriven.more);
    EXPECT_EQ(h.state_of("t", 2).state, message_state::ready);
    EXPECT_EQ(h.state_of("t", 2).attempts, 0U);
    EXPECT_THAT(h.state_of("t", 2).history, SizeIs(1)) << "the history is kept";
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 2, 1000});
    const auto again = h.deliveries(one);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].offset, 2U);
    EXPECT_EQ(again[0].attempt, 1U);
    h.settle(one, queue, settle_action::reject, runs_of(again));
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/q"}).messages, 1U);
    EXPECT_EQ(h.queue_info("t/q").dead, 0U);
    EXPECT_EQ(h.state_of("t", 2).state, message_state::done);
}

// Promise: dead.own_queue
TEST(dead, a_redrive_reaches_its_own_queue_only) {
    harness h;
    h.make_queue("t/q");
    h.make_queue("t/other");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 10).queue;
    const auto other = h.attach(one, "t/other", 10, {}, consumer_id{2}).queue;
    h.publish("t", {"a", "b"});
    ASSERT_THAT(h.deliveries(one), SizeIs(4));
    h.settle(one, q, settle_action::reject, {{0, 2, h.state.epoch(), 1}});
    h.settle(one, other, settle_action::reject, {{0, 1, h.state.epoch(), 1}});
    h.settle(one, other, settle_action::ack, {{1, 1, h.state.epoch(), 2}});
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"}).messages, 2U);
    EXPECT_THAT(h.deliveries(one), SizeIs(2));
    EXPECT_EQ(h.queue_info("t/q").leased, 2U);
    EXPECT_EQ(h.queue_info("t/q").dead, 0U);
    EXPECT_EQ(h.queue_info("t/other").dead, 1U);
    EXPECT_EQ(h.queue_info("t/other").done, 1U);
}

// Promise: dead.slices
TEST(dead, many_are_listed_redriven_and_purged_in_slices) {
    harness h;
    h.make_queue("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 5000).queue;
    h.publish("t", std::vector<std::string>(2500, "x"));
    h.settle(one, q, settle_action::reject, {{0, 2500, h.state.epoch(), 1}}, duration_us{-1}, "no");
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0});
    EXPECT_EQ(h.queue_info("t/q").dead, 2500U);
    auto page =
        h.ask<codec::dead>(h.admin, codec::dead_list{.queue = "t/q", .from = 100, .limit = 10});
    EXPECT_THAT(page.items, SizeIs(10));
    EXPECT_TRUE(page.more);
    EXPECT_EQ(page.next, 110U);
    std::uint64_t sum = 0;
    offset_t from = 500;
    for (bool more = true; more;) {
        const auto slice = h.ask<codec::counted>(
            h.admin, codec::dead_redrive{.queue = "t/q", .from = from, .until = 2200});
        EXPECT_LE(slice.messages, 1000U);
        sum += slice.messages;
        from = slice.position;
        more = slice.more;
    }
    EXPECT_EQ(sum, 1700U);
    EXPECT_EQ(h.queue_info("t/q").ready, 1700U);
    h.restart();
    EXPECT_EQ(h.queue_info("t/q").ready, 1700U);
    EXPECT_EQ(h.queue_info("t/q").dead, 800U);
    const auto two = h.connect();
    h.attach(two, "t/q", 60000);
    EXPECT_THAT(h.deliveries(two), SizeIs(1700)) << "all are due at one instant";
}

}  // namespace
}  // namespace brokerd::domain::test
