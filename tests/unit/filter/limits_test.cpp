// Every limit, at the limit and one beyond.
#include "protocol/types/limits.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(std::string_view what, std::size_t times, std::string_view between = "") {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) {
        text += i > 0 ? between : "";
        text += what;
    }
    return text;
}

TEST(filter_limits, bytes_of_the_text) {
    const std::string at_limit = "key = '" + std::string(limits::filter_bytes_max - 8, 'x') + "'";
    ASSERT_EQ(at_limit.size(), limits::filter_bytes_max);
    EXPECT_TRUE(filter::parse(at_limit));
    EXPECT_EQ(error_of(at_limit + " "), "the filter has 4097 bytes; at most 4096 are allowed");
}

TEST(filter_limits, bytes_when_written_out) {
    // 18 bytes become 20.
    const auto with = [](std::size_t padding) {
        return "age<5m and key='" + std::string(padding, 'x') + "'";
    };
    const std::size_t shrinks = canonical(with(0)).size();
    const std::size_t fits = limits::filter_bytes_max - shrinks;
    ASSERT_TRUE(filter::parse(with(fits)));
    EXPECT_EQ(filter::parse(with(fits))->text().size(), limits::filter_bytes_max);
    EXPECT_EQ(error_of(with(fits + 1)),
              "the filter has 4097 bytes when it is written out in full; at most 4096 are allowed");
}

TEST(filter_limits, terms) {
    EXPECT_TRUE(filter::parse(repeated("has key", limits::filter_terms_max, " and ")));
    const std::string beyond = repeated("has key", limits::filter_terms_max + 1, " or ");
    EXPECT_EQ(error_of(beyond),
              fmt::format("column {}: more than 64 comparisons", beyond.size() - 6));
}

// Promise: filter.bounds
TEST(filter_limits, depth) {
    const auto nested = [](std::size_t depth) {
        return repeated("(", depth) + "has key" + repeated(")", depth);
    };
    EXPECT_TRUE(filter::parse(nested(limits::filter_depth_max)));
    EXPECT_EQ(error_of(nested(limits::filter_depth_max + 1)),
              "column 17: more than 16 parentheses and nots inside each other");
    EXPECT_TRUE(filter::parse(repeated("not ", limits::filter_depth_max) + "has key"));
    EXPECT_THAT(error_of(repeated("not ", limits::filter_depth_max + 1) + "has key"),
                StartsWith("column 65: more than 16"));
    // It is about what is inside each other, not about how many there are.
    EXPECT_TRUE(filter::parse(repeated("(not has key)", limits::filter_terms_max, " or ")));
    for (const auto* each : {"(", "not ", "not(", "((not "}) {
        EXPECT_THAT(error_of(repeated(each, limits::filter_bytes_max / 8)),
                    HasSubstr("more than 16"));
    }
}

TEST(filter_limits, items_of_a_list) {
    const auto list = [](std::size_t items) {
        return "offset in (" + repeated("1", items, ", ") + ")";
    };
    EXPECT_TRUE(filter::parse(list(limits::filter_list_items_max)));
    const std::string beyond = list(limits::filter_list_items_max + 1);
    EXPECT_EQ(error_of(beyond),
              fmt::format("column {}: more than 256 values in a list", beyond.size() - 1));
}

// Promise: filter.bounds
TEST(filter_limits, what_is_slow_elsewhere_is_quick) {
    sample of;
    // A search that steps back would take this pattern a million times through the value.
    const std::string letters(limits::headers_bytes_max - 100, 'a');
    of.fields.headers = {{"x", letters}};
    const auto pattern =
        filter::parse("header.x like '*" + repeated(std::string(1000, 'a') + "b", 4, "*") + "*'");
    ASSERT_TRUE(pattern);
    // And each of these numbers would have the value read as a number.
    const std::string digits(limits::key_bytes_max, '1');
    of.fields.key = digits;
    const auto lists =
        filter::parse(repeated("key in (" + repeated("1", 256, ",") + ")", 5, " or "));
    ASSERT_TRUE(lists);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_FALSE(of.matches(*pattern));
        ASSERT_FALSE(of.matches(*lists));
    }
}

}  // namespace
}  // namespace brokerd::filters
