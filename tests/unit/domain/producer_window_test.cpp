// What a producer's last sequences led to.
#include "broker/domain/producer_window.hpp"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>

#include "broker/base/random.hpp"
#include "broker/domain/producer_table.hpp"

namespace brokerd::domain {
namespace {

using verdict = producer_window::verdict;

struct step {
    std::uint64_t first;
    std::uint64_t count;
    verdict what;
    std::uint64_t value;
};

TEST(producer_window, knows_new_old_and_mixed_sequences) {
    producer_window window(producer_window::content::offsets);
    window.record(1, 10, 100);
    window.record(11, 5, 110);  // continues
    window.record(20, 5, 200);  // a gap
    window.record(25, 5, 900);  // other offsets
    const step steps[] = {
        {30, 1, verdict::fresh, 0},      {1, 10, verdict::duplicate, 100},
        {3, 4, verdict::duplicate, 102}, {9, 6, verdict::duplicate, 108},
        {16, 4, verdict::fresh, 0},      {15, 2, verdict::mismatch, 0},
        {20, 10, verdict::mismatch, 0},  {25, 5, verdict::duplicate, 900},
        {28, 5, verdict::mismatch, 0},
    };
    for (const step& each : steps) {
        const auto answer = window.check(each.first, each.count);
        EXPECT_EQ(answer.what, each.what) << each.first;
        EXPECT_EQ(answer.value, each.value) << each.first;
    }
}

// Promise: dedup.window
TEST(producer_window, forgets_below_the_window) {
    producer_window window(producer_window::content::offsets);
    window.record(1, 1, 0);
    window.record(limits::producer_window, 1, 10);
    EXPECT_EQ(window.check(1, 1).what, verdict::duplicate);
    window.record(limits::producer_window + 1, 1, 11);
    EXPECT_EQ(window.check(1, 1).what, verdict::too_old);
    EXPECT_EQ(window.check(2, 1).what, verdict::fresh) << "a gap within the window";
}

TEST(producer_window, outcomes_are_not_counted_up) {
    producer_window window(producer_window::content::outcomes);
    window.record(1, 1, 7);
    window.record(2, 1, 7);
    window.record(3, 1, 8);
    EXPECT_EQ(window.check(2, 1).value, 7U);
    EXPECT_EQ(window.check(3, 1).value, 8U);
}

// Keeps slots as a store would.
struct slots {
    std::map<std::uint32_t, std::vector<producer_run>> kept;
    std::size_t written = 0;

    void take(producer_window& window) {
        window.take_changed([&](std::uint32_t slot, std::span<const producer_run> runs) {
            EXPECT_LE(runs.size(), producer_window::slot_runs);
            kept[slot] = {runs.begin(), runs.end()};
            ++written;
        });
    }
    [[nodiscard]] producer_window load() const {
        producer_window window(producer_window::content::offsets);
        for (const auto& [slot, runs] : kept) {
            window.load(slot, runs);
        }
        window.finish_load();
        return window;
    }
};

TEST(producer_window, a_commit_rewrites_only_the_newest_slot) {
    producer_window window(producer_window::content::offsets);
    slots store;
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        window.record(i, 1, i * 2);  // never merges
        store.take(window);
    }
    EXPECT_EQ(store.written, 1000U);
    EXPECT_EQ(store.kept.size(), (1000 + 15) / 16);
}

TEST(producer_window, comes_back_from_its_slots) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        base::random random(seed);
        producer_window window(producer_window::content::offsets);
        slots store;
        std::map<std::uint64_t, std::uint64_t> model;
        std::uint64_t offset = 0;
        std::uint64_t next = 1;
        const std::uint64_t steps = 200 + random.below(9000);
        for (std::uint64_t i = 0; i < steps; ++i) {
            std::uint64_t first = next + (random.chance(1, 20) ? random.below(10) : 0);
            const std::uint64_t count = 1 + random.below(random.chance(1, 50) ? 200 : 2);
            if (random.chance(1, 30) && next > 60) {
                first = next - random.below(50);
            }
            if (window.check(first, count).what != verdict::fresh) {
                continue;
            }
            offset += random.below(2);
            window.record(first, count, offset);
            for (std::uint64_t k = 0; k < count; ++k) {
                model[first + k] = offset + k;
            }
            offset += count;
            next = std::max(next, first + count);
            if (random.chance(1, 3)) {
                store.take(window);
            }
        }
        store.take(window);
        const producer_window loaded = store.load();
        ASSERT_EQ(loaded.highest(), window.highest());
        ASSERT_EQ(loaded.lowest(), window.lowest());
        ASSERT_LE(store.kept.size(), producer_window::slots_max);
        for (std::uint64_t sequence = loaded.lowest(); sequence <= loaded.highest(); ++sequence) {
            const auto answer = loaded.check(sequence, 1);
            const auto known = model.find(sequence);
            ASSERT_EQ(answer.what, known == model.end() ? verdict::fresh : verdict::duplicate)
                << "seed " << seed << " sequence " << sequence;
            if (known != model.end()) {
                ASSERT_EQ(answer.value, known->second) << "seed " << seed << " " << sequence;
            }
        }
    }
}

TEST(producer_table, the_least_recently_used_window_goes) {
    producer_table table(2);
    const producer_key a{topic_id{1}, queue_id{}, producer_id{1}};
    const producer_key b{topic_id{1}, queue_id{}, producer_id{2}};
    const producer_key c{topic_id{1}, queue_id{}, producer_id{3}};
    EXPECT_FALSE(table.record(a, 1, 1, 0, {}, commit_number{1}));
    EXPECT_FALSE(table.record(b, 1, 1, 1, {}, commit_number{1}));
    EXPECT_FALSE(table.record(a, 2, 1, 2, {}, commit_number{1}));
    const auto gone = table.record(c, 1, 1, 3, {}, commit_number{2});
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->producer, b.producer);
    EXPECT_EQ(gone->slots, 1U);
    EXPECT_EQ(table.find(b), nullptr);
    std::vector<mutation> changes;
    table.take_changes(changes);
    EXPECT_EQ(changes.size(), 2U) << "nothing is written for the one that went";
    table.remove_topic(topic_id{1});
    EXPECT_EQ(table.size(), 0U);
}

}  // namespace
}  // namespace brokerd::domain
