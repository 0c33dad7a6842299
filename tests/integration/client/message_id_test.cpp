// Ids of messages: each is stored once, whoever publishes it how often, over kills, in schedules
// and transactions, as long as the topic remembers it; and how safe a topic says its messages are.
#include <array>
#include <chrono>
#include <future>
#include <vector>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class client_message_id_test : public client_fixture {
protected:
    // What a publisher is told.
    struct told {
        std::uint64_t offset = 0;
        bool duplicate = false;
        durability_level level{};
        std::optional<error> failure;

        [[nodiscard]] std::pair<std::uint64_t, bool> where() const { return {offset, duplicate}; }
    };

    void SetUp() override {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_queue("orders/billing");
    }
    static publish_callback into(told& is) {
        return [&is](const publish_result& result) {
            is.offset = result.offset;
            is.duplicate = result.duplicate;
            is.level = result.level;
            if (!result) {
                is.failure = *result.failure;
            }
        };
    }
    static told publish(client& by, const outgoing_message& message,
                        const std::string& topic = "orders") {
        told is;
        by.submit(topic, message, into(is));
        by.flush();
        EXPECT_FALSE(is.failure) << is.failure->what();
        return is;
    }
    static told schedule(client& by, const outgoing_message& message, schedule_time when) {
        told is;
        by.schedule("orders", message, when, into(is));
        by.flush();
        return is;
    }
    void set_window(std::chrono::microseconds window) {
        auto settings = admin(with).topic("orders").settings;
        settings.message_id_window = window;
        admin(with).set_topic("orders", settings);
    }

    client with = connected();
    client other = connected();
};

constexpr std::pair<std::uint64_t, bool> first_at(std::uint64_t offset) {
    return {offset, false};
}
constexpr std::pair<std::uint64_t, bool> again_at(std::uint64_t offset) {
    return {offset, true};
}

// Promise: dedup.id
TEST_F(client_message_id_test, is_stored_once_whoever_publishes_it_and_whatever_it_says) {
    EXPECT_EQ(publish(with, {.payload = "none"}).where(), first_at(0));
    EXPECT_EQ(publish(with, {.payload = "one", .id = "order-1"}).where(), first_at(1));
    EXPECT_EQ(publish(with, {.payload = "one", .id = "order-1"}).where(), again_at(1));
    EXPECT_EQ(publish(other, {.key = "k", .payload = "two", .id = "order-1"}).where(), again_at(1));
    EXPECT_EQ(publish(other, {.payload = "two", .id = "order-2"}).where(), first_at(2));
    EXPECT_EQ(with.publish("orders", {.payload = "two", .id = "order-2"}), (address{"orders", 2}));
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("none", "one", "two"));
}

TEST_F(client_message_id_test, may_be_any_bytes) {
    const std::string zero("\0\xff\n", 3);
    const std::string longer("\0\xff\n\n", 4);
    const std::string longest(255, '\xff');
    EXPECT_EQ(publish(with, {.payload = "a", .id = zero}).where(), first_at(0));
    EXPECT_EQ(publish(with, {.payload = "b", .id = longer}).where(), first_at(1));
    EXPECT_EQ(publish(with, {.payload = "c", .id = longest}).where(), first_at(2));
    EXPECT_EQ(publish(other, {.payload = "d", .id = longer}).where(), again_at(1));
    EXPECT_EQ(publish(other, {.payload = "d", .id = zero}).where(), again_at(0));
    EXPECT_EQ(publish(other, {.payload = "d", .id = longest}).where(), again_at(2));
}

TEST_F(client_message_id_test, each_topic_has_its_own_and_they_go_with_it) {
    with.ensure_topic("audit");
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}).where(), first_at(0));
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "audit").where(), first_at(0));
    admin(with).remove_topic("audit");
    with.ensure_topic("audit");
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "audit").where(), first_at(0));
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "audit").where(), again_at(0));
}

TEST_F(client_message_id_test, is_seen_by_who_consumes_reads_and_looks) {
    publish(with, {.payload = "one", .id = "order-1"});
    publish(with, {.payload = "two"});
    consumer from = with.open_consumer("orders/billing");
    const auto one = from.next(patience);
    const auto two = from.next(patience);
    ASSERT_TRUE(one && two);
    EXPECT_EQ(one->id(), "order-1");
    EXPECT_EQ(two->id(), "");
    reader look = with.open_reader("orders");
    EXPECT_EQ(look.next(patience)->id, "order-1");
    EXPECT_EQ(look.next(patience)->id, "");
    EXPECT_EQ(admin(with).show("orders", 0).message->id, "order-1");
}

