// Publishing: errors, chunks, producers, what replies depend on.
#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

struct publish_test : testing::Test {
    void SetUp() override { h.make_queue("orders/q"); }

    publish_accepted accepted(std::uint64_t sequence, std::uint32_t count = 1,
                              producer_id producer = producer_id{5}) {
        const output answer =
            h.publish_as("orders", std::vector<std::string>(count, "x"), producer, sequence);
        const auto* ok = std::get_if<publish_accepted>(&answer.body);
        EXPECT_NE(ok, nullptr);
        depends_on = answer.depends_on;
        return ok == nullptr ? publish_accepted{} : *ok;
    }
    error_code refused(std::uint64_t sequence, std::uint32_t count = 1) {
        const output answer =
            h.publish_as("orders", std::vector<std::string>(count, "x"), producer_id{5}, sequence);
        const auto* no = std::get_if<publish_refused>(&answer.body);
        EXPECT_NE(no, nullptr);
        return no == nullptr ? error_code::ok : no->why.code;
    }

    harness h;
    commit_number depends_on;
};

TEST_F(publish_test, a_missing_topic_names_the_command_that_creates_it) {
    const output answer = h.publish_as("orders.eu", {"x"}, {}, 0);
    const auto& why = std::get<publish_refused>(answer.body).why;
    EXPECT_EQ(why.code, error_code::topic_not_found);
    EXPECT_EQ(why.text,
              "topic orders.eu does not exist; create it: brokerctl topic create orders.eu");
    EXPECT_EQ(std::get<publish_refused>(h.publish_as("a b", {"x"}, {}, 0).body).why.code,
              error_code::invalid_name);
}

// Promise: limits.message
TEST_F(publish_test, a_message_larger_than_the_topic_accepts_is_refused) {
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "small", .settings = {.max_message_bytes = 20}});
    EXPECT_EQ(h.publish("small", {std::string(11, 'x')}), 0U) << "exactly the limit";
    const output answer = h.publish_as("small", {std::string(12, 'x')}, {}, 0);
    const auto& why = std::get<publish_refused>(answer.body).why;
    EXPECT_EQ(why.code, error_code::message_too_large);
    EXPECT_EQ(why.text,
              "a message of 21 bytes is larger than the 20 bytes that topic small accepts; split "
              "the message, or raise the topic's limit: brokerctl topic set small "
              "--max-message-bytes 21");
}

TEST(publish_limits, the_broker_has_one_for_all_topics_and_the_text_names_what_is_in_the_way) {
    harness h({.message_bytes_max = 100});
    const auto refusal_of = [&](const std::string& topic, std::size_t bytes) {
        const output answer = h.publish_as(topic, {std::string(bytes - 9, 'x')}, {}, 0);
        const auto* no = std::get_if<publish_refused>(&answer.body);
        return no == nullptr ? std::string() : no->why.text;
    };
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "large", .settings = {.max_message_bytes = 5000}});
    EXPECT_EQ(refusal_of("large", 100), "") << "exactly the limit";
    EXPECT_EQ(refusal_of("large", 101),
              "a message of 101 bytes is larger than the 100 bytes that this broker accepts in any "
              "topic, so in topic large too; split the message, or start brokerd with "
              "--max-message-bytes 101");
    EXPECT_THAT(refusal_of("large", 5001),
                HasSubstr("start brokerd with --max-message-bytes 5001 and raise the topic's "
                          "limit: brokerctl topic set large --max-message-bytes 5001"));
    h.ask<codec::topic_created>(
        h.admin, codec::topic_create{.topic = "small", .settings = {.max_message_bytes = 50}});
    EXPECT_THAT(refusal_of("small", 51),
                AllOf(HasSubstr("50 bytes that topic small accepts"), Not(HasSubstr("brokerd"))));
    EXPECT_THAT(refusal_of("small", 101),
                AllOf(HasSubstr("50 bytes that topic small accepts"),
                      HasSubstr("start brokerd with --max-message-bytes 101 and raise")));
}

TEST_F(publish_test, the_reply_depends_on_the_commit_and_the_commit_is_urgent) {
    const commit_number gathering = h.gathering;
    h.state.apply(
        request{h.admin, 900,
                publish_request{.topic = "orders", .batch = make_batch({"x"}), .count = 1}},
        h.now, h.out);
    ASSERT_THAT(h.out.outputs, SizeIs(1));
    EXPECT_EQ(h.out.outputs[0].depends_on, gathering);
    EXPECT_TRUE(h.out.urgent);
    EXPECT_TRUE(h.state.dirty());
    EXPECT_TRUE(h.out.mutations.empty()) << "the chunk is closed by seal";
    h.run();
    EXPECT_FALSE(h.state.dirty());
}

