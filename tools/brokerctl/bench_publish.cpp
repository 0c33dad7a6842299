// publish: into a topic with a queue that nobody consumes. consume: a backlog that was filled
// before.
#include <chrono>
#include <utility>

#include "tools/brokerctl/bench_publishers.hpp"
#include "tools/brokerctl/bench_takers.hpp"
#include "tools/brokerctl/bench_workloads.hpp"

namespace brokerd::ctl {
namespace {

// Publishes what makes a backlog; returns how many messages that are.
std::uint64_t fill_backlog(bench_publishers& publishers, bench_course& course,
                           const bench_plan& plan) {
    const auto tasks = publishers.begin(course, plan);
    course.run(tasks, "messages filled", [&] { return publishers.acknowledged(); });
    return publishers.acknowledged();
}

// Consumes the backlog and waits until the acks are sent.
void consume_backlog(bench_site& site, bench_course& course, const bench_plan& plan,
                     std::uint64_t backlog, bench_result& result) {
    std::vector<client> clients = site.connect(plan.connections, 1);
    bench_takers takers;
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t i = 0; i < plan.consumers; ++i) {
        takers.open(clients[i % clients.size()], 0, site.queue(0),
                    static_cast<std::uint32_t>(plan.in_flight), false);
    }
    const std::chrono::duration<double> opening = std::chrono::steady_clock::now() - start;
    const auto tasks = takers.begin(
        course, [&](std::size_t) { return takers.taken() >= backlog; },
        plan.time ? start + *plan.time : std::chrono::steady_clock::time_point::max());
    course.run(tasks, "messages consumed", [&] { return takers.taken(); });
    result.messages = takers.taken();
    result.seconds = opening.count() + takers.seconds();
    takers.close();
}

}  // namespace

bench_result bench_publish(bench_site& site, bench_course& course, const bench_plan& plan) {
    site.create_topic(1);
    bench_publishers publishers(site.connect(plan.connections, plan.in_flight), site.name(), plan,
                                plan.in_flight);
    const auto counted = [&] { return publishers.acknowledged(); };
    course.run(publishers.begin(course, plan.warm_up()), "messages to warm up", counted);
    bench_result result;
    if (course.interrupted()) {
        return result;
    }
    result.before = site.counters();
    course.run(publishers.begin(course, plan), "messages published", counted);
    result.after = site.counters();
    result.messages = publishers.acknowledged();
    result.seconds = publishers.seconds();
    result.latency = publishers.latency();
    return result;
}

bench_result bench_consume(bench_site& site, bench_course& course, const bench_plan& plan) {
    constexpr std::uint64_t filler_in_flight = 16'384;
    site.create_topic(1);
    bench_result result;
    bench_publishers publishers(site.connect(1, filler_in_flight), site.name(), plan,
                                filler_in_flight);
    const std::uint64_t some = fill_backlog(publishers, course, plan.warm_up());
    if (!course.interrupted()) {
        consume_backlog(site, course, plan.warm_up(), some, result);
        result = {};
    }
    const std::uint64_t backlog = course.interrupted() ? 0 : fill_backlog(publishers, course, plan);
    if (course.interrupted()) {
        return result;
    }
    result.before = site.counters();
    consume_backlog(site, course, plan, backlog, result);
    result.after = site.counters();
    return result;
}

}  // namespace brokerd::ctl
