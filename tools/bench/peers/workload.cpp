// The loops of the workloads.
#include "tools/bench/peers/workload.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <thread>
#include <utility>
#include <vector>

#include "tools/bench/peers/crew.hpp"
#include "tools/brokerctl/bench_schedule.hpp"
#include "tools/brokerctl/bench_stamp.hpp"

namespace brokerd::peers {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto end_look = 20ms;             // how soon a consumer sees that there is no more
constexpr auto room_look = 100us;           // a small part of the time a full window lasts
constexpr auto silence_max = 20s;           // of a queue that has messages
constexpr std::uint64_t clock_every = 256;  // messages
constexpr std::size_t publish_window = 1000;
constexpr std::size_t prefetch = 256;
// Enough for what a consumer falls behind by when its rate is given.
constexpr std::size_t live_prefetch = 1000;

std::uint64_t nanoseconds_since(std::int64_t stamp) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(ctl::bench_time(steady::now()) - stamp, 0));
}

std::uint64_t share_of(std::uint64_t messages, std::size_t part, std::size_t parts) {
    return messages == UINT64_MAX ? messages : messages / parts + (part < messages % parts ? 1 : 0);
}

using publishers = std::vector<std::unique_ptr<publisher>>;
using consumers = std::vector<std::unique_ptr<consumer>>;

publishers open_publishers(peer& with, std::size_t count, std::size_t window) {
    publishers result;
    for (std::size_t i = 0; i < count; ++i) {
        result.push_back(with.open_publisher(window));
    }
    return result;
}

// ---- publish

// One at a time, each with its time.
std::uint64_t publish_singly(publisher& to, const workload_plan& plan, std::uint64_t quota,
                             steady::time_point end, const crew& others,
                             ctl::bench_histogram& latency) {
    const std::string payload(plan.size, 'x');
    std::uint64_t count = 0;
    for (auto now = steady::now(); count < quota && now < end && !others.stopping(); ++count) {
        to.publish(payload);
        to.finish();
        const auto answered = steady::now();
        latency.record(static_cast<std::uint64_t>((answered - now).count()));
        now = answered;
    }
    return count;
}

std::uint64_t publish_many(publisher& to, const workload_plan& plan, std::uint64_t quota,
                           steady::time_point end, const crew& others) {
    const std::string payload(plan.size, 'x');
    std::uint64_t count = 0;
    while (count < quota && steady::now() < end && !others.stopping()) {
        to.publish(payload);
        ++count;
    }
    to.finish();
    return count;
}

workload_result publish_once(const publishers& all, const workload_plan& plan) {
    workload_result result;
    std::vector<std::uint64_t> counts(all.size());
    std::vector<ctl::bench_histogram> latencies(all.size());
    crew threads;
    std::vector<crew::task> tasks;
    const auto start = steady::now();
    const auto end = start + plan.time;
    for (std::size_t i = 0; i < all.size(); ++i) {
        tasks.emplace_back([&, i] {
            const std::uint64_t quota = share_of(plan.messages, i, all.size());
            counts[i] = plan.in_flight == 1
                            ? publish_singly(*all[i], plan, quota, end, threads, latencies[i])
                            : publish_many(*all[i], plan, quota, end, threads);
        });
    }
    threads.run(tasks);
    result.seconds = std::chrono::duration<double>(steady::now() - start).count();
    for (std::size_t i = 0; i < all.size(); ++i) {
        result.messages += counts[i];
    }
    if (plan.in_flight == 1) {
        result.latency.emplace();
        for (const auto& each : latencies) {
            result.latency->add(each);
        }
    }
    return result;
}

workload_result run_publish(peer& with, const workload_plan& plan, const workload_marks& marks) {
    with.create_topic(1);
    const publishers all = open_publishers(with, plan.connections, plan.in_flight);
    (void)publish_once(all, plan.warm_up());
    marks.before();
    const workload_result result = publish_once(all, plan);
    marks.after();
    return result;
}

// ---- consume

class backlog_reader {
public:
    backlog_reader(std::uint64_t backlog, steady::time_point end) : backlog_(backlog), end_(end) {}

    void read(consumer& from, const crew& others) {
        auto heard = steady::now();
        while (!others.stopping() && taken_.load(std::memory_order_relaxed) < backlog_) {
            const std::size_t count = from.take(end_look, [](std::string_view) {});
            const auto now = steady::now();
            if (count > 0) {
                heard = now;
                taken_.fetch_add(count, std::memory_order_relaxed);
                last_.store(now, std::memory_order_relaxed);
            } else if (now - heard > silence_max) {
                throw std::runtime_error("a queue with messages gives none");
            }
            if (now >= end_) {
                break;
            }
        }
    }

