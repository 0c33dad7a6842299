// The workloads of `brokerctl bench`: each warms up, measures, and says what it measured.
#pragma once

#include "tools/brokerctl/bench_course.hpp"
#include "tools/brokerctl/bench_options.hpp"
#include "tools/brokerctl/bench_report.hpp"
#include "tools/brokerctl/bench_site.hpp"

namespace brokerd::ctl {

// Messages, time, latency, and the counters of the broker around them. After ctrl-C what was
// measured so far; nothing if it came before.
[[nodiscard]] bench_result bench_publish(bench_site& site, bench_course& course,
                                         const bench_plan& plan);
[[nodiscard]] bench_result bench_consume(bench_site& site, bench_course& course,
                                         const bench_plan& plan);
// latency and fanout: what is published is consumed at the same time.
[[nodiscard]] bench_result bench_deliver(bench_site& site, bench_course& course,
                                         const bench_plan& plan);
[[nodiscard]] bench_result bench_rpc(bench_site& site, bench_course& course,
                                     const bench_plan& plan);

}  // namespace brokerd::ctl
