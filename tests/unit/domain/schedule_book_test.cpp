// The book of schedules alone: what memory holds, and how it is put right with what a store says.
#include "broker/domain/schedule_book.hpp"

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr wall_time book_start = wall_from_us(1'000'000'000'000);

struct schedule_book_test : testing::Test {
    // One that is due so many seconds after the start.
    static scheduled_batch batch(std::int64_t second, std::uint64_t id, std::uint64_t bytes = 100) {
        return {
            .key = {book_start + std::chrono::seconds(second), id}, .messages = 1, .bytes = bytes};
    }
    scheduled_batch add(std::int64_t second, std::uint64_t bytes = 100) {
        const scheduled_batch made = batch(second, book.take_id(), bytes);
        book.add(made, commit, now);
        return made;
    }
    // A book as it is after a restart: everything is in the store.
    void load(std::uint64_t schedules, std::uint64_t bytes = 100) {
        schedule_totals totals;
        totals.next_id = schedules + 1;
        totals.schedules = schedules;
        totals.messages = schedules;
        totals.bytes = schedules * bytes;
        book.load(totals);
    }
    void take(std::vector<scheduled_batch> items, const schedule_key& from,
              const schedule_key& until) {
        book.take(items, from, until, now);
    }
    // Ids of all that memory holds, in order; takes them out.
    std::vector<std::uint64_t> drain() {
        std::vector<std::uint64_t> ids;
        while (book.first() != nullptr) {
            ids.push_back(book.first()->key.id);
            book.remove(*book.first(), commit);
            EXPECT_EQ(book.check(), std::nullopt);
        }
        return ids;
    }
    std::uint64_t in_memory() const { return book.totals().schedules - book.in_store(); }
    static schedule_key at(std::int64_t second) {
        return {book_start + std::chrono::seconds(second), 0};
    }

    std::size_t all_bytes = 0;
    schedule_book book{all_bytes};
    wall_time now = book_start;
    commit_number commit{1};
};

TEST_F(schedule_book_test, holds_what_is_due_before_the_known_position_and_counts_all) {
    book.set_known(at(60));
    const auto soon = add(10, 30);
    const auto far = add(70, 50);
    add(5, 20);
    EXPECT_EQ(book.totals().schedules, 3U);
    EXPECT_EQ(book.totals().messages, 3U);
    EXPECT_EQ(book.totals().bytes, 100U);
    EXPECT_EQ(book.totals().next_id, 4U);
    EXPECT_EQ(book.in_store(), 1U);
    EXPECT_EQ(book.first()->key.id, 3U);
    EXPECT_TRUE(book.is_scheduled(soon.key));
    EXPECT_TRUE(book.is_scheduled(far.key));
    book.remove(far, commit);
    EXPECT_FALSE(book.is_scheduled(far.key));
    EXPECT_EQ(book.in_store(), 0U);
    EXPECT_EQ(book.totals().bytes, 50U);
    EXPECT_THAT(drain(), ElementsAre(3, 1));
    EXPECT_EQ(book.totals().bytes, 0U);
}

TEST_F(schedule_book_test, the_known_position_is_exclusive_and_never_goes_back_by_itself) {
    book.set_known({book_start, 2});
    book.add(batch(0, 1), commit, now);
    book.add(batch(0, 2), commit, now);
    EXPECT_EQ(in_memory(), 1U);
    book.set_known({book_start, 1});
    EXPECT_EQ(book.known(), (schedule_key{book_start, 2}));
}

TEST_F(schedule_book_test, what_the_store_says_is_put_right_by_what_happened_since) {
    load(3);
    const std::vector<scheduled_batch> stored{batch(1, 1), batch(2, 2), batch(3, 3)};
    book.remove(stored[1], commit);  // cancelled while the fetch was on its way
    add(2);
    const auto gone = add(1);
    book.remove(gone, commit);
    take(stored, {}, at(10));
    EXPECT_EQ(book.check(), std::nullopt);
    EXPECT_EQ(book.known(), at(10));
    EXPECT_EQ(book.in_store(), 0U);
    EXPECT_THAT(drain(), ElementsAre(1, 4, 3));
}

TEST_F(schedule_book_test, one_that_the_store_has_already_is_taken_once) {
    const auto made = add(5);
    take({made}, {}, at(10));
    EXPECT_EQ(book.in_store(), 0U);
    EXPECT_THAT(drain(), ElementsAre(1));
}

TEST_F(schedule_book_test, what_was_appended_meanwhile_does_not_come_back) {
    load(2);
    take({batch(1, 1)}, {}, at(1 + 1));
    const auto appended = *book.first();
    book.remove(appended, commit);
    // A second fetch, asked before: it still sees the first one.
    take({batch(1, 1), batch(3, 2)}, {}, at(10));
    EXPECT_THAT(drain(), ElementsAre(2));
}

