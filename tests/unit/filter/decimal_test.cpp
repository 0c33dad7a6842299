// Numbers as text: what is one, their order, their one form.
#include "protocol/filter/decimal.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace brokerd::filters {
namespace {

TEST(decimal, what_is_a_number) {
    for (const auto* text : {"0", "7", "-7", "007", "1.5", "-0.5", "0.0", "00.00"}) {
        EXPECT_TRUE(parse_decimal(text)) << text;
    }
    for (const auto* text : {"", "-", "+7", ".5", "5.", "-.5", "1.2.3", "1e3", " 7", "7 ", "0x1",
                             "--7", "7-", "1,5", "inf", "nan"}) {
        EXPECT_FALSE(parse_decimal(text)) << text;
    }
}

TEST(decimal, has_one_form) {
    const auto form = [](std::string_view text) { return to_string(*parse_decimal(text)); };
    EXPECT_EQ(form("0"), "0");
    EXPECT_EQ(form("-0.00"), "0");
    EXPECT_EQ(form("007.2500"), "7.25");
    EXPECT_EQ(form("-0.50"), "-0.5");
    EXPECT_EQ(form("1000"), "1000");
}

TEST(decimal, order) {
    // Ascending, each row one number in several spellings.
    const std::vector<std::vector<std::string>> rows{
        {"-100000000000000000000000000000000001"},
        {"-100000000000000000000000000000000000", "-0100000000000000000000000000000000000.0"},
        {"-10"},
        {"-9.99"},
        {"-9.9", "-09.90"},
        {"-0.001"},
        {"0", "-0", "0.0", "000"},
        {"0.001"},
        {"0.01", "0.010"},
        {"0.1"},
        {"0.11"},
        {"0.2"},
        {"1", "1.0", "01"},
        {"9"},
        {"10"},
        {"18446744073709551616"},
        {"18446744073709551616.5"},
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t j = 0; j < rows.size(); ++j) {
            for (const auto& a : rows[i]) {
                for (const auto& b : rows[j]) {
                    EXPECT_EQ(compare(*parse_decimal(a), *parse_decimal(b)), i <=> j)
                        << a << " " << b;
                }
            }
        }
    }
}

}  // namespace
}  // namespace brokerd::filters
