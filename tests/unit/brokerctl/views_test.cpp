// Rows of listings: the member names and their order are a contract with scripts, and JSON carries
// what every column shows.
#include "tools/brokerctl/views.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/brokerctl/fixed_time.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> members(const json& row) {
    std::vector<std::string> names;
    for (const auto& [name, value] : row.items()) {
        names.push_back(name);
    }
    return names;
}

std::string table(std::span<const column> columns, const json& row) {
    return render_table(columns, std::span{&row, 1}, false);
}

queue_info busy_queue() {
    queue_info queue;
    queue.topic = "orders";
    queue.queue = "billing";
    queue.mode = delivery_mode::shared;
    queue.ready = 120'000;
    queue.leased = 3;
    queue.retrying = 2;
    queue.dead = 1;
    queue.done = 40;
    queue.oldest = now - 90s;
    queue.in_per_second = 100;
    queue.out_per_second = 1100;
    queue.consumers = 2;
    queue.state = "moving";
    return queue;
}

TEST(queue_view, members_of_the_contract) {
    EXPECT_THAT(members(queue_row(busy_queue(), now)),
                ElementsAre("topic", "queue", "mode", "ready", "leased", "retrying", "dead", "done",
                            "oldest_seconds", "in_per_second", "out_per_second", "drain_seconds",
                            "consumers", "paused", "state", "dropped"));
}