TEST_F(client_message_id_test, keeps_its_place_among_messages_with_and_without) {
    constexpr int count = 300;
    for (int i = 0; i < count; ++i) {
        outgoing_message each{.payload = std::to_string(i)};
        if (i % 3 == 0) {
            each.id = each.payload;
        }
        with.submit("orders", each, [](const publish_result& result) {
            EXPECT_TRUE(result) << result.failure->what();
        });
    }
    with.flush();
    const auto stored = payloads(with, "orders");
    ASSERT_THAT(stored, SizeIs(count));
    for (int i = 0; i < count; ++i) {
        EXPECT_EQ(stored[static_cast<std::size_t>(i)], std::to_string(i));
    }
}

TEST_F(client_message_id_test, published_again_before_the_first_was_answered) {
    std::vector<told> all(20);
    for (std::size_t i = 0; i < all.size(); ++i) {
        with.submit("orders", {.payload = std::to_string(i), .id = "the same"}, into(all[i]));
    }
    with.flush();
    EXPECT_EQ(all[0].where(), first_at(0));
    for (std::size_t i = 1; i < all.size(); ++i) {
        EXPECT_EQ(all[i].where(), again_at(0)) << i;
    }
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("0"));
}

// Promise: dedup.id_kill
TEST_F(client_message_id_test, is_remembered_when_its_message_is_gone) {
    with.ensure_queue("brief/all");
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "brief").where(), first_at(0));
    consumer from = with.open_consumer("brief/all");
    auto taken = from.next(patience);
    ASSERT_TRUE(taken);
    taken->ack_confirmed();
    EXPECT_EQ(publish(other, {.payload = "a", .id = "1"}, "brief").where(), again_at(0));
    EXPECT_THAT(payloads(with, "brief"), IsEmpty());
}

// Promise: dedup.id_kill
TEST_F(client_message_id_test, is_remembered_over_a_kill_and_an_orderly_restart) {
    publish(with, {.payload = "one", .id = "order-1"});
    broker.kill();
    broker.restart();
    EXPECT_EQ(publish(other, {.payload = "one", .id = "order-1"}).where(), again_at(0));
    EXPECT_EQ(publish(other, {.payload = "two", .id = "order-2"}).where(), first_at(1));
    EXPECT_EQ(broker.terminate(), 0);
    broker.restart();
    EXPECT_EQ(publish(with, {.payload = "two", .id = "order-2"}).where(), again_at(1));
    EXPECT_EQ(publish(with, {.payload = "one", .id = "order-1"}).where(), again_at(0));
}

// Promise: dedup.id_kill
TEST_F(client_message_id_test, published_by_two_while_the_broker_is_killed_each_is_stored_once) {
    constexpr std::size_t count = 3000;
    counter acknowledged;
    std::array<std::vector<std::uint64_t>, 2> offsets;
    const auto publish_all = [&](client& by, std::vector<std::uint64_t>& to) {
        to.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto number = std::to_string(i);
            by.submit("orders", {.payload = number, .id = "order-" + number},
                      [&, i](const publish_result& result) {
                          EXPECT_TRUE(result) << result.failure->what();
                          to[i] = result.offset;
                          acknowledged.add();
                      });
        }
        by.flush();
    };
    auto first = std::async(std::launch::async, [&] { publish_all(with, offsets[0]); });
    auto second = std::async(std::launch::async, [&] { publish_all(other, offsets[1]); });
    for (const int at : {500, 2500}) {
        EXPECT_TRUE(acknowledged.reaches(at));
        broker.kill();
        broker.restart();
    }
    first.get();
    second.get();
    EXPECT_EQ(offsets[0], offsets[1]);
    const auto stored = payloads(with, "orders");
    ASSERT_THAT(stored, SizeIs(count));
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(stored[offsets[0][i]], std::to_string(i));
    }
}

// Promise: dedup.id_schedule
TEST_F(client_message_id_test, of_a_schedule_is_that_of_the_first_also_when_it_is_over) {
    const auto first =
        schedule(with, {.payload = "a", .id = "reminder-1"}, schedule_time::after(24h));
    ASSERT_FALSE(first.failure) << first.failure->what();
    EXPECT_FALSE(first.duplicate);
    EXPECT_EQ(
        schedule(other, {.payload = "b", .id = "reminder-1"}, schedule_time::after(1h)).where(),
        again_at(first.offset));
    EXPECT_THAT(admin(with).schedules("orders").schedules, SizeIs(1));
    EXPECT_EQ(admin(with).cancel_schedules("orders", {first.offset}), 1U);
    broker.kill();
    broker.restart();
    EXPECT_EQ(
        schedule(other, {.payload = "c", .id = "reminder-1"}, schedule_time::after(1h)).where(),
        again_at(first.offset));
    EXPECT_THAT(admin(with).schedules("orders").schedules, IsEmpty());

    const auto soon =
        schedule(with, {.payload = "now", .id = "reminder-2"}, schedule_time::after(0s));
    consumer from = with.open_consumer("orders/billing");
    EXPECT_EQ(from.next(patience)->id(), "reminder-2");
    EXPECT_EQ(
        schedule(with, {.payload = "now", .id = "reminder-2"}, schedule_time::after(0s)).where(),
        again_at(soon.offset));
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("now"));
}

