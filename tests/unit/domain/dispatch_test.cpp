// Who gets what: prefetch, fairness, order, retries, backlog.
#include <numeric>
#include <set>

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> numbered(int count) {
    std::vector<std::string> payloads;
    for (int i = 0; i < count; ++i) {
        payloads.push_back(std::to_string(i));
    }
    return payloads;
}

// Promise: delivery.prefetch
TEST(dispatch, keeps_to_the_prefetch_in_messages) {
    harness h;
    h.make_queue("t/q");
    h.publish("t", numbered(10));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 3).queue;
    auto got = h.deliveries(one);
    EXPECT_THAT(offsets_of(got), ElementsAre(0, 1, 2));
    h.settle(one, q, settle_action::ack, {run_of(got[0]), run_of(got[2])});
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(3, 4));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 5, 1 << 20});
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(5, 6));
}

// Promise: delivery.prefetch
TEST(dispatch, keeps_to_the_prefetch_in_bytes_but_gives_one_at_least) {
    harness h;
    h.make_queue("t/q");
    h.publish("t", {std::string(5000, 'a'), std::string(500, 'b'), std::string(600, 'c'), "d"});
    const auto one = h.connect();
    const auto q = h.ask<codec::attached>(one, codec::attach{.queue = "t/q",
                                                             .consumer = consumer_id{1},
                                                             .prefetch_messages = 10,
                                                             .prefetch_bytes = 1000})
                       .queue;
    auto got = h.deliveries(one);
    EXPECT_THAT(offsets_of(got), ElementsAre(0)) << "larger than the prefetch, but alone";
    h.settle(one, q, settle_action::ack, runs_of(got));
    got = h.deliveries(one);
    EXPECT_THAT(offsets_of(got), ElementsAre(1)) << "the next would exceed it";
    h.settle(one, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2, 3));
}

TEST(dispatch, a_limit_ends_deliveries) {
    harness h;
    h.make_queue("t/q");
    h.publish("t", numbered(10));
    const auto one = h.connect();
    const auto q = h.ask<codec::attached>(
                        one, codec::attach{.queue = "t/q", .consumer = consumer_id{1}, .limit = 3})
                       .queue;
    const auto got = h.deliveries(one);
    EXPECT_THAT(got, SizeIs(3));
    h.settle(one, q, settle_action::ack, runs_of(got));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/q"), testing::HasSubstr("as many messages as it asked for"));
}

TEST(dispatch, a_small_backlog_is_spread_and_a_large_one_goes_in_turns) {
    harness h;
    h.make_queue("t/q");
    const connection_id who[] = {h.connect(), h.connect(), h.connect()};
    for (const connection_id each : who) {
        h.attach(each, "t/q", 1000);
    }
    h.publish("t", numbered(6));
    for (const connection_id each : who) {
        EXPECT_THAT(h.deliveries(each), SizeIs(2));
    }
    h.publish("t", numbered(1200));
    for (const connection_id each : who) {
        EXPECT_NEAR(static_cast<double>(h.deliveries(each).size()), 400, 64);
    }
}

// The one that is waited for may work for long; whoever holds nothing meanwhile takes its place.
TEST(dispatch, a_message_that_must_be_alone_goes_to_the_first_that_holds_nothing) {
    harness h;
    h.make_queue("t/q", {.backoff = 0s});
    const auto slow = h.connect();
    const auto quick = h.connect();
    const auto lost = h.connect();
    for (const connection_id each : {slow, quick, lost}) {
        h.attach(each, "t/q", 2);
    }
    const queue_id q = h.queue_info("t/q").id;
    h.publish("t", numbered(3));
    const auto of_slow = h.deliveries(slow);
    const auto of_quick = h.deliveries(quick);
    const auto of_lost = h.deliveries(lost);
    ASSERT_THAT(of_slow, SizeIs(1));
    ASSERT_THAT(of_quick, SizeIs(1));
    ASSERT_THAT(of_lost, SizeIs(1));
    h.close(lost);
    EXPECT_THAT(h.deliveries(slow), IsEmpty());
    EXPECT_THAT(h.deliveries(quick), IsEmpty()) << "both hold something";
    h.settle(quick, q, settle_action::ack, runs_of(of_quick));
    EXPECT_THAT(offsets_of(h.deliveries(quick)), ElementsAre(of_lost[0].offset));
}