    [[nodiscard]] std::uint64_t taken() const { return taken_; }
    [[nodiscard]] steady::time_point last() const { return last_; }

private:
    const std::uint64_t backlog_;
    const steady::time_point end_;
    std::atomic<std::uint64_t> taken_ = 0;
    std::atomic<steady::time_point> last_ = steady::now();
};

workload_result consume_backlog(peer& with, const workload_plan& plan, std::uint64_t backlog) {
    const auto start = steady::now();
    consumers all;
    for (std::size_t i = 0; i < plan.consumers; ++i) {
        all.push_back(with.open_consumer(0, prefetch, consuming::backlog));
    }
    backlog_reader reader(backlog, start + plan.time);
    crew threads;
    std::vector<crew::task> tasks;
    for (const auto& each : all) {
        tasks.emplace_back([&] { reader.read(*each, threads); });
    }
    threads.run(tasks);
    return {.messages = reader.taken(),
            .seconds = std::chrono::duration<double>(reader.last() - start).count(),
            .latency = {}};
}

workload_result run_consume(peer& with, const workload_plan& plan, const workload_marks& marks) {
    with.create_topic(1);
    const publishers filler = open_publishers(with, 1, publish_window);
    workload_plan filling = plan.warm_up();
    filling.in_flight = publish_window;
    // As long as it takes: what is left in the queue would be taken for the backlog.
    workload_plan emptying = plan;
    emptying.time = silence_max;
    (void)consume_backlog(with, emptying, publish_once(filler, filling).messages);
    filling = plan;
    filling.in_flight = publish_window;
    const std::uint64_t backlog = publish_once(filler, filling).messages;
    marks.before();
    const workload_result result = consume_backlog(with, plan, backlog);
    marks.after();
    return result;
}

// ---- latency and fanout

class delivery {
public:
    delivery(peer& with, const workload_plan& plan)
        : plan_(plan), paced_(plan.kind == workload::latency), taken_(plan.queues) {
        with.create_topic(plan.queues);
        const std::size_t held = paced_ ? live_prefetch : prefetch;
        for (std::size_t i = 0; i < plan.queues * plan.consumers; ++i) {
            consumers_.push_back(with.open_consumer(i % plan.queues, held, consuming::live));
        }
        publishers_ = open_publishers(with, plan.connections, paced_ ? 0 : publish_window);
    }

    workload_result run(const workload_plan& plan) {
        crew threads;
        std::vector<crew::task> tasks;
        std::vector<ctl::bench_histogram> latencies(consumers_.size());
        handed_in_ = 0;
        slowest_ = 0;
        publishing_ = publishers_.size();
        std::ranges::for_each(taken_, [](auto& each) { each = 0; });
        start_ = steady::now();
        last_ = start_;
        for (std::size_t i = 0; i < publishers_.size(); ++i) {
            tasks.emplace_back([this, i, &plan, &threads] {
                publish(*publishers_[i], i, plan, threads);
                --publishing_;
            });
        }
        for (std::size_t i = 0; i < consumers_.size(); ++i) {
            tasks.emplace_back([this, i, &latencies, &threads] {
                take(*consumers_[i], i % plan_.queues, latencies[i], threads);
            });
        }
        threads.run(tasks);
        workload_result result;
        for (const auto& each : taken_) {
            result.messages += each;
        }
        result.seconds = std::chrono::duration<double>(last_.load() - start_).count();
        result.latency.emplace();
        for (const auto& each : latencies) {
            result.latency->add(each);
        }
        return result;
    }

private:
    void publish(publisher& to, std::size_t number, const workload_plan& plan, const crew& others) {
        // Sleeps end when they should, not up to 50 us later.
        ::prctl(PR_SET_TIMERSLACK, 1UL);
        const auto end = start_ + plan.time;
        const ctl::bench_schedule schedule(start_, plan.rate, number, publishers_.size());
        const std::uint64_t quota = share_of(plan.messages, number, publishers_.size());
        std::string payload(plan.size, 'x');
        for (std::uint64_t sent = 0; sent < quota && !others.stopping(); ++sent) {
            auto due = steady::now();
            if (paced_) {
                due = schedule.due(sent);
                std::this_thread::sleep_until(due);
            } else if (!wait_for_room(to, end)) {
                break;
            }
            if (due >= end) {
                break;
            }
            ctl::write_bench_stamp(payload, ctl::bench_time(due));
            to.publish(payload);
            handed_in_.fetch_add(1);
        }
        to.finish();
    }

    // Publishers that run ahead of the consumers would measure the reading of a backlog.
    bool wait_for_room(publisher& to, steady::time_point end) {
        const std::uint64_t window = plan_.in_flight;
        if (handed_in_ < slowest_ + window) {
            return true;
        }
        for (slowest_ = least_taken(); handed_in_ >= slowest_ + window; slowest_ = least_taken()) {
            to.flush();
            if (steady::now() >= end) {
                return false;
            }
            std::this_thread::sleep_for(room_look);
        }
        return true;
    }

