// Times to live with brokerctl against a real broker: given, shown, and what becomes of messages.
#include <chrono>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class brokerctl_ttl_test : public brokerctl_test {
protected:
    void SetUp() override { text({"queue", "create", "orders/billing"}); }

    // Counts follow within a second.
    void wait_until(const char* count, int is) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (queue_row()[count] != is) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << count << " is never " << is;
        }
    }
    std::string publish(arguments more, std::string_view input = {}) {
        more.insert(more.begin(), {"message", "publish", "orders"});
        return text(std::move(more), input);
    }
};

TEST_F(brokerctl_ttl_test, what_is_over_is_done_and_not_delivered) {
    EXPECT_EQ(publish({"late", "--ttl", "1ms"}), "orders@0\n");
    publish({"kept"});
    wait_until("done", 1);
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--ack"}),
              "orders@1  attempt 1  kept\n");
    EXPECT_EQ(ctl({"message", "consume", "orders/billing", "--ack"}).exit_code, refused);
    EXPECT_EQ(queue_row()["dead"], 0);
}

TEST_F(brokerctl_ttl_test, every_line_has_it) {
    EXPECT_EQ(publish({"--lines", "--ttl", "1ms"}, "a\nb\n"), "orders@0\norders@1\n");
    wait_until("done", 2);
}

TEST_F(brokerctl_ttl_test, goes_with_a_schedule) {
    publish({"late", "--delay", "100ms", "--ttl", "1ms"});
    publish({"--lines", "--at", "2020-01-01T00:00:00Z", "--ttl", "1ms"}, "a\nb\n");
    wait_until("done", 3);
}

TEST_F(brokerctl_ttl_test, dead_where_the_queue_says_so) {
    EXPECT_EQ(text({"queue", "set", "orders/billing", "--on-expiry", "dead"}),
              "set queue orders/billing: on-expiry dead\n");
    publish({"late", "--ttl", "1ms"});
    wait_until("dead", 1);
    const auto dead = as_json({"dead", "ls"});
    ASSERT_EQ(dead.size(), 1U);
    EXPECT_EQ(dead[0]["offset"], 0);
    EXPECT_EQ(dead[0]["reason"], "ttl expired");
    EXPECT_THAT(text({"dead", "ls"}), HasSubstr("  ttl expired"));
    EXPECT_THAT(text({"dead", "ls", "--by", "reason"}),
                MatchesRegex("QUEUE           REASON       COUNT +OLDEST  SAMPLE\n"
                             "orders/billing  ttl expired      1 +[0-9a-z]+  orders@0\n"));
    const auto shown = as_json({"message", "show", "orders@0"});
    EXPECT_EQ(shown["queues"][0]["state"], "dead");
    EXPECT_EQ(shown["queues"][0]["attempts"][0]["outcome"], "ttl expired");
    EXPECT_EQ(
        lines(text({"dead", "export", "orders/billing", "-o", "ndjson"})).at(0)["ttl_seconds"],
        0.001);
    EXPECT_EQ(text({"dead", "redrive", "orders/billing", "--reason", "ttl expired"}),
              "redrove 1 dead message of queue orders/billing\n");
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--ack"}),
              "orders@0  ttl 1ms  attempt 1  late\n");
}

TEST_F(brokerctl_ttl_test, of_the_topic_holds_for_what_is_stored_without_one_of_its_own) {
    publish({"as the topic says"});
    publish({"longer", "--ttl", "1h"});
    EXPECT_EQ(text({"topic", "set", "orders", "--ttl", "1ms"}), "set topic orders: ttl 1ms\n");
    wait_until("done", 1);
    EXPECT_EQ(text({"topic", "set", "orders", "--ttl", "0"}), "set topic orders: ttl 0s\n");
    publish({"for ever"});
    EXPECT_EQ(text({"message", "consume", "orders/billing", "--count", "2", "--ack"}),
              "orders@1  ttl 1h  attempt 1  longer\n"
              "orders@2  attempt 1  for ever\n");
}

