// Runs the simulator over a few hundred seeds: enough for each change; tools/dev sim runs more.
#include <chrono>
#include <future>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "broker/base/assert.hpp"
#include "broker/base/seeded_fault.hpp"
#include "tests/sim/watchdog.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t seeds_per_test = 60;
constexpr auto seed_time_max = 60s;  // of wall time; most take some milliseconds

// A broken invariant of the domain is one more violation.
void throw_violation(const base::assertion& what) {
    throw violation(std::string(what.expression) + ": " + std::string(what.text));
}

class simulator_fixture : public testing::Test {
protected:
    simulator_fixture() : before_(base::set_fail_handler(throw_violation)) {}
    ~simulator_fixture() override { base::set_fail_handler(before_); }

private:
    base::fail_handler before_;
};

class simulator : public simulator_fixture, public testing::WithParamInterface<std::uint64_t> {};

// Promise: durability.offsets, delivery.at_least_once, keyed.order, filter.queue, schedule.once
// Promise: ttl.never, dedup.resend, transaction.whole, service.one_answer, pattern.one_commit
// Promise: pattern.one_room, pattern.told, priority.first, priority.returned, priority.bounded
TEST_P(simulator, holds_what_it_promises) {
    watchdog dog(seed_time_max);
    for (std::uint64_t i = 0; i < seeds_per_test; ++i) {
        const std::uint64_t seed = GetParam() * seeds_per_test + i;
        dog.begin(seed);
        world simulated({.seed = seed, .tail = &dog.tail()});
        try {
            simulated.run();
        } catch (const violation& found) {
            FAIL() << "seed " << seed << ": " << found.what();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(seeds, simulator, testing::Range<std::uint64_t>(0, 5));

// With too many gaps a level with an old retry gave out its newer message (547); a consumer of many
// queues was waited for without end (36259).
TEST(simulation, seeds_that_found_something_pass) {
    watchdog dog(seed_time_max);
    for (const std::uint64_t seed : {547U, 36259U, 41083U}) {
        dog.begin(seed);
        EXPECT_NO_THROW(world({.seed = seed, .tail = &dog.tail()}).run()) << "seed " << seed;
    }
}

TEST(simulation, a_seed_without_end_is_named_with_the_end_of_its_trace) {
    EXPECT_DEATH(
        {
            watchdog dog(200ms);
            dog.begin(41);
            dog.tail().add(mono_time{1us}, "of the seed before", 1);
            dog.begin(42);
            for (std::uint64_t i = 1; i <= trace_tail::steps_max + 1; ++i) {
                dog.tail().add(mono_time{5us}, "turn", i);
            }
            std::promise<void> end;
            end.get_future().wait();
        },
        "^ *5 us  turn 2\n(.*\n)*.* turn 101\nseed 42: does not end");
}

TEST(simulation, each_seed_has_its_own_time) {
    std::promise<void> end;
    const auto ended = end.get_future();
    watchdog dog(500ms);
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
        dog.begin(seed);
        EXPECT_EQ(ended.wait_for(100ms), std::future_status::timeout);
    }
}

// The harness must bite: each planted fault is found within a few seeds.
class simulator_with_fault : public simulator_fixture,
                             public testing::WithParamInterface<base::fault> {};

TEST_P(simulator_with_fault, finds_it) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "faults are planted only in builds with BROKERD_SEEDED_FAULTS";
    }
    const base::planted_fault_scope planted(GetParam());
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        try {
            world({.seed = seed}).run();
        } catch (const violation&) {
            SUCCEED();
            return;
        }
    }
    FAIL() << "100 seeds ran without a violation";
}

INSTANTIATE_TEST_SUITE_P(
    faults, simulator_with_fault,
    testing::Values(base::fault::ack_before_sync, base::fault::skip_deduplication,
                    base::fault::forget_lease_on_disconnect, base::fault::forget_key_lock,
                    base::fault::keep_schedule, base::fault::tear_transaction,
                    base::fault::deliver_expired, base::fault::deliver_unmatched,
                    base::fault::hush_lost_responder, base::fault::drop_cursor_range,
                    base::fault::forget_message_ids, base::fault::reuse_offsets,
                    base::fault::exceed_limits, base::fault::drop_silently,
                    base::fault::miss_new_topic, base::fault::ignore_priority,
                    base::fault::jump_the_line));

