// Requests and replies against the real broker: who replies, what is said when nobody does, what a
// lost connection does to either side, and that none of it touches the disk.
#include <csignal>
#include <functional>
#include <future>
#include <latch>
#include <stop_token>
#include <thread>
#include <utility>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>

#include "brokerd/async_client.hpp"
#include "tests/integration/client/client_fixture.hpp"
#include "tests/integration/client/relay.hpp"

namespace brokerd::client_integration {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using handler = std::function<outgoing_message(const service_request&)>;

outgoing_message echo(const service_request& asked) {
    return {.key = asked.key, .headers = asked.headers, .payload = asked.payload};
}

// A responder on a thread of its own, until it goes.
class served {
public:
    served(client& with, handler handle, serve_options options = {},
           const std::string& service = "prices") {
        options.stop = stop_.get_token();
        done_ =
            std::async(std::launch::async, [&with, handle = std::move(handle), options, service] {
                return with.serve(service, handle, options);
            });
    }
    ~served() {
        if (done_.valid()) {
            stop();
        }
    }
    // How many requests it has handled.
    std::uint64_t stop() {
        stop_.request_stop();
        return done_.get();
    }
    std::uint64_t wait() { return done_.get(); }

private:
    std::stop_source stop_;
    std::future<std::uint64_t> done_;
};

// Lets handlers go on that wait for `over`: when it is told to, or at the end of the test, also
// where an assertion or an exception ends it. To be declared behind the `served` they belong to,
// which waits for them.
class released_at_end {
public:
    explicit released_at_end(std::latch& over) : over_(over) {}
    ~released_at_end() { now(); }
    released_at_end(const released_at_end&) = delete;
    released_at_end& operator=(const released_at_end&) = delete;
    void now() {
        if (!std::exchange(done_, true)) {
            over_.count_down();
        }
    }

private:
    std::latch& over_;
    bool done_ = false;
};

// Requests that have come to a handler, which echoes them when it may go on.
struct held_requests {
    // Holds those with this payload; none: all.
    [[nodiscard]] handler holding(const std::string& payload = {}) {
        return [this, payload](const service_request& asked) {
            arrived.add();
            if (payload.empty() || asked.payload == payload) {
                over.wait();
            }
            return echo(asked);
        };
    }

    counter arrived;
    std::latch over{1};
};

class client_services_test : public client_fixture {
protected:
    // Until the broker knows so many responders.
    void wait_for_responders(std::uint32_t count) {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < until) {
            std::uint32_t there = 0;
            for (const service_info& each : admin(with).services()) {
                there += each.responders;
            }
            if (there == count) {
                return;
            }
            std::this_thread::yield();
        }
        FAIL() << "not " << count << " responders within patience";
    }
    std::error_code code_of(std::future<service_reply> asked) {
        try {
            (void)asked.get();
        } catch (const error& failed) {
            text = failed.what();
            return failed.code();
        }
        return {};
    }
    std::error_code code_of_request(std::chrono::microseconds timeout = patience) {
        return code_of(with.request_async("prices", {.payload = "x"}, {.timeout = timeout}));
    }
    double stat_of(const std::string& name) {
        for (const stat& each : admin(with).stats()) {
            if (each.name == name) {
                return each.value;
            }
        }
        ADD_FAILURE() << "no counter " << name;
        return 0;
    }

    client with = connected({.client_name = "asker@here:1"});
    client other = connected({.client_name = "responder@here:2"});
    std::string text;
};

TEST_F(client_services_test, a_request_gets_the_reply_of_a_responder) {
    std::string requester;
    served one(other, [&](const service_request& asked) {
        requester = asked.requester;
        EXPECT_EQ(asked.service, "prices");
        EXPECT_GT(asked.deadline, std::chrono::steady_clock::now());
        return echo(asked);
    });
    wait_for_responders(1);
    const service_reply reply = with.request(
        "prices", {.key = "k", .headers = {{"a", "b"}}, .payload = "apples?"}, {.timeout = 5s});
    EXPECT_EQ(reply.payload, "apples?");
    EXPECT_EQ(reply.key, "k");
    EXPECT_EQ(reply.headers, (std::vector<header>{{"a", "b"}}));
    EXPECT_EQ(reply.responder, "responder@here:2");
    EXPECT_EQ(one.stop(), 1U);
    EXPECT_EQ(requester, "asker@here:1");
    EXPECT_THAT(admin(with).services(), IsEmpty()) << "nothing is left";
}

