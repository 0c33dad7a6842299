// Pattern queues with brokerctl against a real broker: create, ls, info, set, rm, consuming and
// forwarding from all of their queues, and what is refused.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class brokerctl_pattern_test : public brokerctl_test {
protected:
    void SetUp() override {
        text({"topic", "create", "orders.eu"});
        text({"topic", "create", "orders.us"});
    }
    void publish(const char* topic, const char* payload) {
        text({"message", "publish", topic, payload});
    }
    json pattern(const char* name = "orders.*/billing") { return as_json({"queue", "info", name}); }
};

TEST_F(brokerctl_pattern_test, create_says_what_is_new) {
    EXPECT_EQ(text({"queue", "create", "orders.*/billing", "--lease", "2min"}),
              "created pattern queue orders.*/billing with 2 queues\n");
    EXPECT_EQ(text({"queue", "create", "orders.*/billing"}),
              "pattern queue orders.*/billing exists with 2 queues\n");
    text({"topic", "create", "orders.asia"});
    const auto again = as_json({"queue", "create", "orders.*/billing"});
    EXPECT_EQ(again["pattern"], "orders.*");
    EXPECT_EQ(again["queue"], "billing");
    EXPECT_EQ(again["created"], false);
    EXPECT_EQ(again["queues"], 3);
    EXPECT_EQ(again["settings"]["lease_seconds"], 120);
    EXPECT_EQ(as_json({"queue", "ls", "orders.asia"}).at(0)["queue"], "billing");
}

TEST_F(brokerctl_pattern_test, create_with_other_settings_is_refused) {
    text({"queue", "create", "orders.*/billing", "--attempts", "3"});
    const auto other = ctl({"queue", "create", "orders.*/billing", "--attempts", "4"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, AllOf(HasSubstr("attempts 3, not 4"),
                                 HasSubstr("brokerctl queue set 'orders.*/billing'")));
    const auto mode = ctl({"queue", "create", "orders.*/billing", "--mode", "keyed"});
    EXPECT_EQ(mode.exit_code, refused);
    EXPECT_THAT(mode.err, HasSubstr("exists with mode shared"));
}

TEST_F(brokerctl_pattern_test, create_from_latest_is_for_the_topics_that_exist) {
    publish("orders.eu", "before");
    text({"queue", "create", "orders.*/billing", "--from", "latest"});
    text({"topic", "create", "orders.asia"});
    publish("orders.asia", "first");
    EXPECT_EQ(as_json({"queue", "info", "orders.eu/billing"})["ready"], 0);
    EXPECT_EQ(as_json({"queue", "info", "orders.asia/billing"})["ready"], 1);
}

TEST_F(brokerctl_pattern_test, places_in_one_topic_are_refused_with_the_reason) {
    for (const arguments& place :
         {arguments{"--from", "812"}, arguments{"--from", "2026-03-01T12:00:00Z"}}) {
        arguments given{"queue", "create", "orders.*/billing"};
        given.insert(given.end(), place.begin(), place.end());
        const auto end = ctl(given);
        EXPECT_EQ(end.exit_code, usage);
        EXPECT_THAT(end.err, HasSubstr("--from of a pattern queue is earliest or latest"));
    }
    const auto until = ctl({"queue", "create", "orders.*/billing", "--until", "latest"});
    EXPECT_EQ(until.exit_code, usage);
    EXPECT_THAT(until.err, HasSubstr("a pattern queue has no --until"));
    const auto word = ctl({"queue", "create", "orders.e*/billing"});
    EXPECT_EQ(word.exit_code, usage);
    EXPECT_THAT(word.err, HasSubstr("within a word"));
    EXPECT_EQ(as_json({"queue", "ls", "--patterns"}), json::array());
}

TEST_F(brokerctl_pattern_test, ls_and_info) {
    text({"queue", "create", "orders.*/billing", "--attempts", "5"});
    text({"queue", "create", ">/audit", "--mode", "keyed", "--filter", "has key"});
    EXPECT_EQ(text({"queue", "ls", "--patterns"}),
              "PATTERN           MODE    QUEUES  CONSUMERS  LEASE  ATTEMPTS  FILTER\n"
              ">/audit           keyed        2          0    30s        16  has key\n"
              "orders.*/billing  shared       2          0    30s         5\n");
    const auto rows = as_json({"queue", "ls", "--patterns"});
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[1], pattern());
    EXPECT_EQ(rows[1]["mode"], "shared");
    EXPECT_EQ(rows[1]["settings"]["attempts"], 5);
    EXPECT_EQ(as_json({"queue", "ls"}).size(), 4U) << "their queues are queues like any other";
    EXPECT_THAT(text({"queue", "info", ">/audit"}),
                AllOf(HasSubstr("\nqueues         2\n"), HasSubstr("\nfilter         has key\n")));
    EXPECT_EQ(ctl({"queue", "ls", "orders.eu", "--patterns"}).exit_code, usage);
    const auto none = ctl({"queue", "info", "orders.*/none"});
    EXPECT_EQ(none.exit_code, refused);
    EXPECT_THAT(none.err, HasSubstr("brokerctl queue create 'orders.*/none'"));
}

