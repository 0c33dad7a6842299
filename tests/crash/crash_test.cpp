// A few SIGKILL cycles on every change; crash_audit runs hundreds.
#include <gtest/gtest.h>

#include "tests/crash/crash_run.hpp"
#include "tests/crash/transform_run.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::crash {
namespace {

// Promise: durability.disk, durability.offsets
TEST(sigkill, loses_nothing_that_was_acknowledged) {
    const test::temp_dir directory;
    const auto report = run({}, directory / "data", {.cycles = 10, .seed = 7});
    EXPECT_GT(report.acknowledged, 100U);
    EXPECT_GT(report.confirmed, 0U);
    for (const auto& what : report.violations) {
        ADD_FAILURE() << what;
    }
}

// The system has what was acknowledged, synced or not.
// Promise: os.kill
TEST(sigkill, loses_nothing_of_a_topic_of_durability_os) {
    const test::temp_dir directory;
    const auto report = run({}, directory / "data", {.cycles = 10, .seed = 13, .os = true});
    EXPECT_GT(report.acknowledged, 100U);
    EXPECT_GT(report.confirmed, 0U);
    for (const auto& what : report.violations) {
        ADD_FAILURE() << what;
    }
}

// Promise: transaction.exactly_once
TEST(sigkill, leaves_one_output_for_each_input_of_transactions) {
    const test::temp_dir directory;
    const auto report = run_transform({}, test::program_path("tests/transformer"),
                                      directory / "data", {.cycles = 12, .seed = 11});
    EXPECT_GT(report.inputs, 20U);
    EXPECT_GT(report.worker_kills, 0U);
    EXPECT_GT(report.broker_kills, 0U);
    for (const auto& what : report.violations) {
        ADD_FAILURE() << what;
    }
}

}  // namespace
}  // namespace brokerd::crash
