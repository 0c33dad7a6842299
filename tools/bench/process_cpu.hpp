// The processor time of another process, as Linux tells it. Header only.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <unistd.h>

#include <fmt/format.h>

namespace brokerd::bench {

// User and system CPU seconds of a process so far; 0 without a pid.
[[nodiscard]] inline double cpu_seconds(std::uint64_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string skipped;
    std::getline(file, skipped, ')');
    constexpr int between = 11;  // the name, field 2, and utime, field 14
    for (int i = 0; i < between; ++i) {
        file >> skipped;
    }
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    file >> user >> system;
    return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace brokerd::bench
