// Ids of messages with brokerctl against a real broker: given, told to be there already, shown; and
// how safe a topic is and how long it remembers them.
#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class brokerctl_message_id_test : public brokerctl_test {
protected:
    void SetUp() override { text({"queue", "create", "orders/billing"}); }

    std::string publish(arguments more) {
        more.insert(more.begin(), {"message", "publish", "orders"});
        return text(std::move(more));
    }
};

TEST_F(brokerctl_message_id_test, is_stored_once_and_told_when_it_was_before) {
    EXPECT_EQ(publish({"order 42", "--id", "order-42"}), "orders@0\n");
    EXPECT_EQ(publish({"order 42", "--id", "order-42"}), "orders@0 (stored before)\n");
    EXPECT_EQ(publish({"order 43", "--id", "order-43"}), "orders@1\n");
    EXPECT_EQ(as_json({"message", "publish", "orders", "another", "--id", "order-43"}),
              (json{{"topic", "orders"}, {"offset", 1}, {"duplicate", true}}));
    EXPECT_EQ(as_json({"message", "publish", "orders", "order 44", "--id", "order-44"}),
              (json{{"topic", "orders"}, {"offset", 2}, {"duplicate", false}}));
    EXPECT_EQ(as_json({"message", "publish", "orders", "none"}),
              (json{{"topic", "orders"}, {"offset", 3}}));
    EXPECT_EQ(queue_row()["ready"], 4);
}

TEST_F(brokerctl_message_id_test, is_remembered_over_a_kill) {
    publish({"order 42", "--id", "order-42"});
    broker.kill();
    broker.restart();
    EXPECT_EQ(publish({"order 42", "--id", "order-42"}), "orders@0 (stored before)\n");
}

TEST_F(brokerctl_message_id_test, of_a_schedule_is_that_of_the_first) {
    EXPECT_EQ(publish({"later", "--delay", "1h", "--id", "reminder-1"}), "orders schedule 1\n");
    EXPECT_EQ(publish({"later", "--delay", "2h", "--id", "reminder-1"}),
              "orders schedule 1 (stored before)\n");
    EXPECT_EQ(as_json({"schedule", "ls", "orders"}).size(), 1U);
    const auto at_once = ctl({"message", "publish", "orders", "now", "--id", "reminder-1"});
    EXPECT_EQ(at_once.exit_code, usage);
    EXPECT_EQ(at_once.out, "");
    EXPECT_THAT(at_once.err, AllOf(HasSubstr("orders"), HasSubstr("reminder-1")));
}

TEST_F(brokerctl_message_id_test, is_shown_where_messages_are) {
    publish({"with", "--id", "order-42"});
    publish({"without"});
    for (const char* verb : {"get", "show"}) {
        EXPECT_EQ(as_json({"message", verb, "orders@0"})["id"], "order-42") << verb;
        EXPECT_FALSE(as_json({"message", verb, "orders@1"}).contains("id")) << verb;
        EXPECT_THAT(text({"message", verb, "orders@0"}), HasSubstr("\nid       order-42\n"));
        EXPECT_THAT(text({"message", verb, "orders@1"}), Not(HasSubstr("\nid ")));
    }
    EXPECT_EQ(text({"message", "peek", "orders"}),
              "orders@0  id order-42  with\n"
              "orders@1  without\n");
    const auto peeked = as_json({"message", "peek", "orders"});
    EXPECT_EQ(peeked[0]["id"], "order-42");
    EXPECT_FALSE(peeked[1].contains("id"));
    EXPECT_EQ(as_json({"message", "find", "orders", "--limit", "1"})[0]["id"], "order-42");
    const auto taken = as_json({"message", "consume", "orders/billing", "--count", "2", "--ack"});
    EXPECT_EQ(taken[0]["id"], "order-42");
    EXPECT_FALSE(taken[1].contains("id"));
}

TEST_F(brokerctl_message_id_test, is_shown_by_tail_and_of_dead_messages) {
    publish({"with", "--id", "order-42"});
    EXPECT_EQ(text({"message", "tail", "orders", "--from", "earliest", "--count", "1"}),
              "orders@0  id order-42  with\n");
    text({"message", "consume", "orders/billing", "--reject"});
    EXPECT_EQ(lines(text({"dead", "export", "orders/billing", "-o", "ndjson"})).at(0)["id"],
              "order-42");
}

TEST_F(brokerctl_message_id_test, stays_behind_when_messages_are_forwarded) {
    text({"topic", "create", "repaired"});
    text({"message", "publish", "repaired", "another", "--id", "order-42"});
    publish({"x", "--id", "order-42"});
    EXPECT_EQ(text({"message", "forward", "orders/billing", "repaired"}), "orders@0 repaired@1\n");
    EXPECT_FALSE(as_json({"message", "get", "repaired@1"}).contains("id"));
}

TEST_F(brokerctl_message_id_test, settings_are_shown_changed_and_in_conflict) {
    const auto created =
        as_json({"topic", "create", "clicks", "--durability", "os", "--message-id-window", "1h"});
    EXPECT_EQ(created["settings"]["durability"], "os");
    EXPECT_EQ(created["settings"]["message_id_window_seconds"], 3600);
    EXPECT_EQ(text({"topic", "create", "clicks", "--durability", "os"}), "topic clicks exists\n");
    const auto safer = ctl({"topic", "create", "clicks", "--durability", "disk"});
    EXPECT_EQ(safer.exit_code, refused);
    EXPECT_THAT(safer.err, HasSubstr("durability os, not disk; 'brokerctl topic set clicks'"));
    EXPECT_THAT(text({"topic", "info", "clicks"}), AllOf(HasSubstr("\ndurability         os\n"),
                                                         HasSubstr("\nmessage-id-window  1h\n")));
    EXPECT_THAT(text({"topic", "info", "orders"}), AllOf(HasSubstr("\ndurability         disk\n"),
                                                         HasSubstr("\nmessage-id-window  1d\n")));
    EXPECT_EQ(text({"message", "publish", "clicks", "x"}), "clicks@0\n");

    EXPECT_EQ(text({"topic", "set", "clicks", "--durability", "disk", "--message-id-window", "0"}),
              "set topic clicks: durability disk, message-id-window 0s\n");
    const auto info = as_json({"topic", "info", "clicks"});
    EXPECT_EQ(info["settings"]["durability"], "disk");
    EXPECT_EQ(info["settings"]["message_id_window_seconds"], 0);
    EXPECT_EQ(text({"message", "publish", "clicks", "x", "--id", "1"}), "clicks@1\n");
    EXPECT_EQ(text({"message", "publish", "clicks", "x", "--id", "1"}), "clicks@2\n");
}

TEST_F(brokerctl_message_id_test, mistakes) {
    for (const arguments& given :
         {arguments{"message", "publish", "orders", "x", "--id", ""},
          arguments{"message", "publish", "orders", "x", "--id", std::string(256, 'i')},
          arguments{"message", "publish", "orders", "--lines", "--id", "1"},
          arguments{"topic", "create", "clicks", "--durability", "memory"},
          arguments{"topic", "set", "orders", "--message-id-window", "ever"}}) {
        const auto end = ctl(given, "line\n");
        EXPECT_EQ(end.exit_code, usage) << testing::PrintToString(given) << ": " << end.err;
        EXPECT_THAT(end.err, StartsWith("brokerctl: "));
    }
    EXPECT_EQ(ctl({"topic", "set", "orders", "--message-id-window", "366d"}).exit_code, refused);
    EXPECT_EQ(as_json({"topic", "info", "orders"})["next_offset"], 0);
}

}  // namespace
}  // namespace brokerd::test
