// Sizes: what is read, what is refused, and that what is printed is read back.
#include "protocol/types/byte_size.hpp"

#include <gtest/gtest.h>

namespace brokerd {
namespace {

TEST(byte_size, bytes) {
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

TEST(byte_size, what_is_printed_is_read_back) {
    for (const std::uint64_t bytes :
         {0ULL, 1ULL, 1023ULL, 1024ULL, 1536ULL, 1ULL << 20, 1ULL << 40}) {
        EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes);
    }
    EXPECT_EQ(format_bytes(16 << 20), "16MiB");
}

}  // namespace
}  // namespace brokerd
