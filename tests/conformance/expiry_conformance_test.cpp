// What every store does with the expiry index, tested on each of them.
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using namespace std::chrono_literals;

using test::at;
using test::new_queue;
using test::new_topic;
using test::orders;

constexpr topic_id letters{2};
constexpr std::uint32_t all_there_are = 100;

template <typename Subject>
class expiry_conformance : public test::store_fixture<Subject> {
protected:
    using items = std::vector<domain::expiring_chunk>;

    void SetUp() override {
        this->commit({new_topic(orders, "orders"), new_topic(letters, "letters")});
    }
    // A chunk of one message for each time to live.
    static domain::appended with_ttls(offset_t base, const test::own_ttls& ttls,
                                      wall_time time = at(0), topic_id topic = orders) {
        return {test::make_chunk_with_ttls(topic, base, {ttls}, time)};
    }
    domain::expiring_fetched fetch(wall_time until, std::uint32_t limit = all_there_are,
                                   topic_id topic = orders) {
        return test::answer<domain::expiring_fetched>(this->store(),
                                                      domain::fetch_expiring{topic, until, limit});
    }
    items all_of(topic_id topic) {
        const auto found = fetch(wall_never, all_there_are, topic);
        EXPECT_EQ(found.next, wall_never);
        return found.items;
    }
    // Also as it was before the restart.
    template <typename Check>
    void twice(const Check& check) {
        check();
        this->subject_.restart();
        check();
    }
};

TYPED_TEST_SUITE(expiry_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(expiry_conformance, nothing_expires_in_a_new_topic_or_one_that_is_not_there) {
    EXPECT_TRUE(this->all_of(orders).empty());
    EXPECT_TRUE(this->all_of(topic_id{99}).empty());
}

TYPED_TEST(expiry_conformance, a_chunk_whose_messages_have_a_time_to_live_is_entered) {
    this->commit({this->with_ttls(0, {std::nullopt, std::nullopt}), this->with_ttls(2, {5}),
                  this->with_ttls(3, {std::nullopt, 900, 70}, at(10))});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders), (std::vector<domain::expiring_chunk>{
                                            {at(0) + 5ms, 2, 1}, {at(10) + 70ms, 5, 3}}));
    });
}

TYPED_TEST(expiry_conformance, the_earliest_of_all_batches_of_a_chunk_counts) {
    this->commit({domain::appended{test::make_chunk_with_ttls(
        orders, 0, {{std::nullopt}, {800, 300}, {400, std::nullopt}}, at(0))}});
    EXPECT_EQ(this->all_of(orders), (std::vector<domain::expiring_chunk>{{at(0) + 300ms, 4, 5}}));
}

TYPED_TEST(expiry_conformance, one_that_never_expires_is_not_entered) {
    constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
    this->commit({this->with_ttls(0, {largest - 1, largest})});
    EXPECT_TRUE(this->all_of(orders).empty());
    this->commit({this->with_ttls(2, {largest, 0})});
    // 0 was over long ago, whatever the clock says.
    EXPECT_EQ(this->all_of(orders), (std::vector<domain::expiring_chunk>{{wall_time{}, 3, 2}}));
}

TYPED_TEST(expiry_conformance, entries_come_in_order_of_time_then_offset) {
    this->commit({this->with_ttls(0, {30}), this->with_ttls(1, {20}), this->with_ttls(2, {20}),
                  this->with_ttls(3, {10}), this->with_ttls(4, {1}, wall_from_us(-5'000'000)),
                  this->with_ttls(255, {20}), this->with_ttls(256, {20})});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders),
                  (std::vector<domain::expiring_chunk>{{wall_from_us(-5'000'000) + 1ms, 4, 1},
                                                       {at(0) + 10ms, 3, 1},
                                                       {at(0) + 20ms, 1, 1},
                                                       {at(0) + 20ms, 2, 1},
                                                       {at(0) + 20ms, 255, 1},
                                                       {at(0) + 20ms, 256, 1},
                                                       {at(0) + 30ms, 0, 1}}));
    });
}

TYPED_TEST(expiry_conformance, a_fetch_ends_before_its_time_and_tells_the_next_one) {
    this->commit({this->with_ttls(0, {10}), this->with_ttls(1, {20}), this->with_ttls(2, {30})});
    const auto before = [&](wall_time until) {
        const auto found = this->fetch(until);
        return std::pair{found.items.size(), found.next};
    };
    using answer = std::pair<std::size_t, wall_time>;
    EXPECT_EQ(before(wall_time::min()), answer(0, at(0) + 10ms));
    EXPECT_EQ(before(at(0) + 10ms), answer(0, at(0) + 10ms));
    EXPECT_EQ(before(at(1) + 10ms), answer(1, at(0) + 20ms));
    EXPECT_EQ(before(at(0) + 30ms), answer(2, at(0) + 30ms));
    EXPECT_EQ(before(at(1) + 30ms), answer(3, wall_never));
    EXPECT_EQ(before(wall_never), answer(3, wall_never));
}

