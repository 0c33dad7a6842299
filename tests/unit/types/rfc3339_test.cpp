// Times: what is read, what is refused, and that what is written is read back.
#include "protocol/types/rfc3339.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace brokerd {
namespace {

using namespace std::chrono_literals;

constexpr wall_time noon = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h;

TEST(rfc3339, is_read_with_fraction_and_zone) {
    EXPECT_EQ(parse_rfc3339("2026-03-01T12:00:00Z"), noon);
    EXPECT_EQ(parse_rfc3339("2026-03-01 12:00:00z"), noon);
    EXPECT_EQ(parse_rfc3339("2026-03-01t12:00:00.25Z"), noon + 250ms);
    EXPECT_EQ(parse_rfc3339("2026-03-01T12:00:00.123456789Z"), noon + 123456us);
    EXPECT_EQ(parse_rfc3339("2026-03-01T14:30:00+02:30"), noon);
    EXPECT_EQ(parse_rfc3339("2026-03-01T07:00:00-05:00"), noon);
    EXPECT_EQ(parse_rfc3339("2026-03-01T11:59:60Z"), noon);
}

TEST(rfc3339, anything_else_is_refused) {
    for (const auto* text : {"",
                             "now",
                             "2026-03-01",
                             "2026-03-01T12:00Z",
                             "2026-03-01T12:00:00",
                             "2026-03-01T12:00:00.Z",
                             "2026-03-01T12:00:00+2",
                             "2026-03-01T12:00:00+24:00",
                             "2026-03-01T12:00:00Z ",
                             " 2026-03-01T12:00:00Z",
                             "2026-02-29T12:00:00Z",
                             "2026-13-01T12:00:00Z",
                             "2026-03-01T24:00:00Z",
                             "2026-03-01T12:60:00Z",
                             "2026-03-01T12:00:61Z",
                             "-026-03-01T12:00:00Z",
                             "2026-03-+1T12:00:00Z",
                             "0000-01-01T00:00:00+00:01",
                             "9999-12-31T23:59:59-00:01",
                             "9999-12-31T23:59:60Z"}) {
        EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
    }
}

TEST(rfc3339, what_is_written_is_read_back) {
    EXPECT_EQ(format_rfc3339(noon), "2026-03-01T12:00:00Z");
    EXPECT_EQ(format_rfc3339(noon + 250ms), "2026-03-01T12:00:00.25Z");
    EXPECT_EQ(format_rfc3339(noon + 1us), "2026-03-01T12:00:00.000001Z");
    for (const auto* text : {"0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z",
                             "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"}) {
        const auto time = parse_rfc3339(text);
        ASSERT_TRUE(time) << text;
        EXPECT_EQ(format_rfc3339(*time), text);
    }
}

}  // namespace
}  // namespace brokerd
