// Which option means something for which workload, defaults and bounds.
#include "tools/brokerctl/bench_options.hpp"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "protocol/types/limits.hpp"
#include "tools/brokerctl/bench_stamp.hpp"
#include "tools/brokerctl/command_line.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

constexpr microseconds default_time = 5s;
constexpr microseconds time_max = 1h;
constexpr std::uint64_t bench_messages_max = 1'000'000'000;
constexpr std::uint64_t threads_max = 1000;  // connections and consumers have one each
constexpr std::uint64_t rate_max = 10'000'000;
constexpr std::uint64_t keys_max = 1'000'000;
constexpr std::uint64_t requesters_max = 1024;  // requests of a connection the broker takes
// What consume fills unless told otherwise.
constexpr std::uint64_t backlog_messages = 1'000'000;
constexpr std::uint64_t backlog_bytes = std::uint64_t{1} << 30U;

// What a workload has, and what it is unless given; 0: it has no such option.
struct workload_defaults {
    bench_workload workload;
    const char* name;
    std::uint64_t in_flight;
    const char* in_flight_help;
    std::uint64_t consumers;
    const char* consumers_help;
    std::uint64_t queues;
    std::uint64_t rate;
    bool takes_rate;
    bool stores;     // messages in a topic
    bool publishes;  // while it measures

    // To consumers, at the same time.
    [[nodiscard]] bool delivers() const { return publishes && consumers > 0; }
};
constexpr workload_defaults workloads[] = {
    {bench_workload::publish, "publish", 1000,
     "Publishes of a connection without answer (default 1000)", 0, "", 0, 0, true, true, true},
    {bench_workload::consume, "consume", 256,
     "Messages a consumer holds at once, its prefetch (default 256)", 1,
     "Consumers of the queue (default 1)", 0, 0, false, true, false},
    {bench_workload::latency, "latency", 0, "", 1, "Consumers of the queue (default 1)", 0, 10'000,
     true, true, true},
    {bench_workload::fanout, "fanout", 10'000,
     "Messages of a connection that not every queue is done with (default 10000)", 1,
     "Consumers of each queue (default 1)", 10, 0, false, true, true},
    {bench_workload::rpc, "rpc", 1, "Requesters of each connection (default 1)", 1,
     "Responders (default 1)", 0, 0, false, false, false},
};

const workload_defaults& defaults_of(bench_workload workload) {
    return *std::ranges::find(workloads, workload, &workload_defaults::workload);
}

std::uint64_t bounded(const char* option, std::uint64_t value, std::uint64_t max) {
    if (value > max) {
        throw usage_error(fmt::format("{} is at most {}, not {}", option, max, value));
    }
    return value;
}

template <typename T>
json word_or_null(const std::optional<T>& value) {
    return value ? json(to_string(*value)) : json(nullptr);
}

json positive_or_null(std::uint64_t value) {
    return value > 0 ? json(value) : json(nullptr);
}

// How much and how long.
void plan_extent(bench_plan& plan, const bench_options& given) {
    if (given.messages && given.seconds) {
        throw usage_error("give either --messages or --seconds, not both");
    }
    if (given.messages) {
        plan.messages = bounded("--messages", *given.messages, bench_messages_max);
    } else if (given.seconds) {
        if (*given.seconds <= 0us || *given.seconds > time_max) {
            throw usage_error(
                fmt::format("--seconds is more than 0 and at most {}", format_duration(time_max)));
        }
        plan.time = given.seconds;
    } else if (plan.workload == bench_workload::consume) {
        plan.messages = std::clamp<std::uint64_t>(
            backlog_bytes / std::max<std::uint64_t>(plan.size, 1), 1, backlog_messages);
    } else {
        plan.time = default_time;
    }
}

void check_together(const bench_plan& plan, const bench_options& given) {
    if (plan.stamped() && plan.size < bench_stamp_bytes) {
        throw usage_error(fmt::format(
            "--size is at least {} here: each message carries the time at which it was due",
            bench_stamp_bytes));
    }
    if (plan.consumers * std::max<std::uint64_t>(plan.queues, 1) > threads_max) {
        throw usage_error(
            fmt::format("--consumers and --queues: at most {} consumers in all", threads_max));
    }
    if (plan.mode == delivery_mode::single && plan.consumers > 1) {
        throw usage_error(
            "a queue of mode single has one active consumer, the others would stand by; leave out "
            "--consumers");
    }
    if (plan.workload == bench_workload::consume && plan.connections > plan.consumers) {
        throw usage_error(fmt::format(
            "the consumers share the connections: {} cannot be those of {} consumers; raise "
            "--consumers",
            plan.connections, plan.consumers));
    }
    if (plan.workload == bench_workload::rpc && plan.in_flight > requesters_max) {
        throw usage_error(
            fmt::format("a connection has at most {} requests without a reply; raise --connections",
                        requesters_max));
    }
    if (!given.data_dir.empty() && !given.spawn) {
        throw usage_error("--data-dir is for --spawn: a running broker has its directory");
    }
}

}  // namespace

std::string_view to_string(bench_workload workload) {
    return defaults_of(workload).name;
}

