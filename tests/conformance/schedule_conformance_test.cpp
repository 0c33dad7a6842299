// What every store does with schedules, tested on each of them.
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/codec/record_batch.hpp"
#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using test::at;
using test::make_schedule;
using test::new_queue;
using test::new_topic;
using test::orders;

constexpr topic_id parcels{2};
constexpr std::uint32_t any_number = 100;

template <typename Subject>
class schedule_conformance : public test::store_fixture<Subject> {
protected:
    using schedule_ids = std::vector<std::uint64_t>;

    void SetUp() override {
        this->commit({new_topic(orders, "orders"), new_topic(parcels, "parcels")});
    }
    domain::schedules_fetched fetch(domain::schedule_key from, wall_time until,
                                    std::uint32_t limit = any_number,
                                    std::size_t bytes_max = SIZE_MAX, topic_id topic = orders) {
        return test::answer<domain::schedules_fetched>(
            this->store(), domain::fetch_schedules{topic, from, until, limit, bytes_max});
    }
    domain::schedules_fetched find(schedule_ids ids, topic_id topic = orders) {
        return test::answer<domain::schedules_fetched>(
            this->store(), domain::find_schedules{topic, std::move(ids)});
    }
    static schedule_ids ids_of(const domain::schedules_fetched& found) {
        schedule_ids ids;
        for (const auto& item : found.items) {
            ids.push_back(item.key.id);
        }
        return ids;
    }
    schedule_ids all_of(topic_id topic) {
        return ids_of(fetch({wall_time::min(), 0}, wall_never, any_number, SIZE_MAX, topic));
    }
    // Also as it was before the restart.
    template <typename Check>
    void twice(const Check& check) {
        check();
        this->subject_.restart();
        check();
    }
};

