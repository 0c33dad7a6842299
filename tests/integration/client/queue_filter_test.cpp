// Queues with a filter and an end: what is not for a queue is done without being delivered,
// whether it comes later or was there before; other queues get it, and what was given out stays.
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* german = "header.country = 'DE'";

class client_queue_filter_test : public client_fixture {
protected:
    void SetUp() override { with.ensure_topic("orders", {.keep_done = 1h}); }

    void ensure(const queue_options& settings) { with.ensure_queue("orders/some", settings); }
    void publish(const std::string& country, const std::string& payload) {
        with.publish("orders", {.headers = {{"country", country}}, .payload = payload});
    }
    // DE0, AT1, DE2, ...
    void publish_by_turns(int count, int first = 0) {
        for (int i = first; i < first + count; ++i) {
            const std::string country = i % 2 == 0 ? "DE" : "AT";
            with.submit("orders",
                        {.headers = {{"country", country}}, .payload = country + std::to_string(i)},
                        [](const publish_result& result) {
                            EXPECT_TRUE(result) << result.failure->what();
                        });
        }
        with.flush();
    }
    queue_info info(const char* queue = "orders/some") { return admin(with).queue(queue); }
    delivery_state state_of(std::uint64_t offset) {
        return admin(with).show("orders", offset).queues.at(0).state;
    }

    // What was in the log before there was the filter is looked at in the background.
    [[nodiscard]] bool are_ready(std::uint64_t count) {
        return comes_true([&] { return info().ready == count; });
    }
    // The payload of the next message, which is acked.
    static std::string take(consumer& from) {
        auto next = from.next(patience);
        if (!next) {
            ADD_FAILURE() << "no message came";
            return {};
        }
        next->ack_confirmed();
        return std::string(next->payload());
    }
    // The payloads of all that the queue delivers until everything in it is done.
    std::vector<std::string> take_all(const char* queue = "orders/some") {
        std::vector<std::string> out;
        consumer from = with.open_consumer(queue);
        EXPECT_TRUE(comes_true([&] {
            while (auto next = from.next(10ms)) {
                out.emplace_back(next->payload());
                next->ack_confirmed();
            }
            const queue_info now = info(queue);
            return now.ready + now.leased + now.retrying == 0;
        }));
        return out;
    }
    void change(const std::string& filter, std::uint64_t until = 0) {
        queue_options settings = info().settings;
        settings.filter = filter;
        settings.until = until;
        admin(with).set_queue("orders/some", settings);
    }
    static std::pair<std::error_code, std::string> failure_of(const auto& what) {
        try {
            what();
        } catch (const error& failed) {
            return {failed.code(), failed.what()};
        }
        return {};
    }

    client with = connected();
};

TEST_F(client_queue_filter_test, what_it_takes_is_delivered_and_nothing_else) {
    ensure({.filter = german});
    with.ensure_queue("orders/all");
    publish_by_turns(6);
    EXPECT_EQ(info().ready, 3U);
    EXPECT_EQ(info().done, 3U);
    consumer from = with.open_consumer("orders/some");
    EXPECT_EQ(take(from), "DE0");
    EXPECT_EQ(take(from), "DE2");
    EXPECT_EQ(take(from), "DE4");
    publish("AT", "AT6");
    publish("DE", "DE7");
    EXPECT_EQ(take(from), "DE7");
    EXPECT_EQ(info().done, 8U);
    EXPECT_EQ(info().dead, 0U);
    EXPECT_EQ(info("orders/all").ready, 8U);
}

TEST_F(client_queue_filter_test, goes_by_offset_time_size_and_key_as_well) {
    with.ensure_queue("orders/offset", {.filter = "offset in (1, 3)"});
    with.ensure_queue("orders/time", {.filter = "time < '2020-01-01T00:00:00Z'"});
    with.ensure_queue("orders/size", {.filter = "size > 1"});
    with.ensure_queue("orders/key", {.filter = "key like 'a*'"});
    for (const char* key : {"ann", "bob", "abe"}) {
        with.publish("orders", {.key = key, .payload = key});
    }
    with.publish("orders", {.payload = "x"});
    EXPECT_THAT(take_all("orders/offset"), ElementsAre("bob", "x"));
    EXPECT_THAT(take_all("orders/time"), IsEmpty());
    EXPECT_THAT(take_all("orders/size"), ElementsAre("ann", "bob", "abe"));
    EXPECT_THAT(take_all("orders/key"), ElementsAre("ann", "abe"));
}

