// Sets of offsets as runs, against a plain set.
#include "broker/domain/interval_set.hpp"

#include <set>
#include <vector>

#include <gmock/gmock.h>

#include "broker/base/random.hpp"

namespace brokerd::domain {
namespace {

std::vector<offset_range> runs_of(const interval_set& set) {
    std::vector<offset_range> runs;
    set.for_each([&](offset_range run) { runs.push_back(run); });
    return runs;
}

using offset_ranges = std::vector<offset_range>;

TEST(interval_set, merges_what_touches) {
    interval_set set;
    EXPECT_EQ(set.insert({10, 5}), 5U);
    EXPECT_EQ(set.insert({20, 5}), 5U);
    EXPECT_EQ(set.insert({15, 5}), 5U);
    EXPECT_EQ(runs_of(set), (offset_ranges{{10, 15}}));
    EXPECT_EQ(set.insert({12, 20}), 7U);
    EXPECT_EQ(runs_of(set), (offset_ranges{{10, 22}}));
    EXPECT_EQ(set.count(), 22U);
}

TEST(interval_set, erases_from_front_middle_and_back) {
    interval_set set;
    set.insert({0, 30});
    EXPECT_EQ(set.erase({0, 5}), 5U);
    EXPECT_EQ(set.erase({10, 5}), 5U);
    EXPECT_EQ(set.erase({25, 10}), 5U);
    EXPECT_EQ(runs_of(set), (offset_ranges{{5, 5}, {15, 10}}));
    set.erase_below(7);
    EXPECT_EQ(runs_of(set), (offset_ranges{{7, 3}, {15, 10}}));
}

TEST(interval_set, finds_gaps_members_and_runs) {
    interval_set set;
    set.insert({5, 5});
    set.insert({20, 1});
    EXPECT_EQ(set.next_gap(5), 10U);
    EXPECT_EQ(set.next_gap(11), 11U);
    EXPECT_EQ(set.next_member(0), 5U);
    EXPECT_EQ(set.next_member(7), 7U);
    EXPECT_EQ(set.next_member(21), offset_end);
    EXPECT_EQ(*set.next_run(8), (offset_range{8, 2}));
    EXPECT_EQ(set.count_in(7, 21), 4U);
    EXPECT_TRUE(set.contains_any({0, 6}));
    EXPECT_FALSE(set.contains_any({10, 10}));
    EXPECT_FALSE(set.next_run(21));
}

TEST(interval_set, extends_in_order_without_allocating) {
    struct counting : std::pmr::memory_resource {
        std::size_t allocations = 0;
        void* do_allocate(std::size_t bytes, std::size_t align) override {
            ++allocations;
            return std::pmr::new_delete_resource()->allocate(bytes, align);
        }
        void do_deallocate(void* at, std::size_t bytes, std::size_t align) override {
            std::pmr::new_delete_resource()->deallocate(at, bytes, align);
        }
        bool do_is_equal(const memory_resource& other) const noexcept override {
            return this == &other;
        }
    } memory;
    interval_set set(&memory);
    set.insert({0, 1});
    const std::size_t before = memory.allocations;
    for (offset_t i = 1; i < 1000; ++i) {
        set.insert({i, 1});
    }
    for (offset_t i = 0; i < 900; ++i) {
        set.erase({i, 1});
    }
    EXPECT_EQ(memory.allocations, before);
    EXPECT_EQ(runs_of(set), (offset_ranges{{900, 100}}));
}

TEST(interval_set, copies_stand_alone_and_empty_ones_take_nothing) {
    std::pmr::memory_resource* const none = std::pmr::null_memory_resource();
    interval_set empty(none);
    empty.erase({0, 10});
    empty.erase_below(5);
    empty.clear();
    EXPECT_FALSE(empty.contains(3));
    EXPECT_EQ(empty.next_member(0), offset_end);
    empty = interval_set();

    interval_set set;
    set.insert({3, 4});
    interval_set copy = set;
    set.clear();
    EXPECT_EQ(copy.count(), 4U);
    copy = set;
    EXPECT_TRUE(copy.empty());
    EXPECT_EQ(copy.count(), 0U);
}

TEST(interval_set, does_what_a_plain_set_does) {
    constexpr offset_t size = 200;
    base::random random(7);
    interval_set set;
    std::set<offset_t> model;
    for (int step = 0; step < 3000; ++step) {
        const offset_range range{random.below(size), random.below(12)};
        std::uint64_t changed = 0;
        const bool insert = random.chance(1, 2);
        for (offset_t i = range.first; i < range.end(); ++i) {
            changed += insert ? model.insert(i).second : model.erase(i);
        }
        ASSERT_EQ(insert ? set.insert(range) : set.erase(range), changed);
        ASSERT_EQ(set.count(), model.size());
        const offset_t at = random.below(size);
        const auto next = model.lower_bound(at);
        ASSERT_EQ(set.next_member(at), next == model.end() ? offset_end : *next);
        ASSERT_EQ(set.contains(at), model.contains(at));
        offset_t gap = at;
        while (model.contains(gap)) {
            ++gap;
        }
        ASSERT_EQ(set.next_gap(at), gap);
        for (const auto& run : runs_of(set)) {
            ASSERT_FALSE(model.contains(run.end()));
            ASSERT_FALSE(run.first > 0 && model.contains(run.first - 1));
        }
    }
}

}  // namespace
}  // namespace brokerd::domain
