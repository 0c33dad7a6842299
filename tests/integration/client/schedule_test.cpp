// Messages for later: scheduled, listed, cancelled, appended once, whatever happens meanwhile.
#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <system_error>

#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr timestamp far_away = std::chrono::sys_days{std::chrono::year{2100} / 1 / 1};

class client_schedule_test : public client_fixture {
protected:
    void SetUp() override {
        with.ensure_topic("orders", {.keep_done = 1h});
        with.ensure_queue("orders/billing");
    }
    std::vector<schedule_info> listed() { return admin(with).schedules("orders").schedules; }
    // Ids of what is scheduled, the next due first.
    std::vector<std::uint64_t> ids() {
        std::vector<std::uint64_t> out;
        for (const auto& each : listed()) {
            out.push_back(each.id);
        }
        return out;
    }
    // The payload of the next message, which is acked.
    std::string take(consumer& from) {
        auto next = from.next(patience);
        if (!next) {
            ADD_FAILURE() << "no message came";
            return {};
        }
        next->ack();
        return std::string(next->payload());
    }

    client with = connected();
};

TEST_F(client_schedule_test, after_a_delay_it_is_delivered_once) {
    with.schedule("orders", {.key = "42", .payload = "later"}, schedule_time::after(50ms));
    with.publish("orders", {.payload = "now"});
    consumer from = with.open_consumer("orders/billing", {.confirm = true});
    const std::vector<std::string> both{take(from), take(from)};
    EXPECT_THAT(both, UnorderedElementsAre("now", "later"));
    EXPECT_EQ(from.flush().accepted, 2U);
    EXPECT_THAT(listed(), IsEmpty());
    EXPECT_EQ(admin(with).topic("orders").scheduled, 0U);
    EXPECT_THAT(payloads(with, "orders"), SizeIs(2));
}

TEST_F(client_schedule_test, a_time_that_has_passed_and_no_delay_mean_at_once) {
    with.schedule("orders", {.payload = "1970"}, schedule_time::at(timestamp()));
    with.schedule("orders", {.payload = "past"},
                  schedule_time::at(std::chrono::system_clock::now() - 1h));
    with.schedule("orders", {.payload = "none"}, schedule_time::after(0s));
    consumer from = with.open_consumer("orders/billing");
    const std::vector<std::string> all{take(from), take(from), take(from)};
    EXPECT_THAT(all, UnorderedElementsAre("1970", "past", "none"));
    EXPECT_THAT(listed(), IsEmpty());
}

// Promise: schedule.cancel
TEST_F(client_schedule_test, is_listed_in_order_of_due_time) {
    const auto last = with.schedule("orders", {.payload = "3"}, schedule_time::at(far_away + 2s));
    const auto first =
        with.schedule("orders", {.key = "ann", .payload = "1"}, schedule_time::at(far_away));
    const auto second = with.schedule("orders", {.payload = "2"}, schedule_time::at(far_away + 1s));
    EXPECT_THAT(ids(), ElementsAre(first, second, last));
    const schedule_info ann = listed().at(0);
    EXPECT_EQ(ann.due, far_away);
    EXPECT_EQ(ann.messages, 1U);
    EXPECT_GT(ann.bytes, 0U);
    EXPECT_EQ(ann.key, "ann");
    EXPECT_EQ(listed().at(1).key, "");
    const topic_info topic = admin(with).topic("orders");
    EXPECT_EQ(topic.scheduled, 3U);
    EXPECT_GE(topic.scheduled_bytes, 3 * listed().at(1).bytes);
    EXPECT_EQ(topic.next_offset, 0U);
    EXPECT_EQ(topic.messages, 0U);
}

TEST_F(client_schedule_test, pages_follow_each_other) {
    std::vector<std::uint64_t> expected;
    for (int i = 0; i < 5; ++i) {
        // Two of the same time: then the id decides.
        expected.push_back(
            with.schedule("orders", {.payload = "x"}, schedule_time::at(far_away + i / 2 * 1s)));
    }
    std::vector<std::uint64_t> seen;
    schedule_position from;
    for (bool more = true; more;) {
        const schedule_page page = admin(with).schedules("orders", from, 2);
        EXPECT_LE(page.schedules.size(), 2U);
        for (const auto& each : page.schedules) {
            seen.push_back(each.id);
        }
        more = page.more;
        from = page.next;
    }
    EXPECT_EQ(seen, expected);
}

