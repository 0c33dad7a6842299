// FILTER.md: its examples are filters, and its table has every field.
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/filter/sample.hpp"

namespace brokerd::filters {
namespace {

std::string document() {
    std::ifstream file("protocol/filter/FILTER.md");
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(filter_document, examples_are_filters) {
    const std::string text = document();
    const std::size_t begin = text.find("```\n") + 4;
    std::istringstream examples(text.substr(begin, text.find("```", begin) - begin));
    int count = 0;
    for (std::string line; std::getline(examples, line); ++count) {
        EXPECT_TRUE(filter::parse(line)) << error_of(line);
    }
    EXPECT_GE(count, 5);
}

TEST(filter_document, has_every_field) {
    const std::string text = document();
    for (const field_info& field : field_table()) {
        EXPECT_NE(text.find("\n| `" + std::string(field.name)), std::string::npos) << field.name;
    }
}

}  // namespace
}  // namespace brokerd::filters
