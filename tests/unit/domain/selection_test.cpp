// Requests that concern some messages of a queue: by filter, range and limit, in slices.
#include <gmock/gmock.h>

#include "protocol/types/limits.hpp"
#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<offset_t> offsets_of(const codec::dead& page) {
    std::vector<offset_t> offsets;
    for (const auto& item : page.items) {
        offsets.push_back(item.offset);
    }
    return offsets;
}

// Six messages with keys a, b, a, b, a, b, the payload of the n-th n bytes long.
class selection_test : public testing::Test {
protected:
    explicit selection_test(domain_options options = {}) : h(options) {
        h.make_queue("t/q", {.backoff = 60s, .jitter_percent = 0});
        for (std::size_t i = 0; i < 6; ++i) {
            h.publish_keyed("t", {{i % 2 == 0 ? "a" : "b", std::string(i, 'x')}});
        }
        one = h.connect();
    }
    void take_all() {
        q = h.attach(one, "t/q").queue;
        got = h.deliveries(one);
        ASSERT_THAT(got, SizeIs(6));
    }
    void reject(std::size_t index, const std::string& reason) {
        h.settle(one, q, settle_action::reject, {run_of(got[index])}, duration_us{-1}, reason);
    }
    void all_dead() {
        take_all();
        for (std::size_t i = 0; i < got.size(); ++i) {
            reject(i, i < 3 ? "card service down" : "no such card");
        }
    }
    std::vector<offset_t> dead(const std::string& filter) {
        return offsets_of(
            h.ask<codec::dead>(h.admin, codec::dead_list{.queue = "t/q", .filter = filter}));
    }
    // All slices of a request.
    template <typename Request>
    std::uint64_t count(Request request) {
        std::uint64_t sum = 0;
        for (bool more = true; more;) {
            const auto slice = h.ask<codec::counted>(h.admin, request);
            sum += slice.messages;
            request.from = slice.position;
            more = slice.more;
        }
        return sum;
    }

    harness h;
    connection_id one;
    queue_id q;
    std::vector<received> got;
};

// Promise: dead.filter
TEST_F(selection_test, lists_the_dead_messages_a_filter_takes) {
    all_dead();
    EXPECT_THAT(dead(""), SizeIs(6));
    EXPECT_THAT(dead("reason like '*down'"), ElementsAre(0, 1, 2));
    EXPECT_THAT(dead("key = 'b' and size >= 3"), ElementsAre(3, 5));
    EXPECT_THAT(dead("attempts = 1 and offset < 2"), ElementsAre(0, 1));
    EXPECT_THAT(dead("state = retrying"), IsEmpty());
    EXPECT_THAT(dead("age >= 0s"), SizeIs(6));
    h.restart();
    EXPECT_THAT(dead("key = 'b' and size >= 3"), ElementsAre(3, 5)) << "from the store as well";
}

// Promise: filter.mistakes
TEST_F(selection_test, says_where_a_filter_is_wrong) {
    const auto refused =
        h.ask_refused(h.admin, codec::dead_redrive{.queue = "t/q", .filter = "key = 'a' und"});
    EXPECT_EQ(refused.code, error_code::invalid_argument);
    EXPECT_THAT(refused.text, HasSubstr("filter, column 11: "));
    EXPECT_EQ(h.ask_refused(h.admin, codec::queue_purge{.queue = "t/q", .filter = "("}).code,
              error_code::invalid_argument);
    EXPECT_EQ(h.queue_info("t/q").ready, 6U);
}

// Promise: dead.filter
TEST_F(selection_test, redrives_and_purges_dead_messages) {
    all_dead();
    const codec::dead_redrive some{.queue = "t/q", .filter = "reason = 'no such card'"};
    auto dry = some;
    dry.dry_run = true;
    EXPECT_EQ(count(dry), 3U);
    EXPECT_EQ(h.queue_info("t/q").dead, 6U);
    EXPECT_EQ(count(some), 3U);
    EXPECT_EQ(h.queue_info("t/q").dead, 3U);
    EXPECT_EQ(count(codec::dead_purge{.queue = "t/q", .filter = "key = 'a'"}), 2U);
    EXPECT_THAT(dead(""), ElementsAre(1));
}