TEST_F(client_services_test, why_there_is_no_reply_is_said_at_once) {
    EXPECT_EQ(code_of_request(), broker_errc::no_responder);
    served one(other, [](const service_request&) -> outgoing_message {
        throw std::runtime_error("sold out");
    });
    wait_for_responders(1);
    EXPECT_EQ(code_of_request(), broker_errc::request_failed);
    EXPECT_THAT(text, HasSubstr("sold out"));
    EXPECT_THROW(with.request("no..name", {}), error);
}

// Promise: service.nothing_left
TEST_F(client_services_test, nothing_of_it_waits_for_the_disk) {
    served one(other, echo);
    wait_for_responders(1);
    const double before = stat_of("commits_total");
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(with.request("prices", {.payload = std::to_string(i)}).payload,
                  std::to_string(i));
    }
    EXPECT_EQ(stat_of("commits_total"), before);
    EXPECT_EQ(stat_of("replied_requests_total"), 200);
}

// Promise: service.share
TEST_F(client_services_test, responders_share_the_requests) {
    client third = connected({.client_name = "responder@here:3"});
    held_requests held;
    served one(other, held.holding(), {.prefetch = 1});
    served two(third, held.holding(), {.prefetch = 1});
    released_at_end handlers(held.over);
    wait_for_responders(2);
    auto first = with.request_async("prices", {.payload = "1"}, {.timeout = patience});
    auto second = with.request_async("prices", {.payload = "2"}, {.timeout = patience});
    ASSERT_TRUE(held.arrived.reaches(2)) << "each has one";
    handlers.now();
    EXPECT_THAT((std::vector{first.get().responder, second.get().responder}),
                UnorderedElementsAre("responder@here:2", "responder@here:3"));
}

// Promise: service.one_answer
TEST_F(client_services_test, each_of_many_gets_its_own_reply) {
    served one(other, echo, {.concurrency = 4});
    served two(with, echo, {.concurrency = 2, .prefetch = 100});
    wait_for_responders(2);
    std::vector<std::future<service_reply>> all;
    for (int i = 0; i < 5000; ++i) {
        all.push_back(
            with.request_async("prices", {.payload = std::to_string(i)}, {.timeout = patience}));
    }
    for (int i = 0; i < 5000; ++i) {
        EXPECT_EQ(all[static_cast<std::size_t>(i)].get().payload, std::to_string(i));
    }
    EXPECT_EQ(one.stop() + two.stop(), 5000U);
    EXPECT_THAT(admin(with).services(), IsEmpty());
}

TEST_F(client_services_test, at_the_deadline_whoever_asked_waits_no_longer) {
    held_requests held;
    served one(other, held.holding(), {.prefetch = 1});
    released_at_end handlers(held.over);
    wait_for_responders(1);
    // So long that one is in progress when the other's time is over, also where all is slow.
    auto has_it = with.request_async("prices", {}, {.timeout = 3s});
    ASSERT_TRUE(held.arrived.reaches(1));
    auto waits = with.request_async("prices", {}, {.timeout = 1s});
    EXPECT_EQ(code_of(std::move(waits)), broker_errc::busy);
    EXPECT_THAT(text, HasSubstr("nothing was done"));
    EXPECT_EQ(code_of(std::move(has_it)), broker_errc::deadline_exceeded);
    EXPECT_THAT(text, HasSubstr("may have done"));
    handlers.now();
    EXPECT_EQ(code_of_request(), std::error_code()) << "the late reply was dropped";
}

