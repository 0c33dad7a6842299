// Counting what is ready by level of priority: from memory, from the store, around what is leased,
// done, retrying or due again, in slices.
#include <gmock/gmock.h>

#include "tests/unit/domain/levels_fixture.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;

class level_counts_test : public levels_fixture {
protected:
    explicit level_counts_test(const domain_options& options = {}, std::uint8_t priorities = 3)
        : levels_fixture(priorities, options) {
        h.make_queue("t/q", {.backoff = 10s, .jitter_percent = 0});
    }

    codec::queue_levels_counted slice(offset_t from) {
        return h.ask<codec::queue_levels_counted>(
            h.admin, codec::queue_levels{.queue = "t/q", .from = from});
    }
    // All slices together, the lowest level first.
    std::vector<std::uint64_t> counts() {
        std::vector<std::uint64_t> sum;
        slices = 0;
        codec::queue_levels_counted part{.more = true};
        while (part.more && slices < 1000) {
            part = slice(part.next);
            sum.resize(part.levels.size());
            for (std::size_t i = 0; i < part.levels.size(); ++i) {
                EXPECT_EQ(part.levels[i].level, i);
                sum[i] += part.levels[i].ready;
            }
            ++slices;
        }
        due = part.due;
        EXPECT_EQ(part.next, h.topic_info("t").next_offset);
        return sum;
    }

    std::size_t slices = 0;
    std::uint64_t due = 0;
};

// Promise: priority.counts
TEST_F(level_counts_test, are_told_apart_and_the_highest_takes_what_is_above_it) {
    EXPECT_THAT(counts(), ElementsAre(0U, 0U, 0U));
    publish_singly(0, 4);
    publish_singly(2, 2);
    publish_singly(1, 1);
    publish_singly(9, 3);
    publish_singly(0, 1);
    EXPECT_THAT(counts(), ElementsAre(5U, 1U, 5U));
    EXPECT_EQ(slices, 1U);
    EXPECT_EQ(due, 0U);
}

TEST_F(level_counts_test, leave_out_what_is_leased_done_or_dead) {
    publish_singly(0, 3);
    publish_singly(2, 3);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 6).queue;
    const auto got = h.deliveries(one);
    ASSERT_EQ(got.size(), 6U);
    EXPECT_THAT(counts(), ElementsAre(0U, 0U, 0U));
    h.settle(one, q, settle_action::ack, {run_of(got[0])});
    h.settle(one, q, settle_action::reject, {run_of(got[1])});
    h.ask<codec::ok>(h.admin, codec::queue_pause{.queue = "t/q", .paused = true});
    h.close(one, true);
    const auto counted = counts();
    EXPECT_EQ(counted[0] + counted[1] + counted[2], h.queue_info("t/q").ready);
    EXPECT_EQ(counted[0] + counted[2], 4U);
}

TEST_F(level_counts_test, tell_what_failed_before_apart_from_them) {
    publish_singly(0, 2);
    publish_singly(1, 1);
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q", 3).queue;
    const auto got = h.deliveries(one);
    ASSERT_EQ(got.size(), 3U);
    h.settle(one, q, settle_action::nack, runs_of(got));
    h.close(one, true);
    publish_singly(2, 1);
    EXPECT_THAT(counts(), ElementsAre(0U, 0U, 1U));
    EXPECT_EQ(due, 0U);
    h.pass(11s);
    EXPECT_THAT(counts(), ElementsAre(0U, 0U, 1U));
    EXPECT_EQ(due, 3U);
    EXPECT_EQ(h.queue_info("t/q").ready, 4U);
}

TEST_F(level_counts_test, are_as_before_after_a_restart) {
    publish_singly(0, 2);
    publish_singly(1, 3);
    h.restart();
    EXPECT_THAT(counts(), ElementsAre(2U, 3U, 0U));
}

TEST_F(level_counts_test, of_what_is_not_there_are_refused) {
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_levels{.queue = "t/none"}).code,
              error_code::queue_not_found);
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_levels{.queue = "none"}).code,
              error_code::invalid_name);
}

