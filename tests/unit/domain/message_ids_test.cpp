// Message ids: what comes again is not stored again, whoever sends it and however long ago within
// the window; the order of publishes stays.
#include <gmock/gmock.h>

#include "broker/domain/message_id_book.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

struct message_ids_test : testing::Test {
    void SetUp() override { make("orders"); }

    void make(const std::string& topic, duration_us window = 24h) {
        h.ask<codec::topic_created>(
            h.admin,
            codec::topic_create{.topic = topic, .settings = {.message_id_window = window}});
    }
    static publish_request message(const std::string& id, const std::string& payload = "x",
                                   const std::string& topic = "orders") {
        return {.topic = topic,
                .batch = make_batch({payload}),
                .count = 1,
                .largest_record = payload.size() + codec::record_bytes_min,
                .id = id};
    }
    static publish_request scheduled(const std::string& id, duration_us delay = 1h) {
        publish_request what = message(id);
        what.later = schedule_time{{}, delay};
        return what;
    }
    publish_accepted publish(publish_request what) {
        return h.ask<publish_accepted>(h.admin, std::move(what));
    }
    failure refused(publish_request what) {
        return h.ask<publish_refused>(h.admin, std::move(what)).why;
    }
    void set_window(duration_us window) {
        h.ask<codec::ok>(h.admin, codec::topic_set{.topic = "orders",
                                                   .settings = {.message_id_window = window}});
    }

    harness h;
};

TEST_F(message_ids_test, what_comes_again_has_the_first_answer_and_is_not_stored) {
    EXPECT_EQ(publish(message("a", "first")).base_offset, 0U);
    EXPECT_EQ(publish(message("b")).base_offset, 1U);
    const auto again = publish(message("a", "another payload"));
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, 0U);
    EXPECT_EQ(h.topic_info("orders").next_offset, 2U);
    EXPECT_EQ(h.state.counters().duplicates, 1U);
}

// Promise: dedup.id
TEST_F(message_ids_test, whoever_sends_it) {
    publish_request first = message("a");
    first.producer = producer_id{1};
    first.first_sequence = 1;
    EXPECT_EQ(publish(first).base_offset, 0U);
    publish_request other = message("a");
    other.producer = producer_id{2};
    other.first_sequence = 9;
    for (int i = 0; i < 2; ++i) {
        const auto again = publish(other);
        EXPECT_TRUE(again.duplicate);
        EXPECT_EQ(again.base_offset, 0U);
    }
    other.id = "b";
    other.first_sequence = 10;
    EXPECT_EQ(publish(other).base_offset, 1U) << "its sequences go on";
}

TEST_F(message_ids_test, survives_restarts_and_a_store_that_lags_behind) {
    h.late_store = true;
    publish(message("a"));
    EXPECT_TRUE(publish(message("a")).duplicate) << "the store may not have it yet";
    h.late_store = false;
    publish(message(""));
    publish(message(""));  // all of it is in the store now
    for (int i = 0; i < 2; ++i) {
        h.restart();
        const auto again = publish(message("a"));
        EXPECT_TRUE(again.duplicate);
        EXPECT_EQ(again.base_offset, 0U);
    }
}

// The answer may not be sooner than what it is about.
TEST_F(message_ids_test, a_duplicate_waits_for_the_commit_of_the_first) {
    const commit_number gathering = h.gathering;
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, message("a")}, h.now, h.out);
    h.state.apply(request{h.admin, 901, message("a")}, h.now, h.out);
    EXPECT_TRUE(h.out.outputs.empty());
    h.hold_fetches = false;
    h.answer_fetches();
    const auto& answers = h.outputs;
    ASSERT_THAT(answers, SizeIs(2));
    EXPECT_EQ(answers[0].depends_on, gathering);
    EXPECT_EQ(answers[1].depends_on, gathering);
    EXPECT_FALSE(std::get<publish_accepted>(answers[0].body).duplicate);
    EXPECT_TRUE(std::get<publish_accepted>(answers[1].body).duplicate);
}

