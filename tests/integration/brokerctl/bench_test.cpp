// brokerctl bench: each workload with few messages, what it says, and that nothing is left behind.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class brokerctl_bench_test : public brokerctl_test {
protected:
    // The result of a measurement of few messages, checked for what all have.
    json measured(const std::string& workload, arguments more = {}) {
        arguments all{"bench", workload};
        all.insert(all.end(), more.begin(), more.end());
        const json result = as_json(std::move(all));
        EXPECT_EQ(result["workload"], workload);
        EXPECT_GT(result["seconds"].get<double>(), 0);
        EXPECT_GT(result["messages_per_second"].get<double>(), 0);
        EXPECT_GT(result["bytes_per_second"].get<double>(),
                  result["messages_per_second"].get<double>());
        const json& server = result["server"];
        EXPECT_GT(server["rss_mib"].get<double>(), 0);
        for (const char* name : {"cpu_seconds_per_million", "bytes_written_per_message"}) {
            EXPECT_GE(server[name].get<double>(), 0) << name;
        }
        EXPECT_TRUE(server["commits"].is_number());
        EXPECT_TRUE(server.contains("messages_per_commit"));
        EXPECT_TRUE(result["versions"]["brokerctl"].is_string());
        EXPECT_EQ(result["versions"]["brokerd"], as_json({"version"})["broker"]["version"]);
        return result;
    }

    static void expect_times(const json& result) {
        double before = 0;
        for (const char* name : {"p50", "p90", "p99", "p999", "max"}) {
            const auto value = result["latency_us"][name].get<double>();
            EXPECT_GE(value, before) << name;
            before = value;
        }
        EXPECT_GT(before, 0);
    }

    void expect_nothing_left() {
        EXPECT_EQ(as_json({"topic", "ls"}).size(), 0U);
        EXPECT_EQ(as_json({"service", "ls"}).size(), 0U);
    }

    // Fails rather than wait for ever.
    static void wait_until(const std::function<bool()>& holds) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (!holds()) {
            ASSERT_LT(std::chrono::steady_clock::now(), until);
        }
    }

    [[nodiscard]] static std::ptrdiff_t files_in(const std::filesystem::path& where) {
        return std::distance(std::filesystem::directory_iterator(where), {});
    }
};

TEST_F(brokerctl_bench_test, publish) {
    const auto result = measured("publish", {"--messages", "1001", "--connections", "3",
                                             "--in-flight", "10", "--size", "50"});
    EXPECT_EQ(result["messages"], 1001);
    EXPECT_EQ(result["settings"]["connections"], 3);
    EXPECT_EQ(result["settings"]["in_flight"], 10);
    EXPECT_EQ(result["settings"]["size"], 50);
    EXPECT_GT(result["server"]["commits"].get<int>(), 0);
    EXPECT_GT(result["server"]["bytes_written_per_message"].get<double>(), 50);
    expect_times(result);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, publish_one_by_one_for_a_time) {
    const auto result = measured("publish", {"--seconds", "2s", "--no-batching", "--durability",
                                             "os", "--keys", "3", "--rate", "1000"});
    EXPECT_EQ(result["settings"]["batching"], false);
    EXPECT_EQ(result["settings"]["durability"], "os");
    EXPECT_LE(result["messages"].get<int>(), 2000);
    EXPECT_GT(result["messages"].get<int>(), 0);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, consume) {
    const auto result =
        measured("consume", {"--messages", "2000", "--consumers", "3", "--connections", "2"});
    EXPECT_EQ(result["messages"], 2000);
    EXPECT_EQ(result["latency_us"], nullptr);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, consume_in_order) {
    EXPECT_EQ(measured("consume", {"--messages", "500", "--mode", "keyed", "--keys", "20",
                                   "--consumers", "2"})["messages"],
              500);
    EXPECT_EQ(measured("consume", {"--messages", "200", "--mode", "single"})["messages"], 200);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, latency) {
    const auto result = measured("latency", {"--messages", "200", "--rate", "2000", "--connections",
                                             "2", "--prefetch", "20"});
    EXPECT_EQ(result["settings"]["prefetch"], 20);
    EXPECT_EQ(result["messages"], 200);
    EXPECT_EQ(result["settings"]["rate"], 2000);
    expect_times(result);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, fanout) {
    const auto result = measured(
        "fanout", {"--messages", "300", "--queues", "4", "--consumers", "2", "--in-flight", "50"});
    EXPECT_EQ(result["messages"], 1200);  // as many as were delivered
    EXPECT_EQ(result["settings"]["queues"], 4);
    expect_times(result);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, rpc) {
    const auto result = measured(
        "rpc", {"--messages", "300", "--connections", "2", "--in-flight", "4", "--consumers", "2"});
    EXPECT_EQ(result["messages"], 300);
    expect_times(result);
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, for_people_it_is_a_table) {
    const auto table = text({"bench", "publish", "--messages", "100"});
    EXPECT_THAT(table, StartsWith("WORKLOAD       publish\n"));
    EXPECT_THAT(table, HasSubstr("messages per second"));
    EXPECT_THAT(table, HasSubstr("p999 "));
}

