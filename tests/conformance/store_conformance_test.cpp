// What every store does, tested on each of them.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "broker/storage/commit_log.hpp"
#include "broker/storage/memory_store.hpp"
#include "protocol/types/limits.hpp"
#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/random_workload.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using storage::append_status;
using test::at;
using test::new_queue;
using test::new_topic;
using test::orders;

constexpr queue_id billing{2};

template <typename Subject>
class store_conformance : public test::store_fixture<Subject> {
protected:
    void with_queue() {
        this->commit({new_topic(orders, "orders"), new_queue(orders, billing, "billing")});
    }
    void append(offset_t base, std::uint32_t count, wall_time time = at(0)) {
        this->commit({domain::appended{test::make_chunk(orders, base, count, time)}});
    }
    std::vector<offset_t> bases(const std::vector<domain::chunk_ptr>& chunks) {
        std::vector<offset_t> result;
        for (const auto& chunk : chunks) {
            result.push_back(chunk->base_offset());
        }
        return result;
    }
    domain::exception_put failed(offset_t offset, message_state state, wall_time due,
                                 wall_time previous_due = wall_never) {
        domain::exception_put put{orders, billing, offset, previous_due, {}};
        put.value.state = state;
        put.value.due = due;
        put.value.attempts = 1;
        put.value.history = {{at(7), attempt_outcome::expired, "worker@host:1", ""}};
        return put;
    }
    domain::exceptions_fetched exceptions(std::vector<offset_t> offsets, bool with_records) {
        return test::answer<domain::exceptions_fetched>(
            this->store(),
            domain::fetch_exceptions{orders, billing, std::move(offsets), with_records});
    }
    std::vector<offset_t> due_offsets(wall_time from, wall_time until, std::uint32_t limit = 100) {
        std::vector<offset_t> result;
        const auto found = test::answer<domain::due_fetched>(
            this->store(), domain::fetch_due{orders, billing, from, until, limit});
        for (const auto& item : found.items) {
            result.push_back(item.offset);
        }
        return result;
    }
};

TYPED_TEST_SUITE(store_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(store_conformance, a_new_store_is_empty) {
    const auto state = this->load();
    EXPECT_EQ(state.epoch, broker_epoch{});
    EXPECT_EQ(state.last_commit, commit_number{});
    EXPECT_EQ(state.next_id, 1U);
    EXPECT_EQ(state.retry_clock, wall_time{});
    EXPECT_TRUE(state.mutations.empty());
    EXPECT_TRUE(state.tails.empty());
    EXPECT_EQ(this->store().database_id().size(), 32U);
}

TYPED_TEST(store_conformance, loads_topics_before_their_queues_and_remembers_epoch_and_ids) {
    const domain::topic_changed changed{orders, {.max_message_bytes = 77}};
    const domain::queue_changed paused{orders, billing, {}, true, {broker_epoch{3}, 9}};
    this->commit({domain::epoch_started{broker_epoch{3}}, new_topic(orders, "orders"),
                  new_queue(orders, billing, "billing")});
    this->commit({paused, changed, domain::trimmed{orders, 0}});
    this->subject_.restart();
    const auto state = this->load();
    EXPECT_EQ(state.epoch, broker_epoch{3});
    EXPECT_EQ(state.last_commit, commit_number{2});
    EXPECT_EQ(state.next_id, 3U);
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"), changed,
                                                 domain::trimmed{orders, 0},
                                                 new_queue(orders, billing, "billing"), paused};
    EXPECT_EQ(state.mutations, expected);
}