void bench_options::add_to(CLI::App& app, bench_workload workload) {
    const workload_defaults& of = defaults_of(workload);
    const bool backlog = workload == bench_workload::consume;
    add_value(app, "--size", size, parse_size, "BYTES", "Bytes of a payload (default 100)");
    add_count(app, "--messages", messages,
              backlog ? "How many (default 1000000, or 1 GiB)" : "How many; or:");
    add_value(app, "--seconds", seconds, parse_seconds, "S",
              backlog ? "Fill for so long at most, and consume for so long at most"
                      : "How long (default 5)");
    add_count(app, "--connections", connections,
              backlog     ? "Connections of the consumers (default one for each)"
              : of.stores ? "Connections that publish (default 1)"
                          : "Connections that ask (default 1)");
    if (of.in_flight > 0) {
        add_count(app, "--in-flight", in_flight, of.in_flight_help);
    }
    if (of.consumers > 0) {
        add_count(app, "--consumers", consumers, of.consumers_help);
    }
    if (of.delivers()) {
        add_count(app, "--prefetch", prefetch,
                  "Messages a consumer holds at once (default 256); more make it faster, and "
                  "shared among fewer");
    }
    if (of.queues > 0) {
        add_count(app, "--queues", queues, "Queues of the topic (default 10)");
    }
    if (of.takes_rate) {
        add_count(app, "--rate", rate,
                  of.rate > 0 ? "Messages per second, whatever the broker does (default 10000)"
                              : "Messages per second (default: as fast as it goes)");
    }
    if (of.stores) {
        add_count(app, "--keys", keys,
                  of.consumers > 0 ? "Different keys (default: none; with --mode keyed 1000)"
                                   : "Different keys (default: none)");
        if (of.consumers > 0) {
            add_choice(app, "--mode", mode, delivery_modes, "Of the queues (default shared)");
        }
        add_choice(app, "--durability", durability, durability_levels,
                   "Of the topic (default disk)");
    }
    if (of.publishes) {
        app.add_flag("--no-batching", no_batching,
                     "Each message goes by itself (client_options::batch_messages = 1)");
    }
    app.add_flag("--spawn", spawn,
                 "Measure a brokerd of its own, started for this and removed afterwards, not the "
                 "one that runs at --server");
    app.add_option("--data-dir", data_dir,
                   "With --spawn: where its data is put for the time, a directory on the disk to "
                   "measure (default $TMPDIR or /var/tmp)")
        ->type_name("DIR");
}

bench_plan make_bench_plan(bench_workload workload, const bench_options& options) {
    constexpr std::uint64_t default_size = 100;
    constexpr std::uint64_t default_keys = 1000;
    const workload_defaults& of = defaults_of(workload);
    bench_plan plan;
    plan.workload = workload;
    plan.size = bounded("--size", options.size.value_or(default_size), limits::message_bytes_max);
    plan_extent(plan, options);
    plan.consumers = bounded("--consumers", options.consumers.value_or(of.consumers), threads_max);
    const bool shared_out = workload == bench_workload::consume;
    plan.connections =
        bounded("--connections", options.connections.value_or(shared_out ? plan.consumers : 1),
                threads_max);
    plan.in_flight = bounded("--in-flight", options.in_flight.value_or(of.in_flight),
                             limits::prefetch_messages_max);
    if (of.delivers()) {
        plan.prefetch =
            bounded("--prefetch", options.prefetch.value_or(limits::prefetch_messages_default),
                    limits::prefetch_messages_max);
    }
    plan.queues = bounded("--queues", options.queues.value_or(of.queues), threads_max);
    plan.rate = bounded("--rate", options.rate.value_or(of.rate), rate_max);
    if (of.stores) {
        plan.durability = options.durability.value_or(durability_level::disk);
        if (of.consumers > 0) {
            plan.mode = options.mode.value_or(delivery_mode::shared);
        }
        const bool keyed = plan.mode == delivery_mode::keyed;
        plan.keys = bounded("--keys", options.keys.value_or(keyed ? default_keys : 0), keys_max);
    }
    plan.batching = !options.no_batching;
    plan.spawn = options.spawn;
    plan.data_dir = options.data_dir;
    check_together(plan, options);
    return plan;
}

bench_plan bench_plan::warm_up() const {
    constexpr std::uint64_t most_messages = 100'000;
    constexpr microseconds most_time = 1s;
    bench_plan result = *this;
    if (messages) {
        result.messages = std::clamp<std::uint64_t>(*messages / 10, 1, most_messages);
    } else {
        result.time = std::min<microseconds>(*time / 10, most_time);
    }
    return result;
}

json bench_settings_json(const bench_plan& plan) {
    json result;
    result["size"] = plan.size;
    result["messages"] = plan.messages ? json(*plan.messages) : json(nullptr);
    result["seconds"] =
        plan.time ? json(std::chrono::duration<double>(*plan.time).count()) : json(nullptr);
    result["connections"] = plan.connections;
    result["in_flight"] = positive_or_null(plan.in_flight);
    result["consumers"] = positive_or_null(plan.consumers);
    result["prefetch"] = positive_or_null(plan.prefetch);
    result["queues"] = positive_or_null(plan.queues);
    result["rate"] = positive_or_null(plan.rate);
    result["keys"] = positive_or_null(plan.keys);
    result["mode"] = word_or_null(plan.mode);
    result["durability"] = word_or_null(plan.durability);
    result["batching"] = plan.batching;
    result["spawn"] = plan.spawn;
    return result;
}

}  // namespace brokerd::ctl