TYPED_TEST(expiry_conformance, a_fetch_stops_at_its_number_and_tells_the_next_one) {
    this->commit({this->with_ttls(0, {10}), this->with_ttls(1, {20}), this->with_ttls(2, {30})});
    const auto some = this->fetch(wall_never, 2);
    EXPECT_EQ(some.items,
              (std::vector<domain::expiring_chunk>{{at(0) + 10ms, 0, 1}, {at(0) + 20ms, 1, 1}}));
    EXPECT_EQ(some.next, at(0) + 30ms) << "although it is before the end";
    const auto none = this->fetch(wall_never, 0);
    EXPECT_TRUE(none.items.empty());
    EXPECT_EQ(none.next, at(0) + 10ms);
    EXPECT_EQ(this->fetch(wall_never, 3).next, wall_never);
}

TYPED_TEST(expiry_conformance, an_entry_is_moved_made_and_erased) {
    this->commit({this->with_ttls(0, {10, 50}), this->with_ttls(2, {20})});
    this->commit({domain::expiry_moved{orders, 1, 2, at(0) + 10ms, at(0) + 50ms},
                  domain::expiry_moved{orders, 9, 7, wall_never, at(0) + 15ms}});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders),
                  (std::vector<domain::expiring_chunk>{
                      {at(0) + 15ms, 9, 7}, {at(0) + 20ms, 2, 1}, {at(0) + 50ms, 1, 2}}));
    });
    this->commit({domain::expiry_moved{orders, 1, 2, at(0) + 50ms, wall_never},
                  domain::expiry_moved{orders, 2, 1, at(0) + 20ms, wall_never},
                  domain::expiry_moved{orders, 8, 1, at(0) + 20ms, wall_never}});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders),
                  (std::vector<domain::expiring_chunk>{{at(0) + 15ms, 9, 7}}));
    });
}

TYPED_TEST(expiry_conformance, one_commit_may_enter_a_chunk_and_move_it_and_back) {
    this->commit({this->with_ttls(0, {10}),
                  domain::expiry_moved{orders, 0, 1, at(0) + 10ms, at(0) + 60ms},
                  domain::expiry_moved{orders, 0, 1, at(0) + 60ms, at(0) + 10ms}});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders),
                  (std::vector<domain::expiring_chunk>{{at(0) + 10ms, 0, 1}}));
    });
}

// Whether an entry is still there whose chunk lies below it is up to the store.
TYPED_TEST(expiry_conformance, a_trim_point_takes_no_entry_of_a_chunk_above_it) {
    this->commit(
        {this->with_ttls(0, {10, 10}), this->with_ttls(2, {5, 5}), this->with_ttls(4, {20})});
    this->commit({domain::trimmed{orders, 3}});
    this->twice([&] {
        auto found = this->all_of(orders);
        std::erase_if(found, [](const auto& item) { return item.last < 3; });
        EXPECT_EQ(found,
                  (std::vector<domain::expiring_chunk>{{at(0) + 5ms, 3, 2}, {at(0) + 20ms, 4, 1}}));
        this->store().maintain();
    });
}

TYPED_TEST(expiry_conformance, the_newest_watch_is_loaded_behind_its_topic) {
    constexpr queue_id billing{3};
    const domain::schedule_totals totals{orders, 5, 1, 7, 900};
    const domain::expiry_watched newest{orders, 12};
    const domain::expiry_watched other{letters, offset_end};
    this->commit({new_queue(orders, billing, "billing"), domain::expiry_watched{orders}, totals,
                  this->with_ttls(0, {10})});
    this->commit({newest, other});
    this->twice([&] {
        const std::vector<domain::mutation> expected{
            new_topic(orders, "orders"),   totals, newest, new_queue(orders, billing, "billing"),
            new_topic(letters, "letters"), other};
        EXPECT_EQ(this->load().mutations, expected);
    });
}

TYPED_TEST(expiry_conformance, a_removed_topic_takes_its_entries_along_and_no_others) {
    this->commit({this->with_ttls(0, {10}), this->with_ttls(1, {20}, wall_from_us(-5'000'000)),
                  domain::expiry_watched{orders}, this->with_ttls(0, {30}, at(0), letters),
                  domain::expiry_watched{letters, 4}});
    this->commit({domain::topic_removed{orders}});
    this->twice([&] {
        EXPECT_TRUE(this->all_of(orders).empty());
        EXPECT_EQ(this->all_of(letters),
                  (std::vector<domain::expiring_chunk>{{at(0) + 30ms, 0, 1}}));
        const std::vector<domain::mutation> expected{new_topic(letters, "letters"),
                                                     domain::expiry_watched{letters, 4}};
        EXPECT_EQ(this->load().mutations, expected);
    });
}

TYPED_TEST(expiry_conformance, a_removed_queue_leaves_the_entries_of_its_topic) {
    constexpr queue_id billing{3};
    this->commit({new_queue(orders, billing, "billing"), this->with_ttls(0, {10})});
    this->commit({domain::queue_removed{orders, billing}});
    this->twice([&] { EXPECT_EQ(this->all_of(orders).size(), 1U); });
}

TYPED_TEST(expiry_conformance, what_was_synced_survives_a_crash) {
    this->commit({this->with_ttls(0, {10}), this->with_ttls(1, {20})});
    this->commit({domain::expiry_moved{orders, 0, 1, at(0) + 10ms, wall_never}});
    this->subject_.crash();
    EXPECT_EQ(this->all_of(orders), (std::vector<domain::expiring_chunk>{{at(0) + 20ms, 1, 1}}));
}

}  // namespace

}  // namespace brokerd
