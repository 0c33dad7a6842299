// brokerctl dead against a real broker.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class brokerctl_dead_test : public brokerctl_test {
protected:
    void reject(int count, const std::string& reason) {
        text({"message", "consume", "orders/billing", "--count", std::to_string(count), "--reject",
              "--reason", reason});
    }
};

// Promise: dead.export
TEST_F(brokerctl_dead_test, ls_by_reason) {
    create_orders(4);
    reject(1, "no such card");
    reject(2, "no such address");
    EXPECT_THAT(text({"dead", "ls", "--by", "reason"}),
                MatchesRegex("QUEUE           REASON           COUNT +OLDEST  SAMPLE\n"
                             "orders/billing  no such address      2 +[0-9a-z]+  orders@1\n"
                             "orders/billing  no such card         1 +[0-9a-z]+  orders@0\n"));
    const auto groups = as_json({"dead", "ls", "--by", "reason"});
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0]["topic"], "orders");
    EXPECT_EQ(groups[0]["queue"], "billing");
    EXPECT_EQ(groups[0]["reason"], "no such address");
    EXPECT_EQ(groups[0]["count"], 2);
    EXPECT_GE(groups[0]["oldest_seconds"], 0);
    EXPECT_EQ(groups[0]["sample"], "orders@1");
}

TEST_F(brokerctl_dead_test, ls) {
    EXPECT_EQ(as_json({"dead", "ls"}), json::array());
    create_orders(3);
    text({"queue", "create", "orders/healthy"});
    reject(2, "no such card");
    const auto dead = as_json({"dead", "ls"});
    ASSERT_EQ(dead.size(), 2U);
    EXPECT_EQ(dead[0]["queue"], "billing");
    EXPECT_EQ(dead[0]["offset"], 0);
    EXPECT_EQ(dead[0]["reason"], "no such card");
    EXPECT_EQ(dead[0]["attempts"], 1);
    EXPECT_THAT(dead[0]["consumer"], StartsWith("brokerctl@"));
    EXPECT_EQ(as_json({"dead", "ls", "orders/billing", "--limit", "1"}).size(), 1U);
    EXPECT_EQ(as_json({"dead", "ls", "orders/healthy"}), json::array());
    EXPECT_THAT(text({"dead", "ls"}), HasSubstr("\norders@1  orders/billing"));
}

TEST_F(brokerctl_dead_test, redrive_all) {
    create_orders(3);
    reject(3, "no such card");
    EXPECT_EQ(text({"dead", "redrive", "orders/billing", "--dry-run"}),
              "would redrive 3 dead messages of queue orders/billing\n");
    EXPECT_EQ(queue_row()["dead"], 3);
    EXPECT_EQ(text({"dead", "redrive", "orders/billing"}),
              "redrove 3 dead messages of queue orders/billing\n");
    const auto row = queue_row();
    EXPECT_EQ(row["dead"], 0);
    EXPECT_EQ(row["ready"], 3);
    EXPECT_EQ(row["retrying"], 0);
    // With all attempts before it.
    EXPECT_THAT(text({"message", "consume", "orders/billing", "--ack"}), HasSubstr("attempt 1"));
}

TEST_F(brokerctl_dead_test, redrive_one) {
    create_orders(3);
    reject(3, "no such card");
    EXPECT_EQ(text({"dead", "redrive", "orders/billing@1"}),
              "redrove 1 dead message of queue orders/billing\n");
    EXPECT_EQ(queue_row()["dead"], 2);
    const auto again = ctl({"dead", "redrive", "orders/billing@1"});
    EXPECT_EQ(again.exit_code, refused);
    EXPECT_THAT(again.err, HasSubstr("orders/billing@1 is not dead"));
}

