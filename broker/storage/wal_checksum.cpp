// The function that RocksDB calls, and what proves it right.
#include "broker/storage/wal_checksum.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"

#if defined(BROKERD_WAL_CHECKSUM)

namespace rocksdb::crc32c {

// As in RocksDB's util/crc32c.h, which is not among its public headers.
std::uint32_t Extend(std::uint32_t init_crc, const char* data, std::size_t n);

__attribute__((visibility("default"))) std::uint32_t Extend(std::uint32_t init_crc,
                                                            const char* data, std::size_t n) {
    return brokerd::crc32c(init_crc, brokerd::as_bytes({data, n}));
}

}  // namespace rocksdb::crc32c

namespace brokerd::storage {

bool wal_checksum_is_right() {
    // RFC 3720, appendix B.4: 32 ascending bytes, here at each alignment and in two parts.
    constexpr std::uint32_t ascending = 0x46DD794EU;
    std::array<char, 32 + 8> bytes{};
    for (std::size_t start = 0; start < 8; ++start) {
        for (std::size_t i = 0; i < 32; ++i) {
            bytes[start + i] = static_cast<char>(i);
        }
        const char* const from = bytes.data() + start;
        const std::size_t cut = 4 * start;
        const std::uint32_t part = rocksdb::crc32c::Extend(0, from, cut);
        if (rocksdb::crc32c::Extend(part, from + cut, 32 - cut) != ascending) {
            return false;
        }
    }
    return true;
}

}  // namespace brokerd::storage

#else

namespace brokerd::storage {

bool wal_checksum_is_right() {
    return true;  // it is RocksDB's own
}

}  // namespace brokerd::storage

#endif
