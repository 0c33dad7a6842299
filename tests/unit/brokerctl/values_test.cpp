// What people may write on the command line, and what is said about the rest.
#include "tools/brokerctl/values.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/brokerctl/fixed_time.hpp"

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(durations, are_those_of_the_broker) {
    EXPECT_EQ(parse_duration("100ms"), 100ms);
    EXPECT_EQ(parse_duration("10min"), 10min);
    EXPECT_EQ(parse_duration("10m"), 10min);
    EXPECT_EQ(parse_duration("1h30min"), 90min);
    EXPECT_THAT(parse_duration("7").error(), HasSubstr("\"7\" has no unit; write"));
    EXPECT_THAT(parse_duration("soon").error(), HasSubstr("100ms"));
}

TEST(durations, waiting_times_may_be_plain_seconds) {
    EXPECT_EQ(parse_seconds("6"), 6s);
    EXPECT_EQ(parse_seconds("0.5"), 500ms);
    EXPECT_EQ(parse_seconds("2min"), 2min);
    EXPECT_FALSE(parse_seconds("-1"));
    EXPECT_FALSE(parse_seconds("soon"));
}

TEST(sizes, units) {
    EXPECT_EQ(parse_size("512"), 512U);
    EXPECT_EQ(parse_size("512B"), 512U);
    EXPECT_EQ(parse_size("64KiB"), 65536U);
    EXPECT_EQ(parse_size("1.5MiB"), 1572864U);
    EXPECT_EQ(parse_size("2GiB"), 2147483648U);
    EXPECT_EQ(parse_size("64KB"), 64000U);
    EXPECT_EQ(parse_size("18446744073709551615"), 18446744073709551615U);
}

