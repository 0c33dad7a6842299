// Scaffolding of the command line: global options, help, and errors that say what to do.
#include "tools/brokerctl/command_line.hpp"

#include <ostream>
#include <vector>

#include <fmt/format.h>

#include "protocol/types/duration.hpp"
#include "tools/brokerctl/version.hpp"

namespace brokerd::ctl {
namespace {

parsed<output_format> parse_format(std::string_view text) {
    if (text == "table") {
        return output_format::table;
    }
    if (text == "json") {
        return output_format::array;
    }
    if (text == "ndjson") {
        return output_format::lines;
    }
    return std::unexpected(fmt::format("\"{}\" is no format; write table, json or ndjson", text));
}

// `brokerctl queue ls`
std::string full_name(const CLI::App& app) {
    return app.get_parent() == nullptr ? app.get_name()
                                       : full_name(*app.get_parent()) + " " + app.get_name();
}

std::string names_of(const CLI::App& noun) {
    std::string names;
    for (const CLI::App* each : noun.get_subcommands([](const CLI::App*) { return true; })) {
        names += (names.empty() ? "" : ", ") + each->get_name();
    }
    return names;
}

}  // namespace

command_line::command_line()
    : app_("Looks into a brokerd and works with its queues.", "brokerctl") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", fmt::format("brokerctl {}", program_version),
                          "Print the version of brokerctl");
    app_.fallthrough();  // brokerctl queue ls -o json
    app_.footer(fmt::format(
        "Examples:\n"
        "  brokerctl queue create orders/billing\n"
        "  brokerctl message publish orders '{{\"id\":42}}' --key 42\n"
        "  brokerctl queue ls\n"
        "  brokerctl queue explain orders/billing\n"
        "\n"
        "brokerctl NOUN VERB --help says more about each.\n"
        "A DURATION is {}.\n"
        "Exit codes: 0 done, 1 refused or fewer than asked for, 2 usage, 3 no connection,\n"
        "4 outcome unknown.",
        duration_forms));
    add_value(app_, "--server", globals_.connection.server, parse_server, "HOST:PORT",
              fmt::format("The broker (default {})", default_server))
        ->envname("BROKERD_SERVER");
    add_value(app_, "--connect-timeout", globals_.connection.timeout, parse_seconds, "DURATION",
              "How long to wait for a connection, at the start and when it is lost (default 2s)")
        ->envname("BROKERCTL_CONNECT_TIMEOUT");
    add_value(app_, "-o,--output", globals_.format, parse_format, "FORMAT",
              "table (default), json or ndjson");
}

CLI::App& command_line::add_noun(const char* name, const char* what) {
    CLI::App& noun = *app_.add_subcommand(name, what);
    noun.require_subcommand(1);
    noun.footer(
        fmt::format("'brokerctl {} VERB --help' says more about each, with examples.", name));
    return noun;
}

CLI::App& command_line::add_command(CLI::App& noun, const verb_text& text) {
    CLI::App& app = *noun.add_subcommand(text.name, text.what);
    app.footer(fmt::format(
        "Examples:\n{}\nOptions of every command: --server, -o, --connect-timeout; see brokerctl "
        "--help.",
        text.examples));
    return app;
}

// The deepest command that was recognized.
CLI::App& command_line::selected() {
    CLI::App* at = &app_;
    while (!at->get_subcommands().empty()) {
        at = at->get_subcommands().back();
    }
    return *at;
}

std::string command_line::explain_error(const CLI::ParseError& error) {
    const CLI::App& at = selected();
    const auto name = full_name(at);
    const auto unknown = app_.remaining(true);
    const auto choices = names_of(at);
    std::string what = error.what();
    if (!choices.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
        const auto* const kind = at.get_parent() == nullptr ? "command" : "verb";
        what = unknown.empty() ? fmt::format("'{}' needs a {}: {}", name, kind, choices)
                               : fmt::format("'{}' has no {} '{}'; it has {}", name, kind,
                                             unknown.front(), choices);
    } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !unknown.empty()) {
        what = fmt::format("'{}' does not know '{}'", name, unknown.front());
    }
    // A picture of what is wrong ends with a line of its own.
    const char* const join = what.find('\n') == std::string::npos ? "; " : "\n";
    return fmt::format("{}{}see '{} --help'", what, join, name);
}

std::expected<command_line::action, exit_code> command_line::parse(int argc,
                                                                   const char* const* argv,
                                                                   std::ostream& out,
                                                                   std::ostream& err) {
    try {
        app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        const CLI::App& at = selected();
        out << at.help(at.get_parent() == nullptr ? "" : full_name(*at.get_parent()));
        return std::unexpected(exit_code::done);
    } catch (const CLI::CallForVersion& version) {
        out << version.what() << '\n';
        return std::unexpected(exit_code::done);
    } catch (const CLI::ParseError& error) {
        err << "brokerctl: " << explain_error(error) << '\n';
        return std::unexpected(exit_code::usage);
    }
    return actions_.at(&selected());
}

CLI::Option* add_name(CLI::App& app, const char* form, std::string& target, const char* what) {
    return app.add_option(form, target, what)->required()->type_name("");
}

CLI::Option* add_bound(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& target,
                       const std::string& what) {
    return add_value(app, name, target, parse_bound, "N", what);
}

CLI::Option* add_duration(CLI::App& app, const std::string& name,
                          std::optional<microseconds>& target, const std::string& what) {
    return add_value(app, name, target, parse_duration, "DURATION", what);
}

CLI::Option* add_size(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& target,
                      const std::string& what) {
    return add_value(app, name, target, parse_size, "SIZE", what);
}

CLI::Option* add_position(CLI::App& app, const std::string& name,
                          std::optional<log_position>& target, const std::string& what) {
    return add_value(
        app, name, target, [](std::string_view text) { return parse_position(text, wall_now()); },
        "POSITION",
        what + ": earliest, latest, an offset, a time (2026-03-01T12:00:00Z) or -10min");
}

}  // namespace brokerd::ctl