TEST(simulation, gives_the_same_trace_for_the_same_seed) {
    for (std::uint64_t seed = 1000; seed < 1005; ++seed) {
        world first({.seed = seed});
        first.run();
        world second({.seed = seed});
        second.run();
        EXPECT_EQ(first.trace_hash(), second.trace_hash()) << "seed " << seed;
    }
}

TEST(simulation, reaches_what_it_is_for) {
    std::set<std::string> reached;
    for (std::uint64_t seed = 2000; seed < 2040; ++seed) {
        world simulated({.seed = seed});
        simulated.run();
        for (const auto& [mark, count] : simulated.marks()) {
            reached.insert(mark);
        }
    }
    for (const char* mark :
         {"published",      "duplicate",   "deliver", "redeliver", "ack",           "nack",
          "reject",         "release",     "extend",  "lost",      "goodbye",       "taken up",
          "gone",           "crash",       "trimmed", "purge",     "seek",          "dead_redrive",
          "dead_purge",     "queue_purge", "pause",   "resume",    "queue removed", "clock jump",
          "clock set back", "resend"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"ttl", "dead of age", "done of age", "deliver redriven", "doubt", "rested"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"filtered", "filter changed", "filter taken away", "filter the same", "filter refused",
          "seek filtered", "sifted at once", "sifted later", "sifted at rest", "deliver spared"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"scheduled", "schedule appended", "cancelled", "nothing to cancel", "listed"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark : {"serve", "unserve", "unserve at once", "replied", "reply to nothing",
                             "services listed", "request: no_responder", "request: responder_gone",
                             "request: deadline_exceeded", "request: request_failed"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"transacted", "transaction again", "transaction resent", "transaction waits",
          "transaction refused: lease_gone", "transaction refused: queue_removed",
          "transaction refused: topic_not_found", "transaction refused: message_too_large",
          "transaction refused: invalid_argument", "transaction refused: sequence_too_old",
          "transaction refused: sequence_mismatch"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark : {"message with an id", "schedule with an id", "message id again",
                             "message id again after a start", "message id again in a transaction",
                             "message id refused", "message id forgotten", "publish waits",
                             "window of ids", "ids not looked at"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"durability os", "durability disk", "durability refused", "published os", "applied",
          "killed", "stopped", "os messages lost", "offsets skipped", "skipped offset shown",
          "read of a skipped offset"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"cloned", "cloned leased", "cloned retrying", "cloned dead", "cloned filtered",
          "leases of another queue", "clone refused: queue_not_found",
          "clone refused: queue_exists", "clone refused: too_many_queues"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark : {"temporary queue", "temporary queue again", "temporary queue changed",
                             "temporary queue went"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"topic with bounds", "bounds changed", "bounds refused", "refused: full",
          "refused: too large", "transaction refused: topic_full", "dropped ready",
          "dropped leased", "dropped by age", "dropped without queue", "due schedule waited",
          "drops told"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"pattern queue", "pattern queue again", "pattern queue replaced", "queue adopted",
          "pattern queue refused: pattern_exists", "pattern queue refused: queue_exists",
          "pattern queue refused: invalid_setting", "pattern queue removed",
          "pattern queue removed with queues", "topic with pattern queues", "topic removed",
          "pattern queue member by hand", "pattern queue member removed", "queue of a rule refused",
          "pattern queues listed"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark :
         {"pattern attach", "taken up for a pattern", "gone for a pattern", "pattern joined",
          "pattern left", "pattern consumer ended", "pattern deliver", "pattern redeliver"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
    for (const char* mark : {"topic with levels", "levels refused", "priority without levels",
                             "priority above the highest", "mixed levels",
                             "schedule of mixed levels", "transaction of mixed levels",
                             "higher level first", "gaps closed first", "retry of a level"}) {
        EXPECT_TRUE(reached.contains(mark)) << mark << " never happened";
    }
}

}  // namespace
}  // namespace brokerd::sim
