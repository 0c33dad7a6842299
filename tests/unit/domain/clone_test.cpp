// A clone of a queue has the whole state of the queue at one moment, and a life of its own.
#include <gmock/gmock.h>

#include "tests/unit/domain/clone_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

struct clone_test : clone_fixture {
    using clone_fixture::clone_fixture;
};

// ---- the state ----

// Promise: replay.clone
TEST_F(clone_test, has_the_whole_state) {
    make_all_states();
    EXPECT_EQ(count("t/q"), (state_counts{3, 1, 1, 1, 2}));
    const auto made = clone();
    EXPECT_TRUE(made.created);
    EXPECT_FALSE(made.topic_created);
    EXPECT_EQ(made.settings, h.queue_info("t/q").settings);
    EXPECT_EQ(count("t/copy"), (state_counts{4, 0, 1, 1, 2})) << "what is leased is ready";
    EXPECT_EQ(count("t/q"), (state_counts{3, 1, 1, 1, 2})) << "the old queue is as it was";
    EXPECT_EQ(h.queue_info("t/copy").floor, h.queue_info("t/q").floor);
    for (const offset_t each : {2U, 3U}) {
        const auto was = in("q", each);
        const auto is = in("copy", each);
        EXPECT_EQ(is.state, was.state) << each;
        EXPECT_EQ(is.attempts, was.attempts) << each;
        EXPECT_EQ(is.history, was.history) << each;
        EXPECT_EQ(is.due, was.due) << each;
    }
    h.restart();
    EXPECT_EQ(count("t/copy"), (state_counts{4, 0, 1, 1, 2}));
    EXPECT_EQ(in("copy", 2).history.at(0).reason, "broken");
    EXPECT_EQ(in("copy", 3).state, message_state::retrying);

    const auto two = h.connect();
    const auto copy = h.attach(two, "t/copy").queue;
    auto given = h.deliveries(two);
    EXPECT_THAT(offsets_of(given), ElementsAre(4, 5, 6, 7));
    h.settle(two, copy, settle_action::ack, runs_of(given));
    h.pass(1h + 1s);
    given = h.deliveries(two);
    ASSERT_THAT(offsets_of(given), ElementsAre(3));
    EXPECT_EQ(given[0].attempt, 2U);
    EXPECT_EQ(given[0].history.at(0).reason, "later");
    EXPECT_EQ(count("t/copy"), (state_counts{0, 1, 0, 1, 6}));
}

// Promise: replay.clone_apart
TEST_F(clone_test, goes_its_own_way) {
    make_all_states();
    const auto copy = clone().queue;
    const auto two = h.connect();
    h.attach(two, "t/copy");
    h.settle(two, copy, settle_action::ack, runs_of(h.deliveries(two)));
    h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/copy"});
    h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/copy"});
    EXPECT_EQ(count("t/copy"), (state_counts{0, 0, 0, 0, 8}));
    EXPECT_EQ(count("t/q"), (state_counts{3, 1, 1, 1, 2}));
    h.publish("t", {"8"});
    EXPECT_EQ(count("t/copy"), (state_counts{0, 1, 0, 0, 8}));
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/q"});
    h.restart();
    EXPECT_EQ(count("t/copy"), (state_counts{1, 0, 0, 0, 8}));
}

TEST_F(clone_test, leases_of_the_old_queue_do_not_hold) {
    make_all_states();
    const auto copy = clone().queue;
    EXPECT_EQ(h.settle(one, copy, settle_action::ack, {run_of(got[4])}).refused, 1U);
    h.restart();
    const auto two = h.connect();
    EXPECT_EQ(h.settle(two, copy, settle_action::ack, {run_of(got[4])}).refused, 1U);
    EXPECT_THAT(h.attach(two, "t/copy", 0, {run_of(got[4])}).gone, SizeIs(1));
    EXPECT_EQ(h.settle(two, queue, settle_action::ack, {run_of(got[4])}).accepted, 1U)
        << "in the old queue it does";
}

TEST_F(clone_test, its_own_leases_hold_over_a_restart) {
    make_all_states();
    clone();
    h.pass(1h + 1s);
    const auto two = h.connect();
    h.attach(two, "t/copy");
    const auto given = h.deliveries(two);
    ASSERT_THAT(offsets_of(given), UnorderedElementsAre(3, 4, 5, 6, 7)) << "with the retry";
    h.restart();
    const auto again = h.connect();
    EXPECT_THAT(h.attach(again, "t/copy", 0, runs_of(given)).gone, IsEmpty());
    EXPECT_EQ(count("t/copy").leased, 5U);
}

