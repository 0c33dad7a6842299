// Columns and the two lines that point one out.
#include "protocol/filter/position.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

TEST(filter_position, columns_count_characters) {
    EXPECT_EQ(column_of("abc", 0), 1U);
    EXPECT_EQ(column_of("abc", 3), 4U);
    EXPECT_EQ(column_of("äöü", 4), 3U);
    EXPECT_EQ(column_of("\xff\xff", 2), 3U);
}

// Promise: filter.mistakes
TEST(filter_position, caret) {
    const std::string text = "key = 'a' und state = dead";
    EXPECT_EQ(caret_lines(text, error_of(text)),
              "key = 'a' und state = dead\n"
              "          ^");
    EXPECT_EQ(caret_lines("ofset = 3", "column 1: unknown"), "ofset = 3\n^");
    EXPECT_EQ(caret_lines("key", "column 4: expected"), "key\n   ^");
    EXPECT_EQ(caret_lines("key = 'ä' x", "the broker says: column 11: what"),
              "key = 'ä' x\n          ^");
}

TEST(filter_position, nothing_without_a_column) {
    for (const auto* error : {"", "the filter is too long", "column", "column x: y", "column 0: y",
                              "column 3", "column 99999999999999999999999: y"}) {
        EXPECT_EQ(caret_lines("abc", error), "") << error;
    }
}

TEST(filter_position, hostile_text_is_shown_harmlessly_on_one_line) {
    EXPECT_EQ(caret_lines("a\n\tb\x1b[31m\x7f\xff!", "column 5: x"),
              "a  b?[31m?"
              "?!\n    ^");
    EXPECT_EQ(caret_lines("a", "column 77: beyond"), "a\n ^");
}

TEST(filter_position, of_a_long_filter_the_surroundings) {
    const std::string text = std::string(100, 'a') + "X" + std::string(100, 'b');
    const std::string lines = caret_lines(text, "column 101: x");
    EXPECT_EQ(lines, "..." + std::string(48, 'a') + "X" + std::string(23, 'b') + "...\n" +
                         std::string(51, ' ') + "^");
}

}  // namespace
}  // namespace brokerd::filters
