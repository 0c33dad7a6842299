// The consumers of a measurement: each a thread of its own that takes messages from its queue and
// acks each, without waiting for confirmations.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/brokerctl/bench_course.hpp"
#include "tools/brokerctl/bench_histogram.hpp"
#include <brokerd/client.hpp>

namespace brokerd::ctl {

class bench_takers {
public:
    bench_takers();
    ~bench_takers();
    bench_takers(const bench_takers&) = delete;
    bench_takers& operator=(const bench_takers&) = delete;

    // One more consumer of queue number `queue`, called `name`; `stamped`: the times of its
    // messages are recorded.
    void open(client& broker, std::size_t queue, const std::string& name, std::uint32_t prefetch,
              bool stamped);

    // Counts from zero, beginning now. One task for each; it ends when `over(queue)` holds and
    // nothing is at hand, at `end`, or when nothing has come for long.
    [[nodiscard]] std::vector<std::function<void()>> begin(
        bench_course& course, std::function<bool(std::size_t queue)> over,
        std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max());

    // ---- any thread
    [[nodiscard]] std::uint64_t taken() const;
    [[nodiscard]] std::uint64_t taken(std::size_t queue) const;
    [[nodiscard]] std::uint64_t taken_of_slowest() const;  // queue

    // ---- when all have ended
    [[nodiscard]] double seconds() const;  // from begin() to the last message
    [[nodiscard]] const bench_histogram& latency();
    // Sends the acks and ends the consumers.
    void close();

private:
    struct taker;
    void take(taker& own, const bench_course& course, std::chrono::steady_clock::time_point end);

    std::vector<std::unique_ptr<taker>> all_;
    std::size_t queues_ = 0;
    std::function<bool(std::size_t)> over_;
    std::chrono::steady_clock::time_point start_{};
    bench_histogram latency_;
};

}  // namespace brokerd::ctl
