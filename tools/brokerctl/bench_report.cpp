// Figures from counts.
#include "tools/brokerctl/bench_report.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/units.hpp"

namespace brokerd::ctl {
namespace {

json figure(std::optional<double> value) {
    return value ? json(*value) : json(nullptr);
}

// What was added in between.
std::optional<double> added(const std::optional<double>& before,
                            const std::optional<double>& after) {
    return before && after ? std::optional(*after - *before) : std::nullopt;
}

std::optional<double> quotient(std::optional<double> value, std::optional<double> by) {
    return value && by && *by > 0 ? std::optional(*value / *by) : std::nullopt;
}

json latency_json(const std::optional<bench_histogram>& latency) {
    if (!latency || latency->count() == 0) {
        return nullptr;
    }
    constexpr double us = 1000;
    json result;
    for (const auto& [name, part] : {std::pair{"p50", 0.5}, std::pair{"p90", 0.9},
                                     std::pair{"p99", 0.99}, std::pair{"p999", 0.999}}) {
        result[name] = static_cast<double>(latency->percentile(part)) / us;
    }
    result["max"] = static_cast<double>(latency->max()) / us;
    return result;
}

json server_json(const bench_result& result) {
    constexpr double mib = 1024.0 * 1024.0;
    const auto messages = static_cast<double>(result.messages);
    const auto commits = added(result.before.commits, result.after.commits);
    json server;
    // Microseconds per message are seconds per million.
    server["cpu_seconds_per_million"] = figure(
        quotient(added(result.before.cpu_microseconds, result.after.cpu_microseconds), messages));
    server["rss_mib"] = figure(quotient(result.after.resident_bytes, mib));
    server["commits"] = commits ? json(static_cast<std::uint64_t>(*commits)) : json(nullptr);
    server["messages_per_commit"] = figure(quotient(messages, commits));
    server["bytes_written_per_message"] =
        figure(quotient(added(result.before.written_bytes, result.after.written_bytes), messages));
    return server;
}

// 812us, 1.50ms, 12.3s
std::string time_text(double us) {
    if (us < 1000) {
        return fmt::format("{:.0f}us", us);
    }
    return us < 1e6 ? fmt::format("{:.2f}ms", us / 1e3) : fmt::format("{:.2f}s", us / 1e6);
}

// The settings that are in force, as options are written.
std::string settings_text(const json& settings) {
    std::string text;
    for (const auto& [name, value] : settings.items()) {
        if (value.is_null() || name == "batching" || name == "spawn") {
            continue;
        }
        std::string option = name;
        std::ranges::replace(option, '_', '-');
        text += fmt::format("{}--{} {}", text.empty() ? "" : " ", option,
                            value.is_string() ? value.get<std::string>() : value.dump());
    }
    text += settings.at("batching") == true ? "" : " --no-batching";
    text += settings.at("spawn") == true ? " --spawn" : "";
    return text;
}

std::string number_text(const json& value, const char* form) {
    return value.is_null() ? "-" : fmt::format(fmt::runtime(form), value.get<double>());
}

}  // namespace

bench_counters bench_counters::from(std::span<const stat> stats) {
    bench_counters result;
    const std::array<std::pair<const char*, std::optional<double>*>, 4> wanted{{
        {"process_cpu_microseconds_total", &result.cpu_microseconds},
        {"process_resident_bytes", &result.resident_bytes},
        {"commits_total", &result.commits},
        {"disk_written_bytes_total", &result.written_bytes},
    }};
    for (const stat& each : stats) {
        for (const auto& [name, target] : wanted) {
            if (each.name == name) {
                *target = each.value;
            }
        }
    }
    return result;
}

json bench_report_json(const bench_plan& plan, const bench_result& result) {
    const auto messages = static_cast<double>(result.messages);
    const double rate = quotient(messages, result.seconds).value_or(0);
    return {{"workload", to_string(plan.workload)},
            {"settings", bench_settings_json(plan)},
            {"messages", result.messages},
            {"seconds", result.seconds},
            {"messages_per_second", rate},
            {"bytes_per_second", rate * static_cast<double>(plan.size)},
            {"latency_us", latency_json(result.latency)},
            {"server", server_json(result)},
            {"versions",
             {{"brokerctl", result.brokerctl_version}, {"brokerd", result.brokerd_version}}}};
}

std::string bench_report_text(const json& report, bool colours) {
    const json& server = report.at("server");
    const json& latency = report.at("latency_us");
    std::string times = "-";
    if (!latency.is_null()) {
        times.clear();
        for (const auto& [name, value] : latency.items()) {
            times += fmt::format("{}{} {}", times.empty() ? "" : "  ", name,
                                 time_text(value.get<double>()));
        }
    }
    const std::vector<detail> rows{
        {"WORKLOAD", cell{report.at("workload").get<std::string>(), tone::strong}},
        {"SETTINGS", settings_text(report.at("settings"))},
        {"MESSAGES", fmt::format("{} in {:.2f} s", report.at("messages").get<std::uint64_t>(),
                                 report.at("seconds").get<double>())},
        {"RATE", cell{fmt::format("{} messages per second, {} per second",
                                  short_rate(report.at("messages_per_second").get<double>()),
                                  short_bytes(report.at("bytes_per_second").get<double>())),
                      tone::strong}},
        {"LATENCY", times},
        {"SERVER CPU",
         number_text(server.at("cpu_seconds_per_million"), "{:.2f} s per million messages")},
        {"SERVER MEMORY", number_text(server.at("rss_mib"), "{:.1f} MiB")},
        {"COMMITS", fmt::format("{}, messages in each: {}", server.at("commits").dump(),
                                number_text(server.at("messages_per_commit"), "{:.1f}"))},
        {"WRITTEN", number_text(server.at("bytes_written_per_message"), "{:.1f} bytes a message")},
        {"VERSIONS", fmt::format("brokerctl {}, brokerd {}",
                                 report.at("versions").at("brokerctl").get<std::string>(),
                                 report.at("versions").at("brokerd").get<std::string>())},
    };
    return render_details(rows, colours);
}

}  // namespace brokerd::ctl
