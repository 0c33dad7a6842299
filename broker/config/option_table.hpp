// The one option table: name, meaning, unit and bounds of everything brokerd can be told. It drives
// the command line, the configuration file, the environment, --print-config and the validation.
// Pure; no thread affinity.
//
// To add an option: a member of `options` with its default, and a row in option_table.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/config/options.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::config {

inline constexpr std::size_t text_bytes_max = 4096;  // of an option; what a path may have

enum class value_kind : std::uint8_t { text, flag, count, bytes, duration };

struct option_row {
    std::string_view name;  // as on the command line without the dashes, and in the file
    std::variant<std::string options::*, bool options::*, std::uint64_t options::*,
                 duration_us options::*>
        member;
    value_kind kind;
    std::uint64_t min = 0;  // of numbers; durations in microseconds
    std::uint64_t max = 0;
    std::string_view choices;  // of texts, joined by '|'; empty = any
    std::string_view help;
};

[[nodiscard]] std::span<const option_row> option_table();
// Null for an unknown name.
[[nodiscard]] const option_row* find_option(std::string_view name);
// BROKERD_DATA_DIR for data-dir.
[[nodiscard]] std::string environment_name(const option_row& row);
// The value as text that the parser reads back.
[[nodiscard]] std::string value_text(const options& of, const option_row& row);
// What the value may be, for help and errors: "4KiB to 64MiB", "text json".
[[nodiscard]] std::string allowed_text(const option_row& row);

// One option that was given somewhere.
struct setting {
    std::string name;
    std::string value;
    std::string source;  // "command line", "environment NAME", "FILE:LINE"; printable
};

// The options and where each came from, in the order of the table.
struct configuration {
    options values;
    std::vector<std::string> sources;  // "default" or that of the setting
};

// Applies settings in order (a later one wins) and checks every bound and how options fit together.
// The failure names option, source, value and bounds. Does not touch the machine.
[[nodiscard]] outcome<configuration> configure(std::span<const setting> settings);

}  // namespace brokerd::config
