// Loads that `brokerctl bench` has no verb for: many topics, queues and connections, backlogs that
// stay. One phase a call, on one thread; what was measured goes to standard output as one line of
// JSON. tools/bench/goals and tools/bench/growth start the brokers and read it.
//
//   bench_load create    makes topics load-0, load-1, ... and in each of them queues q0, q1, ...
//   bench_load publish   publishes to them in turn
//   bench_load consume   takes from their queues and acks, until so many came or no more come
//   bench_load connect   holds idle connections until standard input ends
//
// Each phase is bounded by --seconds.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/bench/process_cpu.hpp"
#include "tools/brokerctl/bench_histogram.hpp"
#include <brokerd/async_client.hpp>

namespace {

using json = nlohmann::json;
using steady = std::chrono::steady_clock;
template <typename T = void>
using awaitable = asio::awaitable<T>;

struct settings {
    std::string server;
    std::uint64_t topics = 1;
    std::uint64_t queues = 1;  // of each topic
    std::uint64_t connections = 1;
    std::uint64_t consumers = 1;  // of each queue
    std::uint64_t window = 1000;  // of each connection or consumer; of create: requests at once
    std::uint64_t size = 100;
    std::uint64_t messages = UINT64_MAX;
    double seconds = 5;
    std::string durability = "disk";
    double max_age = 0;     // seconds
    std::uint64_t pid = 0;  // of the broker
};

std::string topic_name(std::uint64_t number) {
    return fmt::format("load-{}", number);
}

std::string queue_name(std::uint64_t topic, std::uint64_t queue) {
    return fmt::format("load-{}/q{}", topic, queue);
}

// The coroutines of a phase and their connections.
class course {
public:
    explicit course(const settings& with) : with_(with) {}

    void spawn(awaitable<> task) {
        ++tasks_;
        asio::co_spawn(context_, std::move(task), [this](const std::exception_ptr& failed) {
            --tasks_;
            failed_ = failed_ ? failed_ : failed;
        });
    }
    // Returns when all that was spawned has ended. (The connections would never.)
    void run() {
        while (tasks_ > 0 && !failed_) {
            context_.run_one();
        }
        if (failed_) {
            std::rethrow_exception(failed_);
        }
    }

    // A bounded number of connections at a time is in its handshake.
    void connect(std::uint64_t number) {
        constexpr std::uint64_t handshakes_max = 64;
        brokerd::client_options options;
        options.client_name = "bench_load";
        options.in_flight_messages = static_cast<std::uint32_t>(with_.window);
        while (clients_.size() < number) {
            for (std::uint64_t i = 0; i < handshakes_max && clients_.size() < number; ++i) {
                clients_.emplace_back(context_.get_executor(), with_.server, options);
                spawn(connected(clients_.back()));
            }
            run();
        }
        begin_ = steady::now();
        cpu_before_ = brokerd::bench::cpu_seconds(with_.pid);
    }
    // Ends what it began, in order.
    void close() {
        for (brokerd::async_client& each : clients_) {
            spawn(closed(each));
        }
        run();
    }
    [[nodiscard]] std::deque<brokerd::async_client>& clients() { return clients_; }
    [[nodiscard]] brokerd::async_client& client(std::uint64_t number) {
        return clients_[number % clients_.size()];
    }
    [[nodiscard]] asio::any_io_executor executor() { return context_.get_executor(); }

    // Since the connections were there.
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(steady::now() - begin_).count();
    }
    // Of the broker, since then.
    [[nodiscard]] double cpu() const {
        return brokerd::bench::cpu_seconds(with_.pid) - cpu_before_;
    }
    [[nodiscard]] bool over() const { return seconds() >= with_.seconds; }
    [[nodiscard]] const settings& with() const { return with_; }

private:
    static awaitable<> connected(brokerd::async_client& client) { co_await client.connected(); }
    static awaitable<> closed(brokerd::async_client& client) { co_await client.close(); }

    const settings& with_;
    steady::time_point begin_ = steady::now();
    double cpu_before_ = 0;
    std::exception_ptr failed_;
    std::uint64_t tasks_ = 0;
    asio::io_context context_;
    std::deque<brokerd::async_client> clients_;  // go before what runs them
};

json rate_json(const char* what, std::uint64_t number, double seconds) {
    return {{what, number},
            {"seconds", seconds},
            {fmt::format("{}_per_second", what), static_cast<double>(number) / seconds}};
}

