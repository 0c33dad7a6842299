// All features under SIGKILL, a few cycles on every change; crash_audit --mix runs hundreds. And
// what the audit has to find.
#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/base/seeded_fault.hpp"
#include "tests/crash/mix_run.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr auto life_min = 100ms;
constexpr auto life_max = 600ms;

// Promise: durability.together, priority.first, pattern.consume, pattern.leases, pattern.one_commit
TEST(sigkill_mix, keeps_the_promises_of_all_features) {
    const test::temp_dir directory;
    const auto report =
        run_mix({}, directory / "data",
                {.cycles = 10, .seed = 17, .life_min = life_min, .life_max = life_max});
    EXPECT_EQ(report.cycles, 10U);
    EXPECT_EQ(report.summaries.size(), 16U);
    for (const auto& what : report.violations) {
        ADD_FAILURE() << what;
    }
}

struct planted {
    std::string_view fault;
    std::string_view finding;  // words of it
    // It ends with the one that finds it, mostly one of the first; few where the end finds it.
    std::uint32_t cycles = 60;

    // As part of the names of the tests.
    friend void PrintTo(const planted& each, std::ostream* out) { *out << each.fault; }
};

class sigkill_mix_of_fault : public testing::TestWithParam<planted> {};

// Promise: durability.together
TEST_P(sigkill_mix_of_fault, is_caught) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "built without BROKERD_SEEDED_FAULTS";
    }
    const test::temp_dir directory;
    run_options options;
    options.cycles = GetParam().cycles;
    options.seed = 19;
    options.life_min = life_min;
    options.life_max = life_max;
    options.environment.push_back("BROKERD_SEEDED_FAULT=" + std::string(GetParam().fault));
    const auto report = run_mix({}, directory / "data", options);
    EXPECT_THAT(report.violations,
                testing::Contains(testing::HasSubstr(std::string(GetParam().finding))));
}

INSTANTIATE_TEST_SUITE_P(seeded, sigkill_mix_of_fault,
                         testing::Values(planted{"skip_deduplication", " as well"},
                                         planted{"forget_message_ids", "mix.ids: id "},
                                         planted{"ignore_priority", "came out of order", 3},
                                         planted{"miss_new_topic", "was made without its queue"}),
                         [](const auto& each) { return std::string(each.param.fault); });

}  // namespace
}  // namespace brokerd::crash
