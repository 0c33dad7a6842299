// Levels of priority: the higher one first, FIFO within, whatever happens to a message on its way.
#include <gmock/gmock.h>

#include "tests/unit/domain/levels_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint8_t lowest = 0;
constexpr std::uint8_t between = 1;
constexpr std::uint8_t highest = 2;

class levels_test : public levels_fixture {
protected:
    explicit levels_test(const domain_options& options = {}) : levels_fixture(3, options) {}

    void publish_large(std::uint8_t priority, int count, std::optional<std::uint64_t> ttl_ms = {}) {
        publish_singly(priority, count, large(priority), ttl_ms);
    }
    [[nodiscard]] static std::string large(std::uint8_t priority) {
        return std::string(200, static_cast<char>('a' + priority));
    }
};

class levels_on_disk_test : public levels_test {
protected:
    levels_on_disk_test() : levels_test({.cache_bytes_max = 0, .read_ahead_bytes = 1000}) {}

    // Time in which nobody looks for what has expired.
    void pass_unseen(duration_us span) {
        h.now.mono += span;
        h.now.wall += span;
    }
    static constexpr std::uint64_t chunks_per_read = 4;  // of publish_large
};

// ---- order ----

// Promise: priority.first
TEST_F(levels_test, the_higher_level_goes_first_and_each_in_order) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    publish(highest, {"h1"});
    publish(between, {"m1", "m2"});
    publish(lowest, {"l3"});
    publish(highest, {"h2", "h3"});
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "h3", "m1", "m2", "l1", "l2", "l3"));
    EXPECT_EQ(h.queue_info("t/q").done, 8U);
}

// Promise: priority.first
TEST_F(levels_test, what_comes_later_overtakes_what_waits) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2", "l3"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    const auto first = h.deliveries(one);
    EXPECT_THAT(payloads_of(first), ElementsAre("l1"));
    publish(highest, {"h1"});
    publish(between, {"m1"});
    h.settle(one, q, settle_action::ack, runs_of(first));
    const auto second = h.deliveries(one);
    EXPECT_THAT(payloads_of(second), ElementsAre("h1"));
    h.settle(one, q, settle_action::ack, runs_of(second));
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("m1"));
}

TEST_F(levels_test, a_priority_above_the_highest_level_counts_as_that) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    publish(9, {"h2"});
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "l1"));
}

TEST_F(levels_test, a_topic_with_one_level_ignores_them) {
    h.make_queue("plain/q");
    h.publish_keyed("plain",
                    {{.payload = "a", .priority = lowest}, {.payload = "b", .priority = 9}});
    EXPECT_EQ(h.topic_info("plain").settings.priorities, 1);
    EXPECT_THAT(drain("plain/q"), ElementsAre("a", "b"));
}

TEST_F(levels_test, ordered_queues_keep_the_order_of_the_topic) {
    h.make_queue("t/keyed", {}, queue_mode::keyed);
    h.make_queue("t/single", {}, queue_mode::single);
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    publish(lowest, {"l2"});
    EXPECT_THAT(drain("t/keyed"), ElementsAre("l1", "h1", "l2"));
    EXPECT_THAT(drain("t/single"), ElementsAre("l1", "h1", "l2"));
}

TEST_F(levels_test, several_consumers_share_the_highest_level) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    publish(highest, {"h1", "h2"});
    const auto one = h.connect();
    const auto two = h.connect();
    h.attach(one, "t/q", 1);
    h.attach(two, "t/q", 1);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1"));
    EXPECT_THAT(payloads_of(h.deliveries(two)), ElementsAre("h2"));
}

// ---- what comes back ----

// Promise: priority.returned
TEST_F(levels_test, what_is_given_back_keeps_its_level) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    publish(between, {"m1"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 100).queue;
    const auto got = h.deliveries(one);
    EXPECT_THAT(payloads_of(got), ElementsAre("h1", "m1", "l1"));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    publish(highest, {"h2"});
    publish(lowest, {"l2"});
    h.settle(one, q, settle_action::release, runs_of(got));
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "m1", "l1", "l2"));
}