TEST(queue_view, raw_numbers_in_json) {
    const json row = queue_row(busy_queue(), now);
    EXPECT_EQ(row["ready"], 120'000);
    EXPECT_EQ(row["oldest_seconds"], 90.0);
    EXPECT_EQ(row["drain_seconds"], 120.0);
    EXPECT_EQ(row["paused"], false);
}

TEST(queue_view, human_units_in_the_table) {
    EXPECT_EQ(table(queue_columns(), queue_row(busy_queue(), now)),
              "QUEUE           MODE    READY  LEASED  RETRYING  DEAD   OLDEST  IN/s  OUT/s  "
              "DRAIN  CONSUMERS  STATE\n"
              "orders/billing  shared   120k       3         2     1  1min30s   100   1100   "
              "2min          2  moving\n");
}

TEST(queue_view, what_was_dropped_is_shown_where_there_is_some) {
    auto queue = busy_queue();
    EXPECT_EQ(queue_row(queue, now)["dropped"], 0);
    EXPECT_THAT(queue_details_text(queue, {}, now, false), Not(HasSubstr("dropped")));
    queue.dropped = 188;
    const json row = queue_row(queue, now);
    EXPECT_EQ(row["dropped"], 188);
    EXPECT_EQ(table(queue_columns(), row),
              "QUEUE           MODE    READY  LEASED  RETRYING  DEAD  DROPPED   OLDEST  IN/s  "
              "OUT/s  DRAIN  CONSUMERS  STATE\n"
              "orders/billing  shared   120k       3         2     1      188  1min30s   100   "
              "1100   2min          2  moving\n");
    EXPECT_THAT(queue_details_text(queue, {}, now, false),
                HasSubstr("done          40\ndropped       188\noldest        1min30s\n"));
}

TEST(queue_view, levels_are_told_the_highest_first) {
    const level_counts levels{.ready = {117, 0, 3}, .due = 4};
    auto queue = busy_queue();
    queue.ready = 124;
    EXPECT_THAT(queue_details_text(queue, levels, now, false),
                HasSubstr("ready         124 (level 2: 3, level 1: 0, level 0: 117, failed before: "
                          "4)\n"));
    const json details = queue_details(queue, levels, now);
    EXPECT_EQ(details["ready_levels"].dump(),
              R"([{"level":2,"ready":3},{"level":1,"ready":0},{"level":0,"ready":117}])");
    EXPECT_EQ(details["ready_failed_before"], 4);
    EXPECT_FALSE(queue_details(queue, {}, now).contains("ready_levels"));
}

TEST(queue_view, an_empty_queue_has_no_oldest_and_nothing_to_drain) {
    auto queue = busy_queue();
    queue.ready = 0;
    queue.oldest = no_timestamp;
    const json row = queue_row(queue, now);
    EXPECT_TRUE(row["oldest_seconds"].is_null());
    EXPECT_EQ(row["drain_seconds"], 0);
    EXPECT_THAT(table(queue_columns(), row), HasSubstr("     -   100   1100      -"));
}

TEST(queue_view, a_growing_queue_never_drains) {
    auto queue = busy_queue();
    queue.out_per_second = 100;
    const json row = queue_row(queue, now);
    EXPECT_TRUE(row["drain_seconds"].is_null());
    EXPECT_THAT(table(queue_columns(), row), HasSubstr("never"));
}

TEST(queue_view, clocks_may_differ) {
    auto queue = busy_queue();
    queue.oldest = now + 5s;
    EXPECT_EQ(queue_row(queue, now)["oldest_seconds"], 0.0);
}

TEST(queue_view, details_name_settings_as_the_options_do) {
    const auto text = queue_details_text(busy_queue(), {}, now, false);
    for (const auto* line : {"queue         orders/billing\n", "ready         120000\n",
                             "lease         30s\n", "attempts      16\n", "backoff-max   10min\n",
                             "max-runs      100000\n", "on-expiry     done\n"}) {
        EXPECT_THAT(text, HasSubstr(line));
    }
    const json details = queue_details(busy_queue(), {}, now);
    EXPECT_EQ(details["settings"]["lease_seconds"], 30);
    EXPECT_EQ(details["settings"]["backoff_max_seconds"], 600);
    EXPECT_EQ(details["settings"]["on_expiry"], "done");
}

// Promise: explain.gives_up
TEST(queue_view, details_say_when_a_message_gives_up) {
    auto queue = busy_queue();
    queue.settings.attempts = 4;
    queue.settings.backoff = 10s;
    queue.settings.backoff_max = 15s;
    EXPECT_THAT(queue_details_text(queue, {}, now, false),
                HasSubstr("gives up      after 4 attempts in about 40s\n"));
    queue.settings.attempts = 1;
    EXPECT_THAT(queue_details_text(queue, {}, now, false),
                HasSubstr("gives up      after 1 attempt in about 0s\n"));
}

pattern_info billing_pattern() {
    pattern_info of;
    of.pattern = "orders.*/billing";
    of.mode = delivery_mode::keyed;
    of.settings.attempts = 5;
    of.created = now - 60s;
    of.queues = 1200;
    of.consumers = 2;
    return of;
}

TEST(pattern_view, members_are_a_contract) {
    const json row = pattern_row(billing_pattern());
    EXPECT_THAT(members(row), ElementsAre("pattern", "queue", "mode", "queues", "consumers",
                                          "created", "settings"));
    EXPECT_EQ(row["pattern"], "orders.*");
    EXPECT_EQ(row["queue"], "billing");
    EXPECT_EQ(row["queues"], 1200);
    EXPECT_EQ(row["settings"]["attempts"], 5);
}

TEST(pattern_view, human_units_in_the_table) {
    EXPECT_EQ(table(pattern_columns(), pattern_row(billing_pattern())),
              "PATTERN           MODE   QUEUES  CONSUMERS  LEASE  ATTEMPTS\n"
              "orders.*/billing  keyed    1200          2    30s         5\n");
}

TEST(pattern_view, a_filter_is_shown_where_there_is_one) {
    pattern_info of = billing_pattern();
    of.settings.filter = "has key";
    EXPECT_THAT(table(pattern_columns(), pattern_row(of)),
                AllOf(HasSubstr("  FILTER\n"), HasSubstr("  has key\n")));
}

TEST(pattern_view, details_name_settings_as_the_options_do) {
    const auto text = pattern_details_text(billing_pattern(), now, false);
    for (const auto* line :
         {"pattern        orders.*/billing\n", "mode           keyed\n", "queues         1200\n",
          "consumers      2\n", "attempts       5\n", "after-failure  block\n"}) {
        EXPECT_THAT(text, HasSubstr(line));
    }
}

TEST(queue_view, details_have_filter_and_end_of_a_queue_with_one) {
    auto queue = busy_queue();
    EXPECT_THAT(queue_details_text(queue, {}, now, false),
                AllOf(Not(HasSubstr("filter")), Not(HasSubstr("until"))));
    EXPECT_EQ(queue_details(queue, {}, now)["settings"]["filter"], "");
    EXPECT_EQ(queue_details(queue, {}, now)["settings"]["until"], 0);
    queue.settings.filter = "header.country = 'DE'";
    queue.settings.until = 812;
    EXPECT_THAT(queue_details_text(queue, {}, now, false),
                AllOf(HasSubstr("filter        header.country = 'DE'\n"),
                      HasSubstr("until         orders@812\n")));
    EXPECT_EQ(queue_details(queue, {}, now)["settings"]["filter"], "header.country = 'DE'");
    EXPECT_EQ(queue_details(queue, {}, now)["settings"]["until"], 812);
}

TEST(queue_view, settings_of_the_contract) {
    EXPECT_THAT(members(settings_json(queue_options{})),
                ElementsAre("lease_seconds", "attempts", "backoff_seconds", "backoff_max_seconds",
                            "max_retrying", "max_runs", "jitter_percent", "after_failure",
                            "expires_seconds", "on_expiry", "filter", "until"));
}

TEST(topic_view, members_of_the_contract) {
    topic_info topic;
    topic.topic = "orders";
    topic.first_offset = 5;
    topic.next_offset = 812;
    topic.messages = 807;
    topic.bytes = 1536;
    topic.queues = 2;
    topic.scheduled = 3;
    topic.scheduled_bytes = 1536;
    topic.pending = 800;
    topic.pending_bytes = 1024;
    const json row = topic_row(topic);
    EXPECT_THAT(members(row), ElementsAre("topic", "first_offset", "next_offset", "messages",
                                          "bytes", "queues", "in_per_second", "scheduled",
                                          "scheduled_bytes", "pending", "pending_bytes", "dropped",
                                          "dropped_bytes", "last_dropped", "settings"));
    EXPECT_EQ(table(topic_columns(), row),
              "TOPIC   MESSAGES    BYTES  FIRST  NEXT  PENDING  IN/s  QUEUES  SCHEDULED\n"
              "orders       807  1.50KiB      5   812      800     0       2          3\n");
    EXPECT_THAT(topic_details_text(topic, now, false),
                HasSubstr("scheduled          3 messages (1.50KiB)\n"));
    topic.scheduled = 0;
    EXPECT_THAT(topic_details_text(topic, now, false), HasSubstr("scheduled          0\n"));
}

TEST(topic_view, details_name_settings_as_the_options_do) {
    topic_info topic;
    topic.settings.keep_done = 1h;
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("keep-done          1h\n"), HasSubstr("ttl                none\n")));
    EXPECT_EQ(topic_details(topic)["settings"].dump(),
              R"({"keep_done_seconds":3600,"max_message_bytes":1048576,"ttl_seconds":0,)"
              R"("durability":"disk","message_id_window_seconds":86400,"keep_done_bytes":0,)"
              R"("max_bytes":0,"max_messages":0,"when_full":"refuse","max_age_seconds":0,)"
              R"("priorities":1})");
    topic.settings.ttl = 90s;
    EXPECT_THAT(topic_details_text(topic, now, false), HasSubstr("ttl                1min30s\n"));
    EXPECT_EQ(topic_details(topic)["settings"]["ttl_seconds"], 90);
}

