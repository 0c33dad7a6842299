// Queues with a filter and an end with brokerctl against a real broker: what they get, how their
// settings are given, shown and refused, and a window of a topic replayed beside a live queue.
#include <chrono>
#include <initializer_list>

#include "tests/integration/brokerctl/fixture.hpp"

namespace brokerd::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class brokerctl_queue_filter_test : public brokerctl_test {
protected:
    void SetUp() override { text({"topic", "create", "orders", "--keep-done", "1h"}); }

    // Messages with the country as header and payload, each in a commit of its own.
    void publish(std::initializer_list<const char*> countries) {
        for (const std::string country : countries) {
            text({"message", "publish", "orders", country, "--header", "country=" + country});
        }
    }
    json row(const std::string& queue) { return as_json({"queue", "info", queue}); }
    // What lay in the log before there was the filter is looked at in the background.
    void wait_until(const std::string& queue, const char* count, int is) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (row(queue)[count] != is) {
            ASSERT_LT(std::chrono::steady_clock::now(), end)
                << queue << ": " << count << " is never " << is << ": " << row(queue);
        }
    }
    // The offsets of what a consumer gets and acks until there is no more.
    std::vector<int> consume_all(const std::string& queue) {
        std::vector<int> offsets;
        const auto end =
            ctl({"message", "consume", queue, "--count", "1000", "--ack", "-o", "ndjson"});
        for (const json& each : lines(end.out)) {
            offsets.push_back(each["offset"]);
        }
        return offsets;
    }
    std::string time_of(const std::string& message) {
        return as_json({"message", "get", message})["time"];
    }
    json stat(const std::string& name) {
        for (const json& each : as_json({"stats"})) {
            if (each["name"] == name) {
                return each["value"];
            }
        }
        return nullptr;
    }
};

TEST_F(brokerctl_queue_filter_test, gets_what_its_filter_takes_and_nothing_else) {
    text({"queue", "create", "orders/german", "--filter", "header.country = 'DE'"});
    text({"queue", "create", "orders/all"});
    publish({"DE", "AT", "DE", "CH"});
    // What is not for it was done with the very commit that brought it.
    const auto queues = as_json({"queue", "ls"});
    ASSERT_EQ(queues.size(), 2U);
    EXPECT_EQ(queues[0]["ready"], 4);  // all
    EXPECT_EQ(queues[0]["done"], 0);
    EXPECT_EQ(queues[1]["ready"], 2);  // german
    EXPECT_EQ(queues[1]["done"], 2);
    EXPECT_EQ(queues[1]["dead"], 0);
    EXPECT_EQ(stat("sifted_messages_total"), 2);

    EXPECT_EQ(text({"message", "consume", "orders/german", "--count", "2", "--ack"}),
              "orders@0  country=DE  attempt 1  DE\n"
              "orders@2  country=DE  attempt 1  DE\n");
    EXPECT_THAT(consume_all("orders/german"), IsEmpty());
    EXPECT_EQ(row("orders/german")["done"], 4);
    EXPECT_THAT(consume_all("orders/all"), ElementsAre(0, 1, 2, 3));
    const auto shown = as_json({"message", "show", "orders@1"});
    for (const json& queue : shown["queues"]) {
        EXPECT_EQ(queue["state"], "done");
        EXPECT_EQ(queue["attempts"], json::array());
    }
}

TEST_F(brokerctl_queue_filter_test, looks_at_what_was_there_before) {
    publish({"DE", "AT", "DE", "AT", "DE"});
    text({"queue", "create", "orders/german", "--filter", "header.country = 'DE'"});
    wait_until("orders/german", "ready", 3);
    EXPECT_THAT(consume_all("orders/german"), ElementsAre(0, 2, 4));
    // From the very first delivery on, however far the look has come.
    text({"queue", "create", "orders/austrian", "--filter", "header.country = 'AT'"});
    EXPECT_THAT(consume_all("orders/austrian"), ElementsAre(1, 3));
}

TEST_F(brokerctl_queue_filter_test, is_given_back_in_one_way_to_write_it) {
    const char* const canonical = "header.country = 'DE' and size < 64B";
    const auto created = as_json(
        {"queue", "create", "orders/german", "--filter", "HEADER.country=\"DE\"  and (size<64)"});
    EXPECT_EQ(created["settings"]["filter"], canonical);
    EXPECT_EQ(created["settings"]["until"], 0);
    EXPECT_EQ(row("orders/german")["settings"]["filter"], canonical);
    EXPECT_THAT(text({"queue", "info", "orders/german"}),
                HasSubstr(std::string("\nfilter        ") + canonical + "\n"));
    // However it is written the next time.
    EXPECT_EQ(text({"queue", "create", "orders/german", "--filter",
                    "((header.country = 'DE')) and SIZE < 64B"}),
              "queue orders/german exists\n");
    EXPECT_EQ(text({"queue", "create", "orders/german"}), "queue orders/german exists\n");
    EXPECT_EQ(as_json({"queue", "set", "orders/german", "--filter",
                       "not not has KEY"})["settings"]["filter"],
              "has key");
}

