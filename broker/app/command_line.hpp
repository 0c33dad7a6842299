// The command line (read by CLI11), the configuration file and the environment, gathered into
// settings for the option table. The only part of the broker that includes CLI11.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/option_table.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::app {

struct command_line {
    config::configuration configuration;
    bool print_config = false;
    // Help or version was asked for: this text, and nothing else.
    std::optional<std::string> text;
};

using environment = std::function<const char*(const char* name)>;

// Precedence: command line, environment, file, default. Errors: invalid_setting.
[[nodiscard]] outcome<command_line> read_command_line(int argc, const char* const* argv,
                                                      const environment& lookup,
                                                      std::string_view version);

}  // namespace brokerd::app