TEST(topic_view, details_say_how_safe_it_is_and_how_long_ids_are_remembered) {
    topic_info topic;
    EXPECT_THAT(topic_details_text(topic, now, false), AllOf(HasSubstr("durability         disk\n"),
                                                             HasSubstr("message-id-window  1d\n")));
    topic.settings.durability = durability_level::os;
    topic.settings.message_id_window = 0s;
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("durability         os\n"), HasSubstr("message-id-window  none\n")));
    EXPECT_EQ(topic_details(topic)["settings"]["durability"], "os");
    EXPECT_EQ(topic_details(topic)["settings"]["message_id_window_seconds"], 0);
}

topic_info bounded_topic() {
    topic_info topic;
    topic.topic = "orders";
    topic.pending = 812;
    topic.pending_bytes = 512 * 1024;
    topic.settings.max_messages = 1000;
    topic.settings.max_bytes = 1024 * 1024;
    return topic;
}

TEST(topic_view, the_table_shows_the_bound_that_is_nearer) {
    auto topic = bounded_topic();
    EXPECT_THAT(table(topic_columns(), topic_row(topic)), HasSubstr("  812 of 1000  "));
    topic.pending_bytes = 990 * 1024;
    EXPECT_THAT(table(topic_columns(), topic_row(topic)), HasSubstr("  990KiB of 1MiB  "));
    topic.settings.max_bytes = 0;
    EXPECT_THAT(table(topic_columns(), topic_row(topic)), HasSubstr("  812 of 1000  "));
    topic.settings.max_messages = 0;
    topic.settings.max_bytes = std::uint64_t{10} << 30U;
    EXPECT_THAT(table(topic_columns(), topic_row(topic)), HasSubstr("  990KiB of 10GiB  "));
}

