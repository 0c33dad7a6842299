// What bench is made of: times in buckets, the schedule of a rate, plans, the report.
#include <chrono>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/brokerctl/bench_histogram.hpp"
#include "tools/brokerctl/bench_options.hpp"
#include "tools/brokerctl/bench_report.hpp"
#include "tools/brokerctl/bench_schedule.hpp"
#include "tools/brokerctl/bench_stamp.hpp"
#include "tools/brokerctl/exit_code.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(bench_histogram, empty) {
    const bench_histogram none;
    EXPECT_EQ(none.count(), 0U);
    EXPECT_EQ(none.percentile(0.5), 0U);
    EXPECT_EQ(none.max(), 0U);
}

TEST(bench_histogram, small_times_are_exact) {
    bench_histogram times;
    for (std::uint64_t value = 1; value <= 200; ++value) {
        times.record(value);
    }
    EXPECT_EQ(times.count(), 200U);
    EXPECT_EQ(times.percentile(0), 1U);
    EXPECT_EQ(times.percentile(0.5), 100U);
    EXPECT_EQ(times.percentile(0.99), 198U);
    EXPECT_EQ(times.percentile(1), 200U);
}

TEST(bench_histogram, any_time_is_right_to_within_one_percent) {
    for (unsigned shift = 0; shift < 63; ++shift) {
        for (const std::uint64_t more : {0U, 1U, 12'345U}) {
            const std::uint64_t value = (std::uint64_t{3} << shift) / 2 + more;
            bench_histogram times;
            times.record(value);
            times.record(UINT64_MAX);  // or the greatest one would cut it
            const auto exact = static_cast<double>(value);
            EXPECT_NEAR(static_cast<double>(times.percentile(0.5)), exact, exact / 100) << value;
            EXPECT_EQ(times.max(), UINT64_MAX);
        }
    }
}

TEST(bench_histogram, nothing_is_above_the_greatest) {
    bench_histogram times;
    times.record(1'000'001);
    EXPECT_EQ(times.percentile(1), 1'000'001U);
    EXPECT_EQ(times.percentile(0.5), times.max());
}

TEST(bench_histogram, several_add_up) {
    bench_histogram some;
    bench_histogram more;
    for (int i = 0; i < 90; ++i) {
        some.record(10);
    }
    for (int i = 0; i < 10; ++i) {
        more.record(100);
    }
    some.add(more);
    EXPECT_EQ(some.count(), 100U);
    EXPECT_EQ(some.percentile(0.9), 10U);
    EXPECT_EQ(some.percentile(0.91), 100U);
    EXPECT_EQ(some.max(), 100U);
}

TEST(bench_schedule, does_not_drift) {
    const bench_schedule::time_point start{};
    const bench_schedule three(start, 3, 0, 1);
    EXPECT_EQ(three.due(0), start);
    EXPECT_EQ(three.due(1), start + 333'333'333ns);
    EXPECT_EQ(three.due(3), start + 1s);
    EXPECT_EQ(three.due(3'000'000), start + 1'000'000s);
    EXPECT_EQ(bench_schedule(start, 10'000'000, 0, 1).due(10'000'001), start + 1s + 100ns);
}

TEST(bench_schedule, several_share_a_rate_evenly) {
    const bench_schedule::time_point start{};
    const bench_schedule first(start, 1000, 0, 2);
    const bench_schedule second(start, 1000, 1, 2);
    EXPECT_EQ(first.due(0), start);
    EXPECT_EQ(second.due(0), start + 1ms);
    EXPECT_EQ(first.due(1), start + 2ms);
    EXPECT_EQ(second.due(499), start + 999ms);
}

TEST(bench_stamp, is_read_as_it_was_written) {
    std::string payload(bench_stamp_bytes + 3, 'x');
    write_bench_stamp(payload, -42);
    EXPECT_EQ(read_bench_stamp(payload), -42);
    EXPECT_THAT(payload, testing::EndsWith("xxx"));
    EXPECT_EQ(read_bench_stamp("short"), bench_untimed);
}

TEST(bench_plan, defaults) {
    const bench_options none;
    const auto publish = make_bench_plan(bench_workload::publish, none);
    EXPECT_EQ(publish.time, 5s);
    EXPECT_FALSE(publish.messages);
    EXPECT_EQ(publish.size, 100U);
    EXPECT_EQ(publish.in_flight, 1000U);
    EXPECT_EQ(publish.connections, 1U);
    EXPECT_EQ(publish.durability, durability_level::disk);
    EXPECT_TRUE(publish.batching);
    EXPECT_FALSE(publish.stamped());
    EXPECT_EQ(make_bench_plan(bench_workload::latency, none).rate, 10'000U);
    EXPECT_EQ(make_bench_plan(bench_workload::fanout, none).queues, 10U);
    EXPECT_FALSE(make_bench_plan(bench_workload::rpc, none).durability);
    EXPECT_EQ(make_bench_plan(bench_workload::fanout, none).prefetch, 256U);
    EXPECT_EQ(publish.prefetch, 0U);
}

TEST(bench_plan, a_backlog_is_bounded_in_bytes_too) {
    bench_options large;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, large).messages, 1'000'000U);
    large.size = 1024 * 1024;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, large).messages, 1024U);
}

