// brokerctl message consume against a real broker.
#include <csignal>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST_F(brokerctl_test, consume_prints_and_acks) {
    text({"queue", "create", "orders/billing"});
    text({"message", "publish", "orders", R"({"id":42})", "--key", "42"});
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--ack"}),
              "orders@0  key 42  attempt 1  {\"id\":42}\n");
    const auto row = queue_row();
    EXPECT_EQ(row["done"], 1);
    EXPECT_EQ(row["leased"], 0);
    EXPECT_EQ(row["consumers"], 0);
}

TEST_F(brokerctl_test, consume_as_objects_with_attempt) {
    create_orders(2);
    text({"message", "consume", "orders/billing", "--nack", "--delay", "0"});
    const auto got = lines(
        text({"message", "consume", "orders/billing", "--count", "2", "--ack", "-o", "ndjson"}));
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(got[0]["topic"], "orders");
    EXPECT_EQ(got[0]["offset"], 0);
    EXPECT_EQ(got[0]["payload"], "m0");
    EXPECT_EQ(got[0]["attempt"], 2);
    EXPECT_TRUE(got[0]["key"].is_null());
    EXPECT_TRUE(got[0]["time"].is_string());
    EXPECT_EQ(got[1]["attempt"], 1);
}

TEST_F(brokerctl_test, an_acked_message_stays_acked) {
    create_orders(1);
    text({"message", "consume", "orders/billing", "--ack"});
    broker.kill();  // acks were confirmed before exit
    broker.restart();
    EXPECT_EQ(ctl({"message", "consume", "orders/billing", "--ack"}).exit_code, refused);
}

// Promise: explain.exit_codes
TEST_F(brokerctl_test, fewer_than_asked_for_is_exit_1) {
    create_orders(2);
    const auto end = ctl({"message", "consume", "orders/billing", "--count", "3", "--ack"});
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "orders@0  attempt 1  m0\norders@1  attempt 1  m1\n");
    EXPECT_THAT(end.err, StartsWith("brokerctl: only 2 of 3 messages there; "));
    EXPECT_EQ(queue_row()["done"], 2);
    const auto none = ctl({"message", "consume", "orders/billing", "--ack", "-o", "json"});
    EXPECT_EQ(none.exit_code, refused);
    EXPECT_EQ(none.out, "[]\n");
    EXPECT_EQ(none.err,
              "brokerctl: no message there; 'brokerctl queue explain orders/billing' says why\n");
}

TEST_F(brokerctl_test, what_did_not_come_in_time_is_told) {
    create_orders(1);
    const auto end =
        ctl({"message", "consume", "orders/billing", "--count", "2", "--wait", "0.1", "--ack"});
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_THAT(end.err, StartsWith("brokerctl: only 1 of 2 messages within 0.1 s; "));
    const auto none = ctl({"message", "consume", "orders/billing", "--wait", "100ms", "--ack"});
    EXPECT_EQ(none.exit_code, refused);
    EXPECT_THAT(none.err, StartsWith("brokerctl: no message within 0.1 s; "));
}

TEST_F(brokerctl_test, consume_never_leases_more_than_count) {
    create_orders(50);
    program slow(
        program_path("brokerctl"),
        {"message", "consume", "orders/billing", "--count", "10", "--release", "--wait", "60"},
        environment());
    slow.wait_for_output("orders@9");
    EXPECT_EQ(slow.wait().exit_code, done);
    const auto row = queue_row();
    EXPECT_EQ(row["ready"], 50);
    EXPECT_EQ(row["leased"], 0);
}

TEST_F(brokerctl_test, consume_many) {
    create_orders(3000);
    const auto got = text({"message", "consume", "orders/billing", "--count", "3000", "--ack"});
    EXPECT_EQ(std::ranges::count(got, '\n'), 3000);
    EXPECT_EQ(queue_row()["done"], 3000);
}

