// brokerctl connection: ls, close.
#include <vector>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/views.hpp"

namespace brokerd::ctl {
namespace {

struct list_connections_options {};

exit_code list_connections(context& ctx, const list_connections_options&) {
    std::vector<json> rows;
    const auto now = wall_now();
    for (const auto& connection : ctx.admin().connections()) {
        rows.push_back(connection_row(connection, now));
    }
    ctx.out().list(connection_columns(), rows);
    return exit_code::done;
}

struct close_options {
    std::uint64_t connection = 0;
};

exit_code close(context& ctx, const close_options& options) {
    if (options.connection == ctx.broker().broker().connection) {
        throw refusal(fmt::format("connection {} is brokerctl's own; see 'brokerctl connection ls'",
                                  options.connection));
    }
    ctx.admin().close_connection(options.connection);
    ctx.out().object({{"connection", options.connection}, {"closed", true}},
                     fmt::format("closed connection {}\n", options.connection));
    return exit_code::done;
}

}  // namespace

void add_connection_verbs(command_line& line) {
    auto& noun = line.add_noun("connection", "Connections: ls, close");
    line.add_verb(noun,
                  {"ls", "List the connections of clients, this one included.",
                   "  brokerctl connection ls\n"},
                  list_connections);
    auto [app, options] =
        line.add_verb(noun,
                      {"close", "Close a connection; its client may connect again.",
                       "  brokerctl connection close 17\n"},
                      close);
    app.add_option("CONNECTION", options.connection, "Its number in 'brokerctl connection ls'")
        ->required();
}

}  // namespace brokerd::ctl