TEST_F(brokerctl_dead_test, only_of_one_reason) {
    create_orders(6);
    reject(2, "a");
    reject(1, "b");
    reject(1, "a");
    const auto counted = as_json({"dead", "purge", "orders/billing", "--reason", "a", "--dry-run"});
    EXPECT_EQ(counted["messages"], 3);
    EXPECT_EQ(counted["dry_run"], true);
    EXPECT_EQ(text({"dead", "redrive", "orders/billing", "--reason", "a"}),
              "redrove 3 dead messages of queue orders/billing\n");
    const auto left = as_json({"dead", "ls"});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0]["reason"], "b");
}

// Promise: filter.everywhere
TEST_F(brokerctl_dead_test, a_filter_says_which) {
    create_orders(6);
    reject(2, "timeout of the card service");
    reject(3, "no such card");
    EXPECT_EQ(as_json({"dead", "ls", "--filter", "reason like '*timeout*'"}).size(), 2U);
    const auto groups = as_json({"dead", "ls", "--by", "reason", "--filter", "offset > 3"});
    ASSERT_EQ(groups.size(), 1U);
    EXPECT_EQ(groups[0]["count"], 1);
    EXPECT_EQ(text({"dead", "redrive", "orders/billing", "--filter", "reason like '*timeout*'",
                    "--dry-run"}),
              "would redrive 2 dead messages of queue orders/billing\n");
    EXPECT_EQ(text({"dead", "redrive", "orders/billing", "--filter", "reason like '*timeout*'",
                    "--rate", "1000"}),
              "redrove 2 dead messages of queue orders/billing\n");
    EXPECT_EQ(text({"dead", "purge", "orders/billing", "--filter", "size = 2 and offset <= 3"}),
              "purged 2 dead messages of queue orders/billing\n");
    const auto left = as_json({"dead", "ls"});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0]["offset"], 4);
}

TEST_F(brokerctl_dead_test, a_wrong_filter_is_pointed_at) {
    create_orders(1);
    const auto end =
        ctl({"dead", "redrive", "orders/billing", "--filter", "offset > 3 und key = 1"});
    EXPECT_EQ(end.exit_code, usage);
    EXPECT_THAT(end.err, HasSubstr("column 12: "));
    EXPECT_THAT(end.err, HasSubstr("offset > 3 und key = 1\n"));
    EXPECT_THAT(end.err, HasSubstr("\n           ^\n"));
}

// Promise: dead.export
TEST_F(brokerctl_dead_test, export_prints_them_whole) {
    create_orders(3);
    reject(2, "no such card");
    const auto exported = lines(text({"dead", "export", "orders/billing", "-o", "ndjson"}));
    ASSERT_EQ(exported.size(), 2U);
    EXPECT_EQ(exported[0]["topic"], "orders");
    EXPECT_EQ(exported[0]["queue"], "billing");
    EXPECT_EQ(exported[0]["offset"], 0);
    EXPECT_EQ(exported[0]["payload"], "m0");
    EXPECT_EQ(exported[0]["attempts"], 1);
    EXPECT_EQ(exported[0]["reason"], "no such card");
    EXPECT_THAT(exported[0]["consumer"], StartsWith("brokerctl@"));
    EXPECT_TRUE(exported[0]["died"].is_string());
    EXPECT_EQ(
        lines(text({"dead", "export", "orders/billing", "--filter", "offset = 1", "-o", "ndjson"}))
            .size(),
        1U);
    EXPECT_EQ(
        lines(text({"dead", "export", "orders/billing", "--limit", "1", "-o", "ndjson"})).size(),
        1U);
}

TEST_F(brokerctl_dead_test, purge) {
    create_orders(3);
    reject(2, "no such card");
    EXPECT_EQ(text({"dead", "purge", "orders/billing", "--dry-run"}),
              "would purge 2 dead messages of queue orders/billing\n");
    EXPECT_EQ(text({"dead", "purge", "orders/billing"}),
              "purged 2 dead messages of queue orders/billing\n");
    const auto row = queue_row();
    EXPECT_EQ(row["dead"], 0);
    EXPECT_EQ(row["ready"], 1);
    EXPECT_EQ(row["done"], 2);
}

}  // namespace
}  // namespace brokerd::test
