// The search against that of the standard library, on texts made to be mistaken.
#include "protocol/filter/search.hpp"

#include <string>

#include <gtest/gtest.h>

#include "broker/base/random.hpp"

namespace brokerd::filters {
namespace {

std::size_t found(std::string_view text, std::string_view needle) {
    std::vector<std::uint16_t> borders(3);  // it appends
    append_borders(needle, borders);
    return find_text(text, needle, std::span(borders).subspan(3));
}

TEST(search, finds_the_first) {
    EXPECT_EQ(found("", "a"), std::string_view::npos);
    EXPECT_EQ(found("a", "a"), 0U);
    EXPECT_EQ(found("xxab", "ab"), 2U);
    EXPECT_EQ(found("aaab", "aab"), 1U);
    EXPECT_EQ(found("abababac", "ababac"), 2U);
    EXPECT_EQ(found("ababab", "ababac"), std::string_view::npos);
    EXPECT_EQ(found(std::string_view("a\0b", 3), std::string_view("\0", 1)), 1U);
}

TEST(search, as_the_standard_library) {
    base::random random(1);
    for (int round = 0; round < 20000; ++round) {
        const auto letters = [&random](std::uint64_t length) {
            std::string text;
            while (text.size() < length) {
                text += random.chance(1, 4) ? 'b' : 'a';
            }
            return text;
        };
        const std::string text = letters(random.below(40));
        const std::string needle = letters(1 + random.below(8));
        ASSERT_EQ(found(text, needle), text.find(needle)) << text << " " << needle;
    }
}

}  // namespace
}  // namespace brokerd::filters
