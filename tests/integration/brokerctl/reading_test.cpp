// brokerctl message get, peek, find, show, tail against a real broker: looking changes nothing.
#include <csignal>
#include <filesystem>
#include <memory>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Promise: explain.looking
TEST_F(brokerctl_test, peek) {
    create_orders(20);
    const auto before = queue_row();
    const auto seen =
        lines(text({"message", "peek", "orders", "--from", "5", "--limit", "2", "-o", "ndjson"}));
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0]["topic"], "orders");
    EXPECT_EQ(seen[0]["offset"], 5);
    EXPECT_EQ(seen[0]["payload"], "m5");
    EXPECT_EQ(seen[0]["headers"], json::object());
    EXPECT_TRUE(seen[0]["key"].is_null());
    EXPECT_THAT(seen[0]["time"].get<std::string>(), testing::MatchesRegex(".*T.*Z"));
    EXPECT_EQ(seen[1]["offset"], 6);
    EXPECT_EQ(as_json({"message", "peek", "orders"}).size(), 10U);
    EXPECT_EQ(text({"message", "peek", "orders", "--limit", "1"}), "orders@0  m0\n");
    EXPECT_EQ(text({"message", "peek", "orders", "--from", "latest"}), "");
    EXPECT_EQ(queue_row()["ready"], before["ready"]);
}

TEST_F(brokerctl_test, get) {
    create_orders(2);
    EXPECT_EQ(as_json({"message", "get", "orders@1"})["payload"], "m1");
    EXPECT_THAT(text({"message", "get", "orders@1"}), StartsWith("message  orders@1\n"));
    const auto missing = ctl({"message", "get", "orders@9"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_THAT(missing.err, HasSubstr("orders@9"));
}

TEST_F(brokerctl_test, find) {
    text({"topic", "create", "orders"});
    for (const auto* key : {"1", "2", "1", "3"}) {
        text({"message", "publish", "orders", "x", "--key", key, "--header",
              std::string("parity=") + (*key == '2' ? "even" : "odd")});
    }
    const auto found = lines(text({"message", "find", "orders", "--key", "1", "-o", "ndjson"}));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0]["offset"], 0);
    EXPECT_EQ(found[1]["offset"], 2);
    EXPECT_EQ(as_json({"message", "find", "orders", "--header", "parity=odd"}).size(), 3U);
    EXPECT_EQ(
        as_json({"message", "find", "orders", "--header", "parity=odd", "--limit", "2"}).size(),
        2U);
    EXPECT_EQ(as_json({"message", "find", "orders", "--key", "2", "--header", "parity=odd"}).size(),
              0U);
    EXPECT_EQ(as_json({"message", "find", "orders", "--since", "-1h"}).size(), 4U);
    EXPECT_EQ(as_json({"message", "find", "orders", "--since", "2100-01-01T00:00:00Z"}).size(), 0U);
}

// Promise: filter.everywhere
TEST_F(brokerctl_test, a_filter_says_which_messages_of_a_topic) {
    create_orders(12);
    text({"message", "publish", "orders", "x", "--key", "7", "--header", "country=DE"});
    const auto offsets = [&](const char* verb, const char* filter) {
        std::vector<int> found;
        for (const auto& message : as_json({"message", verb, "orders", "--filter", filter})) {
            found.push_back(message["offset"]);
        }
        return found;
    };
    EXPECT_THAT(offsets("find", "size = 3"), ElementsAre(10, 11));
    EXPECT_THAT(offsets("find", "header.country in ('DE', 'AT') and key = 7"), ElementsAre(12));
    EXPECT_THAT(offsets("find", "offset < 2 and age < 1h and time > '2020-01-01T00:00:00Z'"),
                ElementsAre(0, 1));
    EXPECT_THAT(offsets("peek", "size != 2"), ElementsAre(10, 11, 12)) << "beyond the first ten";
    EXPECT_EQ(as_json({"message", "tail", "orders", "--from", "earliest", "--filter", "has key",
                       "--count", "1"})[0]["offset"],
              12);
    const auto end = ctl({"message", "find", "orders", "--filter", "attempts > 1"});
    EXPECT_EQ(end.exit_code, usage);
    EXPECT_THAT(end.err, HasSubstr("a message of a topic has no attempts"));
}

TEST_F(brokerctl_test, find_reads_all_pages) {
    create_orders(5000);
    EXPECT_EQ(as_json({"message", "find", "orders"}).size(), 5000U);
}

// Promise: explain.show
TEST_F(brokerctl_test, show_tells_the_state_in_every_queue) {
    create_orders(1);
    text({"queue", "create", "orders/mail"});
    text({"message", "consume", "orders/billing", "--reject", "--reason", "no such card"});
    const auto shown = as_json({"message", "show", "orders@0"});
    EXPECT_EQ(shown["topic"], "orders");
    EXPECT_EQ(shown["offset"], 0);
    EXPECT_EQ(shown["payload"], "m0");
    ASSERT_EQ(shown["queues"].size(), 2U);
    EXPECT_EQ(shown["queues"][0]["queue"], "billing");
    EXPECT_EQ(shown["queues"][0]["state"], "dead");
    EXPECT_EQ(shown["queues"][0]["attempts"][0]["reason"], "no such card");
    EXPECT_EQ(shown["queues"][1]["queue"], "mail");
    EXPECT_EQ(shown["queues"][1]["state"], "ready");
    EXPECT_EQ(shown["queues"][1]["attempts"], json::array());
    EXPECT_TRUE(shown["queues"][1]["next"].is_string());
    EXPECT_THAT(text({"message", "show", "orders@0"}), HasSubstr("orders/billing  dead"));
}

