// The loop of the pool threads: reads first, background work when it is due.
#include "broker/engine/read_pool.hpp"

#include <pthread.h>
#include <utility>

#include "broker/engine/engine_limits.hpp"

namespace brokerd::engine {

read_pool::read_pool(storage::store& from, handlers to)
    : from_(from), to_(std::move(to)), maintain_at_(std::chrono::steady_clock::now()) {
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
        maintain_at_ = {};
    }
    wake_.notify_one();
}

void read_pool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
}

void read_pool::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!waiting_.empty()) {
            const auto todo = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            to_.answered({todo.generation, {todo.what.id, from_.read(todo.what.body)}});
            lock.lock();
        } else if (maintaining_) {
            wake_.wait(lock);
        } else if (std::chrono::steady_clock::now() >= maintain_at_) {
            maintaining_ = true;
            lock.unlock();
            maintain();
            lock.lock();
            maintaining_ = false;
            maintain_at_ = std::chrono::steady_clock::now() + maintain_interval;
            wake_.notify_all();
        } else {
            wake_.wait_until(lock, maintain_at_);
        }
    }
}

void read_pool::maintain() {
    from_.maintain();
    to_.maintained(from_.statistics());
}

}  // namespace brokerd::engine
