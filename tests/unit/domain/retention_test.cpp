// Topics that are full and refuse: exactly at their bounds, whoever publishes; schedules that wait.
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/retention_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct retention_test : retention_fixture {
    // Publishes it for later.
    void schedule(const std::string& payload, duration_us delay) {
        EXPECT_FALSE(refusal({payload}, schedule_time{.delay = delay}));
    }
};

// Promise: bounds.refuse
TEST_F(retention_test, a_topic_takes_as_many_messages_as_it_may) {
    make({.max_messages = 3});
    EXPECT_FALSE(is_full({"a", "b"}));
    EXPECT_TRUE(is_full({"c", "d"})) << "one more than fits";
    EXPECT_FALSE(is_full({"c"}));
    EXPECT_TRUE(is_full());
    EXPECT_EQ(topic().next_offset, 3U) << "nothing of it was stored";
    EXPECT_EQ(topic().pending, 3U);
    const auto one = attach();
    const auto got = h.deliveries(one);
    settle(one, {got[1]});
    EXPECT_TRUE(is_full()) << "the first one is what counts";
    settle(one, {got[0]});
    EXPECT_EQ(topic().pending, 1U);
    EXPECT_FALSE(is_full({"d", "e"}));
    EXPECT_TRUE(is_full());
    EXPECT_EQ(h.state.counters().refused_publishes, 4U);
    EXPECT_EQ(h.state.counters().dropped_messages, 0U);
}

// Promise: bounds.refuse
TEST_F(retention_test, a_topic_takes_as_many_bytes_as_it_may) {
    make({.max_bytes = limits::topic_bytes_min});
    const std::string large(1000, 'x');
    const std::uint64_t left = limits::topic_bytes_min - 3 * bytes_of(large);
    std::string last;
    while (bytes_of(last) < left) {
        last += 'y';
    }
    ASSERT_EQ(bytes_of(last), left);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(is_full({large}));
    }
    EXPECT_TRUE(is_full({last + 'y'}));
    EXPECT_FALSE(is_full({last}));
    EXPECT_EQ(topic().pending_bytes, limits::topic_bytes_min);
    EXPECT_EQ(topic().bytes, limits::topic_bytes_min);
    EXPECT_TRUE(is_full({""}));
    h.restart();
    EXPECT_EQ(topic().pending_bytes, limits::topic_bytes_min);
    EXPECT_TRUE(is_full({""}));
    const auto one = attach();
    settle(one, h.deliveries(one));
    EXPECT_EQ(topic().pending_bytes, 0U);
    EXPECT_FALSE(is_full({large}));
}

TEST_F(retention_test, what_would_never_fit_is_too_large) {
    make({.max_bytes = limits::topic_bytes_min, .max_messages = 2});
    const std::vector<std::vector<std::string>> all{{"a", "b", "c"}, {std::string(5000, 'x')}};
    for (const auto& payloads : all) {
        for (const auto later : {std::optional<schedule_time>{}, std::optional(schedule_time{})}) {
            const auto why = refusal(payloads, later);
            ASSERT_TRUE(why);
            EXPECT_EQ(why->code, error_code::message_too_large);
            EXPECT_THAT(why->text, HasSubstr("max_messages 2, max_bytes 4096"));
        }
    }
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty()) << "it is not full for that";
}

TEST_F(retention_test, a_refusal_says_what_is_in_the_way) {
    make({.max_messages = 1}, {"fast", "slow"});
    publish(1);
    const auto one = attach("fast");
    settle(one, h.deliveries(one), settle_action::ack, "fast");
    const auto why = refusal({"x"});
    ASSERT_TRUE(why);
    EXPECT_THAT(why->text, AllOf(HasSubstr("topic t is full (max_messages 1): it holds 1 messages"),
                                 HasSubstr("brokerctl queue explain t/slow")));
    EXPECT_TRUE(describe(why->code).retryable);
}

