// Deletion by trim point in a real database: what is consumed leaves neither data nor tombstones.
#include "broker/storage/trim_filter.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "broker/storage/rocks_options.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::storage {

namespace {

constexpr topic_id own_topic{1};
constexpr topic_id neighbour{2};

class trim_filter_test : public testing::Test {
protected:
    trim_filter_test() { open(); }

    void open() {
        database_.reset();
        rocks_parts parts;
        parts.env = rocksdb::Env::Default();
        parts.trim_filter = std::make_shared<trim_filter_factory>(points_);
        auto options =
            make_db_options({}, parts, rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords);
        options.create_if_missing = true;
        options.listeners.clear();
        options.info_log_level = rocksdb::HEADER_LEVEL;
        std::vector<rocksdb::ColumnFamilyHandle*> handles;
        rocksdb::DB* db = nullptr;
        const auto status = rocksdb::DB::Open(options, (directory_ / "db").string(),
                                              make_families({}, parts), &handles, &db);
        ASSERT_TRUE(status.ok()) << status.ToString();
        database_ =
            std::make_unique<rocks_database>(std::unique_ptr<rocksdb::DB>(db), std::move(handles));
    }
    void put(topic_id of, offset_t first, offset_t end) {
        for (offset_t offset = first; offset < end; ++offset) {
            const auto status =
                database_->db().Put({}, database_->handle(family::log),
                                    to_slice(log_key{of, offset}.encode().view()), "value");
            ASSERT_TRUE(status.ok());
        }
    }
    void flush() { ASSERT_TRUE(database_->db().Flush({}, database_->handle(family::log)).ok()); }
    // Keys and tombstones in the tables of the log.
    std::pair<std::uint64_t, std::uint64_t> entries() {
        rocksdb::TablePropertiesCollection tables;
        EXPECT_TRUE(
            database_->db().GetPropertiesOfAllTables(database_->handle(family::log), &tables).ok());
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
    ASSERT_TRUE(
        database_->db().CompactRange({}, database_->handle(family::log), nullptr, nullptr).ok());
    EXPECT_EQ(entries(), counts(0, 0));
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

TEST_F(trim_filter_test, points_only_move_up) {
    points_->advance(own_topic, 5);
    points_->advance(own_topic, 3);
    points_->advance(neighbour, 1);
    EXPECT_EQ(*points_->snapshot(), (durable_trim_points::table{{own_topic, 5}, {neighbour, 1}}));
    points_->forget(own_topic);
    EXPECT_EQ(*points_->snapshot(), (durable_trim_points::table{{neighbour, 1}}));
}

}  // namespace

}  // namespace brokerd::storage
