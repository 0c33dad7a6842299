// Bounds of topics with brokerctl against a real broker: set, shown, what is refused and what to do
// about it, and what is dropped.
#include <chrono>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class brokerctl_bounds_test : public brokerctl_test {
protected:
    // Topic orders with queue orders/billing.
    void create(arguments settings) {
        settings.insert(settings.begin(), {"topic", "create", "orders"});
        text(std::move(settings));
        text({"queue", "create", "orders/billing"});
    }
    void publish(int count) {
        for (int i = 0; i < count; ++i) {
            text({"message", "publish", "orders", "m" + std::to_string(i)});
        }
    }
    json info() { return as_json({"topic", "info", "orders"}); }
    json settings() { return info()["settings"]; }
};

TEST_F(brokerctl_bounds_test, a_full_topic_refuses_and_says_what_to_do) {
    create({"--max-messages", "2"});
    publish(2);
    const auto full = ctl({"message", "publish", "orders", "m2"});
    EXPECT_EQ(full.exit_code, refused);
    EXPECT_EQ(full.out, "");
    EXPECT_THAT(full.err,
                AllOf(StartsWith("brokerctl: topic orders is full"), HasSubstr("orders/billing"),
                      HasSubstr("consumed"), HasSubstr("brokerctl topic set orders")));
    EXPECT_THAT(text({"topic", "info", "orders"}),
                AllOf(HasSubstr("\npending            2 of 2 messages, "),
                      HasSubstr("\ndropped            0\n")));
    EXPECT_THAT(text({"topic", "ls"}), AllOf(HasSubstr("  2 of 2  "), Not(HasSubstr("DROPPED"))));
    EXPECT_THAT(as_json({"health"})["warnings"].dump(), HasSubstr("orders"));
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--ack"}), "orders@0  attempt 1  m0\n");
    EXPECT_EQ(text({"message", "publish", "orders", "m2"}), "orders@2\n");
    EXPECT_EQ(text({"topic", "set", "orders", "--max-messages", "3"}),
              "set topic orders: max-messages 3\n");
    EXPECT_EQ(text({"message", "publish", "orders", "m3"}), "orders@3\n");
    EXPECT_EQ(ctl({"message", "publish", "orders", "m4"}).exit_code, refused);
}

TEST_F(brokerctl_bounds_test, lines_end_where_the_topic_is_full) {
    create({"--max-messages", "2"});
    std::string input;
    for (int i = 0; i < 10'000; ++i) {
        input += "line\n";
    }
    const auto full = ctl({"message", "publish", "orders", "--lines", "--in-flight", "1"}, input);
    EXPECT_EQ(full.exit_code, refused);
    EXPECT_EQ(full.out, "orders@0\norders@1\n");
    EXPECT_THAT(full.err, StartsWith("brokerctl: 1 of 3 messages not acknowledged; first: topic "
                                     "orders is full"));
}

TEST_F(brokerctl_bounds_test, one_that_drops_the_oldest_counts_what_it_drops) {
    create({"--max-messages", "2", "--when-full", "drop-oldest"});
    EXPECT_THAT(text({"queue", "ls"}), Not(HasSubstr("DROPPED")));
    EXPECT_EQ(queue_row()["dropped"], 0);
    publish(5);
    const auto topic = info();
    EXPECT_EQ(topic["pending"], 2);
    EXPECT_GT(topic["pending_bytes"], 0);
    EXPECT_EQ(topic["dropped"], 3);
    EXPECT_GT(topic["dropped_bytes"], 0);
    EXPECT_TRUE(topic["last_dropped"].is_string());
    EXPECT_EQ(queue_row()["dropped"], 3);
    EXPECT_THAT(text({"topic", "info", "orders"}),
                AllOf(HasSubstr("\npending            2 of 2 messages, "),
                      HasSubstr("\ndropped            3 messages (")));
    EXPECT_THAT(text({"topic", "ls"}), HasSubstr("  DROPPED  "));
    EXPECT_THAT(text({"queue", "ls"}), HasSubstr("  DROPPED  "));
    EXPECT_THAT(text({"queue", "info", "orders/billing"}), HasSubstr("\ndropped       3\n"));
    EXPECT_THAT(as_json({"health"})["warnings"].dump(), HasSubstr("orders"));
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--count", "2", "--ack"}),
              "orders@3  attempt 1  m3\norders@4  attempt 1  m4\n");

    broker.kill();
    broker.restart();
    EXPECT_EQ(info()["dropped"], 3);
    EXPECT_EQ(info()["last_dropped"], topic["last_dropped"]);
    EXPECT_EQ(queue_row()["dropped"], 3);
    EXPECT_EQ(settings()["max_messages"], 2);
    EXPECT_EQ(settings()["when_full"], "drop-oldest");
}

