// Messages as JSON and as text.
#include "tools/brokerctl/message_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/brokerctl/fixed_time.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;

stored_message order() {
    return {.topic = "orders",
            .offset = 0,
            .time = now - 2s,
            .key = "42",
            .headers = {{"trace", "abc"}},
            .payload = R"({"id":42})"};
}

TEST(message_view, json_of_the_contract) {
    EXPECT_EQ(message_json(view_of(order())).dump(),
              R"({"topic":"orders","offset":0,"time":"2026-03-01T11:59:58.000000Z","key":"42",)"
              R"("headers":{"trace":"abc"},"payload":"{\"id\":42}","priority":0})");
}

TEST(message_view, attempt_when_leased) {
    const auto message = order();
    auto view = view_of(message);
    view.attempt = 3;
    EXPECT_EQ(message_json(view)["attempt"], 3);
}

TEST(message_view, time_to_live_only_if_it_has_one_of_its_own) {
    auto message = order();
    EXPECT_FALSE(message_json(view_of(message)).contains("ttl_seconds"));
    message.ttl = 1500ms;
    EXPECT_THAT(message_json(view_of(message)).dump(),
                EndsWith(R"("payload":"{\"id\":42}","priority":0,"ttl_seconds":1.5})"));
    EXPECT_EQ(message_line(view_of(message)),
              "orders@0  key 42  trace=abc  ttl 1s500ms  {\"id\":42}\n");
    EXPECT_THAT(message_details_text(view_of(message), now, false),
                EndsWith("header   trace=abc\n"
                         "ttl      1s500ms\n"
                         "payload  {\"id\":42}\n"));
    message.ttl = 5min;
    EXPECT_THAT(message_json(view_of(message)).dump(), EndsWith(R"("ttl_seconds":300})"));
}

TEST(message_view, id_only_if_it_has_one) {
    auto message = order();
    EXPECT_FALSE(message_json(view_of(message)).contains("id"));
    message.id = "order-42";
    EXPECT_THAT(message_json(view_of(message)).dump(),
                EndsWith(R"("payload":"{\"id\":42}","priority":0,"id":"order-42"})"));
    EXPECT_EQ(message_line(view_of(message)),
              "orders@0  key 42  trace=abc  id order-42  {\"id\":42}\n");
    EXPECT_THAT(message_details_text(view_of(message), now, false),
                EndsWith("header   trace=abc\n"
                         "id       order-42\n"
                         "payload  {\"id\":42}\n"));
    message.id = "\xff\n";
    EXPECT_EQ(message_json(view_of(message))["id_base64"], "/wo=");
    EXPECT_THAT(message_line(view_of(message)), HasSubstr(R"(  id \xff\n  )"));
}

TEST(message_view, priority_for_people_only_if_it_is_not_0) {
    auto message = order();
    message.priority = 7;
    EXPECT_EQ(message_json(view_of(message))["priority"], 7);
    EXPECT_EQ(message_line(view_of(message)),
              "orders@0  key 42  trace=abc  priority 7  {\"id\":42}\n");
    EXPECT_THAT(message_details_text(view_of(message), now, false),
                EndsWith("header    trace=abc\n"
                         "priority  7\n"
                         "payload   {\"id\":42}\n"));
}

TEST(message_view, no_key_is_null_and_an_empty_key_is_one) {
    auto message = order();
    message.key.reset();
    EXPECT_TRUE(message_json(view_of(message)).at("key").is_null());
    message.key = "";
    EXPECT_EQ(message_json(view_of(message)).at("key"), "");
}

TEST(message_view, bytes_that_are_no_text_are_base64) {
    auto message = order();
    message.key = "\xff";
    message.payload = std::string("\xff\xfe\0", 3);
    const json result = message_json(view_of(message));
    EXPECT_EQ(result.at("payload_base64"), "//4A");
    EXPECT_EQ(result.at("key_base64"), "/w==");
    EXPECT_FALSE(result.contains("payload"));
    EXPECT_FALSE(result.contains("key"));
}

TEST(message_view, repeated_headers_are_an_array) {
    auto message = order();
    message.headers = {{"to", "a"}, {"cc", "x"}, {"to", "b"}, {"to", "c"}};
    EXPECT_EQ(message_json(view_of(message)).at("headers"),
              (json{{"to", {"a", "b", "c"}}, {"cc", "x"}}));
}

TEST(message_view, line_as_in_the_readme) {
    auto message = order();
    message.headers.clear();
    auto view = view_of(message);
    view.attempt = 1;
    EXPECT_EQ(message_line(view), "orders@0  key 42  attempt 1  {\"id\":42}\n");
}

TEST(message_view, line_with_headers_and_without_payload) {
    auto message = order();
    message.key.reset();
    message.payload.clear();
    EXPECT_EQ(message_line(view_of(message)), "orders@0  trace=abc\n");
}

TEST(message_view, payloads_stay_on_their_line) {
    auto message = order();
    message.payload = "two\nlines\x1b[31m";
    EXPECT_THAT(message_line(view_of(message)), HasSubstr("  two\\nlines\\x1b[31m\n"));
}

TEST(message_view, details) {
    EXPECT_EQ(message_details_text(view_of(order()), now, false),
              "message  orders@0\n"
              "time     2026-03-01T11:59:58.000000Z (2s ago)\n"
              "key      42\n"
              "header   trace=abc\n"
              "payload  {\"id\":42}\n");
}

shown_message retrying() {
    shown_message shown{.readable = true, .message = order(), .queues = {}};
    message_in_queue at;
    at.queue = "billing";
    at.state = delivery_state::retrying;
    at.attempts = 1;
    at.attempts_max = 16;
    at.due = now + 4s;
    at.history = {{now - 1s, attempt_end::nacked, "brokerctl@laptop:812", "card service down"}};
    at.next = "retrying: due in 4 s";
    shown.queues = {at};
    return shown;
}

TEST(shown_view, json_has_the_state_in_each_queue) {
    const auto shown = retrying();
    const json result = shown_json(view_of(*shown.message), shown);
    EXPECT_EQ(result["offset"], 0);
    EXPECT_EQ(result["queues"].dump(),
              R"([{"queue":"billing","state":"retrying","attempts":[)"
              R"({"time":"2026-03-01T11:59:59.000000Z","consumer":"brokerctl@laptop:812",)"
              R"("outcome":"nacked","reason":"card service down"}],"attempts_count":1,)"
              R"("attempts_max":16,"next":"retrying: due in 4 s",)"
              R"("next_at":"2026-03-01T12:00:04.000000Z"}])");
}

TEST(shown_view, leased_names_its_consumer) {
    auto shown = retrying();
    shown.queues[0].state = delivery_state::leased;
    shown.queues[0].consumer = "w@host:1";
    shown.queues[0].lease = {2, 9};
    shown.queues[0].lease_until = now + 30s;
    const json at = shown_json(view_of(*shown.message), shown)["queues"][0];
    EXPECT_EQ(at["consumer"], "w@host:1");
    EXPECT_EQ(at["lease"]["counter"], 9);
    EXPECT_EQ(at["next_at"], "2026-03-01T12:00:30.000000Z");
}

TEST(shown_view, nothing_happens_to_dead_messages_by_themselves) {
    auto shown = retrying();
    shown.queues[0].state = delivery_state::dead;
    EXPECT_TRUE(shown_json(view_of(*shown.message), shown)["queues"][0]["next_at"].is_null());
}

// Nobody tried, so nobody is named.
TEST(shown_view, dead_as_its_time_to_live_was_over) {
    auto shown = retrying();
    auto& billing = shown.queues[0];
    billing.state = delivery_state::dead;
    billing.attempts = 0;
    billing.history = {{now - 3s, attempt_end::ttl_expired, "", "ttl expired"}};
    billing.next = "dead for 3 s: ttl expired";
    EXPECT_EQ(shown_json(view_of(*shown.message), shown)["queues"][0]["attempts"][0]["outcome"],
              "ttl expired");
    EXPECT_THAT(shown_text(view_of(*shown.message), shown, now, false),
                HasSubstr("orders/billing  dead   for 3 s: ttl expired\n"));
}

// The last attempt is in the broker's sentence and not told again.
TEST(shown_view, text_has_columns_and_each_attempt_once) {
    auto shown = retrying();
    auto& billing = shown.queues[0];
    billing.attempts = 3;
    billing.history.insert(billing.history.begin(),
                           {{now - 75s, attempt_end::expired, "w@host:1", ""},
                            {now - 9s, attempt_end::nacked, "brokerctl@laptop:811", "busy\n"}});
    billing.next =
        "retrying: attempt 3 of 16 nacked 1 s ago by brokerctl@laptop:812 (\"card service down\"); "
        "due in 4 s";
    auto& audit = shown.queues.emplace_back();
    audit.queue = "a";
    audit.state = delivery_state::done;
    audit.next = "done, removed";
    EXPECT_THAT(shown_text(view_of(*shown.message), shown, now, false),
                EndsWith("payload  {\"id\":42}\n"
                         "\n"
                         "QUEUE           STATE     WHY\n"
                         "orders/billing  retrying  attempt 3 of 16 nacked 1 s ago by "
                         "brokerctl@laptop:812 (\"card service down\"); due in 4 s\n"
                         "orders/a        done      removed\n"
                         "\n"
                         "EARLIER      ATTEMPT  BY                    QUEUE           REASON\n"
                         "1min15s ago  expired  w@host:1              orders/billing\n"
                         "9s ago       nacked   brokerctl@laptop:811  orders/billing  busy\\n\n"));
}

TEST(shown_view, text_tells_the_last_attempt_if_the_broker_does_not) {
    auto shown = retrying();
    shown.queues[0].state = delivery_state::leased;
    shown.queues[0].attempts = 12;
    shown.queues[0].next = "leased by w@host:1 for 12 s more, attempt 13 of 16";
    EXPECT_THAT(
        shown_text(view_of(*shown.message), shown, now, false),
        EndsWith("orders/billing  leased  by w@host:1 for 12 s more, attempt 13 of 16\n"
                 "\n"
                 "EARLIER  ATTEMPT  BY                    QUEUE           REASON\n"
                 "1s ago   nacked   brokerctl@laptop:812  orders/billing  card service down\n"
                 "orders/billing: the last 1 of 12 failed attempts are kept\n"));
}

TEST(shown_view, text_without_queues_says_how_to_create_one) {
    auto shown = retrying();
    shown.queues.clear();
    EXPECT_THAT(shown_text(view_of(*shown.message), shown, now, false),
                HasSubstr("brokerctl queue create orders/QUEUE"));
}

}  // namespace
}  // namespace brokerd::ctl