TEST(bench_plan, consumers_have_a_connection_each_unless_told) {
    bench_options options;
    options.consumers = 4;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, options).connections, 4U);
    options.connections = 2;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, options).connections, 2U);
}

TEST(bench_plan, ordered_by_key_needs_keys) {
    bench_options options;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, options).keys, 0U);
    options.mode = delivery_mode::keyed;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, options).keys, 1000U);
    options.keys = 7;
    EXPECT_EQ(make_bench_plan(bench_workload::consume, options).keys, 7U);
}

TEST(bench_plan, the_warm_up_is_a_small_part) {
    bench_options options;
    options.messages = 5;
    EXPECT_EQ(make_bench_plan(bench_workload::publish, options).warm_up().messages, 1U);
    options.messages = 100'000'000;
    EXPECT_EQ(make_bench_plan(bench_workload::publish, options).warm_up().messages, 100'000U);
    options.messages.reset();
    EXPECT_EQ(make_bench_plan(bench_workload::publish, options).warm_up().time, 500ms);
    options.seconds = 1h;
    EXPECT_EQ(make_bench_plan(bench_workload::publish, options).warm_up().time, 1s);
}

// What is wrong with the options; empty: nothing.
std::string complaint(bench_workload workload, const bench_options& options) {
    try {
        (void)make_bench_plan(workload, options);
        return {};
    } catch (const usage_error& why) {
        return why.what();
    }
}

TEST(bench_plan, nonsense_is_refused_with_what_to_do) {
    bench_options both;
    both.messages = 1;
    both.seconds = 1s;
    EXPECT_THAT(complaint(bench_workload::publish, both), HasSubstr("not both"));
    bench_options small;
    small.size = 7;
    EXPECT_THAT(complaint(bench_workload::latency, small), HasSubstr("at least 8"));
    EXPECT_EQ(complaint(bench_workload::publish, small), "");
    bench_options crowd;
    crowd.mode = delivery_mode::single;
    crowd.consumers = 2;
    EXPECT_THAT(complaint(bench_workload::consume, crowd), HasSubstr("leave out --consumers"));
    bench_options lonely;
    lonely.connections = 2;
    EXPECT_THAT(complaint(bench_workload::consume, lonely), HasSubstr("raise --consumers"));
    bench_options nowhere;
    nowhere.data_dir = ".";
    EXPECT_THAT(complaint(bench_workload::publish, nowhere), HasSubstr("--spawn"));
    nowhere.spawn = true;
    EXPECT_EQ(complaint(bench_workload::publish, nowhere), "");
    bench_options wide;
    wide.queues = 100;
    wide.consumers = 11;
    EXPECT_THAT(complaint(bench_workload::fanout, wide), HasSubstr("at most 1000"));
    bench_options long_one;
    long_one.seconds = 2h;
    EXPECT_THAT(complaint(bench_workload::publish, long_one), HasSubstr("at most 1h"));
    long_one.seconds = 0s;
    EXPECT_THAT(complaint(bench_workload::publish, long_one), HasSubstr("more than 0"));
    bench_options greedy;
    greedy.prefetch = 65'537;
    EXPECT_THAT(complaint(bench_workload::latency, greedy), HasSubstr("at most 65536"));
    bench_options many;
    many.in_flight = 1025;
    EXPECT_THAT(complaint(bench_workload::rpc, many), HasSubstr("raise --connections"));
}

TEST(bench_counters, by_name) {
    const std::vector<stat> stats{{"commits_total", 7, ""},
                                  {"other", 1, ""},
                                  {"process_cpu_microseconds_total", 2e6, ""},
                                  {"process_resident_bytes", 1048576, ""},
                                  {"disk_written_bytes_total", 4096, ""}};
    const auto counters = bench_counters::from(stats);
    EXPECT_EQ(counters.commits, 7);
    EXPECT_EQ(counters.cpu_microseconds, 2e6);
    EXPECT_EQ(counters.resident_bytes, 1048576);
    EXPECT_EQ(counters.written_bytes, 4096);
    EXPECT_FALSE(bench_counters::from({}).commits);
}

bench_result some_result() {
    bench_result result;
    result.messages = 1000;
    result.seconds = 0.5;
    result.latency.emplace();
    for (int i = 0; i < 1000; ++i) {
        result.latency->record(100'000);
    }
    result.latency->record(2'000'000);
    result.before = {.cpu_microseconds = 1000.0,
                     .resident_bytes = 0.0,
                     .commits = 10.0,
                     .written_bytes = 5000.0};
    result.after = {.cpu_microseconds = 3000.0,
                    .resident_bytes = 2.0 * 1024 * 1024,
                    .commits = 35.0,
                    .written_bytes = 105'000.0};
    result.brokerctl_version = "1.2.3";
    result.brokerd_version = "1.2.4";
    return result;
}

TEST(bench_report, object) {
    bench_options options;
    options.messages = 1000;
    const auto plan = make_bench_plan(bench_workload::publish, options);
    const json report = bench_report_json(plan, some_result());
    EXPECT_EQ(report["workload"], "publish");
    EXPECT_EQ(report["settings"]["messages"], 1000);
    EXPECT_EQ(report["settings"]["seconds"], nullptr);
    EXPECT_EQ(report["settings"]["durability"], "disk");
    EXPECT_EQ(report["settings"]["mode"], nullptr);
    EXPECT_EQ(report["messages"], 1000);
    EXPECT_EQ(report["seconds"], 0.5);
    EXPECT_EQ(report["messages_per_second"], 2000.0);
    EXPECT_EQ(report["bytes_per_second"], 200'000.0);
    EXPECT_NEAR(report["latency_us"]["p50"].get<double>(), 100, 1);
    EXPECT_NEAR(report["latency_us"]["p999"].get<double>(), 100, 1);
    EXPECT_EQ(report["latency_us"]["max"], 2000.0);
    EXPECT_EQ(report["server"]["cpu_seconds_per_million"], 2.0);
    EXPECT_EQ(report["server"]["rss_mib"], 2.0);
    EXPECT_EQ(report["server"]["commits"], 25);
    EXPECT_EQ(report["server"]["messages_per_commit"], 40.0);
    EXPECT_EQ(report["server"]["bytes_written_per_message"], 100.0);
    EXPECT_EQ(report["versions"]["brokerctl"], "1.2.3");
    EXPECT_EQ(report["versions"]["brokerd"], "1.2.4");
}

TEST(bench_report, what_is_not_known_is_null) {
    bench_result result = some_result();
    result.latency.reset();
    result.before = {};
    result.after = {};
    const json report = bench_report_json(make_bench_plan(bench_workload::consume, {}), result);
    EXPECT_EQ(report["latency_us"], nullptr);
    for (const auto& [name, value] : report["server"].items()) {
        EXPECT_EQ(value, nullptr) << name;
    }
    EXPECT_THAT(bench_report_text(report, false), HasSubstr("LATENCY        -\n"));
}

TEST(bench_report, no_commit_has_no_messages) {
    bench_result result = some_result();
    result.after.commits = result.before.commits;
    const json report = bench_report_json(make_bench_plan(bench_workload::rpc, {}), result);
    EXPECT_EQ(report["server"]["commits"], 0);
    EXPECT_EQ(report["server"]["messages_per_commit"], nullptr);
}

TEST(bench_report, table) {
    bench_options options;
    options.no_batching = true;
    options.spawn = true;
    const auto plan = make_bench_plan(bench_workload::publish, options);
    const auto text = bench_report_text(bench_report_json(plan, some_result()), false);
    EXPECT_THAT(text, HasSubstr("WORKLOAD       publish\n"));
    EXPECT_THAT(text, HasSubstr("--in-flight 1000"));
    EXPECT_THAT(text, HasSubstr("--no-batching --spawn\n"));
    EXPECT_THAT(text, HasSubstr("MESSAGES       1000 in 0.50 s\n"));
    EXPECT_THAT(text, HasSubstr("2000 messages per second, 195KiB per second\n"));
    EXPECT_THAT(text, HasSubstr("p50 100us"));
    EXPECT_THAT(text, HasSubstr("max 2.00ms\n"));
    EXPECT_THAT(text, HasSubstr("2.00 s per million messages\n"));
}

}  // namespace
}  // namespace brokerd::ctl
