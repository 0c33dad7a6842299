// The cursor over a real database: the order of lanes, and what it sees of later writes.
#include "broker/storage/log_cursor.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broker/storage/keys.hpp"
#include "broker/storage/rocks_handles.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/open_database.hpp"
#include "tests/unit/storage/storage_fixtures.hpp"

namespace brokerd::storage {

namespace {

using test::at;

constexpr topic_id walked{5};

class log_cursor_test : public testing::Test {
protected:
    // A chunk of ten messages.
    void put(topic_id of, std::uint8_t lane, offset_t base) {
        const auto chunk = test::make_chunk(of, base, 10, at(0), 20, lane);
        put_under(log_key{of, chunk->last_offset(), lane}, chunk);
    }
    void put_under(const log_key& key, const domain::chunk_ptr& chunk) {
        const auto status =
            database_->db().Put({}, database_->handle(family::log), to_slice(key.encode().view()),
                                to_slice(as_text(chunk->bytes())));
        ASSERT_TRUE(status.ok());
    }
    // Of the chunks from where it stands on.
    static std::vector<offset_t> rest(log_cursor& cursor) {
        std::vector<offset_t> bases;
        for (; cursor.valid(); cursor.next()) {
            const auto place = cursor.place();
            EXPECT_TRUE(place) << place.error().text;
            bases.push_back(place ? place->base_offset : offset_end);
        }
        EXPECT_TRUE(cursor.status().ok());
        return bases;
    }
    std::vector<offset_t> walk(lane_range lanes, offset_t from) {
        log_cursor cursor(*database_, walked, lanes, cursor_use::lookups);
        cursor.seek(from);
        return rest(cursor);
    }

    using bases = std::vector<offset_t>;

    test::temp_dir directory_;
    std::unique_ptr<rocks_database> database_ =
        std::make_unique<rocks_database>(test::open_database(directory_ / "db"));
};

TEST_F(log_cursor_test, walks_lanes_in_the_order_of_offsets_and_keeps_to_its_topic) {
    for (const topic_id of : {topic_id{4}, walked, topic_id{6}}) {
        for (const auto& [lane, base] : std::vector<std::pair<std::uint8_t, offset_t>>{
                 {3, 0}, {0, 10}, {9, 20}, {3, 30}, {3, 40}, {0, 250}, {1, 260}}) {
            put(of, lane, base);
        }
    }
    EXPECT_EQ(walk({0, 10}, 0), (bases{0, 10, 20, 30, 40, 250, 260}));
    EXPECT_EQ(walk({0, 10}, 29), (bases{20, 30, 40, 250, 260}));
    EXPECT_EQ(walk({0, 10}, 50), (bases{250, 260}));
    EXPECT_EQ(walk({0, 10}, 270), bases());
    EXPECT_EQ(walk({0, 4}, 0), (bases{0, 10, 30, 40, 250, 260}));
    EXPECT_EQ(walk({3, 4}, 5), (bases{0, 30, 40}));
    EXPECT_EQ(walk({2, 3}, 0), bases());
    EXPECT_EQ(walk({9, 10}, 0), bases{20});
}

TEST_F(log_cursor_test, can_be_moved_to_and_fro) {
    put(walked, 0, 0);
    put(walked, 1, 10);
    put(walked, 0, 20);
    log_cursor cursor(*database_, walked, {0, 2}, cursor_use::backlog);
    EXPECT_FALSE(cursor.valid()) << "it was not moved yet";
    cursor.seek(25);
    EXPECT_EQ(rest(cursor), bases{20});
    EXPECT_FALSE(cursor.valid());
    cursor.seek(0);
    EXPECT_EQ(rest(cursor), (bases{0, 10, 20}));
}

// Else offsets might look as if no message had them.
TEST_F(log_cursor_test, sees_all_lanes_as_they_were_when_it_was_made) {
    put(walked, 0, 0);
    log_cursor cursor(*database_, walked, {0, 3}, cursor_use::backlog);
    put(walked, 1, 10);
    put(walked, 2, 20);
    put(walked, 0, 30);
    cursor.seek(0);
    EXPECT_EQ(rest(cursor), bases{0});
    EXPECT_EQ(walk({0, 3}, 0), (bases{0, 10, 20, 30}));
}

TEST_F(log_cursor_test, costs_one_iterator_for_each_lane) {
    EXPECT_EQ(log_cursor(*database_, walked, {0, 1}, cursor_use::backlog).iterators(), 1U);
    EXPECT_EQ(log_cursor(*database_, walked, {9, 10}, cursor_use::backlog).iterators(), 1U);
    EXPECT_EQ(log_cursor(*database_, walked, {0, 10}, cursor_use::lookups).iterators(), 10U);
}

TEST_F(log_cursor_test, a_chunk_under_the_key_of_another_lane_is_found) {
    const auto chunk = test::make_chunk(walked, 0, 10, at(0), 20, 1);
    for (const log_key& key : {log_key{walked, 9, 2}, log_key{walked, 8, 1},
                               log_key{topic_id{walked.value() + 1}, 9, 1}}) {
        const auto place = place_of(key.encode().view(), as_text(chunk->bytes()));
        ASSERT_FALSE(place);
        EXPECT_EQ(place.error().text, "the chunk does not belong to its key");
    }
    EXPECT_TRUE(place_of(log_key{walked, 9, 1}.encode().view(), as_text(chunk->bytes())));
    put_under({walked, 9, 2}, chunk);
    log_cursor cursor(*database_, walked, {0, 3}, cursor_use::lookups);
    cursor.seek(0);
    ASSERT_TRUE(cursor.valid());
    EXPECT_FALSE(cursor.place());
}

}  // namespace

}  // namespace brokerd::storage