TEST_F(clone_test, a_leased_retry_is_due_at_once) {
    make(24h);
    h.publish("t", {"0", "1"});
    h.settle(one, queue, settle_action::nack, {run_of(h.deliveries(one).at(0))}, 0s, "no");
    h.pass(1ms);
    ASSERT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0));
    clone();
    EXPECT_EQ(count("t/q"), (state_counts{0, 2, 0, 0, 0}));
    EXPECT_EQ(count("t/copy"), (state_counts{2, 0, 0, 0, 0}));
    const auto two = h.connect();
    h.attach(two, "t/copy");
    const auto given = h.deliveries(two);
    ASSERT_THAT(given, SizeIs(2));
    EXPECT_EQ(given[0].offset, 0U);
    EXPECT_EQ(given[0].attempt, 2U);
    EXPECT_EQ(given[0].history.at(0).reason, "no");
}

TEST_F(clone_test, a_retry_leased_before_its_time_is_due_at_once) {
    make(24h, queue_mode::shared, {.backoff = 5min, .jitter_percent = 0});
    h.publish("t", {"0"});
    got = h.deliveries(one);
    take_no_more();
    h.pass(31s);
    ASSERT_EQ(in("q", 0).state, message_state::retrying) << "its lease has expired";
    const auto two = h.connect();
    ASSERT_THAT(h.attach(two, "t/q", 0, runs_of(got)).gone, IsEmpty());
    clone();
    EXPECT_EQ(in("q", 0).state, message_state::leased);
    EXPECT_EQ(in("copy", 0).state, message_state::ready);
    EXPECT_EQ(count("t/copy"), (state_counts{1, 0, 0, 0, 0}));
    h.restart();
    EXPECT_EQ(in("copy", 0).state, message_state::ready);
}

TEST_F(clone_test, what_killed_its_consumer_is_given_out_alone) {
    make(24h);
    h.publish("t", {"0", "1", "2"});
    ASSERT_THAT(h.deliveries(one), SizeIs(3));
    h.close(one);
    h.pass(2s);
    const auto two = h.connect();
    h.attach(two, "t/q");
    ASSERT_THAT(h.deliveries(two), SizeIs(1));
    clone();
    EXPECT_EQ(count("t/copy"), (state_counts{3, 0, 0, 0, 0}));
    EXPECT_TRUE(h.store.kept.empty()) << "the log has them";
    const auto three = h.connect();
    h.attach(three, "t/copy");
    EXPECT_THAT(h.deliveries(three), SizeIs(1));
}

TEST_F(clone_test, is_not_paused) {
    make(24h);
    h.ask<codec::ok>(h.admin, codec::queue_pause{.queue = "t/q", .paused = true});
    clone();
    EXPECT_TRUE(h.queue_info("t/q").paused);
    EXPECT_FALSE(h.queue_info("t/copy").paused);
    h.restart();
    EXPECT_FALSE(h.queue_info("t/copy").paused);
}

TEST_F(clone_test, a_temporary_one_begins_to_wait_for_a_consumer) {
    make(24h, queue_mode::shared, {.expires = 10s});
    h.pass(60s);
    clone();
    EXPECT_EQ(h.queue_info("t/copy").settings.expires, 10s);
    h.pass(9s);
    (void)h.queue_info("t/copy");
    h.pass(2s);
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_list{.queue = "t/copy"}).code,
              error_code::queue_not_found);
    (void)h.queue_info("t/q");
}

// Promise: replay.clone_whole
TEST_F(clone_test, is_made_as_a_whole_or_not_at_all) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    h.state.apply(fetched{first.id, h.store.read(first.body)}, h.now, h.out);
    ASSERT_TRUE(h.state.dirty());
    const auto exceptions = h.store.exceptions;
    h.restart();  // before the commit
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_list{.queue = "t/copy"}).code,
              error_code::queue_not_found);
    EXPECT_EQ(h.store.exceptions, exceptions);
    clone();
    EXPECT_EQ(count("t/copy"), (state_counts{4, 0, 1, 1, 2}));
}

// ---- order ----

TEST_F(clone_test, what_retries_blocks_its_key) {
    make(24h, queue_mode::keyed);
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}, {"b"}});
    got = h.deliveries(one);
    ASSERT_THAT(offsets_of(got), ElementsAre(0, 1));
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 1h);
    const auto copy = clone().queue;
    const auto two = h.connect();
    h.attach(two, "t/copy");
    auto given = h.deliveries(two);
    EXPECT_THAT(offsets_of(given), ElementsAre(1)) << "in flight in the old queue only";
    h.settle(two, copy, settle_action::ack, runs_of(given));
    given = h.deliveries(two);
    EXPECT_THAT(offsets_of(given), ElementsAre(3));
    h.settle(two, copy, settle_action::ack, runs_of(given));
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    h.pass(1h + 1s);
    given = h.deliveries(two);
    EXPECT_THAT(offsets_of(given), ElementsAre(0));
    h.settle(two, copy, settle_action::ack, runs_of(given));
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(2));
}

