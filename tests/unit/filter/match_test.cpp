// What filters match: every field with every operation, missing values, numbers beside text, how
// and, or and not bind.
#include <gtest/gtest.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

using namespace std::chrono_literals;

struct expectation {
    const char* text;
    bool matches;
};

void expect_matches(const sample& of, std::initializer_list<expectation> table) {
    for (const auto& [text, matches] : table) {
        EXPECT_EQ(of.matches(text), matches) << text;
    }
}

TEST(filter_match, offset) {
    expect_matches({}, {{"offset = 812", true},
                        {"offset = 811", false},
                        {"offset != 812", false},
                        {"offset != 811", true},
                        {"offset < 812", false},
                        {"offset < 813", true},
                        {"offset <= 812", true},
                        {"offset <= 811", false},
                        {"offset > 812", false},
                        {"offset > 811", true},
                        {"offset >= 812", true},
                        {"offset >= 813", false},
                        {"offset in (1, 812)", true},
                        {"offset in (1, 2)", false},
                        {"offset not in (1, 812)", false},
                        {"offset not in (1, 2)", true},
                        {"offset < 18446744073709551615", true}});
}

TEST(filter_match, attempts_and_size) {
    expect_matches({}, {{"attempts = 2", true},
                        {"attempts > 2", false},
                        {"attempts in (0, 1, 2)", true},
                        {"size = 10", true},
                        {"size = 10B", true},
                        {"size < 1KiB", true},
                        {"size >= 1MiB", false},
                        {"size not in (9, 11)", true}});
}

TEST(filter_match, time) {
    expect_matches({},
                   {{"time = '2026-03-01T12:00:00Z'", true},
                    {"time = '2026-03-01T13:00:00+01:00'", true},
                    {"time > '2026-03-01T11:59:59.999999Z'", true},
                    {"time > '2026-03-01T12:00:00Z'", false},
                    {"time < '1969-12-31T23:59:59Z'", false},
                    {"time >= '0000-01-01T00:00:00Z' and time < \"9999-12-31T00:00:00Z\"", true}});
    sample before_1970;
    before_1970.about.time = wall_from_us(-5);
    expect_matches(before_1970, {{"time < '1970-01-01T00:00:00Z'", true},
                                 {"time > '1969-12-31T23:59:59.999994Z'", true},
                                 {"time = '1969-12-31T23:59:59.999995Z'", true}});
}

TEST(filter_match, age) {
    expect_matches({}, {{"age = 10m", true},
                        {"age = 600s", true},
                        {"age > 9min59s", true},
                        {"age > 10min", false},
                        {"age < 1h30m", true},
                        {"age < 0", false}});
    sample from_the_future;
    from_the_future.about.now = sample_time - 1h;
    expect_matches(from_the_future, {{"age = 0", true}, {"age > 0s", false}});
    sample ages_apart;
    ages_apart.about.time = wall_time::min();
    ages_apart.about.now = wall_time::max();
    expect_matches(ages_apart, {{"age > 9223372036854775807us", true}});
}

TEST(filter_match, state) {
    expect_matches({}, {{"state = retrying", true},
                        {"state = 'retrying'", true},
                        {"state = Retrying", true},
                        {"state != retrying", false},
                        {"state != dead", true},
                        {"state in (ready, retrying)", true},
                        {"state in (ready, leased, dead, done)", false},
                        {"state not in (dead, \"done\")", true}});
}