TEST(topic_view, a_topic_that_will_refuse_soon_stands_out) {
    auto topic = bounded_topic();
    const auto stands_out = [](const topic_info& of) {
        const json row = topic_row(of);
        return render_table(topic_columns(), std::span{&row, 1}, true).find("\x1b[33m") !=
                   std::string::npos &&
               topic_details_text(of, now, true).find("\x1b[33m") != std::string::npos;
    };
    EXPECT_FALSE(stands_out(topic));
    topic.pending = 900;
    EXPECT_TRUE(stands_out(topic));
    topic.settings.when_full = overflow_policy::drop_oldest;
    EXPECT_FALSE(stands_out(topic));
    topic.dropped = 1;
    topic.last_dropped = now;
    EXPECT_TRUE(stands_out(topic));
}

TEST(topic_view, details_say_what_is_pending_of_what_may_be) {
    auto topic = bounded_topic();
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("pending            812 of 1000 messages, 512KiB of 1MiB\n"),
              HasSubstr("max-messages       1000\n"), HasSubstr("max-bytes          1MiB\n"),
              HasSubstr("when-full          refuse\n"), HasSubstr("max-age            none\n"),
              HasSubstr("priorities         1\n")));
    topic.settings.max_bytes = 0;
    EXPECT_THAT(topic_details_text(topic, now, false),
                HasSubstr("pending            812 of 1000 messages, 512KiB\n"));
    topic.settings.max_messages = 0;
    topic.settings.max_age = 168h;
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("pending            812 messages, 512KiB\n"),
              HasSubstr("max-messages       none\n"), HasSubstr("max-bytes          none\n"),
              HasSubstr("max-age            7d\n")));
    EXPECT_EQ(topic_details(topic)["settings"]["max_age_seconds"], 604'800);
}

TEST(topic_view, what_was_dropped_is_told_with_its_time) {
    auto topic = bounded_topic();
    EXPECT_THAT(topic_details_text(topic, now, false), HasSubstr("dropped            0\n"));
    EXPECT_TRUE(topic_row(topic)["last_dropped"].is_null());
    EXPECT_THAT(table(topic_columns(), topic_row(topic)), Not(HasSubstr("DROPPED")));
    topic.dropped = 188;
    topic.dropped_bytes = 1536;
    topic.last_dropped = now - 90s;
    EXPECT_THAT(topic_details_text(topic, now, false),
                HasSubstr("dropped            188 messages (1.50KiB), last "
                          "2026-03-01T11:58:30.000000Z (1min30s ago)\n"));
    const json row = topic_row(topic);
    EXPECT_EQ(row["dropped"], 188);
    EXPECT_EQ(row["dropped_bytes"], 1536);
    EXPECT_EQ(row["last_dropped"], "2026-03-01T11:58:30.000000Z");
    EXPECT_THAT(table(topic_columns(), row),
                AllOf(HasSubstr("  DROPPED  "), HasSubstr("      188  ")));
}

TEST(topic_view, what_is_done_may_be_kept_by_bytes_alone) {
    topic_info topic;
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("keep-done          0s\n"), HasSubstr("keep-done-bytes    none\n")));
    topic.settings.keep_done_bytes = std::uint64_t{1} << 30U;
    EXPECT_THAT(
        topic_details_text(topic, now, false),
        AllOf(HasSubstr("keep-done          any age\n"), HasSubstr("keep-done-bytes    1GiB\n")));
    topic.settings.keep_done = 168h;
    EXPECT_THAT(topic_details_text(topic, now, false), HasSubstr("keep-done          7d\n"));
}