TEST_F(client_queue_filter_test, holds_for_messages_of_schedules_and_transactions) {
    ensure({.filter = german});
    transaction all;
    all.publish("orders", {.headers = {{"country", "AT"}}, .payload = "a"});
    all.publish("orders", {.headers = {{"country", "DE"}}, .payload = "b"});
    with.commit(all);
    for (const char* country : {"AT", "DE"}) {
        with.schedule("orders", {.headers = {{"country", country}}, .payload = country},
                      schedule_time::after(1ms));
    }
    ASSERT_TRUE(comes_true([&] { return admin(with).topic("orders").next_offset == 4; }));
    EXPECT_EQ(info().done, 2U);
    EXPECT_THAT(take_all(), ElementsAre("b", "DE"));
}

TEST_F(client_queue_filter_test, holds_in_queues_that_keep_order) {
    with.ensure_queue("orders/keyed", {.filter = "header.n >= 2"}, log_position::earliest(),
                      delivery_mode::keyed);
    with.ensure_queue("orders/single", {.filter = "header.n >= 2"}, log_position::earliest(),
                      delivery_mode::single);
    for (const char* n : {"1", "2", "3", "1", "4"}) {
        with.publish("orders", {.key = "k", .headers = {{"n", n}}, .payload = n});
    }
    EXPECT_THAT(take_all("orders/keyed"), ElementsAre("2", "3", "4"));
    EXPECT_THAT(take_all("orders/single"), ElementsAre("2", "3", "4"));
}

TEST_F(client_queue_filter_test, what_was_there_before_is_looked_at) {
    publish_by_turns(6);
    ensure({.filter = german});
    EXPECT_TRUE(are_ready(3));
    EXPECT_EQ(info().done, 3U);
    EXPECT_THAT(take_all(), ElementsAre("DE0", "DE2", "DE4"));
}

TEST_F(client_queue_filter_test, a_long_backlog_is_never_delivered_where_it_is_not_for_it) {
    constexpr int count = 20'000;
    publish_numbers(with, "orders", count);
    ensure({.filter = "offset >= 19998"});
    consumer from = with.open_consumer("orders/some");  // at once, before the look can be over
    EXPECT_EQ(take(from), "19998");
    EXPECT_EQ(take(from), "19999");
    EXPECT_TRUE(are_ready(0));
    EXPECT_EQ(info().done, static_cast<std::uint64_t>(count));
}

TEST_F(client_queue_filter_test, a_queue_ends_where_it_says) {
    publish_by_turns(4);
    ensure({.until = 3});
    EXPECT_EQ(info().ready, 3U);
    publish_by_turns(2, 4);
    EXPECT_EQ(info().ready, 3U);
    EXPECT_THAT(take_all(), ElementsAre("DE0", "AT1", "DE2"));
}

// Promise: replay.window
TEST_F(client_queue_filter_test, a_window_is_replayed_beside_a_live_queue) {
    with.ensure_queue("orders/live");
    publish_by_turns(8);
    consumer live = with.open_consumer("orders/live", {.prefetch_messages = 1});
    EXPECT_EQ(take(live), "DE0");
    with.ensure_queue("orders/again", {.filter = german, .until = 6}, log_position::at_offset(2));
    EXPECT_THAT(take_all("orders/again"), ElementsAre("DE2", "DE4"));
    for (const char* payload : {"AT1", "DE2", "AT3", "DE4", "AT5", "DE6", "AT7"}) {
        EXPECT_EQ(take(live), payload);
    }
    publish("DE", "DE8");
    EXPECT_EQ(take(live), "DE8");
    EXPECT_EQ(info("orders/again").ready, 0U);
}

TEST_F(client_queue_filter_test, a_change_holds_for_what_is_ready_and_for_what_comes) {
    ensure({});
    publish_by_turns(4);
    change(german);
    EXPECT_TRUE(are_ready(2));
    publish_by_turns(2, 4);
    EXPECT_EQ(info().ready, 3U);
    change("", 5);
    EXPECT_EQ(info().ready, 3U);
    change(german, 4);
    EXPECT_TRUE(are_ready(2));
    EXPECT_THAT(take_all(), ElementsAre("DE0", "DE2"));
    EXPECT_EQ(info().done, 6U);
    // What became done stays so.
    change("");
    publish("AT", "AT6");
    EXPECT_THAT(take_all(), ElementsAre("AT6"));
}

TEST_F(client_queue_filter_test, a_change_takes_away_nothing_that_was_given_out) {
    ensure({});
    for (const char* payload : {"held", "retrying", "dead", "ready"}) {
        publish("AT", payload);
    }
    consumer from = with.open_consumer("orders/some", {.prefetch_messages = 1});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    consumer second = with.open_consumer("orders/some", {.limit = 2});
    auto next = second.next(patience);
    ASSERT_TRUE(next);
    next->nack(1h, "later");
    next = second.next(patience);
    ASSERT_TRUE(next);
    next->reject("never");
    ASSERT_TRUE(comes_true([&] { return info().retrying == 1 && info().dead == 1; }));
    change(german);
    EXPECT_TRUE(are_ready(0));
    EXPECT_EQ(state_of(0), delivery_state::leased);
    EXPECT_EQ(state_of(1), delivery_state::retrying);
    EXPECT_EQ(state_of(2), delivery_state::dead);
    EXPECT_EQ(state_of(3), delivery_state::done);
    EXPECT_NO_THROW(held->ack_confirmed());
}

