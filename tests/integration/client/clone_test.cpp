// Clones of queues: a second version of a service begins where the first one is, and the two go on
// side by side, whatever happens to the broker.
#include <exception>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/this_coro.hpp>

#include "brokerd/async_client.hpp"
#include "tests/integration/client/client_fixture.hpp"

namespace brokerd::client_integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class client_clone_test : public client_fixture {
protected:
    void ensure(std::chrono::microseconds keep_done) {
        with.ensure_topic("orders", {.keep_done = keep_done});
        with.ensure_queue("orders/v1", {.lease = 1h, .attempts = 5});
    }
    // 0 done, 1 dead, 2 retrying, the others ready.
    void work_on_three() {
        publish_numbers(with, "orders", 6);
        with.consume("orders/v1",
                     [](message& m) {
                         if (m.offset() == 1) {
                             m.reject("no such card");
                         } else if (m.offset() == 2) {
                             m.nack(1h, "later");
                         }
                     },
                     {.limit = 3, .confirm = true});
    }
    queue_info info(const char* queue) { return admin(with).queue(queue); }
    void expect(const char* queue, std::uint64_t ready, std::uint64_t leased,
                std::uint64_t retrying, std::uint64_t dead, std::uint64_t done) {
        const queue_info is = info(queue);
        EXPECT_EQ(is.ready, ready);
        EXPECT_EQ(is.leased, leased);
        EXPECT_EQ(is.retrying, retrying);
        EXPECT_EQ(is.dead, dead);
        EXPECT_EQ(is.done, done);
    }
    // The payloads of the next messages, which are acked.
    std::vector<std::string> take(const char* queue, std::uint64_t count) {
        std::vector<std::string> out;
        with.consume(queue, [&](const message& m) { out.emplace_back(m.payload()); },
                     {.limit = count, .confirm = true});
        return out;
    }
    std::pair<std::error_code, std::string> refused(const char* queue, const char* name) {
        try {
            (void)admin(with).clone_queue(queue, name);
        } catch (const error& failed) {
            return {failed.code(), failed.what()};
        }
        return {};
    }

    // Returns when the client is connected again.
    void kill_and_restart() {
        broker.kill();
        broker.restart();
        (void)admin(with).topic("orders");
    }

    client with = connected();
};

TEST_F(client_clone_test, begins_where_the_other_is) {
    ensure(1h);
    work_on_three();
    consumer first = with.open_consumer("orders/v1");
    auto held = first.next(patience);
    ASSERT_TRUE(held);
    const queue_options settings = admin(with).clone_queue("orders/v1", "v2");
    EXPECT_EQ(settings, info("orders/v1").settings);
    expect("orders/v1", 0, 3, 1, 1, 1);
    expect("orders/v2", 3, 0, 1, 1, 1);
    const auto shown = admin(with).show("orders", 2).queues;
    ASSERT_THAT(shown, SizeIs(2));
    EXPECT_EQ(shown[0].due, shown[1].due);
    ASSERT_THAT(shown[1].history, SizeIs(1));
    EXPECT_EQ(shown[1].history[0].reason, "later");
    EXPECT_EQ(shown[1].history[0].consumer, shown[0].history.at(0).consumer);
    EXPECT_EQ(admin(with).dead("orders/v2").messages.at(0).reason, "no such card");

    EXPECT_THAT(take("orders/v2", 3), ElementsAre("3", "4", "5"));
    held->ack_confirmed();
    EXPECT_EQ(info("orders/v1").done, 2U);
    EXPECT_EQ(info("orders/v2").done, 4U);
    with.publish("orders", {.payload = "6"});
    EXPECT_THAT(take("orders/v2", 1), ElementsAre("6"));
}

// Promise: replay.clone_whole
TEST_F(client_clone_test, survives_a_kill) {
    ensure(1h);
    work_on_three();
    admin(with).clone_queue("orders/v1", "v2");
    kill_and_restart();
    expect("orders/v2", 3, 0, 1, 1, 1);
    expect("orders/v1", 3, 0, 1, 1, 1);
    admin(with).clone_queue("orders/v2", "v3");
    expect("orders/v3", 3, 0, 1, 1, 1);
    EXPECT_THAT(admin(with).show("orders", 1).queues.at(2).history, SizeIs(1));
}