TEST_F(clone_test, what_retries_holds_up_a_single_queue) {
    make(24h, queue_mode::single);
    h.publish("t", {"0", "1"});
    got = h.deliveries(one);
    h.settle(one, queue, settle_action::nack, {run_of(got[0])}, 1h);
    clone();
    const auto two = h.connect();
    h.attach(two, "t/copy");
    EXPECT_THAT(h.deliveries(two), IsEmpty());
    h.pass(1h + 1s);
    EXPECT_EQ(h.deliveries(two).at(0).offset, 0U);
}

// ---- what the log does not have any more ----

// Promise: replay.clone_apart
TEST_F(clone_test, has_its_own_copies_of_what_has_left_the_log) {
    make_kept("dead");
    h.restart();
    clone();
    EXPECT_THAT(h.store.kept, SizeIs(2));
    h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/q"});
    EXPECT_THAT(h.store.kept, SizeIs(1));
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/copy");
    const auto given = redriven("t/copy", two);
    ASSERT_THAT(given, SizeIs(1));
    EXPECT_EQ(given[0].payload, "dead");
}

TEST_F(clone_test, copies_can_be_given_out_before_the_store_has_them) {
    make_kept("dead");
    h.late_store = true;
    clone();
    clone("again", "t/copy");
    const auto two = h.connect();
    h.attach(two, "t/again");
    const auto given = redriven("t/again", two);
    ASSERT_THAT(given, SizeIs(1));
    EXPECT_EQ(given[0].payload, "dead");
    h.late_store = false;
    h.publish("t", {"x"});
    EXPECT_THAT(h.store.kept, SizeIs(3));
}

TEST_F(clone_test, what_the_trim_point_passes_meanwhile_is_copied) {
    make_all_states();
    h.settle(one, queue, settle_action::ack, {run_of(got[4])});
    h.restart();
    const fetch first = begin_to_clone();
    h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = {.keep_done = 0s}});
    h.pass(3s);
    ASSERT_EQ(h.topic_info("t").first_offset, 5U);
    ASSERT_THAT(h.store.kept, SizeIs(2));
    h.apply(fetched{first.id, h.store.read(first.body)});
    expect_cloned();
    EXPECT_THAT(h.store.kept, SizeIs(4));
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/copy"});
    h.restart();
    const auto two = h.connect();
    h.attach(two, "t/copy");
    const auto given = h.deliveries(two);
    EXPECT_THAT(offsets_of(given), UnorderedElementsAre(2, 5, 6, 7));
    for (const received& each : given) {
        EXPECT_EQ(each.payload, std::to_string(each.offset));
    }
}

// ---- what changes while it is looked up ----

// Promise: replay.clone
TEST_F(clone_test, what_happens_meanwhile_counts) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    const auto two = h.connect();
    h.attach(two, "t/q");
    const auto given = h.deliveries(two);
    ASSERT_THAT(offsets_of(given), ElementsAre(4, 5, 6, 7));
    h.settle(two, queue, settle_action::nack, {run_of(given[0])}, 1h, "new");
    h.settle(two, queue, settle_action::reject, {run_of(given[1])});
    h.settle(two, queue, settle_action::ack, {run_of(given[2])});
    h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/q", .until = 3});
    h.publish("t", {"8"});
    EXPECT_EQ(count("t/q"), (state_counts{0, 2, 2, 1, 4}));
    h.apply(fetched{first.id, h.store.read(first.body)});
    expect_cloned();
    EXPECT_EQ(count("t/q"), (state_counts{0, 2, 2, 1, 4}));
    EXPECT_EQ(count("t/copy"), (state_counts{2, 0, 2, 1, 4}));
    EXPECT_EQ(in("copy", 4).history.at(0).reason, "new");
    h.restart();
    EXPECT_EQ(count("t/copy"), (state_counts{2, 0, 2, 1, 4}));
    EXPECT_EQ(in("copy", 3).history.at(0).reason, "later");
    EXPECT_EQ(in("copy", 4).history.at(0).reason, "new");
}

TEST_F(clone_test, what_was_read_earlier_replaces_nothing_newer) {
    make_all_states();
    h.restart();
    const fetch first = begin_to_clone();
    fetch_result old = h.store.read(first.body);
    const auto two = h.connect();
    h.attach(two, "t/q", 4);
    ASSERT_THAT(offsets_of(h.deliveries(two)), ElementsAre(4, 5, 6, 7));
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q"});
    const auto three = h.connect();
    h.attach(three, "t/q", 1);
    const auto given = h.deliveries(three);
    ASSERT_THAT(offsets_of(given), ElementsAre(2));
    for (int i = 0; i < 3; ++i) {
        h.publish("t", {"x"});  // the store has it all
    }
    h.apply(fetched{first.id, std::move(old)});
    expect_cloned();
    EXPECT_EQ(count("t/q").dead, 0U);
    EXPECT_EQ(count("t/copy").dead, 0U);
    EXPECT_EQ(in("copy", 2).state, message_state::ready);
    EXPECT_EQ(in("copy", 2).attempts, 0U);
    h.restart();
    EXPECT_EQ(in("copy", 2).state, message_state::ready);
    EXPECT_EQ(in("copy", 2).attempts, 0U);
}

