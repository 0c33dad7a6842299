// brokerctl message forward against a real broker.
#include <algorithm>
#include <csignal>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class brokerctl_forward_test : public brokerctl_test {
protected:
    // The payloads of topic repaired, in stored order.
    std::vector<std::string> repaired() {
        std::vector<std::string> payloads;
        for (const auto& each : as_json({"message", "peek", "repaired", "--limit", "1000"})) {
            payloads.push_back(each["payload"]);
        }
        return payloads;
    }

    static std::vector<std::string> numbered(int messages) {
        std::vector<std::string> payloads;
        for (int i = 0; i < messages; ++i) {
            payloads.push_back("m" + std::to_string(i));
        }
        return payloads;
    }

    // As before, with nothing done, leased or failed.
    void expect_untouched(int messages) {
        const auto row = queue_row();
        EXPECT_EQ(row["ready"], messages);
        EXPECT_EQ(row["leased"], 0);
        EXPECT_EQ(row["retrying"], 0);
        EXPECT_EQ(row["done"], 0);
        EXPECT_THAT(text({"message", "consume", "orders/billing", "--release"}),
                    HasSubstr("attempt 1"));
    }
};

TEST_F(brokerctl_forward_test, key_headers_and_payload_are_kept) {
    text({"topic", "create", "repaired"});
    text({"queue", "create", "orders/billing"});
    const std::string bytes("\xff\0two\nlines", 11);
    text({"message", "publish", "orders", "--key", "42", "--header", "trace=abc", "--header",
          "via=a", "--header", "via=b"},
         bytes);
    text({"message", "publish", "orders", "no key", "--key", ""});
    text({"message", "publish", "orders", ""});
    EXPECT_EQ(text({"message", "forward", "orders/billing", "repaired", "--count", "3"}),
              "orders@0 repaired@0\norders@1 repaired@1\norders@2 repaired@2\n");
    const auto stored = as_json({"message", "get", "repaired@0"});
    EXPECT_EQ(stored["key"], "42");
    EXPECT_EQ(stored["headers"], (json{{"trace", "abc"}, {"via", {"a", "b"}}}));
    EXPECT_EQ(text({"message", "get", "repaired@0", "--raw"}), bytes);
    EXPECT_EQ(as_json({"message", "get", "repaired@1"})["key"], "");
    EXPECT_TRUE(as_json({"message", "get", "repaired@2"})["key"].is_null());
    const auto row = queue_row();
    EXPECT_EQ(row["done"], 3);
    EXPECT_EQ(row["ready"], 0);
    EXPECT_EQ(row["leased"], 0);
    EXPECT_EQ(row["consumers"], 0);
}

TEST_F(brokerctl_forward_test, objects) {
    text({"topic", "create", "repaired"});
    text({"message", "publish", "repaired", "was here"});
    create_orders(2);
    const json first{{"from", {{"topic", "orders"}, {"offset", 0}}},
                     {"to", {{"topic", "repaired"}, {"offset", 1}}}};
    EXPECT_EQ(lines(text({"message", "forward", "orders/billing", "repaired", "-o", "ndjson"})),
              std::vector{first});
    const auto second = as_json({"message", "forward", "orders/billing", "repaired"});
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0]["from"]["offset"], 1);
    EXPECT_EQ(second[0]["to"]["offset"], 2);
}

TEST_F(brokerctl_forward_test, order_is_kept_over_many_transactions) {
    text({"topic", "create", "repaired"});
    create_orders(350);
    const auto got = text({"message", "forward", "orders/billing", "repaired", "--count", "350"});
    EXPECT_EQ(std::ranges::count(got, '\n'), 350);
    EXPECT_THAT(got, HasSubstr("orders@349 repaired@349\n"));
    EXPECT_EQ(repaired(), numbered(350));
    EXPECT_EQ(queue_row()["done"], 350);
}

TEST_F(brokerctl_forward_test, large_messages) {
    text({"topic", "create", "repaired"});
    text({"queue", "create", "orders/billing"});
    for (const char each : {'a', 'b', 'c'}) {
        text({"message", "publish", "orders"}, std::string(std::size_t{700} * 1024, each));
    }
    EXPECT_EQ(text({"message", "forward", "orders/billing", "repaired", "--count", "3"}),
              "orders@0 repaired@0\norders@1 repaired@1\norders@2 repaired@2\n");
    EXPECT_EQ(text({"message", "get", "repaired@2", "--raw"}),
              std::string(std::size_t{700} * 1024, 'c'));
}

TEST_F(brokerctl_forward_test, no_more_than_count) {
    text({"topic", "create", "repaired"});
    create_orders(5);
    text({"message", "forward", "orders/billing", "repaired", "--count", "2"});
    EXPECT_EQ(repaired(), numbered(2));
    const auto row = queue_row();
    EXPECT_EQ(row["done"], 2);
    EXPECT_EQ(row["ready"], 3);
    EXPECT_EQ(row["leased"], 0);
}