// ---- create

awaitable<> create_topics(course& of, brokerd::topic_options options, std::uint64_t& next) {
    while (next < of.with().topics && !of.over()) {
        co_await of.client(0).ensure_topic(topic_name(next++), options);
    }
}

awaitable<> create_queues(course& of, std::uint64_t& next) {
    while (next < of.with().topics * of.with().queues && !of.over()) {
        const std::uint64_t number = next++;
        co_await of.client(0).ensure_queue(
            queue_name(number % of.with().topics, number / of.with().topics));
    }
}

json create(course& of) {
    const settings& with = of.with();
    brokerd::topic_options options;
    options.max_message_bytes = std::max(options.max_message_bytes, with.size + 1024);
    options.max_age = std::chrono::microseconds(static_cast<std::int64_t>(with.max_age * 1e6));
    options.durability =
        with.durability == "os" ? brokerd::durability_level::os : brokerd::durability_level::disk;
    of.connect(1);
    std::uint64_t topics = 0;
    std::uint64_t queues = 0;
    for (std::uint64_t i = 0; i < with.window; ++i) {
        of.spawn(create_topics(of, options, topics));
    }
    of.run();
    const double topics_done = of.seconds();
    json result = {{"topics", rate_json("topics", topics, topics_done)}};
    for (std::uint64_t i = 0; i < with.window; ++i) {
        of.spawn(create_queues(of, queues));
    }
    of.run();
    if (queues > 0) {
        result["queues"] = rate_json("queues", queues, of.seconds() - topics_done);
    }
    return result;
}

// ---- publish

// What all publishers of a phase have reached.
struct answers {
    std::uint64_t handed_in = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t failed = 0;
    std::string failure;
    steady::time_point last{};
    steady::duration longest_gap{};  // between two answers, of whatever connection
    brokerd::ctl::bench_histogram latency;

    void take(const brokerd::publish_result& result, steady::time_point since) {
        const auto now = steady::now();
        longest_gap = std::max(longest_gap, now - last);
        last = now;
        if (result) {
            ++acknowledged;
            latency.record(static_cast<std::uint64_t>((now - since).count()));
        } else {
            ++failed;
            failure = result.failure->what();
        }
    }
};

awaitable<> publish_some(course& of, std::uint64_t own, answers& all) {
    const settings& with = of.with();
    std::vector<std::string> topics;  // its own share, or all if there are fewer than connections
    for (std::uint64_t i = own % with.topics; i < with.topics; i += with.connections) {
        topics.push_back(topic_name(i));
    }
    const brokerd::outgoing_message message{.payload = std::string(with.size, 'x')};
    brokerd::async_client& client = of.client(own);
    for (std::uint64_t i = 0; all.handed_in < with.messages && !of.over(); ++i) {
        ++all.handed_in;
        const auto since = steady::now();
        co_await client.submit(
            topics[i % topics.size()], message,
            [&all, since](const brokerd::publish_result& result) { all.take(result, since); });
    }
    co_await client.flush();
}

json publish(course& of) {
    constexpr double us = 1000;
    of.connect(of.with().connections);
    answers all;
    all.last = steady::now();
    for (std::uint64_t i = 0; i < of.with().connections; ++i) {
        of.spawn(publish_some(of, i, all));
    }
    of.run();
    json result = rate_json("messages", all.acknowledged, of.seconds());
    result["cpu_seconds"] = of.cpu();
    result["longest_gap_us"] = std::chrono::duration<double, std::micro>(all.longest_gap).count();
    result["latency_us"] = {{"p50", static_cast<double>(all.latency.percentile(0.5)) / us},
                            {"p99", static_cast<double>(all.latency.percentile(0.99)) / us},
                            {"max", static_cast<double>(all.latency.max()) / us}};
    result["failed"] = all.failed;
    if (all.failed > 0) {
        result["failure"] = all.failure;
    }
    return result;
}

// ---- consume

struct intake {
    std::uint64_t taken = 0;
    steady::time_point last = steady::now();
};