// Promise: delivery.fan_out
TEST(dispatch, nobody_gets_a_message_twice_and_nothing_is_left) {
    harness h;
    h.make_queue("t/q");
    std::set<offset_t> seen;
    std::vector<connection_id> who;
    for (int i = 0; i < 5; ++i) {
        who.push_back(h.connect());
        h.attach(who.back(), "t/q", static_cast<std::uint32_t>(1 + i * 7));
    }
    h.publish("t", numbered(500));
    const queue_id q = h.queue_info("t/q").id;
    for (int round = 0; round < 100; ++round) {
        for (const connection_id each : who) {
            const auto got = h.deliveries(each);
            for (const received& message : got) {
                EXPECT_TRUE(seen.insert(message.offset).second);
                EXPECT_EQ(message.payload, std::to_string(message.offset));
            }
            h.settle(each, q, settle_action::ack, runs_of(got));
        }
    }
    EXPECT_THAT(seen, SizeIs(500));
    EXPECT_EQ(h.queue_info("t/q").done, 500U);
}

TEST(dispatch, one_batch_is_one_run_and_deliveries_are_split_by_size) {
    harness h;
    h.make_queue("t/q");
    const auto one = h.connect();
    h.attach(one, "t/q", 10000);
    h.publish("t", numbered(1000));
    std::size_t outputs = 0;
    for (const output& each : h.outputs) {
        if (const auto* body = std::get_if<delivery>(&each.body)) {
            ++outputs;
            EXPECT_THAT(body->runs, SizeIs(1));
        }
    }
    EXPECT_EQ(outputs, 1U);
    EXPECT_THAT(h.deliveries(one), SizeIs(1000));
    h.publish("t", std::vector<std::string>(60, std::string(10000, 'x')));
    h.publish("t", std::vector<std::string>(60, std::string(10000, 'x')));
    for (const output& each : h.outputs) {
        if (const auto* body = std::get_if<delivery>(&each.body)) {
            EXPECT_LE(body->runs.size(), 1U) << "each run is larger than a delivery should be";
        }
    }
}

// Promise: durability.seen
TEST(dispatch, what_is_not_durable_waits_for_its_commit) {
    harness h;
    h.make_queue("t/q");
    const auto one = h.connect();
    h.attach(one, "t/q");
    const commit_number gathering = h.gathering;
    h.publish("t", {"x"});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].depends_on, gathering);
}

TEST(dispatch, a_backlog_is_read_from_the_store) {
    harness h({.cache_bytes_max = 2000, .read_ahead_bytes = 3000});
    h.make_queue("t/q");
    for (int i = 0; i < 200; ++i) {
        h.publish("t", {std::string(100, 'x') + std::to_string(i)});
    }
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 10).queue;
    offset_t next = 0;
    for (int rounds = 0; rounds < 100 && next < 200; ++rounds) {
        const auto got = h.deliveries(one);
        for (const received& each : got) {
            EXPECT_EQ(each.offset, next++);
            EXPECT_EQ(each.payload, std::string(100, 'x') + std::to_string(each.offset));
        }
        h.settle(one, q, settle_action::ack, runs_of(got));
    }
    EXPECT_EQ(next, 200U);
}

// Queues far behind, with one chunk per message in the store; a part read ahead is ten of them.
struct lagging_queue : testing::Test {
    static constexpr std::size_t read_ahead = 95'000;