// Promise: priority.returned
TEST_F(levels_test, a_retry_keeps_its_level) {
    h.make_queue("t/q", {.jitter_percent = 0});
    publish(lowest, {"l1", "l2"});
    publish(between, {"m1"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    const auto failed = h.deliveries(one);
    ASSERT_THAT(payloads_of(failed), ElementsAre("m1"));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    h.settle(one, q, settle_action::nack, runs_of(failed), 1s);
    h.pass(2s);
    publish(highest, {"h1"});
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "m1", "l1", "l2"));
}

TEST_F(levels_test, a_retry_of_a_lower_level_waits) {
    h.make_queue("t/q", {.jitter_percent = 0});
    publish(lowest, {"l1"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)), 1s);
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    publish(highest, {"h1", "h2"});
    h.pass(2s);
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "l1"));
}

TEST_F(levels_on_disk_test, what_is_given_back_keeps_its_level_when_it_must_be_read) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    publish(lowest, {"l2"});
    const auto one = h.connect();
    h.attach(one, "t/q", 2);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1", "l1"));
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "l1", "l2"));
}

TEST_F(levels_on_disk_test, a_lease_held_across_a_start_keeps_its_level) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    publish(highest, {"h1"});
    auto one = h.connect();
    h.attach(one, "t/q", 1);
    const auto held = h.deliveries(one);
    ASSERT_THAT(payloads_of(held), ElementsAre("h1"));
    h.restart();
    one = h.connect();
    const auto back = h.attach(one, "t/q", 1, runs_of(held));
    EXPECT_THAT(back.gone, IsEmpty());
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "l1", "l2"));
}

TEST_F(levels_test, what_is_redriven_has_its_level) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    publish(highest, {"h1", "h2"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 2).queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(payloads_of(got), ElementsAre("h1", "h2"));
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    h.settle(one, q, settle_action::reject, runs_of(got));
    h.close(one, true);
    h.ask<codec::counted>(h.admin, codec::dead_redrive{.queue = "t/q", .limit = 10});
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "l1", "l2"));
}

// ---- moves ----

TEST_F(levels_test, a_seek_back_begins_anew_with_the_highest) {
    h.make_queue("t/keeps");
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    EXPECT_THAT(drain(), ElementsAre("h1", "l1"));
    h.ask<codec::counted>(h.admin,
                          codec::queue_seek{.queue = "t/q", .to = {position_kind::earliest}});
    publish(highest, {"h2"});
    EXPECT_THAT(drain(), ElementsAre("h1", "h2", "l1"));
}

TEST_F(levels_test, a_purge_empties_all_levels) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish(highest, {"h1", "h2"});
    const auto one = h.connect();
    h.attach(one, "t/q", 1);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1"));
    h.close(one, true);
    EXPECT_EQ(h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q"}).messages, 3U);
    publish(lowest, {"l2"});
    publish(between, {"m1"});
    EXPECT_THAT(drain(), ElementsAre("m1", "l2"));
}

TEST_F(levels_on_disk_test, a_start_continues_where_it_was) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    publish(highest, {"h1", "h2"});
    auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    h.close(one, true);
    h.restart();
    EXPECT_EQ(h.topic_info("t").settings.priorities, 3);
    EXPECT_THAT(drain(), ElementsAre("h2", "l1", "l2"));
}

// ---- what ends on the way ----

TEST_F(levels_test, what_has_expired_makes_way_for_the_next_level) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    h.publish_keyed("t", {{.payload = "h1", .ttl_ms = 1000, .priority = highest}});
    h.pass(2s);
    EXPECT_THAT(drain(), ElementsAre("l1"));
}