TEST(schedule_view, row_and_table_agree) {
    schedule_info schedule;
    schedule.id = 17;
    schedule.due = now + 2h + 30min + 250ms;
    schedule.messages = 1;
    schedule.bytes = 1536;
    schedule.key = "ann";
    const json row = schedule_row("orders", schedule, now);
    EXPECT_THAT(members(row),
                ElementsAre("topic", "schedule", "due", "due_seconds", "messages", "bytes", "key"));
    EXPECT_EQ(row["due"], "2026-03-01T14:30:00.250000Z");
    EXPECT_EQ(row["due_seconds"], 9000.25);
    EXPECT_EQ(row["bytes"], 1536);
    EXPECT_EQ(table(schedule_columns(), row),
              "ID  DUE                        IN  MESSAGES    BYTES  KEY\n"
              "17  2026-03-01T14:30:00Z  2h30min         1  1.50KiB  ann\n");
}

TEST(schedule_view, what_is_due_and_keys_of_any_kind) {
    schedule_info schedule;
    schedule.due = now - 5s;
    const json late = schedule_row("orders", schedule, now);
    EXPECT_EQ(late["due_seconds"], 0.0);
    EXPECT_TRUE(late["key"].is_null());
    EXPECT_THAT(table(schedule_columns(), late), HasSubstr("  0s         0     0B  -\n"));
    schedule.key = "\xff";
    const json bytes = schedule_row("orders", schedule, now);
    EXPECT_FALSE(bytes.contains("key"));
    EXPECT_EQ(bytes["key_base64"], "/w==");
    EXPECT_THAT(table(schedule_columns(), bytes), HasSubstr("  base64 /w==\n"));
    schedule.key = "\x1b[2J";
    EXPECT_THAT(table(schedule_columns(), schedule_row("orders", schedule, now)),
                HasSubstr("  \\x1b[2J\n"));
}

TEST(dead_view, by_reason_as_in_the_readme) {
    const json row{{"topic", "orders"}, {"queue", "billing"},    {"reason", "no such card"},
                   {"count", 1},        {"oldest_seconds", 1.2}, {"sample", "orders@0"}};
    EXPECT_EQ(table(dead_reason_columns(), row),
              "QUEUE           REASON        COUNT  OLDEST  SAMPLE\n"
              "orders/billing  no such card      1      1s  orders@0\n");
}

// Promise: limits.names
TEST(dead_view, reasons_cannot_act_upon_the_terminal) {
    const dead_message message{812, now - 3s, 16, "\x1b[2Jgone", "w@host:1"};
    EXPECT_EQ(table(dead_columns(), dead_row("orders", "billing", message, now)),
              "MESSAGE     QUEUE           ATTEMPTS  DEAD FOR  REASON       CONSUMER\n"
              "orders@812  orders/billing        16        3s  \\x1b[2Jgone  w@host:1\n");
}

TEST(consumer_view, row_and_table_agree) {
    consumer_info consumer;
    consumer.topic = "orders";
    consumer.queue = "billing";
    consumer.name = "worker@host:812";
    consumer.connection = 7;
    consumer.prefetch_messages = 256;
    consumer.leased = 3;
    consumer.leased_bytes = 300;
    consumer.delivered = 12;
    consumer.attached = now - 61s;
    EXPECT_EQ(table(consumer_columns(), consumer_row(consumer, now)),
              "CONSUMER         QUEUE           LEASED  BYTES  PREFETCH  DELIVERED  ROLE    "
              "ATTACHED  CONNECTION\n"
              "worker@host:812  orders/billing       3   300B       256         12  active  "
              "  1min1s           7\n");
    consumer.standby = true;
    EXPECT_EQ(consumer_row(consumer, now)["role"], "standby");
}

TEST(connection_view, row_and_table_agree) {
    connection_info connection;
    connection.connection = 7;
    connection.name = "worker@host:812";
    connection.address = "127.0.0.1:50000";
    connection.connected = now - 1h;
    EXPECT_EQ(table(connection_columns(), connection_row(connection, now)),
              "CONNECTION  CLIENT           ADDRESS          CONSUMERS  IN  OUT  OUTBOX  CREDIT  "
              "CONNECTED\n"
              "         7  worker@host:812  127.0.0.1:50000          0  0B   0B      0B       0  "
              "       1h\n");
}

TEST(stat_view, whole_numbers_are_whole) {
    EXPECT_EQ(stat_row({"commits", 12, "synced commits"})["value"].dump(), "12");
    EXPECT_EQ(stat_row({"latency_seconds", 0.25, "of a commit"})["value"].dump(), "0.25");
}

}  // namespace
}  // namespace brokerd::ctl
