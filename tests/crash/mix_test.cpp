// All features under SIGKILL, a few cycles on every change; crash_audit --mix runs hundreds. And
// what the audit has to find.
#include <chrono>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "broker/base/seeded_fault.hpp"
#include "tests/crash/mix_run.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr auto life_min = 100ms;
constexpr auto life_max = 600ms;

TEST(sigkill_mix, keeps_the_promises_of_all_features) {
    const test::temp_dir directory;
    const auto report =
        run_mix({}, directory / "data",
                {.cycles = 10, .seed = 17, .life_min = life_min, .life_max = life_max});
    EXPECT_EQ(report.cycles, 10U);
    EXPECT_EQ(report.summaries.size(), 14U);
    for (const auto& what : report.violations) {
        ADD_FAILURE() << what;
    }
}

class sigkill_mix_of_fault : public testing::TestWithParam<std::string_view> {};

TEST_P(sigkill_mix_of_fault, is_caught) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "built without BROKERD_SEEDED_FAULTS";
    }
    const test::temp_dir directory;
    run_options options;
    options.cycles = 60;  // it ends with the one that finds it, mostly one of the first
    options.seed = 19;
    options.life_min = life_min;
    options.life_max = life_max;
    options.environment.push_back("BROKERD_SEEDED_FAULT=" + std::string(GetParam()));
    const auto report = run_mix({}, directory / "data", options);
    EXPECT_FALSE(report.violations.empty());
}

INSTANTIATE_TEST_SUITE_P(seeded, sigkill_mix_of_fault,
                         testing::Values("skip_deduplication", "forget_message_ids"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace brokerd::crash
