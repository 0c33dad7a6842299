// latency and fanout: publishers and consumers at the same time.
#include <algorithm>
#include <atomic>
#include <utility>

#include "tools/brokerctl/bench_publishers.hpp"
#include "tools/brokerctl/bench_takers.hpp"
#include "tools/brokerctl/bench_workloads.hpp"

namespace brokerd::ctl {
namespace {

// A window that no schedule within reason fills: the schedule decides, not the client.
constexpr std::uint64_t open_window = 1'000'000;

class delivery_bench {
public:
    delivery_bench(bench_site& site, bench_course& course, const bench_plan& plan)
        : site_(site),
          course_(course),
          plan_(plan),
          queues_(std::max<std::uint64_t>(plan.queues, 1)),
          window_(plan.rate > 0 ? open_window : plan.in_flight),
          publishers_(site.connect(plan.connections, window_), site.name(), plan, window_),
          clients_(site.connect(queues_ * plan.consumers, 1)) {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            const std::size_t queue = i % queues_;
            takers_.open(clients_[i], queue, site.queue(queue),
                         static_cast<std::uint32_t>(plan.prefetch), true);
        }
        if (plan.rate == 0) {
            // Publishers that run ahead of the consumers would measure the reading of a backlog.
            const std::uint64_t window = plan.in_flight * plan.connections;
            publishers_.wait_for_room([this, window] {
                const std::uint64_t handed_in = publishers_.handed_in();
                if (handed_in >= slowest_.load(std::memory_order_relaxed) + window) {
                    slowest_.store(takers_.taken_of_slowest(), std::memory_order_relaxed);
                }
                return handed_in < slowest_.load(std::memory_order_relaxed) + window;
            });
        }
    }

    void run(const bench_plan& plan, std::string_view what) {
        slowest_ = 0;
        auto tasks = publishers_.begin(course_, plan);
        const auto over = [this](std::size_t queue) {
            // In this order: what is published last is counted before the publishers end.
            return publishers_.finished() && takers_.taken(queue) >= publishers_.acknowledged();
        };
        for (auto& task : takers_.begin(course_, over)) {
            tasks.push_back(std::move(task));
        }
        course_.run(tasks, what, [this] { return takers_.taken(); });
    }

    bench_result measure() {
        bench_result result;
        run(plan_.warm_up(), "messages to warm up");
        if (course_.interrupted()) {
            return result;
        }
        result.before = site_.counters();
        run(plan_, "messages delivered");
        result.after = site_.counters();
        result.messages = takers_.taken();
        result.seconds = takers_.seconds();
        result.latency = takers_.latency();
        return result;
    }

private:
    bench_site& site_;
    bench_course& course_;
    const bench_plan plan_;
    const std::uint64_t queues_;
    const std::uint64_t window_;
    bench_publishers publishers_;
    std::vector<client> clients_;
    bench_takers takers_;
    // What every queue has consumed at least; counted anew only when that matters.
    std::atomic<std::uint64_t> slowest_ = 0;
};

}  // namespace

bench_result bench_deliver(bench_site& site, bench_course& course, const bench_plan& plan) {
    site.create_topic(std::max<std::uint64_t>(plan.queues, 1));
    return delivery_bench(site, course, plan).measure();
}

}  // namespace brokerd::ctl