TEST_F(message_ids_test, what_comes_behind_an_id_that_is_looked_up_stays_behind_it) {
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, message("a", "1")}, h.now, h.out);
    h.state.apply(request{h.admin, 901, message("", "2")}, h.now, h.out);
    h.state.apply(request{h.admin, 902, message("b", "3")}, h.now, h.out);
    h.state.apply(request{h.admin, 903, message("", "4")}, h.now, h.out);
    h.hold_fetches = false;
    h.run();
    std::vector<std::uint64_t> offsets;
    for (std::uint32_t id = 900; id < 904; ++id) {
        const auto answer = h.answer_to(h.admin, id);
        ASSERT_TRUE(answer) << id;
        offsets.push_back(std::get<publish_accepted>(answer->body).base_offset);
    }
    EXPECT_THAT(offsets, ElementsAre(0, 1, 2, 3));
    EXPECT_EQ(h.fetches_answered, 2U) << "what gathers meanwhile is looked up together";
}

TEST_F(message_ids_test, a_transaction_waits_for_its_turn_too) {
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, message("a", "1")}, h.now, h.out);
    h.state.apply(request{h.admin, 901,
                          transaction_request{.producer = producer_id{7},
                                              .first_sequence = 1,
                                              .publishes = {message("", "2")}}},
                  h.now, h.out);
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, 901);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::transacted>(answer->body).publishes.at(0).base_offset, 1U);
}

TEST_F(message_ids_test, a_transaction_stores_only_what_is_new) {
    publish(message("a"));
    const transaction_request what{
        .producer = producer_id{7},
        .first_sequence = 1,
        .publishes = {message("a"), message("b"), message("b"), message("c")}};
    const auto answer = h.ask<codec::transacted>(h.admin, what);
    std::vector<std::uint64_t> offsets;
    for (const auto& each : answer.publishes) {
        offsets.push_back(each.base_offset);
    }
    EXPECT_THAT(offsets, ElementsAre(0, 1, 1, 2));
    EXPECT_EQ(h.topic_info("orders").next_offset, 3U);
    h.restart();
    EXPECT_TRUE(publish(message("c")).duplicate);
    const auto again = h.ask<codec::transacted>(h.admin, what);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.publishes, answer.publishes);
}

// A transaction looks up one topic after the other: what it was told first may be old by then.
TEST_F(message_ids_test, a_transaction_sees_what_came_while_it_was_looking) {
    make("returns");
    h.hold_fetches = true;
    const transaction_request what{.producer = producer_id{7},
                                   .first_sequence = 1,
                                   .publishes = {message("a"), message("a", "x", "returns")}};
    h.state.apply(request{h.admin, 900, what}, h.now, h.out);
    ASSERT_THAT(h.out.fetches, SizeIs(1));
    const auto take_fetch = [&] {
        const fetch asked = h.out.fetches.front();
        h.out.fetches.erase(h.out.fetches.begin());
        h.state.apply(fetched{asked.id, h.store.read(asked.body)}, h.now, h.out);
    };
    take_fetch();  // of orders
    ASSERT_THAT(h.out.fetches, SizeIs(1)) << "of returns";
    h.state.apply(request{h.admin, 901, message("a")}, h.now, h.out);
    std::rotate(h.out.fetches.begin(), h.out.fetches.begin() + 1, h.out.fetches.end());
    take_fetch();  // of orders, for the publish
    for (int i = 0; i < 4; ++i) {
        h.commit();
    }
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, 900);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::transacted>(answer->body).publishes.at(0).base_offset, 0U);
    EXPECT_EQ(h.topic_info("orders").next_offset, 1U);
    EXPECT_EQ(h.topic_info("returns").next_offset, 1U);
}

TEST_F(message_ids_test, a_transaction_that_came_before_a_topic_remembered_ids_is_to_come_again) {
    make("returns");
    set_window(0s);
    h.hold_fetches = true;
    const transaction_request what{.producer = producer_id{7},
                                   .first_sequence = 1,
                                   .publishes = {message("a"), message("a", "x", "returns")}};
    h.state.apply(request{h.admin, 900, what}, h.now, h.out);
    h.state.apply(
        request{h.admin, 901,
                codec::topic_set{.topic = "orders", .settings = {.message_id_window = 24h}}},
        h.now, h.out);
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, 900);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::busy);
    EXPECT_EQ(h.topic_info("orders").next_offset, 0U);
    EXPECT_FALSE(h.ask<codec::transacted>(h.admin, what).duplicate);
}