TEST_F(level_counts_test, end_where_the_topic_ends_wherever_they_begin) {
    publish_singly(1, 3);
    EXPECT_EQ(slice(2).levels[1].ready, 1U);
    const auto beyond = slice(offset_end);
    EXPECT_EQ(beyond.levels[1].ready, 0U);
    EXPECT_FALSE(beyond.more);
}

TEST_F(level_counts_test, in_memory_a_slice_looks_at_a_bounded_number_of_chunks) {
    constexpr std::uint32_t pairs = 5001;
    for (std::uint32_t i = 0; i < pairs; ++i) {
        publish_singly(0, 1);
        publish_singly(2, 1);
    }
    EXPECT_THAT(counts(), ElementsAre(pairs, 0U, pairs));
    EXPECT_EQ(slices, 2U);
}

// One level: nothing is looked at, whatever the messages say.
class one_level_test : public level_counts_test {
protected:
    one_level_test() : level_counts_test({.cache_bytes_max = 0}, 0) {}
};

TEST_F(one_level_test, is_told_without_reading) {
    publish_singly(0, 2);
    publish_singly(9, 2);
    h.store.failing = true;
    EXPECT_THAT(counts(), ElementsAre(4U));
}

// Chunks of a few messages, none of them in memory.
class level_counts_in_log : public level_counts_test {
protected:
    level_counts_in_log() : level_counts_test({.cache_bytes_max = 0, .read_ahead_bytes = 1}) {}

    // Of about 100 KiB.
    void publish_large(std::uint8_t priority) { publish(priority, {std::string(100'000, 'x')}); }
};

// Promise: priority.counts
TEST_F(level_counts_in_log, are_read_in_slices) {
    for (int i = 0; i < 40; ++i) {
        publish_large(i % 4 == 0 ? 2 : 0);
    }
    publish_singly(0, 1);  // what the last commits hold is in memory in any case
    publish_singly(0, 1);
    publish_singly(0, 1);
    EXPECT_THAT(counts(), ElementsAre(33U, 0U, 10U));
    EXPECT_GE(slices, 4U) << "of a MiB each";
}

TEST_F(level_counts_in_log, do_not_read_what_is_not_ready) {
    for (int i = 0; i < 40; ++i) {
        publish_large(0);
    }
    publish_singly(1, 3);
    EXPECT_EQ(
        h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q", .until = 38}).messages,
        38U);
    const auto reads = h.fetches_answered;
    EXPECT_THAT(counts(), ElementsAre(2U, 3U, 0U));
    EXPECT_LE(h.fetches_answered - reads, 2U);
}

TEST_F(level_counts_in_log, count_as_it_is_when_the_chunks_are_there) {
    publish_singly(1, 5);
    publish_singly(0, 3);
    h.hold_fetches = true;
    const auto id = h.send(h.admin, codec::queue_levels{.queue = "t/q"});
    EXPECT_FALSE(h.answer_to(h.admin, id));
    h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q", .until = 2});
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    const auto& counted = std::get<codec::queue_levels_counted>(answer->body);
    EXPECT_EQ(counted.levels[1].ready, 3U);
}

TEST_F(level_counts_in_log, tell_what_cannot_be_read) {
    publish_singly(1, 5);
    h.store.log_lost = true;
    const auto refused = h.ask_refused(h.admin, codec::queue_levels{.queue = "t/q"});
    EXPECT_EQ(refused.code, error_code::storage_failed);
    EXPECT_EQ(refused.text, "t@0 is not in the log");
    h.store.failing = true;
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_levels{.queue = "t/q"}).code,
              error_code::storage_failed);
}

TEST_F(level_counts_in_log, of_a_queue_that_goes_meanwhile_are_refused) {
    publish_singly(1, 5);
    h.hold_fetches = true;
    const auto id = h.send(h.admin, codec::queue_levels{.queue = "t/q"});
    h.ask<codec::ok>(h.admin, codec::queue_remove{.queue = "t/q"});
    h.hold_fetches = false;
    h.run();
    const auto answer = h.answer_to(h.admin, id);
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::get<codec::error>(answer->body).code, error_code::queue_removed);
}

}  // namespace
}  // namespace brokerd::domain::test
