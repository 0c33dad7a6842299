// Sizes and durations: what is read, what is refused, and that what is printed is read back.
#include "broker/config/units.hpp"

#include <gtest/gtest.h>

namespace brokerd::config {
namespace {

using namespace std::chrono_literals;

TEST(units, bytes) {
    EXPECT_EQ(parse_bytes("0"), 0U);
    EXPECT_EQ(parse_bytes("512"), 512U);
    EXPECT_EQ(parse_bytes("512B"), 512U);
    EXPECT_EQ(parse_bytes("4KiB"), 4096U);
    EXPECT_EQ(parse_bytes("16MiB"), 16U << 20);
    EXPECT_EQ(parse_bytes("2TiB"), 2ULL << 40);
    for (const auto* text : {"", "x", "-1", "1.5MiB", "1 MiB", "1MB", "1mib", "16777216TiB",
                             "18446744073709551616", "KiB", "1KiBx"}) {
        EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
    }
}

TEST(units, durations) {
    EXPECT_EQ(parse_duration("0"), 0us);
    EXPECT_EQ(parse_duration("15s"), 15s);
    EXPECT_EQ(parse_duration("1500ms"), 1500ms);
    EXPECT_EQ(parse_duration("7us"), 7us);
    EXPECT_EQ(parse_duration("2m"), 2min);
    EXPECT_EQ(parse_duration("12h"), 12h);
    for (const auto* text : {"", "15", "s", "-1s", "1.5s", "1 s", "1d", "9223372036854775807s"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(units, what_is_printed_is_read_back) {
    for (const std::uint64_t bytes :
         {0ULL, 1ULL, 1023ULL, 1024ULL, 1536ULL, 1ULL << 20, 1ULL << 40}) {
        EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes);
    }
    for (const duration_us d : {duration_us{0}, duration_us{1}, duration_us{1500}, duration_us{1s},
                                duration_us{90s}, duration_us{1h}}) {
        EXPECT_EQ(parse_duration(format_duration(d)), d);
    }
    EXPECT_EQ(format_bytes(16 << 20), "16MiB");
    EXPECT_EQ(format_duration(90s), "90s");
}

}  // namespace
}  // namespace brokerd::config