// A read brings a few messages of the lane: when all of those have expired the next ones are read,
// and nothing twice.
// Promise: priority.first
TEST_F(levels_on_disk_test, what_has_expired_is_read_through) {
    h.make_queue("t/q");
    publish_large(highest, 60, 1000);
    publish(lowest, {"l1"});
    publish(highest, {"h1"});
    publish_large(highest, 60, 1000);
    publish(lowest, {"l2"});
    publish_singly(between, 3);  // what the last commits hold is in memory in any case
    pass_unseen(2s);
    const auto before = h.fetches_answered;
    EXPECT_THAT(drain(), ElementsAre("h1", "x", "x", "x", "l1", "l2"));
    EXPECT_EQ(h.queue_info("t/q").done, 126U);
    EXPECT_LE(h.fetches_answered - before, 120 / chunks_per_read + 10);
}

// Likewise of what was given out before, and is found to have expired when it is read again.
TEST_F(levels_on_disk_test, what_was_given_back_and_has_expired_is_read_through) {
    h.make_queue("t/q");
    publish_large(highest, 60, 1000);
    publish(highest, {"h1"});
    publish(lowest, {"l1"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 62).queue;
    const auto held = h.deliveries(one);
    ASSERT_EQ(held.size(), 62U);
    publish_singly(between, 3);  // what the last commits hold is in memory in any case
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 1 << 20});
    h.settle(one, q, settle_action::release, runs_of(held));
    pass_unseen(2s);
    const auto before = h.fetches_answered;
    h.close(one, true);
    EXPECT_THAT(drain(), ElementsAre("h1", "x", "x", "x", "l1"));
    EXPECT_EQ(h.queue_info("t/q").done, 65U);
    EXPECT_LE(h.fetches_answered - before, 60 / chunks_per_read + 10);
}

// More than one commit lets die: dispatch goes on with the next one.
TEST_F(levels_on_disk_test, what_dies_of_age_in_several_commits_is_read_through) {
    h.make_queue("t/q", {.on_expiry = expiry_action::dead});
    for (int i = 0; i < 10; ++i) {
        publish(highest, std::vector<std::string>(1000, "x"), 1000);
    }
    publish(lowest, {"l1"});
    publish_singly(between, 3);
    pass_unseen(2s);
    const auto one = h.connect();
    h.attach(one, "t/q", 10);
    h.pass(100ms);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("x", "x", "x", "l1"));
    EXPECT_EQ(h.queue_info("t/q").dead, 10000U);
}

TEST_F(levels_test, what_the_filter_does_not_take_makes_way) {
    h.make_queue("t/q", {.filter = "key = 'a'"});
    h.publish_keyed("t", {{.key = "a", .payload = "l1", .priority = lowest}});
    h.publish_keyed("t", {{.key = "b", .payload = "h1", .priority = highest}});
    h.publish_keyed("t", {{.key = "a", .payload = "h2", .priority = highest}});
    EXPECT_THAT(drain(), ElementsAre("h2", "l1"));
}

TEST_F(levels_test, too_many_retrying_stop_what_is_new_in_every_level) {
    h.make_queue("t/q", {.max_retrying = 1});
    publish(lowest, {"l1"});
    publish(highest, {"h1", "h2"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)), 1h);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/q"), HasSubstr("max_retrying"));
}

TEST_F(levels_test, a_message_too_large_for_the_room_lets_nothing_lower_pass) {
    h.make_queue("t/q");
    publish(highest, {std::string(500, 'h')});
    const auto one = h.connect();
    h.ask<codec::attached>(one, codec::attach{.queue = "t/q",
                                              .consumer = consumer_id{1},
                                              .prefetch_messages = 10,
                                              .prefetch_bytes = 1000});
    EXPECT_THAT(offsets_of(h.deliveries(one)), ElementsAre(0));
    publish(lowest, {"l1"});
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("l1"));
    publish(highest, {std::string(600, 'H')});
    publish(lowest, {"l2"});
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/q"), HasSubstr("bytes are more than the prefetch leaves"));
}

