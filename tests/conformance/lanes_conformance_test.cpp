// What every store does with topics that have several lanes, tested on each of them: they read as
// one log, and each lane by itself.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/store_subjects.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd {

namespace {

using test::at;
using test::new_queue;
using test::new_topic;
using test::orders;

constexpr queue_id packing{2};
constexpr topic_id invoices{3};
using offset_list = std::vector<offset_t>;
using lane_list = std::vector<std::uint8_t>;

offset_list bases_of(const std::vector<domain::chunk_ptr>& chunks) {
    offset_list result;
    for (const auto& chunk : chunks) {
        result.push_back(chunk->base_offset());
    }
    return result;
}

template <typename Subject>
class lanes_conformance : public test::store_fixture<Subject> {
protected:
    void with_lanes(std::uint8_t lanes) {
        this->commit({new_topic(orders, "orders", lanes), new_queue(orders, packing, "packing")});
    }
    void append(std::uint8_t lane, offset_t base, std::uint32_t count, wall_time time = at(0)) {
        this->commit({domain::appended{test::make_chunk(orders, base, count, time, 20, lane)}});
    }
    // Chunks of ten messages in lanes 0, 2, 1, 2, 0, 1.
    void append_mixed() {
        offset_t base = 0;
        for (const std::uint8_t lane : lane_list{0, 2, 1, 2, 0, 1}) {
            append(lane, base, 10, at(static_cast<std::int64_t>(base)));
            base += 10;
        }
    }
    offset_list log(offset_t from, std::size_t bytes_max = SIZE_MAX, std::uint64_t reader = 0) {
        return bases_of(test::read_log(this->store(), orders, from, bytes_max, reader));
    }
    offset_list lane(std::uint8_t lane, offset_t from, std::size_t bytes_max = SIZE_MAX,
                     std::uint64_t reader = 0) {
        return bases_of(test::read_lane(this->store(), orders, lane, from, bytes_max, reader));
    }
    domain::topic_tail tail() {
        const auto tails = this->load().tails;
        return tails.empty() ? domain::topic_tail{} : tails.front();
    }
};

TYPED_TEST_SUITE(lanes_conformance, test::store_subjects, test::store_subject_names);

TYPED_TEST(lanes_conformance, all_lanes_are_read_as_one_log) {
    this->with_lanes(3);
    this->append_mixed();
    for (int restarted = 0; restarted < 2; ++restarted) {
        EXPECT_EQ(this->log(0), (offset_list{0, 10, 20, 30, 40, 50}));
        EXPECT_EQ(this->log(9), (offset_list{0, 10, 20, 30, 40, 50}));
        EXPECT_EQ(this->log(10), (offset_list{10, 20, 30, 40, 50}));
        EXPECT_EQ(this->log(25), (offset_list{20, 30, 40, 50}));
        EXPECT_EQ(this->log(39), (offset_list{30, 40, 50}));
        EXPECT_EQ(this->log(59), (offset_list{50}));
        EXPECT_EQ(this->log(60), offset_list());
        this->subject_.restart();
    }
}

TYPED_TEST(lanes_conformance, a_lane_is_read_by_itself) {
    this->with_lanes(4);
    this->append_mixed();
    for (int restarted = 0; restarted < 2; ++restarted) {
        EXPECT_EQ(this->lane(0, 0), (offset_list{0, 40}));
        EXPECT_EQ(this->lane(1, 0), (offset_list{20, 50})) << "the first one behind the offset";
        EXPECT_EQ(this->lane(2, 0), (offset_list{10, 30}));
        EXPECT_EQ(this->lane(0, 9), (offset_list{0, 40}));
        EXPECT_EQ(this->lane(0, 10), (offset_list{40}));
        EXPECT_EQ(this->lane(0, 49), (offset_list{40}));
        EXPECT_EQ(this->lane(0, 50), offset_list()) << "others have more";
        EXPECT_EQ(this->lane(2, 40), offset_list());
        EXPECT_EQ(this->lane(3, 0), offset_list()) << "it has none";
        EXPECT_EQ(this->lane(4, 0), offset_list()) << "the topic does not have it";
        EXPECT_EQ(this->lane(255, 0), offset_list());
        EXPECT_EQ(bases_of(test::read_lane(this->store(), topic_id{99}, 0, 0)), offset_list());
        this->subject_.restart();
    }
}

TYPED_TEST(lanes_conformance, of_a_topic_with_one_lane_it_is_the_log) {
    this->with_lanes(1);
    this->append(0, 0, 10);
    this->append(0, 10, 10);
    EXPECT_EQ(this->lane(0, 5), (offset_list{0, 10}));
    EXPECT_EQ(this->lane(0, 5), this->log(5));
    EXPECT_EQ(this->lane(1, 0), offset_list());
}

TYPED_TEST(lanes_conformance, reads_are_bounded_by_the_bytes_of_what_they_return) {
    this->with_lanes(3);
    for (offset_t base = 0; base < 30; ++base) {
        this->append(static_cast<std::uint8_t>(base % 3), base, 1);
    }
    const auto one = test::read_log(this->store(), orders, 12, 0);
    ASSERT_EQ(bases_of(one), offset_list{12});
    const std::size_t bytes = one.front()->bytes().size();
    EXPECT_EQ(this->log(12, bytes), (offset_list{12}));
    EXPECT_EQ(this->log(12, bytes + 1), (offset_list{12, 13}));
    EXPECT_EQ(this->lane(1, 12, 0), (offset_list{13}));
    EXPECT_EQ(this->lane(1, 12, bytes), (offset_list{13}));
    EXPECT_EQ(this->lane(1, 12, bytes + 1), (offset_list{13, 16}));
}

TYPED_TEST(lanes_conformance, a_reader_that_goes_on_sees_what_was_appended_to_any_lane) {
    constexpr std::uint64_t reader = 7;
    this->with_lanes(3);
    this->append(1, 0, 4);
    this->append(0, 4, 4);
    EXPECT_EQ(this->log(0, 1, reader), (offset_list{0}));
    EXPECT_EQ(this->log(4, 1, reader), (offset_list{4}));
    EXPECT_EQ(this->log(8, 1, reader), offset_list());
    this->append(2, 8, 4);
    this->append(1, 12, 4);
    EXPECT_EQ(this->log(8, 1, reader), (offset_list{8}));
    this->append(0, 16, 4);
    EXPECT_EQ(this->log(12, 1, reader), (offset_list{12}));
    EXPECT_EQ(this->log(16, 1, reader), (offset_list{16}));
    // It may also go back.
    EXPECT_EQ(this->log(2, SIZE_MAX, reader), (offset_list{0, 4, 8, 12, 16}));
}

// One queue reads all its lanes under one number.
TYPED_TEST(lanes_conformance, a_reader_of_several_lanes_goes_on_in_each) {
    constexpr std::uint64_t reader = 7;
    this->with_lanes(3);
    this->append_mixed();
    EXPECT_EQ(this->lane(2, 0, 1, reader), (offset_list{10}));
    EXPECT_EQ(this->lane(0, 0, 1, reader), (offset_list{0}));
    EXPECT_EQ(this->log(0, 1, reader), (offset_list{0}));
    EXPECT_EQ(this->lane(2, 20, 1, reader), (offset_list{30}));
    EXPECT_EQ(this->lane(0, 10, 1, reader), (offset_list{40}));
    EXPECT_EQ(this->log(10, 1, reader), (offset_list{10}));
    EXPECT_EQ(this->lane(2, 40, 1, reader), offset_list());
    EXPECT_EQ(this->lane(0, 50, 1, reader), offset_list());
    this->append(0, 60, 10);
    EXPECT_EQ(this->lane(2, 40, 1, reader), offset_list()) << "not of another lane";
    this->append(2, 70, 10);
    EXPECT_EQ(this->lane(2, 40, 1, reader), (offset_list{70}));
    EXPECT_EQ(this->lane(0, 50, 1, reader), (offset_list{60}));
    EXPECT_EQ(this->lane(0, 45, SIZE_MAX, reader), (offset_list{40, 60})) << "and back";
}

TYPED_TEST(lanes_conformance, nothing_below_the_trim_point_is_readable_in_any_lane) {
    this->with_lanes(3);
    this->append_mixed();
    this->commit({domain::trimmed{orders, 35}});
    for (int restarted = 0; restarted < 3; ++restarted) {
        EXPECT_EQ(this->log(0), (offset_list{30, 40, 50}));
        EXPECT_EQ(this->lane(0, 0), (offset_list{40}));
        EXPECT_EQ(this->lane(1, 0), (offset_list{50}));
        EXPECT_EQ(this->lane(2, 0), (offset_list{30})) << "the trim point lies in it";
        EXPECT_EQ(this->tail().next_offset, 60U);
        this->store().maintain();
        this->subject_.restart();
    }
    this->commit({domain::trimmed{orders, 40}});
    EXPECT_EQ(this->lane(2, 0), offset_list());
    EXPECT_EQ(this->log(0), (offset_list{40, 50}));
    this->commit({domain::trimmed{orders, 60}});
    this->subject_.restart();
    EXPECT_EQ(this->log(0), offset_list());
    EXPECT_EQ(this->tail().next_offset, 60U);
    EXPECT_EQ(this->tail().last_append, at(50));
}

TYPED_TEST(lanes_conformance, a_topic_ends_behind_the_last_chunk_of_all_lanes) {
    this->with_lanes(5);
    // A topic before it and one behind it have chunks in lanes, too.
    this->commit({new_topic(invoices, "invoices", 10),
                  domain::appended{test::make_chunk(invoices, 0, 3, at(900), 20, 9)}});
    offset_t base = 0;
    for (const std::uint8_t lane : lane_list{2, 0, 4, 3, 1, 4}) {
        this->append(lane, base, 10, at(static_cast<std::int64_t>(base)));
        this->subject_.restart();
        EXPECT_EQ(this->tail().next_offset, base + 10) << "the last one is in lane " << int{lane};
        EXPECT_EQ(this->tail().last_append, at(static_cast<std::int64_t>(base)));
        EXPECT_EQ(this->load().tails.at(1).next_offset, 3U);
        base += 10;
    }
    EXPECT_EQ(this->log(0).size(), 6U);
}

TYPED_TEST(lanes_conformance, a_record_comes_from_whichever_lane_has_it) {
    this->with_lanes(3);
    this->append_mixed();
    domain::exception_put put{orders, packing, 33, wall_never, {}};
    put.value.state = message_state::dead;
    this->commit({put});
    this->subject_.restart();
    const auto found = test::answer<domain::exceptions_fetched>(
        this->store(),
        domain::fetch_exceptions{orders, packing, {3, 14, 25, 33, 34, 45, 56, 60}, true});
    ASSERT_EQ(found.entries.size(), 7U);
    const auto log = test::read_log(this->store(), orders, 0);
    for (const auto& entry : found.entries) {
        const auto& chunk = log.at(entry.offset / 10);
        EXPECT_EQ(entry.append_time, chunk->append_time());
        EXPECT_EQ(as_text(entry.record.view), as_text(chunk->record(entry.offset)));
        EXPECT_EQ(entry.stored, entry.offset == 33);
    }
}

TYPED_TEST(lanes_conformance, times_and_offsets_of_times_are_those_of_all_lanes) {
    this->with_lanes(3);
    this->append(2, 0, 10, at(100));
    this->append(0, 10, 10, at(200));
    this->append(1, 20, 10, at(200));
    this->append(2, 30, 1, at(300));
    this->append(0, 1000, 10, at(400));  // behind a hole
    this->subject_.restart();
    const auto times = test::answer<domain::times_fetched>(
        this->store(),
        domain::fetch_times{{{orders, 0}, {orders, 10}, {orders, 29}, {orders, 30}, {orders, 31}}});
    EXPECT_EQ(times.times, (std::vector{at(100), at(200), at(200), at(300), wall_never}));
    EXPECT_EQ(this->offset_at(at(0)), 0U);
    EXPECT_EQ(this->offset_at(at(100)), 0U);
    EXPECT_EQ(this->offset_at(at(101)), 10U);
    EXPECT_EQ(this->offset_at(at(201)), 30U);
    EXPECT_EQ(this->offset_at(at(301)), 1000U);
    EXPECT_EQ(this->offset_at(at(401)), 1010U);
    this->commit({domain::trimmed{orders, 15}});
    EXPECT_EQ(this->offset_at(at(0)), 15U);
    EXPECT_EQ(this->offset_at(at(250)), 30U);
}

TYPED_TEST(lanes_conformance, a_removed_topic_leaves_nothing_in_any_lane) {
    this->with_lanes(3);
    this->append_mixed();
    this->commit({new_topic(invoices, "invoices", 3),
                  domain::appended{test::make_chunk(invoices, 0, 3, at(0), 20, 1)}});
    this->commit({domain::topic_removed{orders}});
    for (int restarted = 0; restarted < 2; ++restarted) {
        EXPECT_EQ(this->log(0), offset_list());
        for (std::uint8_t lane = 0; lane < 3; ++lane) {
            EXPECT_EQ(this->lane(lane, 0), offset_list());
        }
        EXPECT_EQ(this->load().tails.size(), 1U);
        EXPECT_EQ(bases_of(test::read_lane(this->store(), invoices, 1, 0)), offset_list{0});
        this->subject_.restart();
        this->store().maintain();
        this->commit({domain::epoch_started{broker_epoch{1}}});
    }
}

// Promise: durability.earlier_data
TYPED_TEST(lanes_conformance, a_topic_of_before_there_were_priorities_has_one_lane) {
    this->with_lanes(0);
    this->append(0, 0, 10);
    this->subject_.restart();
    EXPECT_EQ(this->log(0), offset_list{0});
    EXPECT_EQ(this->lane(0, 0), offset_list{0});
    EXPECT_EQ(this->lane(1, 0), offset_list());
}

}  // namespace

}  // namespace brokerd
