// Times to live: what has expired is never given out and ends soon, wherever it stands.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct expiry_test : testing::Test {
    explicit expiry_test(domain_options options = {}) : h(options) {}
    // A topic whose messages live so long unless they say otherwise, with queue q.
    void make(duration_us ttl, queue_settings settings = {}, queue_mode mode = queue_mode::shared) {
        h.ask<codec::topic_created>(h.admin,
                                    codec::topic_create{.topic = "t", .settings = {.ttl = ttl}});
        h.make_queue("t/q", settings, mode);
    }
    offset_t publish(std::optional<std::uint64_t> ttl_ms, const std::string& key = {}) {
        return h.publish_keyed("t", {{key, "x", ttl_ms}});
    }
    void set_ttl(duration_us ttl) {
        h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = {.ttl = ttl}});
    }
    message_state state(offset_t offset) { return h.state_of("t", offset).state; }

    const queue_settings dies{.on_expiry = expiry_action::dead};
    harness h;
};

// Memory has nothing of what is stored.
struct expiry_backlog_test : expiry_test {
    expiry_backlog_test() : expiry_test({.cache_bytes_max = 0, .read_ahead_bytes = 20000}) {}
};

// ---- never given out ----

// Promise: ttl.never
TEST_F(expiry_test, is_not_given_out_at_the_very_time) {
    make(0s);
    publish(1000);
    publish(2000);
    h.now.mono += 1s;  // nothing has looked yet
    h.now.wall += 1s;
    const auto one = h.connect();
    h.attach(one, "t/q");
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(1));
    EXPECT_EQ(state(0), message_state::done);
}

TEST_F(expiry_test, is_given_out_a_moment_before) {
    make(0s);
    publish(1000);
    h.now.mono += 1s - 1us;
    h.now.wall += 1s - 1us;
    const auto one = h.connect();
    h.attach(one, "t/q");
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
}

TEST_F(expiry_test, a_time_to_live_of_0_is_never_given_out) {
    make(0s);
    const auto one = h.connect();
    h.attach(one, "t/q");
    publish(0);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_EQ(state(0), message_state::done);
}

// Promise: ttl.never
TEST_F(expiry_test, those_between_others_are_left_out) {
    make(10s);
    h.publish_keyed("t", {{"", "a"}, {"", "b", 1}, {"", "c", 1}, {"", "d"}, {"", "e", 1}});
    h.now.mono += 1s;
    h.now.wall += 1s;
    const auto one = h.connect();
    h.attach(one, "t/q");
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0, 3));
}

TEST_F(expiry_test, what_was_released_is_not_given_out_again) {
    make(1s);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    publish({});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    h.now.mono += 2s;
    h.now.wall += 2s;
    h.settle(one, q, settle_action::release, runs_of(got));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_EQ(state(0), message_state::done);
}

TEST_F(expiry_test, a_retry_that_is_due_too_late_is_not_given_out) {
    for (const auto mode : {queue_mode::shared, queue_mode::keyed, queue_mode::single}) {
        h.make_queue(fmt::format("u{}/q", static_cast<int>(mode)), {}, mode);
        const std::string topic = fmt::format("u{}", static_cast<int>(mode));
        const auto one = h.connect();
        const auto q = h.attach(one, topic + "/q").queue;
        h.publish_keyed(topic, {{"k", "x", 5000}});
        h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)), 4s);
        h.pass(3s);
        EXPECT_EQ(h.state_of(topic, 0).state, message_state::retrying);
        h.pass(2s);  // due after 4 s, and in time
        const auto again = h.deliveries(one);
        ASSERT_THAT(again, SizeIs(1));
        h.settle(one, q, settle_action::nack, runs_of(again), 4s);
        h.pass(5s);
        EXPECT_THAT(h.deliveries(one), IsEmpty());
        EXPECT_EQ(h.state_of(topic, 0).state, message_state::done);
        EXPECT_EQ(h.queue_info(topic + "/q").retrying, 0U);
        h.publish_keyed(topic, {{"k", "y"}});
        EXPECT_THAT(h.deliveries(one), SizeIs(1)) << "its key is free again";
    }
}

