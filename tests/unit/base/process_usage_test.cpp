// What the system says this process has used.
#include "broker/base/process_usage.hpp"

#include <gtest/gtest.h>

namespace brokerd::base {
namespace {

TEST(process_usage, a_running_process_has_memory_and_its_time_only_grows) {
    const process_usage first = measure_process();
    EXPECT_GT(first.resident_bytes, 0U);
    EXPECT_GE(measure_process().cpu_us, first.cpu_us);
}

}  // namespace
}  // namespace brokerd::base