TYPED_TEST(store_conformance, remembers_what_a_queue_takes_and_from_where_on_to_look) {
    domain::queue_created created = new_queue(orders, billing, "billing");
    created.settings.filter = std::string(limits::filter_bytes_max, 'f');
    created.settings.until = 900;
    domain::queue_changed changed{orders, billing, created.settings, false, {}, 17};
    const auto holds = [&](const std::vector<domain::mutation>& expected) {
        EXPECT_EQ(this->load().mutations, expected);
        this->subject_.restart();
        EXPECT_EQ(this->load().mutations, expected);
        this->subject_.crash();
        EXPECT_EQ(this->load().mutations, expected);
    };
    this->commit({new_topic(orders, "orders"), created});
    holds({new_topic(orders, "orders"), created});
    this->commit({changed});
    holds({new_topic(orders, "orders"), created, changed});
    changed.settings.filter.clear();
    changed.settings.until = offset_end - 1;
    changed.unsifted = offset_end;
    this->commit({changed});
    holds({new_topic(orders, "orders"), created, changed});
}

TYPED_TEST(store_conformance, remembers_the_retry_clock_and_the_newest_done_marks) {
    const domain::done_marks newest{orders, {{at(2), 3}, {at(4), 5}}};
    this->with_queue();
    this->commit({domain::retry_clock{at(5)}, domain::done_marks{orders, {{at(1), 1}}}});
    this->commit({domain::retry_clock{at(9)}, newest});
    this->subject_.restart();
    const auto state = this->load();
    EXPECT_EQ(state.retry_clock, at(9));
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"), newest,
                                                 new_queue(orders, billing, "billing")};
    EXPECT_EQ(state.mutations, expected);
    this->commit({domain::topic_removed{orders}});
    this->subject_.restart();
    EXPECT_TRUE(this->load().mutations.empty());
    EXPECT_EQ(this->load().retry_clock, at(9));
}

TYPED_TEST(store_conformance, reads_the_log_from_the_chunk_that_holds_an_offset) {
    this->with_queue();
    this->append(0, 10);
    this->append(10, 5);
    this->append(15, 1);
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 0)),
              (std::vector<offset_t>{0, 10, 15}));
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 9)),
              (std::vector<offset_t>{0, 10, 15}));
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 10)),
              (std::vector<offset_t>{10, 15}));
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 15)), (std::vector<offset_t>{15}));
    EXPECT_TRUE(test::read_log(this->store(), orders, 16).empty());
    EXPECT_TRUE(test::read_log(this->store(), topic_id{99}, 0).empty());
}

TYPED_TEST(store_conformance, a_read_of_the_log_is_bounded_by_bytes_but_never_empty) {
    this->with_queue();
    for (offset_t base = 0; base < 10; ++base) {
        this->append(base, 1);
    }
    const auto one = test::read_log(this->store(), orders, 3, 0);
    ASSERT_EQ(this->bases(one), (std::vector<offset_t>{3}));
    const std::size_t bytes = one.front()->bytes().size();
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 3, bytes)),
              (std::vector<offset_t>{3}));
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 3, bytes + 1)),
              (std::vector<offset_t>{3, 4}));
}

TYPED_TEST(store_conformance, a_reader_that_goes_on_sees_what_was_appended_meanwhile) {
    this->with_queue();
    this->append(0, 4);
    this->append(4, 4);
    constexpr std::uint64_t reader = 7;
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 0, 1, reader)),
              (std::vector<offset_t>{0}));
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 4, 1, reader)),
              (std::vector<offset_t>{4}));
    EXPECT_TRUE(test::read_log(this->store(), orders, 8, 1, reader).empty());
    this->append(8, 4);
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 8, 1, reader)),
              (std::vector<offset_t>{8}));
    // It may also go back.
    EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 2, SIZE_MAX, reader)),
              (std::vector<offset_t>{0, 4, 8}));
}