TEST_F(expiry_test, a_lost_one_that_waits_to_be_alone_expires) {
    make(3s, {.backoff = 1s, .jitter_percent = 0});
    const auto lost = h.connect();
    h.attach(lost, "t/q");
    publish({});
    h.close(lost);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish_keyed("t", {{"", "busy", 60000}});
    const auto busy = h.deliveries(one);
    ASSERT_THAT(offsets_of(busy), ElementsAre(1));
    h.pass(5s);
    h.settle(one, q, settle_action::ack, runs_of(busy));
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
}

// ---- what it becomes ----

// Promise: ttl.dead
TEST_F(expiry_test, becomes_dead_if_the_queue_says_so) {
    make(1s, dies);
    h.publish("t", {"a", "b"});
    h.pass(2s);
    const auto dead = h.ask<codec::dead>(h.admin, codec::dead_list{.queue = "t/q"});
    ASSERT_THAT(dead.items, SizeIs(2));
    EXPECT_EQ(dead.items[0].reason, "ttl expired");
    EXPECT_EQ(dead.items[0].attempts, 0U);
    EXPECT_EQ(h.explain("t/q", 0),
              "dead: its time to live was over 1 s ago; it stays until it is redriven or purged: "
              "brokerctl dead redrive t/q");
}

// Promise: ttl.dead
TEST_F(expiry_test, a_redriven_one_does_not_expire_again) {
    make(1s, dies);
    publish({});
    h.pass(2s);
    ASSERT_EQ(state(0), message_state::dead);
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    h.restart();
    h.pass(10s);
    EXPECT_EQ(state(0), message_state::ready);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].attempt, 1U);
    h.settle(one, q, settle_action::nack, runs_of(got), 0s);
    EXPECT_THAT(h.deliveries(one), SizeIs(1));
}

TEST_F(expiry_test, a_retry_that_dies_keeps_its_history) {
    make(3s, dies);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    publish({});
    h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)), 5s, "busy");
    h.pass(6s);
    const auto item = h.state_of("t", 0);
    EXPECT_EQ(item.state, message_state::dead);
    EXPECT_EQ(item.attempts, 1U);
    ASSERT_THAT(item.history, SizeIs(2));
    EXPECT_EQ(item.history[0].reason, "busy");
    EXPECT_EQ(item.history[1].outcome, attempt_outcome::ttl_expired);
}

TEST_F(expiry_test, dead_ones_in_order_free_their_key) {
    for (const auto mode : {queue_mode::keyed, queue_mode::single}) {
        const std::string topic = fmt::format("u{}", static_cast<int>(mode));
        h.make_queue(topic + "/q", dies, mode);
        const auto one = h.connect();
        const auto q = h.attach(one, topic + "/q").queue;
        h.publish_keyed(topic, {{"k", "a"}, {"k", "b", 1000}, {"k", "c"}});
        const auto first = h.deliveries(one);
        ASSERT_THAT(offsets_of(first), ElementsAre(0));
        h.pass(3s);
        EXPECT_EQ(h.state_of(topic, 1).state, message_state::dead) << "behind one in flight";
        h.settle(one, q, settle_action::ack, runs_of(first));
        EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(2));
    }
}

// ---- looks at what nobody meets ----

// Promise: ttl.counts
TEST_F(expiry_test, counts_follow_without_a_consumer) {
    make(0s);
    h.publish_keyed("t", {{"", "a", 1000}, {"", "b", 5000}, {"", "c"}});
    h.pass(900ms);
    EXPECT_EQ(h.queue_info("t/q").ready, 3U);
    h.pass(1100ms);
    EXPECT_EQ(h.queue_info("t/q").ready, 2U);
    h.pass(4s);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U);
    EXPECT_EQ(h.state.counters().expired_messages, 2U);
    h.pass(10min);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U);
}

