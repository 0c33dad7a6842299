// Keys in flight, waiting and blocked, and the bounds of what is remembered.
#include "broker/domain/key_table.hpp"

#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

namespace brokerd::domain {
namespace {

constexpr key_hash key_a = 10;
constexpr key_hash key_b = 20;

TEST(key_hash, stays_what_it_is) {
    // It is stored with retrying messages.
    EXPECT_EQ(hash_of_key(""), no_key);
    EXPECT_EQ(hash_of_key("a"), 9413272369427828315U);
    EXPECT_EQ(hash_of_key("customer-42"), 16557371046515049401U);
}

TEST(key_table, a_key_is_locked_while_a_message_is_in_flight) {
    key_table table;
    table.lock(key_a, 5);
    EXPECT_TRUE(table.locked(key_a));
    EXPECT_FALSE(table.locked(key_b));
    EXPECT_EQ(table.in_flight(key_a), 5U);
    EXPECT_EQ(table.unlock(5), key_a);
    EXPECT_FALSE(table.locked(key_a));
    EXPECT_EQ(table.unlock(5), no_key) << "only once";
    table.lock(no_key, 6);
    EXPECT_FALSE(table.locked(no_key)) << "no key is never locked";
}

TEST(key_table, the_oldest_waiting_message_of_a_free_key_is_next) {
    key_table table;
    table.lock(key_a, 0);
    table.wait_behind(key_a, 1);
    table.wait_behind(key_b, 2);
    table.wait_behind(key_a, 3);
    EXPECT_EQ(table.next_runnable().offset, 2U) << "a is in flight";
    table.unlock(0);
    const auto first = table.next_runnable();
    EXPECT_EQ(first.offset, 1U);
    table.take_waiting(first);
    EXPECT_EQ(table.next_runnable().offset, 2U);
    table.put_aside(key_b);
    EXPECT_EQ(table.next_runnable().offset, 3U);
    table.make_runnable(key_b);
    table.wait_again(key_b, 0);
    EXPECT_EQ(table.next_runnable().offset, 0U) << "given back, and older";
}

TEST(key_table, retrying_messages_agree_with_a_plain_model) {
    key_table table;
    std::map<key_hash, std::set<offset_t>> model;
    std::minstd_rand random(7);
    for (int i = 0; i < 20000; ++i) {
        const key_hash key = 2 + random() % 300;
        const offset_t offset = random() % 50;
        if (random() % 2 == 0) {
            table.add_retrying(key, offset);
            model[key].insert(offset);
        } else {
            table.remove_retrying(key, offset);
            model[key].erase(offset);
        }
        const key_hash other = 2 + random() % 300;
        ASSERT_EQ(table.first_retrying(other),
                  model[other].empty() ? offset_end : *model[other].begin());
    }
}

using messages = std::vector<std::pair<offset_t, key_hash>>;

// A search over all messages that wait.
void search(key_table& table, const messages& all) {
    ASSERT_TRUE(table.search_wanted());
    const offset_t from = table.start_search();
    for (const auto& [offset, key] : all) {
        if (offset >= from) {
            table.found(key, offset);
        }
    }
    table.end_search();
}

TEST(key_table, beyond_its_bound_a_key_is_searched_for) {
    key_table table;
    table.lock(key_a, 0);
    messages all;
    constexpr offset_t last = 2 * key_table::waiting_per_key_max + 500;
    for (offset_t offset = 1; offset <= last; ++offset) {
        table.wait_behind(key_a, offset);
        all.emplace_back(offset, key_a);
    }
    EXPECT_EQ(table.waiting_count(), key_table::waiting_per_key_max);
    EXPECT_FALSE(table.search_wanted()) << "some are still remembered";
    table.unlock(0);
    for (offset_t expected = 1; expected <= last; ++expected) {
        if (table.search_wanted()) {
            search(table, all);
        }
        const auto next = table.next_runnable();
        ASSERT_EQ(next.offset, expected);
        table.take_waiting(next);
    }
    if (table.search_wanted()) {
        search(table, all);
    }
    EXPECT_FALSE(table.has_waiting(key_a)) << "all were found, and the search knows it";
}

// It was taken up after a restart, so the search that came by did not see it.
TEST(key_table, what_is_given_back_behind_a_search_is_searched_for_again) {
    key_table table;
    table.lock(key_a, 0);
    constexpr offset_t missed = key_table::waiting_per_key_max + 1;
    for (offset_t offset = 1; offset <= missed; ++offset) {
        table.wait_behind(key_a, offset);
    }
    table.unlock(0);
    while (table.next_runnable().offset != offset_end) {
        table.take_waiting(table.next_runnable());
    }
    ASSERT_TRUE(table.search_wanted());
    EXPECT_EQ(table.start_search(), missed);
    table.wait_again(key_a, missed);
    table.end_search();
    search(table, {{missed, key_a}});
    EXPECT_EQ(table.next_runnable().offset, missed);
}

TEST(key_table, keys_that_cannot_run_make_room_for_those_that_can) {
    key_table table;
    messages all;
    offset_t offset = 0;
    constexpr key_hash first = 100;
    // More than the table remembers, all of it for keys in flight.
    for (key_hash key = first; key < first + 100; ++key) {
        table.lock(key, offset++);
        for (std::size_t i = 0; i < key_table::waiting_per_key_max; ++i) {
            table.wait_behind(key, offset);
            all.emplace_back(offset++, key);
        }
    }
    EXPECT_LE(table.waiting_count(), key_table::waiting_max);
    table.wait_behind(key_b, offset);
    EXPECT_EQ(table.next_runnable().key, key_b) << "there was room";
    table.take_waiting(table.next_runnable());

    // Each of the others still gets all of its messages, in order.
    const key_hash one = first + 50;
    table.unlock((one - first) * (key_table::waiting_per_key_max + 1));
    std::vector<offset_t> got;
    while (true) {
        if (table.search_wanted()) {
            search(table, all);
        }
        const auto next = table.next_runnable();
        if (next.offset == offset_end) {
            break;
        }
        ASSERT_EQ(next.key, one);
        got.push_back(next.offset);
        table.take_waiting(next);
    }
    EXPECT_EQ(got.size(), key_table::waiting_per_key_max);
    EXPECT_TRUE(std::ranges::is_sorted(got));
}

// A search may fill the table and so take out what it has just found.
TEST(key_table, nothing_is_lost_when_a_search_fills_the_table) {
    key_table table;
    messages all;
    constexpr key_hash first = 100;
    constexpr key_hash keys = 70;
    constexpr offset_t messages_max = 100000;
    std::map<key_hash, std::vector<offset_t>> expected;
    for (offset_t offset = 0; offset < messages_max; ++offset) {
        const key_hash key = first + offset % keys;
        if (offset < keys) {
            table.lock(key, offset);
            continue;
        }
        table.wait_behind(key, offset);
        all.emplace_back(offset, key);
        expected[key].push_back(offset);
    }
    for (key_hash key = first; key < first + keys; ++key) {
        table.unlock(key - first);
        std::vector<offset_t> got;
        while (true) {
            if (table.search_wanted()) {
                const offset_t from = table.start_search();
                for (const auto& [offset, of] : all) {
                    // Those given out are not ready any more.
                    if (offset >= from &&
                        (of > key || (of == key && (got.empty() || offset > got.back())))) {
                        table.found(of, offset);
                    }
                }
                table.end_search();
            }
            const auto next = table.next_runnable();
            if (next.offset == offset_end) {
                break;
            }
            ASSERT_EQ(next.key, key);
            got.push_back(next.offset);
            table.take_waiting(next);
        }
        ASSERT_EQ(got, expected[key]) << "key " << key;
    }
}

}  // namespace
}  // namespace brokerd::domain
