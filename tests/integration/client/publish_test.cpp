// Publishing and reading back.
#include <atomic>
#include <future>
#include <thread>

#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class client_publish_test : public client_fixture {
protected:
    client with = connected();
    ensured_topic topic = with.ensure_topic("orders", {.keep_done = 1h});
};

TEST_F(client_publish_test, one_after_the_other_gets_ascending_addresses) {
    EXPECT_EQ(to_string(with.publish("orders", {.payload = "a"})), "orders@0");
    EXPECT_EQ(with.publish("orders", {.payload = "b"}).offset, 1U);
    EXPECT_EQ(with.publish_async("orders", {.payload = "c"}).get().offset, 2U);
    EXPECT_THAT(payloads(with, "orders"), ElementsAre("a", "b", "c"));
}

TEST_F(client_publish_test, keys_headers_and_any_bytes_come_back) {
    const std::string bytes("\0\xFF\n", 3);
    with.publish("orders",
                 {.key = "42", .headers = {{"trace", "x1"}, {"b", ""}}, .payload = bytes});
    reader from = with.open_reader("orders");
    const auto message = from.next();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->key, "42");
    EXPECT_THAT(message->headers, ElementsAre(header("trace", "x1"), header("b", "")));
    EXPECT_EQ(message->payload, bytes);
    EXPECT_GT(message->time, timestamp());
}

// Promise: delivery.order
TEST_F(client_publish_test, ten_thousand_in_flight_come_back_in_order) {
    constexpr int count = 10'000;
    std::vector<std::uint64_t> offsets;
    for (int i = 0; i < count; ++i) {
        with.submit("orders", {.payload = std::to_string(i)}, [&](const publish_result& result) {
            ASSERT_TRUE(result);
            offsets.push_back(result.offset);
        });
    }
    with.flush();
    ASSERT_THAT(offsets, SizeIs(count));
    for (std::uint64_t i = 0; i < count; ++i) {
        ASSERT_EQ(offsets[i], i);
    }
    const auto stored = payloads(with, "orders");
    ASSERT_THAT(stored, SizeIs(count));
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(stored[i], std::to_string(i));
    }
}

TEST_F(client_publish_test, many_threads_share_one_client) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100; ++i) {
                with.publish("orders", {.payload = std::to_string(t * 100 + i)});
            }
        });
    }
    threads.clear();
    const auto stored = payloads(with, "orders");
    EXPECT_THAT(stored, SizeIs(400));
    EXPECT_THAT(std::set(stored.begin(), stored.end()), SizeIs(400));
}

// Promise: client.back_pressure
TEST_F(client_publish_test, no_more_is_in_flight_than_allowed) {
    client narrow = connected({.in_flight_messages = 10});
    std::atomic<int> in_flight = 0;
    for (int i = 0; i < 1000; ++i) {
        narrow.submit("orders", {.payload = "x"}, [&](const publish_result&) { --in_flight; });
        // What returned has room; its callback may be late by those of the batch that made room.
        EXPECT_LE(++in_flight, 20);
    }
    narrow.flush();
    EXPECT_EQ(in_flight, 0);
    EXPECT_THAT(payloads(with, "orders"), SizeIs(1000));
}

// Promise: client.fails_alone
TEST_F(client_publish_test, one_message_too_large_fails_alone) {
    with.ensure_topic("small", {.max_message_bytes = 1000});
    std::vector<std::future<address>> results;
    for (int i = 0; i < 9; ++i) {
        results.push_back(
            with.publish_async("small", {.payload = std::string(i == 4 ? 2000 : 10, 'x')}));
    }
    int stored = 0;
    int refused = 0;
    for (auto& each : results) {
        try {
            (void)each.get();
            ++stored;
        } catch (const error& failed) {
            EXPECT_EQ(failed.code(), broker_errc::message_too_large);
            ++refused;
        }
    }
    EXPECT_EQ(stored, 8);
    EXPECT_EQ(refused, 1);
}

TEST_F(client_publish_test, more_bytes_than_the_credit_arrive) {
    with.ensure_topic("large", {.keep_done = 1h, .max_message_bytes = 1024 * 1024});
    std::vector<std::future<address>> results;
    for (int i = 0; i < 12; ++i) {
        results.push_back(with.publish_async("large", {.payload = std::string(1000 * 1000, 'x')}));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
        EXPECT_EQ(results[i].get().offset, i);
    }
}

TEST_F(client_publish_test, a_reader_waits_for_what_comes) {
    reader from = with.open_reader("orders", log_position::latest());
    EXPECT_FALSE(from.next(0s));
    auto next = std::async(std::launch::async, [&] { return from.next(patience); });
    with.publish("orders", {.payload = "new"});
    const auto message = next.get();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->payload, "new");
    EXPECT_FALSE(from.next(1ms));
}

TEST_F(client_publish_test, a_reader_seeks) {
    publish_numbers(with, "orders", 10);
    reader from = with.open_reader("orders", log_position::at_offset(7));
    EXPECT_EQ(from.next()->payload, "7");
    from.seek(log_position::at_offset(2));
    EXPECT_EQ(from.next()->payload, "2");
    EXPECT_EQ(from.position(), 3U);
}

}  // namespace
}  // namespace brokerd::client_integration
