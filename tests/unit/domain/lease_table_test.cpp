// The leases of a queue as spans.
#include "broker/domain/lease_table.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include <gmock/gmock.h>

#include "broker/base/random.hpp"

namespace brokerd::domain {
namespace {

using namespace std::chrono_literals;
using testing::IsNull;
using testing::NotNull;
using testing::SizeIs;

constexpr broker_epoch epoch{3};

lease_span span_of(consumer& holder, offset_t first, std::uint32_t count, std::uint64_t lease,
                   mono_time deadline = mono_time{10s}) {
    lease_span span;
    span.run = {first, count, epoch, lease};
    span.holder = &holder;
    span.deadline = deadline;
    span.bytes = std::uint64_t{count} * 10;
    holder.leased += count;
    return span;
}

lease_id lease(std::uint64_t counter) {
    return {epoch, counter};
}

TEST(lease_table, merges_neighbours_that_share_their_fate) {
    consumer a;
    consumer b;
    lease_table table;
    table.add(span_of(a, 100, 10, 1));
    table.add(span_of(a, 110, 5, 11));
    EXPECT_EQ(table.spans(), 1U);
    table.add(span_of(b, 115, 5, 16));
    table.add(span_of(b, 120, 5, 21, mono_time{20s}));
    EXPECT_EQ(table.spans(), 3U);
    EXPECT_EQ(table.fresh(), 25U);
    EXPECT_EQ(table.find(lease(15))->run.first_offset, 100U);
    EXPECT_THAT(table.find(lease(26)), IsNull());
    EXPECT_EQ(table.find_offset(121)->holder, &b);
}

TEST(lease_table, takes_first_deliveries_below_an_offset) {
    consumer a;
    lease_table table;
    table.add(span_of(a, 108, 4, 1));
    table.add(span_of(a, 100, 5, 5));
    lease_span retry = span_of(a, 90, 1, 10);
    retry.exception = std::make_unique<exception_state>();
    table.add(std::move(retry));
    const auto taken = table.take_below(110, 7);
    ASSERT_THAT(taken, SizeIs(2));
    EXPECT_EQ(taken[0].offsets(), (offset_range{108, 2}));
    EXPECT_EQ(taken[1].offsets(), (offset_range{100, 5}));
    EXPECT_EQ(table.fresh(), 2U);
    EXPECT_EQ(table.retried(), 1U);
    EXPECT_EQ(table.find(lease(3))->run.first_offset, 110U);
    EXPECT_EQ(table.earliest(), mono_time{10s});
}

TEST(lease_table, takes_parts_from_every_place_of_a_span) {
    for (const auto& [first, count] :
         std::vector<std::pair<std::uint64_t, std::uint32_t>>{{1, 10}, {1, 3}, {8, 3}, {4, 3}}) {
        consumer a;
        lease_table table;
        table.add(span_of(a, 100, 10, 1));
        const lease_span taken = table.take(lease(first), count);
        EXPECT_EQ(taken.run.first_offset, 99 + first);
        EXPECT_EQ(taken.run.count, count);
        EXPECT_EQ(taken.bytes, std::uint64_t{count} * 10);
        EXPECT_EQ(table.fresh(), 10 - count);
        for (std::uint64_t i = 1; i <= 10; ++i) {
            const bool gone = i >= first && i < first + count;
            ASSERT_EQ(table.find(lease(i)) == nullptr, gone) << i;
        }
    }
}

TEST(lease_table, acks_in_order_keep_the_span) {
    consumer a;
    lease_table table;
    table.add(span_of(a, 0, 100, 1));
    for (std::uint64_t i = 1; i <= 99; ++i) {
        (void)table.take(lease(i), 1);
        ASSERT_EQ(table.spans(), 1U);
    }
    EXPECT_EQ(table.take(lease(100), 1).bytes, 10U);
    EXPECT_TRUE(table.empty());
}

TEST(lease_table, uneven_bytes_come_out_even) {
    consumer a;
    lease_table table;
    lease_span span = span_of(a, 0, 3, 1);
    span.bytes = 100;
    table.add(std::move(span));
    std::uint64_t sum = 0;
    for (const std::uint64_t i : {2U, 1U, 3U}) {
        sum += table.take(lease(i), 1).bytes;
    }
    EXPECT_EQ(sum, 100U);
}

TEST(lease_table, expires_only_what_is_due) {
    consumer a;
    lease_table table;
    EXPECT_EQ(table.earliest(), mono_never);
    table.add(span_of(a, 0, 1, 1, mono_time{30s}));
    table.add(span_of(a, 5, 2, 2, mono_time{10s}));
    EXPECT_EQ(table.earliest(), mono_time{10s});
    EXPECT_THAT(table.take_expired(mono_time{9s}), SizeIs(0));
    EXPECT_THAT(table.take_expired(mono_time{10s}), SizeIs(1));
    EXPECT_EQ(table.earliest(), mono_time{30s});
}

TEST(lease_table, knows_the_earliest_deadline_of_what_is_left) {
    consumer a;
    lease_table table;
    for (std::uint32_t i = 0; i < 4; ++i) {
        table.add(span_of(a, i * 10, 4, i * 10 + 1, mono_time{10s * (i + 1)}));
    }
    (void)table.take(lease(1), 4);
    EXPECT_EQ(table.earliest(), mono_time{20s});
    (void)table.take(lease(13), 2);  // the end of the second
    (void)table.take(lease(11), 1);
    EXPECT_EQ(table.earliest(), mono_time{20s});
    (void)table.take(lease(12), 1);
    EXPECT_EQ(table.earliest(), mono_time{30s});
    (void)table.take(lease(22), 1);  // cuts the third in two
    (void)table.take(lease(21), 1);
    EXPECT_EQ(table.earliest(), mono_time{30s});
    EXPECT_THAT(table.take_expired(mono_time{30s}), SizeIs(1));
    EXPECT_EQ(table.earliest(), mono_time{40s});
    EXPECT_THAT(table.take_all(), SizeIs(1));
    EXPECT_EQ(table.earliest(), mono_never);
}

TEST(lease_table, many_deadlines_pass_one_by_one) {
    constexpr std::uint32_t count = 30000;
    consumer a;
    lease_table table;
    for (std::uint32_t i = 0; i < count; ++i) {
        table.add(span_of(a, i, 1, i + 1, mono_time{1us * ((i * 7919) % count)}));
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        ASSERT_EQ(table.earliest(), mono_time{1us * i});
        ASSERT_THAT(table.take_expired(mono_time{1us * i}), SizeIs(1));
    }
    EXPECT_TRUE(table.empty());
}

TEST(lease_table, whatever_is_taken_the_rest_expires_in_time) {
    constexpr std::uint32_t count = 2000;
    base::random dice(7);
    consumer a;
    lease_table table;
    std::map<std::uint64_t, mono_time> held;  // lease -> deadline
    for (std::uint32_t i = 0; i < count;) {
        const auto size = static_cast<std::uint32_t>(dice.between(1, 8));
        const mono_time deadline{1s * dice.between(1, 20)};
        table.add(span_of(a, i, size, i + 1, deadline));
        for (const std::uint32_t end = i + size; i < end; ++i) {
            held.emplace(i + 1, deadline);
        }
    }
    for (int second = 0; second <= 20; ++second) {
        for (int i = 0; i < 30; ++i) {
            const auto at = held.lower_bound(static_cast<std::uint64_t>(dice.between(1, count)));
            if (at != held.end()) {
                (void)table.take(lease(at->first), 1);
                held.erase(at);
            }
        }
        std::uint64_t expired = 0;
        for (const lease_span& span : table.take_expired(mono_time{1s * second})) {
            expired += span.run.count;
        }
        EXPECT_EQ(expired, std::erase_if(held, [&](const auto& each) {
                      return each.second <= mono_time{1s * second};
                  }));
        mono_time earliest = mono_never;
        for (const auto& [number, deadline] : held) {
            earliest = std::min(earliest, deadline);
        }
        EXPECT_EQ(table.earliest(), earliest);
        EXPECT_EQ(table.fresh(), held.size());
    }
}

TEST(lease_table, gives_back_what_one_consumer_holds) {
    consumer a;
    consumer b;
    lease_table table;
    table.add(span_of(a, 0, 3, 1));
    table.add(span_of(b, 3, 3, 4));
    table.add(span_of(a, 6, 3, 7));
    EXPECT_THAT(table.take_of(a, 6), SizeIs(2));
    EXPECT_EQ(table.fresh(), 3U);
    EXPECT_THAT(table.find(lease(5)), NotNull());
}

TEST(lease_table, holds_leases_of_earlier_epochs) {
    consumer a;
    lease_table table;
    lease_span old = span_of(a, 50, 1, 900);
    old.run.epoch = broker_epoch{2};
    table.add(std::move(old));
    table.add(span_of(a, 51, 1, 1));
    EXPECT_EQ(table.find({broker_epoch{2}, 900})->run.first_offset, 50U);
    EXPECT_THAT(table.find(lease(900)), IsNull());
    EXPECT_EQ(table.next_lease({broker_epoch{2}, 900}), lease(1));
}

TEST(lease_table, finds_the_part_of_a_run_that_shares_a_place) {
    consumer a;
    lease_table table;
    table.add(span_of(a, 100, 5, 10));
    EXPECT_EQ(find_part(table, {98, 10, epoch, 8}).count, 2U);
    EXPECT_FALSE(find_part(table, {98, 10, epoch, 8}).held);
    EXPECT_EQ(find_part(table, {100, 8, epoch, 10}).count, 5U);
    EXPECT_TRUE(find_part(table, {100, 8, epoch, 10}).held);
    EXPECT_FALSE(find_part(table, {200, 2, epoch, 10}).held) << "another message";
    EXPECT_EQ(find_part(table, {105, 8, epoch, 15}).count, 8U);
}

}  // namespace
}  // namespace brokerd::domain
