// brokerctl message publish against a real broker.
#include <tuple>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(brokerctl_test, publish_prints_the_address) {
    text({"topic", "create", "orders"});
    EXPECT_EQ(text({"message", "publish", "orders", R"({"id":42})", "--key", "42"}), "orders@0\n");
    EXPECT_EQ(as_json({"message", "publish", "orders", "next"}),
              (json{{"topic", "orders"}, {"offset", 1}}));
}

TEST_F(brokerctl_test, publish_stores_key_headers_and_payload) {
    text({"topic", "create", "orders"});
    text({"message", "publish", "orders", "--header", "trace=abc", "--header", "q=a=b", "[1,2]",
          "--key", ""});
    const auto stored = as_json({"message", "get", "orders@0"});
    EXPECT_EQ(stored["payload"], "[1,2]");
    EXPECT_EQ(stored["key"], "");
    EXPECT_EQ(stored["headers"], (json{{"trace", "abc"}, {"q", "a=b"}}));
}

TEST_F(brokerctl_test, publish_takes_any_payload) {
    text({"topic", "create", "orders"});
    text({"message", "publish", "orders", "--", "-5"});
    text({"message", "publish", "orders", ""});
    text({"message", "publish", "orders", "queue"});  // also the name of a command
    const std::string bytes("\xff\0two\nlines", 11);
    text({"message", "publish", "orders"}, bytes);
    const auto all = lines(text({"message", "peek", "orders", "-o", "ndjson"}));
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0]["payload"], "-5");
    EXPECT_EQ(all[1]["payload"], "");
    EXPECT_EQ(all[2]["payload"], "queue");
    EXPECT_EQ(all[3]["payload_base64"], "/wB0d28KbGluZXM=");
    EXPECT_EQ(text({"message", "get", "orders@3", "--raw"}), bytes);
}

// Promise: explain.remedy
TEST_F(brokerctl_test, publish_to_a_missing_topic_names_the_command_that_creates_it) {
    const auto missing = ctl({"message", "publish", "orders", "x"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(missing.err, StartsWith("brokerctl: "));
    EXPECT_THAT(missing.err, HasSubstr("brokerctl topic create orders"));
}

TEST_F(brokerctl_test, publish_lines_prints_every_address_in_order) {
    text({"topic", "create", "numbers"});
    std::string input;
    std::string expected;
    for (int i = 0; i < 20'000; ++i) {
        input += std::to_string(i) + "\n";
        expected += "numbers@" + std::to_string(i) + "\n";
    }
    input.pop_back();  // the last line has no end
    EXPECT_EQ(text({"message", "publish", "numbers", "--lines", "--key", "k"}, input), expected);
    const auto last = as_json({"message", "get", "numbers@19999"});
    EXPECT_EQ(last["payload"], "19999");
    EXPECT_EQ(last["key"], "k");
}

TEST_F(brokerctl_test, publish_lines_one_in_flight) {
    text({"topic", "create", "numbers"});
    EXPECT_EQ(text({"message", "publish", "numbers", "--lines", "--in-flight", "1"}, "a\n\nb\n"),
              "numbers@0\nnumbers@1\nnumbers@2\n");
    EXPECT_EQ(as_json({"message", "get", "numbers@1"})["payload"], "");
}

TEST_F(brokerctl_test, publish_lines_of_nothing) {
    text({"topic", "create", "numbers"});
    EXPECT_EQ(text({"message", "publish", "numbers", "--lines"}, ""), "");
    EXPECT_EQ(text({"message", "publish", "numbers", "--lines", "-o", "json"}, ""), "[]\n");
}

TEST_F(brokerctl_test, publish_lines_prints_addresses_as_they_are_acknowledged) {
    text({"topic", "create", "numbers"});
    program publisher(program_path("brokerctl"), {"message", "publish", "numbers", "--lines"},
                      environment());
    publisher.write("first\n");
    publisher.wait_for_output("numbers@0\n");  // while its input is still open
    publisher.write("second\n");
    publisher.wait_for_output("numbers@1\n");
    EXPECT_EQ(publisher.wait().exit_code, done);
}

TEST_F(brokerctl_test, publish_lines_counts_what_was_refused) {
    text({"topic", "create", "small", "--max-message-bytes", "1KiB"});
    const auto end =
        ctl({"message", "publish", "small", "--lines"}, "a\n" + std::string(2000, 'x') + "\nb\n");
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "small@0\nsmall@1\n");
    EXPECT_THAT(end.err, StartsWith("brokerctl: 1 of 3 messages not acknowledged; first: "));
}

TEST_F(brokerctl_test, a_message_too_large_names_the_topic_and_the_way_out) {
    text({"topic", "create", "small", "--max-message-bytes", "1KiB"});
    text({"topic", "create", "large"});
    for (const auto& [topic, bytes, way_out] :
         {std::tuple{"small", std::size_t{2000},
                     "brokerctl topic set small --max-message-bytes 2009"},
          std::tuple{"large", std::size_t{2'000'000},
                     "start brokerd with --max-message-bytes 2000009"},
          std::tuple{"large", std::size_t{5'000'000}, "--max-frame-bytes"}}) {
        const auto end = ctl({"message", "publish", topic}, std::string(bytes, 'x'));
        EXPECT_EQ(end.exit_code, refused);
        EXPECT_THAT(end.err, AllOf(HasSubstr(std::string("topic ") + topic), HasSubstr(way_out),
                                   HasSubstr("split the message")));
    }
}

TEST_F(brokerctl_test, publish_lines_to_a_missing_topic_stops) {
    const auto end = ctl({"message", "publish", "orders", "--lines"}, "a\nb\n");
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "");
    EXPECT_THAT(end.err, HasSubstr("brokerctl topic create orders"));
}

TEST_F(brokerctl_test, what_was_acknowledged_outlives_the_broker) {
    text({"topic", "create", "orders"});
    EXPECT_EQ(text({"message", "publish", "orders", "kept"}), "orders@0\n");
    broker.kill();
    broker.restart();
    EXPECT_EQ(as_json({"message", "get", "orders@0"})["payload"], "kept");
}

}  // namespace
}  // namespace brokerd::test