TEST_F(selection_test, a_limit_ends_a_slice) {
    all_dead();
    const auto slice = h.ask<codec::counted>(
        h.admin, codec::dead_redrive{.queue = "t/q", .filter = "key = 'a'", .limit = 2});
    EXPECT_EQ(slice.messages, 2U);
    EXPECT_EQ(slice.position, 3U);
    EXPECT_TRUE(slice.more);
    EXPECT_EQ(count(codec::dead_purge{.queue = "t/q", .limit = 1}), 4U);
}

// Promise: filter.everywhere
TEST_F(selection_test, purges_ready_messages_a_filter_takes) {
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .dry_run = true, .filter = "key = 'a'"}),
              3U);
    EXPECT_EQ(h.queue_info("t/q").ready, 6U);
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .filter = "key = 'a'"}), 3U);
    EXPECT_EQ(h.queue_info("t/q").ready, 3U);
    EXPECT_EQ(h.queue_info("t/q").done, 3U);
    h.restart();
    q = h.attach(one = h.connect(), "t/q").queue;
    got = h.deliveries(one);
    ASSERT_THAT(got, SizeIs(3));
    EXPECT_EQ(got[0].offset, 1U);
}

TEST_F(selection_test, purges_a_range) {
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .from = 1, .until = 3}), 2U);
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .limit = 1}), 4U);
}

// Promise: replay.purge
TEST_F(selection_test, leaves_leased_and_dead_messages_alone) {
    take_all();
    h.settle(one, q, settle_action::release, {run_of(got[0])});
    got = h.deliveries(one);  // leased again
    h.ask<codec::ok>(one, codec::set_prefetch{consumer_id{1}, 0, 0});
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .filter = "size >= 0"}), 0U);
    h.settle(one, q, settle_action::reject, {{1, 1, h.state.epoch(), 2}});
    h.settle(one, q, settle_action::nack, {{2, 1, h.state.epoch(), 3}}, 60s, "later");
    h.settle(one, q, settle_action::nack, {{3, 1, h.state.epoch(), 4}}, 60s, "never");
    h.settle(one, q, settle_action::release, {{4, 1, h.state.epoch(), 5}});
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q",
                                       .filter = "state = retrying and reason = "
                                                 "'never' or offset = 4"}),
              2U);
    const auto info = h.queue_info("t/q");
    EXPECT_EQ(info.leased, 2U);
    EXPECT_EQ(info.dead, 1U);
    EXPECT_EQ(info.retrying, 1U);
    EXPECT_EQ(info.ready, 0U);
    EXPECT_EQ(info.done, 2U);
}

TEST_F(selection_test, sees_a_retry_that_is_due_as_ready) {
    take_all();
    h.settle(one, q, settle_action::nack, {run_of(got[2])}, 1s, "later");
    h.close(one, true);
    h.restart();
    h.pass(2s);
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .filter = "state = ready and has reason"}),
              1U);
}

TEST(selection, a_purge_leaves_no_more_gaps_than_the_queue_may_have) {
    harness h;
    h.make_queue("t/q", {.max_runs = 2});
    h.publish_keyed("t", {{"a"}, {"b"}, {"a"}, {"b"}, {"a"}, {"b"}, {"a"}, {"b"}});
    codec::queue_purge request{.queue = "t/q", .filter = "key = 'b'"};
    const auto slice = h.ask<codec::counted>(h.admin, request);
    EXPECT_EQ(slice.messages, 2U);
    EXPECT_TRUE(slice.more);
    request.from = slice.position;
    const auto refused = h.ask_refused(h.admin, request);
    EXPECT_EQ(refused.code, error_code::busy);
    EXPECT_THAT(refused.text, HasSubstr("the purge can go on from t/q@5"));
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    std::size_t delivered = 0;
    for (auto got = h.deliveries(one); !got.empty(); got = h.deliveries(one)) {
        delivered += got.size();
        h.settle(one, q, settle_action::ack, runs_of(got));
    }
    EXPECT_EQ(delivered, 6U) << "it works on";
}