TYPED_TEST(store_conformance, nothing_below_the_trim_point_is_readable) {
    this->with_queue();
    this->append(0, 10, at(10));
    this->append(10, 10, at(20));
    this->commit({domain::trimmed{orders, 12}});
    for (int restarted = 0; restarted < 2; ++restarted) {
        EXPECT_EQ(this->bases(test::read_log(this->store(), orders, 0)),
                  (std::vector<offset_t>{10}));
        const auto times = test::answer<domain::times_fetched>(
            this->store(), domain::fetch_times{{{orders, 11}, {orders, 12}}});
        EXPECT_EQ(times.times, (std::vector{wall_never, at(20)}));
        this->subject_.restart();
    }
    const auto state = this->load();
    ASSERT_EQ(state.tails.size(), 1U);
    EXPECT_EQ(state.tails[0].next_offset, 20U);
    EXPECT_EQ(state.tails[0].last_append, at(20));
}

// Promise: durability.offsets
TYPED_TEST(store_conformance, offsets_and_times_go_on_where_everything_was_trimmed) {
    this->with_queue();
    this->append(0, 10, at(10));
    this->commit({domain::trimmed{orders, 10}});
    this->subject_.restart();
    this->store().maintain();
    this->subject_.restart();
    const auto state = this->load();
    ASSERT_EQ(state.tails.size(), 1U);
    EXPECT_EQ(state.tails[0].next_offset, 10U);
    EXPECT_EQ(state.tails[0].last_append, at(10));
    EXPECT_TRUE(test::read_log(this->store(), orders, 0).empty());
}

TYPED_TEST(store_conformance, finds_times_of_messages_and_offsets_of_times) {
    this->with_queue();
    this->append(0, 10, at(100));
    this->append(10, 10, at(200));
    this->append(20, 10, at(200));
    this->append(30, 1, at(300));
    const auto times = test::answer<domain::times_fetched>(
        this->store(),
        domain::fetch_times{{{orders, 0}, {orders, 10}, {orders, 30}, {orders, 31}}});
    EXPECT_EQ(times.times, (std::vector{at(100), at(200), at(300), wall_never}));
    EXPECT_EQ(this->offset_at(at(0)), 0U);
    EXPECT_EQ(this->offset_at(at(100)), 0U);
    EXPECT_EQ(this->offset_at(at(101)), 10U);
    EXPECT_EQ(this->offset_at(at(200)), 10U);
    EXPECT_EQ(this->offset_at(at(250)), 30U);
    EXPECT_EQ(this->offset_at(at(301)), 31U);
    this->commit({domain::trimmed{orders, 15}});
    EXPECT_EQ(this->offset_at(at(0)), 15U);
}

TYPED_TEST(store_conformance, a_log_may_have_holes) {
    this->with_queue();
    this->append(0, 10, at(100));
    this->append(1000, 10, at(200));
    this->append(1010, 5, at(300));
    this->append(20000, 1, at(400));
    const auto bases_from = [&](offset_t from, std::size_t bytes_max, std::uint64_t reader) {
        return this->bases(test::answer<domain::log_fetched>(
                               this->store(), domain::fetch_log{orders, from, bytes_max, reader})
                               .chunks);
    };
    const auto holds = [&] {
        EXPECT_EQ(this->offset_at(at(100)), 0U);
        EXPECT_EQ(this->offset_at(at(101)), 1000U) << "the first one behind the hole";
        EXPECT_EQ(this->offset_at(at(250)), 1010U);
        EXPECT_EQ(this->offset_at(at(350)), 20000U);
        EXPECT_EQ(this->offset_at(at(401)), 20001U);
        EXPECT_EQ(bases_from(0, 1 << 20, 0), (std::vector<offset_t>{0, 1000, 1010, 20000}));
        EXPECT_EQ(bases_from(10, 0, 0), std::vector<offset_t>{1000}) << "the next one there is";
        EXPECT_EQ(bases_from(1007, 0, 0), std::vector<offset_t>{1000});
        EXPECT_EQ(bases_from(1015, 0, 0), std::vector<offset_t>{20000});
        // With a kept iterator, as a queue reads that goes on behind the hole.
        EXPECT_EQ(bases_from(5, 0, 7), std::vector<offset_t>{0});
        EXPECT_EQ(bases_from(1000, 0, 7), std::vector<offset_t>{1000});
        const auto times = test::answer<domain::times_fetched>(
            this->store(), domain::fetch_times{{{orders, 9}, {orders, 10}, {orders, 1000}}});
        EXPECT_EQ(times.times, (std::vector{at(100), wall_never, at(200)}));
        EXPECT_EQ(this->load().tails.at(0).next_offset, 20001U);
    };
    holds();
    this->subject_.restart();
    holds();
    this->commit({domain::trimmed{orders, 500}});
    EXPECT_EQ(bases_from(500, 0, 0), std::vector<offset_t>{1000});
    EXPECT_EQ(this->offset_at(at(0)), 1000U);
}