// ---- bounds ----

// Promise: priority.bounded
TEST_F(levels_test, with_max_runs_gaps_the_oldest_goes_first_until_they_close) {
    h.make_queue("t/q", {.max_runs = 2});
    publish(lowest, {"l0"});
    publish(highest, {"h1"});
    publish(lowest, {"l2"});
    publish(highest, {"h3"});
    publish(lowest, {"l4"});
    publish(highest, {"h5"});
    EXPECT_THAT(drain(), ElementsAre("h1", "h3", "l0", "h5", "l2", "l4"));
}

// Promise: priority.urgent
TEST_F(levels_on_disk_test, an_urgent_message_is_found_without_reading_the_backlog) {
    h.make_queue("t/q");
    publish_large(lowest, 1000);
    publish(highest, {"h1"});
    publish_large(lowest, 100);
    const std::uint64_t before = h.fetches_answered;
    const auto one = h.connect();
    h.attach(one, "t/q", 1);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1"));
    EXPECT_LE(h.fetches_answered - before, 6U);
}

// However much of the level was done behind a message of a lower one that holds the floor.
TEST_F(levels_on_disk_test, what_is_done_is_not_read_again_after_a_start) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    publish_large(highest, 200);
    auto one = h.connect();
    const auto q = h.attach(one, "t/q", 200).queue;
    h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    h.close(one, true);
    h.restart();
    const std::uint64_t before = h.fetches_answered;
    h.attach(h.connect(), "t/q", 1);
    EXPECT_LE(h.fetches_answered - before, 6U);
}

// The store has nothing of the lane, and is asked, before what memory has of it is found.
TEST_F(levels_on_disk_test, what_only_memory_has_of_a_level_is_found_after_a_start) {
    h.make_queue("t/q");
    publish(lowest, {"l1"});
    h.restart();
    h.late_store = true;
    publish(highest, {"h1"});
    EXPECT_THAT(drain(), ElementsAre("h1", "l1"));
}

TEST_F(levels_on_disk_test, what_was_given_back_and_cannot_be_read_holds_up_nothing_else) {
    h.make_queue("t/q");
    publish(lowest, {"l1", "l2"});
    auto one = h.connect();
    h.attach(one, "t/q", 2);
    const auto held = h.deliveries(one);
    h.restart();
    one = h.connect();
    EXPECT_THAT(h.attach(one, "t/q", 2, runs_of(held)).gone, IsEmpty());
    h.store.log_lost = true;
    h.close(one, true);
    const auto two = h.connect();
    h.attach(two, "t/q", 1);
    publish(highest, {"h1"});
    EXPECT_THAT(payloads_of(h.deliveries(two)), ElementsAre("h1"));
}