TEST_F(expiry_test, the_time_of_the_topic_goes_along) {
    make(10s);
    for (int i = 0; i < 20; ++i) {
        publish({});
        h.pass(1s);
    }
    const auto ready = h.queue_info("t/q").ready;
    EXPECT_GE(ready, 9U);
    EXPECT_LE(ready, 11U);
    h.pass(11s);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    EXPECT_EQ(h.topic_info("t").first_offset, 20U) << "what is done gives its place back";
}

// Promise: ttl.own
TEST_F(expiry_test, a_longer_time_of_its_own_counts) {
    make(1s);
    publish(60000);
    publish({});
    h.pass(3s);
    EXPECT_EQ(state(0), message_state::ready);
    EXPECT_EQ(state(1), message_state::done);
    h.pass(60s);
    EXPECT_EQ(state(0), message_state::done);
}

// Promise: ttl.own
TEST_F(expiry_test, a_new_time_of_the_topic_counts_for_what_is_stored) {
    make(0s);
    publish({});
    h.pass(1h);
    set_ttl(2h);
    h.pass(30min);
    EXPECT_EQ(state(0), message_state::ready);
    set_ttl(1h);
    h.pass(2s);
    EXPECT_EQ(state(0), message_state::done);
}

TEST_F(expiry_test, looks_survive_a_restart) {
    make(20s);
    h.publish_keyed("t", {{"", "a", 10000}, {"", "b"}});
    h.restart();
    h.pass(12s);
    EXPECT_EQ(state(0), message_state::done);
    EXPECT_EQ(state(1), message_state::ready);
    h.restart();
    h.pass(12s);
    EXPECT_EQ(state(1), message_state::done);
}

// Promise: ttl.counts
TEST_F(expiry_test, what_expired_while_the_broker_was_down_ends_at_the_start) {
    make(20s);
    h.publish_keyed("t", {{"", "a", 10000}, {"", "b"}});
    h.now.mono += 1h;
    h.now.wall += 1h;
    h.restart();
    h.pass(11s);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
}

// Promise: ttl.own
TEST_F(expiry_test, of_a_scheduled_message_counts_from_its_append) {
    make(0s);
    const auto batch = make_keyed_batch({{"", "x", 1000}});
    h.ask<publish_accepted>(
        h.admin,
        publish_request{
            .topic = "t", .batch = batch, .count = 1, .later = schedule_time{.delay = 1h}});
    h.pass(1h + 100ms);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U);
    h.pass(2s);
    EXPECT_EQ(h.queue_info("t/q").done, 1U);
}

// As a table that was compacted meanwhile: what lies below the trim point has no entries.
TEST_F(expiry_test, entries_that_are_gone_wake_nobody_again) {
    make(0s);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    publish(60000);
    h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    h.pass(10s);
    h.store.expiring.clear();
    h.pass(2min);
    EXPECT_EQ(h.state.next_deadline(), mono_never);
}

TEST_F(expiry_backlog_test, a_backlog_that_lives_is_not_read_again_and_again) {
    make(1h);
    h.publish_keyed("t", {{"", "own", 1800000}});
    for (int i = 0; i < 100; ++i) {
        h.publish("t", {std::string(10000, 'x')});
    }
    h.make_queue("t/late");
    h.pass(5s);
    const auto before = h.fetches_answered;
    h.pass(10min);
    EXPECT_LE(h.fetches_answered - before, 5U);
    h.pass(1h);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    EXPECT_EQ(h.queue_info("t/late").ready, 0U);
}

TEST_F(expiry_backlog_test, an_expired_backlog_is_read_in_bounded_memory) {
    make(0s, {}, queue_mode::keyed);
    for (int i = 0; i < 100; ++i) {
        h.publish_keyed("t", {{"k", std::string(10000, 'x'), 1}});
    }
    h.now.mono += 1s;
    h.now.wall += 1s;
    const auto one = h.connect();
    h.attach(one, "t/q");
    EXPECT_EQ(h.queue_info("t/q").done, 100U);
}

