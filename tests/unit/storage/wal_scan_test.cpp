// What is read from the log files of RocksDB without RocksDB: the commit at the end of each record,
// and nothing that a message only makes look like one.
#include "broker/storage/wal_scan.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "broker/storage/values.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/crc32c.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::storage {

namespace {

constexpr std::size_t block_bytes = 32768;
constexpr std::size_t header_bytes = 7;

std::string commit(std::uint64_t number, std::uint64_t synced) {
    std::string value;
    encode_value(value, commit_value{commit_number{number}, commit_number{synced}});
    return value;
}

// What a publisher can send: it looks as if almost everything had been synced.
std::string forged() {
    return commit(std::uint64_t{1} << 40, std::uint64_t{1} << 40);
}

enum class fragment : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

// A log file as RocksDB writes it.
class log_file {
public:
    // One record, cut into fragments where blocks end.
    void add(std::string_view record) {
        bool first = true;
        do {
            std::size_t left = block_bytes - bytes_.size() % block_bytes;
            if (left < header_bytes) {
                bytes_.append(left, '\0');
                left = block_bytes;
            }
            const auto part = record.substr(0, left - header_bytes);
            record.remove_prefix(part.size());
            const auto begin = record.empty() ? fragment::full : fragment::first;
            const auto other = record.empty() ? fragment::last : fragment::middle;
            add(first ? begin : other, part);
            first = false;
        } while (!record.empty());
    }
    void add(fragment type, std::string_view payload) {
        const auto checked = static_cast<char>(type) + std::string(payload);
        std::array<std::byte, header_bytes - 1> header{};
        const auto crc = std::rotr(crc32c(0, as_bytes(checked)), 15) + 0xa282ead8U;
        store_le(header.data(), std::uint32_t{crc});
        store_le(header.data() + 4, static_cast<std::uint16_t>(payload.size()));
        bytes_ += as_text(header);
        bytes_ += checked;
    }
    void flip(std::size_t position) { bytes_[position] = static_cast<char>(bytes_[position] ^ 1); }

    // What a scan of a directory with only this file finds to have been synced.
    [[nodiscard]] std::uint64_t synced() const {
        const test::temp_dir directory;
        std::ofstream(directory / "000007.log", std::ios::binary) << bytes_;
        const auto facts = scan_wals(directory.path());
        EXPECT_TRUE(facts);
        EXPECT_EQ(facts->files.size(), 1U);
        return facts->synced.value();
    }

private:
    std::string bytes_;
};

// Of a fragment that fills its block.
constexpr std::size_t most_bytes = block_bytes - header_bytes;

std::string filler(std::size_t bytes) {
    return std::string(bytes, 'x');
}

TEST(wal_scan, finds_the_newest_commit_that_was_known_to_be_synced) {
    log_file log;
    log.add("an identity");
    log.add("one" + commit(1, 0));
    log.add("two" + commit(2, 1));
    EXPECT_EQ(log.synced(), 1U);
}

TEST(wal_scan, finds_a_commit_wherever_a_block_ends) {
    for (std::size_t left = 0; left <= header_bytes + commit_value::bytes; ++left) {
        log_file log;
        log.add(filler(most_bytes - left));
        log.add(commit(9, 8));
        EXPECT_EQ(log.synced(), 8U) << left;
    }
    log_file log;
    log.add(filler(5 * block_bytes) + commit(9, 8));
    EXPECT_EQ(log.synced(), 8U);
}

TEST(wal_scan, a_message_that_looks_like_a_commit_is_none) {
    for (const auto& record : {forged() + commit(9, 8), "x" + forged() + "x" + commit(9, 8),
                               filler(3 * block_bytes) + forged() + commit(9, 8)}) {
        log_file log;
        log.add(commit(8, 7));
        log.add(record);
        EXPECT_EQ(log.synced(), 8U);
    }
}

TEST(wal_scan, nor_is_one_that_a_block_cuts) {
    for (std::size_t cut = 0; cut <= commit_value::bytes; ++cut) {
        log_file log;
        log.add(filler(most_bytes - cut) + forged() + filler(block_bytes) + forged() +
                commit(9, 8));
        EXPECT_EQ(log.synced(), 8U) << cut;
    }
}

TEST(wal_scan, nor_is_one_at_the_end_of_a_fragment_within_a_record) {
    const auto block = filler(most_bytes - commit_value::bytes) + forged();
    log_file log;
    log.add(block + block + block + commit(9, 8));
    EXPECT_EQ(log.synced(), 8U);
    log_file unfinished;
    unfinished.add(fragment::first, block);
    unfinished.add(fragment::middle, block);
    EXPECT_EQ(unfinished.synced(), 0U);
}

TEST(wal_scan, a_record_does_not_continue_an_unfinished_one) {
    for (std::size_t cut = 1; cut < commit_value::bytes; ++cut) {
        const auto begin = forged().substr(0, cut);
        const auto end = forged().substr(cut);
        log_file full;
        full.add(fragment::first, begin);
        full.add(fragment::full, end);
        EXPECT_EQ(full.synced(), 0U) << cut;
        log_file first;
        first.add(fragment::first, begin);
        first.add(fragment::first, end);
        first.add(fragment::last, "");
        EXPECT_EQ(first.synced(), 0U) << cut;
    }
}

TEST(wal_scan, goes_on_behind_damage) {
    log_file log;
    log.add(filler(block_bytes) + commit(9, 8));
    log.flip(100);
    EXPECT_EQ(log.synced(), 8U);
}

TEST(wal_scan, goes_on_behind_damage_within_a_block) {
    log_file log;
    log.add("a message that is damaged" + commit(8, 7));
    log.add(commit(9, 8));
    log.flip(header_bytes + 2);
    EXPECT_EQ(log.synced(), 8U);
}

// A length of which only one half was written could lead to what a message made look like a record.
TEST(wal_scan, no_length_across_two_sectors_is_followed) {
    for (const std::size_t sector : {512U, 7 * 512U, 4096U}) {
        log_file log;
        log.add(filler(sector - header_bytes - 5));
        log.add(filler(100));
        log.add(commit(9, 8));
        EXPECT_EQ(log.synced(), 8U);
        log.flip(sector + header_bytes);
        EXPECT_EQ(log.synced(), 0U) << sector;
    }
}

TEST(wal_scan, puts_nothing_together_across_damage) {
    constexpr std::size_t cut = 20;
    log_file log;
    log.add(filler(most_bytes - cut) + forged().substr(0, cut) + filler(most_bytes) +
            forged().substr(cut));
    EXPECT_EQ(log.synced(), 0U);
    log.flip(block_bytes + 100);
    EXPECT_EQ(log.synced(), 0U);
}

TEST(wal_scan, no_directory_knows_nothing) {
    const test::temp_dir directory;
    const auto facts = scan_wals(directory / "none");
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->synced, commit_number{});
    EXPECT_TRUE(facts->files.empty());
}

TEST(wal_scan, what_cannot_be_looked_at_is_an_error) {
    const test::temp_dir directory;
    std::filesystem::create_symlink("loop", directory / "loop");
    EXPECT_FALSE(scan_wals(directory / "loop"));
}

}  // namespace

}  // namespace brokerd::storage
