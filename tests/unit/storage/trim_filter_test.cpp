// Deletion by trim point in a real database: what is consumed leaves neither data nor tombstones.
#include "broker/storage/trim_filter.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/values.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/open_database.hpp"

namespace brokerd::storage {

namespace {

constexpr topic_id own_topic{1};
constexpr topic_id neighbour{2};
using lane_list = std::vector<std::uint8_t>;

class trim_filter_test : public testing::Test {
protected:
    trim_filter_test() { open(); }

    void open() {
        database_.reset();
        rocks_parts parts;
        parts.trim_filter = std::make_shared<trim_filter_factory>(points_);
        parts.expiry_filter = std::make_shared<expiry_filter_factory>(points_);
        parts.message_id_filter = std::make_shared<message_id_filter_factory>(points_);
        database_ = std::make_unique<rocks_database>(
            test::open_database(directory_ / "db", std::move(parts)));
    }
    void put(topic_id of, offset_t first, offset_t end, std::uint8_t lane = 0) {
        for (offset_t offset = first; offset < end; ++offset) {
            const auto status =
                database_->db().Put({}, database_->handle(family::log),
                                    to_slice(log_key{of, offset, lane}.encode().view()), "value");
            ASSERT_TRUE(status.ok());
        }
    }
    // An entry of the expiry index, the later the smaller its offset: keys of trimmed chunks lie
    // behind those that stay.
    void put_expiry(topic_id of, offset_t first, offset_t end) {
        for (offset_t offset = first; offset < end; ++offset) {
            const auto at = wall_from_us(1'000'000 - static_cast<std::int64_t>(offset));
            const auto status =
                database_->db().Put({}, database_->handle(family::expiry),
                                    to_slice(expiry_key{of, at, offset}.encode().view()), "value");
            ASSERT_TRUE(status.ok());
        }
    }
    // The last offsets of a topic's entries, in the order of their keys.
    std::vector<offset_t> expiring(topic_id of) {
        std::vector<offset_t> found;
        const std::unique_ptr<rocksdb::Iterator> it(
            database_->db().NewIterator({}, database_->handle(family::expiry)));
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
            const auto key = expiry_key::parse(to_view(it->key()));
            if (key && key->topic == of) {
                found.push_back(key->last_offset);
            }
        }
        EXPECT_TRUE(it->status().ok());
        return found;
    }
    void flush(family where = family::log) {
        ASSERT_TRUE(database_->db().Flush({}, database_->handle(where)).ok());
    }
    void compact(family where) {
        ASSERT_TRUE(
            database_->db().CompactRange({}, database_->handle(where), nullptr, nullptr).ok());
    }
    // Keys and tombstones in the tables of a family.
    std::pair<std::uint64_t, std::uint64_t> entries(family where = family::log) {
        rocksdb::TablePropertiesCollection tables;
        EXPECT_TRUE(
            database_->db().GetPropertiesOfAllTables(database_->handle(where), &tables).ok());
        std::pair<std::uint64_t, std::uint64_t> sum;
        for (const auto& [name, properties] : tables) {
            sum.first += properties->num_entries;
            sum.second += properties->num_deletions + properties->num_range_deletions;
        }
        return sum;
    }
    using counts = std::pair<std::uint64_t, std::uint64_t>;

