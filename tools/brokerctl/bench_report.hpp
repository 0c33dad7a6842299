// What was measured, as one JSON object and as a table. Pure; no thread affinity.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tools/brokerctl/bench_histogram.hpp"
#include "tools/brokerctl/bench_options.hpp"
#include "tools/brokerctl/table.hpp"
#include <brokerd/admin.hpp>

namespace brokerd::ctl {

// The counters of a broker that matter here; nothing where it is too old to have them.
struct bench_counters {
    std::optional<double> cpu_microseconds;
    std::optional<double> resident_bytes;
    std::optional<double> commits;
    std::optional<double> written_bytes;

    [[nodiscard]] static bench_counters from(std::span<const stat> stats);
};

struct bench_result {
    std::uint64_t messages = 0;
    double seconds = 0;
    std::optional<bench_histogram> latency;
    bench_counters before;
    bench_counters after;
    std::string brokerctl_version;
    std::string brokerd_version;
};

[[nodiscard]] json bench_report_json(const bench_plan& plan, const bench_result& result);
// Made of the members of the above.
[[nodiscard]] std::string bench_report_text(const json& report, bool colours);

}  // namespace brokerd::ctl
