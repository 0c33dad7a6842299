// brokerctl message publish --delay and --at, brokerctl schedule, against a real broker.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr const char* far_away = "2100-01-01T09:00:00Z";

class brokerctl_schedule_test : public brokerctl_test {
protected:
    void SetUp() override { text({"queue", "create", "orders/billing"}); }

    // Schedules a message and returns its id.
    std::string schedule(const std::string& payload, const char* at = far_away) {
        const auto said = as_json({"message", "publish", "orders", payload, "--at", at});
        EXPECT_EQ(said["topic"], "orders");
        return said["schedule"].dump();
    }
    json listed() { return as_json({"schedule", "ls", "orders"}); }
};

TEST_F(brokerctl_schedule_test, a_short_delay_ends_in_the_queue) {
    EXPECT_THAT(text({"message", "publish", "orders", "later", "--delay", "50ms"}),
                MatchesRegex("orders schedule [0-9]+\n"));
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--wait", "30", "--ack"}),
              "orders@0  attempt 1  later\n");
    EXPECT_EQ(listed(), json::array());
    EXPECT_EQ(as_json({"topic", "info", "orders"})["next_offset"], 1);
}

TEST_F(brokerctl_schedule_test, a_time_that_has_passed_means_at_once) {
    schedule("late", "2020-01-01T00:00:00+01:00");
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--wait", "30", "--ack"}),
              "orders@0  attempt 1  late\n");
}

TEST_F(brokerctl_schedule_test, every_line_is_a_schedule) {
    EXPECT_THAT(text({"message", "publish", "orders", "--lines", "--at", far_away}, "a\nb\nc\n"),
                MatchesRegex("orders schedule [0-9]+\norders schedule [0-9]+\n"
                             "orders schedule [0-9]+\n"));
    const auto said = lines(text(
        {"message", "publish", "orders", "--lines", "--at", far_away, "-o", "ndjson"}, "d\ne\n"));
    ASSERT_EQ(said.size(), 2U);
    EXPECT_GT(said[1]["schedule"], said[0]["schedule"]);
    EXPECT_EQ(listed().size(), 5U);
}

TEST_F(brokerctl_schedule_test, ls) {
    const auto nothing = ctl({"schedule", "ls", "orders"});
    EXPECT_EQ(nothing.exit_code, done);
    EXPECT_THAT(nothing.err, HasSubstr("brokerctl message publish orders --delay 10min"));
    const auto second = schedule("b", "2100-01-02T00:00:00Z");
    const auto first = as_json(
        {"message", "publish", "orders", "a", "--at", far_away, "--key", "ann"})["schedule"];
    const auto rows = listed();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0]["topic"], "orders");
    EXPECT_EQ(rows[0]["schedule"], first);
    EXPECT_EQ(rows[0]["due"], "2100-01-01T09:00:00.000000Z");
    EXPECT_GT(rows[0]["due_seconds"], 0);
    EXPECT_EQ(rows[0]["messages"], 1);
    EXPECT_GT(rows[0]["bytes"], 0);
    EXPECT_EQ(rows[0]["key"], "ann");
    EXPECT_EQ(rows[1]["schedule"].dump(), second);
    EXPECT_EQ(rows[1]["key"], nullptr);
    EXPECT_THAT(text({"schedule", "ls", "orders"}),
                AllOf(HasSubstr("ID  DUE "), HasSubstr(first.dump() + "  2100-01-01T09:00:00Z  "),
                      HasSubstr("  ann\n")));
    EXPECT_EQ(as_json({"schedule", "ls", "orders", "--limit", "1"}).size(), 1U);
    EXPECT_EQ(as_json({"topic", "ls"})[0]["scheduled"], 2);
    const auto info = as_json({"topic", "info", "orders"});
    EXPECT_EQ(info["scheduled"], 2);
    EXPECT_GT(info["scheduled_bytes"], 0);
    EXPECT_THAT(text({"topic", "info", "orders"}), HasSubstr("2 messages ("));
    EXPECT_EQ(text({"topic", "rm", "orders", "--dry-run"}),
              "would remove topic orders with 0 messages, 2 scheduled messages and 1 queue\n");
}

TEST_F(brokerctl_schedule_test, cancel_by_id) {
    const auto kept = schedule("kept");
    const auto gone = schedule("gone");
    EXPECT_EQ(text({"schedule", "cancel", "orders", gone, "--dry-run"}),
              "would cancel 1 schedule of topic orders\n");
    EXPECT_EQ(listed().size(), 2U);
    EXPECT_EQ(text({"schedule", "cancel", "orders", gone}),
              "cancelled 1 schedule of topic orders\n");
    const auto rows = listed();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["schedule"].dump(), kept);
}

TEST_F(brokerctl_schedule_test, cancel_of_what_is_not_there_is_told) {
    const auto kept = schedule("kept");
    for (const char* dry : {"--dry-run", ""}) {
        arguments given{"schedule", "cancel", "orders", "999999"};
        if (*dry != '\0') {
            given.emplace_back(dry);
        }
        const auto end = ctl(given);
        EXPECT_EQ(end.exit_code, refused);
        EXPECT_THAT(end.out, HasSubstr("0 schedules"));
        EXPECT_THAT(end.err, AllOf(HasSubstr("1 of 1 schedule not found: appended"),
                                   HasSubstr("'brokerctl schedule ls orders'")));
    }
    const auto some = ctl({"schedule", "cancel", "orders", "999999", kept, kept});
    EXPECT_EQ(some.exit_code, refused);
    EXPECT_EQ(some.out, "cancelled 1 schedule of topic orders\n");
    EXPECT_THAT(some.err, HasSubstr("1 of 2 schedules not found"));
}

TEST_F(brokerctl_schedule_test, cancel_all) {
    std::string input;
    for (int i = 0; i < 2500; ++i) {
        input += "x\n";
    }
    text({"message", "publish", "orders", "--lines", "--at", far_away}, input);
    EXPECT_EQ(as_json({"schedule", "cancel", "orders", "--all", "--dry-run"}),
              (json{{"topic", "orders"}, {"schedules", 2500}, {"dry_run", true}}));
    EXPECT_EQ(listed().size(), 2500U);
    EXPECT_EQ(text({"schedule", "cancel", "orders", "--all"}),
              "cancelled 2500 schedules of topic orders\n");
    EXPECT_EQ(listed(), json::array());
    EXPECT_EQ(text({"schedule", "cancel", "orders", "--all"}),
              "cancelled 0 schedules of topic orders\n");
}

TEST_F(brokerctl_schedule_test, survives_a_kill) {
    const auto id = schedule("kept");
    broker.kill();
    broker.restart();
    const auto rows = listed();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0]["schedule"].dump(), id);
    EXPECT_EQ(rows[0]["due"], "2100-01-01T09:00:00.000000Z");
}

TEST_F(brokerctl_schedule_test, a_missing_topic_names_the_command_that_creates_it) {
    for (const arguments& given :
         {arguments{"message", "publish", "nowhere", "x", "--delay", "1s"},
          arguments{"schedule", "ls", "nowhere"}, arguments{"schedule", "cancel", "nowhere", "1"},
          arguments{"schedule", "cancel", "nowhere", "--all"}}) {
        const auto end = ctl(given);
        EXPECT_EQ(end.exit_code, refused);
        EXPECT_THAT(end.err, HasSubstr("brokerctl topic create nowhere"));
    }
}

}  // namespace
}  // namespace brokerd::test