TEST_F(client_queue_filter_test, a_seek_looks_at_everything_with_the_filter_in_force) {
    ensure({.filter = german});
    publish_by_turns(6);
    EXPECT_THAT(take_all(), ElementsAre("DE0", "DE2", "DE4"));
    change("header.country = 'AT'");
    admin(with).seek_queue("orders/some", log_position::at_offset(2));
    EXPECT_TRUE(are_ready(2));
    EXPECT_THAT(take_all(), ElementsAre("AT3", "AT5"));
}

TEST_F(client_queue_filter_test, survives_a_kill) {
    publish_by_turns(4);
    ensure({.filter = german, .until = 7});
    broker.kill();
    broker.restart();
    EXPECT_EQ(info().settings.filter, german);
    EXPECT_EQ(info().settings.until, 7U);
    publish_by_turns(6, 4);
    EXPECT_TRUE(are_ready(4));
    EXPECT_THAT(take_all(), ElementsAre("DE0", "DE2", "DE4", "DE6"));
    broker.kill();
    broker.restart();
    EXPECT_EQ(info().done, 10U);
    EXPECT_THAT(take_all(), IsEmpty());
}

TEST_F(client_queue_filter_test, what_has_expired_and_is_not_for_it_is_no_dead_message) {
    ensure({.on_expiry = expiry_policy::dead, .filter = german});
    for (const char* country : {"AT", "DE"}) {
        with.publish("orders", {.headers = {{"country", country}}, .payload = country, .ttl = 1ms});
    }
    EXPECT_TRUE(comes_true([&] { return info().dead == 1; }));
    EXPECT_EQ(state_of(0), delivery_state::done);
    EXPECT_EQ(state_of(1), delivery_state::dead);
}

TEST_F(client_queue_filter_test, does_not_hold_up_the_trim) {
    admin(with).set_topic("orders", {});  // keeps nothing that every queue is done with
    ensure({.filter = german});
    publish("AT", "a");
    publish("AT", "b");
    publish("DE", "c");
    EXPECT_TRUE(comes_true([&] { return admin(with).topic("orders").first_offset == 2; }));
}

TEST_F(client_queue_filter_test, the_text_comes_back_in_one_way_to_write_it) {
    const auto created = with.ensure_queue(
        "orders/some", {.filter = "HEADER.country=\"DE\" and not (SIZE>=1024)", .until = 9});
    EXPECT_TRUE(created.created);
    EXPECT_EQ(created.settings.filter, "header.country = 'DE' and not size >= 1KiB");
    EXPECT_EQ(info().settings.filter, created.settings.filter);
    const auto again = with.ensure_queue(
        "orders/some", {.filter = "(header.country = 'DE') and not size >= 1KiB", .until = 9});
    EXPECT_FALSE(again.created);
    EXPECT_THAT(again.differing, IsEmpty());
}

TEST_F(client_queue_filter_test, settings_that_differ_are_named) {
    ensure({.filter = german, .until = 9});
    const auto other = with.ensure_queue("orders/some", {.filter = "has key", .until = 9});
    EXPECT_THAT(other.differing, ElementsAre("filter"));
    EXPECT_EQ(other.settings.filter, german);
    const auto none = with.ensure_queue("orders/some", {});
    EXPECT_THAT(none.differing, ElementsAre("filter", "until"));
    EXPECT_EQ(none.settings.until, 9U);
}

TEST_F(client_queue_filter_test, refusals) {
    const auto wrong = failure_of([&] { ensure({.filter = "colour = 'red'"}); });
    EXPECT_EQ(wrong.first, broker_errc::invalid_setting);
    EXPECT_THAT(wrong.second, HasSubstr("filter, column 1: "));
    const auto changing = failure_of([&] { ensure({.filter = "age > 1d and has key"}); });
    EXPECT_EQ(changing.first, broker_errc::invalid_setting);
    EXPECT_THAT(changing.second,
                HasSubstr("filter uses age, which changes while a message stays the same; a "
                          "queue's filter may use offset, time, size, key and header.NAME"));
    EXPECT_THAT(admin(with).queues(), IsEmpty());
    ensure({.filter = german});
    EXPECT_EQ(failure_of([&] { change("state = dead"); }).first, broker_errc::invalid_setting);
    EXPECT_EQ(failure_of([&] { change("has"); }).first, broker_errc::invalid_setting);
    EXPECT_EQ(info().settings.filter, german);
}

}  // namespace
}  // namespace brokerd::client_integration