    lagging_queue() : h({.cache_bytes_max = 30'000, .read_ahead_bytes = read_ahead}) {
        for (const char* path : {"t/q", "t/second", "t/third"}) {
            h.make_queue(path);
        }
        for (int i = 0; i < 40; ++i) {
            h.publish("t", {std::string(10'000, 'x')});
        }
        one = h.connect();
        queue = h.attach(one, "t/q", 1).queue;
        h.hold_fetches = true;
    }
    // Acks the message that was given out last, which must be this one.
    void take(connection_id connection, queue_id from, offset_t expected) {
        const auto got = h.deliveries(connection);
        ASSERT_THAT(offsets_of(got), ElementsAre(expected));
        h.settle(connection, from, settle_action::ack, runs_of(got));
    }
    void take(offset_t expected) { take(one, queue, expected); }
    // Where the reads on their way begin.
    [[nodiscard]] std::vector<offset_t> reads() const {
        std::vector<offset_t> from;
        for (const fetch& each : h.out.fetches) {
            from.push_back(std::get<fetch_log>(each.body).from);
        }
        return from;
    }
    // How much the only one asks for.
    [[nodiscard]] std::size_t bytes_read() const {
        EXPECT_THAT(h.out.fetches, SizeIs(1));
        return h.out.fetches.empty() ? ~std::size_t{0}
                                     : std::get<fetch_log>(h.out.fetches[0].body).bytes_max;
    }
    void answer_reads() {
        h.hold_fetches = false;
        h.run();
        h.hold_fetches = true;
    }

    harness h;
    connection_id one;
    queue_id queue;
};

TEST_F(lagging_queue, reads_on_when_half_of_its_window_is_used_up) {
    for (offset_t offset = 0; offset < 4; ++offset) {
        take(offset);
        EXPECT_THAT(reads(), IsEmpty()) << offset;
    }
    for (offset_t offset = 4; offset < 7; ++offset) {
        take(offset);
        EXPECT_THAT(reads(), ElementsAre(10)) << "one at a time, and nothing waits for it";
    }
    answer_reads();
    // What is left of the first part is still there, and the second behind it.
    for (offset_t offset = 7; offset < 14; ++offset) {
        take(offset);
        EXPECT_THAT(reads(), IsEmpty()) << offset;
    }
    take(14);
    EXPECT_THAT(reads(), ElementsAre(20));
    EXPECT_EQ(bytes_read(), read_ahead);
}

TEST_F(lagging_queue, reads_one_chunk_at_a_time_while_all_windows_are_too_large_together) {
    const auto two = h.connect();
    h.attach(two, "t/second", 1);
    EXPECT_EQ(bytes_read(), read_ahead);
    answer_reads();
    const auto three = h.connect();
    const auto third = h.attach(three, "t/third", 1).queue;
    EXPECT_EQ(bytes_read(), 0U);
    answer_reads();
    take(three, third, 0);
    EXPECT_EQ(bytes_read(), 0U);
    answer_reads();
    h.close(two, true);
    take(three, third, 1);
    EXPECT_EQ(bytes_read(), read_ahead) << "a queue without consumers has no window";
}

TEST(dispatch, a_failed_read_is_explained_and_tried_again) {
    harness h({.cache_bytes_max = 0});
    h.make_queue("t/q");
    for (int i = 0; i < 5; ++i) {
        h.publish("t", {"x"});
    }
    h.store.failing = true;
    const auto one = h.connect();
    h.attach(one, "t/q", 10);
    EXPECT_THAT(h.explain("t/q"), testing::HasSubstr("the test says so"));
    EXPECT_THAT(h.state.warnings(h.now), SizeIs(1));
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(h.deliveries(one), SizeIs(5));
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

// Promise: retry.fair
TEST(dispatch, due_retries_go_first_but_take_at_most_every_second_slot) {
    harness h;
    h.make_queue("t/q", {.backoff = 0s});
    h.publish("t", numbered(4));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 4).queue;
    const auto first = h.deliveries(one);
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    h.publish("t", numbered(10));
    h.settle(one, q, settle_action::nack, runs_of(first), 1s);
    h.pass(2s);
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 1, 1 << 20});
    std::vector<offset_t> order;
    for (int i = 0; i < 8; ++i) {
        const auto got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(1));
        order.push_back(got[0].offset);
        h.settle(one, q, settle_action::ack, runs_of(got));
    }
    EXPECT_THAT(order, ElementsAre(0, 4, 1, 5, 2, 6, 3, 7));
}

TEST(dispatch, released_messages_go_before_fresh_ones) {
    harness h;
    h.make_queue("t/q");
    h.publish("t", numbered(6));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 3).queue;
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::release, {run_of(got[1])});
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(1));
}

// The holders of the gaps did not come back: they are ready again, and given out.
TEST(dispatch, max_runs_stops_no_queue_for_ever) {
    harness h;
    h.make_queue("t/q", {.max_runs = 2});
    h.publish("t", std::vector<std::string>(8, "x"));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::ack, {run_of(got[1]), run_of(got[3]), run_of(got[5])});
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/q");
    std::size_t delivered = 0;
    for (auto again = h.deliveries(two); !again.empty(); again = h.deliveries(two)) {
        delivered += again.size();
        h.settle(two, q, settle_action::ack, runs_of(again));
    }
    EXPECT_EQ(delivered, 5U);
}

// Promise: delivery.max_retrying
TEST(dispatch, max_retrying_and_max_runs_pause_what_is_fresh) {
    harness h;
    h.make_queue("t/retries", {.max_retrying = 2});
    h.make_queue("t/gaps", {.max_runs = 2});
    const auto one = h.connect();
    const auto retries = h.attach(one, "t/retries", 2).queue;
    const auto gaps = h.attach(one, "t/gaps", 6, {}, consumer_id{2}).queue;
    h.publish("t", numbered(6));
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(8));
    h.settle(one, retries, settle_action::nack, {{0, 2, got[0].lease.epoch, 1}}, 1h);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/retries"), testing::HasSubstr("max_retrying"));
    EXPECT_EQ(h.queue_info("t/retries").state, "blocked");
    h.settle(one, gaps, settle_action::ack,
             {{1, 1, got[0].lease.epoch, 2}, {3, 1, got[0].lease.epoch, 4}});
    h.publish("t", {"more"});
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/gaps"), testing::HasSubstr("max_runs"));
    EXPECT_THAT(h.state.warnings(h.now), SizeIs(2));
    h.settle(one, gaps, settle_action::ack, {{0, 1, got[0].lease.epoch, 1}});
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(6));
}