TEST_F(schedule_book_test, a_part_that_does_not_join_what_is_known_is_not_taken) {
    load(2);
    take({batch(7, 2)}, at(5), at(10));
    EXPECT_EQ(book.known(), schedule_key{}) << "what is before 5 is missing";
    EXPECT_EQ(in_memory(), 0U);
    take({batch(1, 1)}, {}, at(5));
    take({batch(7, 2)}, at(5), at(10));
    EXPECT_EQ(book.known(), at(10));
    take({batch(1, 1)}, {}, at(5));
    EXPECT_EQ(book.known(), at(10)) << "nothing new";
    EXPECT_THAT(drain(), ElementsAre(1, 2));
}

TEST_F(schedule_book_test, items_beyond_the_end_of_a_part_are_left_in_the_store) {
    load(2);
    take({batch(1, 1), batch(6, 2)}, {}, at(5));
    EXPECT_EQ(in_memory(), 1U);
    EXPECT_EQ(book.in_store(), 1U);
}

// Promise: schedule.memory
TEST_F(schedule_book_test, gives_back_what_is_due_last_when_there_are_too_many) {
    book.set_known(at(100'000));
    for (std::size_t i = 0; i < schedule_book::count_max + 10; ++i) {
        add(static_cast<std::int64_t>(i));
    }
    EXPECT_EQ(in_memory(), schedule_book::count_max);
    EXPECT_EQ(book.known(),
              (schedule_key{at(schedule_book::count_max).due, schedule_book::count_max + 1}))
        << "the first that was given back";
    EXPECT_FALSE(book.has_room());
    // One that is due first always finds room.
    const auto first = add(-1);
    EXPECT_EQ(book.first()->key, first.key);
    EXPECT_EQ(in_memory(), schedule_book::count_max);
    EXPECT_EQ(book.known(),
              (schedule_key{at(schedule_book::count_max - 1).due, schedule_book::count_max}));
    EXPECT_EQ(book.check(), std::nullopt);
    for (std::size_t i = 0; i < schedule_book::count_max / 2; ++i) {
        EXPECT_FALSE(book.has_room());
        book.remove(*book.first(), commit);
    }
    EXPECT_TRUE(book.has_room());
}

TEST_F(schedule_book_test, gives_back_what_is_due_last_when_it_is_too_large) {
    book.set_known(at(100));
    add(1, schedule_book::bytes_max / 2);
    add(3, schedule_book::bytes_max / 2);
    EXPECT_EQ(in_memory(), 2U) << "exactly the limit";
    add(2, 1);
    EXPECT_EQ(in_memory(), 2U);
    EXPECT_EQ(book.known(), (schedule_key{at(3).due, 2}));
    EXPECT_THAT(drain(), ElementsAre(1, 3));
}

TEST_F(schedule_book_test, one_that_is_larger_than_memory_is_held_alone) {
    book.set_known(at(100));
    add(5, 2 * schedule_book::bytes_max);
    EXPECT_EQ(in_memory(), 1U);
    add(6);
    EXPECT_EQ(in_memory(), 1U);
    EXPECT_EQ(book.known(), (schedule_key{at(6).due, 2}));
    EXPECT_THAT(drain(), ElementsAre(1));
}

TEST_F(schedule_book_test, what_was_given_back_while_a_fetch_was_on_its_way_is_not_skipped) {
    load(1, schedule_book::bytes_max);
    book.set_known(at(10));
    add(5, schedule_book::bytes_max);
    const schedule_key from = book.known();
    add(1, schedule_book::bytes_max);  // the one at 5 goes back
    EXPECT_LT(book.known(), from);
    take({batch(20, 1)}, from, at(30));
    EXPECT_EQ(book.known().id, 2U) << "the one at 5 would be missing";
    EXPECT_THAT(drain(), ElementsAre(3));
}

TEST_F(schedule_book_test, a_part_that_is_too_large_is_taken_as_far_as_there_is_room) {
    load(3, schedule_book::bytes_max);
    take({batch(1, 1, schedule_book::bytes_max / 2), batch(2, 2, schedule_book::bytes_max / 2),
          batch(3, 3, 1)},
         {}, at(10));
    EXPECT_EQ(in_memory(), 2U);
    EXPECT_EQ(book.known(), (schedule_key{at(3).due, 3}));
}

TEST_F(schedule_book_test, what_was_given_back_is_fetched_when_it_fits) {
    book.set_known(at(100));
    add(1, 10);
    add(2, schedule_book::bytes_max);
    ASSERT_EQ(in_memory(), 1U);
    EXPECT_FALSE(book.has_room()) << "there is some, but too little for what is next";
    book.remove(*book.first(), commit);
    EXPECT_TRUE(book.has_room());
    take({batch(2, 2, schedule_book::bytes_max)}, book.known(), at(100));
    EXPECT_THAT(drain(), ElementsAre(2));
}

TEST_F(schedule_book_test, all_books_together_keep_no_more_than_their_limit_but_what_is_due) {
    book.set_known(at(100));
    all_bytes = schedule_book::all_bytes_max;  // by others
    add(1, 10);
    EXPECT_EQ(in_memory(), 0U);
    EXPECT_EQ(book.known(), (schedule_key{at(1).due, 1}));
    EXPECT_FALSE(book.has_room());
    now = book_start + 1s;
    take({batch(1, 1, 10)}, book.known(), behind(book.known()));
    EXPECT_EQ(in_memory(), 1U);
    EXPECT_EQ(all_bytes, schedule_book::all_bytes_max + 10);
    EXPECT_THAT(drain(), ElementsAre(1));
    EXPECT_EQ(all_bytes, schedule_book::all_bytes_max);
}

TEST_F(schedule_book_test, what_waits_for_room_goes_back_to_the_store_while_memory_is_short) {
    const auto due = [&] {
        const auto next = book.next_due(now);
        return next ? std::optional(next->bytes) : std::nullopt;
    };
    book.set_known(at(60));
    const auto first = add(1, 100);
    add(2, 200);
    EXPECT_EQ(due(), std::nullopt);
    now = at(5).due;
    book.wait_for_room();
    EXPECT_EQ(book.in_store(), 0U) << "nobody else needs it";
    all_bytes += schedule_book::all_bytes_max / 2;  // of others
    book.wait_for_room();
    EXPECT_EQ(book.first(), nullptr);
    EXPECT_EQ(book.in_store(), 2U);
    EXPECT_EQ(book.known(), first.key);
    EXPECT_EQ(due(), 100U) << "it knows what waits";
    EXPECT_EQ(book.check(), std::nullopt);
    book.remove(first, commit);
    EXPECT_EQ(due(), std::nullopt) << "what comes next is for the store to say";
    all_bytes -= schedule_book::all_bytes_max / 2;
}

TEST_F(schedule_book_test,
       one_that_is_larger_than_all_may_keep_waits_in_the_store_until_it_is_due) {
    book.set_known(at(100));
    add(5, schedule_book::all_bytes_max + 1);
    EXPECT_EQ(in_memory(), 0U);
    EXPECT_FALSE(book.has_room()) << "it would be fetched again and again";
    now = at(5).due;
    take({batch(5, 1, schedule_book::all_bytes_max + 1)}, book.known(), behind(book.known()));
    EXPECT_THAT(drain(), ElementsAre(1));
}

TEST_F(schedule_book_test, the_largest_position_has_nothing_behind_it) {
    const schedule_key last{wall_never, ~std::uint64_t{0}};
    EXPECT_EQ(behind(last), last);
    EXPECT_EQ(behind({book_start, ~std::uint64_t{0}}), (schedule_key{book_start + 1us, 0}));
}

TEST_F(schedule_book_test, one_that_goes_is_not_counted_any_more) {
    {
        schedule_book other(all_bytes);
        other.set_known(at(10));
        other.add(batch(1, 1, 70), commit, now);
        EXPECT_EQ(all_bytes, 70U);
    }
    EXPECT_EQ(all_bytes, 0U);
}

TEST_F(schedule_book_test, forgets_what_the_store_has_but_not_while_a_fetch_is_on_its_way) {
    const auto lately = [&] {
        std::vector<std::uint64_t> ids;
        for (const auto* each : book.added_lately()) {
            ids.push_back(each->key.id);
        }
        return ids;
    };
    const auto one = add(1);
    commit = commit_number{2};
    add(2);
    EXPECT_EQ(book.last_change(), commit_number{2});
    EXPECT_THAT(lately(), ElementsAre(1, 2));
    book.reads.begin(commit_number{0});
    book.reads.begin(commit_number{1});
    EXPECT_FALSE(book.forget_applied(commit_number{2}));
    EXPECT_THAT(lately(), ElementsAre(1, 2));
    book.reads.end(commit_number{0});
    EXPECT_FALSE(book.forget_applied(commit_number{2}));
    EXPECT_THAT(lately(), ElementsAre(2)) << "the read that is left finds the first";
    book.reads.end(commit_number{1});
    EXPECT_TRUE(book.is_scheduled(one.key)) << "the store has it";
    EXPECT_TRUE(book.forget_applied(commit_number{2}));
    EXPECT_THAT(lately(), IsEmpty());
}

TEST_F(schedule_book_test, that_one_was_taken_out_is_remembered_as_long_as_that_is_new) {
    const auto made = add(1);
    commit = commit_number{2};
    book.remove(made, commit);
    EXPECT_FALSE(book.forget_applied(commit_number{1})) << "the store still has it";
    EXPECT_FALSE(book.is_scheduled(made.key));
    EXPECT_THAT(book.added_lately(), IsEmpty());
    EXPECT_TRUE(book.forget_applied(commit_number{2}));
}

TEST_F(schedule_book_test, totals_change_with_each_of_both) {
    EXPECT_FALSE(book.totals_changed);
    const auto made = add(1);
    EXPECT_TRUE(std::exchange(book.totals_changed, false));
    book.remove(made, commit);
    EXPECT_TRUE(book.totals_changed);
    EXPECT_EQ(book.totals().next_id, 2U) << "ids are never used again";
}

}  // namespace
}  // namespace brokerd::domain::test
