// Binds the option table to CLI11, the file and the environment.
#include "broker/app/command_line.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "broker/config/config_text.hpp"
#include "protocol/types/duration.hpp"

namespace brokerd::app {
namespace {

using config::option_row;
using config::setting;
using config::value_kind;

std::string help_text(const option_row& row) {
    const config::options defaults;
    return fmt::format("{} [{}; default {}; {}]", row.help, allowed_text(row),
                       config::value_text(defaults, row), config::environment_name(row));
}

// What the command line gave, as text by option name.
struct given {
    std::map<std::string, std::string> values;
    std::map<std::string, bool> flags;
    std::string config_file;
    bool print_config = false;
    bool version = false;
};

void add_options(CLI::App& app, given& to) {
    for (const auto& row : config::option_table()) {
        const std::string name{row.name};
        const std::string flag = "--" + name;
        if (row.kind == value_kind::flag) {
            app.add_flag(flag, to.flags[name], help_text(row));
        } else {
            app.add_option(flag, to.values[name], help_text(row))->type_name("");
        }
    }
    app.add_option("--config", to.config_file,
                   "configuration file: lines of NAME = VALUE "
                   "[BROKERD_CONFIG]")
        ->type_name("FILE");
    app.add_flag("--print-config", to.print_config,
                 "print the whole configuration as a file, and exit");
    app.add_flag("--version", to.version, "print the version, and exit");
}

outcome<void> read_file(const std::string& path, std::vector<setting>& to) {
    // One byte more than allowed, so that a file that is too large is seen to be.
    std::string text(config::config_text_bytes_max + 1, '\0');
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.is_open() || file.bad()) {
        return refuse(error_code::invalid_setting,
                      fmt::format("cannot read the configuration file {}: {}", path,
                                  std::generic_category().message(errno)));
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    auto settings = config::parse_config_text(text, path);
    if (!settings) {
        return std::unexpected(std::move(settings.error()));
    }
    std::ranges::move(*settings, std::back_inserter(to));
    return {};
}

void read_environment(const environment& lookup, std::vector<setting>& to) {
    for (const auto& row : config::option_table()) {
        const auto name = config::environment_name(row);
        if (const char* value = lookup(name.c_str())) {
            to.push_back({std::string{row.name}, value, "environment " + name});
        }
    }
}

}  // namespace

outcome<command_line> read_command_line(int argc, const char* const* argv,
                                        const environment& lookup, std::string_view version) {
    CLI::App app{"brokerd: a durable message broker", "brokerd"};
    app.failure_message(CLI::FailureMessage::simple);
    given from;
    add_options(app, from);
    app.footer(fmt::format(
        "Durations are {}. Sizes are bytes, or a number with KiB, MiB, GiB or TiB.\n"
        "The command line goes before the environment, the environment before the file.",
        duration_forms));
    command_line result;
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        result.text = app.help();
        return result;
    } catch (const CLI::ParseError& error) {
        return refuse(error_code::invalid_setting,
                      fmt::format("{}; brokerd --help lists the options", error.what()));
    }
    if (from.version) {
        result.text = fmt::format("brokerd {}\n", version);
        return result;
    }
    std::vector<setting> settings;
    if (const char* file = lookup("BROKERD_CONFIG"); file != nullptr && from.config_file.empty()) {
        from.config_file = file;
    }
    if (!from.config_file.empty()) {
        if (auto read = read_file(from.config_file, settings); !read) {
            return std::unexpected(read.error());
        }
    }
    read_environment(lookup, settings);
    for (const auto& row : config::option_table()) {
        const std::string name{row.name};
        if (app.count("--" + name) > 0) {
            const bool flag = row.kind == value_kind::flag;
            settings.push_back({name,
                                flag ? (from.flags[name] ? "true" : "false") : from.values[name],
                                "command line"});
        }
    }
    auto configured = config::configure(settings);
    if (!configured) {
        return std::unexpected(configured.error());
    }
    result.configuration = *std::move(configured);
    result.print_config = from.print_config;
    return result;
}

}  // namespace brokerd::app
