// The checksum that takes the place of RocksDB's: the same values, and really in its place.
#include "broker/storage/wal_checksum.hpp"

#include <cstddef>
#include <cstdint>
#include <dlfcn.h>
#include <string>

#include <gtest/gtest.h>

#include "broker/base/random.hpp"

namespace brokerd::storage {

namespace {

constexpr const char* symbol = "_ZN7rocksdb6crc32c6ExtendEjPKcm";

using extend = std::uint32_t (*)(std::uint32_t, const char*, std::size_t);

struct wal_checksum_test : testing::Test {
    // That of the library itself.
    [[nodiscard]] static extend of_rocksdb() {
        void* const library = ::dlopen("librocksdb.so.7.8", RTLD_LAZY | RTLD_NOLOAD);
        return library == nullptr ? nullptr : reinterpret_cast<extend>(::dlsym(library, symbol));
    }
    // The one that whoever calls it by name gets, RocksDB included.
    [[nodiscard]] static extend in_use() {
        return reinterpret_cast<extend>(::dlsym(RTLD_DEFAULT, symbol));
    }
};

TEST_F(wal_checksum_test, is_right) {
    EXPECT_TRUE(wal_checksum_is_right());
}

TEST_F(wal_checksum_test, takes_the_place_of_the_librarys) {
    ASSERT_NE(in_use(), nullptr);
    ASSERT_NE(of_rocksdb(), nullptr);
    EXPECT_NE(in_use(), of_rocksdb());
}

TEST_F(wal_checksum_test, is_the_librarys_for_all_lengths_and_alignments) {
    const extend ours = in_use();
    const extend theirs = of_rocksdb();
    ASSERT_NE(theirs, nullptr);
    base::random random(1);
    std::string data(4096, '\0');
    for (char& each : data) {
        each = static_cast<char>(random.below(256));
    }
    for (int i = 0; i < 2000; ++i) {
        const std::size_t from = random.below(16);
        const std::size_t length = random.below(i < 1000 ? 64 : data.size() - from);
        const auto start = static_cast<std::uint32_t>(random.below(UINT32_MAX));
        ASSERT_EQ(ours(start, data.data() + from, length),
                  theirs(start, data.data() + from, length))
            << start << ", " << from << "+" << length;
    }
}

}  // namespace

}  // namespace brokerd::storage
