// The threads of a measurement: started together, watched by the main thread, ended by what they
// have to do, by the first failure or by ctrl-C.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string_view>
#include <vector>

#include "tools/brokerctl/interruption.hpp"
#include "tools/brokerctl/output.hpp"

namespace brokerd::ctl {

class bench_course {
public:
    explicit bench_course(output& out) : out_(out) {}

    // Runs each task on a thread of its own and returns when all have ended. Meanwhile shows how
    // many `counted` says. Throws the first failure. Does nothing after ctrl-C.
    void run(const std::vector<std::function<void()>>& tasks, std::string_view what,
             const std::function<std::uint64_t()>& counted);

    // ---- any thread
    // Tasks end soon when this holds.
    [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
    void fail(std::exception_ptr why);

    [[nodiscard]] bool interrupted() const { return interrupted_; }

private:
    void carry_out(const std::function<void()>& task);
    void show(std::string_view what, std::uint64_t count);

    output& out_;
    const interruption signals_;
    std::atomic<bool> stopping_ = false;
    bool interrupted_ = false;  // main thread

    std::mutex mutex_;  // guards what follows
    std::condition_variable ended_;
    std::size_t running_ = 0;
    std::exception_ptr failure_;

    // What was shown last.
    std::chrono::steady_clock::time_point shown_at_{};
    std::uint64_t shown_count_ = 0;
};

}  // namespace brokerd::ctl
