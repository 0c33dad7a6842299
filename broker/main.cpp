// brokerd: parse, build, run, exit code.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "broker/app/broker.hpp"
#include "broker/app/command_line.hpp"
#include "broker/app/exit_code.hpp"
#include "broker/app/version.hpp"
#include "broker/config/config_text.hpp"

namespace {

using brokerd::app::exit_code;

exit_code run(int argc, char** argv) {
    const auto told = brokerd::app::read_command_line(
        argc, argv, [](const char* name) { return std::getenv(name); }, brokerd::app::version());
    if (!told) {
        fmt::print(stderr, "brokerd: {}\n", told.error().text);
        return exit_code::usage;
    }
    if (told->text) {
        fmt::print("{}", *told->text);
        return exit_code::done;
    }
    if (told->print_config) {
        fmt::print("{}", brokerd::config::print_config(told->configuration));
        return exit_code::done;
    }
    return brokerd::app::run_broker(told->configuration.values, brokerd::app::version());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return static_cast<int>(run(argc, argv));
    } catch (const std::exception& error) {
        fmt::print(stderr, "brokerd: cannot go on: {}\n", error.what());
        return static_cast<int>(exit_code::failed);
    }
}