TEST_F(expiry_test, a_crash_within_a_seek_ends_what_has_expired_all_the_same) {
    make(0s, {.backoff = 1h, .backoff_max = 1h, .jitter_percent = 0});
    h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = {.keep_done = 1h}});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish_keyed("t", {{"", "a", 1000}, {"", "b"}, {"", "c"}});
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::ack, {run_of(got[0]), run_of(got[2])});
    h.settle(one, q, settle_action::nack, {run_of(got[1])});
    h.close(one, true);
    h.pass(1min);
    h.restart();
    h.hold_fetches = true;
    h.send(h.admin, codec::queue_seek{.queue = "t/q", .to = {.kind = position_kind::earliest}});
    h.restart();  // before the exception was read
    h.pass(12s);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U) << "the third only; the second is retrying";
}

TEST_F(expiry_test, a_late_store_loses_no_entry) {
    make(0s);
    h.late_store = true;
    for (int i = 0; i < 50; ++i) {
        publish(100 + static_cast<std::uint64_t>(i) * 37 % 900);
        h.pass(10ms);
    }
    h.pass(3s);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    h.commit();
    h.commit();
    EXPECT_THAT(h.store.expiring[topic_id{1}], IsEmpty());
}

// Promise: ttl.leased
TEST_F(expiry_test, what_is_leased_stays_and_ends_when_it_comes_back) {
    make(0s);
    h.ask<codec::queue_created>(h.admin, codec::queue_create{.queue = "t/other"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.publish_keyed("t", {{"", "a", 1000}, {"", "b", 1000}});
    const auto got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(2));
    h.pass(5s);
    EXPECT_EQ(h.queue_info("t/q").leased, 2U);
    EXPECT_EQ(h.queue_info("t/other").ready, 0U);
    const auto settled = h.settle(one, q, settle_action::ack, {run_of(got[0])});
    EXPECT_EQ(settled.accepted, 1U);
    h.close(one, true);
    h.pass(2s);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
    EXPECT_EQ(h.queue_info("t/q").done, 2U);
}

TEST_F(expiry_test, a_queue_that_begins_later_does_not_hold_what_has_expired) {
    make(0s);
    h.publish_keyed("t", {{"", "a", 1000}, {"", "b", 60000}, {"", "c"}});
    h.make_queue("t/slow");
    h.pass(5s);
    h.ask<codec::queue_created>(
        h.admin, codec::queue_create{.queue = "t/new", .start = {.kind = position_kind::earliest}});
    h.pass(2s);
    EXPECT_EQ(h.queue_info("t/new").ready, 2U);
    h.pass(60s);
    EXPECT_EQ(h.queue_info("t/new").ready, 1U);
}

TEST_F(expiry_test, a_seek_back_ends_what_has_expired_once_more) {
    make(0s);
    h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = {.keep_done = 1h}});
    h.publish_keyed("t", {{"", "a", 1000}, {"", "b", 60000}, {"", "c"}});
    h.pass(2s);
    h.ask<codec::counted>(h.admin,
                          codec::queue_seek{.queue = "t/q", .to = {.kind = position_kind::latest}});
    h.pass(1min);  // its entry of the index goes as nothing is open
    h.restart();
    h.hold_fetches = true;  // the look comes to nothing
    h.ask<codec::counted>(
        h.admin, codec::queue_seek{.queue = "t/q", .to = {.kind = position_kind::earliest}});
    h.restart();
    h.pass(12s);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U);
}