// Promise: dedup.id_schedule
TEST_F(message_ids_test, of_schedules) {
    const auto first = publish(scheduled("a"));
    EXPECT_EQ(publish(scheduled("b")).base_offset, first.base_offset + 1);
    h.restart();
    const auto again = publish(scheduled("a", 2h));
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, first.base_offset);
    h.ask<codec::counted>(h.admin,
                          codec::schedule_cancel{.topic = "orders", .ids = {first.base_offset}});
    EXPECT_TRUE(publish(scheduled("a")).duplicate) << "also when it was cancelled";
    h.pass(90min);
    EXPECT_EQ(h.topic_info("orders").next_offset, 1U) << "b alone";
}

TEST_F(message_ids_test, one_for_now_is_none_for_later) {
    publish(message("now"));
    publish(scheduled("later"));
    const failure why = refused(scheduled("now"));
    EXPECT_EQ(why.code, error_code::invalid_argument);
    EXPECT_EQ(why.text,
              "the message id 'now' was used on topic orders by a message published at once; it "
              "cannot be used by one published for later");
    EXPECT_THAT(refused(message("later")).text, HasSubstr("'later' was used on topic orders"));
    const auto error = h.ask_refused(
        h.admin, transaction_request{.producer = producer_id{7},
                                     .first_sequence = 1,
                                     .publishes = {message("new"), message("later")}});
    EXPECT_EQ(error.code, error_code::invalid_argument);
    EXPECT_FALSE(publish(message("new")).duplicate) << "nothing of it was done";
    EXPECT_EQ(h.ask_refused(h.admin,
                            transaction_request{.producer = producer_id{7},
                                                .first_sequence = 1,
                                                .publishes = {message("both"), scheduled("both")}})
                  .code,
              error_code::invalid_argument);
}

// Promise: dedup.id_window
TEST_F(message_ids_test, is_forgotten_after_the_window_and_not_before) {
    set_window(64s);
    publish(message("a"));
    h.pass(63s);
    EXPECT_TRUE(publish(message("a")).duplicate);
    h.restart();
    EXPECT_TRUE(publish(message("a")).duplicate);
    publish(message("b"));
    h.pass(2s);
    EXPECT_FALSE(publish(message("a")).duplicate);
    EXPECT_TRUE(publish(message("a")).duplicate) << "remembered anew";
    EXPECT_TRUE(publish(message("b")).duplicate);
    h.pass(66s);
    EXPECT_FALSE(publish(message("b")).duplicate);
    EXPECT_THAT(h.store.message_ids.begin()->second, SizeIs(1)) << "the others may go";
}

TEST_F(message_ids_test, a_longer_window_does_not_bring_back_what_a_shorter_one_forgot) {
    publish(message("a"));
    h.pass(10s);
    publish(message("b"));
    h.pass(1s);
    h.restart();
    set_window(5s);
    set_window(24h);
    EXPECT_FALSE(publish(message("a")).duplicate);
    EXPECT_TRUE(publish(message("b")).duplicate);
    set_window(0s);
    set_window(24h);
    EXPECT_FALSE(publish(message("b")).duplicate);
    h.restart();
    EXPECT_TRUE(publish(message("b")).duplicate);
}

TEST_F(message_ids_test, a_duplicate_is_as_safe_as_its_topic_says) {
    h.ask<codec::ok>(
        h.admin, codec::topic_set{.topic = "orders", .settings = {.durability = durability::os}});
    publish(message("a"));
    const auto again = publish(message("a"));
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.level, durability::os);
}

TEST_F(message_ids_test, without_a_window_ids_are_not_looked_at) {
    set_window(0s);
    EXPECT_FALSE(publish(message("a")).duplicate);
    EXPECT_FALSE(publish(message("a")).duplicate);
    EXPECT_EQ(h.fetches_answered, 0U);
    set_window(24h);
    EXPECT_FALSE(publish(message("a")).duplicate) << "none was remembered";
    EXPECT_TRUE(publish(message("a")).duplicate);
}

