// Consume, transform, produce under SIGKILL: processes that take each input from one topic and
// publish its output to another in one transaction, killed in turn with the broker. Every input
// must have exactly one output.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/crash/crash_run.hpp"

namespace brokerd::crash {

struct transform_report {
    std::uint64_t inputs = 0;  // acknowledged
    std::uint32_t broker_kills = 0;
    std::uint32_t worker_kills = 0;
    std::vector<std::string> violations;  // empty: every promise held
};

// As run(); `transformer` = path of that program. Two of three cycles kill one of its processes.
[[nodiscard]] transform_report run_transform(const std::filesystem::path& brokerd,
                                             const std::filesystem::path& transformer,
                                             const std::filesystem::path& directory,
                                             const run_options& options);

}  // namespace brokerd::crash
