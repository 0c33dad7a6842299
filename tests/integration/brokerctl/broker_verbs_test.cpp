// brokerctl health, stats, version, consumer, connection; and what it says without a broker.
#include <csignal>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(brokerctl_test, health) {
    const auto healthy = text({"health"});
    EXPECT_THAT(healthy, StartsWith("healthy: brokerd "));
    EXPECT_THAT(healthy, HasSubstr(broker.address()));
    const auto report = as_json({"health"});
    EXPECT_EQ(report["writable"], true);
    EXPECT_TRUE(report["warnings"].is_array());
}

TEST_F(brokerctl_test, without_a_broker_it_is_exit_3) {
    broker.kill();
    const std::vector<std::string> hasty{"BROKERD_SERVER=" + broker.address(),
                                         "BROKERCTL_CONNECT_TIMEOUT=100ms"};
    for (const auto& command :
         std::vector<arguments>{{"health"}, {"queue", "ls"}, {"message", "publish", "a", "b"}}) {
        const auto end = run_program(program_path("brokerctl"), command, {}, hasty);
        EXPECT_EQ(end.exit_code, no_connection);
        EXPECT_THAT(end.err, StartsWith("brokerctl: "));
        EXPECT_THAT(end.err, HasSubstr(broker.address()));
    }
    const auto version = run_program(program_path("brokerctl"), {"version"}, {}, hasty);
    EXPECT_EQ(version.exit_code, done);
    EXPECT_THAT(version.out, StartsWith("brokerctl "));
    EXPECT_THAT(version.out, HasSubstr("no brokerd at "));
}

TEST_F(brokerctl_test, a_broker_that_is_just_starting_is_waited_for) {
    broker.kill();
    program early(program_path("brokerctl"), {"topic", "create", "orders"}, environment());
    broker.restart();
    EXPECT_EQ(early.wait().exit_code, done);
}

TEST_F(brokerctl_test, version_of_both) {
    const auto both = as_json({"version"});
    EXPECT_TRUE(both["brokerctl"].is_string());
    EXPECT_EQ(both["broker"]["server"], broker.address());
    EXPECT_THAT(text({"version"}), HasSubstr("\nbrokerd "));
}

TEST_F(brokerctl_test, stats) {
    const auto counters = as_json({"stats"});
    ASSERT_FALSE(counters.empty());
    for (const auto& counter : counters) {
        EXPECT_TRUE(counter["name"].is_string());
        EXPECT_TRUE(counter["value"].is_number());
        EXPECT_TRUE(counter["help"].is_string());
    }
    EXPECT_THAT(text({"stats"}), StartsWith("NAME "));
}

TEST_F(brokerctl_test, consumers_and_connections) {
    create_orders(1);
    program consumer(
        program_path("brokerctl"),
        {"message", "consume", "orders/billing", "--count", "2", "--wait", "60", "--ack"},
        environment());
    consumer.wait_for_output("orders@0");

    const auto consumers = as_json({"consumer", "ls", "orders/billing"});
    ASSERT_EQ(consumers.size(), 1U);
    EXPECT_EQ(consumers[0]["topic"], "orders");
    EXPECT_EQ(consumers[0]["queue"], "billing");
    EXPECT_THAT(consumers[0]["name"], StartsWith("brokerctl@"));
    EXPECT_EQ(consumers[0]["delivered"], 1);
    EXPECT_THAT(text({"consumer", "ls"}), HasSubstr("orders/billing"));

    const auto connections = as_json({"connection", "ls"});
    EXPECT_EQ(connections.size(), 2U);  // the consumer's and that of the one who asks
    const auto id = consumers[0]["connection"].dump();
    EXPECT_EQ(text({"connection", "close", id}), "closed connection " + id + "\n");
    const auto again = ctl({"connection", "close", id});
    EXPECT_EQ(again.exit_code, refused);
    EXPECT_THAT(again.err, HasSubstr(id));

    // It connects again and goes on.
    text({"message", "publish", "orders", "m1"});
    EXPECT_EQ(consumer.wait().exit_code, done);
}

}  // namespace
}  // namespace brokerd::test
