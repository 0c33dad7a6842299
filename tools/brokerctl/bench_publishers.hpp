// The clients that publish: each a connection and a thread of its own that hands messages in, as
// fast as its window allows or at a fixed rate.
//
// With a rate, and where messages are stamped, times count from when a message was due, not from
// when the client got around to it: a broker that stalls cannot hide it by slowing the client down.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/brokerctl/bench_course.hpp"
#include "tools/brokerctl/bench_histogram.hpp"
#include "tools/brokerctl/bench_options.hpp"
#include <brokerd/client.hpp>

namespace brokerd::ctl {

class bench_publishers {
public:
    // Connected clients, one publisher each, which has at most `window` messages unanswered. (The
    // client has such a bound, too; but a message that waits for it has its time already.)
    bench_publishers(std::vector<client> clients, std::string topic, const bench_plan& plan,
                     std::uint64_t window);
    ~bench_publishers();
    bench_publishers(const bench_publishers&) = delete;
    bench_publishers& operator=(const bench_publishers&) = delete;

    // Beyond the window: a message is handed in only while it holds. Any thread.
    void wait_for_room(std::function<bool()> room) { room_ = std::move(room); }

    // What to do next: messages and time of `plan`, counted from zero, beginning now. One task for
    // each publisher; it ends when all it handed in is answered.
    [[nodiscard]] std::vector<std::function<void()>> begin(bench_course& course,
                                                           const bench_plan& plan);

    // ---- any thread
    [[nodiscard]] std::uint64_t handed_in() const;
    [[nodiscard]] std::uint64_t acknowledged() const;
    [[nodiscard]] bool finished() const { return finished_.load() == all_.size(); }

    // ---- when all have ended
    [[nodiscard]] double seconds() const;  // from begin() to the last answer
    // From when each was due, or handed in without a rate, to its answer.
    [[nodiscard]] const bench_histogram& latency();

private:
    struct publisher;
    void publish(publisher& own, bench_course& course, std::uint64_t quota);
    [[nodiscard]] bool wait_until_due(const bench_course& course,
                                      std::chrono::steady_clock::time_point due) const;
    [[nodiscard]] bool wait_for_turn(const bench_course& course) const;
    void wait_for_window(const publisher& own) const;

    std::string topic_;
    const bench_plan plan_;
    const std::uint32_t window_;
    // Who waited for the window waits until this few are unanswered, so as not to be woken by each.
    const std::uint32_t window_low_;
    std::vector<std::string> keys_;
    std::function<bool()> room_;
    std::vector<std::unique_ptr<publisher>> all_;
    std::chrono::steady_clock::time_point start_{};
    std::chrono::steady_clock::time_point end_{};  // nothing is handed in from then on
    std::atomic<std::size_t> finished_ = 0;
    bench_histogram latency_;
};

}  // namespace brokerd::ctl
