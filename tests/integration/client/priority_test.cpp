// Priorities against a real broker: the highest level first, in every way in which messages come
// and come again, over a restart; counted by level; refused where they can not be.
#include <chrono>
#include <string>
#include <vector>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class client_priority_test : public client_fixture {
protected:
    void SetUp() override {
        with.ensure_topic("mails", {.keep_done = 1h, .priorities = 3});
        with.ensure_queue("mails/smtp", {.backoff = 10ms, .jitter_percent = 0});
    }
    void publish(std::uint8_t priority, const std::string& payload,
                 const std::string& topic = "mails") {
        with.submit(
            topic, {.payload = payload, .priority = priority},
            [](const publish_result& result) { EXPECT_TRUE(result) << result.failure->what(); });
    }
    // The payloads of the next messages, each acked before the next one is asked for.
    std::vector<std::string> take(int count, const std::string& queue = "mails/smtp") {
        consumer from = with.open_consumer(queue, {.prefetch_messages = 1});
        std::vector<std::string> got;
        for (int i = 0; i < count; ++i) {
            auto next = from.next(patience);
            if (!next) {
                ADD_FAILURE() << "nothing came after " << i;
                break;
            }
            got.emplace_back(next->payload());
            next->ack_confirmed();
        }
        return got;
    }

    client with = connected();
};

// Promise: priority.first
TEST_F(client_priority_test, the_highest_level_goes_first_and_the_oldest_of_it) {
    publish(0, "a");
    publish(1, "b");
    publish(0, "c");
    publish(9, "d");
    publish(2, "e");
    publish(1, "f");
    with.flush();
    EXPECT_THAT(take(6), ElementsAre("d", "e", "b", "f", "a", "c"));
}

// Promise: priority.first
TEST_F(client_priority_test, over_a_restart_too) {
    for (int i = 0; i < 200; ++i) {
        publish(0, "low");
    }
    publish(2, "high");
    with.flush();
    broker.kill();
    broker.restart();
    publish(1, "middle");
    with.flush();
    EXPECT_THAT(take(3), ElementsAre("high", "middle", "low"));
}

TEST_F(client_priority_test, what_failed_or_was_given_back_comes_again_in_its_level) {
    publish(2, "high");
    publish(0, "low");
    with.flush();
    {
        consumer from = with.open_consumer("mails/smtp", {.prefetch_messages = 2});
        auto high = from.next(patience);
        auto low = from.next(patience);
        ASSERT_TRUE(high && low);
        EXPECT_EQ(high->payload(), "high");
        EXPECT_EQ(high->priority(), 2);
        low->release();
        high->release();
    }
    EXPECT_THAT(take(2), ElementsAre("high", "low"));
}

// Promise: priority.client
TEST_F(client_priority_test, one_producer_is_stored_in_its_order) {
    std::vector<std::string> handed;
    for (int i = 0; i < 300; ++i) {
        handed.push_back(std::to_string(i));
        publish(static_cast<std::uint8_t>(i % 7 == 0 ? 2 : 0), handed.back());
    }
    with.flush();
    EXPECT_EQ(payloads(with, "mails"), handed);
    const auto page = admin(with).read("mails", log_position::earliest());
    EXPECT_EQ(page.messages.at(7).priority, 2);
    EXPECT_EQ(page.messages.at(8).priority, 0);
    EXPECT_EQ(admin(with).show("mails", 7).message->priority, 2);
}

// Promise: priority.counts
TEST_F(client_priority_test, are_counted_by_level) {
    for (int i = 0; i < 60; ++i) {
        publish(static_cast<std::uint8_t>(i % 3), "x");
    }
    with.flush();
    (void)take(1);
    EXPECT_EQ(admin(with).queue_levels("mails/smtp"),
              (level_counts{.ready = {20, 20, 19}, .due = 0}));
    with.ensure_queue("plain/q");
    publish(5, "x", "plain");
    with.flush();
    EXPECT_EQ(admin(with).queue_levels("plain/q"), (level_counts{.ready = {1}, .due = 0}));
    EXPECT_THROW((void)admin(with).queue_levels("mails/none"), error);
}

TEST_F(client_priority_test, go_with_schedules_and_transactions) {
    transaction all;
    all.publish("mails", {.payload = "low"});
    all.publish("mails", {.payload = "high", .priority = 2});
    all.schedule("mails", {.payload = "scheduled", .priority = 1}, schedule_time::after(0ms));
    with.commit(all);
    const auto id =
        with.schedule("mails", {.payload = "later", .priority = 2}, schedule_time::after(1h));
    EXPECT_EQ(admin(with).cancel_schedules("mails", {id}), 1U);
    consumer from = with.open_consumer("mails/smtp", {.prefetch_messages = 10});
    std::vector<std::pair<std::string, int>> got;
    for (int i = 0; i < 3; ++i) {
        auto next = from.next(patience);
        ASSERT_TRUE(next);
        got.emplace_back(next->payload(), next->priority());
        next->ack();
    }
    EXPECT_THAT(got, testing::UnorderedElementsAre(std::pair("low", 0), std::pair("high", 2),
                                                   std::pair("scheduled", 1)));
}

TEST_F(client_priority_test, in_keyed_queues_and_plain_topics_change_nothing) {
    with.ensure_queue("mails/keyed", {}, log_position::earliest(), delivery_mode::keyed);
    with.ensure_queue("plain/q");
    for (const char* topic : {"mails", "plain"}) {
        publish(0, "a", topic);
        publish(9, "b", topic);
        publish(0, "c", topic);
    }
    with.flush();
    EXPECT_THAT(take(3, "mails/keyed"), ElementsAre("a", "b", "c"));
    EXPECT_THAT(take(3, "plain/q"), ElementsAre("a", "b", "c"));
}

TEST_F(client_priority_test, of_a_topic_are_fixed) {
    const auto there = with.ensure_topic("mails", {.keep_done = 1h});
    EXPECT_FALSE(there.created);
    EXPECT_EQ(there.settings.priorities, 3);
    EXPECT_THAT(there.differing, testing::IsEmpty());
    EXPECT_THAT(with.ensure_topic("mails", {.keep_done = 1h, .priorities = 2}).differing,
                ElementsAre("priorities"));
    EXPECT_EQ(with.ensure_topic("plain").settings.priorities, 1);
    auto settings = admin(with).topic("mails").settings;
    settings.priorities = 0;
    admin(with).set_topic("mails", settings);
    EXPECT_EQ(admin(with).topic("mails").settings.priorities, 3);
    settings.priorities = 4;
    try {
        admin(with).set_topic("mails", settings);
        FAIL() << "changed";
    } catch (const error& why) {
        EXPECT_EQ(why.code(), broker_errc::invalid_setting);
        EXPECT_THAT(why.what(), HasSubstr("fixed"));
    }
    EXPECT_THROW(with.ensure_topic("many", {.priorities = 11}), error);
}

}  // namespace
}  // namespace brokerd::client_integration