// Commits reach the store as late as they may, and nothing stays in memory longer than it must.
TEST(dispatch, what_the_store_does_not_have_yet_comes_from_memory) {
    harness h({.cache_bytes_max = 0, .read_ahead_bytes = 1});
    h.late_store = true;
    h.make_queue("t/q", {.attempts = 1000, .backoff = 0s});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 3).queue;
    for (int i = 0; i < 30; ++i) {
        h.publish("t", numbered(2));
        for (const received& each : h.deliveries(one)) {
            const auto action = each.attempt < 3 ? settle_action::nack : settle_action::ack;
            EXPECT_EQ(h.settle(one, q, action, {run_of(each)}, 0s, "again").accepted, 1U);
            EXPECT_EQ(h.state_of("t", each.offset).attempts,
                      action == settle_action::nack ? each.attempt : 0U);
        }
    }
    for (int i = 0; i < 200; ++i) {
        for (const received& each : h.deliveries(one)) {
            h.settle(one, q, each.attempt < 3 ? settle_action::nack : settle_action::ack,
                     {run_of(each)}, 0s);
        }
        h.pass(1s);
    }
    EXPECT_EQ(h.queue_info("t/q").done, 60U);
}

// Promise: delivery.settings
TEST(dispatch, pause_and_resume) {
    harness h;
    h.make_queue("t/q");
    const auto one = h.connect();
    h.attach(one, "t/q");
    h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", true});
    h.publish("t", {"x"});
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/q"), testing::HasSubstr("brokerctl queue resume t/q"));
    h.restart();
    EXPECT_TRUE(h.queue_info("t/q").paused);
    const auto two = h.connect();
    h.attach(two, "t/q");
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    h.ask<codec::ok>(h.admin, codec::queue_pause{"t/q", false});
    EXPECT_THAT(h.deliveries(two), SizeIs(1));
}

// Promise: delivery.poison
TEST(dispatch, a_message_whose_holder_was_lost_is_delivered_alone) {
    harness h;
    h.make_queue("t/q", {.backoff = 0s});
    h.publish("t", numbered(3));
    const auto crashing = h.connect();
    h.attach(crashing, "t/q", 10);
    EXPECT_THAT(h.deliveries(crashing), SizeIs(3));
    h.close(crashing);
    const auto next = h.connect();
    const auto q = h.attach(next, "t/q", 10).queue;
    for (offset_t offset = 0; offset < 3; ++offset) {
        const auto got = h.deliveries(next);
        ASSERT_THAT(got, SizeIs(1)) << "one by one";
        EXPECT_EQ(got[0].offset, offset);
        EXPECT_EQ(got[0].attempt, 2U);
        h.settle(next, q, settle_action::ack, runs_of(got));
    }
    EXPECT_EQ(h.queue_info("t/q").done, 3U);
}

TEST(dispatch, a_busy_consumer_is_emptied_for_a_message_that_must_be_alone) {
    harness h;
    h.make_queue("t/q", {.backoff = 0s});
    h.publish("t", {"poison"});
    const auto crashing = h.connect();
    h.attach(crashing, "t/q", 1);
    h.deliveries(crashing);
    const auto busy = h.connect();
    const auto q = h.attach(busy, "t/q", 4).queue;
    h.publish("t", numbered(20));
    auto held = h.deliveries(busy);
    EXPECT_THAT(held, SizeIs(4));
    h.close(crashing);
    std::vector<std::size_t> sizes;
    bool alone = false;
    for (int i = 0; i < 20 && !alone; ++i) {
        h.settle(busy, q, settle_action::ack, {run_of(held.back())});
        held.pop_back();
        for (const received& each : h.deliveries(busy)) {
            if (each.offset == 0) {
                EXPECT_THAT(held, IsEmpty());
                alone = true;
            }
            held.push_back(each);
        }
    }
    EXPECT_TRUE(alone);
    EXPECT_THAT(held, SizeIs(1)) << "and it gets nothing more";
    h.settle(busy, q, settle_action::ack, runs_of(held));
    EXPECT_THAT(h.deliveries(busy), SizeIs(4));
}

}  // namespace
}  // namespace brokerd::domain::test