TYPED_TEST_SUITE(schedule_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(schedule_conformance, nothing_is_scheduled_for_a_new_topic_or_one_that_is_not_there) {
    EXPECT_TRUE(this->all_of(orders).empty());
    EXPECT_TRUE(this->all_of(topic_id{99}).empty());
    EXPECT_TRUE(this->find({1}).items.empty());
    EXPECT_TRUE(this->find({1}, topic_id{99}).items.empty());
}

TYPED_TEST(schedule_conformance, what_is_scheduled_comes_in_order_of_due_time_then_id) {
    const auto late = make_schedule(orders, 1, at(300), 3);
    this->commit({late, make_schedule(orders, 2, at(100)), make_schedule(orders, 256, at(200)),
                  make_schedule(orders, 4, at(200)), make_schedule(orders, 5, wall_from_us(-1))});
    this->twice([&] {
        const auto found = this->fetch({wall_time::min(), 0}, wall_never);
        EXPECT_FALSE(found.more);
        ASSERT_EQ(this->ids_of(found), (std::vector<std::uint64_t>{5, 2, 4, 256, 1}));
        const domain::scheduled_batch& last = found.items.back();
        EXPECT_EQ(last.key, (domain::schedule_key{at(300), 1}));
        EXPECT_EQ(last.messages, 3U);
        EXPECT_EQ(last.bytes, late.batch.view.size());
        EXPECT_EQ(as_text(last.batch.view), as_text(late.batch.view));
        EXPECT_TRUE(codec::check_batch(last.batch.view, 3));
    });
}

TYPED_TEST(schedule_conformance, each_answer_has_its_batches_for_itself) {
    this->commit({make_schedule(orders, 1, at(100)), make_schedule(orders, 2, at(200))});
    const auto once = this->fetch({}, wall_never);
    const auto again = this->fetch({}, wall_never);
    this->commit({domain::schedule_erased{orders, 1, at(100)}});
    this->subject_.restart();
    ASSERT_EQ(once.items.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(once.items[i].batch.owner.use_count(), 1);
        EXPECT_NE(once.items[i].batch.view.data(), again.items.at(i).batch.view.data());
        EXPECT_TRUE(codec::check_batch(once.items[i].batch.view, 1));
    }
}

TYPED_TEST(schedule_conformance, a_range_has_its_first_key_and_not_its_end) {
    this->commit({make_schedule(orders, 1, at(100)), make_schedule(orders, 2, at(200)),
                  make_schedule(orders, 3, at(200)), make_schedule(orders, 4, at(300))});
    const auto between = [&](domain::schedule_key from, wall_time until) {
        const auto found = this->fetch(from, until);
        EXPECT_FALSE(found.more) << "nothing is left before the end";
        return this->ids_of(found);
    };
    using ids = std::vector<std::uint64_t>;
    EXPECT_EQ(between({at(100), 1}, at(300)), (ids{1, 2, 3}));
    EXPECT_EQ(between({at(100), 2}, at(301)), (ids{2, 3, 4}));
    EXPECT_EQ(between({at(200), 2}, at(201)), (ids{2, 3}));
    EXPECT_EQ(between({at(200), 3}, at(201)), (ids{3}));
    EXPECT_EQ(between({at(200), 4}, at(300)), (ids{}));
    EXPECT_EQ(between({at(200), 0}, at(200)), (ids{}));
    EXPECT_EQ(between({at(300), 0}, at(200)), (ids{}));
}

TYPED_TEST(schedule_conformance, a_fetch_stops_at_its_number_and_says_whether_more_is_there) {
    for (std::uint64_t id = 1; id <= 5; ++id) {
        this->commit({make_schedule(orders, id, at(static_cast<std::int64_t>(id)))});
    }
    const auto some = this->fetch({}, at(5), 3);
    EXPECT_EQ(this->ids_of(some), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_TRUE(some.more);
    const auto rest = this->fetch({some.items.back().key.due, 4}, at(5), 1);
    EXPECT_EQ(this->ids_of(rest), (std::vector<std::uint64_t>{4}));
    EXPECT_FALSE(rest.more) << "the fifth is not due before the end";
    EXPECT_FALSE(this->fetch({}, at(5), 4).more);
    const auto none = this->fetch({}, at(5), 0);
    EXPECT_TRUE(none.items.empty());
    EXPECT_TRUE(none.more);
}

TYPED_TEST(schedule_conformance, a_fetch_stops_behind_the_batch_that_reaches_its_bytes) {
    const auto first = make_schedule(orders, 1, at(1), 1, 500);
    const std::size_t bytes = first.batch.view.size();
    this->commit(
        {first, make_schedule(orders, 2, at(2), 1, 500), make_schedule(orders, 3, at(3), 1, 500)});
    const auto up_to = [&](std::size_t bytes_max) {
        const auto found = this->fetch({}, wall_never, any_number, bytes_max);
        EXPECT_EQ(found.more, found.items.size() < 3);
        return found.items.size();
    };
    EXPECT_EQ(up_to(0), 1U);
    EXPECT_EQ(up_to(bytes), 1U);
    EXPECT_EQ(up_to(bytes + 1), 2U);
    EXPECT_EQ(up_to(2 * bytes), 2U);
    EXPECT_EQ(up_to(2 * bytes + 1), 3U);
    EXPECT_EQ(up_to(3 * bytes), 3U);
}

TYPED_TEST(schedule_conformance, finds_schedules_in_the_order_of_their_ids_as_asked) {
    const auto second = make_schedule(orders, 2, at(100), 4);
    this->commit({make_schedule(orders, 1, at(300)), second, make_schedule(orders, 3, at(200)),
                  make_schedule(parcels, 9, at(200))});
    this->twice([&] {
        const auto found = this->find({3, 7, 2, 9, 1});
        ASSERT_EQ(this->ids_of(found), (std::vector<std::uint64_t>{3, 2, 1}));
        EXPECT_FALSE(found.more);
        EXPECT_EQ(found.items[1].key, (domain::schedule_key{at(100), 2}));
        EXPECT_EQ(found.items[1].messages, 4U);
        EXPECT_EQ(found.items[1].bytes, second.batch.view.size());
        for (const auto& item : found.items) {
            EXPECT_TRUE(item.batch.view.empty());
        }
        EXPECT_TRUE(this->find({}).items.empty());
    });
}

TYPED_TEST(schedule_conformance, an_erased_one_is_neither_fetched_nor_found) {
    this->commit({make_schedule(orders, 1, at(100)), make_schedule(orders, 2, at(100)),
                  make_schedule(orders, 3, at(200))});
    this->commit({domain::schedule_erased{orders, 2, at(100)},
                  domain::appended{test::make_chunk(orders, 0, 1, at(100))}});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders), (std::vector<std::uint64_t>{1, 3}));
        EXPECT_EQ(this->ids_of(this->find({1, 2, 3})), (std::vector<std::uint64_t>{1, 3}));
    });
    this->commit(
        {domain::schedule_erased{orders, 1, at(100)}, domain::schedule_erased{orders, 3, at(200)}});
    this->twice([&] {
        EXPECT_TRUE(this->all_of(orders).empty());
        EXPECT_TRUE(this->find({1, 2, 3}).items.empty());
    });
}