TEST_F(brokerctl_test, release_counts_no_attempt_and_gives_each_message_once) {
    create_orders(3);
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--count", "3", "--release"}),
              "orders@0  attempt 1  m0\norders@1  attempt 1  m1\norders@2  attempt 1  m2\n");
    EXPECT_THAT(text({"message", "consume", "orders/billing", "--ack"}),
                StartsWith("orders@0  attempt 1"));
}

TEST_F(brokerctl_test, nack_keeps_the_reason) {
    create_orders(1);
    text({"message", "consume", "orders/billing", "--nack", "--delay", "1h", "--reason",
          "card service down"});
    const auto shown = as_json({"message", "show", "orders@0"});
    const auto& at = shown["queues"][0];
    EXPECT_EQ(at["state"], "retrying");
    EXPECT_EQ(at["attempts"][0]["outcome"], "nacked");
    EXPECT_EQ(at["attempts"][0]["reason"], "card service down");
    EXPECT_THAT(at["attempts"][0]["consumer"], StartsWith("brokerctl@"));
}

TEST_F(brokerctl_test, consume_waits_for_a_retry) {
    create_orders(1);
    text({"message", "consume", "orders/billing", "--nack", "--delay", "300ms"});
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--wait", "30", "--reject", "--reason",
                    "no such card"}),
              "orders@0  attempt 2  m0\n");
    EXPECT_EQ(queue_row()["dead"], 1);
}

TEST_F(brokerctl_test, consume_waits_for_a_publish) {
    text({"queue", "create", "orders/billing"});
    program consumer(program_path("brokerctl"),
                     {"message", "consume", "orders/billing", "--wait", "60", "--ack"},
                     environment());
    text({"message", "publish", "orders", "at last"});
    const auto end = consumer.wait();
    EXPECT_EQ(end.exit_code, done);
    EXPECT_EQ(end.out, "orders@0  attempt 1  at last\n");
}

// Promise: explain.interrupted
TEST_F(brokerctl_test, an_interrupted_consume_releases_what_it_holds) {
    create_orders(1);
    program consumer(program_path("brokerctl"),
                     {"message", "consume", "orders/billing", "--count", "2", "--wait", "60",
                      "--ack", "-o", "ndjson"},
                     environment());
    consumer.wait_for_output("\n");
    consumer.signal(SIGINT);
    EXPECT_EQ(consumer.wait().exit_code, refused);  // fewer than asked for
    const auto row = queue_row();
    EXPECT_EQ(row["leased"], 0);
    EXPECT_EQ(row["retrying"], 0);
    EXPECT_EQ(row["done"], 1);
}

// Promise: explain.exit_codes
TEST_F(brokerctl_test, an_answer_that_may_not_have_arrived_is_exit_4) {
    create_orders(1);
    program consumer(program_path("brokerctl"),
                     {"message", "consume", "orders/billing", "--count", "2", "--wait", "60",
                      "--nack", "--connect-timeout", "300ms"},
                     environment());
    consumer.wait_for_output("orders@0");
    broker.signal(SIGSTOP);  // nobody answers
    consumer.signal(SIGINT);
    broker.kill();
    const auto end = consumer.wait();
    EXPECT_EQ(end.exit_code, outcome_unknown) << end.err;
    EXPECT_THAT(end.err, StartsWith("brokerctl: "));
}

// Promise: explain.interrupted
TEST_F(brokerctl_test, what_could_not_be_printed_is_released) {
    text({"queue", "create", "orders/billing"});
    program consumer(program_path("brokerctl"),
                     {"message", "consume", "orders/billing", "--wait", "60", "--ack"},
                     environment());
    consumer.close_output();
    text({"message", "publish", "orders", "m0"});
    const auto end = consumer.wait();
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_THAT(end.err, HasSubstr("released"));
    const auto row = queue_row();
    EXPECT_EQ(row["ready"], 1);
    EXPECT_EQ(row["done"], 0);
    EXPECT_THAT(text({"message", "consume", "orders/billing", "--ack"}), HasSubstr("attempt 1"));
}

}  // namespace
}  // namespace brokerd::test