TEST_F(brokerctl_bounds_test, what_is_too_old_goes) {
    create({"--max-age", "1s"});
    publish(1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (queue_row()["dropped"] != 1) {
        ASSERT_LT(std::chrono::steady_clock::now(), end) << "it never goes";
    }
    EXPECT_EQ(queue_row()["ready"], 0);
    EXPECT_EQ(info()["dropped"], 1);
    EXPECT_EQ(info()["pending"], 0);
}

TEST_F(brokerctl_bounds_test, settings_are_shown_changed_and_in_conflict) {
    const auto created =
        as_json({"topic", "create", "orders", "--keep-done-bytes", "1GiB", "--max-bytes", "10GiB",
                 "--max-messages", "1000", "--when-full", "drop-oldest", "--max-age", "7d"});
    EXPECT_EQ(created["settings"]["keep_done_bytes"], 1'073'741'824);
    EXPECT_EQ(created["settings"]["max_bytes"], 10'737'418'240);
    EXPECT_EQ(created["settings"]["max_messages"], 1000);
    EXPECT_EQ(created["settings"]["when_full"], "drop-oldest");
    EXPECT_EQ(created["settings"]["max_age_seconds"], 7 * 86400);
    EXPECT_EQ(settings(), created["settings"]);
    EXPECT_EQ(as_json({"topic", "ls"})[0]["settings"], created["settings"]);
    EXPECT_THAT(text({"topic", "info", "orders"}),
                AllOf(HasSubstr("\npending            0 of 1000 messages, 0B of 10GiB\n"),
                      HasSubstr("\nkeep-done          any age\nkeep-done-bytes    1GiB\n"
                                "max-messages       1000\nmax-bytes          10GiB\n"
                                "when-full          drop-oldest\nmax-age            7d\n")));
    EXPECT_EQ(text({"topic", "create", "orders", "--max-bytes", "10GiB"}), "topic orders exists\n");
    const auto other =
        ctl({"topic", "create", "orders", "--when-full", "refuse", "--max-age", "0"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, HasSubstr("orders exists with when-full drop-oldest, not refuse; "
                                     "max-age 7d, not none; 'brokerctl topic set orders'"));

    // What is not named stays, in both directions.
    EXPECT_EQ(text({"topic", "set", "orders", "--max-bytes", "0", "--max-age", "0"}),
              "set topic orders: max-bytes none, max-age none\n");
    json left = created["settings"];
    left["max_bytes"] = 0;
    left["max_age_seconds"] = 0;
    EXPECT_EQ(settings(), left);
    text({"topic", "set", "orders", "--ttl", "1h"});
    left["ttl_seconds"] = 3600;
    EXPECT_EQ(settings(), left);
}

TEST_F(brokerctl_bounds_test, forwarding_to_a_full_topic_leaves_the_messages_where_they_are) {
    create({});
    publish(2);
    text({"topic", "create", "repaired", "--max-messages", "1"});
    text({"message", "publish", "repaired", "x"});
    const auto full = ctl({"message", "forward", "orders/billing", "repaired"});
    EXPECT_EQ(full.exit_code, refused);
    EXPECT_EQ(full.out, "");
    EXPECT_THAT(full.err, HasSubstr("topic repaired is full"));
    EXPECT_EQ(queue_row()["ready"], 2);
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--ack"}), "orders@0  attempt 1  m0\n");
}

TEST_F(brokerctl_bounds_test, mistakes) {
    create({});
    for (const arguments& given : {arguments{"topic", "set", "orders", "--max-messages", "many"},
                                   arguments{"topic", "set", "orders", "--max-bytes", "10 GiB"},
                                   arguments{"topic", "set", "orders", "--when-full", "drop"},
                                   arguments{"topic", "set", "orders", "--max-age", "7"}}) {
        const auto end = ctl(given);
        EXPECT_EQ(end.exit_code, usage) << testing::PrintToString(given) << ": " << end.err;
    }
    for (const arguments& given : {arguments{"topic", "set", "orders", "--max-bytes", "4095"},
                                   arguments{"topic", "set", "orders", "--max-age", "999ms"}}) {
        const auto end = ctl(given);
        EXPECT_EQ(end.exit_code, refused) << testing::PrintToString(given) << ": " << end.err;
    }
    EXPECT_EQ(settings(), as_json({"topic", "create", "plain"})["settings"]);
}

}  // namespace
}  // namespace brokerd::test
