// From the command line to the exit code.
#include "tools/brokerctl/run.hpp"

#include <ostream>

#include <fmt/format.h>

#include "tools/brokerctl/command_line.hpp"
#include "tools/brokerctl/context.hpp"
#include "tools/brokerctl/output.hpp"

namespace brokerd::ctl {
namespace {

exit_code run_action(const command_line::action& action, context& ctx) {
    try {
        return action(ctx);
    } catch (const error& failure) {
        const bool nobody = failure.code() == client_errc::not_connected;
        ctx.out().complain(fmt::format(
            "{}{}", failure.what(),
            nobody ? "; is brokerd running there? --server HOST:PORT names another" : ""));
        return exit_code_of(failure);
    } catch (const usage_error& failure) {
        ctx.out().complain(failure.what());
        return exit_code::usage;
    } catch (const refusal& failure) {
        ctx.out().complain(failure.what());
        return exit_code::refused;
    }
}

}  // namespace

int run(int argc, const char* const* argv, const streams& io) {
    command_line line;
    add_topic_verbs(line);
    add_queue_verbs(line);
    add_message_verbs(line);
    add_dead_verbs(line);
    add_schedule_verbs(line);
    add_service_verbs(line);
    add_consumer_verbs(line);
    add_connection_verbs(line);
    add_broker_verbs(line);
    add_bench_verbs(line);

    const auto action = line.parse(argc, argv, io.out, io.err);
    if (!action) {
        return static_cast<int>(action.error());
    }
    output out{io.out,
               io.err,
               {.format = line.globals().format,
                .colours = io.colours,
                .out_terminal = io.out_terminal,
                .error_terminal = io.err_terminal}};
    context ctx{out, io.in, io.in_terminal, line.globals().connection};
    auto code = run_action(*action, ctx);
    if (!out.flush() && code == exit_code::done) {
        out.complain("standard output could not be written; the command itself was done");
        code = exit_code::refused;
    }
    return static_cast<int>(code);
}

}  // namespace brokerd::ctl
