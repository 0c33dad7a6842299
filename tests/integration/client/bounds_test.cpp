// Bounds of topics: full means refused, with nothing lost and nothing stored twice, until there is
// room; and what becomes of transactions, schedules and ids meanwhile.
#include <atomic>
#include <future>
#include <string>
#include <system_error>
#include <vector>

#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class client_bounds_test : public client_fixture {
protected:
    // Topic orders with queue orders/billing.
    void ensure(const topic_options& settings) {
        EXPECT_TRUE(with.ensure_topic("orders", settings).created);
        with.ensure_queue("orders/billing");
    }
    void set(topic_options settings) { admin(with).set_topic("orders", settings); }
    topic_info info() { return admin(with).topic("orders"); }
    // One after the other: payloads "0", "1", ...
    void fill(int count) {
        for (int i = 0; i < count; ++i) {
            with.publish("orders", {.payload = std::to_string(i)});
        }
    }
    // What a publish is refused with.
    std::error_code refused(const outgoing_message& message) {
        try {
            with.publish("orders", message);
        } catch (const error& failed) {
            why = failed.what();
            EXPECT_EQ(failed.retryable(), failed.code() == broker_errc::topic_full);
            return failed.code();
        }
        return {};
    }
    // The payloads of the next messages, which are acked.
    std::vector<std::string> take(std::uint64_t count) {
        std::vector<std::string> out;
        with.consume("orders/billing", [&](const message& m) { out.emplace_back(m.payload()); },
                     {.limit = count, .confirm = true});
        return out;
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

    client with = connected();
    std::string why;  // of the last refusal
};

TEST_F(client_bounds_test, beyond_the_limit_is_refused_and_taken_again_when_there_is_room) {
    ensure({.max_messages = 3});
    fill(3);
    EXPECT_EQ(info().pending, 3U);
    EXPECT_EQ(refused({.payload = "3"}), broker_errc::topic_full);
    EXPECT_THAT(why, AllOf(HasSubstr("topic orders is full"), HasSubstr("orders/billing"),
                           HasSubstr("brokerctl topic set orders")));
    EXPECT_EQ(info().next_offset, 3U);
    EXPECT_THAT(take(1), ElementsAre("0"));
    EXPECT_EQ(info().pending, 2U);
    EXPECT_EQ(with.publish("orders", {.payload = "3"}), (address{"orders", 3}));
    EXPECT_EQ(refused({.payload = "4"}), broker_errc::topic_full);
    EXPECT_THAT(take(3), ElementsAre("1", "2", "3"));
    EXPECT_EQ(info().pending, 0U);
    EXPECT_EQ(info().dropped, 0U);
}

TEST_F(client_bounds_test, bytes_are_bounded_as_they_were_published) {
    const outgoing_message one{.payload = std::string(1000, 'x')};
    ensure({.max_bytes = 4096});
    with.publish("orders", one);
    const std::uint64_t each = info().pending_bytes;
    EXPECT_GT(each, 1000U);
    EXPECT_EQ(info().bytes, each);
    std::uint64_t taken = 1;
    while (!refused(one)) {
        ++taken;
    }
    EXPECT_THAT(why, HasSubstr("is full"));
    EXPECT_EQ(taken, 4096 / each);
    EXPECT_EQ(info().pending_bytes, taken * each);
    take(1);
    EXPECT_FALSE(refused(one));
    EXPECT_TRUE(refused(one));
    // Such a one would find no room in the empty topic either.
    EXPECT_EQ(refused({.payload = std::string(4096, 'x')}), broker_errc::message_too_large);
}

TEST_F(client_bounds_test, the_slowest_queue_counts_and_without_a_queue_all_do) {
    with.ensure_topic("orders", {.keep_done = 1h, .max_messages = 2});
    fill(2);
    EXPECT_EQ(info().pending, 2U);
    EXPECT_EQ(refused({.payload = "2"}), broker_errc::topic_full);
    with.ensure_queue("orders/billing");
    with.ensure_queue("orders/slow");
    EXPECT_THAT(take(2), ElementsAre("0", "1"));
    EXPECT_EQ(refused({.payload = "2"}), broker_errc::topic_full);
    EXPECT_THAT(why, HasSubstr("orders/slow"));
    admin(with).purge_queue("orders/slow");
    EXPECT_FALSE(refused({.payload = "2"}));
    EXPECT_EQ(info().pending, 1U);
}

// Promise: bounds.kept
TEST_F(client_bounds_test, what_is_done_and_only_kept_gives_way) {
    ensure({.keep_done = 1h, .keep_done_bytes = 1024 * 1024, .max_messages = 3});
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(refused({.payload = std::to_string(i)}));
        EXPECT_THAT(take(1), ElementsAre(std::to_string(i)));
    }
    EXPECT_EQ(info().pending, 0U);
    EXPECT_TRUE(eventually([&] { return info().messages <= 3; }));
    EXPECT_EQ(info().dropped, 0U);
}

