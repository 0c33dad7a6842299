// brokerctl health, stats, version: the broker itself.
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/text.hpp"
#include "tools/brokerctl/version.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

struct no_options {};

json broker_json(context& ctx) {
    const auto broker = ctx.broker().broker();
    return {{"server", ctx.server()},
            {"version", broker.version},
            {"database_id", broker.database_id},
            {"epoch", broker.epoch}};
}

exit_code health(context& ctx, const no_options&) {
    const auto report = ctx.admin().health();
    const json broker = broker_json(ctx);
    std::string text =
        fmt::format("{}: brokerd {} at {}\n",
                    report.writable ? painted("healthy", tone::good, ctx.out().colours())
                                    : painted("cannot write", tone::bad, ctx.out().colours()),
                    broker["version"].get<std::string>(), ctx.server());
    for (const auto& warning : report.warnings) {
        text += fmt::format("warning: {}\n", terminal_text(warning));
    }
    ctx.out().object(
        {{"writable", report.writable}, {"warnings", report.warnings}, {"broker", broker}}, text);
    return report.writable ? exit_code::done : exit_code::refused;
}

exit_code stats(context& ctx, const no_options&) {
    std::vector<json> rows;
    for (const auto& counter : ctx.admin().stats()) {
        rows.push_back(stat_row(counter));
    }
    ctx.out().list(stat_columns(), rows);
    return exit_code::done;
}

// Answers also without a broker.
exit_code version(context& ctx, const no_options&) {
    json result{{"brokerctl", program_version}, {"broker", nullptr}};
    std::string text = fmt::format("brokerctl {}\n", program_version);
    try {
        result["broker"] = broker_json(ctx);
        text += fmt::format("brokerd {} at {}\n", result["broker"]["version"].get<std::string>(),
                            ctx.server());
    } catch (const error& failure) {
        if (exit_code_of(failure) != exit_code::no_connection) {
            throw;
        }
        text += fmt::format("no brokerd at {}\n", ctx.server());
    }
    ctx.out().object(result, text);
    return exit_code::done;
}

}  // namespace

void add_broker_verbs(command_line& line) {
    line.add_verb(
        line.root(),
        {"health", "Ask the broker whether it can write. Exits 0 only if it answers and can.",
         "  brokerctl health && echo good\n"},
        health);
    line.add_verb(line.root(),
                  {"stats", "Print the counters of the broker.",
                   "  brokerctl stats\n"
                   "  brokerctl stats -o json\n"},
                  stats);
    line.add_verb(line.root(),
                  {"version", "Print the versions of brokerctl and of the broker, if one answers.",
                   "  brokerctl version\n"},
                  version);
}

}  // namespace brokerd::ctl