TEST(filter_match, text_is_compared_byte_by_byte) {
    expect_matches({}, {{"key = 'order-17'", true},
                        {"key = \"order-17\"", true},
                        {"key = 'Order-17'", false},
                        {"key != 'order-17'", false},
                        {"key != 'other'", true},
                        {"key < 'order-18'", true},
                        {"key < 'order-17'", false},
                        {"key <= 'order-17'", true},
                        {"key > 'order-1'", true},
                        {"key >= 'order-17x'", false},
                        {"key in ('a', 'order-17')", true},
                        {"key not in ('a', 'b')", true},
                        {"key not in ('a', 'order-17')", false},
                        {"reason = 'no route'", true},
                        {"reason like 'no *'", true},
                        {"header.country = 'DE'", true},
                        {"header.country = 'second'", false},  // the first of its name counts
                        {"header.country in ('AT', 'DE')", true},
                        {"header.Country = 'DE'", false},
                        {"header.\"odd name\" = 'x'", true},
                        {"header.'odd\\x20name' = 'x'", true},
                        {"header.empty = ''", true}});
    sample high;
    high.fields.key = "\xff";
    expect_matches(high, {{"key > 'z'", true}, {"key = '\\xff'", true}, {"key = '\\xFF'", true}});
}

TEST(filter_match, like) {
    expect_matches({}, {{"key like 'order-17'", true},
                        {"key like 'order'", false},
                        {"key like 'order*'", true},
                        {"key like '*17'", true},
                        {"key like '*der*'", true},
                        {"key like 'o*r*7'", true},
                        {"key like 'o**7'", true},
                        {"key like '*'", true},
                        {"key like '**'", true},
                        {"key like ''", false},
                        {"key like '*order-17*'", true},
                        {"key like 'order-17*order-17'", false},
                        {"key like 'order-1*17'", false},  // parts do not overlap
                        {"key like '*1*1*'", false},
                        {"key not like 'order*'", false},
                        {"key not like 'x*'", true},
                        {"header.empty like ''", true},
                        {"header.empty like '*'", true},
                        {"header.empty like '*x*'", false}});
    sample starry;
    starry.fields.key = "a*b\\c";
    expect_matches(starry, {{R"(key like 'a\*b*')", true},
                            {R"(key like 'a\**')", true},
                            {R"(key like 'a\*')", false},
                            {R"(key like '*\\c')", true},
                            {R"(key like 'a\x2ab\\c')", true},
                            {R"(key = 'a*b\\c')", true},
                            {R"(key = 'a\*b\\c')", true}});
}

