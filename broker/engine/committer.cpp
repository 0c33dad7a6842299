// Hand-over to the commit thread and back.
#include "broker/engine/committer.hpp"

#include <chrono>
#include <pthread.h>
#include <utility>

#include "broker/base/assert.hpp"
#include "broker/engine/engine_limits.hpp"

namespace brokerd::engine {

committer::committer(storage::commit_log& log, answer_handler answer)
    : log_(log), answer_(std::move(answer)), thread_([this] { run(); }) {
    pthread_setname_np(thread_.native_handle(), "commit");
}

committer::~committer() {
    stop();
}

void committer::start(commit_number number, std::vector<domain::mutation> batch, bool sync) {
    {
        const std::lock_guard lock(mutex_);
        BROKERD_ASSERT(!next_, "a commit was started while another one waits");
        next_ = work{number, std::move(batch), sync};
        has_next_.store(true, std::memory_order_release);
    }
    wake_.notify_one();
}

void committer::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::optional<committer::work> committer::take() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return next_ || stopping_; });
    has_next_.store(false, std::memory_order_relaxed);
    return std::exchange(next_, std::nullopt);
}

void committer::run() {
    while (auto todo = take()) {
        const auto number = todo->number;
        answer_(number, log_.append(number, todo->batch, todo->sync));
        // Under load the next batch is here within microseconds.
        const auto until = std::chrono::steady_clock::now() + commit_spin;
        while (!has_next_.load(std::memory_order_acquire) &&
               std::chrono::steady_clock::now() < until) {
        }
    }
}

}  // namespace brokerd::engine