TEST_F(brokerctl_queue_filter_test, other_settings_of_an_existing_queue_are_told) {
    text({"queue", "create", "orders/some", "--filter", "has key", "--until", "7"});
    text({"queue", "create", "orders/all"});
    const auto filter = ctl({"queue", "create", "orders/some", "--filter", "size > 1KiB"});
    EXPECT_EQ(filter.exit_code, refused);
    EXPECT_THAT(filter.err,
                HasSubstr("queue orders/some exists with filter \"has key\", not \"size > 1KiB\"; "
                          "'brokerctl queue set orders/some' changes it"));
    const auto until = ctl({"queue", "create", "orders/some", "--until", "8"});
    EXPECT_EQ(until.exit_code, refused);
    EXPECT_THAT(until.err, HasSubstr("until 7, not 8"));
    const auto both = ctl({"queue", "create", "orders/all", "--filter", "has key", "--until", "7"});
    EXPECT_THAT(both.err, HasSubstr("filter none, not \"has key\"; until none, not 7"));
    EXPECT_EQ(row("orders/all")["settings"]["filter"], "");
}

// Promise: filter.mistakes
TEST_F(brokerctl_queue_filter_test, a_filter_with_a_mistake_names_the_column) {
    for (const char* verb : {"create", "set"}) {
        const auto wrong =
            ctl({"queue", verb, "orders/german", "--filter", "header.country = 'DE' und has key"});
        EXPECT_EQ(wrong.exit_code, usage);
        EXPECT_THAT(wrong.err, AllOf(StartsWith("brokerctl: "), HasSubstr("column 23: "),
                                     HasSubstr("\n" + std::string(22, ' ') + "^\n")));
    }
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());
}

TEST_F(brokerctl_queue_filter_test, a_field_that_changes_is_refused) {
    const auto age = ctl({"queue", "create", "orders/old", "--filter", "age > 1d"});
    EXPECT_EQ(age.exit_code, refused);
    EXPECT_THAT(age.err,
                HasSubstr("filter uses age, which changes while a message stays the same; a "
                          "queue's filter may use offset, time, size, key and header.NAME"));
    for (const char* filter : {"attempts > 1", "state = dead or has key", "has reason"}) {
        const auto other = ctl({"queue", "create", "orders/old", "--filter", filter});
        EXPECT_EQ(other.exit_code, refused) << filter;
        EXPECT_THAT(other.err, HasSubstr("may use offset, time, size, key and header.NAME"));
    }
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());
    text({"queue", "create", "orders/old", "--filter", "has key"});
    EXPECT_EQ(ctl({"queue", "set", "orders/old", "--filter", "age > 1d"}).exit_code, refused);
    EXPECT_EQ(row("orders/old")["settings"]["filter"], "has key");
}

TEST_F(brokerctl_queue_filter_test, may_be_changed_and_taken_away) {
    text({"queue", "create", "orders/some"});
    publish({"DE", "AT", "CH", "DE", "AT"});
    // Given out before: the filter does not touch it any more.
    text({"message", "consume", "orders/some", "--nack", "--delay", "1h"});
    text({"message", "consume", "orders/some", "--reject"});
    EXPECT_EQ(text({"queue", "set", "orders/some", "--filter", "header.country = 'AT'"}),
              "set queue orders/some: filter \"header.country = 'AT'\"\n");
    wait_until("orders/some", "ready", 1);
    EXPECT_EQ(row("orders/some")["done"], 2);
    EXPECT_EQ(row("orders/some")["retrying"], 1);
    EXPECT_EQ(row("orders/some")["dead"], 1);
    publish({"CH", "AT"});
    EXPECT_THAT(consume_all("orders/some"), ElementsAre(4, 6));

    EXPECT_EQ(text({"queue", "set", "orders/some", "--filter", ""}),
              "set queue orders/some: filter none\n");
    EXPECT_THAT(text({"queue", "info", "orders/some"}), Not(HasSubstr("\nfilter ")));
    publish({"CH"});
    // What the old one made done stays so, unless the queue is moved.
    EXPECT_THAT(consume_all("orders/some"), ElementsAre(7));
    text({"queue", "set", "orders/some", "--filter", "header.country = 'CH'"});
    text({"queue", "seek", "orders/some", "--to", "2"});
    wait_until("orders/some", "ready", 3);
    EXPECT_THAT(consume_all("orders/some"), ElementsAre(2, 5, 7));
}