TEST_F(retention_test, a_resend_is_answered_full_or_not) {
    make({.max_messages = 2});
    constexpr producer_id producer{5};
    const auto with_id = [&](const std::string& id) {
        const auto sent = h.send(h.admin, publish_request{.topic = "t",
                                                          .batch = make_batch({"b"}),
                                                          .count = 1,
                                                          .largest_record = 20,
                                                          .id = id});
        return *h.answer_to(h.admin, sent);
    };
    (void)h.publish_as("t", {"a"}, producer, 1);
    EXPECT_TRUE(std::holds_alternative<publish_accepted>(with_id("b").body));
    EXPECT_TRUE(is_full());
    for (const output& again : {h.publish_as("t", {"a"}, producer, 1), with_id("b")}) {
        const auto* known = std::get_if<publish_accepted>(&again.body);
        ASSERT_NE(known, nullptr);
        EXPECT_TRUE(known->duplicate);
    }
    EXPECT_TRUE(std::holds_alternative<publish_refused>(with_id("c").body));
    const output next = h.publish_as("t", {"c"}, producer, 2);
    EXPECT_TRUE(std::holds_alternative<publish_refused>(next.body));
    // Refused is not remembered.
    const auto one = attach();
    settle(one, h.deliveries(one));
    const output taken = h.publish_as("t", {"c"}, producer, 2);
    ASSERT_TRUE(std::holds_alternative<publish_accepted>(taken.body));
    EXPECT_FALSE(std::get<publish_accepted>(taken.body).duplicate);
}

TEST_F(retention_test, a_transaction_fits_as_a_whole_or_is_refused_as_a_whole) {
    make({.max_messages = 3});
    h.make_queue("other/q");
    const auto part = [](const std::string& to, const std::vector<std::string>& payloads) {
        publish_request made{.topic = to, .batch = make_batch(payloads)};
        made.count = static_cast<std::uint32_t>(payloads.size());
        made.largest_record = 20;
        return made;
    };
    transaction_request what{.producer = producer_id{7}, .first_sequence = 1};
    what.publishes = {part("other", {"o"}), part("t", {"a", "b"}), part("t", {"c", "d"})};
    EXPECT_EQ(h.ask_refused(h.admin, what).code, error_code::message_too_large);
    what.publishes.pop_back();
    h.ask<codec::transacted>(h.admin, what);
    EXPECT_EQ(h.topic_info("other").next_offset, 1U);
    EXPECT_TRUE(h.ask<codec::transacted>(h.admin, what).duplicate) << "a resend";
    what.first_sequence = 10;
    EXPECT_EQ(h.ask_refused(h.admin, what).code, error_code::topic_full);
    EXPECT_EQ(topic().next_offset, 2U);
    EXPECT_EQ(h.topic_info("other").next_offset, 1U) << "nothing of it was done";
    const auto one = attach();
    settle(one, h.deliveries(one));
    EXPECT_FALSE(h.ask<codec::transacted>(h.admin, what).duplicate);
    EXPECT_EQ(topic().next_offset, 4U);
}

// Promise: bounds.kept
TEST_F(retention_test, what_failed_and_what_is_only_kept_takes_no_room) {
    make({.keep_done = 1h, .max_messages = 2});
    const auto one = attach();
    publish(2);
    auto got = h.deliveries(one);
    settle(one, {got[0]}, settle_action::nack);
    settle(one, {got[1]}, settle_action::reject);
    EXPECT_EQ(topic().pending, 0U);
    for (int i = 0; i < 10; ++i) {
        publish(1);
        settle(one, h.deliveries(one));
    }
    EXPECT_EQ(topic().next_offset, 12U);
    h.pass(2s);
    EXPECT_LE(topic().messages, 2U) << "what is kept gives way";
    EXPECT_EQ(queue().retrying, 1U);
    EXPECT_EQ(queue().dead, 1U);
    EXPECT_EQ(topic().dropped, 0U);
    h.pass(1h);
    got = h.deliveries(one);
    ASSERT_EQ(offsets_of(got), (std::vector<offset_t>{0}));
    EXPECT_EQ(got[0].payload, "0");
}

TEST_F(retention_test, without_a_queue_everything_counts) {
    make({.max_messages = 2}, {});
    publish(2);
    const auto why = refusal({"x"});
    ASSERT_TRUE(why);
    EXPECT_THAT(why->text, HasSubstr("no queue consumes it"));
    h.make_queue("t/q");
    EXPECT_EQ(queue().ready, 2U);
    const auto one = attach();
    settle(one, h.deliveries(one));
    EXPECT_FALSE(is_full({"x"}));
}

TEST_F(retention_test, new_bounds_count_at_once) {
    make({});
    publish(5);
    EXPECT_FALSE(is_full());
    set({.max_messages = 5});
    EXPECT_TRUE(is_full());
    EXPECT_EQ(queue().ready, 6U) << "a topic that refuses drops nothing";
    set({.max_messages = 7});
    EXPECT_FALSE(is_full());
    EXPECT_TRUE(is_full());
    set({});
    EXPECT_FALSE(is_full());
    const auto refused = [&](const topic_settings& wrong) {
        return h.ask_refused(h.admin, codec::topic_set{.topic = "t", .settings = wrong}).code;
    };
    EXPECT_EQ(refused({.max_bytes = limits::topic_bytes_min - 1}), error_code::invalid_setting);
    EXPECT_EQ(refused({.when_full = full_policy{3}}), error_code::invalid_setting);
    EXPECT_EQ(refused({.max_age = 999ms}), error_code::invalid_setting);
    EXPECT_EQ(refused({.max_age = limits::max_age_max + 1s}), error_code::invalid_setting);
    EXPECT_EQ(refused({.max_age = -1s}), error_code::invalid_setting);
}