TEST_F(brokerctl_pattern_test, set_changes_the_rule_and_all_its_queues) {
    text({"queue", "create", "orders.*/billing", "--attempts", "3", "--lease", "2min"});
    EXPECT_EQ(text({"queue", "set", "orders.*/billing", "--attempts", "5"}),
              "set pattern queue orders.*/billing and 2 queues: attempts 5\n");
    EXPECT_EQ(pattern()["settings"]["attempts"], 5);
    EXPECT_EQ(pattern()["settings"]["lease_seconds"], 120);
    for (const json& each : as_json({"queue", "ls"})) {
        const std::string name =
            each["topic"].get<std::string>() + "/" + each["queue"].get<std::string>();
        EXPECT_EQ(as_json({"queue", "info", name})["settings"]["attempts"], 5) << name;
    }
    const auto again = as_json({"queue", "set", "orders.*/billing", "--attempts", "5"});
    EXPECT_EQ(again["queues"], 2);
    EXPECT_EQ(again["changed"], 0);
    EXPECT_EQ(ctl({"queue", "set", "orders.*/billing"}).exit_code, usage);
    EXPECT_EQ(ctl({"queue", "set", "orders.*/billing", "--until", "7"}).exit_code, usage);
    EXPECT_EQ(ctl({"queue", "set", "none.*/billing", "--attempts", "5"}).exit_code, refused);
    EXPECT_EQ(as_json({"queue", "ls", "--patterns"}).size(), 1U) << "none was created";
}

TEST_F(brokerctl_pattern_test, rm_leaves_the_queues_unless_asked) {
    text({"queue", "create", "orders.*/billing"});
    EXPECT_EQ(text({"queue", "rm", "orders.*/billing", "--queues", "--dry-run"}),
              "would remove pattern queue orders.*/billing and 2 queues; 0 queues stay\n");
    EXPECT_EQ(text({"queue", "rm", "orders.*/billing", "--dry-run"}),
              "would remove pattern queue orders.*/billing; 2 queues stay\n");
    EXPECT_EQ(pattern()["queues"], 2);
    EXPECT_EQ(text({"queue", "rm", "orders.*/billing"}),
              "removed pattern queue orders.*/billing; 2 queues stay\n");
    EXPECT_EQ(as_json({"queue", "ls"}).size(), 2U);
    EXPECT_EQ(ctl({"queue", "rm", "orders.*/billing"}).exit_code, refused);

    text({"queue", "create", "orders.*/billing"});
    const auto removed = as_json({"queue", "rm", "orders.*/billing", "--queues"});
    EXPECT_EQ(removed["pattern"], "orders.*");
    EXPECT_EQ(removed["queue"], "billing");
    EXPECT_EQ(removed["removed"], true);
    EXPECT_EQ(removed["queues_removed"], 2);
    EXPECT_EQ(removed["queues_kept"], 0);
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());

    text({"queue", "create", "orders.eu/billing"});
    const auto plain = ctl({"queue", "rm", "orders.eu/billing", "--queues"});
    EXPECT_EQ(plain.exit_code, usage);
    EXPECT_EQ(as_json({"queue", "ls"}).size(), 1U);
}

TEST_F(brokerctl_pattern_test, consume_prints_the_topic_of_each_message) {
    text({"queue", "create", "orders.*/billing"});
    publish("orders.eu", "first");
    EXPECT_EQ(text({"message", "consume", "orders.*/billing", "--ack"}),
              "orders.eu@0  attempt 1  first\n");
    publish("orders.us", "second");
    text({"topic", "create", "orders.asia"});
    publish("orders.asia", "third");
    const auto got = lines(
        text({"message", "consume", "orders.*/billing", "--count", "2", "--ack", "-o", "ndjson"}));
    ASSERT_EQ(got.size(), 2U);
    std::vector<std::string> topics{got[0]["topic"], got[1]["topic"]};
    EXPECT_THAT(topics, testing::UnorderedElementsAre("orders.us", "orders.asia"));
    for (const json& each : as_json({"queue", "ls"})) {
        EXPECT_EQ(each["done"], 1) << each;
    }
}

TEST_F(brokerctl_pattern_test, consume_says_when_too_few_came) {
    text({"queue", "create", "orders.*/billing"});
    const auto none = ctl({"message", "consume", "orders.*/billing", "--ack"});
    EXPECT_EQ(none.exit_code, refused);
    EXPECT_EQ(none.out, "");
    EXPECT_THAT(none.err, AllOf(HasSubstr("no message there"), HasSubstr("brokerctl queue ls"),
                                Not(HasSubstr("explain"))));
    publish("orders.us", "one");
    publish("orders.eu", "two");
    const auto some = ctl({"message", "consume", "orders.*/billing", "--count", "3", "--ack"});
    EXPECT_EQ(some.exit_code, refused);
    EXPECT_THAT(some.err, HasSubstr("only 2 of 3 messages there"));
    const auto missing = ctl({"message", "consume", "none.*/billing", "--ack"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_THAT(missing.err, HasSubstr("brokerctl queue create 'none.*/billing'"));
}

TEST_F(brokerctl_pattern_test, forward_takes_from_all_queues) {
    text({"topic", "create", "all"});
    text({"queue", "create", "orders.*/out"});
    publish("orders.eu", "a");
    publish("orders.us", "b");
    text({"message", "forward", "orders.*/out", "all", "--count", "2"});
    const auto end = as_json({"topic", "ls"});
    EXPECT_EQ(end.at(0)["topic"], "all");
    EXPECT_EQ(end.at(0)["messages"], 2);
    EXPECT_EQ(as_json({"queue", "info", "orders.eu/out"})["done"], 1);
    EXPECT_EQ(as_json({"queue", "info", "orders.us/out"})["done"], 1);
}

}  // namespace
}  // namespace brokerd::test