TEST_F(brokerctl_bench_test, a_broker_of_its_own_goes_with_its_data) {
    const auto where = directory / "spawned";
    std::filesystem::create_directory(where);
    // On standard error it says so if that is in memory.
    const auto end = ctl({"bench", "publish", "--spawn", "--data-dir", where.string(), "--messages",
                          "100", "-o", "json"});
    EXPECT_EQ(end.exit_code, done) << end.err;
    const json result = json::parse(end.out);
    EXPECT_EQ(result["messages"], 100);
    EXPECT_EQ(result["settings"]["spawn"], true);
    EXPECT_EQ(files_in(where), 0);
    expect_nothing_left();  // it was not the one that runs here
}

TEST_F(brokerctl_bench_test, ctrl_c_ends_it_and_leaves_nothing) {
    program endless(program_path("brokerctl"), {"bench", "consume", "--messages", "1000000000"},
                    environment());
    wait_until([&] { return !as_json({"topic", "ls"}).empty(); });
    endless.signal(SIGINT);
    const auto end = endless.wait();
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_THAT(end.err, HasSubstr("interrupted"));
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, ctrl_c_ends_the_broker_of_its_own) {
    const auto where = directory / "spawned";
    std::filesystem::create_directory(where);
    program endless(program_path("brokerctl"),
                    {"bench", "rpc", "--seconds", "60", "--spawn", "--data-dir", where.string()},
                    environment());
    wait_until([&] { return files_in(where) > 0; });
    endless.signal(SIGINT);
    const auto end = endless.wait();
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_THAT(end.err, HasSubstr("interrupted"));
    EXPECT_EQ(files_in(where), 0);
}

TEST_F(brokerctl_bench_test, nonsense_is_usage_and_does_nothing) {
    for (const auto& command :
         std::vector<arguments>{{"bench", "publish", "--messages", "1", "--seconds", "1"},
                                {"bench", "publish", "--queues", "2"},
                                {"bench", "latency", "--size", "7"},
                                {"bench", "latency", "--in-flight", "7"},
                                {"bench", "consume", "--mode", "single", "--consumers", "2"},
                                {"bench", "consume", "--rate", "2"},
                                {"bench", "rpc", "--durability", "os"},
                                {"bench", "fanout", "--durability", "memory"},
                                {"bench", "publish", "--data-dir", "."},
                                {"bench"}}) {
        const auto end = ctl(command);
        EXPECT_EQ(end.exit_code, usage) << end.out;
        EXPECT_THAT(end.err, StartsWith("brokerctl: "));
        EXPECT_EQ(end.out, "");
    }
    expect_nothing_left();
}

TEST_F(brokerctl_bench_test, without_a_broker_it_is_exit_3) {
    broker.kill();
    const auto end =
        run_program(program_path("brokerctl"), {"bench", "rpc"}, {},
                    {"BROKERD_SERVER=" + broker.address(), "BROKERCTL_CONNECT_TIMEOUT=100ms"});
    EXPECT_EQ(end.exit_code, no_connection);
}

}  // namespace
}  // namespace brokerd::test