TEST_F(client_message_id_test, cannot_be_that_of_a_message_and_of_a_schedule) {
    publish(with, {.payload = "a", .id = "at-once"});
    schedule(with, {.payload = "b", .id = "for-later"}, schedule_time::after(24h));
    const auto later = schedule(with, {.payload = "c", .id = "at-once"}, schedule_time::after(1h));
    ASSERT_TRUE(later.failure);
    EXPECT_EQ(later.failure->code(), broker_errc::invalid_argument);
    EXPECT_THAT(later.failure->what(), AllOf(HasSubstr("orders"), HasSubstr("at-once")));
    try {
        with.publish("orders", {.payload = "d", .id = "for-later"});
        ADD_FAILURE() << "it was published";
    } catch (const error& refused) {
        EXPECT_EQ(refused.code(), broker_errc::invalid_argument);
        EXPECT_THAT(refused.what(), AllOf(HasSubstr("orders"), HasSubstr("for-later")));
    }
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("a"));
}

// Promise: dedup.id_schedule
TEST_F(client_message_id_test, remembered_in_a_transaction_stores_nothing_and_the_rest_is_done) {
    with.ensure_topic("invoices", {.keep_done = 1h});
    const address first = with.publish("invoices", {.payload = "first", .id = "invoice-1"});
    with.publish("orders", {.payload = "order"});
    consumer from = with.open_consumer("orders/billing");
    auto order = from.next(patience);
    ASSERT_TRUE(order);
    transaction all;
    all.publish("invoices", {.payload = "again", .id = "invoice-1"});
    all.publish("invoices", {.payload = "plain"});
    all.publish("invoices", {.payload = "new", .id = "invoice-2"});
    all.publish("invoices", {.payload = "new again", .id = "invoice-2"});
    all.ack(std::move(*order));
    EXPECT_THAT(
        with.commit(all).messages,
        ElementsAre(first, address{"invoices", 1}, address{"invoices", 2}, address{"invoices", 2}));
    EXPECT_THAT(payloads(with, "invoices"), ElementsAre("first", "plain", "new"));
    EXPECT_EQ(admin(with).queue("orders/billing").done, 1U);
    // And what a transaction brought is remembered as well.
    EXPECT_EQ(publish(other, {.payload = "new", .id = "invoice-2"}, "invoices").where(),
              again_at(2));
}

TEST_F(client_message_id_test, without_a_window_is_not_looked_at) {
    set_window(0s);
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}).where(), first_at(0));
    EXPECT_EQ(publish(with, {.payload = "b", .id = "1"}).where(), first_at(1));
    EXPECT_EQ(admin(with).show("orders", 1).message->id, "1");
    EXPECT_EQ(admin(with).topic("orders").settings.message_id_window, 0s);
}

TEST_F(client_message_id_test, a_shorter_window_forgets_and_a_longer_one_brings_nothing_back) {
    publish(with, {.payload = "a", .id = "older"});
    publish(with, {.payload = "b", .id = "newer"});
    set_window(1ms);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (publish(with, {.payload = "c", .id = "newer"}).duplicate) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it is remembered for ever";
    }
    set_window(24h);
    EXPECT_EQ(publish(with, {.payload = "d", .id = "older"}).where(), first_at(3));
    EXPECT_EQ(publish(with, {.payload = "d", .id = "older"}).where(), again_at(3));
}

TEST_F(client_message_id_test, the_result_says_how_safe_a_message_is) {
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}).level, durability_level::disk);
    const auto clicks = with.ensure_topic("clicks", {.durability = durability_level::os});
    EXPECT_TRUE(clicks.created);
    EXPECT_EQ(clicks.settings.durability, durability_level::os);
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "clicks").level, durability_level::os);
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "clicks").where(), again_at(0));
    EXPECT_EQ(publish(with, {.payload = "a", .id = "1"}, "clicks").level, durability_level::os);
    EXPECT_THAT(with.ensure_topic("clicks").differing, ElementsAre("durability"));
    try {
        with.ensure_topic("memory", {.durability = durability_level::memory});
        ADD_FAILURE() << "it was created";
    } catch (const error& refused) {
        EXPECT_EQ(refused.code(), broker_errc::invalid_setting);
        EXPECT_THAT(refused.what(), HasSubstr("durability"));
    }
}

TEST_F(client_message_id_test, an_ephemeral_broker_says_so) {
    support::broker_process passing{{.program = {},
                                     .data_dir = directory / "passing",
                                     .arguments = {"--ephemeral"},
                                     .environment = {}}};
    client to = connect(passing.address());
    to.ensure_topic("orders");
    to.ensure_topic("clicks", {.durability = durability_level::os});
    EXPECT_EQ(publish(to, {.payload = "a"}).level, durability_level::memory);
    EXPECT_EQ(publish(to, {.payload = "a"}, "clicks").level, durability_level::memory);
}

}  // namespace
}  // namespace brokerd::client_integration
