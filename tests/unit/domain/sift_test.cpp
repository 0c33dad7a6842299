// A queue gets what its filter takes, up to its end, and nothing else.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

const queue_settings only_a{.filter = "key = 'a'"};

struct sift_test : testing::Test {
    explicit sift_test(domain_options options = {}) : h(options) {}

    void publish(const std::vector<std::string>& keys) {
        std::vector<keyed_message> messages;
        for (const std::string& key : keys) {
            messages.push_back({key, "x"});
        }
        h.publish_keyed("t", messages);
    }
    // Each message in a chunk of its own.
    void publish_singly(const std::vector<std::string>& keys) {
        for (const std::string& key : keys) {
            publish({key});
        }
    }
    codec::queue_created make(queue_settings settings, position start = {},
                              queue_mode mode = queue_mode::shared) {
        return h.ask<codec::queue_created>(h.admin, codec::queue_create{.queue = "t/q",
                                                                        .mode = mode,
                                                                        .settings = settings,
                                                                        .start = start,
                                                                        .create_topic = true});
    }
    void set(queue_settings settings) {
        h.ask<codec::ok>(h.admin, codec::queue_set{.queue = "t/q", .settings = settings});
    }
    void seek(offset_t to) {
        h.ask<codec::counted>(h.admin,
                              codec::queue_seek{.queue = "t/q", .to = {position_kind::offset, to}});
    }
    std::vector<offset_t> delivered(connection_id to) { return offsets_of(h.deliveries(to)); }
    std::vector<offset_t> given_to_new_one() {
        const auto one = h.connect();
        h.attach(one, "t/q");
        return delivered(one);
    }
    // All that comes to a new consumer that acks it.
    std::vector<offset_t> acked() {
        const auto one = h.connect();
        const auto q = h.attach(one, "t/q").queue;
        std::vector<offset_t> all;
        for (auto got = h.deliveries(one); !got.empty(); got = h.deliveries(one)) {
            for (const received& each : got) {
                all.push_back(each.offset);
            }
            h.settle(one, q, settle_action::ack, runs_of(got));
            h.pass(10ms);
        }
        return all;
    }
    message_state state(offset_t offset) {
        const auto shown =
            h.ask<show_result>(h.admin, codec::message_show{.topic = "t", .offset = offset})
                .message;
        for (const auto& each : shown.queues) {
            if (each.queue == "q") {
                return each.state;
            }
        }
        ADD_FAILURE() << "the queue does not have it";
        return {};
    }
    codec::queue_item info() { return h.queue_info("t/q"); }

    harness h;
};

// Memory has nothing of what is stored.
struct sift_backlog_test : sift_test {
    sift_backlog_test() : sift_test({.cache_bytes_max = 0, .read_ahead_bytes = 20000}) {
        h.make_queue("t/keeps");
    }
};

// ---- as it is appended ----

// Promise: filter.queue
TEST_F(sift_test, what_is_not_for_a_queue_is_done_in_the_same_commit) {
    make(only_a);
    publish({"a", "b", "a", "b", "b"});
    EXPECT_EQ(info().ready, 2U);
    EXPECT_EQ(info().done, 3U);
    EXPECT_EQ(h.state.counters().sifted_messages, 3U);
    h.restart();
    EXPECT_EQ(info().ready, 2U);
    EXPECT_EQ(info().done, 3U);
    EXPECT_EQ(h.state.counters().sifted_messages, 3U) << "nothing was looked at again";
    EXPECT_THAT(given_to_new_one(), ElementsAre(0, 2));
}

// Promise: filter.queue
TEST_F(sift_test, other_queues_are_not_concerned) {
    make(only_a);
    h.make_queue("t/all");
    publish({"b", "a"});
    const auto one = h.connect();
    h.attach(one, "t/all");
    EXPECT_THAT(delivered(one), ElementsAre(0, 1));
    EXPECT_THAT(given_to_new_one(), ElementsAre(1));
}

