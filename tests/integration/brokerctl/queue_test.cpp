// brokerctl queue against a real broker.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(brokerctl_test, queue_create_says_what_is_new) {
    EXPECT_EQ(text({"queue", "create", "orders/billing"}),
              "created topic orders, queue orders/billing\n");
    EXPECT_EQ(text({"queue", "create", "orders/mail"}), "created queue orders/mail\n");
    EXPECT_EQ(text({"queue", "create", "orders/mail"}), "queue orders/mail exists\n");
    const auto created = as_json({"queue", "create", "other/q", "--lease", "2min"});
    EXPECT_EQ(created["topic"], "other");
    EXPECT_EQ(created["queue"], "q");
    EXPECT_EQ(created["created"], true);
    EXPECT_EQ(created["topic_created"], true);
    EXPECT_EQ(created["settings"]["lease_seconds"], 120);
}

TEST_F(brokerctl_test, queue_create_with_other_settings_is_refused) {
    text({"queue", "create", "orders/billing", "--attempts", "3"});
    text({"queue", "create", "orders/billing", "--attempts", "3"});
    text({"queue", "create", "orders/billing"});
    const auto other = ctl({"queue", "create", "orders/billing", "--attempts", "4"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, HasSubstr("attempts 3, not 4"));
}

TEST_F(brokerctl_test, queue_create_from_latest_skips_what_is_there) {
    create_orders(3);
    text({"queue", "create", "orders/late", "--from", "latest"});
    text({"queue", "create", "orders/some", "--from", "1"});
    const auto queues = as_json({"queue", "ls", "orders"});
    ASSERT_EQ(queues.size(), 3U);
    EXPECT_EQ(queues[0]["ready"], 3);  // billing
    EXPECT_EQ(queues[1]["ready"], 0);  // late
    EXPECT_EQ(queues[2]["ready"], 2);  // some
}

TEST_F(brokerctl_test, queue_ls) {
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());
    create_orders(5);
    text({"message", "consume", "orders/billing", "--ack"});
    text({"message", "consume", "orders/billing", "--reject"});
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h"});
    const auto row = queue_row();
    EXPECT_EQ(row["topic"], "orders");
    EXPECT_EQ(row["queue"], "billing");
    EXPECT_EQ(row["mode"], "shared");
    EXPECT_EQ(row["ready"], 2);
    EXPECT_EQ(row["leased"], 0);
    EXPECT_EQ(row["retrying"], 1);
    EXPECT_EQ(row["dead"], 1);
    EXPECT_EQ(row["done"], 1);
    EXPECT_GE(row["oldest_seconds"], 0);
    EXPECT_GE(row["in_per_second"], 0);
    EXPECT_GE(row["out_per_second"], 0);
    EXPECT_TRUE(row.contains("drain_seconds"));
    EXPECT_EQ(row["consumers"], 0);
    EXPECT_EQ(row["paused"], false);
    EXPECT_TRUE(row["state"].is_string());
    const auto table = text({"queue", "ls"});
    EXPECT_THAT(table, StartsWith("QUEUE           MODE    READY  LEASED  RETRYING  DEAD  OLDEST"));
    EXPECT_THAT(table, HasSubstr("\norders/billing  shared      2       0         1     1"));
}

// Promise: delivery.settings
TEST_F(brokerctl_test, queue_info_and_set) {
    text({"queue", "create", "orders/billing", "--backoff", "100ms"});
    EXPECT_EQ(text({"queue", "set", "orders/billing", "--lease", "5s", "--attempts", "2"}),
              "set queue orders/billing: lease 5s, attempts 2\n");
    const auto settings = as_json({"queue", "info", "orders/billing"})["settings"];
    EXPECT_EQ(settings["lease_seconds"], 5);
    EXPECT_EQ(settings["attempts"], 2);
    EXPECT_EQ(settings["backoff_seconds"], 0.1);
    EXPECT_THAT(text({"queue", "info", "orders/billing"}), HasSubstr("backoff       100ms\n"));
    const auto invalid = ctl({"queue", "set", "orders/billing", "--lease", "1ms"});
    EXPECT_EQ(invalid.exit_code, refused);
}

TEST_F(brokerctl_test, queue_pause_and_resume) {
    create_orders(1);
    EXPECT_EQ(text({"queue", "pause", "orders/billing"}), "paused queue orders/billing\n");
    EXPECT_EQ(queue_row()["paused"], true);
    EXPECT_THAT(text({"queue", "explain", "orders/billing"}), HasSubstr("paused"));
    EXPECT_EQ(ctl({"message", "consume", "orders/billing", "--ack"}).exit_code, refused);
    EXPECT_EQ(text({"queue", "resume", "orders/billing"}), "resumed queue orders/billing\n");
    EXPECT_EQ(queue_row()["paused"], false);
    EXPECT_THAT(text({"message", "consume", "orders/billing", "--ack"}), StartsWith("orders@0"));
}

TEST_F(brokerctl_test, queue_seek) {
    text({"topic", "create", "orders", "--keep-done", "1h"});
    create_orders(5);
    EXPECT_EQ(text({"queue", "seek", "orders/billing", "--to", "3", "--dry-run"}),
              "would move queue orders/billing to orders@3: 2 messages ready\n");
    EXPECT_EQ(queue_row()["ready"], 5);
    EXPECT_EQ(text({"queue", "seek", "orders/billing", "--to", "3"}),
              "moved queue orders/billing to orders@3: 2 messages ready\n");
    EXPECT_EQ(queue_row()["ready"], 2);
    EXPECT_EQ(text({"queue", "seek", "orders/billing", "--to", "latest"}),
              "moved queue orders/billing to orders@5: 0 messages ready\n");
    EXPECT_EQ(text({"queue", "seek", "orders/billing", "--to", "-1h"}),
              "moved queue orders/billing to orders@0: 5 messages ready\n");
    const auto moved = as_json({"queue", "seek", "orders/billing", "--to", "earliest"});
    EXPECT_EQ(moved["offset"], 0);
    EXPECT_EQ(moved["ready"], 5);
}