TEST_F(selection_test, what_cannot_be_read_is_left_alone) {
    all_dead();
    h.restart();
    h.store.log_lost = true;
    h.store.log.clear();
    h.store.kept.clear();
    EXPECT_EQ(count(codec::dead_purge{.queue = "t/q", .filter = "not has key or size = 0"}), 0U);
    EXPECT_EQ(h.queue_info("t/q").dead, 6U);
}

// Chunks of a message each, none of them in memory.
class selection_in_log : public selection_test {
protected:
    selection_in_log() : selection_test({.cache_bytes_max = 1, .read_ahead_bytes = 1}) {}
};

TEST_F(selection_in_log, purges_what_lies_in_the_store) {
    EXPECT_EQ(count(codec::queue_purge{.queue = "t/q", .filter = "key = 'b'"}), 3U);
    q = h.attach(one, "t/q").queue;
    EXPECT_THAT(h.deliveries(one), SizeIs(3));
}

TEST_F(selection_in_log, tells_what_cannot_be_read) {
    h.store.log_lost = true;
    const auto refused =
        h.ask_refused(h.admin, codec::queue_purge{.queue = "t/q", .filter = "key = 'b'"});
    EXPECT_EQ(refused.code, error_code::storage_failed);
    EXPECT_EQ(refused.text, "t@0 is not in the log");
}

// What waits for a key is purged, and what comes behind goes on.
TEST(selection, a_keyed_queue_goes_on_behind_what_was_purged) {
    harness h;
    h.make_queue("t/q", {}, queue_mode::keyed);
    h.publish_keyed("t", {{"a", "1"}, {"a", "2"}, {"a", "333"}, {"b", "4"}});
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    const auto first = h.deliveries(one);
    ASSERT_THAT(first, SizeIs(2));
    EXPECT_EQ(
        h.ask<codec::counted>(h.admin, codec::queue_purge{.queue = "t/q", .filter = "size = 1"})
            .messages,
        1U);
    h.settle(one, q, settle_action::ack, runs_of(first));
    const auto next = h.deliveries(one);
    ASSERT_THAT(next, SizeIs(1));
    EXPECT_EQ(next[0].offset, 2U);
}

// Records of 1 MiB: a slice loads a few of them at once.
// Promise: dead.slices
TEST(selection, a_slice_loads_a_bounded_number_of_bytes) {
    harness h({.cache_bytes_max = 1});
    h.make_queue("t/q");
    const auto one = h.connect();
    const auto q = h.attach(one, "t/q").queue;
    for (int i = 0; i < 10; ++i) {
        h.publish("t", {std::string(limits::mib - 1000, 'x')});
        h.settle(one, q, settle_action::reject, runs_of(h.deliveries(one)));
    }
    h.restart();
    std::uint64_t slices = 0;
    std::uint64_t messages = 0;
    codec::dead_redrive request{.queue = "t/q", .filter = "size > 1KiB"};
    for (bool more = true; more; ++slices) {
        const auto slice = h.ask<codec::counted>(h.admin, request);
        EXPECT_LE(slice.messages, 5U);
        messages += slice.messages;
        request.from = slice.position;
        more = slice.more;
    }
    EXPECT_EQ(messages, 10U);
    EXPECT_GE(slices, 2U);
    // Likewise those that are loaded to be given out, as many as the consumer has room for.
    const auto two = h.connect();
    h.attach(two, "t/q");
    EXPECT_THAT(h.deliveries(two), SizeIs(limits::prefetch_bytes_default / limits::mib));
}

}  // namespace
}  // namespace brokerd::domain::test