TEST_F(sift_test, fields_of_the_record_and_its_place_can_be_asked_for) {
    make({.filter = "offset >= 1 and size < 3 and time > '2029-01-01T00:00:00Z'"});
    h.publish("t", {"x", "y", "long", "z"});
    EXPECT_THAT(given_to_new_one(), ElementsAre(1, 3));
}

TEST_F(sift_test, what_is_not_for_a_queue_does_not_keep_the_log) {
    make(only_a);
    publish_singly({"b", "b", "b", "a", "b"});
    h.pass(2s);
    EXPECT_EQ(h.topic_info("t").first_offset, 3U);
}

TEST_F(sift_test, waits_for_no_key_in_ordered_queues) {
    for (const auto mode : {queue_mode::keyed, queue_mode::single}) {
        const std::string topic = fmt::format("o{}", static_cast<int>(mode));
        h.make_queue(topic + "/q", {.filter = "size > 1"}, mode);
        const auto one = h.connect();
        const auto q = h.attach(one, topic + "/q").queue;
        h.publish_keyed(topic, {{"k", "xx"}, {"k", "y"}, {"k", "zz"}});
        auto got = h.deliveries(one);
        ASSERT_THAT(offsets_of(got), ElementsAre(0));
        h.settle(one, q, settle_action::ack, runs_of(got));
        got = h.deliveries(one);
        ASSERT_THAT(offsets_of(got), ElementsAre(2));
        h.settle(one, q, settle_action::ack, runs_of(got));
        EXPECT_EQ(h.queue_info(topic + "/q").done, 3U);
    }
}

// ---- the end ----

// Promise: replay.start
TEST_F(sift_test, ends_where_it_is_told) {
    make({.until = 3});
    publish({"", "", "", "", ""});
    publish({""});
    EXPECT_EQ(info().ready, 3U);
    EXPECT_EQ(info().done, 3U);
    EXPECT_THAT(given_to_new_one(), ElementsAre(0, 1, 2));
}

TEST_F(sift_backlog_test, an_end_in_the_log_reads_nothing) {
    publish_singly({"", "", "", "", ""});
    const auto before = h.fetches_answered;
    make({.until = 2});
    EXPECT_EQ(h.fetches_answered, before);
    EXPECT_EQ(info().ready, 2U);
    EXPECT_EQ(info().done, 3U);
    h.restart();
    EXPECT_EQ(info().ready, 2U);
}

// Promise: replay.window
TEST_F(sift_backlog_test, replays_a_part_of_the_log) {
    publish_singly({"a", "b", "a", "b", "a", "a"});
    make({.filter = "key = 'a'", .until = 5}, {position_kind::offset, 1});
    EXPECT_EQ(info().ready, 2U);
    EXPECT_THAT(given_to_new_one(), ElementsAre(2, 4));
    publish({"a"});
    EXPECT_EQ(info().ready, 0U);
}

// ---- what the log holds already ----

TEST_F(sift_backlog_test, is_looked_at_without_a_consumer) {
    publish_singly({"a", "b", "b", "a"});
    make(only_a);
    EXPECT_EQ(info().ready, 2U);
    EXPECT_EQ(info().done, 2U);
}

// Promise: filter.change
TEST_F(sift_backlog_test, is_never_given_out_before_it_was_looked_at) {
    publish({"b", "b", "a", "b", "a"});
    publish_singly({"b", "a"});
    make({});
    h.hold_fetches = true;
    set(only_a);
    const auto one = h.connect();
    h.attach(one, "t/q");
    h.hold_fetches = false;
    h.run();
    EXPECT_THAT(delivered(one), ElementsAre(2, 4, 6));
    EXPECT_EQ(info().ready, 0U);
    EXPECT_EQ(info().done, 4U);
}