TYPED_TEST(store_conformance, a_snapshot_replaces_the_deltas_up_to_it) {
    this->with_queue();
    const std::vector<domain::state_run> runs{{message_state::done, 5, 2},
                                              {message_state::retrying, 1, 1}};
    std::vector<domain::mutation> kept;
    for (std::uint64_t number = 1; number <= 3; ++number) {
        this->commit({domain::queue_delta{orders, billing, number, number, number, runs}});
    }
    const domain::queue_snapshot snapshot{orders, billing, 4, 0, 4, 4, runs};
    const domain::queue_delta later{orders, billing, 5, 6, 7, {}};
    this->commit({snapshot});
    this->commit({later});
    this->subject_.restart();
    const std::vector<domain::mutation> expected{
        new_topic(orders, "orders"), new_queue(orders, billing, "billing"), snapshot, later};
    EXPECT_EQ(this->load().mutations, expected);
}

TYPED_TEST(store_conformance, a_snapshot_of_many_deltas_leaves_none) {
    this->with_queue();
    for (std::uint64_t number = 1; number <= 100; ++number) {
        this->commit({domain::queue_delta{orders, billing, number, number, number, {}}});
    }
    const domain::queue_snapshot snapshot{orders, billing, 100, 0, 100, 100, {}};
    this->commit({snapshot});
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"),
                                                 new_queue(orders, billing, "billing"), snapshot};
    EXPECT_EQ(this->load().mutations, expected);
}

TYPED_TEST(store_conformance, an_exception_brings_its_record_from_the_log_or_from_the_kept_ones) {
    this->with_queue();
    this->append(0, 10, at(5));
    this->commit({this->failed(3, message_state::retrying, at(50)),
                  this->failed(8, message_state::dead, at(60))});
    const std::string record(as_text(test::read_log(this->store(), orders, 0)[0]->record(3)));
    this->commit({domain::kept_put{orders, billing, 3, at(5), record}, domain::trimmed{orders, 5}});
    this->subject_.restart();
    const auto found = this->exceptions({1, 3, 8}, true);
    ASSERT_EQ(found.entries.size(), 2U);
    EXPECT_EQ(found.entries[0].offset, 3U);
    EXPECT_EQ(found.entries[0].append_time, at(5));
    EXPECT_EQ(as_text(found.entries[0].record.view), record);
    EXPECT_EQ(found.entries[0].value.history.at(0).consumer, "worker@host:1");
    EXPECT_EQ(found.entries[1].offset, 8U);
    EXPECT_EQ(found.entries[1].append_time, at(5));
    EXPECT_EQ(found.entries[1].value.state, message_state::dead);
    EXPECT_FALSE(found.entries[1].record.view.empty());
    EXPECT_TRUE(this->exceptions({3, 8}, false).entries[1].record.view.empty());
}

