// Settings as options: only what is given counts.
#include "tools/brokerctl/settings.hpp"

#include <gtest/gtest.h>

namespace brokerd::ctl {
namespace {

using namespace std::chrono_literals;

TEST(settings, only_what_is_given_is_applied) {
    topic_changes changes;
    EXPECT_TRUE(changes.empty());
    changes.keep_done = 168h;
    EXPECT_FALSE(changes.empty());
    topic_options settings{.keep_done = 5s, .max_message_bytes = 77, .ttl = 9s};
    changes.apply_to(settings);
    EXPECT_EQ(settings, (topic_options{.keep_done = 168h, .max_message_bytes = 77, .ttl = 9s}));
    EXPECT_EQ(changes.text(), "keep-done 7d");
}

TEST(settings, all_settings_of_a_topic) {
    const topic_changes changes{.keep_done = 1h,
                                .max_message_bytes = 4096,
                                .ttl = 90s,
                                .durability = durability_level::os,
                                .message_id_window = 2h};
    topic_options settings;
    changes.apply_to(settings);
    EXPECT_EQ(settings, (topic_options{.keep_done = 1h,
                                       .max_message_bytes = 4096,
                                       .ttl = 90s,
                                       .durability = durability_level::os,
                                       .message_id_window = 2h}));
    EXPECT_EQ(changes.text(),
              "keep-done 1h, max-message-bytes 4KiB, ttl 1min30s, durability os, "
              "message-id-window 2h");
    EXPECT_EQ(changes.conflict(settings), "");
    EXPECT_EQ(changes.conflict(topic_options{.keep_done = 1h, .max_message_bytes = 4096}),
              "ttl 0s, not 1min30s; durability disk, not os; message-id-window 1d, not 2h");
    // None is a value, too.
    topic_changes none;
    none.ttl = 0s;
    none.message_id_window = 0s;
    EXPECT_FALSE(none.empty());
    EXPECT_EQ(none.conflict(settings), "ttl 1min30s, not 0s; message-id-window 2h, not 0s");
    none.apply_to(settings);
    EXPECT_EQ(settings.ttl, 0s);
    EXPECT_EQ(settings.message_id_window, 0s);
}

TEST(settings, levels_of_priority) {
    const topic_changes changes{.priorities = 3};
    topic_options settings;
    changes.apply_to(settings);
    EXPECT_EQ(settings, topic_options{.priorities = 3});
    EXPECT_EQ(changes.text(), "priorities 3");
    EXPECT_EQ(changes.conflict(settings), "");
    EXPECT_EQ(changes.conflict(topic_options{.priorities = 1}), "priorities 1, not 3");
}

TEST(settings, all_bounds_of_a_topic) {
    const topic_changes changes{.keep_done_bytes = std::uint64_t{1} << 30U,
                                .max_bytes = std::uint64_t{10} << 30U,
                                .max_messages = 1000,
                                .when_full = overflow_policy::drop_oldest,
                                .max_age = 168h};
    topic_options settings{.keep_done = 5s, .ttl = 9s};
    changes.apply_to(settings);
    EXPECT_EQ(settings, (topic_options{.keep_done = 5s,
                                       .ttl = 9s,
                                       .keep_done_bytes = std::uint64_t{1} << 30U,
                                       .max_bytes = std::uint64_t{10} << 30U,
                                       .max_messages = 1000,
                                       .when_full = overflow_policy::drop_oldest,
                                       .max_age = 168h}));
    EXPECT_EQ(changes.text(),
              "keep-done-bytes 1GiB, max-messages 1000, max-bytes 10GiB, when-full drop-oldest, "
              "max-age 7d");
    EXPECT_EQ(changes.conflict(settings), "");
    EXPECT_EQ(changes.conflict(topic_options{}),
              "keep-done-bytes none, not 1GiB; max-messages none, not 1000; max-bytes none, not "
              "10GiB; when-full refuse, not drop-oldest; max-age none, not 7d");
    // None is a value, too.
    topic_changes none;
    none.keep_done_bytes = 0;
    none.max_bytes = 0;
    none.max_messages = 0;
    none.max_age = 0s;
    EXPECT_EQ(none.text(), "keep-done-bytes none, max-messages none, max-bytes none, max-age none");
    none.apply_to(settings);
    EXPECT_EQ(
        settings,
        (topic_options{.keep_done = 5s, .ttl = 9s, .when_full = overflow_policy::drop_oldest}));
}

TEST(settings, all_settings_of_a_queue) {
    const queue_changes changes{.lease = 2min,
                                .attempts = 5,
                                .backoff = 100ms,
                                .backoff_max = 1h,
                                .max_retrying = 10,
                                .max_runs = 20,
                                .jitter_percent = 0,
                                .after_failure = failure_policy::skip,
                                .expires = 1h,
                                .on_expiry = expiry_policy::dead,
                                .filter = "has key",
                                .until = 812};
    queue_options settings;
    changes.apply_to(settings);
    EXPECT_EQ(settings, (queue_options{.lease = 2min,
                                       .attempts = 5,
                                       .backoff = 100ms,
                                       .backoff_max = 1h,
                                       .max_retrying = 10,
                                       .max_runs = 20,
                                       .jitter_percent = 0,
                                       .after_failure = failure_policy::skip,
                                       .expires = 1h,
                                       .on_expiry = expiry_policy::dead,
                                       .filter = "has key",
                                       .until = 812}));
    EXPECT_EQ(changes.text(),
              "lease 2min, attempts 5, backoff 100ms, backoff-max 1h, max-retrying 10, "
              "max-runs 20, jitter 0%, after-failure skip, expires 1h, on-expiry dead, "
              "filter \"has key\", until 812");
    EXPECT_EQ(changes.conflict(settings), "");
}

TEST(settings, no_filter_and_no_end_are_values_too) {
    queue_changes none;
    none.filter = "";
    none.until = 0;
    EXPECT_FALSE(none.empty());
    EXPECT_EQ(none.text(), "filter none, until none");
    queue_options settings{.filter = "header.country = 'DE'", .until = 812};
    EXPECT_EQ(none.conflict(settings),
              "filter \"header.country = 'DE'\", not none; until 812, not none");
    none.apply_to(settings);
    EXPECT_EQ(settings, queue_options{});

    queue_changes other;
    other.filter = "has key";
    EXPECT_EQ(other.conflict(settings), "filter none, not \"has key\"");
    EXPECT_EQ(queue_changes{}.conflict({.filter = "has key", .until = 1}), "");
}

TEST(settings, only_what_is_given_can_conflict) {
    const topic_options in_force{.keep_done = 0s, .max_message_bytes = 4096, .ttl = 0s};
    EXPECT_EQ(topic_changes{}.conflict(in_force), "");
    topic_changes asked;
    asked.keep_done = 0s;
    EXPECT_EQ(asked.conflict(in_force), "");
    asked.keep_done = 1h;
    asked.max_message_bytes = 4096;
    EXPECT_EQ(asked.conflict(in_force), "keep-done 0s, not 1h");
    asked.max_message_bytes = 512;
    EXPECT_EQ(asked.conflict(in_force), "keep-done 0s, not 1h; max-message-bytes 4KiB, not 512B");
}

}  // namespace
}  // namespace brokerd::ctl
