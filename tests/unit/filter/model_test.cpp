// Random filters on random messages: they match what a naive model says, and so does what their
// canonical text reads as.
#include "tests/unit/filter/model.hpp"

#include <gtest/gtest.h>

namespace brokerd::filters {
namespace {

constexpr int filters_checked = 3000;
constexpr int messages_per_filter = 20;
constexpr int depth = 3;

// Promise: filter.language
TEST(filter_model, random_filters_match_as_the_model_does) {
    base::random random(20260301);
    int matched = 0;
    for (int i = 0; i < filters_checked; ++i) {
        const auto expected = random_model(random, depth);
        const std::string text = expected->text(random);
        const auto parsed = filter::parse(text);
        ASSERT_TRUE(parsed) << text << "\n" << parsed.error().text;
        for (int j = 0; j < messages_per_filter; ++j) {
            const sample of = random_sample(random);
            const bool matches = expected->matches(of);
            matched += matches ? 1 : 0;
            ASSERT_EQ(of.matches(*parsed), matches) << text << "\n" << parsed->text();
        }
    }
    // Both answers are common, or the test would say little.
    EXPECT_GT(matched, filters_checked * messages_per_filter / 4);
    EXPECT_LT(matched, filters_checked * messages_per_filter * 3 / 4);
}

TEST(filter_model, canonical_text_reads_as_an_equal_filter) {
    base::random random(812);
    for (int i = 0; i < filters_checked; ++i) {
        const auto expected = random_model(random, depth);
        const auto parsed = filter::parse(expected->text(random));
        ASSERT_TRUE(parsed);
        const auto again = filter::parse(parsed->text());
        ASSERT_TRUE(again) << parsed->text() << "\n" << again.error().text;
        ASSERT_EQ(*again, *parsed) << parsed->text() << "\n" << again->text();
        ASSERT_EQ(again->uses(), parsed->uses());
        // Another spelling of the same tree is the same filter.
        ASSERT_EQ(canonical(expected->text(random)), parsed->text());
        for (int j = 0; j < messages_per_filter; ++j) {
            const sample of = random_sample(random);
            ASSERT_EQ(of.matches(*again), of.matches(*parsed)) << parsed->text();
        }
    }
}

}  // namespace
}  // namespace brokerd::filters