TEST_F(client_bounds_test, what_is_done_can_be_kept_by_bytes_however_old_it_is) {
    ensure({.keep_done_bytes = 8 * 1024});
    for (int i = 0; i < 20; ++i) {
        with.publish("orders", {.payload = std::string(1000, 'x')});
    }
    take(20);
    EXPECT_TRUE(eventually([&] { return info().bytes <= 8 * 1024; }));
    EXPECT_GT(info().messages, 0U);
    EXPECT_EQ(info().dropped, 0U);
}

TEST_F(client_bounds_test, are_changed_while_running_and_count_at_once) {
    ensure({.max_messages = 2});
    fill(2);
    EXPECT_EQ(refused({.payload = "2"}), broker_errc::topic_full);
    set({.max_messages = 3});
    EXPECT_FALSE(refused({.payload = "2"}));
    EXPECT_EQ(refused({.payload = "3"}), broker_errc::topic_full);
    // Less than there is: nothing goes, and nothing comes.
    set({.max_messages = 1});
    EXPECT_EQ(info().pending, 3U);
    EXPECT_EQ(refused({.payload = "3"}), broker_errc::topic_full);
    EXPECT_THAT(take(2), ElementsAre("0", "1"));
    EXPECT_EQ(refused({.payload = "3"}), broker_errc::topic_full);
    set({});
    EXPECT_FALSE(refused({.payload = "3"}));
    EXPECT_FALSE(refused({.payload = "4"}));
    EXPECT_THAT(take(3), ElementsAre("2", "3", "4"));
}

TEST_F(client_bounds_test, are_told_where_they_differ_and_checked) {
    ensure({.max_messages = 2, .when_full = overflow_policy::drop_oldest});
    const auto there = with.ensure_topic("orders");
    EXPECT_FALSE(there.created);
    EXPECT_EQ(there.settings.max_messages, 2U);
    EXPECT_THAT(there.differing, testing::UnorderedElementsAre("max_messages", "when_full"));
    const auto impossible = [&](const topic_options& settings) {
        try {
            set(settings);
        } catch (const error& failed) {
            return failed.code();
        }
        return std::error_code();
    };
    EXPECT_EQ(impossible({.max_bytes = 4095}), broker_errc::invalid_setting);
    EXPECT_EQ(impossible({.max_age = 999ms}), broker_errc::invalid_setting);
    EXPECT_EQ(impossible({.when_full = static_cast<overflow_policy>(3)}), broker_errc::malformed)
        << "there is no such number";
    EXPECT_EQ(info().settings.max_messages, 2U);
}

TEST_F(client_bounds_test, of_what_is_published_together_the_results_say_what_is_stored) {
    constexpr std::size_t bound = 4;
    ensure({.max_messages = bound});
    std::vector<std::string> stored;
    int refusals = 0;
    for (int i = 0; i < 100; ++i) {
        with.submit("orders", {.payload = std::to_string(i)},
                    [&, payload = std::to_string(i)](const publish_result& result) {
                        if (result) {
                            EXPECT_EQ(result.offset, stored.size());
                            stored.push_back(payload);
                        } else {
                            EXPECT_EQ(result.failure->code(), broker_errc::topic_full);
                            ++refusals;
                        }
                    });
    }
    with.flush();
    EXPECT_THAT(stored, SizeIs(testing::AllOf(testing::Ge(1U), testing::Le(bound))));
    EXPECT_EQ(refusals, 100 - static_cast<int>(stored.size()));
    EXPECT_EQ(payloads(with, "orders"), stored);
}

TEST_F(client_bounds_test, a_known_id_is_answered_though_the_topic_is_full) {
    ensure({.max_messages = 1});
    const address first = with.publish("orders", {.payload = "a", .id = "order-1"});
    EXPECT_EQ(refused({.payload = "b", .id = "order-2"}), broker_errc::topic_full);
    EXPECT_EQ(with.publish("orders", {.payload = "a", .id = "order-1"}), first);
    take(1);
    // What was refused is not remembered.
    EXPECT_EQ(with.publish("orders", {.payload = "b", .id = "order-2"}), (address{"orders", 1}));
}