    void take(consumer& from, std::size_t queue, ctl::bench_histogram& latency,
              const crew& others) {
        auto heard = steady::now();
        while (!others.stopping()) {
            const std::size_t count = from.take(end_look, [&latency](std::string_view payload) {
                latency.record(nanoseconds_since(ctl::read_bench_stamp(payload)));
            });
            if (count > 0) {
                heard = steady::now();
                taken_[queue].fetch_add(count);
                last_.store(heard, std::memory_order_relaxed);
            } else if (publishing_ == 0 && taken_[queue] >= handed_in_) {
                break;
            } else if (steady::now() - heard > silence_max) {
                throw std::runtime_error("a queue with messages gives none");
            }
        }
    }

    [[nodiscard]] std::uint64_t least_taken() const {
        std::uint64_t least = UINT64_MAX;
        for (const auto& each : taken_) {
            least = std::min(least, each.load(std::memory_order_relaxed));
        }
        return least;
    }

    const workload_plan plan_;
    const bool paced_;
    consumers consumers_;
    publishers publishers_;
    steady::time_point start_{};
    std::atomic<steady::time_point> last_{};
    std::atomic<std::uint64_t> handed_in_ = 0;
    std::atomic<std::size_t> publishing_ = 0;
    std::vector<std::atomic<std::uint64_t>> taken_;  // of each queue
    // What every queue gave at least; counted anew only when that matters.
    std::atomic<std::uint64_t> slowest_ = 0;
};

workload_result run_delivery(peer& with, const workload_plan& plan, const workload_marks& marks) {
    delivery all(with, plan);
    (void)all.run(plan.warm_up());
    marks.before();
    const workload_result result = all.run(plan);
    marks.after();
    return result;
}

// ---- rpc

// As many requesters as `in_flight` on one connection: each asks, and asks again after the reply.
workload_result ask_for(requester& from, const workload_plan& plan) {
    workload_result result;
    result.latency.emplace();
    std::string question(std::max(plan.size, ctl::bench_stamp_bytes), 'x');
    const auto start = steady::now();
    const auto end = start + plan.time;
    std::uint64_t asked = 0;
    const auto ask = [&](steady::time_point now) {
        ctl::write_bench_stamp(question, ctl::bench_time(now));
        from.ask(question);
        ++asked;
    };
    while (asked < std::min<std::uint64_t>(plan.in_flight, plan.messages)) {
        ask(steady::now());
    }
    auto now = start;
    while (result.messages < asked) {
        const std::size_t count = from.take_replies([&](std::string_view reply) {
            result.latency->record(nanoseconds_since(ctl::read_bench_stamp(reply)));
        });
        result.messages += count;
        now = steady::now();
        for (std::size_t i = 0; i < count && asked < plan.messages && now < end; ++i) {
            ask(now);
        }
    }
    result.seconds = std::chrono::duration<double>(now - start).count();
    return result;
}

workload_result run_rpc(peer& with, const workload_plan& plan, const workload_marks& marks) {
    workload_result result;
    const auto service = with.open_responder(plan.in_flight);
    const auto asking = with.open_requester(plan.in_flight);
    std::atomic<bool> over = false;
    crew threads;
    threads.run({[&] {
                     while (!over && !threads.stopping()) {
                         service->serve(end_look);
                     }
                 },
                 [&] {
                     try {
                         (void)ask_for(*asking, plan.warm_up());
                         marks.before();
                         result = ask_for(*asking, plan);
                         marks.after();
                     } catch (...) {
                         over = true;
                         throw;
                     }
                     over = true;
                 }});
    return result;
}

}  // namespace

workload_plan workload_plan::warm_up() const {
    constexpr std::uint64_t most_messages = 100'000;
    constexpr std::chrono::microseconds most_time = 1s;
    workload_plan result = *this;
    if (messages != UINT64_MAX) {
        result.messages = std::clamp<std::uint64_t>(messages / 10, 1, most_messages);
    }
    result.time = std::min(time / 10, most_time);
    return result;
}

workload_result run_workload(peer& with, const workload_plan& plan, const workload_marks& marks) {
    switch (plan.kind) {
        case workload::publish: return run_publish(with, plan, marks);
        case workload::consume: return run_consume(with, plan, marks);
        case workload::latency:
        case workload::fanout: return run_delivery(with, plan, marks);
        case workload::rpc: return run_rpc(with, plan, marks);
    }
    throw std::logic_error("no such workload");
}

}  // namespace brokerd::peers