// A message that failed just now: the store has it, and not yet that it failed.
TYPED_TEST(store_conformance, a_record_comes_without_its_exception) {
    this->with_queue();
    this->append(0, 10, at(5));
    this->commit({this->failed(3, message_state::dead, at(50))});
    const auto found = this->exceptions({3, 4, 20}, true);
    ASSERT_EQ(found.entries.size(), 2U);
    EXPECT_TRUE(found.entries[0].stored);
    EXPECT_EQ(found.entries[1].offset, 4U);
    EXPECT_FALSE(found.entries[1].stored);
    EXPECT_EQ(found.entries[1].append_time, at(5));
    EXPECT_FALSE(found.entries[1].record.view.empty());
    EXPECT_EQ(this->exceptions({3, 4}, false).entries.size(), 1U);
}

// So it is asked while the commit that makes a clone of a queue is on its way.
TYPED_TEST(store_conformance, the_log_has_the_records_for_a_queue_that_is_not_stored_yet) {
    this->commit({new_topic(orders, "orders")});
    EXPECT_TRUE(this->exceptions({4}, true).entries.empty());
    this->append(0, 10, at(5));
    const auto found = this->exceptions({4, 20}, true);
    ASSERT_EQ(found.entries.size(), 1U);
    EXPECT_EQ(found.entries[0].offset, 4U);
    EXPECT_FALSE(found.entries[0].stored);
    EXPECT_EQ(found.entries[0].append_time, at(5));
    EXPECT_FALSE(found.entries[0].record.view.empty());
    EXPECT_TRUE(this->exceptions({4}, false).entries.empty());
}

TYPED_TEST(store_conformance, records_are_read_up_to_a_bound) {
    this->with_queue();
    for (offset_t offset = 0; offset < 6; ++offset) {
        this->append(offset, 1);
        this->commit({this->failed(offset, message_state::dead, at(50))});
    }
    const auto read = [&](std::vector<offset_t> offsets, std::size_t bytes_max) {
        return test::answer<domain::exceptions_fetched>(
            this->store(),
            domain::fetch_exceptions{orders, billing, std::move(offsets), true, bytes_max});
    };
    const auto one = read({1, 3, 5}, 1);
    ASSERT_EQ(one.entries.size(), 1U);
    EXPECT_EQ(one.looked_below, 3U);
    const auto all = read({1, 3, 5}, 0);
    EXPECT_EQ(all.entries.size(), 3U);
    EXPECT_EQ(all.looked_below, offset_end);
}

TYPED_TEST(store_conformance, the_due_index_follows_the_exceptions) {
    this->with_queue();
    this->append(0, 10);
    this->commit({this->failed(1, message_state::retrying, at(50)),
                  this->failed(2, message_state::retrying, at(40)),
                  this->failed(3, message_state::retrying, at(60)),
                  this->failed(4, message_state::dead, at(45))});
    EXPECT_EQ(this->due_offsets(at(0), at(100)), (std::vector<offset_t>{2, 1, 3}));
    EXPECT_EQ(this->due_offsets(at(50), at(60)), (std::vector<offset_t>{1}));
    EXPECT_EQ(this->due_offsets(at(0), wall_never, 2), (std::vector<offset_t>{2, 1}));
    this->commit({this->failed(1, message_state::retrying, at(70), at(50)),
                  this->failed(2, message_state::dead, at(40), at(40)),
                  domain::exception_erased{orders, billing, 3, at(60)}});
    this->subject_.restart();
    EXPECT_EQ(this->due_offsets(at(0), at(100)), (std::vector<offset_t>{1}));
    EXPECT_EQ(this->exceptions({1, 2, 3, 4}, false).entries.size(), 3U);
}

