// Starting, watching, joining.
#include "tools/brokerctl/bench_course.hpp"

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "tools/brokerctl/exit_code.hpp"
#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto look_every = 100ms;  // at ctrl-C, and for the progress line
constexpr auto rate_over = 500ms;

}  // namespace

void bench_course::run(const std::vector<std::function<void()>>& tasks, std::string_view what,
                       const std::function<std::uint64_t()>& counted) {
    if (signals_.requested()) {
        interrupted_ = true;
        return;
    }
    std::vector<std::jthread> threads;
    threads.reserve(tasks.size());
    shown_at_ = std::chrono::steady_clock::now();
    shown_count_ = 0;
    try {
        for (const auto& task : tasks) {
            {
                const std::lock_guard lock(mutex_);
                ++running_;
            }
            threads.emplace_back([this, &task] { carry_out(task); });
        }
    } catch (const std::system_error& failure) {
        fail(std::make_exception_ptr(refusal(fmt::format(
            "the system does not start so many threads ({}); lower --connections or --consumers",
            failure.what()))));
        const std::lock_guard lock(mutex_);
        --running_;
    }
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, look_every, [this] { return running_ == 0; })) {
        if (signals_.requested()) {
            interrupted_ = true;
            stopping_ = true;
        }
        show(what, counted());
    }
    lock.unlock();
    threads.clear();
    out_.end_progress();
    if (signals_.requested()) {
        interrupted_ = true;
        stopping_ = true;
    }
    if (failure_) {
        std::rethrow_exception(failure_);
    }
}

void bench_course::carry_out(const std::function<void()>& task) {
    try {
        task();
    } catch (...) {
        fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_all();
}

void bench_course::fail(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failure_) {
        failure_ = std::move(why);
    }
    stopping_ = true;
}

void bench_course::show(std::string_view what, std::uint64_t count) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_at_ < rate_over) {
        return;
    }
    const double seconds = std::chrono::duration<double>(now - shown_at_).count();
    const auto rate = static_cast<double>(count - shown_count_) / seconds;
    out_.progress(fmt::format("{}, {} per second", what, short_rate(rate)), count);
    shown_at_ = now;
    shown_count_ = count;
}

}  // namespace brokerd::ctl