TEST_F(brokerctl_test, an_offset_that_was_never_stored_says_so) {
    text({"topic", "create", "clicks", "--durability", "os"});
    text({"message", "publish", "clicks", "x"});
    broker.kill();
    broker.restart();
    const auto next = as_json({"message", "publish", "clicks", "y"})["offset"];
    EXPECT_GT(next, 1);
    for (const auto* verb : {"show", "get"}) {
        const auto shown = ctl({"message", verb, "clicks@1"});
        EXPECT_EQ(shown.exit_code, refused) << verb;
        EXPECT_EQ(shown.out, "") << verb;
        EXPECT_THAT(shown.err, HasSubstr("clicks@1 was reserved and never stored")) << verb;
    }
}

TEST_F(brokerctl_test, a_removed_message_is_done_everywhere) {
    create_orders(3);
    text({"message", "consume", "orders/billing", "--count", "3", "--ack"});
    // Trimming follows the acks on the broker's own time.
    program_end shown;
    do {
        shown = ctl({"message", "show", "orders@2"});
    } while (shown.exit_code == done);
    EXPECT_EQ(shown.exit_code, refused);
    EXPECT_EQ(shown.out, "done in every queue, removed\n");
    EXPECT_EQ(ctl({"message", "show", "orders@0"}).out, "done in every queue, removed\n");
    const auto got = ctl({"message", "get", "orders@0"});
    EXPECT_EQ(got.exit_code, refused);
    EXPECT_THAT(got.err, HasSubstr("orders@0: done in every queue, removed"));
    EXPECT_EQ(ctl({"message", "peek", "orders", "--from", "0"}).exit_code, refused);
    EXPECT_EQ(text({"message", "peek", "orders"}), "");
}

TEST_F(brokerctl_test, a_message_that_never_was_is_not_found) {
    create_orders(1);
    const auto missing = ctl({"message", "show", "orders@7"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(missing.err, HasSubstr("orders@7"));
}

TEST_F(brokerctl_test, tail_follows) {
    create_orders(2);
    program tail(program_path("brokerctl"), {"message", "tail", "orders", "--from", "1"},
                 environment());
    tail.wait_for_output("orders@1  m1\n");
    text({"message", "publish", "orders", "fresh"});
    tail.wait_for_output("orders@2  fresh\n");
    tail.signal(SIGINT);
    const auto end = tail.wait();
    EXPECT_EQ(end.exit_code, done);
    EXPECT_EQ(end.out, "orders@1  m1\norders@2  fresh\n");
}

TEST_F(brokerctl_test, tail_ends_after_count_and_filters) {
    text({"topic", "create", "orders"});
    for (const auto* key : {"1", "2", "1"}) {
        text({"message", "publish", "orders", "x", "--key", key});
    }
    const auto seen =
        as_json({"message", "tail", "orders", "--from", "earliest", "--count", "2", "--key", "1"});
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[1]["offset"], 2);
}

TEST_F(brokerctl_test, tail_ends_when_its_topic_is_not_there_any_more) {
    const auto tail_of_two = [&] {
        create_orders(2);
        auto tail = std::make_unique<program>(program_path("brokerctl"),
                                              arguments{"message", "tail", "orders", "--from", "1"},
                                              environment());
        tail->wait_for_output("orders@1  m1\n");
        return tail;
    };
    auto tail = tail_of_two();
    text({"topic", "rm", "orders"});
    auto end = tail->wait();
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_THAT(end.err, StartsWith("brokerctl: topic orders was removed"));

    tail = tail_of_two();
    broker.kill();
    std::filesystem::remove_all(directory / "data");
    broker.restart();
    create_orders(5);
    end = tail->wait();
    EXPECT_EQ(end.exit_code, refused);
    EXPECT_EQ(end.out, "orders@1  m1\n");
    EXPECT_THAT(end.err, StartsWith("brokerctl: the broker was reached again with other data"));
}

TEST_F(brokerctl_test, looking_into_a_missing_topic_names_the_command_that_creates_it) {
    for (const auto& command : std::vector<arguments>{{"message", "peek", "orders"},
                                                      {"message", "find", "orders"},
                                                      {"message", "tail", "orders"},
                                                      {"message", "get", "orders@0"},
                                                      {"message", "show", "orders@0"}}) {
        const auto missing = ctl(command);
        EXPECT_EQ(missing.exit_code, refused);
        EXPECT_THAT(missing.err, HasSubstr("brokerctl topic create orders"));
    }
}

}  // namespace
}  // namespace brokerd::test