TEST_F(brokerctl_test, queue_purge) {
    create_orders(5);
    text({"message", "consume", "orders/billing", "--reject"});
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h"});
    EXPECT_EQ(text({"queue", "purge", "orders/billing", "--dry-run"}),
              "would purge 4 messages of queue orders/billing\n");
    EXPECT_EQ(queue_row()["ready"], 3);
    EXPECT_EQ(text({"queue", "purge", "orders/billing"}),
              "purged 4 messages of queue orders/billing\n");
    const auto row = queue_row();
    EXPECT_EQ(row["ready"], 0);
    EXPECT_EQ(row["retrying"], 0);
    EXPECT_EQ(row["dead"], 1);
}

TEST_F(brokerctl_test, queue_purge_of_what_a_filter_takes) {
    create_orders(12);
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h", "--reason", "later"});
    EXPECT_EQ(text({"queue", "purge", "orders/billing", "--filter", "size = 3", "--dry-run"}),
              "would purge 2 messages of queue orders/billing\n");
    EXPECT_EQ(text({"queue", "purge", "orders/billing", "--filter", "size = 3"}),
              "purged 2 messages of queue orders/billing\n");
    EXPECT_EQ(queue_row()["ready"], 9);
    EXPECT_EQ(text({"queue", "purge", "orders/billing", "--filter", "reason = 'later'"}),
              "purged 1 message of queue orders/billing\n");
    EXPECT_EQ(queue_row()["retrying"], 0);
    EXPECT_EQ(text({"queue", "purge", "orders/billing", "--rate", "1000"}),
              "purged 9 messages of queue orders/billing\n");
}

TEST_F(brokerctl_test, queue_rm) {
    create_orders(2);
    EXPECT_EQ(text({"queue", "rm", "orders/billing", "--dry-run"}),
              "would remove queue orders/billing with 2 messages to do and 0 dead\n");
    EXPECT_EQ(text({"queue", "rm", "orders/billing"}),
              "removed queue orders/billing with 2 messages to do and 0 dead\n");
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());
}

TEST_F(brokerctl_test, queue_clone) {
    create_orders(4);
    text({"queue", "set", "orders/billing", "--attempts", "3"});
    text({"message", "consume", "orders/billing", "--ack"});
    text({"message", "consume", "orders/billing", "--reject", "--reason", "no such card"});
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h"});
    EXPECT_EQ(text({"queue", "clone", "orders/billing", "v2"}),
              "created queue orders/v2, a clone of orders/billing\n");
    const auto rows = as_json({"queue", "ls"});
    ASSERT_EQ(rows.size(), 2U);
    for (const char* state : {"ready", "leased", "retrying", "dead", "done"}) {
        EXPECT_EQ(rows[1][state], rows[0][state]) << state;
    }
    EXPECT_THAT(text({"dead", "ls", "orders/v2"}), HasSubstr("no such card"));
    const auto cloned = as_json({"queue", "clone", "orders/billing", "orders/v3"});
    EXPECT_EQ(cloned["topic"], "orders");
    EXPECT_EQ(cloned["queue"], "v3");
    EXPECT_EQ(cloned["cloned_from"], "orders/billing");
    EXPECT_EQ(cloned["settings"]["attempts"], 3);
    const auto exists = ctl({"queue", "clone", "orders/billing", "v3"});
    EXPECT_EQ(exists.exit_code, refused);
    EXPECT_THAT(exists.err, HasSubstr("queue orders/v3 exists; choose another name"));
    const auto missing = ctl({"queue", "clone", "orders/nothing", "v4"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_THAT(missing.err, HasSubstr("queue orders/nothing does not exist"));
}

TEST_F(brokerctl_test, queue_explain_is_one_sentence) {
    create_orders(2);
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h", "--reason", "down"});
    const auto retrying = text({"queue", "explain", "orders/billing@0"});
    EXPECT_THAT(retrying, StartsWith("retrying: attempt 1 of 16 nacked "));
    EXPECT_THAT(retrying, HasSubstr("(\"down\"); due in "));
    EXPECT_EQ(std::ranges::count(retrying, '\n'), 1);
    const auto explained = as_json({"queue", "explain", "orders/billing@1"});
    EXPECT_EQ(explained["offset"], 1);
    EXPECT_TRUE(explained["sentence"].is_string());
}

TEST_F(brokerctl_test, a_missing_queue_names_the_command_that_creates_it) {
    text({"topic", "create", "orders"});
    for (const auto& command :
         std::vector<arguments>{{"queue", "info", "orders/billing"},
                                {"queue", "pause", "orders/billing"},
                                {"queue", "explain", "orders/billing"},
                                {"message", "consume", "orders/billing", "--ack"}}) {
        const auto missing = ctl(command);
        EXPECT_EQ(missing.exit_code, refused);
        EXPECT_THAT(missing.err, HasSubstr("brokerctl queue create orders/billing"));
    }
}

}  // namespace
}  // namespace brokerd::test
