// Handing in and counting answers.
#include "tools/brokerctl/bench_publishers.hpp"

#include <algorithm>
#include <exception>
#include <sys/prctl.h>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "tools/brokerctl/bench_schedule.hpp"
#include "tools/brokerctl/bench_stamp.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto stop_look = 50ms;   // longest sleep
constexpr auto room_look = 100us;  // a small part of the time a full window lasts
// With a large window that is always full, one message of so many is timed: reading the clock for
// each took a fifth of the client.
constexpr std::uint32_t timed_every = 8;
constexpr std::uint32_t timed_all_below = 256;  // messages in flight

}  // namespace

// Written by one thread each: `handed_in`, `messages` and `last` by the publisher, `acknowledged`,
// `answers` and `latency` by the network thread of its client.
struct bench_publishers::publisher {
    std::uint64_t number = 0;
    std::atomic<std::uint64_t> handed_in = 0;
    std::atomic<std::uint64_t> acknowledged = 0;
    // All answers and all messages ever, of which only the difference matters: as wide as a futex.
    std::atomic<std::uint32_t> answers = 0;
    std::atomic<std::uint32_t> messages = 0;
    std::uint32_t window_low = 0;
    bench_histogram latency;
    steady::time_point last{};
    bench_course* course = nullptr;
    client broker;  // goes first: its thread uses all of the above

    explicit publisher(client connected) : broker(std::move(connected)) {}

    void take(const publish_result& result, std::int64_t since) {
        if (result) {
            if (since != bench_untimed) {
                latency.record(static_cast<std::uint64_t>(
                    std::max<std::int64_t>(bench_time(steady::now()) - since, 0)));
            }
            acknowledged.store(acknowledged.load(std::memory_order_relaxed) + 1,
                               std::memory_order_relaxed);
        } else {
            course->fail(std::make_exception_ptr(*result.failure));
        }
        const std::uint32_t answered = answers.load(std::memory_order_relaxed) + 1;
        answers.store(answered);
        if (messages.load() - answered <= window_low) {
            answers.notify_one();
        }
    }
};

bench_publishers::bench_publishers(std::vector<client> clients, std::string topic,
                                   const bench_plan& plan, std::uint64_t window)
    : topic_(std::move(topic)),
      plan_(plan),
      window_(static_cast<std::uint32_t>(window)),
      window_low_(window_ - std::max<std::uint32_t>(window_ / 8, 1)) {
    for (auto& each : clients) {
        all_.push_back(std::make_unique<publisher>(std::move(each)));
        all_.back()->number = all_.size() - 1;
        all_.back()->window_low = window_low_;
    }
    for (std::uint64_t i = 0; i < plan.keys; ++i) {
        keys_.push_back(fmt::format("key{}", i));
    }
}

bench_publishers::~bench_publishers() = default;

std::vector<std::function<void()>> bench_publishers::begin(bench_course& course,
                                                           const bench_plan& plan) {
    constexpr std::uint64_t no_end = UINT64_MAX;
    finished_ = 0;
    latency_ = {};
    std::vector<std::function<void()>> tasks;
    start_ = steady::now();
    end_ = plan.time ? start_ + *plan.time : steady::time_point::max();
    for (const auto& each : all_) {
        each->handed_in = 0;
        each->acknowledged = 0;
        each->latency = {};
        each->last = start_;
        each->course = &course;
        const std::uint64_t quota = plan.messages
                                        ? *plan.messages / all_.size() +
                                              (each->number < *plan.messages % all_.size() ? 1 : 0)
                                        : no_end;
        tasks.emplace_back([this, &own = *each, &course, quota] {
            publish(own, course, quota);
            ++finished_;
        });
    }
    return tasks;
}

void bench_publishers::publish(publisher& own, bench_course& course, std::uint64_t quota) {
    // Sleeps end when they should, not up to 50 us later.
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const bench_schedule schedule(start_, std::max<std::uint64_t>(plan_.rate, 1), own.number,
                                  all_.size());
    outgoing_message message{
        .key = {}, .headers = {}, .payload = std::string(plan_.size, 'x'), .ttl = {}, .id = {}};
    const std::uint32_t every = plan_.rate > 0 || window_ < timed_all_below ? 1 : timed_every;
    for (std::uint64_t sent = 0; sent < quota && !course.stopping(); ++sent) {
        std::int64_t since = bench_untimed;
        if (plan_.rate > 0) {
            const steady::time_point due = schedule.due(sent);
            if (due >= end_ || !wait_until_due(course, due)) {
                break;
            }
            wait_for_window(own);
            if (steady::now() >= end_) {
                break;  // too late for what was due in time
            }
            since = bench_time(due);
        } else {
            if (room_ && !wait_for_turn(course)) {
                break;
            }
            wait_for_window(own);
            if (sent % every == 0) {
                const steady::time_point now = steady::now();
                if (now >= end_) {
                    break;
                }
                since = bench_time(now);
            }
        }
        if (plan_.stamped()) {
            write_bench_stamp(message.payload, since);
        }
        if (!keys_.empty()) {
            message.key = keys_[(sent * all_.size() + own.number) % keys_.size()];
        }
        own.messages.store(own.messages.load(std::memory_order_relaxed) + 1);
        own.broker.submit(topic_, message,
                          // As small as a callback has to be that needs no memory of its own.
                          [&own, since](const publish_result& result) { own.take(result, since); });
        own.handed_in.store(sent + 1, std::memory_order_relaxed);
    }
    own.broker.flush();
    own.last = steady::now();
}

bool bench_publishers::wait_until_due(const bench_course& course, steady::time_point due) const {
    for (auto now = steady::now(); now < due; now = steady::now()) {
        std::this_thread::sleep_until(std::min(due, now + stop_look));
        if (course.stopping()) {
            return false;
        }
    }
    return true;
}

bool bench_publishers::wait_for_turn(const bench_course& course) const {
    while (!room_()) {
        if (course.stopping() || steady::now() >= end_) {
            return false;
        }
        std::this_thread::sleep_for(room_look);
    }
    return true;
}

// Ends with the answers, or when the client gives up on them.
void bench_publishers::wait_for_window(const publisher& own) const {
    const std::uint32_t messages = own.messages.load(std::memory_order_relaxed);
    std::uint32_t answered = own.answers.load();
    if (messages - answered < window_) {
        return;
    }
    while (messages - answered > window_low_) {
        own.answers.wait(answered);
        answered = own.answers.load();
    }
}

std::uint64_t bench_publishers::handed_in() const {
    std::uint64_t sum = 0;
    for (const auto& each : all_) {
        sum += each->handed_in.load(std::memory_order_relaxed);
    }
    return sum;
}

std::uint64_t bench_publishers::acknowledged() const {
    std::uint64_t sum = 0;
    for (const auto& each : all_) {
        sum += each->acknowledged.load(std::memory_order_relaxed);
    }
    return sum;
}

double bench_publishers::seconds() const {
    steady::time_point last = start_;
    for (const auto& each : all_) {
        last = std::max(last, each->last);
    }
    return std::chrono::duration<double>(last - start_).count();
}

const bench_histogram& bench_publishers::latency() {
    latency_ = {};
    for (const auto& each : all_) {
        latency_.add(each->latency);
    }
    return latency_;
}

}  // namespace brokerd::ctl
