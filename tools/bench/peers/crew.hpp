// Threads that begin together, end together, and pass on the first failure. One crew for each run.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace brokerd::peers {

class crew {
public:
    using task = std::function<void()>;

    // Each on a thread of its own; returns when all have ended. Throws the first failure.
    void run(const std::vector<task>& tasks) {
        {
            std::vector<std::jthread> threads;
            threads.reserve(tasks.size());
            for (const task& each : tasks) {
                threads.emplace_back([this, &each] { carry_out(each); });
            }
        }
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

    // ---- any thread
    // Some task failed, so the others end.
    [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

private:
    void carry_out(const task& each) {
        try {
            each();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) {
                failure_ = std::current_exception();
            }
            stopping_ = true;
        }
    }

    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::exception_ptr failure_;
};

}  // namespace brokerd::peers