TEST_F(publish_test, one_commit_makes_one_chunk_up_to_its_limit) {
    for (int i = 0; i < 3; ++i) {
        h.state.apply(request{h.admin, 900,
                              publish_request{
                                  .topic = "orders", .batch = make_batch({"x", "y"}), .count = 2}},
                      h.now, h.out);
    }
    h.run();
    EXPECT_THAT(h.store.log.begin()->second, SizeIs(1));
    const std::string big(100 * 1024, 'b');
    for (int i = 0; i < 4; ++i) {
        h.state.apply(
            request{h.admin, 900,
                    publish_request{.topic = "orders", .batch = make_batch({big}), .count = 1}},
            h.now, h.out);
    }
    h.run();
    EXPECT_THAT(h.store.log.begin()->second, SizeIs(3)) << "two of them in each";
    EXPECT_EQ(h.topic_info("orders").next_offset, 10U);
}

TEST_F(publish_test, append_times_never_run_backwards) {
    h.publish("orders", {"a"});
    h.now.wall -= 30s;
    h.publish("orders", {"b"});
    const auto& chunks = h.store.log.begin()->second;
    EXPECT_EQ(chunks.at(1)->append_time(), chunks.at(0)->append_time());
    h.restart();
    h.publish("orders", {"c"});
    EXPECT_EQ(chunks.at(2)->append_time(), chunks.at(0)->append_time());
}

// Promise: dedup.resend
TEST_F(publish_test, a_resend_has_the_first_answer) {
    EXPECT_EQ(accepted(1, 10).base_offset, 0U);
    EXPECT_EQ(accepted(11, 5).base_offset, 10U);
    const publish_accepted again = accepted(1, 10);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, 0U);
    EXPECT_EQ(accepted(11, 5).base_offset, 10U);
    EXPECT_EQ(h.topic_info("orders").next_offset, 15U);
    h.restart();
    const publish_accepted after = accepted(11, 5);
    EXPECT_TRUE(after.duplicate);
    EXPECT_EQ(after.base_offset, 10U);
    EXPECT_EQ(accepted(16).base_offset, 15U);
}

TEST_F(publish_test, a_resend_waits_for_the_commit_that_stored_it) {
    const auto publish = [&] {
        h.state.apply(request{h.admin, 900,
                              publish_request{.topic = "orders",
                                              .batch = make_batch({"x"}, producer_id{5}, 1),
                                              .count = 1,
                                              .producer = producer_id{5},
                                              .first_sequence = 1}},
                      h.now, h.out);
    };
    const commit_number gathering = h.gathering;
    publish();
    publish();
    ASSERT_THAT(h.out.outputs, SizeIs(2));
    EXPECT_TRUE(std::get<publish_accepted>(h.out.outputs[1].body).duplicate);
    EXPECT_EQ(h.out.outputs[1].depends_on, gathering);
}

// Promise: dedup.window
TEST_F(publish_test, gaps_are_allowed_but_overlaps_and_old_sequences_are_not) {
    accepted(1, 5);
    accepted(10, 5);
    EXPECT_EQ(refused(4, 3), error_code::sequence_mismatch);
    EXPECT_FALSE(accepted(7).duplicate) << "its first try was refused, say";
    accepted(limits::producer_window + 20);
    EXPECT_EQ(refused(1, 5), error_code::sequence_too_old);
    EXPECT_EQ(refused(0), error_code::invalid_argument);
}

TEST_F(publish_test, producers_do_not_know_each_other) {
    EXPECT_EQ(accepted(1, 1, producer_id{1}).base_offset, 0U);
    EXPECT_EQ(accepted(1, 1, producer_id{2}).base_offset, 1U);
}

TEST(publish_bounds, the_oldest_window_goes) {
    harness h({.producers_max = 2});
    h.make_queue("orders/q");
    for (std::uint64_t id = 1; id <= 3; ++id) {
        h.publish_as("orders", {"x"}, producer_id{id}, 1);
    }
    EXPECT_THAT(h.store.producers, SizeIs(2));
    const output again = h.publish_as("orders", {"x"}, producer_id{1}, 1);
    EXPECT_FALSE(std::get<publish_accepted>(again.body).duplicate);
}

}  // namespace
}  // namespace brokerd::domain::test
