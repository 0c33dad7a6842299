// Topics that drop what is too much or too old: what goes and what stays, in every queue, and that
// all of it is counted.
#include <string>
#include <system_error>
#include <vector>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class client_drops_test : public client_fixture {
protected:
    // Topic positions with queue positions/screen.
    void ensure(const topic_options& settings) {
        EXPECT_TRUE(with.ensure_topic("positions", settings).created);
        with.ensure_queue("positions/screen");
    }
    void publish(int from, int until) {
        for (int i = from; i < until; ++i) {
            with.publish("positions", {.payload = std::to_string(i)});
        }
    }
    topic_info info() { return admin(with).topic("positions"); }
    queue_info queue(const char* name = "positions/screen") { return admin(with).queue(name); }
    // The payloads of the next messages, which are acked.
    std::vector<std::string> take(std::uint64_t count, const char* name = "positions/screen") {
        std::vector<std::string> out;
        with.consume(name, [&](const message& m) { out.emplace_back(m.payload()); },
                     {.limit = count, .confirm = true});
        return out;
    }
    double stat_of(const char* name) {
        for (const stat& each : admin(with).stats()) {
            if (each.name == name) {
                return each.value;
            }
        }
        ADD_FAILURE() << "no " << name;
        return -1;
    }
    static bool eventually(const auto& is_so) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!is_so()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
        }
        return true;
    }

    const topic_options last_three{
        .max_messages = 3, .when_full = overflow_policy::drop_oldest, .priorities = 1};
    client with = connected();
};

TEST_F(client_drops_test, the_oldest_make_room_and_are_counted) {
    ensure(last_three);
    publish(0, 3);
    EXPECT_EQ(info().dropped, 0U);
    EXPECT_EQ(info().last_dropped, no_timestamp);
    const auto before = std::chrono::system_clock::now() - 1s;
    publish(3, 5);
    const topic_info topic = info();
    EXPECT_EQ(topic.pending, 3U);
    EXPECT_EQ(topic.dropped, 2U);
    EXPECT_GT(topic.dropped_bytes, 0U);
    EXPECT_GT(topic.last_dropped, before);
    EXPECT_LT(topic.last_dropped, no_timestamp);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(stat_of("dropped_messages_total"), 2);
    EXPECT_THAT(admin(with).health().warnings, Contains(HasSubstr("positions")));
    EXPECT_TRUE(eventually([&] { return info().first_offset == 2; }));
    EXPECT_THAT(take(3), ElementsAre("2", "3", "4"));
    EXPECT_EQ(info().dropped, 2U);
}

TEST_F(client_drops_test, what_comes_together_is_taken_and_the_last_of_it_stay) {
    ensure(last_three);
    publish_numbers(with, "positions", 1000);
    EXPECT_EQ(queue().ready, 3U);
    EXPECT_EQ(info().dropped, 997U);
    EXPECT_THAT(take(3), ElementsAre("997", "998", "999"));
}

TEST_F(client_drops_test, each_queue_counts_what_it_was_not_done_with) {
    ensure(last_three);
    with.ensure_queue("positions/fast");
    publish(0, 3);
    EXPECT_THAT(take(2, "positions/fast"), ElementsAre("0", "1"));
    publish(3, 6);
    EXPECT_EQ(queue("positions/screen").dropped, 3U);
    EXPECT_EQ(queue("positions/fast").dropped, 1U);
    EXPECT_EQ(info().dropped, 3U);
    // Nobody misses what every queue is done with.
    take(3, "positions/fast");
    take(3, "positions/screen");
    publish(6, 9);
    EXPECT_EQ(info().dropped, 3U);
}

TEST_F(client_drops_test, a_topic_without_a_queue_drops_likewise) {
    with.ensure_topic("positions", last_three);
    publish(0, 5);
    EXPECT_EQ(info().dropped, 2U);
    EXPECT_EQ(info().pending, 3U);
    with.ensure_queue("positions/screen");
    EXPECT_THAT(take(3), ElementsAre("2", "3", "4"));
    EXPECT_EQ(queue().dropped, 0U);
}