TEST_F(expiry_test, a_failed_read_is_tried_again_and_told) {
    make(0s);
    publish(1000);
    h.restart();
    h.store.failing = true;
    h.pass(12s);
    EXPECT_THAT(h.state.warnings(h.now), ElementsAre("what expires in topic t: the test says so"));
    h.store.failing = false;
    h.pass(2s);
    EXPECT_EQ(state(0), message_state::done);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(expiry_test, more_than_one_commit_takes_die_in_several) {
    make(1s, dies);
    for (int i = 0; i < 10; ++i) {
        h.publish("t", std::vector<std::string>(1000, "x"));
    }
    h.pass(1s - 1us);
    EXPECT_EQ(h.queue_info("t/q").dead, 0U);
    const auto before = h.gathering;
    h.pass(1s);
    EXPECT_EQ(h.queue_info("t/q").dead, 10000U);
    EXPECT_GE(h.gathering.value() - before.value(), 3U);
}

// Every second message ends: that would be a gap for each.
TEST_F(expiry_test, gaps_beyond_max_runs_are_not_made_by_looks) {
    make(0s, {.max_runs = 10});
    std::vector<keyed_message> messages;
    for (int i = 0; i < 100; ++i) {
        messages.push_back(
            {"", "x", i % 2 == 0 ? std::optional<std::uint64_t>{1000} : std::nullopt});
    }
    h.publish_keyed("t", messages);
    h.pass(5s);
    EXPECT_GE(h.queue_info("t/q").ready, 88U);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1000).queue;
    const auto got = h.deliveries(one);
    for (const received& each : got) {
        EXPECT_EQ(each.offset % 2, 1U);
    }
    h.settle(one, q, settle_action::ack, runs_of(got));
    h.pass(2min);
    EXPECT_EQ(h.queue_info("t/q").ready, 0U);
}

TEST_F(expiry_test, gaps_beyond_max_runs_are_made_when_there_may_be_more) {
    make(0s, {.max_runs = 10});
    std::vector<keyed_message> messages;
    for (int i = 0; i < 100; ++i) {
        messages.push_back(
            {"", "x", i % 2 == 0 ? std::optional<std::uint64_t>{1000} : std::nullopt});
    }
    h.publish_keyed("t", messages);
    h.pass(5s);
    h.restart();
    h.ask<codec::ok>(h.admin, codec::queue_set{.queue = "t/q", .settings = {.max_runs = 1000}});
    h.pass(2s);
    EXPECT_EQ(h.queue_info("t/q").ready, 50U);
}

// A look leaves to the filter what is not for the queue; here the filter has to read it first.
TEST_F(expiry_backlog_test, what_was_left_to_a_filter_ends_when_the_filter_goes) {
    make(0s);
    publish(500);
    publish(std::nullopt, "a");  // by then the first one lies in the store only
    h.store.failing = true;
    h.ask<codec::ok>(h.admin,
                     codec::queue_set{.queue = "t/q", .settings = {.filter = "key = 'a'"}});
    h.store.failing = false;
    h.pass(700ms);
    ASSERT_EQ(h.queue_info("t/q").ready, 2U);
    h.ask<codec::ok>(h.admin, codec::queue_set{.queue = "t/q", .settings = {}});
    h.pass(1s);
    EXPECT_EQ(h.queue_info("t/q").ready, 1U);
}

// ---- telling ----

TEST_F(expiry_test, settings_have_bounds) {
    const auto refused = h.ask_refused(
        h.admin, codec::topic_create{.topic = "t", .settings = {.ttl = limits::ttl_max + 1us}});
    EXPECT_EQ(refused.code, error_code::invalid_setting);
    EXPECT_THAT(refused.text, testing::HasSubstr("ttl"));
    EXPECT_EQ(expires_at(h.now.wall, ~std::uint64_t{0}, 1s), wall_never)
        << "beyond the bound: never";
}

TEST_F(expiry_test, nothing_wakes_a_broker_whose_messages_live_for_ever) {
    make(0s);
    h.publish("t", {"x"});
    h.pass(10s);
    EXPECT_EQ(h.state.next_deadline(), mono_never);
}

}  // namespace
}  // namespace brokerd::domain::test