    test::temp_dir directory_;
    std::shared_ptr<durable_trim_points> points_ = std::make_shared<durable_trim_points>();
    std::unique_ptr<rocks_database> database_;
};

TEST_F(trim_filter_test, a_flush_leaves_out_what_lies_below_the_trim_point) {
    points_->activate();
    put(own_topic, 0, 1000);
    put(neighbour, 0, 10);
    points_->advance(own_topic, 990);
    flush();
    EXPECT_EQ(entries(), counts(20, 0));  // 990 to 999 and all of the neighbour, no tombstones
}

TEST_F(trim_filter_test, a_chunk_that_reaches_over_the_trim_point_stays) {
    points_->activate();
    put(own_topic, 9, 10);  // holds offsets up to 9
    points_->advance(own_topic, 9);
    flush();
    EXPECT_EQ(entries(), counts(1, 0));
}

TEST_F(trim_filter_test, a_compaction_leaves_it_out_too) {
    points_->activate();
    put(own_topic, 0, 1000);
    flush();
    EXPECT_EQ(entries(), counts(1000, 0));
    points_->advance(own_topic, offset_end);
    compact(family::log);
    EXPECT_EQ(entries(), counts(0, 0));
}

// What lies between the dead keys of two lanes stays.
TEST_F(trim_filter_test, each_lane_loses_what_lies_below_the_trim_point) {
    points_->activate();
    for (const std::uint8_t lane : lane_list{0, 1, 9}) {
        put(own_topic, 0, 1000, lane);
        put(neighbour, 0, 10, lane);
    }
    points_->advance(own_topic, 990);
    flush();
    EXPECT_EQ(entries(), counts(60, 0));  // of each lane as much
    std::vector<log_key> kept;
    const std::unique_ptr<rocksdb::Iterator> it(
        database_->db().NewIterator({}, database_->handle(family::log)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
        kept.push_back(log_key::parse(to_view(it->key())).value_or(log_key{}));
    }
    std::vector<log_key> expected;
    for (const auto& [topic, first] : {std::pair(own_topic, 990), std::pair(neighbour, 0)}) {
        for (const std::uint8_t lane : lane_list{0, 1, 9}) {
            for (offset_t i = 0; i < 10; ++i) {
                expected.push_back({topic, static_cast<offset_t>(first) + i, lane});
            }
        }
    }
    EXPECT_EQ(kept, expected);
}

TEST_F(trim_filter_test, a_removed_topic_loses_all_its_lanes) {
    points_->activate();
    for (const std::uint8_t lane : lane_list{0, 4, 9}) {
        put(own_topic, 0, 1000, lane);
    }
    put(neighbour, 0, 10);
    flush();
    EXPECT_EQ(entries(), counts(3010, 0));
    points_->advance(own_topic, offset_end);
    compact(family::log);
    EXPECT_EQ(entries(), counts(10, 0));
}

TEST_F(trim_filter_test, nothing_is_left_out_until_it_is_activated) {
    points_->advance(own_topic, 990);
    put(own_topic, 0, 1000);
    flush();
    EXPECT_EQ(entries(), counts(1000, 0));
    points_->activate();
    put(own_topic, 1000, 1001);
    flush();
    EXPECT_EQ(entries(), counts(1001, 0));
}

TEST_F(trim_filter_test, is_inactive_during_recovery) {
    points_->activate();
    points_->advance(own_topic, 990);
    put(own_topic, 0, 1000);
    open();  // replays the log, which flushes it
    EXPECT_EQ(entries(), counts(1000, 0));
}

TEST_F(trim_filter_test, the_seeded_fault_filters_in_recovery) {
    if (!base::seeded_faults_compiled_in) {
        GTEST_SKIP() << "built without BROKERD_SEEDED_FAULTS";
    }
    put(own_topic, 0, 1000);
    const base::planted_fault_scope scope(base::fault::filter_active_in_recovery);
    open();
    EXPECT_EQ(entries(), counts(0, 0));
}

TEST_F(trim_filter_test, the_expiry_index_loses_the_entries_of_trimmed_chunks) {
    points_->activate();
    put_expiry(own_topic, 0, 10);
    put_expiry(neighbour, 0, 3);
    points_->advance(own_topic, 7);  // one that ends at 7 reaches over it
    flush(family::expiry);
    EXPECT_EQ(expiring(own_topic), (std::vector<offset_t>{9, 8, 7}));
    EXPECT_EQ(expiring(neighbour), (std::vector<offset_t>{2, 1, 0}));
    points_->advance(own_topic, 9);
    points_->advance(neighbour, offset_end);
    compact(family::expiry);
    EXPECT_EQ(expiring(own_topic), (std::vector<offset_t>{9}));
    EXPECT_TRUE(expiring(neighbour).empty());
    EXPECT_EQ(entries(family::expiry), counts(1, 0)) << "nor a tombstone";
}

// The order of keys is that of time: what is dead lies between what lives.
TEST_F(trim_filter_test, of_the_expiry_index_no_entry_is_passed_over) {
    points_->activate();
    for (const auto& [at, offset] : std::vector<std::pair<int, offset_t>>{
             {10, 2}, {20, 90}, {30, 3}, {40, 4}, {50, 91}, {60, 1}}) {
        const auto key = expiry_key{own_topic, wall_from_us(at), offset}.encode();
        ASSERT_TRUE(database_->db()
                        .Put({}, database_->handle(family::expiry), to_slice(key.view()), "value")
                        .ok());
    }
    points_->advance(own_topic, 50);
    compact(family::expiry);
    EXPECT_EQ(expiring(own_topic), (std::vector<offset_t>{90, 91}));
}

TEST_F(trim_filter_test, the_expiry_index_loses_nothing_until_the_filter_is_activated) {
    points_->advance(own_topic, offset_end);
    put_expiry(own_topic, 0, 10);
    flush(family::expiry);
    EXPECT_EQ(expiring(own_topic).size(), 10U);
    compact(family::expiry);
    EXPECT_EQ(expiring(own_topic).size(), 10U);
    points_->activate();
    put_expiry(own_topic, 10, 11);
    compact(family::expiry);
    EXPECT_TRUE(expiring(own_topic).empty());
}

TEST_F(trim_filter_test, the_expiry_index_loses_nothing_in_recovery) {
    points_->activate();
    points_->advance(own_topic, offset_end);
    put_expiry(own_topic, 0, 10);
    open();  // replays the log, which flushes it
    EXPECT_EQ(expiring(own_topic).size(), 10U);
}

TEST_F(trim_filter_test, points_only_move_up) {
    points_->advance(own_topic, 5);
    points_->advance(own_topic, 3);
    points_->advance(neighbour, 1);
    EXPECT_EQ(*points_->snapshot(), (durable_trim_points::table{{own_topic, 5}, {neighbour, 1}}));
    points_->forget(own_topic);
    EXPECT_EQ(*points_->snapshot(), (durable_trim_points::table{{neighbour, 1}}));
}

TEST_F(trim_filter_test, forgotten_message_ids_are_left_out) {
    const auto put_id = [&](topic_id of, const std::string& id, std::int64_t at) {
        std::string value;
        encode_value(value, domain::message_id_entry{wall_from_us(at), 1, false});
        const std::string key = message_id_key{of, id}.encode();
        ASSERT_TRUE(
            database_->db().Put({}, database_->handle(family::message_ids), key, value).ok());
    };
    const auto ids = [&] {
        std::string found;
        const std::unique_ptr<rocksdb::Iterator> it(
            database_->db().NewIterator({}, database_->handle(family::message_ids)));
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
            found += message_id_key::parse(to_view(it->key()))->id;
        }
        return found;
    };
    put_id(own_topic, "a", 7);
    put_id(own_topic, "b", 3);
    put_id(own_topic, "c", 6);
    put_id(neighbour, "d", 0);
    points_->advance(own_topic, id_point(wall_from_us(7)));
    flush(family::message_ids);
    compact(family::message_ids);
    EXPECT_EQ(ids(), "abcd") << "not activated yet";
    points_->activate();
    compact(family::message_ids);
    EXPECT_EQ(ids(), "ad");
}

}  // namespace

}  // namespace brokerd::storage
