// The crash harness as a program: crash_audit [--brokerd PATH] [--dir DIR] [--cycles N] [--seed S]
// [--durability os] [--transformer PATH] [--mix]. With a transformer it runs and kills that too and
// audits transactions; with --mix it uses and audits all features at once. Without --brokerd it
// takes the one beside itself, without --dir a directory of its own that goes with it. Prints what
// it saw and exits 1 if a promise was broken.
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "tests/crash/crash_run.hpp"
#include "tests/crash/mix_run.hpp"
#include "tests/crash/transform_run.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using namespace std::chrono_literals;

template <typename T>
T number(const char* text) {
    T value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

int exit_code(const std::vector<std::string>& violations) {
    for (const auto& what : violations) {
        fmt::print("violation: {}\n", what);
    }
    return violations.empty() ? 0 : 1;
}

struct command_line {
    std::filesystem::path program;
    std::filesystem::path directory;
    std::filesystem::path transformer;
    bool mix = false;
    brokerd::crash::run_options options;
};

std::optional<command_line> read_command_line(int argc, char** argv) {
    command_line told;
    told.program = std::filesystem::read_symlink("/proc/self/exe").replace_filename("brokerd");
    told.options.cycles = 200;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        if (flag == "--mix") {
            told.mix = true;
            continue;
        }
        if (++i == argc) {
            return std::nullopt;
        }
        const char* value = argv[i];
        if (flag == "--brokerd") {
            told.program = value;
        } else if (flag == "--dir") {
            told.directory = value;
        } else if (flag == "--transformer") {
            told.transformer = value;
        } else if (flag == "--cycles") {
            told.options.cycles = number<std::uint32_t>(value);
        } else if (flag == "--seed") {
            told.options.seed = number<std::uint64_t>(value);
        } else if (flag == "--durability") {
            told.options.os = std::string_view(value) == "os";
        } else {
            return std::nullopt;
        }
    }
    return told;
}

int run(const command_line& told, const std::filesystem::path& directory) {
    auto options = told.options;
    if (told.mix) {
        options.life_min = 100ms;
        options.life_max = 600ms;
        const auto report = brokerd::crash::run_mix(told.program, directory, options);
        fmt::print("{} of {} cycles, seed {}\n", report.cycles, options.cycles, options.seed);
        for (const auto& line : report.summaries) {
            fmt::print("  {}\n", line);
        }
        return exit_code(report.violations);
    }
    if (!told.transformer.empty()) {
        const auto report =
            brokerd::crash::run_transform(told.program, told.transformer, directory, options);
        fmt::print(
            "{} cycles, seed {}: {} inputs, brokerd killed {} times, transformers {} times\n",
            options.cycles, options.seed, report.inputs, report.broker_kills, report.worker_kills);
        return exit_code(report.violations);
    }
    const auto report = brokerd::crash::run(told.program, directory, options);
    fmt::print(
        "{} cycles, seed {}: {} publishes acknowledged, {} acks confirmed, {} deliveries, "
        "{} of them again\n",
        options.cycles, options.seed, report.acknowledged, report.confirmed, report.delivered,
        report.redelivered);
    return exit_code(report.violations);
}

}  // namespace

int main(int argc, char** argv) {
    const auto told = read_command_line(argc, argv);
    if (!told) {
        fmt::print(stderr,
                   "usage: crash_audit [--brokerd PROGRAM] [--dir DIR] [--cycles N] [--seed S] "
                   "[--durability os|disk] [--transformer PROGRAM] [--mix]\n");
        return 2;
    }
    if (told->directory.empty()) {
        const brokerd::test::temp_dir own;
        return run(*told, own / "data");
    }
    if (std::filesystem::exists(told->directory) && !std::filesystem::is_empty(told->directory)) {
        fmt::print(stderr, "crash_audit: {} is not empty; the audit knows of nothing in it\n",
                   told->directory.string());
        return 2;
    }
    return run(*told, told->directory);
}