TEST_F(client_clone_test, has_what_the_topic_does_not_hold_any_more) {
    ensure(0s);
    work_on_three();
    while (admin(with).topic("orders").first_offset < 3) {
        with.publish("orders", {.payload = "more"});
    }
    kill_and_restart();
    admin(with).clone_queue("orders/v1", "v2");
    admin(with).remove_queue("orders/v1");
    kill_and_restart();
    EXPECT_EQ(admin(with).redrive_dead("orders/v2").messages, 1U);
    consumer from = with.open_consumer("orders/v2");
    bool found = false;
    while (!found) {
        auto next = from.next(patience);
        ASSERT_TRUE(next);
        found = next->payload() == "1";
        next->ack_confirmed();
    }
    EXPECT_EQ(info("orders/v2").dead, 0U);
}

// Promise: replay.clone
TEST_F(client_clone_test, is_right_while_the_other_is_worked_on) {
    ensure(1h);
    constexpr int messages = 6000;
    publish_numbers(with, "orders", messages);
    with.consume("orders/v1",
                 [](message& m) { m.offset() % 2 == 0 ? m.reject("even") : m.nack(1h, "odd"); },
                 {.limit = messages / 2, .confirm = true});
    kill_and_restart();  // what failed is in the store alone
    std::jthread worker([this](const std::stop_token& stop) {
        client other = connected();
        other.consume("orders/v1",
                      [](message& m) { m.offset() % 3 == 0 ? m.reject("late") : m.ack(); },
                      {.stop = stop});
    });
    for (int i = 0; i < 10; ++i) {
        admin(with).clone_queue("orders/v1", "copy" + std::to_string(i));
    }
    worker.request_stop();
    worker.join();
    std::uint64_t done_before = 0;
    for (int i = 0; i < 10; ++i) {
        const queue_info copy = info(("orders/copy" + std::to_string(i)).c_str());
        EXPECT_EQ(copy.retrying, messages / 4U);
        EXPECT_GE(copy.dead, messages / 4U);
        EXPECT_EQ(copy.ready + copy.leased + copy.retrying + copy.dead + copy.done,
                  static_cast<std::uint64_t>(messages));
        EXPECT_GE(copy.done, done_before);
        done_before = copy.done;
        std::uint64_t dead = 0;
        for (dead_page page{.next = 0, .more = true, .messages = {}}; page.more;) {
            page = admin(with).dead(copy.path(), page.next);
            dead += page.messages.size();
            for (const dead_message& each : page.messages) {
                EXPECT_EQ(each.reason, each.offset < messages / 2 ? "even" : "late");
            }
        }
        EXPECT_EQ(dead, copy.dead);
    }
}

TEST_F(client_clone_test, is_refused_where_it_cannot_be) {
    ensure(1h);
    admin(with).clone_queue("orders/v1", "v2");
    const auto exists = refused("orders/v1", "v2");
    EXPECT_EQ(exists.first, broker_errc::queue_exists);
    EXPECT_THAT(exists.second, HasSubstr("choose another name"));
    EXPECT_EQ(refused("orders/v0", "v3").first, broker_errc::queue_not_found);
    EXPECT_EQ(refused("orders/v1", "orders/v3").first, broker_errc::invalid_name);
    std::vector<std::string> names;
    for (const queue_info& each : admin(with).queues("orders")) {
        names.push_back(each.queue);
    }
    EXPECT_THAT(names, UnorderedElementsAre("v1", "v2"));
}

asio::awaitable<void> clone_by_coroutine(std::string server) {
    async_client to{co_await asio::this_coro::executor, server};
    co_await to.ensure_queue("orders/v1");
    const queue_options settings = co_await to.clone_queue("orders/v1", "v2");
    EXPECT_EQ(settings, queue_options{});
    const ensured_queue there = co_await to.ensure_queue("orders/v2");
    EXPECT_FALSE(there.created);
    std::error_code code;
    try {
        co_await to.clone_queue("orders/v1", "v2");
    } catch (const error& failed) {
        code = failed.code();
    }
    EXPECT_EQ(code, broker_errc::queue_exists);
    co_await to.close();
}

TEST_F(client_clone_test, can_be_awaited) {
    asio::io_context context;
    std::exception_ptr failed;
    asio::co_spawn(context, clone_by_coroutine(broker.address()),
                   [&](std::exception_ptr why) { failed = why; });
    context.run_for(patience);
    EXPECT_TRUE(context.stopped()) << "it did not end in time";
    if (failed) {
        std::rethrow_exception(failed);
    }
}

}  // namespace
}  // namespace brokerd::client_integration
