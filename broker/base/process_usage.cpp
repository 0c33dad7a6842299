// getrusage and /proc/self/statm.
#include "broker/base/process_usage.hpp"

#include <fstream>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

namespace brokerd::base {
namespace {

std::uint64_t microseconds_of(const timeval& time) {
    constexpr std::uint64_t per_second = 1'000'000;
    return static_cast<std::uint64_t>(time.tv_sec) * per_second +
           static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

process_usage measure_process() {
    process_usage result;
    rusage used{};
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        result.cpu_us = microseconds_of(used.ru_utime) + microseconds_of(used.ru_stime);
    }
    std::ifstream file("/proc/self/statm");
    std::uint64_t pages = 0;
    std::uint64_t resident_pages = 0;
    if (file >> pages >> resident_pages) {
        result.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    }
    return result;
}

}  // namespace brokerd::base