TEST(sizes, refused) {
    for (const auto* text : {"", "KiB", "-1", "1kb", "1 MiB", "99999999TiB"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
}

TEST(bounds, are_numbers_and_0_is_none) {
    EXPECT_EQ(parse_bound("0"), 0U);
    EXPECT_EQ(parse_bound("1000000"), 1'000'000U);
    for (const auto* text : {"", "-1", "1k", "1.5", "none", "18446744073709551616"}) {
        EXPECT_FALSE(parse_bound(text)) << text;
    }
    EXPECT_THAT(parse_bound("many").error(), HasSubstr("\"many\" is no bound"));
}

TEST(priorities, of_messages_and_topics) {
    EXPECT_EQ(parse_priority("0"), 0);
    EXPECT_EQ(parse_priority("9"), 9);
    EXPECT_EQ(parse_priorities("1"), 1);
    EXPECT_EQ(parse_priorities("10"), 10);
    for (const auto* text : {"", "-1", "10", "1.5", "high", "256", "+1"}) {
        EXPECT_FALSE(parse_priority(text)) << text;
    }
    for (const auto* text : {"", "0", "-1", "11", "two", "257"}) {
        EXPECT_FALSE(parse_priorities(text)) << text;
    }
    EXPECT_THAT(parse_priority("10").error(), HasSubstr("\"10\" is no priority"));
}

TEST(times, rfc3339) {
    EXPECT_EQ(parse_time("2026-03-01T12:00:00Z", now), now);
    EXPECT_EQ(parse_time("2026-03-01T12:00:00.25Z", now), now + 250ms);
    EXPECT_EQ(parse_time("2026-03-01T12:00:00.123456789Z", now), now + 123456us);
    EXPECT_EQ(parse_time("2026-03-01T14:30:00+02:30", now), now);
    EXPECT_EQ(parse_time("2026-03-01T07:00:00-05:00", now), now);
    EXPECT_EQ(parse_time("2026-03-01 12:00:00z", now), now);
}

TEST(times, relative) {
    EXPECT_EQ(parse_time("-10min", now), now - 10min);
    EXPECT_EQ(parse_time("now", now), now);
}

TEST(times, refused) {
    for (const auto* text :
         {"", "10min", "-10", "yesterday", "2026-03-01", "2026-03-01T12:00:00",
          "2026-02-30T12:00:00Z", "2026-03-01T25:00:00Z", "2026-03-01T12:00:00.Z",
          "2026-03-01T12:00:00+0230", "2026-13-01T12:00:00Z"}) {
        EXPECT_FALSE(parse_time(text, now)) << text;
    }
}

TEST(times, when_something_is_due) {
    EXPECT_EQ(parse_due("2026-03-01T12:00:00Z"), now);
    EXPECT_EQ(parse_due("2026-03-01T13:00:00.5+01:00"), now + 500ms);
    EXPECT_EQ(parse_due("1970-01-01T00:00:00Z"), timestamp());
    EXPECT_TRUE(parse_due("9999-12-31T23:59:59Z"));
    for (const auto* text : {"", "now", "-10min", "10min", "1969-12-31T23:59:59Z", "2026-03-01"}) {
        EXPECT_FALSE(parse_due(text)) << text;
    }
}

TEST(schedules, ids) {
    EXPECT_EQ(parse_schedule_id("17"), 17U);
    EXPECT_EQ(parse_schedule_id("18446744073709551615"), UINT64_MAX);
    for (const auto* text : {"", "-1", "x", "1x", "0x1", "18446744073709551616"}) {
        EXPECT_FALSE(parse_schedule_id(text)) << text;
    }
}

TEST(positions, forms) {
    EXPECT_EQ(parse_position("earliest", now), log_position::earliest());
    EXPECT_EQ(parse_position("latest", now), log_position::latest());
    EXPECT_EQ(parse_position("812", now), log_position::at_offset(812));
    EXPECT_EQ(parse_position("@812", now), log_position::at_offset(812));
    EXPECT_EQ(parse_position("-1h", now), log_position::at_time(now - 1h));
    EXPECT_EQ(parse_position("2026-03-01T12:00:00Z", now), log_position::at_time(now));
    EXPECT_FALSE(parse_position("first", now));
}

TEST(positions, ends_of_queues) {
    EXPECT_EQ(parse_end("latest", now), log_position::latest());
    EXPECT_EQ(parse_end("812", now), log_position::at_offset(812));
    EXPECT_EQ(parse_end("@1", now), log_position::at_offset(1));
    EXPECT_EQ(parse_end("-1h", now), log_position::at_time(now - 1h));
    EXPECT_EQ(parse_end("now", now), log_position::at_time(now));
    EXPECT_EQ(parse_end("2026-03-01T12:00:00Z", now), log_position::at_time(now));
    for (const auto* text : {"2026-03-01T12:00:00.000001Z", "2999-01-01T00:00:00Z"}) {
        EXPECT_THAT(parse_end(text, now).error(),
                    HasSubstr("is still to come; a queue can end at an offset or at a time that "
                              "has passed"));
    }
    // 0 would mean no end.
    for (const auto* text : {"0", "@0", "earliest"}) {
        EXPECT_THAT(parse_end(text, now).error(), HasSubstr("nothing before it"));
    }
    for (const auto* text : {"", "first", "-1", "1h", "tomorrow"}) {
        EXPECT_THAT(parse_end(text, now).error(), HasSubstr("is no end; write")) << text;
    }
}

TEST(offsets, forms) {
    EXPECT_EQ(parse_offset("0"), 0U);
    EXPECT_EQ(parse_offset("@812"), 812U);
    EXPECT_EQ(parse_offset("18446744073709551615"), UINT64_MAX);
    for (const auto* text : {"", "@", "@@1", "-1", "1h", "latest", "18446744073709551616"}) {
        EXPECT_FALSE(parse_offset(text)) << text;
    }
}

TEST(addresses, forms) {
    EXPECT_EQ(parse_address("orders.eu@812"), (address{"orders.eu", 812}));
    for (const auto* text : {"orders", "orders@", "@812", "orders@-1", "orders@8x", ""}) {
        EXPECT_FALSE(parse_address(text)) << text;
    }
    EXPECT_EQ(parse_queue_target("orders/billing"), (queue_target{"orders/billing", {}}));
    EXPECT_EQ(parse_queue_target("orders/billing@7"), (queue_target{"orders/billing", 7}));
    for (const auto* text : {"orders", "orders@7", "orders/billing@", "orders/billing@x"}) {
        EXPECT_FALSE(parse_queue_target(text)) << text;
    }
}

TEST(headers, name_and_value) {
    EXPECT_EQ(parse_header("trace=1"), (header{"trace", "1"}));
    EXPECT_EQ(parse_header("q=a=b"), (header{"q", "a=b"}));
    EXPECT_EQ(parse_header("empty="), (header{"empty", ""}));
    EXPECT_FALSE(parse_header("trace"));
    EXPECT_FALSE(parse_header("=1"));
}

TEST(servers, host_and_port) {
    EXPECT_EQ(parse_server("127.0.0.1:4650"), "127.0.0.1:4650");
    EXPECT_EQ(parse_server("[::1]:4650"), "[::1]:4650");
    EXPECT_EQ(parse_server("broker.example:1"), "broker.example:1");
    for (const auto* text : {"", "host", "host:", ":4650", "host:0", "host:65536", "::1:4650"}) {
        EXPECT_FALSE(parse_server(text)) << text;
    }
}

}  // namespace
}  // namespace brokerd::ctl