// Promise: schedule.cancel
TEST_F(client_schedule_test, what_is_cancelled_is_gone) {
    const auto kept = with.schedule("orders", {.payload = "k"}, schedule_time::at(far_away));
    const auto gone = with.schedule("orders", {.payload = "g"}, schedule_time::after(24h));
    EXPECT_EQ(admin(with).cancel_schedules("orders", {gone, gone + 1000}), 1U);
    EXPECT_EQ(admin(with).cancel_schedules("orders", {gone}), 0U);
    EXPECT_THAT(ids(), ElementsAre(kept));
    EXPECT_EQ(admin(with).topic("orders").scheduled, 1U);
    // Ids are not used again.
    EXPECT_GT(with.schedule("orders", {.payload = "n"}, schedule_time::at(far_away)), gone);
}

// Promise: schedule.durable
TEST_F(client_schedule_test, survives_a_kill) {
    const auto far = with.schedule("orders", {.payload = "far"}, schedule_time::at(far_away));
    const auto gone = with.schedule("orders", {.payload = "gone"}, schedule_time::at(far_away));
    EXPECT_EQ(admin(with).cancel_schedules("orders", {gone}), 1U);
    with.schedule("orders", {.payload = "soon"}, schedule_time::after(50ms));
    broker.kill();
    broker.restart();
    consumer from = with.open_consumer("orders/billing", {.confirm = true});
    EXPECT_EQ(take(from), "soon");
    EXPECT_EQ(from.flush().accepted, 1U);
    EXPECT_THAT(ids(), ElementsAre(far));
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("soon"));
    EXPECT_GT(with.schedule("orders", {.payload = "new"}, schedule_time::at(far_away)), gone);
}

TEST_F(client_schedule_test, is_stored_once_through_cut_after_cut) {
    constexpr int count = 2000;
    relay network(broker.port());
    client cut_off = connect(network.address());
    std::vector<std::uint64_t> acknowledged;
    for (int i = 0; i < count; ++i) {
        cut_off.schedule("orders", {.payload = std::to_string(i)}, schedule_time::at(far_away),
                         [&](const publish_result& result) {
                             ASSERT_TRUE(result) << result.failure->what();
                             acknowledged.push_back(result.offset);
                         });
        if (i % 500 == 499) {
            network.cut();
        }
    }
    cut_off.flush();
    ASSERT_THAT(acknowledged, SizeIs(count));
    EXPECT_EQ(std::ranges::adjacent_find(acknowledged, std::ranges::greater_equal{}),
              acknowledged.end());
    EXPECT_EQ(admin(with).topic("orders").scheduled, static_cast<std::uint64_t>(count));
}

TEST_F(client_schedule_test, many_become_due_together) {
    constexpr int count = 3000;
    for (int i = 0; i < count; ++i) {
        with.schedule(
            "orders", {.payload = std::to_string(i)}, schedule_time::after(10ms),
            [](const publish_result& result) { EXPECT_TRUE(result) << result.failure->what(); });
    }
    with.flush();
    std::set<std::string> seen;
    const auto handled = with.consume(
        "orders/billing", [&](const message& m) { seen.emplace(m.payload()); }, {.limit = count});
    EXPECT_EQ(handled, static_cast<std::uint64_t>(count));
    EXPECT_THAT(seen, SizeIs(count));
    EXPECT_THAT(listed(), IsEmpty());
}

TEST_F(client_schedule_test, refusals) {
    EXPECT_EQ(code_of([&] { with.schedule("nowhere", {}, schedule_time::after(1s)); }),
              broker_errc::topic_not_found);
    EXPECT_EQ(code_of([&] { with.schedule("a b", {}, schedule_time::after(1s)); }),
              broker_errc::invalid_name);
    EXPECT_EQ(code_of([&] { with.schedule("orders", {}, schedule_time::after(-1s)); }),
              client_errc::invalid_argument);
    EXPECT_EQ(code_of([&] { (void)admin(with).schedules("nowhere"); }),
              broker_errc::topic_not_found);
    EXPECT_EQ(code_of([&] { admin(with).cancel_schedules("nowhere", {1}); }),
              broker_errc::topic_not_found);
    EXPECT_EQ(code_of([&] { admin(with).cancel_schedules("orders", {}); }),
              broker_errc::invalid_argument);
    EXPECT_EQ(code_of([&] {
                  admin(with).cancel_schedules("orders", std::vector<std::uint64_t>(1001, 1));
              }),
              broker_errc::invalid_argument);
}

}  // namespace
}  // namespace brokerd::client_integration
