// Errors: where, what was found, what was expected, what may have been meant.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

struct refusal {
    const char* text;
    const char* error;
};

void expect_errors(std::initializer_list<refusal> table) {
    for (const auto& [text, error] : table) {
        EXPECT_EQ(error_of(text), error) << text;
    }
}

TEST(filter_error, fields) {
    constexpr auto a_field = R"(column 1: expected a field, "has", "not" or "(", found the end)";
    expect_errors({
        {"", a_field},
        {"ofset = 3", R"(column 1: unknown field "ofset"; did you mean "offset"?)"},
        {"  tiem > '2026'", R"(column 3: unknown field "tiem"; did you mean "time"?)"},
        {"kye = 'a'", R"(column 1: unknown field "kye"; did you mean "key"?)"},
        {"orders = 3",
         "column 1: unknown field \"orders\"; there are offset, time, age, size, key, header.NAME, "
         "attempts, state and reason"},
        {"and = 3", R"(column 1: expected a field, "has", "not" or "(", found "and")"},
        {"3 = offset", R"(column 1: expected a field, "has", "not" or "(", found "3")"},
        {"'key' = 3", R"(column 1: expected a field, "has", "not" or "(", found the text "key")"},
        {"header = 'x'", R"(column 1: "header" needs a name; write header.NAME or header."NAME")"},
        {"header. = 'x'",
         R"(column 8: no name behind "header."; write header.NAME or header."NAME")"},
        {"key.x = 1", R"(column 4: unexpected ".")"},
        {"has offset",
         R"(column 5: offset is always there; "has" is for key, header.NAME and reason)"},
        {"has", R"(column 4: expected a field, "has", "not" or "(", found the end)"},
        {"not", R"(column 4: expected a field, "has", "not" or "(", found the end)"},
        {"has key and", R"(column 12: expected a field, "has", "not" or "(", found the end)"},
    });
    // The name in the message of an unknown field is foreign text.
    EXPECT_EQ(error_of(std::string(100, 'x')).substr(0, 80),
              "column 1: unknown field \"" + std::string(40, 'x') + "...\"; there are");
}

TEST(filter_error, comparisons) {
    constexpr std::string_view a_comparison =
        "expected a comparison (=, !=, <, <=, >, >=, in, not in, like, not like), found ";
    const auto expect = [&](const char* text, std::size_t column, const char* found) {
        EXPECT_EQ(error_of(text), fmt::format("column {}: {}{}", column, a_comparison, found));
    };
    expect("offset", 7, "the end");
    expect("key 'a'", 5, "the text \"a\"");
    expect("key lik 'a*'", 5, R"("lik"; did you mean "like"?)");
    expect("key not 'a'", 9, "the text \"a\"");
    expect("key not lke 'a'", 9, R"("lke"; did you mean "like"?)");
    expect("offset)", 7, "\")\"");
    expect_errors({
        {"offset == 3", R"(column 8: "==" is not known; write "=")"},
        {"offset <> 3", R"(column 8: "<>" is not known; write "!=")"},
        {"has key && has reason", R"(column 9: "&&" is not known; write "and")"},
        {"has key || has reason", R"(column 9: "||" is not known; write "or")"},
        {"!has key", R"(column 1: "!" is not known; write "not")"},
        {"key =~ 'a'", R"(column 5: "=~" is not known; write "like")"},
        {"offset like '1*'",
         R"(column 8: "like" is for key, header.NAME and reason, not for offset)"},
        {"time not like 'x'",
         R"(column 6: "like" is for key, header.NAME and reason, not for time)"},
        {"state < dead", "column 7: states have no order; compare with =, !=, in or not in"},
    });
}

TEST(filter_error, values_of_the_wrong_type) {
    expect_errors({
        {"offset = '3'",
         "column 10: expected a whole number below 2^64 for offset, found the text \"3\""},
        {"offset = 3KiB",
         "column 10: expected a whole number below 2^64 for offset, found \"3KiB\""},
        {"offset = -1", "column 10: expected a whole number below 2^64 for offset, found \"-1\""},
        {"offset = 18446744073709551616",
         "column 10: expected a whole number below 2^64 for offset, found "
         "\"18446744073709551616\""},
        {"attempts > 1.5",
         "column 12: expected a whole number below 2^64 for attempts, found \"1.5\""},
        {"age > '5min'",
         "column 7: expected a duration such as 5min or 1h30min for age, found the text \"5min\""},
        {"age > 5", "column 7: expected a duration such as 5min or 1h30min for age, found \"5\""},
        {"age > 5x", "column 7: expected a duration such as 5min or 1h30min for age, found \"5x\""},
        {"age > 5 min",
         "column 7: expected a duration such as 5min or 1h30min for age, found \"5\""},
        {"size > 5min", "column 8: expected a size such as 512 or 64KiB for size, found \"5min\""},
        {"size > 1.5MiB",
         "column 8: expected a size such as 512 or 64KiB for size, found \"1.5MiB\""},
        {"time > 5min",
         "column 8: expected a time in quotes such as '2026-03-01T12:00:00Z' for time, found "
         "\"5min\""},
        {"time > '2026-03-01'",
         "column 8: expected a time in quotes such as '2026-03-01T12:00:00Z' for time, found the "
         "text \"2026-03-01\""},
        {"key = abc", "column 7: expected a text in quotes or a number for key, found \"abc\""},
        {"key = 5min", "column 7: expected a text in quotes or a number for key, found \"5min\""},
        {"header.x = 1.",
         "column 12: expected a text in quotes or a number for header, found \"1.\""},
        {"state = deed",
         "column 9: expected ready, leased, retrying, dead or done for state, found \"deed\"; did "
         "you mean \"dead\"?"},
        {"state = 'deed'",
         "column 9: expected ready, leased, retrying, dead or done for state, found the text "
         "\"deed\""},
        {"key like 5", "column 10: expected a text in quotes behind \"like\", found \"5\""},
        {"offset in 3", "column 11: expected \"(\" and a list, found \"3\""},
        {"offset in ()", "column 12: expected a whole number below 2^64 for offset, found \")\""},
        {"offset in (1 2)", "column 14: expected \",\" or \")\", found \"2\""},
        {"offset in (1, 'a')",
         "column 15: expected a whole number below 2^64 for offset, found the text \"a\""},
        {"offset in (1", "column 13: expected \",\" or \")\", found the end"},
        {"offset =", "column 9: expected a whole number below 2^64 for offset, found the end"},
    });
}

TEST(filter_error, what_is_left_over) {
    expect_errors({
        {"has key has reason", R"(column 9: expected "and", "or" or the end, found "has")"},
        {"has key adn has reason",
         R"(column 9: expected "and", "or" or the end, found "adn"; did you mean "and"?)"},
        {"(has key", "column 9: expected \"and\", \"or\" or \")\", found the end"},
        {"(has key an has reason)",
         "column 10: expected \"and\", \"or\" or \")\", found \"an\"; did you mean \"and\"?"},
        {"has key)", "column 8: expected \"and\", \"or\" or the end, found \")\""},
        {"offset = 5and has key",
         "column 10: expected a whole number below 2^64 for offset, found \"5and\""},
        {"has key;", R"(column 8: unexpected ";")"},
    });
}

TEST(filter_error, texts) {
    constexpr auto escape = R"(an unknown escape; there are \\ \' \" \* \n \r \t and \xHH)";
    const auto expect_escape = [&](const char* text, std::size_t column) {
        EXPECT_EQ(error_of(text), fmt::format("column {}: {}", column, escape)) << text;
    };
    expect_escape(R"(key = 'a\b')", 9);
    expect_escape(R"(key = 'ä\ä')", 9);
    expect_escape(R"(key = '\x')", 8);
    expect_escape(R"(key = '\x1')", 8);
    expect_escape(R"(key = '\x1g')", 8);
    expect_escape("key = '\\\n'", 8);
    expect_escape(R"(key like 'a*\q*')", 13);
    expect_escape(R"(header."\q" = 1)", 9);
    expect_errors({
        {"key = 'abc", "column 7: the text that begins here has no closing '"},
        {"key = \"abc'", "column 7: the text that begins here has no closing \""},
        {"key = 'abc\\'", "column 7: the text that begins here has no closing '"},
        {"key = 'abc\\", "column 7: the text that begins here has no closing '"},
        {"key = '", "column 7: the text that begins here has no closing '"},
        {"header.'abc = 1", "column 8: the text that begins here has no closing '"},
        {"key = 'ä\xff'", "column 9: a byte that is no printable text; write it as \\xff"},
        {"key = 'a\nb'", "column 9: a byte that is no printable text; write it as \\x0a"},
        {"key = \xff", R"(column 7: unexpected "\xff")"},
        {"key = \x1b[31m", R"(column 7: unexpected "\x1b")"},
    });
}

}  // namespace
}  // namespace brokerd::filters