TEST_F(brokerctl_queue_filter_test, an_end_may_be_set_and_taken_away) {
    text({"queue", "create", "orders/some"});
    publish({"DE", "AT", "CH"});
    EXPECT_EQ(text({"queue", "set", "orders/some", "--until", "2"}),
              "set queue orders/some: until 2\n");
    EXPECT_EQ(row("orders/some")["ready"], 2);
    EXPECT_EQ(row("orders/some")["done"], 1);
    EXPECT_THAT(text({"queue", "info", "orders/some"}), HasSubstr("\nuntil         orders@2\n"));
    publish({"DE"});
    EXPECT_EQ(row("orders/some")["done"], 2);
    EXPECT_EQ(text({"queue", "set", "orders/some", "--until", "0"}),
              "set queue orders/some: until none\n");
    EXPECT_THAT(text({"queue", "info", "orders/some"}), Not(HasSubstr("\nuntil ")));
    publish({"AT"});
    EXPECT_THAT(consume_all("orders/some"), ElementsAre(0, 1, 4));
}

TEST_F(brokerctl_queue_filter_test, replays_a_window_of_offsets_beside_the_live_queue) {
    text({"queue", "create", "orders/live"});
    publish({"DE", "AT", "DE", "AT", "DE", "AT"});
    EXPECT_THAT(consume_all("orders/live"), ElementsAre(0, 1, 2, 3, 4, 5));
    const auto before = row("orders/live");
    EXPECT_EQ(text({"queue", "create", "orders/again", "--from", "1", "--until", "5", "--filter",
                    "header.country = 'DE'"}),
              "created queue orders/again\n");
    EXPECT_EQ(row("orders/again")["settings"]["until"], 5);
    wait_until("orders/again", "ready", 2);
    EXPECT_THAT(consume_all("orders/again"), ElementsAre(2, 4));
    // What comes now is for the live one alone.
    EXPECT_EQ(row("orders/live")["ready"], before["ready"]);
    EXPECT_EQ(row("orders/live")["done"], before["done"]);
    publish({"DE"});
    EXPECT_EQ(row("orders/again")["ready"], 0);
    EXPECT_THAT(consume_all("orders/again"), IsEmpty());
    EXPECT_THAT(consume_all("orders/live"), ElementsAre(6));
}

// Promise: replay.window
TEST_F(brokerctl_queue_filter_test, replays_a_window_of_times) {
    publish({"DE", "AT", "CH", "DE", "AT"});
    // From the second to before the fourth.
    const auto created = as_json({"queue", "create", "orders/again", "--from", time_of("orders@1"),
                                  "--until", time_of("orders@3")});
    EXPECT_EQ(created["settings"]["until"], 3);
    EXPECT_EQ(row("orders/again")["ready"], 2);
    EXPECT_THAT(consume_all("orders/again"), ElementsAre(1, 2));
}

TEST_F(brokerctl_queue_filter_test, ends_behind_what_is_there_now) {
    publish({"DE", "AT"});
    for (const char* now : {"latest", "now"}) {
        const auto queue = std::string("orders/until-") + now;
        EXPECT_EQ(as_json({"queue", "create", queue, "--until", now})["settings"]["until"], 2);
    }
    publish({"CH"});
    EXPECT_THAT(consume_all("orders/until-latest"), ElementsAre(0, 1));
    EXPECT_THAT(consume_all("orders/until-now"), ElementsAre(0, 1));
    // Of a queue that is to get some and is not there yet.
    text({"queue", "create", "orders/three", "--from", "latest", "--until", "6"});
    publish({"DE", "AT", "CH", "DE"});
    EXPECT_THAT(consume_all("orders/three"), ElementsAre(3, 4, 5));
}

TEST_F(brokerctl_queue_filter_test, an_end_needs_something_before_it) {
    for (const char* end : {"latest", "now", "-1h"}) {
        const auto nothing = ctl({"queue", "create", "orders/none", "--until", end});
        EXPECT_EQ(nothing.exit_code, refused) << end;
        EXPECT_THAT(nothing.err, HasSubstr("no queue can end at orders@0, as there is nothing "
                                           "before it"));
    }
    publish({"DE"});
    // Appended later than that, so the end would be the first message.
    const auto early = ctl({"queue", "create", "orders/none", "--until", "-1h"});
    EXPECT_EQ(early.exit_code, refused);
    EXPECT_THAT(early.err, HasSubstr("orders@0, as there is nothing before it"));
    const auto missing = ctl({"queue", "create", "prices/none", "--until", "latest"});
    EXPECT_EQ(missing.exit_code, refused);
    EXPECT_THAT(missing.err, HasSubstr("topic prices does not exist"));
    EXPECT_EQ(as_json({"queue", "ls"}), json::array());
    EXPECT_EQ(as_json({"topic", "ls"}).size(), 1U);
}

}  // namespace
}  // namespace brokerd::test