TEST_F(message_ids_test, a_read_that_fails_refuses_those_it_was_for) {
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, message("a")}, h.now, h.out);
    h.state.apply(request{h.admin, 901, message("")}, h.now, h.out);
    h.hold_fetches = false;
    h.store.failing = true;
    h.run();
    const auto refused = h.answer_to(h.admin, 900);
    ASSERT_TRUE(refused);
    EXPECT_EQ(std::get<publish_refused>(refused->body).why.code, error_code::storage_failed);
    const auto taken = h.answer_to(h.admin, 901);
    ASSERT_TRUE(taken);
    EXPECT_EQ(std::get<publish_accepted>(taken->body).base_offset, 0U);
    h.store.failing = false;
    EXPECT_EQ(publish(message("a")).base_offset, 1U);
}

TEST_F(message_ids_test, what_waits_is_told_when_its_topic_goes) {
    h.hold_fetches = true;
    h.state.apply(request{h.admin, 900, message("a")}, h.now, h.out);
    h.state.apply(request{h.admin, 901, codec::topic_remove{.topic = "orders"}}, h.now, h.out);
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, 900);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<publish_refused>(answer->body).why.code, error_code::topic_removed);
    make("orders");
    EXPECT_FALSE(publish(message("a")).duplicate);
}

TEST_F(message_ids_test, the_bounds_of_the_window) {
    const auto create = [&](duration_us window) {
        return codec::topic_create{.topic = "x", .settings = {.message_id_window = window}};
    };
    EXPECT_EQ(h.ask_refused(h.admin, create(-1us)).code, error_code::invalid_setting);
    EXPECT_EQ(h.ask_refused(h.admin, create(limits::message_id_window_max + 1us)).code,
              error_code::invalid_setting);
    h.ask<codec::topic_created>(h.admin, create(limits::message_id_window_max));
}

// ---- the book alone ----

constexpr wall_time start{1000h};

TEST(message_id_book, forgets_what_came_longer_ago_and_tells_the_store_now_and_then) {
    message_id_book book;
    wall_time stored{};
    std::size_t told = 0;
    for (duration_us age{0}; age <= 10min; age += 500ms) {
        if (book.forget_old(start + age, 64s, 1)) {
            ++told;
            stored = book.forgotten(topic_id{1}).before;
        }
        EXPECT_EQ(book.before(), start + age - 64s);
        EXPECT_LE(book.before() - stored, 1s);
    }
    EXPECT_GE(told, 300U);
    EXPECT_LE(told, 601U);
}

TEST(message_id_book, a_clock_set_back_forgets_nothing_that_comes) {
    message_id_book book;
    bool told = false;
    (void)book.forget_old(start, 1s, 0);
    const wall_time came = book.arrive(start - 1min, 0, told);
    book.put("a", {.time = came, .value = 0}, commit_number{1});
    (void)book.forget_old(start - 59s, 1s, 1);
    EXPECT_TRUE(book.find("a"));
    (void)book.forget_old(start + 1s, 1s, 1);
    EXPECT_FALSE(book.find("a"));
}

// Promise: dedup.id_window
TEST(message_id_book, remembers_no_further_back_than_so_many_messages) {
    constexpr std::uint64_t far = limits::message_id_distance_max;
    message_id_book book;
    bool told = false;
    EXPECT_EQ(book.arrive(start, 5, told), start);
    EXPECT_TRUE(told);
    told = false;
    (void)book.arrive(start + 1s, 6, told);
    EXPECT_FALSE(told) << "not for each";
    (void)book.forget_old(start + 2s, 24h, far + 6);
    EXPECT_LE(book.before(), start);
    EXPECT_TRUE(book.forget_old(start + 3s, 24h, far + 7));
    EXPECT_GT(book.before(), start);
    EXPECT_LE(book.before(), start + 1s);
    message_id_book again;
    again.load(book.forgotten(topic_id{1}));
    EXPECT_EQ(again.before(), book.before());
}

TEST(message_id_book, keeps_what_a_read_on_its_way_may_miss) {
    message_id_book book;
    book.reads.begin(commit_number{3});
    book.put("a", {.time = start, .value = 1}, commit_number{4});
    EXPECT_FALSE(book.forget_applied(commit_number{9}));
    EXPECT_TRUE(book.find("a"));
    book.reads.end(commit_number{3});
    EXPECT_TRUE(book.forget_applied(commit_number{9}));
    EXPECT_FALSE(book.find("a")) << "the store has it";
}

}  // namespace
}  // namespace brokerd::domain::test
