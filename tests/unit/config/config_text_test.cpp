// The configuration file: what each form of a line means, errors that name file and line, and that
// what is printed is read back, whatever the values hold.
#include "broker/config/config_text.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace brokerd::config {
namespace {

using testing::HasSubstr;

// The only setting of a text, as "NAME=VALUE"; else how it was refused.
std::string one(std::string_view text) {
    const auto settings = parse_config_text(text, "broker.conf");
    if (!settings) {
        EXPECT_EQ(settings.error().code, error_code::invalid_setting);
        return settings.error().text;
    }
    EXPECT_EQ(settings->size(), 1U);
    return settings->empty() ? "" : settings->front().name + "=" + settings->front().value;
}

TEST(config_text, the_forms_of_a_line) {
    for (const auto& [text, meant] : std::vector<std::pair<std::string_view, std::string_view>>{
             {"drain = 1s", "drain=1s"},
             {"\n \n# a comment\n\tdrain=1s\n", "drain=1s"},
             {"  drain\t=\t1s \r\n", "drain=1s"},
             {"drain = 1s # how long", "drain=1s"},
             {"drain = # nothing", "drain="},
             {"drain =", "drain="},
             {"a=", "a="},
             {"data-dir = /a#b;c, [d] \"e\" = \\f", "data-dir=/a#b;c, [d] \"e\" = \\f"},
             {"data-dir = \"/a # b\"# quoted", "data-dir=/a # b"},
             {R"(data-dir = "a \"b\" \\ \x41\xfF")", "data-dir=a \"b\" \\ A\xff"},
             {"data-dir = \"  \"", "data-dir=  "}}) {
        EXPECT_EQ(one(text), meant) << text;
    }
}

TEST(config_text, errors_name_file_and_line) {
    for (const auto& [text, said] : std::vector<std::pair<std::string_view, std::string_view>>{
             {"drain", "broker.conf:1: \"drain\" is not of the form NAME = VALUE"},
             {"\n[limits]\n", "broker.conf:2: \"[limits]\" is not of the form"},
             {" = 1s", "broker.conf:1: \"= 1s\" is not of the form"},
             {"a\x1b[0m", "broker.conf:1: \"a\\x1b[0m\" is not of the form"},
             {"data-dir = \"a", "the closing quote is missing"},
             {"data-dir = \"a\\\"", "the closing quote is missing"},
             {"data-dir = \"a\" b", "\"b\" stands behind the closing quote"},
             {"data-dir = 'a'", "quoted with \" only"},
             {R"(data-dir = "\n")", "a backslash within quotes"},
             {R"(data-dir = "\x4")", "a backslash within quotes"},
             {R"(data-dir = "\x-1")", "a backslash within quotes"},
             {"drain = 1s\n\ndrain = 1s", "broker.conf:3: drain was given in line 1 already"}}) {
        EXPECT_THAT(one(text), HasSubstr(said)) << text;
    }
}

TEST(config_text, the_source_of_a_setting_is_its_line_and_printable) {
    const auto settings = parse_config_text("# x\ndrain = 1s\n\nlisten = x", "a\nb");
    ASSERT_TRUE(settings);
    ASSERT_EQ(settings->size(), 2U);
    EXPECT_EQ(settings->at(0).source, "a\\x0ab:2");
    EXPECT_EQ(settings->at(1).source, "a\\x0ab:4");
}

TEST(config_text, at_its_largest_and_one_beyond) {
    std::string text(config_text_bytes_max, '#');
    EXPECT_TRUE(parse_config_text(text, "broker.conf"));
    text += '#';
    EXPECT_THAT(one(text), HasSubstr("at most 65536 bytes"));
}

TEST(config_text, what_is_printed_is_read_back) {
    const std::vector<setting> given{
        {"data-dir", "/srv/my \"data\" #1; \\ \n\x01\xff\xc3\xa9", "a file"},
        {"heartbeat", "250ms", "a file"},
        {"max-frame-bytes", "8MiB", "a file"},
        {"ephemeral", "true", "a file"}};
    const auto first = configure(given);
    ASSERT_TRUE(first) << first.error().text;
    const auto printed = parse_config_text(print_config(*first), "printed");
    ASSERT_TRUE(printed) << printed.error().text;
    EXPECT_EQ(printed->size(), option_table().size());
    const auto second = configure(*printed);
    ASSERT_TRUE(second) << second.error().text;
    EXPECT_EQ(second->values, first->values);
}

}  // namespace
}  // namespace brokerd::config