TEST_F(client_drops_test, leases_of_what_goes_end_and_what_failed_stays) {
    ensure(last_three);
    publish(0, 3);
    consumer from = with.open_consumer("positions/screen", {.prefetch_messages = 3});
    auto retrying = from.next(patience);
    auto dead = from.next(patience);
    auto leased = from.next(patience);
    ASSERT_TRUE(retrying && dead && leased);
    retrying->nack(1h, "no screen");
    dead->reject("no such ship");
    EXPECT_TRUE(eventually([&] { return queue().retrying == 1 && queue().dead == 1; }));
    publish(3, 6);
    try {
        leased->ack_confirmed();
        ADD_FAILURE() << "its lease did not end";
    } catch (const error& failed) {
        EXPECT_EQ(failed.code(), broker_errc::lease_gone);
    }
    EXPECT_EQ(queue().dropped, 1U);
    EXPECT_EQ(info().dropped, 1U);
    EXPECT_EQ(queue().retrying, 1U);
    EXPECT_EQ(queue().dead, 1U);
    publish(6, 9);
    from.close();
    EXPECT_EQ(admin(with).redrive_dead("positions/screen").messages, 1U);
    EXPECT_THAT(take(4), testing::UnorderedElementsAre("1", "6", "7", "8"));
    EXPECT_EQ(queue().retrying, 1U);
}

TEST_F(client_drops_test, a_topic_that_is_set_to_drop_does_so_at_once) {
    ensure({});
    publish(0, 10);
    EXPECT_EQ(info().pending, 10U);
    admin(with).set_topic("positions", last_three);
    EXPECT_TRUE(eventually([&] { return info().pending == 3; }));
    EXPECT_EQ(info().dropped, 7U);
    EXPECT_THAT(take(3), ElementsAre("7", "8", "9"));
}

TEST_F(client_drops_test, what_is_too_old_goes_without_a_publish) {
    ensure({.keep_done = 1h});
    publish(0, 1);
    take(1);
    publish(1, 3);
    admin(with).set_topic("positions", {.keep_done = 1h, .max_age = 1s});
    EXPECT_TRUE(eventually([&] { return info().messages == 0; }));
    // The first one was done, and only kept.
    EXPECT_EQ(info().dropped, 2U);
    EXPECT_EQ(queue().dropped, 2U);
    EXPECT_EQ(queue().ready, 0U);
    EXPECT_EQ(info().first_offset, 3U);
    EXPECT_EQ(with.publish("positions", {.payload = "3"}), (address{"positions", 3}));
}

TEST_F(client_drops_test, what_comes_later_grows_too_old_as_well) {
    ensure({.max_age = 1s});
    for (int i = 0; i < 2; ++i) {
        publish(i, i + 1);
        EXPECT_TRUE(eventually([&] { return info().messages == 0; }));
    }
    EXPECT_EQ(queue().dropped, 2U);
}

// Promise: bounds.counted
TEST_F(client_drops_test, bounds_and_counts_survive_a_kill) {
    ensure(last_three);
    publish(0, 5);
    const topic_info before = info();
    broker.kill();
    broker.restart();
    const topic_info after = info();
    EXPECT_EQ(after.settings, last_three);
    EXPECT_EQ(after.dropped, 2U);
    EXPECT_EQ(after.dropped_bytes, before.dropped_bytes);
    EXPECT_EQ(after.last_dropped, before.last_dropped);
    EXPECT_EQ(after.pending, 3U);
    EXPECT_EQ(queue().dropped, 2U);
    publish(5, 6);
    EXPECT_EQ(info().dropped, 3U);
    EXPECT_EQ(queue().dropped, 3U);
    EXPECT_THAT(take(3), ElementsAre("3", "4", "5"));
}

TEST_F(client_drops_test, age_goes_on_while_no_broker_runs_and_over_starts) {
    ensure({.max_age = 1s});
    publish(0, 2);
    broker.kill();
    broker.restart();
    EXPECT_TRUE(eventually([&] { return info().messages == 0; }));
    EXPECT_EQ(info().dropped, 2U);
    EXPECT_EQ(broker.terminate(), 0);
    broker.restart();
    EXPECT_EQ(info().dropped, 2U);
    EXPECT_EQ(queue().ready, 0U);
}

}  // namespace
}  // namespace brokerd::client_integration
