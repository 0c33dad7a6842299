// Whose directory it is: the lock and the format file.
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "broker/storage/directory_lock.hpp"
#include "broker/storage/format_file.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

void write(const std::filesystem::path& path, std::string_view text) {
    std::ofstream(path) << text;
}

std::string refusal(const std::filesystem::path& directory) {
    const auto read = format_file::read_or_create(directory);
    if (read) {
        return "accepted";
    }
    EXPECT_EQ(read.error().kind, open_failure::refused);
    return read.error().text;
}

TEST(directory_lock, is_had_by_one_at_a_time) {
    const test::temp_dir directory;
    {
        const auto first = directory_lock::acquire(directory.path());
        ASSERT_TRUE(first);
        const auto second = directory_lock::acquire(directory.path());
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().kind, open_failure::locked);
        EXPECT_NE(second.error().text.find("in use by process"), std::string::npos)
            << second.error().text;
    }
    EXPECT_TRUE(directory_lock::acquire(directory.path()));
}

TEST(directory_lock, keeps_a_second_store_out) {
    const test::temp_dir directory;
    const auto first = test::open_or_fail(test::small_options(directory / "data"));
    const auto second = rocks_store::open(test::small_options(directory / "data"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, open_failure::locked);
}

TEST(format_file, is_created_once) {
    const test::temp_dir directory;
    const auto fresh = format_file::read_or_create(directory.path());
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(fresh->created);
    EXPECT_EQ(fresh->database_id.size(), 32U);
    const auto again = format_file::read_or_create(directory.path());
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->created);
    EXPECT_EQ(again->database_id, fresh->database_id);
    EXPECT_EQ(again->format, format_major);
}

TEST(format_file, a_directory_of_something_else_is_refused_and_left_alone) {
    const test::temp_dir directory;
    write(directory / "thesis.tex", "text");
    EXPECT_NE(refusal(directory.path()).find("thesis.tex"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(directory / "BROKERD"));
}

TEST(format_file, a_directory_of_something_else_does_not_even_get_a_lock) {
    const test::temp_dir directory;
    write(directory / "lock", "another program's");
    write(directory / "thesis.tex", "text");
    const auto opened = rocks_store::open(test::small_options(directory.path()));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, open_failure::refused);
    std::ifstream lock(directory / "lock");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(lock), {}), "another program's");
}

TEST(format_file, what_an_interrupted_creation_left_does_not_matter) {
    const test::temp_dir directory;
    write(directory / "lock", "1\n");
    write(directory / "BROKERD.new", "brok");
    EXPECT_TRUE(format_file::read_or_create(directory.path()));
}

TEST(format_file, a_newer_format_is_refused) {
    const test::temp_dir directory;
    write(directory / "BROKERD",
          "brokerd data directory\ndatabase " + std::string(32, 'a') + "\nformat 2\n");
    EXPECT_NE(refusal(directory.path()).find("has format 2"), std::string::npos);
}

TEST(format_file, each_flipped_bit_is_noticed_or_harmless) {
    const test::temp_dir directory;
    const std::string text =
        "brokerd data directory\ndatabase " + std::string(32, 'a') + "\nformat 1\n";
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
        write(directory / "BROKERD", damaged);
        const auto read = format_file::read_or_create(directory.path());
        // A changed database id is found when it is compared with the database's own.
        EXPECT_TRUE(!read || read->database_id != std::string(32, 'a')) << i;
    }
}

}  // namespace

}  // namespace brokerd::storage
