// brokerctl bench: publish, consume, latency, fanout, rpc.
#include <fmt/format.h>

#include "tools/brokerctl/bench_workloads.hpp"
#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/version.hpp"

namespace brokerd::ctl {
namespace {

using measure_function = bench_result (*)(bench_site&, bench_course&, const bench_plan&);

exit_code run_bench(context& ctx, const bench_plan& plan, measure_function measure) {
    outlive_closed_output();         // there are a topic, and perhaps a broker, to remove
    bench_course course(ctx.out());  // before what ctrl-C would leave behind
    bench_site site(ctx, plan);
    bench_result result = measure(site, course, plan);
    if (result.messages == 0) {
        ctx.out().complain(course.interrupted() ? "interrupted before anything was measured"
                                                : "nothing was done in that time");
        return exit_code::refused;
    }
    result.brokerctl_version = program_version;
    result.brokerd_version = site.brokerd_version();
    const json report = bench_report_json(plan, result);
    ctx.out().object(report, bench_report_text(report, ctx.out().colours()));
    if (course.interrupted()) {
        ctx.out().complain("interrupted: these are the figures until then");
        return exit_code::refused;
    }
    // What is late was counted with its delay; what was not sent at all was not.
    constexpr double nearly = 0.99;
    const double reached = report.at("messages_per_second").get<double>();
    if (plan.rate > 0 && reached < nearly * static_cast<double>(plan.rate)) {
        ctx.out().hint(fmt::format("the rate of {} per second was not reached: {:.0f}; lower it",
                                   plan.rate, reached));
    }
    return exit_code::done;
}

template <bench_workload Workload>
exit_code run_workload(context& ctx, const bench_options& options) {
    const bench_plan plan = make_bench_plan(Workload, options);
    switch (Workload) {
        case bench_workload::publish: return run_bench(ctx, plan, bench_publish);
        case bench_workload::consume: return run_bench(ctx, plan, bench_consume);
        case bench_workload::latency:
        case bench_workload::fanout: return run_bench(ctx, plan, bench_deliver);
        case bench_workload::rpc: return run_bench(ctx, plan, bench_rpc);
    }
    return exit_code::usage;
}

template <bench_workload Workload>
void add_workload(command_line& line, CLI::App& noun, const verb_text& text) {
    auto verb = line.add_verb(noun, text, run_workload<Workload>);
    verb.options.add_to(verb.app, Workload);
}

}  // namespace

void add_bench_verbs(command_line& line) {
    auto& noun =
        line.add_noun("bench",
                      "Measurements: publish, consume, latency, fanout, rpc; of the broker at "
                      "--server beside its other work, or with --spawn of one started for it");
    add_workload<bench_workload::publish>(
        line, noun,
        {"publish",
         "Publish durably and count the answers. Latency is from handing a message in to its "
         "answer; with --rate from when it was due.",
         "  brokerctl bench publish --spawn\n"
         "  brokerctl bench publish --spawn --connections 16 --in-flight 64 --no-batching\n"
         "  brokerctl bench publish --spawn --in-flight 1 --seconds 2 -o json\n"});
    add_workload<bench_workload::consume>(
        line, noun,
        {"consume", "Fill a queue, then take its messages and ack each. Only that is timed.",
         "  brokerctl bench consume --spawn\n"
         "  brokerctl bench consume --spawn --consumers 4 --messages 2000000\n"
         "  brokerctl bench consume --spawn --mode keyed --keys 10000 --consumers 8\n"});
    add_workload<bench_workload::latency>(
        line, noun,
        {"latency",
         "Publish at a fixed rate and consume at the same time. Latency is from when a message was "
         "due to be published until its consumer has it, so that a pause counts for all that was "
         "due in it.",
         "  brokerctl bench latency --spawn --rate 10000 --size 256\n"
         "  brokerctl bench latency --spawn --rate 1000 --durability os\n"});
    add_workload<bench_workload::fanout>(
        line, noun,
        {"fanout",
         "Publish to a topic whose queues are all consumed, and count what is delivered. Latency "
         "is from handing a message in until a consumer has it.",
         "  brokerctl bench fanout --spawn\n"
         "  brokerctl bench fanout --spawn --queues 100 --size 256 --seconds 3\n"});
    add_workload<bench_workload::rpc>(
        line, noun,
        {"rpc", "Ask a service that replies with the request. Latency is from question to reply.",
         "  brokerctl bench rpc --spawn\n"
         "  brokerctl bench rpc --spawn --in-flight 32 --seconds 2\n"});
}

}  // namespace brokerd::ctl