// ---- schedules ----

// Promise: bounds.schedules
TEST_F(retention_test, what_is_scheduled_waits_for_room_and_others_do_not) {
    make({.max_messages = 1});
    h.make_queue("other/q");
    publish(1);
    schedule("late", 1s);
    schedule("later", 2s);
    (void)h.publish_as("other", {"x"}, {}, 0, schedule_time{.delay = 1500ms});
    h.pass(10s);
    EXPECT_EQ(topic().scheduled, 2U);
    EXPECT_EQ(topic().next_offset, 1U);
    EXPECT_EQ(h.topic_info("other").next_offset, 1U);
    EXPECT_THAT(h.state.warnings(h.now), ElementsAre(HasSubstr("what is scheduled for it is due")));
    h.restart();
    h.pass(10s);
    EXPECT_EQ(topic().scheduled, 2U);
    const auto one = attach();
    for (const char* const payload : {"0", "late", "later"}) {
        const auto got = h.deliveries(one);
        ASSERT_EQ(got.size(), 1U);
        EXPECT_EQ(got[0].payload, payload);
        settle(one, got);
        h.pass(1ms);
    }
    EXPECT_EQ(topic().scheduled, 0U);
    EXPECT_THAT(h.state.warnings(h.now), IsEmpty());
}

TEST_F(retention_test, what_is_scheduled_goes_on_when_the_bound_is_raised) {
    make({.max_messages = 1});
    publish(1);
    schedule("late", 1s);
    h.pass(5s);
    EXPECT_EQ(topic().scheduled, 1U);
    set({.max_messages = 2});
    h.pass(1ms);
    EXPECT_EQ(topic().scheduled, 0U);
    EXPECT_EQ(topic().next_offset, 2U);
}

TEST_F(retention_test, what_is_larger_than_a_bound_that_was_lowered_comes_when_nothing_is_pending) {
    make({});
    EXPECT_FALSE(refusal({"0", "1", "2", "3"}, schedule_time{.delay = 1s}));
    schedule("behind", 2s);
    publish(1);
    set({.max_messages = 2});
    h.pass(5s);
    EXPECT_EQ(topic().scheduled, 5U);
    const auto one = attach();
    settle(one, h.deliveries(one));
    h.pass(1ms);
    EXPECT_EQ(topic().scheduled, 1U);
    EXPECT_TRUE(is_full());
    settle(one, h.deliveries(one));
    h.pass(1ms);
    EXPECT_EQ(topic().scheduled, 0U);
}

// Promise: bounds.schedules
TEST_F(retention_test, who_publishes_does_not_take_the_room_that_what_is_scheduled_waits_for) {
    make({.max_messages = 4});
    publish(4);
    EXPECT_FALSE(refusal({"a", "b", "c"}, schedule_time{.delay = 1s}));
    const auto one = attach("q", 1);
    EXPECT_TRUE(is_full());
    h.pass(1s);
    for (int done = 1; done <= 3; ++done) {
        EXPECT_EQ(topic().scheduled, 3U);
        const auto why = refusal({"x"});
        ASSERT_TRUE(why) << "after " << done;
        EXPECT_EQ(why->code, error_code::topic_full);
        EXPECT_THAT(why->text, HasSubstr("scheduled and due goes first (3 messages"));
        settle(one, h.deliveries(one));
    }
    h.pass(1ms);
    EXPECT_EQ(topic().scheduled, 0U);
    EXPECT_EQ(topic().pending, 4U);
    settle(one, h.deliveries(one));
    EXPECT_FALSE(is_full());
}

TEST_F(retention_test, what_was_cancelled_takes_no_room) {
    make({.max_messages = 2});
    publish(1);
    EXPECT_FALSE(refusal({"a", "b"}, schedule_time{.delay = 1s}));
    h.pass(2s);
    EXPECT_TRUE(is_full());
    const auto listed = h.ask<codec::schedules>(h.admin, codec::schedule_list{.topic = "t"});
    ASSERT_EQ(listed.items.size(), 1U);
    h.ask<codec::counted>(h.admin,
                          codec::schedule_cancel{.topic = "t", .ids = {listed.items[0].id}});
    EXPECT_FALSE(is_full());
}

}  // namespace
}  // namespace brokerd::domain::test
