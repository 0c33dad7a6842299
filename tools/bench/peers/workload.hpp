// The workloads: the same loops, clocks and percentiles for every peer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tools/bench/peers/peer.hpp"
#include "tools/brokerctl/bench_histogram.hpp"

namespace brokerd::peers {

enum class workload : std::uint8_t { publish, consume, latency, fanout, rpc };

// Each value means what it means for `brokerctl bench`.
struct workload_plan {
    workload kind = workload::publish;
    std::size_t size = 100;  // bytes of a payload
    std::chrono::microseconds time = std::chrono::seconds(5);
    std::uint64_t messages = UINT64_MAX;  // whichever comes first, this or `time`
    std::size_t connections = 1;
    std::size_t in_flight = 1000;
    std::size_t consumers = 1;  // of each queue
    std::size_t queues = 1;
    std::uint64_t rate = 10'000;  // latency: messages per second

    // What runs before the measurement, so that nothing in it happens for the first time.
    [[nodiscard]] workload_plan warm_up() const;
};

struct workload_result {
    std::uint64_t messages = 0;
    double seconds = 0;
    // Without where no single message is timed.
    std::optional<ctl::bench_histogram> latency;
};

// Called right before and right after what is measured.
struct workload_marks {
    std::function<void()> before;
    std::function<void()> after;
};

[[nodiscard]] workload_result run_workload(peer& with, const workload_plan& plan,
                                           const workload_marks& marks);

}  // namespace brokerd::peers
