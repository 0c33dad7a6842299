// Times to live: what is over is not delivered and becomes done or dead, from the append on,
// whoever published it how; what is leased stays, and what was redriven lives on.
#include <chrono>
#include <system_error>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::Optional;
using testing::SizeIs;

class client_ttl_test : public client_fixture {
protected:
    void ensure(const queue_options& settings = {}) {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_queue("orders/billing", settings);
    }
    queue_info info() { return admin(with).queue("orders/billing"); }

    // Counts follow within a second.
    [[nodiscard]] bool are_done(std::uint64_t count) {
        return comes_true([&] { return info().done == count; });
    }
    // The time to live of a stored message is over.
    [[nodiscard]] bool is_over(const address& at) {
        const stored_message stored = *admin(with).show(at.topic, at.offset).message;
        return comes_true(
            [&] { return std::chrono::system_clock::now() > stored.time + *stored.ttl; });
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
    void set_topic_ttl(std::chrono::microseconds ttl) {
        auto settings = admin(with).topic("orders").settings;
        settings.ttl = ttl;
        admin(with).set_topic("orders", settings);
    }

    client with = connected();
};

TEST_F(client_ttl_test, what_is_over_is_not_delivered) {
    ensure();
    const address at = with.publish("orders", {.payload = "short", .ttl = 1us});
    with.publish("orders", {.payload = "long", .ttl = 1h});
    with.publish("orders", {.payload = "for ever"});
    ASSERT_TRUE(is_over(at));
    // At once, not only when the counts have followed.
    consumer from = with.open_consumer("orders/billing");
    EXPECT_EQ(take(from), "long");
    EXPECT_EQ(take(from), "for ever");
    EXPECT_TRUE(are_done(3));
    EXPECT_EQ(info().ready, 0U);
}

TEST_F(client_ttl_test, becomes_done_without_any_consumer) {
    ensure();
    with.publish("orders", {.payload = "a", .ttl = 1ms});
    with.publish("orders", {.payload = "b", .ttl = 20ms});
    with.publish("orders", {.payload = "c"});
    EXPECT_TRUE(are_done(2));
    EXPECT_EQ(info().ready, 1U);
    EXPECT_EQ(info().dead, 0U);
    // Whoever looks sees the log as it is.
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("a", "b", "c"));
    const auto shown = admin(with).show("orders", 0);
    EXPECT_EQ(shown.queues.at(0).state, delivery_state::done);
    EXPECT_THAT(shown.message->ttl, Optional(1ms));
    EXPECT_EQ(admin(with).show("orders", 2).message->ttl, std::nullopt);
}

TEST_F(client_ttl_test, becomes_dead_where_the_queue_says_so_and_lives_on_when_redriven) {
    ensure({.on_expiry = expiry_policy::dead});
    with.ensure_queue("orders/other");
    with.publish("orders", {.payload = "late", .ttl = 1ms});
    ASSERT_TRUE(comes_true([&] { return info().dead == 1; }));
    const auto dead = admin(with).dead("orders/billing").messages;
    ASSERT_THAT(dead, SizeIs(1));
    EXPECT_EQ(dead[0].reason, "ttl expired");
    EXPECT_EQ(dead[0].attempts, 0U);
    const auto past = history(with, "orders", 0);
    ASSERT_THAT(past, SizeIs(1));
    EXPECT_EQ(past[0].outcome, attempt_end::ttl_expired);
    ASSERT_TRUE(comes_true([&] { return admin(with).queue("orders/other").done == 1; }));

    EXPECT_EQ(admin(with).redrive_dead("orders/billing").messages, 1U);
    consumer from = with.open_consumer("orders/billing");
    auto again = from.next(patience);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->payload(), "late");
    EXPECT_EQ(again->attempt(), 1U);
    EXPECT_THAT(again->ttl(), Optional(1ms));
    again->ack_confirmed();
    EXPECT_EQ(info().dead, 0U);
}

TEST_F(client_ttl_test, of_a_topic_holds_for_stored_messages_without_one_of_their_own) {
    ensure();
    with.publish("orders", {.payload = "as the topic says"});
    with.publish("orders", {.payload = "longer", .ttl = 1h});
    EXPECT_EQ(info().ready, 2U);
    set_topic_ttl(1ms);
    ASSERT_TRUE(are_done(1));
    with.publish("orders", {.payload = "new"});
    ASSERT_TRUE(are_done(2));
    set_topic_ttl(0s);
    with.publish("orders", {.payload = "newer"});
    consumer from = with.open_consumer("orders/billing");
    EXPECT_EQ(take(from), "longer");
    EXPECT_EQ(take(from), "newer");
}

