// The option table: bounds at the limit and one beyond, errors that name option, value and bounds,
// options that do not fit together.
#include "broker/config/option_table.hpp"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/config/config_text.hpp"
#include "broker/config/listen_address.hpp"

namespace brokerd::config {
namespace {

using testing::AllOf;
using testing::HasSubstr;

outcome<configuration> with(std::string name, std::string value) {
    const std::vector<setting> settings{{std::move(name), std::move(value), "command line"}};
    return configure(settings);
}

std::string error_of(const outcome<configuration>& result) {
    return result ? "no error" : result.error().text;
}

TEST(option_table, defaults_are_valid) {
    const auto result = configure({});
    ASSERT_TRUE(result) << error_of(result);
    EXPECT_EQ(result->values, options{});
}

TEST(option_table, names_are_unique_and_documented) {
    std::set<std::string_view> names;
    for (const auto& row : option_table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_FALSE(row.help.empty()) << row.name;
        EXPECT_EQ(find_option(row.name), &row);
    }
    EXPECT_EQ(find_option("no-such"), nullptr);
}

TEST(option_table, every_default_lies_within_its_bounds) {
    for (const auto& row : option_table()) {
        const auto result = with(std::string{row.name}, value_text(options{}, row));
        EXPECT_TRUE(result) << error_of(result);
    }
}

// Each bound by itself; those that also depend on other options are tested below.
TEST(option_table, numbers_at_their_bounds_and_one_beyond) {
    for (const auto& row : option_table()) {
        const auto text = [&](std::uint64_t value) {
            return row.kind == value_kind::duration ? std::to_string(value) + "us"
                                                    : std::to_string(value);
        };
        if (row.kind == value_kind::text || row.kind == value_kind::flag) {
            continue;
        }
        const std::string name{row.name};
        for (const auto value : {row.min, row.max}) {
            const auto result = with(name, text(value));
            EXPECT_TRUE(result || !error_of(result).starts_with(name + " (from"))
                << error_of(result);
        }
        EXPECT_THAT(error_of(with(name, text(row.max + 1))),
                    AllOf(HasSubstr(name), HasSubstr("command line"), HasSubstr("out of bounds"),
                          HasSubstr(allowed_text(row))));
        if (row.min > 0) {
            EXPECT_THAT(error_of(with(name, text(row.min - 1))), HasSubstr("out of bounds"));
        }
    }
}

struct bad_setting {
    const char* name;
    std::string value;
    const char* said;
};

class refused_settings : public testing::TestWithParam<bad_setting> {};

// Promise: limits.configuration
TEST_P(refused_settings, with_a_text_that_says_why) {
    const auto& [name, value, said] = GetParam();
    const auto result = with(name, value);
    ASSERT_FALSE(result) << name << " = " << value;
    EXPECT_EQ(result.error().code, error_code::invalid_setting);
    EXPECT_THAT(result.error().text, HasSubstr(said));
}

INSTANTIATE_TEST_SUITE_P(
    table, refused_settings,
    testing::Values(
        bad_setting{"no-such-option", "1", "unknown option \"no-such-option\""},
        bad_setting{"evil\n", "1", "unknown option \"evil\\x0a\""},
        bad_setting{"section.data-dir", "x", "unknown option"},
        bad_setting{"data-dir", "", "data-dir (from command line): cannot be \"\""},
        bad_setting{"data-dir", std::string("/srv\0/a", 7), "cannot be \"/srv\\x00/a\""},
        bad_setting{"data-dir", std::string(text_bytes_max + 1, 'a'), "text of 1 to 4096 bytes"},
        bad_setting{"listen", std::string("127.0.0.1\0:1", 12), "cannot be"},
        bad_setting{"log-level", "loud", "allowed: debug info warning error"},
        bad_setting{"log-level", "", "cannot be"}, bad_setting{"log-format", "xml", "text json"},
        bad_setting{"ephemeral", "yes", "true or false"},
        bad_setting{"ephemeral", "", "true or false"},
        bad_setting{"heartbeat", "15", "cannot be \"15\"; allowed: 100ms to 5min"},
        bad_setting{"heartbeat", "fifteen", "cannot be"},
        bad_setting{"heartbeat", "20s", "dead-after 30s is less than twice the heartbeat 20s"},
        bad_setting{"dead-after", "29s", "dead-after 29s is less than twice the heartbeat 15s"},
        bad_setting{"max-message-bytes", "1.5MiB", "cannot be"},
        bad_setting{"max-message-bytes", "4MiB",
                    "max-message-bytes 4MiB does not fit into max-frame-bytes 4MiB"},
        bad_setting{"max-frame-bytes", "1MiB",
                    "max-message-bytes 1MiB does not fit into max-frame-bytes 1MiB"},
        bad_setting{"io-threads", "-1", "cannot be"}, bad_setting{"io-threads", "two", "cannot be"},
        bad_setting{"engine-thread", "both", "allowed: auto own shared"},
        bad_setting{"max-connections", "10k", "cannot be"},
        bad_setting{"listen", "4650", "the port is missing"},
        bad_setting{"listen", "127.0.0.1:", "no number from 0 to 65535"},
        bad_setting{"listen", "127.0.0.1:65536", "no number from 0 to 65535"},
        bad_setting{"listen", "127.0.0.1:-1", "no number"},
        bad_setting{"listen", "127.0.0.1:4650x", "no number"},
        bad_setting{"listen", "example.org:4650", "no numeric address"},
        bad_setting{"listen", ":4650", "no numeric address"},
        bad_setting{"listen", "::1:4650", "no numeric address"},
        bad_setting{"listen", "[::1]4650", "no number"},
        bad_setting{"listen", "[x]:4650", "no IPv6 address"},
        bad_setting{"listen", "0.0.0.0:4650", "open to other machines"},
        bad_setting{"listen", "[::]:4650", "--insecure"},
        bad_setting{"listen", "10.0.0.1:4650", "there is no authentication"}));

TEST(option_table, a_text_at_its_largest) {
    EXPECT_TRUE(with("data-dir", std::string(text_bytes_max, 'a')));
}

// Promise: limits.loopback
TEST(option_table, other_machines_only_on_purpose) {
    const std::vector<setting> settings{{"listen", "0.0.0.0:4650", "f"}, {"insecure", "true", "f"}};
    EXPECT_TRUE(configure(settings));
}

TEST(option_table, a_later_setting_wins_and_is_named_as_the_source) {
    const std::vector<setting> settings{{"drain", "1s", "broker.conf"},
                                        {"drain", "2s", "command line"}};
    const auto result = configure(settings);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->values.drain, std::chrono::seconds{2});
    EXPECT_THAT(print_config(*result), HasSubstr("From: command line.\ndrain = 2s\n"));
}

TEST(option_table, environment_names) {
    EXPECT_EQ(environment_name(*find_option("data-dir")), "BROKERD_DATA_DIR");
    EXPECT_EQ(environment_name(*find_option("listen")), "BROKERD_LISTEN");
}

TEST(listen_address, loopback_is_recognised) {
    EXPECT_EQ(*parse_listen_address("127.0.0.1:0"), (listen_address{"127.0.0.1", 0, true}));
    EXPECT_EQ(*parse_listen_address("127.8.9.1:80"), (listen_address{"127.8.9.1", 80, true}));
    EXPECT_EQ(*parse_listen_address("localhost:1"), (listen_address{"127.0.0.1", 1, true}));
    EXPECT_EQ(*parse_listen_address("[::1]:4650"), (listen_address{"::1", 4650, true}));
    EXPECT_FALSE(parse_listen_address("[2001:db8::1]:4650")->loopback);
    EXPECT_FALSE(parse_listen_address("128.0.0.1:4650")->loopback);
}

}  // namespace
}  // namespace brokerd::config