TYPED_TEST(store_conformance, scans_the_exceptions_of_one_state) {
    this->with_queue();
    for (offset_t offset = 0; offset < 10; ++offset) {
        this->commit({this->failed(
            offset, offset % 2 == 0 ? message_state::dead : message_state::retrying, at(1))});
    }
    const auto scan = [&](offset_t from, offset_t until, std::uint32_t limit) {
        return test::answer<domain::exceptions_fetched>(
            this->store(),
            domain::scan_exceptions{orders, billing, message_state::dead, from, until, limit});
    };
    EXPECT_EQ(scan(0, offset_end, 5).entries.size(), 5U);
    EXPECT_FALSE(scan(0, offset_end, 5).more);
    EXPECT_TRUE(scan(0, offset_end, 4).more);
    const auto part = scan(2, 6, 10);
    ASSERT_EQ(part.entries.size(), 2U);
    EXPECT_EQ(part.entries[0].offset, 2U);
    EXPECT_EQ(part.entries[1].offset, 4U);
}

TYPED_TEST(store_conformance, producer_slots_are_replaced_and_erased) {
    this->with_queue();
    const domain::producer_put first{orders, {}, producer_id{7}, 0, at(1), {{1, 5, 0}}};
    const domain::producer_put newer{orders, {}, producer_id{7}, 0, at(2), {{1, 5, 0}, {6, 1, 9}}};
    const domain::producer_put second{orders, {}, producer_id{7}, 1, at(3), {{7, 2, 10}}};
    const domain::producer_put settles{orders, billing, producer_id{7}, 0, at(4), {{1, 1, 1}}};
    this->commit({first, settles});
    this->commit({newer, second});
    const auto without_meta = [&] {
        auto all = this->load().mutations;
        all.erase(all.begin(), all.begin() + 2);
        return all;
    };
    EXPECT_EQ(without_meta(), (std::vector<domain::mutation>{newer, second, settles}));
    this->commit({domain::producer_erased{orders, {}, producer_id{7}, 2}});
    this->subject_.restart();
    EXPECT_EQ(without_meta(), (std::vector<domain::mutation>{settles}));
}

// Those of transactions belong to no topic: they lie under topic 0.
TYPED_TEST(store_conformance, slots_of_no_topic_come_first_and_stay_when_topics_go) {
    constexpr topic_id none;
    const domain::producer_put before{none, {}, producer_id{7}, 0, at(1), {{1, 1, 4}}};
    this->commit({before});
    EXPECT_EQ(this->load().mutations, (std::vector<domain::mutation>{before}));
    this->with_queue();
    const domain::producer_put replaced{none, {}, producer_id{7}, 0, at(2), {{1, 2, 4}}};
    const domain::producer_put second{none, {}, producer_id{7}, 1, at(3), {{3, 1, 5}}};
    const domain::producer_put other{none, {}, producer_id{8}, 0, at(3), {{1, 1, 9}}};
    const domain::producer_put publishes{orders, {}, producer_id{7}, 0, at(3), {{1, 5, 0}}};
    this->commit({publishes, other, second, replaced});
    this->subject_.restart();
    auto all = this->load().mutations;
    all.erase(all.begin(), all.begin() + 2);
    EXPECT_EQ(all, (std::vector<domain::mutation>{replaced, second, other, publishes}));
    this->commit({domain::queue_removed{orders, billing}});
    this->commit({domain::topic_removed{orders}});
    this->store().maintain();
    this->subject_.restart();
    EXPECT_EQ(this->load().mutations, (std::vector<domain::mutation>{replaced, second, other}));
    this->commit({domain::producer_erased{none, {}, producer_id{7}, 2}});
    this->subject_.restart();
    EXPECT_EQ(this->load().mutations, (std::vector<domain::mutation>{other}));
}