TEST_F(client_ttl_test, of_a_topic_may_be_longer_than_that_of_a_message) {
    ensure();
    set_topic_ttl(1h);
    with.publish("orders", {.payload = "shorter", .ttl = 1ms});
    with.publish("orders", {.payload = "as the topic says"});
    EXPECT_TRUE(are_done(1));
    EXPECT_EQ(info().ready, 1U);
}

TEST_F(client_ttl_test, goes_with_a_schedule) {
    ensure();
    with.schedule("orders", {.payload = "too late", .ttl = 1ms}, schedule_time::after(10ms));
    EXPECT_TRUE(are_done(1));
    EXPECT_EQ(admin(with).topic("orders").next_offset, 1U);
}

TEST_F(client_ttl_test, goes_with_batches_and_transactions) {
    constexpr int count = 100;
    ensure();
    for (int i = 0; i < count; ++i) {
        outgoing_message each{.payload = std::to_string(i)};
        if (i % 2 == 0) {
            each.ttl = 1ms;
        }
        with.submit("orders", each, [](const publish_result& result) {
            EXPECT_TRUE(result) << result.failure->what();
        });
    }
    with.flush();
    transaction all;
    all.publish("orders", {.payload = "short", .ttl = 1ms});
    all.publish("orders", {.payload = "long", .ttl = 1h});
    EXPECT_THAT(with.commit(all).messages, SizeIs(2));
    ASSERT_TRUE(are_done(count / 2 + 1));
    consumer from = with.open_consumer("orders/billing");
    for (int i = 1; i < count; i += 2) {
        EXPECT_EQ(take(from), std::to_string(i));
    }
    EXPECT_EQ(take(from), "long");
}

TEST_F(client_ttl_test, takes_no_leased_message_away) {
    ensure();
    consumer from = with.open_consumer("orders/billing");
    with.publish("orders", {.payload = "held"});
    auto held = from.next(patience);
    ASSERT_TRUE(held);
    set_topic_ttl(1us);
    // Where this one is done, the other was looked at, too.
    with.ensure_queue("orders/other", {}, log_position::latest());
    with.publish("orders", {.payload = "later", .ttl = 1ms});
    ASSERT_TRUE(comes_true([&] { return admin(with).queue("orders/other").done == 1; }));
    EXPECT_EQ(admin(with).show("orders", 0).queues.at(0).state, delivery_state::leased);
    EXPECT_NO_THROW(held->ack_confirmed());
}

TEST_F(client_ttl_test, survives_a_kill) {
    ensure({.on_expiry = expiry_policy::dead});
    with.publish("orders", {.payload = "short", .ttl = 1ms});
    with.publish("orders", {.payload = "long", .ttl = 1h});
    broker.kill();
    broker.restart();
    EXPECT_TRUE(comes_true([&] { return info().dead == 1; }));
    EXPECT_EQ(info().settings.on_expiry, expiry_policy::dead);
    consumer from = with.open_consumer("orders/billing");
    EXPECT_EQ(take(from), "long");
}

TEST_F(client_ttl_test, settings_that_differ_are_named) {
    with.ensure_topic("orders", {.ttl = 1h});
    with.ensure_queue("orders/billing", {.on_expiry = expiry_policy::dead});
    const auto topic = with.ensure_topic("orders", {.ttl = 2h});
    EXPECT_EQ(topic.settings.ttl, 1h);
    EXPECT_THAT(topic.differing, ElementsAre("ttl"));
    const auto queue = with.ensure_queue("orders/billing", {});
    EXPECT_EQ(queue.settings.on_expiry, expiry_policy::dead);
    EXPECT_THAT(queue.differing, ElementsAre("on_expiry"));
}

TEST_F(client_ttl_test, refusals) {
    ensure();
    const outgoing_message over{.payload = "x", .ttl = 0s};
    EXPECT_EQ(code_of([&] { with.publish("orders", over); }), client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { with.submit("orders", over, nullptr); }),
              client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { with.schedule("orders", over, schedule_time::after(1s)); }),
              client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { set_topic_ttl(-1s); }), broker_errc::invalid_setting);
    EXPECT_EQ(code_of([&] { set_topic_ttl(24h * 366 * 100); }), broker_errc::invalid_setting);
}

}  // namespace
}  // namespace brokerd::client_integration