TEST_F(brokerctl_forward_test, fewer_than_asked_for_is_exit_1) {
    text({"topic", "create", "repaired"});
    create_orders(2);
    const auto end = ctl({"message", "forward", "orders/billing", "repaired", "--count", "3"});
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "orders@0 repaired@0\norders@1 repaired@1\n");
    EXPECT_THAT(end.err, StartsWith("brokerctl: only 2 of 3 messages there; "));
    const auto none = ctl({"message", "forward", "orders/billing", "repaired", "-o", "json"});
    EXPECT_EQ(none.exit_code, refused);
    EXPECT_EQ(none.out, "[]\n");
    EXPECT_THAT(none.err, StartsWith("brokerctl: no message there; "));
}

TEST_F(brokerctl_forward_test, a_missing_topic_leaves_the_messages_alone) {
    create_orders(2);
    const auto missing = ctl({"message", "forward", "orders/billing", "repaired", "--count", "2"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(missing.err, HasSubstr("brokerctl topic create repaired"));
    expect_untouched(2);
}

TEST_F(brokerctl_forward_test, a_refused_transaction_leaves_the_messages_alone) {
    text({"topic", "create", "repaired", "--max-message-bytes", "100B"});
    text({"queue", "create", "orders/billing"});
    text({"message", "publish", "orders", "--lines"},
         std::string(200, 'x') + "\n" + std::string(200, 'y') + "\n");
    const auto end = ctl({"message", "forward", "orders/billing", "repaired", "--count", "2"});
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "");
    EXPECT_THAT(end.err, HasSubstr("brokerctl topic set repaired --max-message-bytes"));
    EXPECT_EQ(as_json({"topic", "info", "repaired"})["next_offset"], 0);
    expect_untouched(2);
}

TEST_F(brokerctl_forward_test, a_queue_is_not_forwarded_into_its_own_topic) {
    create_orders(1);
    const auto end = ctl({"message", "forward", "orders/billing", "orders"});
    EXPECT_EQ(end.exit_code, usage);
    EXPECT_THAT(end.err, HasSubstr("would never end"));
    expect_untouched(1);
}

TEST_F(brokerctl_forward_test, what_comes_while_it_waits_is_forwarded_until_interrupted) {
    text({"topic", "create", "repaired"});
    text({"queue", "create", "orders/billing"});
    program forward(
        program_path("brokerctl"),
        {"message", "forward", "orders/billing", "repaired", "--count", "2", "--wait", "60"},
        environment());
    text({"message", "publish", "orders", "m0"});
    forward.wait_for_output("orders@0 repaired@0\n");
    forward.signal(SIGINT);
    const auto end = forward.wait();
    EXPECT_EQ(end.exit_code, refused);  // fewer than asked for
    EXPECT_THAT(end.err, HasSubstr("interrupted, only 1 of 2 messages came"));
    const auto row = queue_row();
    EXPECT_EQ(row["done"], 1);
    EXPECT_EQ(row["leased"], 0);
    EXPECT_EQ(row["retrying"], 0);
}

// Promise: transaction.exactly_once
TEST_F(brokerctl_forward_test, killed_and_run_again_each_message_arrives_once) {
    text({"topic", "create", "repaired"});
    create_orders(300);
    text({"queue", "set", "orders/billing", "--backoff", "1ms"});  // what it held failed
    program forward(program_path("brokerctl"),
                    {"message", "forward", "orders/billing", "repaired", "--count", "300"},
                    environment());
    forward.wait_for_output("orders@0 repaired@0\n");
    forward.signal(SIGKILL);
    forward.wait();
    while (queue_row()["done"] != 300) {
        ctl({"message", "forward", "orders/billing", "repaired", "--count", "300", "--wait",
             "0.2"});
    }
    auto arrived = repaired();
    auto expected = numbered(300);
    std::ranges::sort(arrived);
    std::ranges::sort(expected);
    EXPECT_EQ(arrived, expected);
}

TEST_F(brokerctl_forward_test, each_message_arrives_once_over_a_killed_broker) {
    text({"topic", "create", "repaired"});
    create_orders(300);
    program forward(
        program_path("brokerctl"),
        {"message", "forward", "orders/billing", "repaired", "--count", "300", "--wait", "30"},
        environment());
    forward.wait_for_output("orders@0 repaired@0\n");
    broker.kill();
    broker.restart();
    const auto end = forward.wait();
    EXPECT_EQ(end.exit_code, done) << end.err;
    auto arrived = repaired();
    auto expected = numbered(300);
    std::ranges::sort(arrived);
    std::ranges::sort(expected);
    EXPECT_EQ(arrived, expected);
    EXPECT_EQ(queue_row()["done"], 300);
}

}  // namespace
}  // namespace brokerd::test