awaitable<> consume_some(course& of, std::string queue, std::uint64_t own, intake& all) {
    constexpr auto silence_max = std::chrono::seconds(1);
    brokerd::consume_options options;
    options.prefetch_messages = static_cast<std::uint32_t>(of.with().window);
    auto from = co_await of.client(own).open_consumer(queue, options);
    while (all.taken < of.with().messages && !of.over()) {
        std::optional<brokerd::message> next = co_await from.next(silence_max);
        if (!next) {
            break;
        }
        next->ack();
        ++all.taken;
        all.last = steady::now();
    }
    co_await from.close();
}

json consume(course& of) {
    const settings& with = of.with();
    of.connect(with.connections);
    const auto begin = steady::now();
    intake all;
    std::uint64_t number = 0;
    for (std::uint64_t topic = 0; topic < with.topics; ++topic) {
        for (std::uint64_t queue = 0; queue < with.queues; ++queue) {
            for (std::uint64_t i = 0; i < with.consumers; ++i) {
                of.spawn(consume_some(of, queue_name(topic, queue), number++, all));
            }
        }
    }
    of.run();
    json result =
        rate_json("messages", all.taken, std::chrono::duration<double>(all.last - begin).count());
    result["cpu_seconds"] = of.cpu();
    return result;
}

// ---- connect

awaitable<> wait_for_end(course& of) {
    asio::posix::stream_descriptor input(of.executor(), ::dup(STDIN_FILENO));
    char ignored = 0;
    asio::error_code ended;
    while (!ended) {
        co_await input.async_read_some(asio::buffer(&ignored, 1),
                                       asio::redirect_error(asio::use_awaitable, ended));
    }
}

awaitable<> wait_until_over(course& of) {
    asio::steady_timer timer(of.executor());
    timer.expires_after(std::chrono::duration_cast<steady::duration>(
        std::chrono::duration<double>(of.with().seconds)));
    co_await timer.async_wait(asio::use_awaitable);
}

awaitable<> hold(course& of) {
    using namespace asio::experimental::awaitable_operators;
    co_await (wait_for_end(of) || wait_until_over(of));
}

json hold_connections(course& of) {
    of.connect(of.with().connections);
    fmt::print("{}\n", json{{"connected", of.with().connections}}.dump());
    std::fflush(stdout);
    of.spawn(hold(of));
    of.run();
    return {{"seconds", of.seconds()}};
}

// ---- the command line

void add_options(CLI::App& to, settings& with) {
    to.add_option("--server", with.server, "HOST:PORT of the broker")->required();
    to.add_option("--topics", with.topics)->check(CLI::Range(1, 1'000'000));
    to.add_option("--queues", with.queues, "Of each topic")->check(CLI::Range(0, 10'000));
    to.add_option("--connections", with.connections)->check(CLI::Range(1, 10'000));
    to.add_option("--consumers", with.consumers, "Of each queue")->check(CLI::Range(1, 10'000));
    to.add_option(
          "--window", with.window,
          "Unanswered messages of a connection, prefetch of a consumer, unanswered requests "
          "of create (default 1000)")
        ->check(CLI::Range(1, 100'000));
    to.add_option("--size", with.size, "Bytes of a payload")->check(CLI::Range(0, 64 << 20));
    to.add_option("--messages", with.messages, "At most so many, of all connections");
    to.add_option("--seconds", with.seconds, "At most so long (default 5)")
        ->check(CLI::Range(0.01, 3600.0));
    to.add_option("--pid", with.pid, "Of the broker: the CPU time it takes is measured, too");
    to.add_option("--durability", with.durability, "Of the topics made")
        ->check(CLI::IsMember({"disk", "os"}));
    to.add_option("--max-age", with.max_age, "Of the topics made, in seconds; 0 = none");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Loads for tools/bench/goals and tools/bench/growth."};
    app.require_subcommand(1);
    settings with;
    json (*phase)(course&) = nullptr;
    for (const auto& [name, function] :
         {std::pair{"create", &create}, std::pair{"publish", &publish},
          std::pair{"consume", &consume}, std::pair{"connect", &hold_connections}}) {
        auto* const each = app.add_subcommand(name);
        add_options(*each, with);
        each->callback([&phase, function] { phase = function; });
    }
    CLI11_PARSE(app, argc, argv);
    try {
        course of(with);
        const json result = phase(of);
        of.close();
        fmt::print("{}\n", result.dump());
        return result.value("failed", 0) == 0 ? 0 : 1;
    } catch (const std::exception& failed) {
        fmt::print(stderr, "bench_load: {}\n", failed.what());
        return 1;
    }
}
