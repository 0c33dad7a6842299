// Durations: what is read, what is refused and why, and that what is written is read back.
#include "protocol/types/duration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace brokerd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(durations, every_unit_is_read) {
    EXPECT_EQ(parse_duration("7us"), 7us);
    EXPECT_EQ(parse_duration("1500ms"), 1500ms);
    EXPECT_EQ(parse_duration("15s"), 15s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("5min"), 5min);
    EXPECT_EQ(parse_duration("12h"), 12h);
    EXPECT_EQ(parse_duration("7d"), 168h);
    EXPECT_EQ(parse_duration("0"), 0us);
    EXPECT_EQ(parse_duration("0s"), 0us);
}

TEST(durations, fractions_and_several_units) {
    EXPECT_EQ(parse_duration("1.5s"), 1500ms);
    EXPECT_EQ(parse_duration("0.25h"), 15min);
    EXPECT_EQ(parse_duration("1.23456789s"), 1234567us);
    EXPECT_EQ(parse_duration("1h30min"), 90min);
    EXPECT_EQ(parse_duration("1h30m"), 90min);
    EXPECT_EQ(parse_duration("1d2h3min4s5ms6us"), 26h + 3min + 4s + 5ms + 6us);
}

TEST(durations, refused) {
    for (const auto* text : {"", "s", "5x", "-5s", "+5s", "5 s", "5s ", "1..5s", "1.s", ".5s",
                             "five", "5sms", "5S", "1e3s", "1.2.3s"}) {
        const auto refused = parse_duration(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_THAT(refused.error().text, HasSubstr("is no duration; write")) << text;
    }
    EXPECT_THAT(parse_duration("7").error().text, HasSubstr("has no unit"));
    EXPECT_THAT(parse_duration("0.5us").error().text, HasSubstr("is shorter than a microsecond"));
    EXPECT_EQ(parse_duration("0s"), duration_us{0});
    EXPECT_THAT(parse_duration("1h30").error().text, HasSubstr("has no unit"));
    EXPECT_THAT(parse_duration("\n").error().text, HasSubstr("\\"));
}

TEST(durations, the_longest_and_one_more) {
    EXPECT_EQ(parse_duration("9223372036854775807us"), duration_us::max());
    for (const auto* text : {"9223372036854775808us", "9223372036854.775808s", "106751992d",
                             "9223372036854775807us1us", "99999999999999999999d"}) {
        EXPECT_THAT(parse_duration(text).error().text, HasSubstr("is too long")) << text;
    }
}

TEST(durations, what_is_written_is_read_back) {
    for (const duration_us each :
         std::initializer_list<duration_us>{0s, 1us, 1500us, 30s, 90s, 10min, 26h, 61s + 7us}) {
        EXPECT_EQ(parse_duration(format_duration(each)), each) << format_duration(each);
    }
    EXPECT_EQ(format_duration(0s), "0s");
    EXPECT_EQ(format_duration(90s), "1min30s");
    EXPECT_EQ(format_duration(-5s), "-5s");
}

TEST(durations, can_be_cut_to_the_largest_units) {
    EXPECT_EQ(cut_duration(76h + 10min, 2), "3d4h");
    EXPECT_EQ(cut_duration(1h + 5s, 2), "1h");
}

}  // namespace
}  // namespace brokerd