TEST_F(clone_test, many_are_looked_up_in_slices) {
    make(24h);
    constexpr std::size_t many = 2500;
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, many, 1 << 20});
    h.publish("t", std::vector<std::string>(many, "x"));
    h.settle(one, queue, settle_action::nack, runs_of(h.deliveries(one)), 2h);
    h.restart();
    const auto before = h.fetches_answered;
    clone();
    EXPECT_GE(h.fetches_answered - before, 3U);
    EXPECT_EQ(count("t/copy"), (state_counts{0, 0, many, 0, 0}));
    h.restart();
    h.pass(2h + 1s);
    EXPECT_EQ(count("t/copy"), (state_counts{many, 0, 0, 0, 0}));
}

// What was read is not in memory any more when it changes.
TEST_F(clone_test, what_happens_between_slices_counts) {
    make(24h);
    constexpr std::size_t many = 1500;
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, many, 1 << 20});
    h.publish("t", std::vector<std::string>(many, "x"));
    h.settle(one, queue, settle_action::reject, runs_of(h.deliveries(one)));
    h.restart();
    const fetch first = begin_to_clone();
    h.hold_fetches = true;
    h.state.apply(fetched{first.id, h.store.read(first.body)}, h.now, h.out);
    ASSERT_THAT(h.out.fetches, SizeIs(1));
    const fetch second = h.out.fetches[0];
    h.out.fetches.clear();
    h.hold_fetches = false;
    h.ask<codec::counted>(h.admin, codec::dead_purge{.queue = "t/q", .until = 1});
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q", .from = 1, .until = 2});
    for (int i = 0; i < 4; ++i) {
        h.publish("t", {"y"});
    }
    h.apply(fetched{second.id, h.store.read(second.body)});
    expect_cloned();
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(count("t/copy"), count("t/q"));
        EXPECT_EQ(count("t/copy").dead, many - 2);
        EXPECT_EQ(in("copy", 0).state, message_state::done);
        EXPECT_EQ(in("copy", 1).state, message_state::ready);
        h.restart();
    }
}

// ---- what is for it ----

// Memory has nothing of what is stored; two of six are for the queue, which has looked at none.
struct clone_backlog_test : clone_test {
    clone_backlog_test() : clone_test({.cache_bytes_max = 0, .read_ahead_bytes = 20000}) {}
    void SetUp() override {
        h.make_queue("t/keeps");
        for (const auto* key : {"a", "b", "a", "b", "b", "c"}) {
            h.publish_keyed("t", {{key, "x"}});
        }
        h.hold_fetches = true;
        h.make_queue("t/q", {.filter = "key = 'a'"});
        clone();
    }
};

TEST_F(clone_backlog_test, what_was_not_looked_at_yet_is_looked_at) {
    h.hold_fetches = false;
    h.run();
    h.pass(1s);
    EXPECT_EQ(count("t/q"), (state_counts{2, 0, 0, 0, 4}));
    EXPECT_EQ(count("t/copy"), (state_counts{2, 0, 0, 0, 4}));
    h.publish_keyed("t", {{"b", "x"}, {"a", "x"}});
    EXPECT_EQ(count("t/copy"), (state_counts{3, 0, 0, 0, 5}));
}

TEST_F(clone_backlog_test, what_was_not_looked_at_yet_is_known_after_a_restart) {
    h.restart();
    EXPECT_EQ(count("t/copy"), (state_counts{6, 0, 0, 0, 0}));
    h.pass(30s);
    EXPECT_EQ(count("t/copy"), (state_counts{2, 0, 0, 0, 4}));
    const auto two = h.connect();
    h.attach(two, "t/copy");
    EXPECT_THAT(offsets_of(h.deliveries(two)), ElementsAre(0, 2));
}

TEST_F(clone_test, what_expired_while_it_was_leased_ends) {
    make(24h);
    h.publish_keyed("t", {{"a", "x", 1000}});
    ASSERT_THAT(h.deliveries(one), SizeIs(1));
    h.pass(20s);
    EXPECT_EQ(in("q", 0).state, message_state::leased);
    clone();
    h.pass(3s);
    EXPECT_EQ(in("copy", 0).state, message_state::done);
    EXPECT_EQ(in("q", 0).state, message_state::leased);
}

}  // namespace
}  // namespace brokerd::domain::test
