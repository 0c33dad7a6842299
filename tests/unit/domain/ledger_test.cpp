// The durable state of a queue: deltas, snapshots, recovery.
#include "broker/domain/ledger.hpp"

#include <map>

#include <gmock/gmock.h>

#include "broker/base/random.hpp"

namespace brokerd::domain {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr topic_id topic{1};
constexpr queue_id queue{2};

auto* const pool = std::pmr::get_default_resource();

void replay(ledger& into, const mutation& change) {
    if (const auto* delta = std::get_if<queue_delta>(&change)) {
        into.apply(*delta);
    } else {
        into.apply(std::get<queue_snapshot>(change));
    }
}

TEST(ledger, in_order_acks_move_only_the_floor) {
    ledger book(0, pool);
    book.to_done({0, 10});
    book.to_done({10, 5});
    EXPECT_EQ(book.floor(), 15U);
    EXPECT_TRUE(book.closed().empty());
    const auto delta = std::get<queue_delta>(book.take_change(topic, queue));
    EXPECT_EQ(delta.floor, 15U);
    EXPECT_EQ(delta.done_total, 15U);
    EXPECT_THAT(delta.runs, IsEmpty());
    EXPECT_FALSE(book.dirty());
}

TEST(ledger, the_floor_passes_over_exceptions) {
    ledger book(0, pool);
    book.to_retrying(0);
    book.to_dead(1);
    book.to_done({3, 1});
    EXPECT_EQ(book.floor(), 2U);
    book.to_done({2, 1});
    EXPECT_EQ(book.floor(), 4U);
    EXPECT_EQ(book.open_count(10), 6U);
    const auto delta = std::get<queue_delta>(book.take_change(topic, queue));
    EXPECT_THAT(delta.runs, ElementsAre(state_run{message_state::retrying, 0, 1},
                                        state_run{message_state::dead, 1, 1}));
    book.exception_done(0);
    EXPECT_EQ(book.done_total(), 3U);
}

TEST(ledger, a_snapshot_is_written_when_deltas_outweigh_it) {
    ledger book(0, pool);
    std::size_t snapshots = 0;
    std::uint64_t replaces = 0;
    for (offset_t i = 0; i < 1000; ++i) {
        book.to_done({i, 1});
        const mutation change = book.take_change(topic, queue);
        if (const auto* snapshot = std::get_if<queue_snapshot>(&change)) {
            ++snapshots;
            EXPECT_EQ(snapshot->replaces, replaces);
            replaces = snapshot->number;
            EXPECT_THAT(snapshot->runs, IsEmpty());
        }
    }
    EXPECT_GE(snapshots, 5U);
    EXPECT_LE(snapshots, 20U);
}

TEST(ledger, a_delta_older_than_the_snapshot_is_skipped) {
    ledger book(0, pool);
    ledger copy(0, pool);
    book.to_done({0, 1});
    const mutation first = book.take_change(topic, queue);
    book.move_to(0, 5);
    book.release_floor();
    const mutation snapshot = book.take_change(topic, queue);
    replay(copy, snapshot);
    replay(copy, first);
    copy.finish_restore(5);
    EXPECT_EQ(copy.floor(), 0U);
    EXPECT_EQ(copy.done_total(), 0U);
}

TEST(ledger, seek_makes_done_below_and_ready_above) {
    ledger book(0, pool);
    book.to_done({0, 4});
    book.to_dead(5);
    book.to_retrying(7);
    book.to_retrying(1 + 8);
    book.move_to(7, 12);
    EXPECT_EQ(book.floor(), 7U);
    EXPECT_EQ(book.done_total(), 6U) << "all below 7 but the dead one";
    EXPECT_EQ(book.open_count(12), 3U);
    book.exception_ready(7);
    book.exception_ready(9);
    book.release_floor();
    EXPECT_EQ(book.open_count(12), 5U);
    EXPECT_EQ(book.floor(), 7U);
    ledger copy(0, pool);
    replay(copy, book.take_change(topic, queue));
    copy.finish_restore(12);
    EXPECT_EQ(copy.floor(), 7U);
    EXPECT_EQ(copy.dead().count(), 1U);
    EXPECT_TRUE(copy.retrying().empty());
    EXPECT_EQ(copy.first(), 0U);
}

TEST(ledger, seek_before_the_first_message_widens_the_queue) {
    ledger book(10, pool);
    book.to_done({10, 2});
    book.move_to(4, 20);
    EXPECT_EQ(book.first(), 4U);
    EXPECT_EQ(book.done_total(), 0U);
    EXPECT_EQ(book.open_count(20), 16U);
}

void expect_same(const ledger& one, const ledger& other, offset_t size, std::uint64_t seed) {
    ASSERT_EQ(one.floor(), other.floor()) << seed;
    ASSERT_EQ(one.done_total(), other.done_total()) << seed;
    ASSERT_EQ(one.first(), other.first()) << seed;
    for (offset_t i = 0; i < size; ++i) {
        ASSERT_EQ(one.retrying().contains(i), other.retrying().contains(i)) << seed << " " << i;
        ASSERT_EQ(one.dead().contains(i), other.dead().contains(i)) << seed << " " << i;
        ASSERT_EQ(one.closed().contains(i), other.closed().contains(i)) << seed << " " << i;
    }
}

// Whatever happens, replaying what was written gives the same state.
TEST(ledger, recovery_gives_the_same_state) {
    constexpr offset_t size = 300;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        base::random random(seed);
        ledger book(0, pool);
        std::vector<mutation> written;
        for (int step = 0; step < 400; ++step) {
            const offset_t at = random.below(size);
            const bool open = at >= book.floor() && !book.closed().contains(at);
            switch (random.below(5)) {
                case 0:
                    if (open) book.to_done({at, 1});
                    break;
                case 1:
                    if (open || book.retrying().contains(at)) book.to_retrying(at);
                    break;
                case 2:
                    if (open || book.is_exception(at)) book.to_dead(at);
                    break;
                case 3:
                    if (book.is_exception(at)) book.exception_done(at);
                    break;
                default:
                    if (random.chance(1, 40)) {
                        book.move_to(at, size);
                        book.release_floor();
                    } else if (book.dirty()) {
                        written.push_back(book.take_change(topic, queue));
                    }
            }
        }
        if (book.dirty()) {
            written.push_back(book.take_change(topic, queue));
        }
        ledger copy(0, pool);
        for (const mutation& change : written) {
            replay(copy, change);
        }
        copy.finish_restore(size);
        expect_same(copy, book, size, seed);
    }
}

// So does the one snapshot of a ledger that has taken over another.
TEST(ledger, takes_another_over_with_one_snapshot) {
    constexpr offset_t size = 20;
    ledger book(2, pool);
    book.to_done({2, 2});
    book.to_retrying(4);
    book.to_dead(5);
    book.to_done({8, 3});
    book.to_dead(12);
    book.exception_done(5);
    (void)book.take_change(topic, queue);
    book.to_done({14, 1});
    ledger other(2, pool);
    other.take_over(book);
    expect_same(other, book, size, 0);
    EXPECT_TRUE(book.dirty()) << "which goes on with what it has to write";
    ASSERT_TRUE(other.dirty());
    const mutation written = other.take_change(topic, queue);
    ASSERT_TRUE(std::holds_alternative<queue_snapshot>(written));
    EXPECT_EQ(std::get<queue_snapshot>(written).number, 1U);
    ledger copy(2, pool);
    replay(copy, written);
    copy.finish_restore(size);
    expect_same(copy, book, size, 0);
    other.to_done({16, 1});
    EXPECT_TRUE(std::holds_alternative<queue_delta>(other.take_change(topic, queue)));
}

}  // namespace
}  // namespace brokerd::domain