TEST_F(sift_backlog_test, goes_on_after_a_restart) {
    publish_singly({"a", "b", "b", "a"});
    h.hold_fetches = true;
    make(only_a);
    EXPECT_EQ(h.state.counters().sifted_messages, 0U) << "nothing was read yet";
    h.hold_fetches = false;
    h.restart();
    h.pass(9s);
    EXPECT_EQ(info().ready, 4U) << "consumers may come back for what they hold";
    h.pass(2s);
    EXPECT_EQ(info().ready, 2U);
    h.restart();
    const auto before = h.fetches_answered;
    h.pass(11s);
    EXPECT_EQ(h.fetches_answered, before) << "the store knows that all was looked at";
    EXPECT_EQ(info().ready, 2U);
}

TEST_F(sift_backlog_test, a_failed_read_is_tried_again) {
    publish_singly({"a", "b"});
    h.store.failing = true;
    make(only_a);
    EXPECT_EQ(info().ready, 2U);
    h.store.failing = false;
    h.pass(5s);
    EXPECT_EQ(info().ready, 1U);
}

TEST_F(sift_backlog_test, looks_at_a_backlog_of_several_slices) {
    for (int i = 0; i < 30; ++i) {
        std::vector<std::string> keys(1000, "b");
        keys.back() = "a";
        publish(keys);
    }
    make(only_a);
    h.pass(20ms);
    EXPECT_EQ(info().ready, 30U);
    EXPECT_EQ(info().done, 29'970U);
}

// ---- a move ----

TEST_F(sift_test, a_seek_asks_the_filter_again) {
    h.make_queue("t/keeps");
    make(only_a);
    publish({"a", "b", "a"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.settle(one, q, settle_action::ack, runs_of(h.deliveries(one)));
    seek(0);
    EXPECT_THAT(delivered(one), ElementsAre(0, 2));
    EXPECT_EQ(state(1), message_state::done);
}

TEST_F(sift_test, a_seek_leaves_the_end) {
    h.make_queue("t/keeps");
    make({.until = 2});
    publish({"", "", "", ""});
    seek(1);
    EXPECT_EQ(info().ready, 1U);
    seek(3);
    EXPECT_EQ(info().ready, 0U);
    seek(0);
    EXPECT_THAT(given_to_new_one(), ElementsAre(0, 1));
}

TEST_F(sift_test, a_seek_asks_for_what_was_retrying_too) {
    h.make_queue("t/keeps");
    make({.backoff = 1h, .backoff_max = 1h});
    publish({"a", "b", "a"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    h.settle(one, q, settle_action::nack, runs_of(h.deliveries(one)));
    set({.backoff = 1h, .backoff_max = 1h, .filter = "key = 'a'", .until = 2});
    EXPECT_EQ(info().retrying, 3U) << "given out before";
    seek(0);
    EXPECT_THAT(delivered(one), ElementsAre(0));
    EXPECT_EQ(info().done, 2U);
}

// ---- changes ----

// Promise: filter.change
TEST_F(sift_test, a_new_filter_asks_for_what_is_ready) {
    make({});
    publish({"b", "a", "b", "a"});
    set(only_a);
    EXPECT_EQ(info().ready, 2U);
    EXPECT_EQ(info().done, 2U);
}

// Promise: filter.change
TEST_F(sift_test, what_was_given_out_before_a_new_filter_stays) {
    make({});
    publish({"b"});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    set(only_a);
    EXPECT_EQ(info().leased, 1U);
    h.settle(one, q, settle_action::nack, runs_of(got), 0s);
    h.pass(1s);
    EXPECT_THAT(delivered(one), ElementsAre(0));
}

TEST_F(sift_backlog_test, what_is_leased_stays_however_late_the_log_is_read) {
    publish_singly({"b", "b"});
    make({});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 1).queue;
    const auto got = h.deliveries(one);
    ASSERT_THAT(offsets_of(got), ElementsAre(0));
    h.hold_fetches = true;
    set(only_a);
    h.settle(one, q, settle_action::release, runs_of(got));
    h.hold_fetches = false;
    h.run();
    EXPECT_THAT(delivered(one), ElementsAre(0));
    EXPECT_EQ(info().done, 1U);
}

TEST_F(sift_test, without_a_filter_it_gets_everything_again) {
    make(only_a);
    publish({"b"});
    set({});
    publish({"b"});
    EXPECT_EQ(state(0), message_state::done) << "as it was";
    EXPECT_THAT(given_to_new_one(), ElementsAre(1));
    EXPECT_EQ(info().settings.filter, "");
}

TEST_F(sift_test, an_earlier_end_ends_what_is_ready) {
    make({});
    publish({"", "", "", ""});
    set({.until = 1});
    EXPECT_EQ(info().ready, 1U);
    EXPECT_EQ(info().done, 3U);
}

// ---- one gap too many ----

TEST_F(sift_test, waits_for_gaps_but_is_never_given_out) {
    make({.max_runs = 2, .filter = "key = 'a'"});
    publish_singly({"a", "b", "a", "b", "a", "b", "a", "b", "a"});
    EXPECT_EQ(info().done, 2U);
    EXPECT_EQ(info().ready, 7U);
    EXPECT_EQ(state(5), message_state::ready);
    EXPECT_THAT(acked(), ElementsAre(0, 2, 4, 6, 8));
    EXPECT_EQ(info().done, 9U);
    EXPECT_EQ(info().ready, 0U);
}

TEST_F(sift_test, what_waits_for_gaps_is_remembered_over_a_restart) {
    make({.max_runs = 2, .filter = "key = 'a'"});
    publish_singly({"a", "b", "a", "b", "a", "b", "a"});
    h.restart();
    h.pass(10ms);
    EXPECT_EQ(info().ready, 5U);
    EXPECT_THAT(acked(), ElementsAre(0, 2, 4, 6));
    EXPECT_EQ(info().done, 7U);
}

// ---- beside a time to live ----

TEST_F(sift_test, an_expired_message_that_is_not_for_the_queue_is_done_not_dead) {
    make({.max_runs = 2, .on_expiry = expiry_action::dead, .filter = "key = 'a'"});
    h.publish_keyed("t", {{"a", "x"},
                          {"b", "x", 1000},
                          {"a", "x"},
                          {"b", "x", 1000},
                          {"a", "x"},
                          {"b", "x", 1000},
                          {"a", "x", 1000}});
    ASSERT_EQ(state(5), message_state::ready) << "one gap too many";
    h.pass(5s);
    EXPECT_THAT(acked(), ElementsAre(0, 2, 4));
    EXPECT_EQ(info().dead, 1U);
    EXPECT_EQ(state(6), message_state::dead);
}

// ---- settings ----

TEST_F(sift_test, the_canonical_filter_is_given_back_and_compared) {
    EXPECT_EQ(make({.filter = "  KEY ='a'"}).settings.filter, "key = 'a'");
    EXPECT_THAT(make({.filter = "key= 'a'"}).differing, IsEmpty());
    EXPECT_THAT(make({.filter = "key = 'b'", .until = 7}).differing,
                ElementsAre("filter", "until"));
}

TEST_F(sift_test, refuses_a_filter_that_cannot_be_read) {
    const auto bad = h.ask_refused(
        h.admin, codec::queue_create{
                     .queue = "t/q", .settings = {.filter = "key = "}, .create_topic = true});
    EXPECT_EQ(bad.code, error_code::invalid_setting);
    EXPECT_THAT(bad.text, StartsWith("filter, column "));
}

TEST_F(sift_test, refuses_fields_that_change) {
    make({});
    for (const char* filter : {"age > 1s", "attempts > 1", "state = 'dead'", "reason = 'x'"}) {
        const auto bad = h.ask_refused(
            h.admin, codec::queue_set{.queue = "t/q", .settings = {.filter = filter}});
        EXPECT_EQ(bad.code, error_code::invalid_setting);
        EXPECT_THAT(bad.text, HasSubstr("changes while a message stays the same")) << filter;
    }
    EXPECT_EQ(info().settings.filter, "");
}

}  // namespace
}  // namespace brokerd::domain::test
