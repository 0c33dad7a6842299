// CRC-32C: hardware path (SSE4.2, chosen at run time) and a slice-by-eight table path.
#include "protocol/types/crc32c.hpp"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace brokerd {
namespace {

constexpr std::uint32_t polynomial_reflected = 0x82F63B78U;  // RFC 3720, appendix B.4

using slice_tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr slice_tables make_tables() {
    slice_tables tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ polynomial_reflected : crc >> 1U;
        }
        tables[0][i] = crc;
    }
    for (std::uint32_t i = 0; i < 256; ++i) {
        for (std::size_t t = 1; t < 8; ++t) {
            const std::uint32_t previous = tables[t - 1][i];
            tables[t][i] = (previous >> 8U) ^ tables[0][previous & 0xFFU];
        }
    }
    return tables;
}

constexpr slice_tables tables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t crc,
                                                             byte_view data) noexcept {
    std::uint64_t state = static_cast<std::uint32_t>(~crc);
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 8; left -= 8, at += 8) {
        state = _mm_crc32_u64(state, load_le<std::uint64_t>(at));
    }
    auto narrow = static_cast<std::uint32_t>(state);
    for (; left > 0; --left, ++at) {
        narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(*at));
    }
    return ~narrow;
}

const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

std::uint32_t detail::crc32c_portable(std::uint32_t crc, byte_view data) noexcept {
    std::uint32_t state = ~crc;
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint64_t word = load_le<std::uint64_t>(at) ^ state;
        state = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            state ^= tables[7 - i][(word >> (8 * i)) & 0xFFU];
        }
    }
    for (; left > 0; --left, ++at) {
        state = (state >> 8U) ^ tables[0][(state ^ std::to_integer<std::uint32_t>(*at)) & 0xFFU];
    }
    return ~state;
}

std::uint32_t crc32c(std::uint32_t crc, byte_view data) noexcept {
#if defined(__x86_64__)
    if (has_sse42) {
        return crc32c_sse42(crc, data);
    }
#endif
    return detail::crc32c_portable(crc, data);
}

}  // namespace brokerd