TEST_F(brokerctl_ttl_test, is_shown_where_messages_are_if_it_is_their_own) {
    publish({"with", "--ttl", "1h30min"});
    publish({"without"});
    for (const char* verb : {"get", "show"}) {
        EXPECT_EQ(as_json({"message", verb, "orders@0"})["ttl_seconds"], 5400) << verb;
        EXPECT_FALSE(as_json({"message", verb, "orders@1"}).contains("ttl_seconds")) << verb;
        EXPECT_THAT(text({"message", verb, "orders@0"}), HasSubstr("\nttl      1h30min\n"));
        EXPECT_THAT(text({"message", verb, "orders@1"}), Not(HasSubstr("ttl")));
    }
    const auto peeked = as_json({"message", "peek", "orders"});
    EXPECT_EQ(peeked[0]["ttl_seconds"], 5400);
    EXPECT_FALSE(peeked[1].contains("ttl_seconds"));
    EXPECT_EQ(as_json({"message", "find", "orders", "--limit", "1"})[0]["ttl_seconds"], 5400);
    const auto taken = as_json({"message", "consume", "orders/billing", "--count", "2", "--ack"});
    EXPECT_EQ(taken[0]["ttl_seconds"], 5400);
    EXPECT_FALSE(taken[1].contains("ttl_seconds"));
}

TEST_F(brokerctl_ttl_test, settings_are_shown_and_in_conflict) {
    const auto created = as_json({"topic", "create", "prices", "--ttl", "1h"});
    EXPECT_EQ(created["settings"]["ttl_seconds"], 3600);
    EXPECT_EQ(text({"topic", "create", "prices", "--ttl", "1h"}), "topic prices exists\n");
    const auto other = ctl({"topic", "create", "prices", "--ttl", "2h"});
    EXPECT_EQ(other.exit_code, refused);
    EXPECT_THAT(other.err, HasSubstr("ttl 1h, not 2h; 'brokerctl topic set prices'"));
    EXPECT_THAT(text({"topic", "info", "prices"}), HasSubstr("\nttl                1h\n"));
    EXPECT_EQ(as_json({"topic", "info", "orders"})["settings"]["ttl_seconds"], 0);

    EXPECT_THAT(text({"queue", "info", "orders/billing"}), HasSubstr("\non-expiry     done\n"));
    const auto queue = ctl({"queue", "create", "orders/billing", "--on-expiry", "dead"});
    EXPECT_EQ(queue.exit_code, refused);
    EXPECT_THAT(queue.err, HasSubstr("on-expiry done, not dead"));
    text({"queue", "create", "orders/audit", "--on-expiry", "dead"});
    EXPECT_EQ(as_json({"queue", "info", "orders/audit"})["settings"]["on_expiry"], "dead");
}

TEST_F(brokerctl_ttl_test, mistakes) {
    for (const arguments& given :
         {arguments{"message", "publish", "orders", "x", "--ttl", "0"},
          arguments{"message", "publish", "orders", "x", "--ttl", "5"},
          arguments{"message", "publish", "orders", "x", "--ttl", "-5s"},
          arguments{"message", "publish", "orders", "--lines", "--ttl", "0"},
          arguments{"topic", "set", "orders", "--ttl", "soon"},
          arguments{"queue", "set", "orders/billing", "--on-expiry", "gone"}}) {
        const auto end = ctl(given, "line\n");
        EXPECT_EQ(end.exit_code, usage) << testing::PrintToString(given) << ": " << end.err;
        EXPECT_THAT(end.err, StartsWith("brokerctl: "));
    }
    EXPECT_EQ(ctl({"topic", "set", "orders", "--ttl", "36600d"}).exit_code, refused);
    EXPECT_EQ(as_json({"topic", "info", "orders"})["next_offset"], 0);
}

TEST_F(brokerctl_ttl_test, stays_behind_when_messages_are_forwarded) {
    text({"topic", "create", "repaired"});
    publish({"x", "--ttl", "1h"});
    EXPECT_EQ(text({"message", "forward", "orders/billing", "repaired"}), "orders@0 repaired@0\n");
    EXPECT_FALSE(as_json({"message", "get", "repaired@0"}).contains("ttl_seconds"));
}

}  // namespace
}  // namespace brokerd::test
