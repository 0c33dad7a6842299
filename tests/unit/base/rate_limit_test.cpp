// So many a second, and the rest counted.
#include "broker/base/rate_limit.hpp"

#include <gtest/gtest.h>

#include "broker/base/clock.hpp"

namespace brokerd::base {
namespace {

using namespace std::chrono_literals;

TEST(rate_limit, allows_so_many_a_second_and_counts_the_rest) {
    rate_limit limit(2);
    const mono_time start{100s};
    EXPECT_EQ(limit.allow(start), 0U);
    EXPECT_EQ(limit.allow(start), 0U);
    EXPECT_EQ(limit.allow(start + 999ms), std::nullopt);
    EXPECT_EQ(limit.allow(start + 999ms), std::nullopt);
    EXPECT_EQ(limit.allow(start + 1s), 2U);
    EXPECT_EQ(limit.allow(start + 1s), 0U);
    EXPECT_EQ(limit.allow(start + 1s), std::nullopt);
}

TEST(system_clock, does_not_run_backwards) {
    const system_clock clock;
    const auto first = clock.now();
    EXPECT_LE(first.mono, clock.now().mono);
    EXPECT_GT(to_us(first.wall), 1'700'000'000'000'000);  // since 2023
}

}  // namespace
}  // namespace brokerd::base