TEST_F(levels_test, a_seek_gives_what_was_retrying_in_its_place) {
    h.make_queue("t/q", {.backoff = 1h, .backoff_max = 1h, .jitter_percent = 0});
    publish(lowest, {"l1", "l2", "l3"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 3).queue;
    const auto got = h.deliveries(one);
    h.settle(one, q, settle_action::nack, {run_of(got[2])});
    h.settle(one, q, settle_action::ack, {run_of(got[0]), run_of(got[1])});
    h.close(one, true);
    publish(lowest, {"l4"});
    h.ask<codec::counted>(h.admin,
                          codec::queue_seek{.queue = "t/q", .to = {position_kind::offset, 2}});
    EXPECT_THAT(drain(), ElementsAre("l3", "l4"));
}

TEST_F(levels_on_disk_test, lanes_are_read_as_they_are_used_up) {
    h.make_queue("t/q");
    for (int i = 0; i < 40; ++i) {
        publish_large(lowest, 1);
        publish_large(highest, 1);
        publish_large(between, 1);
    }
    std::vector<std::string> expected;
    for (const std::uint8_t level : {highest, between, lowest}) {
        expected.insert(expected.end(), 40, large(level));
    }
    EXPECT_EQ(drain(), expected);
}

// While the highest level is being read nothing lower goes.
TEST_F(levels_on_disk_test, a_level_that_is_being_read_is_waited_for) {
    h.make_queue("t/q");
    publish(highest, {"h1"});
    publish_large(lowest, 20);
    h.hold_fetches = true;
    const auto one = h.connect();
    h.attach(one, "t/q", 1);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    h.hold_fetches = false;
    h.run();
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1"));
}

TEST_F(levels_on_disk_test, a_read_that_fails_is_told_and_tried_again) {
    h.make_queue("t/q");
    publish(highest, {"h1"});
    publish_large(lowest, 20);
    h.store.failing = true;
    const auto one = h.connect();
    h.attach(one, "t/q", 1);
    EXPECT_THAT(h.deliveries(one), IsEmpty());
    EXPECT_THAT(h.explain("t/q"), HasSubstr("reading failed"));
    h.store.failing = false;
    h.pass(2s);
    EXPECT_THAT(payloads_of(h.deliveries(one)), ElementsAre("h1"));
}

// ---- refusals ----

TEST_F(levels_test, a_batch_of_several_levels_is_refused) {
    h.make_queue("t/q");
    const auto batch = make_keyed_batch(
        {{.payload = "a", .priority = lowest}, {.payload = "b", .priority = highest}});
    const auto asked = publish_request{.topic = "t", .batch = batch, .count = 2};
    const std::uint32_t id = h.send(h.admin, asked);
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    const auto* refused = std::get_if<publish_refused>(&answer->body);
    ASSERT_NE(refused, nullptr);
    EXPECT_EQ(refused->why.code, error_code::invalid_argument);
    EXPECT_THAT(refused->why.text, HasSubstr("levels 0 and 2 of its 3"));
    h.ask_refused(h.admin, transaction_request{.publishes = {asked}});
    EXPECT_EQ(h.last_error->code, error_code::invalid_argument);
    EXPECT_EQ(h.topic_info("t").next_offset, 0U);
    // Both count as the highest.
    h.publish_keyed("t", {{.payload = "a", .priority = highest}, {.payload = "b", .priority = 7}});
    EXPECT_THAT(drain(), ElementsAre("a", "b"));
}

TEST_F(levels_test, the_number_of_levels_is_fixed) {
    topic_settings settings = h.topic_info("t").settings;
    EXPECT_EQ(settings.priorities, 3);
    settings.priorities = 4;
    const auto refused =
        h.ask_refused(h.admin, codec::topic_set{.topic = "t", .settings = settings});
    EXPECT_EQ(refused.code, error_code::invalid_setting);
    EXPECT_THAT(refused.text, HasSubstr("made with 3"));
    settings.priorities = 0;
    settings.ttl = 5s;
    h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "t", .settings = settings});
    EXPECT_EQ(h.topic_info("t").settings.priorities, 3);
    EXPECT_EQ(h.topic_info("t").settings.ttl, duration_us{5s});
}

TEST_F(levels_test, ten_levels_are_the_most) {
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "ten", .settings = {.priorities = 10}});
    const auto refused = h.ask_refused(
        h.admin, codec::topic_create{.topic = "eleven", .settings = {.priorities = 11}});
    EXPECT_EQ(refused.code, error_code::invalid_setting);
}

TEST_F(levels_test, to_ensure_a_topic_without_naming_levels_differs_in_nothing) {
    const auto same = h.ask<codec::topic_created>(h.admin, codec::topic_create{.topic = "t"});
    EXPECT_FALSE(same.created);
    EXPECT_THAT(same.differing, IsEmpty());
    const auto other = h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "t", .settings = {.priorities = 2}});
    EXPECT_THAT(other.differing, ElementsAre("priorities"));
}

}  // namespace
}  // namespace brokerd::domain::test
