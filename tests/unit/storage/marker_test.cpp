// The marker survives a torn write, and says so when it did not.
#include "broker/storage/marker.hpp"

#include <fcntl.h>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace brokerd::storage {

namespace {

const std::string the_database(32, 'a');

class marker : public testing::Test {
protected:
    void create() { ASSERT_TRUE(create_marker(path(), the_database)); }
    [[nodiscard]] std::filesystem::path path() const { return directory_ / "marker"; }
    [[nodiscard]] found_marker found() const {
        const auto read = read_marker(path());
        EXPECT_TRUE(read && *read);
        return read.value_or(std::nullopt).value_or(found_marker{});
    }
    // Opens a writer, advances it, closes it: one slot is written.
    void write(std::uint64_t commit) {
        marker_writer writer(
            path(), *open_file(path(), O_WRONLY), found(),
            [](marker_state& state) {
                state.sequence = 11;
                state.wal_number = 12;
                state.wal_bytes = 13;
            },
            [](const std::string& why) { ADD_FAILURE() << why; });
        writer.advance(commit_number{commit});
        writer.close();
    }
    void overwrite(std::size_t at, char byte) {
        std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(byte);
    }

    test::temp_dir directory_;
};

TEST_F(marker, that_is_not_there_is_no_error) {
    const auto read = read_marker(path());
    ASSERT_TRUE(read);
    EXPECT_FALSE(*read);
}

TEST_F(marker, starts_without_a_commit) {
    create();
    EXPECT_EQ(found().state.synced, commit_number{});
    EXPECT_EQ(found().state.database_id, the_database);
    EXPECT_EQ(std::filesystem::file_size(path()), 2 * marker_slot_bytes);
}

TEST_F(marker, keeps_the_newest_commit) {
    create();
    for (std::uint64_t commit = 1; commit <= 5; ++commit) {
        write(commit);
        const auto now = found();
        EXPECT_EQ(now.state, (marker_state{the_database, commit_number{commit}, 11, 12, 13}));
    }
    EXPECT_EQ(std::filesystem::file_size(path()), 2 * marker_slot_bytes);
}

TEST_F(marker, a_torn_slot_leaves_the_one_before) {
    create();
    write(1);
    write(2);
    const std::size_t newest = (found().generation % 2) * marker_slot_bytes;
    for (const std::size_t at : {0UL, 8UL, 12UL, 16UL, 30UL, 60UL, marker_slot_bytes - 1}) {
        overwrite(newest + at, '\x5a');
        EXPECT_EQ(found().state.synced, commit_number{1}) << at;
        write(2);
        // The damaged slot is the one that was written again.
        EXPECT_EQ(found().state.synced, commit_number{2}) << at;
    }
}

TEST_F(marker, is_refused_when_both_slots_are_damaged_or_its_size_is_wrong) {
    create();
    overwrite(20, 'x');
    overwrite(marker_slot_bytes + 20, 'x');
    auto read = read_marker(path());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, open_failure::refused);
    EXPECT_NE(read.error().text.find("is damaged"), std::string::npos);
    create();
    std::filesystem::resize_file(path(), 100);
    EXPECT_FALSE(read_marker(path()));
}

TEST_F(marker, an_abandoned_writer_writes_no_more) {
    create();
    marker_writer writer(
        path(), *open_file(path(), O_WRONLY), found(), [](marker_state&) {},
        [](const std::string&) {});
    writer.abandon();
    writer.advance(commit_number{9});
    EXPECT_EQ(found().state.synced, commit_number{});
}

TEST_F(marker, a_failed_write_is_reported_once) {
    create();
    std::string reported;
    marker_writer writer(
        path(), *open_file(path(), O_RDONLY), found(), [](marker_state&) {},
        [&](const std::string& why) { reported += why; });
    writer.advance(commit_number{1});
    writer.close();
    EXPECT_NE(reported.find("cannot write"), std::string::npos);
}

}  // namespace

}  // namespace brokerd::storage
