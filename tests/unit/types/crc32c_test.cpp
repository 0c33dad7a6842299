// CRC-32C against the vectors of RFC 3720, appendix B.4, and one implementation against the other.
#include "protocol/types/crc32c.hpp"

#include <random>

#include <gtest/gtest.h>

namespace brokerd {
namespace {

byte_buffer filled(std::size_t size, std::uint8_t value) {
    return byte_buffer(size, std::byte{value});
}

TEST(crc32c, rfc_3720_vectors) {
    byte_buffer ascending(32);
    byte_buffer descending(32);
    for (std::size_t i = 0; i < 32; ++i) {
        ascending[i] = static_cast<std::byte>(i);
        descending[i] = static_cast<std::byte>(31 - i);
    }
    EXPECT_EQ(crc32c(0, filled(32, 0x00)), 0x8A9136AAU);
    EXPECT_EQ(crc32c(0, filled(32, 0xFF)), 0x62A8AB43U);
    EXPECT_EQ(crc32c(0, ascending), 0x46DD794EU);
    EXPECT_EQ(crc32c(0, descending), 0x113FDB5CU);
    EXPECT_EQ(crc32c(0, as_bytes("123456789")), 0xE3069283U);
    EXPECT_EQ(crc32c(0, {}), 0U);
}

TEST(crc32c, portable_path_agrees_at_every_length_and_alignment) {
    std::mt19937 random(7);
    byte_buffer data(256 + 8);
    for (auto& byte : data) {
        byte = static_cast<std::byte>(random());
    }
    for (std::size_t start = 0; start < 8; ++start) {
        for (std::size_t length = 0; length <= 256; ++length) {
            const byte_view part = byte_view(data).subspan(start, length);
            ASSERT_EQ(crc32c(0, part), detail::crc32c_portable(0, part)) << start << "+" << length;
        }
    }
}

TEST(crc32c, extends_over_pieces) {
    const byte_view whole = as_bytes("the quick brown fox jumps over the lazy dog");
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        EXPECT_EQ(crc32c(crc32c(0, whole.first(cut)), whole.subspan(cut)), crc32c(0, whole));
    }
}

}  // namespace
}  // namespace brokerd
