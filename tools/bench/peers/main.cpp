// bench_peers: one workload against a broker that is not ours and runs already; prints the figures
// as `brokerctl bench ... -o json` does. tools/bench/compare starts both.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/bench/peers/peer.hpp"
#include "tools/bench/peers/server_usage.hpp"
#include "tools/bench/peers/workload.hpp"

namespace {

using namespace brokerd::peers;
using json = nlohmann::ordered_json;
using make_peer = std::unique_ptr<peer> (*)(const peer_options&);

// Those whose client library was there when this was built.
const std::vector<std::pair<std::string, make_peer>> known_peers{
#ifdef BROKERD_PEER_REDIS
    {"redis", make_redis_peer},
#endif
#ifdef BROKERD_PEER_NATS
    {"nats", make_nats_peer},
#endif
#ifdef BROKERD_PEER_RABBITMQ
    {"rabbitmq", make_rabbitmq_peer},
#endif
};

const std::map<std::string, workload> workloads{{"publish", workload::publish},
                                                {"consume", workload::consume},
                                                {"latency", workload::latency},
                                                {"fanout", workload::fanout},
                                                {"rpc", workload::rpc}};

struct command {
    std::string peer_name;
    std::string workload_name;
    std::string durability_name = "disk";
    double seconds = 5;
    int session = 0;
    bool lists = false;
    peer_options server;
    workload_plan plan;
};

command parse_command(int argc, char** argv) {
    command given;
    std::vector<std::string> names;
    for (const auto& [name, make] : known_peers) {
        names.push_back(name);
    }
    CLI::App app{
        "Measures one workload with a broker other than brokerd. See tools/bench/compare."};
    app.add_flag("--list", given.lists, "Say which brokers this was built for");
    app.add_option("PEER", given.peer_name)->check(CLI::IsMember(names));
    app.add_option("WORKLOAD", given.workload_name)->check(CLI::IsMember(workloads));
    app.add_option("--port", given.server.port, "Where it listens, on 127.0.0.1");
    app.add_option("--session", given.session,
                   "The process that began its session, whose processor time is measured");
    app.add_option("--durability", given.durability_name)->check(CLI::IsMember({"disk", "os"}));
    app.add_option("--size", given.plan.size, "Bytes of a payload")->capture_default_str();
    app.add_option("--seconds", given.seconds, "How long at most")->capture_default_str();
    app.add_option("--messages", given.plan.messages, "How many at most");
    app.add_option("--connections", given.plan.connections)->capture_default_str();
    app.add_option("--in-flight", given.plan.in_flight)->capture_default_str();
    app.add_option("--consumers", given.plan.consumers)->capture_default_str();
    app.add_option("--queues", given.plan.queues)->capture_default_str();
    app.add_option("--rate", given.plan.rate)->capture_default_str();
    try {
        app.parse(argc, argv);
        if (!given.lists && given.workload_name.empty()) {
            throw CLI::RequiredError("PEER and WORKLOAD");
        }
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 64);
    }
    if (!given.lists) {
        given.plan.kind = workloads.at(given.workload_name);
        given.plan.time = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::duration<double>(given.seconds));
        given.server.stored = given.durability_name == "os" ? durability::os : durability::disk;
        given.server.only_stores = given.plan.kind == workload::publish;
    }
    return given;
}

json latency_json(const workload_result& result) {
    if (!result.latency || result.latency->count() == 0) {
        return nullptr;
    }
    constexpr double us = 1000;
    json values;
    for (const auto& [name, part] : {std::pair{"p50", 0.5}, std::pair{"p90", 0.9},
                                     std::pair{"p99", 0.99}, std::pair{"p999", 0.999}}) {
        values[name] = static_cast<double>(result.latency->percentile(part)) / us;
    }
    values["max"] = static_cast<double>(result.latency->max()) / us;
    return values;
}

json settings_json(const command& given) {
    return {{"size", given.plan.size},
            {"seconds", given.seconds},
            {"connections", given.plan.connections},
            {"in_flight", given.plan.in_flight},
            {"consumers", given.plan.consumers},
            {"queues", given.plan.queues},
            {"rate", given.plan.rate},
            {"durability", given.durability_name}};
}

json measure(const command& given) {
    constexpr double mib = 1024.0 * 1024.0;
    server_usage before;
    server_usage after;
    const auto look = [&given](server_usage& usage) {
        return [&given, &usage] {
            usage = given.session > 0 ? server_usage::of_session(given.session) : server_usage{};
        };
    };
    std::unique_ptr<peer> with;
    for (const auto& [name, make] : known_peers) {
        if (name == given.peer_name) {
            with = make(given.server);
        }
    }
    const workload_result result =
        run_workload(*with, given.plan, {.before = look(before), .after = look(after)});
    if (result.messages == 0) {
        throw std::runtime_error("nothing was done in that time");
    }
    const auto messages = static_cast<double>(result.messages);
    const double rate = result.seconds > 0 ? messages / result.seconds : 0;
    json server{{"cpu_seconds_per_million", nullptr}, {"rss_mib", nullptr}};
    if (given.session > 0) {
        server["cpu_seconds_per_million"] =
            (after.cpu_seconds - before.cpu_seconds) / messages * 1e6;
        server["rss_mib"] = static_cast<double>(after.resident_bytes) / mib;
    }
    return {{"peer", given.peer_name},
            {"workload", given.workload_name},
            {"settings", settings_json(given)},
            {"messages", result.messages},
            {"seconds", result.seconds},
            {"messages_per_second", rate},
            {"bytes_per_second", rate * static_cast<double>(given.plan.size)},
            {"latency_us", latency_json(result)},
            {"server", std::move(server)}};
}

}  // namespace

int main(int argc, char** argv) {
    const command given = parse_command(argc, argv);
    try {
        if (given.lists) {
            for (const auto& [name, make] : known_peers) {
                std::cout << name << '\n';
            }
        } else {
            std::cout << measure(given).dump(2) << '\n';
        }
        return EXIT_SUCCESS;
    } catch (const std::exception& failure) {
        std::cerr << "bench_peers: " << failure.what() << '\n';
        return EXIT_FAILURE;
    }
}
