// Numbers as people read them.
#include "tools/brokerctl/units.hpp"

#include <gtest/gtest.h>

#include "tools/brokerctl/values.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

TEST(settings_text, zero_is_none_where_it_switches_off) {
    EXPECT_EQ(number_or_none(0), "none");
    EXPECT_EQ(number_or_none(1'000'000), "1000000");
    EXPECT_EQ(bytes_or_none(0), "none");
    EXPECT_EQ(bytes_or_none(std::uint64_t{10} << 30U), "10GiB");
    EXPECT_EQ(duration_or_none(0s), "none");
    EXPECT_EQ(duration_or_none(168h), "7d");
}

TEST(units, short_durations_have_at_most_two_units) {
    EXPECT_EQ(short_duration(0s), "0s");
    EXPECT_EQ(short_duration(400us), "0s");
    EXPECT_EQ(short_duration(350ms), "350ms");
    EXPECT_EQ(short_duration(1999ms), "1s");
    EXPECT_EQ(short_duration(119s), "1min59s");
    EXPECT_EQ(short_duration(1h + 5s), "1h");
    EXPECT_EQ(short_duration(76h + 10min), "3d4h");
    EXPECT_EQ(short_duration(-5s), "-5s");
}

TEST(units, counts_are_cut_and_never_say_more) {
    EXPECT_EQ(short_count(0), "0");
    EXPECT_EQ(short_count(99'999), "99999");
    EXPECT_EQ(short_count(100'000), "100k");
    EXPECT_EQ(short_count(999'999), "999k");
    EXPECT_EQ(short_count(1'239'999), "1.23M");
    EXPECT_EQ(short_count(12'399'999), "12.3M");
    EXPECT_EQ(short_count(5e12), "5.00T");
}

TEST(units, rates) {
    EXPECT_EQ(short_rate(0), "0");
    EXPECT_EQ(short_rate(0.01), "<0.1");
    EXPECT_EQ(short_rate(12.34), "12.3");
    EXPECT_EQ(short_rate(4512.4), "4512");
    EXPECT_EQ(short_rate(123'456), "123k");
}

TEST(units, bytes) {
    EXPECT_EQ(short_bytes(0), "0B");
    EXPECT_EQ(short_bytes(1023), "1023B");
    EXPECT_EQ(short_bytes(1536), "1.50KiB");
    EXPECT_EQ(short_bytes(1023.0 * 1024), "1.00MiB");
    EXPECT_EQ(short_bytes(64.0 * 1024 * 1024), "64.0MiB");
    EXPECT_EQ(exact_bytes(1024 * 1024), "1MiB");
    EXPECT_EQ(exact_bytes(1536 * 1024), "1536KiB");
    EXPECT_EQ(exact_bytes(1000), "1000B");
    EXPECT_EQ(exact_bytes(0), "0B");
    EXPECT_EQ(parse_size(exact_bytes(1536 * 1024)), 1536U * 1024U);
}

TEST(units, times_are_rfc3339) {
    constexpr auto day = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};
    EXPECT_EQ(rfc3339_text(day + 12h + 5min + 9s + 42us), "2026-03-01T12:05:09.000042Z");
    EXPECT_EQ(parse_time(rfc3339_text(day + 42us), day), day + 42us);
}

}  // namespace
}  // namespace brokerd::ctl
