// Taking, acking and counting.
#include "tools/brokerctl/bench_takers.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "tools/brokerctl/bench_stamp.hpp"
#include "tools/brokerctl/exit_code.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto end_look = 20ms;
constexpr auto silence_max = 30s;
constexpr std::uint64_t clock_every = 256;  // messages

}  // namespace

// Written by its thread.
struct bench_takers::taker {
    consumer from;
    std::size_t queue = 0;
    bool stamped = false;
    std::atomic<std::uint64_t> taken = 0;
    bench_histogram latency;
    steady::time_point last{};

    taker(consumer opened, std::size_t of, bool has_times)
        : from(std::move(opened)), queue(of), stamped(has_times) {}

    void handle(message& one) {
        if (stamped) {
            if (const std::int64_t since = read_bench_stamp(one.payload());
                since != bench_untimed) {
                latency.record(static_cast<std::uint64_t>(
                    std::max<std::int64_t>(bench_time(steady::now()) - since, 0)));
            }
        }
        one.ack();
        taken.store(taken.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
};

bench_takers::bench_takers() = default;
bench_takers::~bench_takers() = default;

void bench_takers::open(client& broker, std::size_t queue, const std::string& name,
                        std::uint32_t prefetch, bool stamped) {
    consume_options options;
    options.prefetch_messages = prefetch;
    all_.push_back(std::make_unique<taker>(broker.open_consumer(name, options), queue, stamped));
    queues_ = std::max(queues_, queue + 1);
}

std::vector<std::function<void()>> bench_takers::begin(bench_course& course,
                                                       std::function<bool(std::size_t)> over,
                                                       steady::time_point end) {
    over_ = std::move(over);
    latency_ = {};
    start_ = steady::now();
    std::vector<std::function<void()>> tasks;
    for (const auto& each : all_) {
        each->taken = 0;
        each->latency = {};
        each->last = start_;
        tasks.emplace_back([this, &own = *each, &course, end] { take(own, course, end); });
    }
    return tasks;
}

void bench_takers::take(taker& own, const bench_course& course, steady::time_point end) {
    auto heard = start_;  // when the queue gave something to one of its consumers
    std::uint64_t known = 0;
    std::uint64_t untimed = 0;  // taken since the clock was read
    while (!course.stopping()) {
        std::optional<message> next = own.from.next(0us);
        if (!next || untimed >= clock_every) {
            const auto now = steady::now();
            if (untimed > 0) {
                own.last = now;
                untimed = 0;
            }
            if (now >= end) {
                break;  // what is at hand is released
            }
        }
        if (!next) {
            if (over_(own.queue)) {
                break;
            }
            next = own.from.next(end_look);
        }
        if (next) {
            own.handle(*next);
            ++untimed;
        } else if (const auto of_all = taken(own.queue); of_all != known) {
            known = of_all;
            heard = steady::now();
        } else if (steady::now() - heard > silence_max) {
            throw refusal(
                fmt::format("no message came from {} for {} s; 'brokerctl queue explain' "
                            "says why",
                            own.from.queue(), silence_max / 1s));
        }
    }
    if (untimed > 0) {
        own.last = steady::now();
    }
}

std::uint64_t bench_takers::taken() const {
    std::uint64_t sum = 0;
    for (const auto& each : all_) {
        sum += each->taken.load(std::memory_order_relaxed);
    }
    return sum;
}

std::uint64_t bench_takers::taken(std::size_t queue) const {
    std::uint64_t sum = 0;
    for (const auto& each : all_) {
        sum += each->queue == queue ? each->taken.load(std::memory_order_relaxed) : 0;
    }
    return sum;
}

std::uint64_t bench_takers::taken_of_slowest() const {
    std::uint64_t least = UINT64_MAX;
    for (std::size_t queue = 0; queue < queues_; ++queue) {
        least = std::min(least, taken(queue));
    }
    return least;
}

double bench_takers::seconds() const {
    steady::time_point last = start_;
    for (const auto& each : all_) {
        last = std::max(last, each->last);
    }
    return std::chrono::duration<double>(last - start_).count();
}

const bench_histogram& bench_takers::latency() {
    latency_ = {};
    for (const auto& each : all_) {
        latency_.add(each->latency);
    }
    return latency_;
}

void bench_takers::close() {
    for (const auto& each : all_) {
        each->from.close();
    }
}

}  // namespace brokerd::ctl
