// The simulator as a program: sim [--seed S] [--seeds N] [--steps N] [--trace] [--seed-seconds N].
// Prints the seed that fails and exits 1. One that takes longer than N seconds (60; 0: no end) is
// printed with the end of its trace, and aborts.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "tests/sim/watchdog.hpp"
#include "tests/sim/world.hpp"

namespace {

// A broken invariant of the domain is one more violation.
void throw_violation(const brokerd::base::assertion& what) {
    throw brokerd::sim::violation(
        fmt::format("{}:{}: {}: {}", what.file, what.line, what.expression, what.text));
}

std::uint64_t number(const char* text) {
    std::uint64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1;
    std::uint64_t seeds = 1000;
    std::chrono::seconds seed_time{60};
    brokerd::sim::world_options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        const bool more = i + 1 < argc;
        if (flag == "--seed" && more) {
            first = number(argv[++i]);
            seeds = 1;
        } else if (flag == "--first" && more) {
            first = number(argv[++i]);
        } else if (flag == "--seeds" && more) {
            seeds = number(argv[++i]);
        } else if (flag == "--steps" && more) {
            options.steps = static_cast<std::uint32_t>(number(argv[++i]));
        } else if (flag == "--trace") {
            options.trace = true;
        } else if (flag == "--seed-seconds" && more) {
            seed_time = std::chrono::seconds(number(argv[++i]));
        } else {
            fmt::print(stderr,
                       "usage: sim [--seed S | --first S --seeds N] [--steps N] [--trace] "
                       "[--seed-seconds N]\n");
            return 2;
        }
    }
    brokerd::sim::watchdog dog(seed_time);
    options.tail = &dog.tail();
    std::uint64_t failed = 0;
    brokerd::base::set_fail_handler(throw_violation);
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        options.seed = seed;
        dog.begin(seed);
        try {
            brokerd::sim::world(options).run();
        } catch (const brokerd::sim::violation& found) {
            fmt::print("seed {}: {}\n", seed, found.what());
            ++failed;
        }
    }
    fmt::print("{} seeds, {} failed\n", seeds, failed);
    return failed == 0 ? 0 : 1;
}