TEST(filter_match, escapes) {
    sample escaped;
    escaped.fields.key = "'\"\\\n\r\t\x01\xc3\xa9";
    expect_matches(escaped, {{R"(key = '\'"\\\n\r\t\x01é')", true},
                             {R"(key = "'\"\\\x0a\x0D\x09\x01\xc3\xA9")", true},
                             {R"(key like '*\n*')", true}});
    escaped.fields.key = std::string_view("a\0b", 3);
    expect_matches(escaped, {{R"(key = 'a\x00b')", true}, {"key = 'a'", false}});
}

TEST(filter_match, nothing_compares_with_what_is_missing) {
    sample bare;
    bare.fields = {};
    bare.about.reason = std::nullopt;
    for (const std::string field : {"key", "header.x", "reason"}) {
        for (const std::string test :
             {" = 'a'", " != 'a'", " < 'a'", " <= 'a'", " > 'a'", " >= 'a'", " in ('a')",
              " not in ('a')", " like '*'", " not like 'a'", " = 1", " != 1", " < 1", " > 1"}) {
            EXPECT_FALSE(bare.matches(field + test)) << field + test;
            EXPECT_TRUE(bare.matches("not " + field + test)) << field + test;
        }
        EXPECT_FALSE(bare.matches("has " + field));
        EXPECT_TRUE(bare.matches("not has " + field));
    }
    EXPECT_TRUE(bare.matches("size = 0"));
}

TEST(filter_match, empty_is_not_missing) {
    sample empty;
    empty.fields.key = "";
    empty.about.reason = "";
    expect_matches(empty, {{"has key", true},
                           {"key = ''", true},
                           {"key != 'a'", true},
                           {"has reason", true},
                           {"has header.empty", true},
                           {"has header.\"\"", false}});
}

TEST(filter_match, a_damaged_record_has_nothing) {
    subject damaged;
    const byte_buffer bytes(20, std::byte{0xff});
    for (const byte_view record : {byte_view{}, byte_view{bytes}}) {
        damaged.record = record;
        EXPECT_FALSE(filter::parse("has key or has header.x or size > 0")->matches(damaged));
        EXPECT_TRUE(filter::parse("size = 0 and offset = 0")->matches(damaged));
    }
}

TEST(filter_match, text_beside_a_number) {
    expect_matches({}, {{"header.amount = 99.5", true},
                        {"header.amount = 99.50", true},
                        {"header.amount = '99.5'", false},
                        {"header.amount > 99", true},
                        {"header.amount < 100", true},
                        {"header.amount < '100'", false},
                        {"header.amount >= 99.51", false},
                        {"header.retries >= 3", true},
                        {"header.retries > -1", true},
                        {"header.retries in (1, '2', 3)", true},
                        {"header.retries not in (1, '2', 3.5)", true},
                        // No number is equal to a text that is none, and none is less or greater.
                        {"header.country = 1", false},
                        {"header.country != 1", true},
                        {"header.country < 1", false},
                        {"header.country >= 1", false},
                        {"header.country not in (1, 2)", true},
                        {"header.empty != 0", true}});
    sample large;
    large.fields.key = "123456789012345678901234567890";
    expect_matches(large, {{"key = 123456789012345678901234567890", true},
                           {"key > 123456789012345678901234567889.9", true},
                           {"key = 123456789012345678901234567891", false}});
    large.fields.key = "1048577";
    expect_matches(large, {{"key > 1MiB", true}, {"key = 0001048577.0", true}});
}

TEST(filter_match, precedence) {
    // offset = 812 is true, offset = 0 is not.
    expect_matches({}, {{"offset = 812 or offset = 0 and offset = 0", true},
                        {"(offset = 812 or offset = 0) and offset = 0", false},
                        {"offset = 0 and offset = 0 or offset = 812", true},
                        {"not offset = 0 and offset = 0", false},
                        {"not (offset = 0 and offset = 0)", true},
                        {"not offset = 812 or offset = 812", true},
                        {"not (offset = 812 or offset = 812)", false},
                        {"not not offset = 812", true},
                        {"not not not offset = 812", false},
                        {"not (not (offset = 0) and not offset = 0)", false},
                        {"(offset=812)and(offset=0)or offset=812", true}});
}

TEST(filter_match, words_of_the_language_in_any_case) {
    expect_matches({}, {{"OFFSET = 812 AND NOT Key LIKE 'x*'", true},
                        {"Has HEADER.country Or STATE IN (DEAD)", true},
                        {"HAS header.Country", false}});
}

TEST(filter_match, spaces_do_not_matter) {
    expect_matches({}, {{"offset=812", true},
                        {"  offset\t=\r\n812  ", true},
                        {"key in('order-17','b')and(has key)", true},
                        {"not(has key)or(offset>1)", true}});
}

TEST(filter_match, says_what_it_uses) {
    const auto uses = [](const char* text) { return filter::parse(text)->uses(); };
    EXPECT_EQ(uses("offset = 1"), field_set{field_id::offset});
    EXPECT_EQ(uses("has key and header.a = 'b' or size > 1 and time > '2026-01-01T00:00:00Z'"),
              (field_set{field_id::key, field_id::header, field_id::size, field_id::time}));
    const field_set all = uses("not age > 1s and attempts = 1 or state = dead or reason = ''");
    EXPECT_EQ(all & changing_fields, changing_fields);
    EXPECT_EQ(to_string(all), "age, attempts, state, reason");
    EXPECT_EQ(to_string(all & queue_fields), "attempts, state, reason");
    EXPECT_TRUE((uses("key = 'a' and time > '2026-01-01T00:00:00Z'") & changing_fields).empty());
}

}  // namespace
}  // namespace brokerd::filters
