// brokerctl topic against a real broker.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(brokerctl_test, topic_create_says_what_is_new) {
    EXPECT_EQ(text({"topic", "create", "orders"}), "created topic orders\n");
    EXPECT_EQ(text({"topic", "create", "orders"}), "topic orders exists\n");
    const auto created = as_json({"topic", "create", "mails", "--keep-done", "7d"});
    EXPECT_EQ(created["created"], true);
    EXPECT_EQ(created["settings"]["keep_done_seconds"], 7 * 86400);
}

TEST_F(brokerctl_test, topic_create_with_other_settings_is_refused) {
    text({"topic", "create", "orders", "--keep-done", "1h"});
    EXPECT_EQ(text({"topic", "create", "orders", "--keep-done", "1h"}), "topic orders exists\n");
    // Without settings none are asked for.
    EXPECT_EQ(text({"topic", "create", "orders"}), "topic orders exists\n");
    const auto other = ctl({"topic", "create", "orders", "--keep-done", "2h"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, HasSubstr("keep-done 1h, not 2h; 'brokerctl topic set orders'"));
}

TEST_F(brokerctl_test, empty_listings_say_how_to_fill_them) {
    const auto topics = ctl({"topic", "ls"});
    EXPECT_EQ(topics.exit_code, done);
    EXPECT_THAT(topics.out, StartsWith("TOPIC"));
    EXPECT_EQ(topics.err, "no topics yet; 'brokerctl topic create TOPIC' creates one\n");
    EXPECT_EQ(ctl({"queue", "ls"}).err,
              "no queues yet; 'brokerctl queue create TOPIC/QUEUE' creates one\n");
    text({"topic", "create", "orders"});
    EXPECT_EQ(ctl({"queue", "ls", "orders"}).err,
              "no queues yet; 'brokerctl queue create orders/QUEUE' creates one\n");
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());  // and nothing on standard error
}

TEST_F(brokerctl_test, topic_ls) {
    EXPECT_EQ(as_json({"topic", "ls"}), json::array());
    create_orders(3);
    text({"topic", "create", "mails"});
    const auto topics = as_json({"topic", "ls"});
    ASSERT_EQ(topics.size(), 2U);
    EXPECT_EQ(topics[0]["topic"], "mails");
    EXPECT_EQ(topics[1]["topic"], "orders");
    EXPECT_EQ(topics[1]["first_offset"], 0);
    EXPECT_EQ(topics[1]["next_offset"], 3);
    EXPECT_EQ(topics[1]["messages"], 3);
    EXPECT_EQ(topics[1]["queues"], 1);
    EXPECT_GT(topics[1]["bytes"], 0);
    EXPECT_THAT(text({"topic", "ls"}), StartsWith("TOPIC   MESSAGES"));
    EXPECT_EQ(lines(text({"topic", "ls", "-o", "ndjson"})).size(), 2U);
}

TEST_F(brokerctl_test, topic_set_changes_only_what_is_given) {
    text({"topic", "create", "orders", "--max-message-bytes", "64KiB"});
    EXPECT_EQ(text({"topic", "set", "orders", "--keep-done", "90s"}),
              "set topic orders: keep-done 1min30s\n");
    const auto info = as_json({"topic", "info", "orders"});
    EXPECT_EQ(info["settings"]["keep_done_seconds"], 90);
    EXPECT_EQ(info["settings"]["max_message_bytes"], 65536);
    EXPECT_THAT(text({"topic", "info", "orders"}), HasSubstr("max-message-bytes  64KiB\n"));
}

// Promise: explain.looking
TEST_F(brokerctl_test, topic_rm_can_be_tried_first) {
    create_orders(2);
    EXPECT_EQ(text({"topic", "rm", "orders", "--dry-run"}),
              "would remove topic orders with 2 messages and 1 queue\n");
    EXPECT_EQ(as_json({"topic", "ls"}).size(), 1U);
    EXPECT_EQ(text({"topic", "rm", "orders"}),
              "removed topic orders with 2 messages and 1 queue\n");
    EXPECT_EQ(as_json({"topic", "ls"}), json::array());
}

TEST_F(brokerctl_test, a_missing_topic_names_the_command_that_creates_it) {
    for (const auto* verb : {"info", "rm"}) {
        const auto missing = ctl({"topic", verb, "orders"});
        EXPECT_EQ(missing.exit_code, refused) << verb;
        EXPECT_THAT(missing.err, StartsWith("brokerctl: "));
        EXPECT_THAT(missing.err, HasSubstr("brokerctl topic create orders"));
    }
}

TEST_F(brokerctl_test, a_malformed_name_is_a_usage_error_of_every_verb) {
    for (const arguments& given : std::vector<arguments>{
             {"topic", "create", "a b"},
             {"topic", "create", "a..b"},
             {"topic", "info", "a..b"},
             {"topic", "set", "a..b", "--keep-done", "1h"},
             {"topic", "rm", "a..b"},
             {"queue", "ls", "a..b"},
             {"queue", "create", "abc"},
             {"queue", "info", "abc"},
             {"queue", "set", "abc", "--lease", "5s"},
             {"queue", "rm", "abc"},
             {"queue", "pause", "abc"},
             {"queue", "resume", "abc"},
             {"queue", "seek", "abc", "--to", "3"},
             {"queue", "purge", "abc"},
             {"queue", "explain", "abc"},
             {"message", "publish", "a..b", "x"},
             {"message", "publish", "a..b", "--lines"},
             {"message", "consume", "orders", "--ack"},
             {"message", "get", "a..b@1"},
             {"message", "show", "a..b@1"},
             {"message", "peek", "a..b"},
             {"message", "find", "a..b", "--key", "k"},
             {"message", "tail", "a..b"},
             {"dead", "ls", "abc"},
             {"dead", "redrive", "abc"},
             {"dead", "purge", "abc"},
             {"consumer", "ls", "abc"},
         }) {
        const auto end = ctl(given, "line\n");
        EXPECT_EQ(end.exit_code, usage) << testing::PrintToString(given) << ": " << end.err;
        EXPECT_THAT(end.err, StartsWith("brokerctl: ")) << testing::PrintToString(given);
    }
}

}  // namespace
}  // namespace brokerd::test
