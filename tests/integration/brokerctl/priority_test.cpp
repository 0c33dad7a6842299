// Priorities with brokerctl against a real broker: levels of a topic, messages that have one, what
// is given out first and what is counted.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class brokerctl_priority_test : public brokerctl_test {
protected:
    void SetUp() override {
        text({"topic", "create", "mails", "--priorities", "3"});
        text({"queue", "create", "mails/smtp"});
    }
};

// Promise: priority.first
TEST_F(brokerctl_priority_test, what_is_urgent_is_given_out_first) {
    ctl({"message", "publish", "mails", "--lines"}, "a\nb\n");
    text({"message", "publish", "mails", "urgent", "--priority", "2"});
    EXPECT_EQ(text({"message", "consume", "mails/smtp", "--count", "2", "--ack"}),
              "mails@2  priority 2  attempt 1  urgent\n"
              "mails@0  attempt 1  a\n");
}

TEST_F(brokerctl_priority_test, of_lines_all_have_it) {
    ctl({"message", "publish", "mails", "--lines", "--priority", "1"}, "a\nb\n");
    EXPECT_EQ(as_json({"message", "get", "mails@1"})["priority"], 1);
}

TEST_F(brokerctl_priority_test, is_shown_where_messages_are) {
    text({"message", "publish", "mails", "with", "--priority", "9"});
    text({"message", "publish", "mails", "without"});
    for (const char* verb : {"get", "show"}) {
        EXPECT_EQ(as_json({"message", verb, "mails@0"})["priority"], 9) << verb;
        EXPECT_EQ(as_json({"message", verb, "mails@1"})["priority"], 0) << verb;
        EXPECT_THAT(text({"message", verb, "mails@0"}), HasSubstr("\npriority  9\n"));
        EXPECT_THAT(text({"message", verb, "mails@1"}), Not(HasSubstr("priority")));
    }
    EXPECT_EQ(text({"message", "peek", "mails"}), "mails@0  priority 9  with\nmails@1  without\n");
}

TEST_F(brokerctl_priority_test, goes_along_when_messages_are_forwarded) {
    text({"topic", "create", "repaired", "--priorities", "10"});
    text({"message", "publish", "mails", "x", "--priority", "7"});
    text({"message", "publish", "mails", "y"});
    text({"message", "forward", "mails/smtp", "repaired"});
    EXPECT_EQ(as_json({"message", "get", "repaired@0"})["priority"], 7);
    EXPECT_EQ(as_json({"message", "get", "repaired@1"})["priority"], 0);
}

// Promise: priority.counts
TEST_F(brokerctl_priority_test, what_is_ready_is_counted_by_level) {
    ctl({"message", "publish", "mails", "--lines"}, "a\nb\nc\n");
    text({"message", "publish", "mails", "urgent", "--priority", "2"});
    EXPECT_THAT(
        text({"queue", "info", "mails/smtp"}),
        HasSubstr("ready         4 (level 2: 1, level 1: 0, level 0: 3, failed before: 0)\n"));
    const auto info = as_json({"queue", "info", "mails/smtp"});
    EXPECT_EQ(info["ready_levels"], (json{{{"level", 2}, {"ready", 1}},
                                          {{"level", 1}, {"ready", 0}},
                                          {{"level", 0}, {"ready", 3}}}));
    EXPECT_EQ(info["ready_failed_before"], 0);
    text({"queue", "create", "plain/q"});
    EXPECT_THAT(text({"queue", "info", "plain/q"}), Not(HasSubstr("level")));
    EXPECT_FALSE(as_json({"queue", "info", "plain/q"}).contains("ready_levels"));
}

TEST_F(brokerctl_priority_test, levels_are_shown_and_fixed) {
    EXPECT_THAT(text({"topic", "info", "mails"}), HasSubstr("\npriorities         3\n"));
    EXPECT_EQ(as_json({"topic", "ls"}).at(0)["settings"]["priorities"], 3);
    EXPECT_EQ(text({"topic", "create", "mails"}), "topic mails exists\n");
    EXPECT_EQ(text({"topic", "create", "mails", "--priorities", "3"}), "topic mails exists\n");
    const auto other = ctl({"topic", "create", "mails", "--priorities", "2"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, HasSubstr("exists with priorities 3, not 2; they are fixed"));
    const auto set = ctl({"topic", "set", "mails", "--priorities", "2"});
    EXPECT_EQ(set.exit_code, refused);
    EXPECT_THAT(set.err, HasSubstr("it was made with 3"));
    text({"topic", "set", "mails", "--ttl", "1h"});
    EXPECT_EQ(as_json({"topic", "info", "mails"})["settings"]["priorities"], 3);
    EXPECT_EQ(as_json({"topic", "create", "plain"})["settings"]["priorities"], 1);
}

TEST_F(brokerctl_priority_test, mistakes) {
    for (const arguments& given :
         {arguments{"message", "publish", "mails", "x", "--priority", "10"},
          arguments{"message", "publish", "mails", "--lines", "--priority", "high"},
          arguments{"topic", "create", "other", "--priorities", "0"},
          arguments{"topic", "create", "other", "--priorities", "11"}}) {
        const auto end = ctl(given, "line\n");
        EXPECT_EQ(end.exit_code, usage) << testing::PrintToString(given) << ": " << end.err;
        EXPECT_THAT(end.err, AllOf(StartsWith("brokerctl: "), HasSubstr("write ")));
    }
    EXPECT_EQ(as_json({"topic", "info", "mails"})["next_offset"], 0);
}

}  // namespace
}  // namespace brokerd::test
