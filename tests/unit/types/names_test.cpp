// Names, addresses, foreign text: what is accepted, what is refused, at the limits and one beyond.
#include "protocol/types/names.hpp"

#include <gtest/gtest.h>

#include "protocol/types/limits.hpp"

namespace brokerd {
namespace {

error_code code_of(const outcome<void>& checked) {
    return checked ? error_code::ok : checked.error().code;
}

std::string words(std::size_t count) {
    std::string name = "w";
    for (std::size_t i = 1; i < count; ++i) {
        name += ".w";
    }
    return name;
}

TEST(names, valid_topic_names) {
    for (const std::string_view name : {"a", "orders", "orders.eu", "A-b_9.0", "-", "_._"}) {
        EXPECT_TRUE(check_topic_name(name)) << name;
        EXPECT_TRUE(check_queue_name(name)) << name;
    }
}

TEST(names, invalid_topic_names) {
    for (const std::string_view name :
         {"", ".", ".a", "a.", "a..b", "a b", "a/b", "a@1", "*", ">", "#", "\xc3\xa4", "a\n"}) {
        EXPECT_EQ(code_of(check_topic_name(name)), error_code::invalid_name) << name;
        EXPECT_EQ(code_of(check_queue_name(name)), error_code::invalid_name) << name;
    }
    EXPECT_EQ(code_of(check_topic_name(std::string_view("a\0b", 3))), error_code::invalid_name);
}

// Promise: limits.names
TEST(names, limits_at_the_limit_and_one_beyond) {
    EXPECT_TRUE(check_topic_name(std::string(limits::topic_name_bytes_max, 'a')));
    EXPECT_FALSE(check_topic_name(std::string(limits::topic_name_bytes_max + 1, 'a')));
    EXPECT_TRUE(check_topic_name(words(limits::topic_name_words_max)));
    EXPECT_FALSE(check_topic_name(words(limits::topic_name_words_max + 1)));
    EXPECT_TRUE(check_queue_name(std::string(limits::queue_name_bytes_max, 'a')));
    EXPECT_FALSE(check_queue_name(std::string(limits::queue_name_bytes_max + 1, 'a')));
}

TEST(names, queue_paths) {
    const auto path = parse_queue_path("orders.eu/billing");
    ASSERT_TRUE(path);
    EXPECT_EQ(*path, (queue_path{"orders.eu", "billing"}));
    EXPECT_EQ(to_string(*path), "orders.eu/billing");
    for (const std::string_view text : {"", "orders", "/", "a/", "/b", "a/b/c", "a/b@1", "a b/c"}) {
        const auto refused = parse_queue_path(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_EQ(refused.error().code, error_code::invalid_name) << text;
    }
}

TEST(names, patterns) {
    for (const char* each : {"*", ">", "orders.*", "*.eu", "orders.>", "*.*", "a.*.b", "*.>"}) {
        EXPECT_TRUE(check_pattern(each)) << each;
    }
    for (const char* each : {"", "orders", "orders.eu", "*.", ".*", "a..*", ">.a", "a.>.b", "a*",
                             "a.*b", "a.>b", "**", "a.**", "a b.*", "*/q", "*@1"}) {
        const auto refused = check_pattern(each);
        ASSERT_FALSE(refused) << each;
        EXPECT_EQ(refused.error().code, error_code::invalid_name) << each;
    }
    EXPECT_TRUE(check_pattern("*." + std::string(limits::topic_name_bytes_max - 2, 'a')));
    EXPECT_FALSE(check_pattern("*." + std::string(limits::topic_name_bytes_max - 1, 'a')));
    EXPECT_TRUE(check_pattern(words(limits::topic_name_words_max - 1) + ".*"));
    EXPECT_FALSE(check_pattern(words(limits::topic_name_words_max) + ".*"));

    EXPECT_EQ(*parse_pattern_path("orders.*/billing"), (queue_path{"orders.*", "billing"}));
    for (const char* each : {"orders.*", "orders/billing", "orders.*/", "orders.*/*", "/q"}) {
        EXPECT_FALSE(parse_pattern_path(each)) << each;
    }
    EXPECT_FALSE(check_topic_name("orders.*"));
    EXPECT_FALSE(parse_queue_path("orders.>/q"));
}

TEST(names, what_a_pattern_means) {
    struct meaning {
        const char* pattern;
        const char* topic;
        bool means;
    };
    for (const auto& [pattern, topic, means] : {meaning{"orders.*", "orders.eu", true},
                                                {"orders.*", "orders", false},
                                                {"orders.*", "orders.eu.big", false},
                                                {"*.eu", "orders.eu", true},
                                                {"*.eu", "orders.us", false},
                                                {"*", "orders", true},
                                                {"*", "orders.eu", false},
                                                {"orders.>", "orders.eu", true},
                                                {"orders.>", "orders.eu.big", true},
                                                {"orders.>", "orders", false},
                                                {">", "orders.eu", true},
                                                {"*.>", "orders", false},
                                                {"a.*.b", "a.x.b", true},
                                                {"a.*.b", "a.x.y", false},
                                                {"orders.*", "order.eu", false}}) {
        EXPECT_EQ(pattern_matches(pattern, topic), means) << pattern << " " << topic;
    }
    struct pair {
        const char* one;
        const char* other;
        bool overlap;
    };
    for (const auto& [one, other, overlap] : {pair{"orders.*", "*.eu", true},
                                              {"orders.*", "users.*", false},
                                              {"orders.*", "orders.*.*", false},
                                              {"orders.*", "orders.>", true},
                                              {"orders.*.*", "orders.>", true},
                                              {"orders.*", "*.>", true},
                                              {"*", "orders.>", false},
                                              {"a.*.b", "a.>", true},
                                              {"a.*.b", "*.x.c", false},
                                              {">", "a.*", true}}) {
        EXPECT_EQ(patterns_overlap(one, other), overlap) << one << " " << other;
        EXPECT_EQ(patterns_overlap(other, one), overlap) << other << " " << one;
    }
}

TEST(names, message_addresses) {
    const auto address = parse_message_address("orders.eu@812");
    ASSERT_TRUE(address);
    EXPECT_EQ(*address, (message_address{"orders.eu", 812}));
    EXPECT_EQ(to_string(*address), "orders.eu@812");
    EXPECT_EQ(parse_message_address("a@18446744073709551615")->offset, offset_end);
    for (const std::string_view text :
         {"", "a", "a@", "a@x", "a@-1", "a@ 1", "a@1 ", "a@18446744073709551616", "@1", "a/b@1"}) {
        EXPECT_FALSE(parse_message_address(text)) << text;
    }
}

TEST(names, queue_addresses) {
    const auto whole = parse_queue_address("orders.eu/billing@812");
    ASSERT_TRUE(whole);
    EXPECT_EQ(*whole, (queue_address{{"orders.eu", "billing"}, 812}));
    const auto queue = parse_queue_address("orders.eu/billing");
    ASSERT_TRUE(queue);
    EXPECT_FALSE(queue->offset.has_value());
    for (const std::string_view text : {"a/b@", "a/b@x", "a@1", "a/b@1@2", ""}) {
        EXPECT_FALSE(parse_queue_address(text)) << text;
    }
}

TEST(names, text_is_utf8_without_control_characters) {
    EXPECT_TRUE(check_text("", 10, "reason"));
    EXPECT_TRUE(check_text("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", 255, "reason"));
    EXPECT_TRUE(check_text("12345", 5, "reason"));
    EXPECT_EQ(code_of(check_text("123456", 5, "reason")), error_code::invalid_argument);
    for (const std::string_view text : {"\n", "a\x1b[0m", "\x7f", "\xc2\x85", "\xff", "\xc0\xaf",
                                        "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80", "\x80"}) {
        EXPECT_EQ(code_of(check_text(text, 255, "reason")), error_code::invalid_argument)
            << printable(text);
    }
}

TEST(names, printable_escapes_what_could_harm_a_terminal_or_a_log) {
    EXPECT_EQ(printable("plain text"), "plain text");
    EXPECT_EQ(printable("a\"b\\c"), "a\\\"b\\\\c");
    EXPECT_EQ(printable("\x1b[31m\n"), "\\x1b[31m\\x0a");
    EXPECT_EQ(printable("\xff\xc3\xa4"), "\\xff\xc3\xa4");
    EXPECT_EQ(printable(std::string(300, 'a'), 256), std::string(256, 'a') + "...");
    EXPECT_EQ(printable(std::string(256, 'a'), 256), std::string(256, 'a'));
}

}  // namespace
}  // namespace brokerd
