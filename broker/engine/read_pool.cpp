// The loop of the pool threads: the disk is measured when it is time, then loads and reads come
// first.
#include "broker/engine/read_pool.hpp"

#include <algorithm>
#include <pthread.h>
#include <utility>

#include "broker/engine/engine_limits.hpp"

namespace brokerd::engine {

read_pool::read_pool(storage::store& from, handlers to) : from_(from), to_(std::move(to)) {
    for (std::size_t i = 0; i < read_threads; ++i) {
        threads_.emplace_back([this] { run(); });
        pthread_setname_np(threads_.back().native_handle(), "read");
    }
}

read_pool::~read_pool() {
    stop();
}

bool read_pool::start(domain::fetch what, std::uint64_t generation) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= read_queue_max) {
            return false;
        }
        waiting_.push_back({std::move(what), generation});
    }
    wake_.notify_one();
    return true;
}

void read_pool::maintain_soon() {
    {
        const std::lock_guard lock(mutex_);
        measure_.at = {};
        maintain_.at = {};
    }
    wake_.notify_one();
}

void read_pool::load(state_load what) {
    {
        const std::lock_guard lock(mutex_);
        load_ = std::move(what);
    }
    wake_.notify_one();
}

void read_pool::stop() {
    if (threads_.empty()) {
        return;  // the store may be closed by now
    }
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    from_.stop_maintaining();
    for (auto& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void read_pool::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto now = std::chrono::steady_clock::now();
        // Measuring is quick, and what it finds must not wait behind any number of reads.
        if (measure_.due(now)) {
            run_chore(measure_, measure_interval, lock, [this] {
                from_.measure();
                to_.measured(from_.statistics());
            });
        } else if (load_) {
            run_load(lock);
        } else if (!waiting_.empty()) {
            answer(lock);
        } else if (maintain_.due(now)) {
            run_chore(maintain_, maintain_interval, lock, [this] { from_.maintain(); });
        } else {
            wake_.wait_until(lock, next_chore(now));
        }
    }
}

void read_pool::run_load(std::unique_lock<std::mutex>& lock) {
    auto what = *std::exchange(load_, std::nullopt);
    lock.unlock();
    what.run(from_);
    to_.loaded(std::move(what));
    lock.lock();
}

void read_pool::answer(std::unique_lock<std::mutex>& lock) {
    const auto todo = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    to_.answered({todo.generation, {todo.what.id, from_.read(todo.what.body)}});
    lock.lock();
}

template <typename Work>
void read_pool::run_chore(chore& which, std::chrono::nanoseconds interval,
                          std::unique_lock<std::mutex>& lock, Work work) {
    which.running = true;
    lock.unlock();
    work();
    lock.lock();
    which.running = false;
    which.at = std::chrono::steady_clock::now() + interval;
    wake_.notify_all();
}

read_pool::time_point read_pool::next_chore(time_point now) const {
    time_point next = now + maintain_interval;
    for (const auto* each : {&measure_, &maintain_}) {
        next = each->running ? next : std::min(next, each->at);
    }
    return next;
}

}  // namespace brokerd::engine
