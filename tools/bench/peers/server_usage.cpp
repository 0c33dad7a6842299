// Reading /proc/PID/stat, see proc(5).
#include "tools/bench/peers/server_usage.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include <fmt/format.h>

namespace brokerd::peers {
namespace {

struct process_stat {
    pid_t session = 0;
    std::uint64_t ticks = 0;
    std::uint64_t resident_pages = 0;
};

// Nothing when it has ended meanwhile.
std::optional<process_stat> read_stat(const std::filesystem::path& process) {
    std::ifstream file(process / "stat");
    std::string line;
    std::getline(file, line);
    // The name before, in parentheses, may hold anything.
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos) {
        return {};
    }
    std::istringstream fields(line.substr(name_end + 1));
    process_stat result;
    std::string skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    constexpr int first = 3;  // field after the name
    constexpr int session_field = 6;
    constexpr int user_field = 14;
    constexpr int resident_field = 24;
    for (int field = first; field <= resident_field; ++field) {
        if (field == session_field) {
            fields >> result.session;
        } else if (field == user_field) {
            fields >> user >> system;
            ++field;
        } else if (field == resident_field) {
            fields >> result.resident_pages;
        } else {
            fields >> skipped;
        }
    }
    result.ticks = user + system;
    return fields ? std::optional(result) : std::nullopt;
}

}  // namespace

server_usage server_usage::of_session(pid_t leader) {
    std::uint64_t ticks = 0;
    std::uint64_t pages = 0;
    bool found = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename().string();
        if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; })) {
            continue;
        }
        const auto stat = read_stat(entry.path());
        if (stat && stat->session == leader) {
            found = true;
            ticks += stat->ticks;
            pages += stat->resident_pages;
        }
    }
    if (!found) {
        throw std::runtime_error(fmt::format("no process in session {}", leader));
    }
    return {.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK)),
            .resident_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
}

}  // namespace brokerd::peers