// Promise: service.at_once
TEST_F(client_services_test, a_lost_responder_is_told_at_once_and_comes_back) {
    relay network(broker.port());
    client far = connect(network.address());
    held_requests held;
    served one(far, held.holding("first"));
    released_at_end handlers(held.over);
    wait_for_responders(1);
    auto asked = with.request_async("prices", {.payload = "first"}, {.timeout = patience});
    ASSERT_TRUE(held.arrived.reaches(1));
    network.cut();
    EXPECT_EQ(code_of(std::move(asked)), broker_errc::responder_gone);
    handlers.now();
    wait_for_responders(1);
    EXPECT_EQ(with.request("prices", {.payload = "second"}).payload, "second");
    EXPECT_EQ(one.stop(), 2U);
}

TEST_F(client_services_test, a_lost_requester_does_not_know_and_leaves_nothing) {
    relay network(broker.port());
    client far = connect(network.address());
    held_requests held;
    served one(other, held.holding("lost"));
    released_at_end handlers(held.over);
    wait_for_responders(1);
    auto asked = far.request_async("prices", {.payload = "lost"}, {.timeout = patience});
    ASSERT_TRUE(held.arrived.reaches(1));
    network.cut();
    EXPECT_EQ(code_of(std::move(asked)), client_errc::outcome_unknown);
    handlers.now();
    EXPECT_EQ(with.request("prices", {.payload = "next"}).payload, "next");
    EXPECT_EQ(held.arrived.value(), 2) << "it was not sent again";
    EXPECT_EQ(admin(with).services().at(0).in_progress, 0U);
}

TEST_F(client_services_test, responders_outlive_a_restart_of_the_broker) {
    served one(other, echo);
    wait_for_responders(1);
    EXPECT_EQ(with.request("prices", {.payload = "before"}).payload, "before");
    broker.kill();
    broker.restart();
    wait_for_responders(1);
    EXPECT_EQ(with.request("prices", {.payload = "after"}).payload, "after");
    EXPECT_EQ(one.stop(), 2U);
}

TEST_F(client_services_test, who_stops_replies_to_what_has_arrived) {
    held_requests held;
    served one(other, held.holding(), {.prefetch = 3});
    released_at_end handlers(held.over);
    wait_for_responders(1);
    std::vector<std::future<service_reply>> all;
    for (int i = 0; i < 3; ++i) {
        all.push_back(with.request_async("prices", {}, {.timeout = patience}));
    }
    ASSERT_TRUE(held.arrived.reaches(1));
    const auto until = std::chrono::steady_clock::now() + patience;
    while (admin(with).services().at(0).in_progress < 3) {
        ASSERT_LT(std::chrono::steady_clock::now(), until);
        std::this_thread::yield();
    }
    auto stopped = std::async(std::launch::async, [&] { return one.stop(); });
    handlers.now();
    for (auto& each : all) {
        EXPECT_EQ(code_of(std::move(each)), std::error_code());
    }
    EXPECT_EQ(stopped.get(), 3U);
    EXPECT_EQ(code_of_request(), broker_errc::no_responder);
}

TEST_F(client_services_test, closing_the_client_ends_serving) {
    served one(other, echo);
    wait_for_responders(1);
    EXPECT_EQ(code_of_request(), std::error_code());
    other.close();
    EXPECT_EQ(one.wait(), 1U);
    EXPECT_EQ(code_of_request(), broker_errc::no_responder);
}

TEST_F(client_services_test, a_shut_down_waits_for_the_reply) {
    counter draining;
    client_options options;
    options.on_event = [&](const connection_event& event) {
        if (event.what == connection_event::kind::draining) {
            draining.add();
        }
    };
    client watching = connected(options);
    held_requests held;
    served one(other, held.holding());
    released_at_end handlers(held.over);
    wait_for_responders(1);
    auto asked = watching.request_async("prices", {.payload = "x"}, {.timeout = patience});
    ASSERT_TRUE(held.arrived.reaches(1));
    broker.signal(SIGTERM);
    ASSERT_TRUE(draining.reaches(1));
    handlers.now();
    EXPECT_EQ(asked.get().payload, "x");
    EXPECT_EQ(broker.wait(), 0);
}

