// The canonical text: one way to write a filter, and it reads as the same filter.
#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

TEST(filter_text, is_one_way_to_write_it) {
    const std::pair<const char*, const char*> table[]{
        {" OFFSET=007 ", "offset = 7"},
        {"age<5m", "age < 5min"},
        {"age < 90m", "age < 1h30min"},
        {"age > 0", "age > 0s"},
        {"size>=1024", "size >= 1KiB"},
        {"size = 1000", "size = 1000B"},
        {"size > 0KiB", "size > 0"},
        {"time > \"2026-03-01 13:00:00.500+01:00\"", "time > '2026-03-01T12:00:00.5Z'"},
        {"state='DEAD'", "state = dead"},
        {"state in(\"ready\",done)", "state in (ready, done)"},
        {"key=\"a\"", "key = 'a'"},
        {R"(key = 'it\'s')", R"(key = "it's")"},
        {R"(key = "\"'\"")", R"(key = '"\'"')"},
        {R"(key = '\x41\x0a\x00\xff\xc3\xa9\x7f\*')", R"(key = 'A\n\x00\xffé\x7f*')"},
        {R"(key like 'a***b\*\x2a')", R"(key like 'a*b\*\*')"},
        {"key like ''", "key like ''"},
        {"key not  like '*'", "key not like '*'"},
        {"header.\"plain.name-1_x\" = 1", "header.plain.name-1_x = 1"},
        {"HEADER.X = 'x'", "header.X = 'x'"},
        {"has header.'odd name'", "has header.'odd name'"},
        {"has header.\"\"", "has header.''"},
        {"key in (1.50, -0, 007, 1KiB, '1')", "key in (1.5, 0, 7, 1024, '1')"},
        {"((offset = 1))", "offset = 1"},
        {"(offset = 1 and size = 2) and age = 3s", "offset = 1 and size = 2B and age = 3s"},
        {"offset = 1 or (size = 2 or age = 3s)", "offset = 1 or size = 2B or age = 3s"},
        {"(offset = 1 and size = 2) or age = 3s", "offset = 1 and size = 2B or age = 3s"},
        {"offset = 1 and (size = 2 or age = 3s)", "offset = 1 and (size = 2B or age = 3s)"},
        {"not not has key", "has key"},
        {"not (not (has key))", "has key"},
        {"not not not has key", "not has key"},
        {"not (has key and has reason)", "not (has key and has reason)"},
        {"not (has key or has reason)", "not (has key or has reason)"},
        {"(not has key) and has reason", "not has key and has reason"},
    };
    for (const auto& [given, expected] : table) {
        EXPECT_EQ(canonical(given), expected);
        EXPECT_EQ(canonical(expected), expected);
        EXPECT_EQ(*filter::parse(given), *filter::parse(expected)) << given;
    }
}

TEST(filter_text, what_means_something_else_is_not_equal) {
    const char* const table[]{
        "key = 1",      "key = '1'",      "key != 1", "not key = 1",         "key in (1)",
        "key like '1'", "header.key = 1", "has key",  "key = 1 and key = 1", "key = 1 or key = 1"};
    for (const auto* a : table) {
        for (const auto* b : table) {
            EXPECT_EQ(*filter::parse(a) == *filter::parse(b), a == b) << a << " / " << b;
        }
    }
}

TEST(filter_text, survives_copies_and_moves) {
    sample of;
    auto first = *filter::parse("key like 'ord*r*7' and header.country in ('DE')");
    const filter copy = first;
    const filter moved = std::move(first);
    first = *filter::parse("has header.none");
    EXPECT_TRUE(of.matches(copy));
    EXPECT_TRUE(of.matches(moved));
    EXPECT_EQ(copy, moved);
    EXPECT_FALSE(of.matches(first));
}

}  // namespace
}  // namespace brokerd::filters