TYPED_TEST(store_conformance, a_removed_queue_leaves_nothing) {
    this->with_queue();
    constexpr queue_id audit{3};
    this->append(0, 10);
    this->commit({new_queue(orders, audit, "audit"),
                  domain::queue_delta{orders, audit, 1, 1, 1, {}},
                  domain::queue_delta{orders, billing, 1, 1, 1, {}},
                  domain::producer_put{orders, billing, producer_id{7}, 0, at(4), {{1, 1, 1}}},
                  this->failed(3, message_state::retrying, at(50)),
                  domain::kept_put{orders, billing, 3, at(5), "record"}});
    this->commit({domain::queue_removed{orders, billing}});
    this->subject_.restart();
    const auto state = this->load();
    const std::vector<domain::mutation> expected{new_topic(orders, "orders"),
                                                 new_queue(orders, audit, "audit"),
                                                 domain::queue_delta{orders, audit, 1, 1, 1, {}}};
    EXPECT_EQ(state.mutations, expected);
    EXPECT_EQ(state.next_id, 4U);
    EXPECT_TRUE(this->exceptions({3}, false).entries.empty());
    EXPECT_TRUE(this->due_offsets(at(0), wall_never).empty());
}

TYPED_TEST(store_conformance, a_removed_topic_leaves_nothing_and_its_id_stays_used) {
    this->with_queue();
    this->append(0, 10);
    this->commit({this->failed(3, message_state::retrying, at(50)),
                  domain::queue_delta{orders, billing, 1, 1, 1, {}}});
    this->commit({domain::topic_removed{orders}});
    this->subject_.restart();
    const auto state = this->load();
    EXPECT_TRUE(state.mutations.empty());
    EXPECT_TRUE(state.tails.empty());
    EXPECT_EQ(state.next_id, 3U);
    EXPECT_TRUE(test::read_log(this->store(), orders, 0).empty());
    // The name comes back as another topic.
    constexpr topic_id again{3};
    this->commit(
        {new_topic(again, "orders"), domain::appended{test::make_chunk(again, 0, 2, at(1))}});
    this->store().maintain();
    this->commit({domain::epoch_started{broker_epoch{9}}});
    this->subject_.restart();
    EXPECT_EQ(this->load().tails.size(), 1U);
    EXPECT_EQ(test::read_log(this->store(), again, 0).size(), 1U);
}

TYPED_TEST(store_conformance, a_batch_becomes_visible_as_a_whole_and_survives_a_crash_once_synced) {
    this->with_queue();
    this->commit({domain::appended{test::make_chunk(orders, 0, 3, at(1))},
                  domain::queue_delta{orders, billing, 1, 1, 1, {}}},
                 false);
    this->commit({domain::appended{test::make_chunk(orders, 3, 3, at(2))}});  // covers it
    this->subject_.crash();
    const auto state = this->load();
    EXPECT_EQ(state.last_commit, commit_number{3});
    EXPECT_EQ(state.tails.at(0).next_offset, 6U);
    EXPECT_EQ(state.mutations.size(), 3U);
}

TYPED_TEST(store_conformance, the_local_commit_log_syncs_what_it_is_told_to) {
    storage::local_commit_log log(this->store());
    EXPECT_EQ(log.append(commit_number{1}, {new_topic(orders, "orders")}, true).status,
              append_status::done);
    EXPECT_EQ(log.append(commit_number{2}, {new_queue(orders, billing, "billing")}, false).status,
              append_status::done);
    EXPECT_EQ(this->load().mutations.size(), 2U) << "it is applied";
    EXPECT_EQ(log.append(commit_number{3}, {}, true).status, append_status::done)
        << "a commit of nothing syncs what came before";
    this->subject_.crash();
    EXPECT_EQ(this->load().mutations.size(), 2U);
    EXPECT_EQ(this->load().last_commit, commit_number{3});
}

TYPED_TEST(store_conformance, random_commits_read_the_same_as_in_the_model) {
    storage::memory_store model;
    test::random_workload workload(20);
    for (int i = 0; i < 600; ++i) {
        const auto batch = workload.next();
        test::committer(model, this->last_).apply(batch);
        this->commit(batch);
        if (i % 150 == 149) {
            this->store().maintain();
            test::expect_same_content(this->store(), model);
            this->subject_.restart();
            test::expect_same_content(this->store(), model);
        }
        if (this->HasFailure()) {
            break;
        }
    }
}

}  // namespace

}  // namespace brokerd