TYPED_TEST(schedule_conformance, the_newest_totals_are_loaded_behind_their_topic_and_no_schedule) {
    constexpr queue_id billing{3};
    const domain::schedule_totals newest{orders, 5, 1, 7, 900};
    const domain::schedule_totals other{parcels, 2, 0, 0, 0};
    const domain::done_marks marks{orders, {{at(1), 1}}};
    this->commit({new_queue(orders, billing, "billing"), make_schedule(orders, 1, at(100)), marks,
                  domain::schedule_totals{orders, 2, 1, 1, 100}});
    this->commit({make_schedule(orders, 4, at(100)), newest, other});
    this->twice([&] {
        const std::vector<domain::mutation> expected{
            new_topic(orders, "orders"),   marks, newest, new_queue(orders, billing, "billing"),
            new_topic(parcels, "parcels"), other};
        EXPECT_EQ(this->load().mutations, expected);
    });
}

TYPED_TEST(schedule_conformance, a_removed_topic_takes_its_schedules_along_and_no_others) {
    this->commit({make_schedule(orders, 1, at(100)), make_schedule(orders, 2, wall_from_us(-5)),
                  domain::schedule_totals{orders, 3, 2, 2, 200}, make_schedule(parcels, 1, at(100)),
                  domain::schedule_totals{parcels, 2, 1, 1, 100}});
    this->commit({domain::topic_removed{orders}});
    this->twice([&] {
        EXPECT_TRUE(this->all_of(orders).empty());
        EXPECT_TRUE(this->find({1, 2}).items.empty());
        EXPECT_EQ(this->all_of(parcels), (std::vector<std::uint64_t>{1}));
        EXPECT_EQ(this->ids_of(this->find({1}, parcels)), (std::vector<std::uint64_t>{1}));
        const std::vector<domain::mutation> expected{
            new_topic(parcels, "parcels"), domain::schedule_totals{parcels, 2, 1, 1, 100}};
        EXPECT_EQ(this->load().mutations, expected);
    });
}

TYPED_TEST(schedule_conformance, a_removed_queue_leaves_the_schedules_of_its_topic) {
    constexpr queue_id billing{3};
    this->commit({new_queue(orders, billing, "billing"), make_schedule(orders, 1, at(100))});
    this->commit({domain::queue_removed{orders, billing}});
    this->twice([&] {
        EXPECT_EQ(this->all_of(orders), (std::vector<std::uint64_t>{1}));
        EXPECT_EQ(this->find({1}).items.size(), 1U);
    });
}

TYPED_TEST(schedule_conformance, what_was_synced_survives_a_crash) {
    this->commit({make_schedule(orders, 1, at(100)), make_schedule(orders, 2, at(200))});
    this->commit({domain::schedule_erased{orders, 1, at(100)}});
    this->subject_.crash();
    EXPECT_EQ(this->all_of(orders), (std::vector<std::uint64_t>{2}));
    EXPECT_EQ(this->ids_of(this->find({1, 2})), (std::vector<std::uint64_t>{2}));
}

}  // namespace

}  // namespace brokerd
