// How long a closing connection has: by itself, and once the broker shuts down.
#include "broker/session/closing_time.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace brokerd::session {
namespace {

using namespace std::chrono_literals;

constexpr duration_us patience = 30s;

mono_time at(duration_us since_start) {
    return mono_time{since_start};
}

TEST(closing_time, a_peer_that_took_all_has_two_seconds_to_hang_up) {
    const closing_time times;
    EXPECT_EQ(times.close_by(at(10s), at(3s), false, patience), at(12s));
    EXPECT_EQ(times.close_by(at(10s), at(11s), false, patience), at(13s));
}

TEST(closing_time, one_that_goes_on_taking_has_as_long_as_a_silent_one) {
    const closing_time times;
    EXPECT_EQ(times.close_by(at(10s), at(11s), true, patience), at(13s));
    EXPECT_EQ(times.close_by(at(10s), at(37s), true, patience), at(39s));
    EXPECT_EQ(times.close_by(at(10s), at(39s), true, patience), at(40s));
}

TEST(closing_time, a_drain_is_over_at_its_time) {
    closing_time times;
    EXPECT_FALSE(times.draining());
    EXPECT_FALSE(times.drain_over(at(1'000'000s)));
    times.drain(at(20s));
    EXPECT_TRUE(times.draining());
    EXPECT_FALSE(times.drain_over(at(20s - 1us)));
    EXPECT_TRUE(times.drain_over(at(20s)));
}

// Whatever a peer does, it is gone this short a time behind the drain.
TEST(closing_time, nothing_outlasts_a_drain) {
    closing_time times;
    times.drain(at(20s));
    constexpr auto end = 20s + closing_time::drain_linger;
    // Done before, and it does not hang up.
    EXPECT_EQ(times.close_by(at(15s), at(3s), false, patience), at(15s) + 200ms);
    // Closed by the end of the drain, it takes nothing, or goes on taking.
    EXPECT_EQ(times.close_by(at(20s), at(3s), false, patience), at(end));
    EXPECT_EQ(times.close_by(at(20s), at(3s), true, patience), at(end));
    EXPECT_EQ(times.close_by(at(20s), at(20s + 150ms), true, patience), at(end));
    // It had begun to close before the drain did.
    EXPECT_EQ(times.close_by(at(5s), at(19s), true, patience), at(end));
}

TEST(closing_time, within_a_drain_what_is_still_taken_is_waited_for) {
    closing_time times;
    times.drain(at(20s));
    EXPECT_EQ(times.close_by(at(5s), at(6s), true, patience), at(8s));
}

}  // namespace
}  // namespace brokerd::session