TEST_F(client_services_test, who_stops_before_the_first_attach_waits_for_no_broker) {
    client patient = connected({.give_up_after = forever});
    with.ensure_queue("orders/billing");
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(patient.serve("prices", echo, {.stop = stop.get_token()}), 0U);
    EXPECT_EQ(patient.consume("orders/billing", [](message&) {}, {.stop = stop.get_token()}), 0U);
    broker.signal(SIGTERM);
    EXPECT_EQ(broker.wait(), 0);
    served one(patient, echo);
    std::stop_source later;
    auto consumed = std::async(std::launch::async, [&, token = later.get_token()] {
        return patient.consume("orders/billing", [](message&) {}, {.stop = token});
    });
    later.request_stop();
    EXPECT_EQ(consumed.get(), 0U);
    EXPECT_EQ(one.stop(), 0U);
}

// ---- coroutines

asio::awaitable<outgoing_message> echo_later(const service_request& asked) {
    outgoing_message reply{.key = {}, .headers = {}, .payload = asked.payload};
    if (asked.payload == "bad") {
        throw std::runtime_error("cannot do that");
    }
    co_return reply;
}

asio::awaitable<void> ask_and_stop(async_client& asking, std::stop_source& stop) {
    const outgoing_message message{.payload = "apples?"};
    const service_reply reply = co_await asking.request("prices", message);
    EXPECT_EQ(reply.payload, "apples?");
    const outgoing_message bad{.payload = "bad"};
    std::error_code code;
    try {
        (void)co_await asking.request("prices", bad);
    } catch (const error& failed) {
        code = failed.code();
    }
    EXPECT_EQ(code, broker_errc::request_failed);
    stop.request_stop();
}

asio::awaitable<void> leave_alone(message&) {
    co_return;
}

// Runs a context on a thread of its own, until it is out of work or the test is left, as by an
// exception.
class running {
public:
    explicit running(asio::io_context& context)
        : context_(context), thread_([&context] { context.run(); }) {}
    ~running() { context_.stop(); }
    running(const running&) = delete;
    running& operator=(const running&) = delete;

private:
    asio::io_context& context_;
    std::jthread thread_;
};

TEST_F(client_services_test, both_sides_with_coroutines) {
    asio::io_context context;
    async_client serving(context.get_executor(), broker.address());
    async_client asking(context.get_executor(), broker.address());
    std::stop_source stop;
    serve_options options;
    options.concurrency = 2;
    options.stop = stop.get_token();
    const std::function<asio::awaitable<outgoing_message>(const service_request&)> handle =
        echo_later;
    auto handled =
        asio::co_spawn(context, serving.serve("prices", handle, options), asio::use_future);
    const running runs(context);
    wait_for_responders(1);
    asio::co_spawn(context, ask_and_stop(asking, stop), asio::use_future).get();
    EXPECT_EQ(handled.get(), 2U);
    EXPECT_THAT(admin(with).services(), IsEmpty());
    asio::co_spawn(context, serving.close(), asio::use_future).get();
    asio::co_spawn(context, asking.close(), asio::use_future).get();
}

TEST_F(client_services_test, coroutines_that_stop_before_the_first_attach_wait_for_no_broker) {
    broker.signal(SIGTERM);
    EXPECT_EQ(broker.wait(), 0);
    asio::io_context context;
    async_client alone(context.get_executor(), broker.address());
    std::stop_source stop;
    serve_options serving;
    serving.stop = stop.get_token();
    consume_options consuming;
    consuming.stop = stop.get_token();
    const std::function<asio::awaitable<outgoing_message>(const service_request&)> reply =
        echo_later;
    const std::function<asio::awaitable<void>(message&)> handle = leave_alone;
    auto replied = asio::co_spawn(context, alone.serve("prices", reply, serving), asio::use_future);
    auto consumed = asio::co_spawn(context, alone.consume("orders/billing", handle, consuming),
                                   asio::use_future);
    const running runs(context);
    stop.request_stop();
    EXPECT_EQ(replied.get(), 0U);
    EXPECT_EQ(consumed.get(), 0U);
    asio::co_spawn(context, alone.close(), asio::use_future).get();
}

}  // namespace
}  // namespace brokerd::client_integration
