// The crash harness: the real brokerd under load, killed with SIGKILL at random moments, restarted,
// and every promise audited from outside. Clients are the real library and notice nothing but a
// pause. Used by the test (a few cycles) and by the program crash_audit (hundreds).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace brokerd::crash {

struct run_options {
    std::uint32_t cycles = 5;
    std::uint64_t seed = 1;
    std::chrono::milliseconds life_min{10};  // of a broker before it is killed
    std::chrono::milliseconds life_max{500};
    std::vector<std::string> environment{};  // NAME=VALUE for the broker
    bool os = false;                         // the topic is of durability os
};

struct run_report {
    std::uint64_t acknowledged = 0;  // publishes
    std::uint64_t confirmed = 0;     // acks
    std::uint64_t delivered = 0;
    std::uint64_t redelivered = 0;
    std::vector<std::string> violations;  // empty: every promise held
};

// Runs the cycles in `directory` (created, left behind for inspection). `brokerd` = path of the
// program, empty for the one of this build. Blocks; bounded by the cycles and a deadline per phase.
[[nodiscard]] run_report run(const std::filesystem::path& brokerd,
                             const std::filesystem::path& directory, const run_options& options);

}  // namespace brokerd::crash
