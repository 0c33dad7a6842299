// What `brokerctl bench` is told, and the plan that follows from it. Pure but for CLI11.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "tools/brokerctl/table.hpp"
#include "tools/brokerctl/values.hpp"
#include <brokerd/types.hpp>

namespace brokerd::ctl {

enum class bench_workload : std::uint8_t { publish, consume, latency, fanout, rpc };
[[nodiscard]] std::string_view to_string(bench_workload workload);

// As given on the command line.
struct bench_options {
    std::optional<std::uint64_t> size{};
    std::optional<std::uint64_t> messages{};
    std::optional<microseconds> seconds{};
    std::optional<std::uint64_t> connections{};
    std::optional<std::uint64_t> in_flight{};
    std::optional<std::uint64_t> consumers{};
    std::optional<std::uint64_t> prefetch{};
    std::optional<std::uint64_t> queues{};
    std::optional<std::uint64_t> rate{};
    std::optional<std::uint64_t> keys{};
    std::optional<delivery_mode> mode{};
    std::optional<durability_level> durability{};
    bool no_batching = false;
    bool spawn = false;
    std::string data_dir{};

    // Those that mean something for the workload.
    void add_to(CLI::App& app, bench_workload workload);
};

// What is done: every value in force, 0 or nothing for what the workload has not.
struct bench_plan {
    bench_workload workload = bench_workload::publish;
    std::uint64_t size = 0;                 // bytes of a payload
    std::optional<std::uint64_t> messages;  // to measure; else for `time`
    std::optional<microseconds> time;
    std::uint64_t connections = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t consumers = 0;  // of each queue; rpc: responders
    std::uint64_t prefetch = 0;   // of each consumer, in messages
    std::uint64_t queues = 0;
    std::uint64_t rate = 0;  // 0: as fast as it goes
    std::uint64_t keys = 0;  // 0: messages without key
    std::optional<delivery_mode> mode;
    std::optional<durability_level> durability;
    bool batching = true;
    bool spawn = false;
    std::string data_dir{};

    // Messages carry the time at which they were due.
    [[nodiscard]] bool stamped() const {
        return workload == bench_workload::latency || workload == bench_workload::fanout;
    }
    // What runs before the measurement, so that nothing in it happens for the first time.
    [[nodiscard]] bench_plan warm_up() const;
};

// Throws usage_error for what does not fit together or is out of bounds.
[[nodiscard]] bench_plan make_bench_plan(bench_workload workload, const bench_options& options);

// The member `settings` of the result; null for what the workload has not.
[[nodiscard]] json bench_settings_json(const bench_plan& plan);

}  // namespace brokerd::ctl
