// The mixed crash run: one broker with clients of all features at once, killed with SIGKILL again
// and again, and each feature audited by its own ledger.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/crash/crash_run.hpp"

namespace brokerd::crash {

struct mix_report {
    std::uint32_t cycles = 0;             // kills
    std::vector<std::string> summaries;   // a line for each feature
    std::vector<std::string> violations;  // empty: every promise held
};

// As run(). Ends after the cycle in which the first violation is seen.
[[nodiscard]] mix_report run_mix(const std::filesystem::path& brokerd,
                                 const std::filesystem::path& directory,
                                 const run_options& options);

}  // namespace brokerd::crash
