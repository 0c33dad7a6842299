// The crash harness as a program: crash_audit --brokerd PATH --dir DIR [--cycles N] [--seed S]
// [--durability os] [--transformer PATH]. With a transformer it runs and kills that too and audits
// transactions. Prints what it saw and exits 1 if a promise was broken.
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "tests/crash/crash_run.hpp"
#include "tests/crash/transform_run.hpp"

namespace {

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

}  // namespace

int main(int argc, char** argv) {
    std::filesystem::path program;
    std::filesystem::path directory;
    std::filesystem::path transformer;
    brokerd::crash::run_options options;
    options.cycles = 200;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view flag = argv[i];
        const char* value = argv[i + 1];
        if (flag == "--brokerd") {
            program = value;
        } else if (flag == "--dir") {
            directory = value;
        } else if (flag == "--transformer") {
            transformer = value;
        } else if (flag == "--cycles") {
            options.cycles = number<std::uint32_t>(value);
        } else if (flag == "--seed") {
            options.seed = number<std::uint64_t>(value);
        } else if (flag == "--durability") {
            options.os = std::string_view(value) == "os";
        } else {
            program.clear();
            break;
        }
    }
    if (program.empty() || directory.empty()) {
        fmt::print(stderr,
                   "usage: crash_audit --brokerd PROGRAM --dir DIR [--cycles N] [--seed S] "
                   "[--durability os|disk] [--transformer PROGRAM]\n");
        return 2;
    }
    if (std::filesystem::exists(directory) && !std::filesystem::is_empty(directory)) {
        fmt::print(stderr, "crash_audit: {} is not empty; the audit knows of nothing in it\n",
                   directory.string());
        return 2;
    }
    if (!transformer.empty()) {
        const auto report = brokerd::crash::run_transform(program, transformer, directory, options);
        fmt::print(
            "{} cycles, seed {}: {} inputs, brokerd killed {} times, transformers {} times\n",
            options.cycles, options.seed, report.inputs, report.broker_kills, report.worker_kills);
        return exit_code(report.violations);
    }
    const auto report = brokerd::crash::run(program, directory, options);
    fmt::print(
        "{} cycles, seed {}: {} publishes acknowledged, {} acks confirmed, {} deliveries, "
        "{} of them again\n",
        options.cycles, options.seed, report.acknowledged, report.confirmed, report.delivered,
        report.redelivered);
    return exit_code(report.violations);
}