TEST_F(client_bounds_test, a_transaction_is_refused_as_a_whole) {
    ensure({.max_messages = 2});
    with.ensure_queue("invoices/mail");
    with.publish("orders", {.payload = "0"});
    with.publish("invoices", {.payload = "asked for"});
    consumer from = with.open_consumer("invoices/mail");
    auto asked = from.next(patience);
    ASSERT_TRUE(asked);
    transaction all;
    all.publish("invoices", {.payload = "invoice"});
    all.publish("orders", {.payload = "1"});
    all.publish("orders", {.payload = "2"});
    all.ack(std::move(*asked));
    const auto code = [&](transaction& what) {
        try {
            with.commit(what);
        } catch (const error& failed) {
            return failed.code();
        }
        return std::error_code();
    };
    EXPECT_EQ(code(all), broker_errc::topic_full);
    EXPECT_FALSE(all.empty());
    EXPECT_EQ(info().next_offset, 1U);
    EXPECT_EQ(admin(with).topic("invoices").next_offset, 1U);
    EXPECT_EQ(admin(with).queue("invoices/mail").leased, 1U);
    EXPECT_THAT(take(1), ElementsAre("0"));
    EXPECT_FALSE(code(all));
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("1", "2"));
    EXPECT_EQ(admin(with).queue("invoices/mail").done, 1U);

    transaction too_much;
    for (int i = 0; i < 3; ++i) {
        too_much.publish("orders", {.payload = "x"});
    }
    EXPECT_EQ(code(too_much), broker_errc::message_too_large);
}

// Promise: bounds.schedules
TEST_F(client_bounds_test, what_is_due_waits_for_room_and_others_do_not) {
    ensure({.max_messages = 1});
    with.ensure_queue("audit/all");
    with.publish("orders", {.payload = "0"});
    const auto id = with.schedule("orders", {.payload = "later"}, schedule_time::after(0s));
    with.schedule("audit", {.payload = "goes on"}, schedule_time::after(0s));
    EXPECT_TRUE(eventually([&] { return admin(with).topic("audit").next_offset == 1; }));
    const auto waiting = admin(with).schedules("orders").schedules;
    ASSERT_THAT(waiting, SizeIs(1));
    EXPECT_EQ(waiting[0].id, id);
    EXPECT_EQ(info().next_offset, 1U);
    EXPECT_THAT(admin(with).health().warnings, testing::Contains(HasSubstr("orders")));
    EXPECT_THAT(take(2), ElementsAre("0", "later"));
    EXPECT_THAT(admin(with).schedules("orders").schedules, IsEmpty());
}

// Promise: bounds.refuse
TEST_F(client_bounds_test, hold_over_a_kill) {
    ensure({.max_messages = 2});
    fill(2);
    EXPECT_EQ(refused({.payload = "2"}), broker_errc::topic_full);
    broker.kill();
    broker.restart();
    EXPECT_EQ(refused({.payload = "2"}), broker_errc::topic_full);
    EXPECT_EQ(info().pending, 2U);
    EXPECT_THAT(take(1), ElementsAre("0"));
    EXPECT_FALSE(refused({.payload = "2"}));
    EXPECT_EQ(refused({.payload = "3"}), broker_errc::topic_full);
    EXPECT_THAT(take(2), ElementsAre("1", "2"));
}

// Who repeats what was refused loses nothing and has nothing twice, whatever the network does.
TEST_F(client_bounds_test, all_that_is_repeated_until_it_is_taken_arrives_once_and_in_order) {
    constexpr int count = 1000;
    constexpr std::uint64_t bound = 20;
    ensure({.max_messages = bound});
    relay network(broker.port());
    std::atomic<int> refusals = 0;
    auto publishing = std::async(std::launch::async, [&] {
        client cut_off = connect(network.address());
        for (int i = 0; i < count; ++i) {
            for (bool taken = false; !taken;) {
                try {
                    cut_off.publish("orders", {.payload = std::to_string(i)});
                    taken = true;
                } catch (const error& failed) {
                    ASSERT_EQ(failed.code(), broker_errc::topic_full);
                    ++refusals;
                }
            }
            if (i % 200 == 199) {
                network.cut();
            }
        }
    });
    // It is full before anybody consumes.
    EXPECT_TRUE(eventually([&] { return refusals > 0; }));
    std::vector<std::string> taken;
    with.consume("orders/billing",
                 [&](const message& m) {
                     taken.emplace_back(m.payload());
                     if (taken.size() % 100 == 0) {
                         EXPECT_LE(info().pending, bound);
                     }
                 },
                 {.limit = count, .confirm = true});
    publishing.get();
    ASSERT_THAT(taken, SizeIs(count));
    for (int i = 0; i < count; ++i) {
        ASSERT_EQ(taken[static_cast<std::size_t>(i)], std::to_string(i));
    }
    EXPECT_EQ(info().next_offset, static_cast<std::uint64_t>(count));
}

}  // namespace
}  // namespace brokerd::client_integration
