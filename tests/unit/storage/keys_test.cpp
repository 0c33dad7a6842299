// The order and the bytes of every key: durable, so they never change.
#include "broker/storage/keys.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "protocol/types/limits.hpp"

namespace brokerd::storage {

namespace {

constexpr topic_id some_topic{0x0102030405060708};
constexpr queue_id some_queue{0x1112131415161718};

std::string hex(std::string_view key) {
    std::string text;
    for (const char byte : key) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

template <typename Key>
void expect_round_trip(const Key& key, std::string_view expected_hex) {
    const auto bytes = key.encode();
    EXPECT_EQ(hex(bytes.view()), expected_hex);
    EXPECT_EQ(Key::parse(bytes.view()), key);
    const std::string text(bytes.view());
    EXPECT_EQ(Key::parse(text.substr(1)), std::nullopt);
    EXPECT_EQ(Key::parse(text.substr(0, text.size() - 1)), std::nullopt);
    EXPECT_EQ(Key::parse(text + '\0'), std::nullopt);
}

TEST(keys, have_these_bytes) {
    expect_round_trip(meta_key{some_topic, meta_kind::queue, some_queue},
                      "00000102030405060708201112131415161718");
    expect_round_trip(meta_key::of_shard(meta_kind::commit),
                      "00000000000000000000020000000000000000");
    expect_round_trip(log_key{some_topic, 0x21}, "00000102030405060708000000000000000021");
    expect_round_trip(log_key{some_topic, 0x21, 9}, "00000102030405060708090000000000000021");
    expect_round_trip(kept_key{some_topic, some_queue, 0x21},
                      "0000010203040506070811121314151617180000000000000021");
    expect_round_trip(cursor_key{some_topic, some_queue, cursor_kind::delta, 0x21},
                      "000001020304050607081112131415161718020000000000000021");
    expect_round_trip(exception_key{some_topic, some_queue, 0x21},
                      "000001020304050607081112131415161718010000000000000021");
    expect_round_trip(due_key{some_topic, some_queue, wall_from_us(5), 0x21},
                      "0000010203040506070811121314151617180280000000000000050000000000000021");
    expect_round_trip(dedup_key{some_topic, some_queue, producer_id{0x31}, 0x41},
                      "00000102030405060708111213141516171800000000000000310000"
                      "0041");
    expect_round_trip(meta_key{some_topic, meta_kind::schedule_totals, {}},
                      "00000102030405060708140000000000000000");
    expect_round_trip(schedule_due_key{some_topic, wall_from_us(5), 0x21},
                      "000001020304050607080180000000000000050000000000000021");
    expect_round_trip(schedule_id_key{some_topic, 0x21}, "00000102030405060708020000000000000021");
    expect_round_trip(meta_key{some_topic, meta_kind::expiry_watched, {}},
                      "00000102030405060708150000000000000000");
    expect_round_trip(expiry_key{some_topic, wall_from_us(5), 0x21},
                      "0000010203040506070880000000000000050000000000000021");
    expect_round_trip(meta_key{some_topic, meta_kind::forgotten_ids, {}},
                      "00000102030405060708160000000000000000");
    expect_round_trip(meta_key{some_topic, meta_kind::reserved, {}},
                      "00000102030405060708170000000000000000");
    expect_round_trip(meta_key{some_topic, meta_kind::skipped, {}},
                      "00000102030405060708180000000000000000");
    expect_round_trip(meta_key{some_topic, meta_kind::log_marks, {}},
                      "00000102030405060708190000000000000000");
    expect_round_trip(meta_key{some_topic, meta_kind::drops, {}},
                      "000001020304050607081a0000000000000000");
    expect_round_trip(meta_key::of_pattern(pattern_id{0x21}),
                      "000000000000000000001b0000000000000021");
}

TEST(keys, a_message_id_of_any_length_and_bytes_is_read_back) {
    EXPECT_EQ(hex((message_id_key{some_topic, "ab"}).encode()), "000001020304050607086162");
    for (const std::string& id : {std::string(1, '\0'), std::string(255, '\xff')}) {
        const std::string key = message_id_key{some_topic, id}.encode();
        EXPECT_EQ(message_id_key::parse(key), (message_id_key{some_topic, id}));
        EXPECT_GT(key, topic_prefix(some_topic).view());
        EXPECT_LT(key, behind(topic_prefix(some_topic)).view());
    }
    EXPECT_FALSE(message_id_key::parse(topic_prefix(some_topic).view())) << "an empty id";
}

TEST(keys, of_the_log_name_a_lane_that_a_topic_may_have) {
    for (int lane = 0; lane < 256; ++lane) {
        const log_key key{some_topic, 0x21, static_cast<std::uint8_t>(lane)};
        EXPECT_EQ(log_key::parse(key.encode().view()).has_value(), lane < limits::priorities_max);
    }
}

TEST(keys, a_lane_ends_before_the_next_one) {
    for (std::uint8_t lane = 0; lane < limits::priorities_max; ++lane) {
        const auto first = std::string(lane_prefix(some_topic, lane).view());
        const auto end = std::string(behind(lane_prefix(some_topic, lane)).view());
        EXPECT_EQ(first.size(), log_key::prefix_bytes);
        EXPECT_LT(first, (log_key{some_topic, 0, lane}).encode().view());
        EXPECT_LT((log_key{some_topic, offset_end, lane}).encode().view(), end);
        EXPECT_EQ(end, lane_prefix(some_topic, static_cast<std::uint8_t>(lane + 1)).view());
    }
}

// A database keeps the families it has: theirs is an order for ever, and one name means one thing.
TEST(keys, the_families_keep_their_places) {
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::meta)], "default");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::log)], "log");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::kept)], "kept");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::cursors)], "cursors");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::exceptions)], "exceptions");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::dedup)], "dedup");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::schedule)], "schedule");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::expiry)], "expiry");
    EXPECT_EQ(family_names[static_cast<std::size_t>(family::message_ids)], "message_ids");
}

TEST(keys, sort_as_their_fields_do) {
    EXPECT_LT(log_key({topic_id{1}, 255}).encode().view(),
              log_key({topic_id{1}, 256}).encode().view());
    EXPECT_LT(log_key({topic_id{1}, offset_end}).encode().view(),
              log_key({topic_id{1}, 0, 1}).encode().view());
    EXPECT_LT(log_key({topic_id{1}, offset_end, 9}).encode().view(),
              log_key({topic_id{2}, 0}).encode().view());
    EXPECT_LT((due_key{some_topic, some_queue, wall_from_us(-1), 9}).encode().view(),
              (due_key{some_topic, some_queue, wall_from_us(0), 0}).encode().view());
    EXPECT_LT((due_key{some_topic, some_queue, wall_from_us(7), 1}).encode().view(),
              (due_key{some_topic, some_queue, wall_from_us(7), 2}).encode().view());
    EXPECT_LT((exception_key{some_topic, some_queue, offset_end}).encode().view(),
              (due_key{some_topic, some_queue, wall_time::min(), 0}).encode().view());
    EXPECT_LT((cursor_key{some_topic, some_queue, cursor_kind::snapshot, 0}).encode().view(),
              (cursor_key{some_topic, some_queue, cursor_kind::delta, 0}).encode().view());
    EXPECT_LT((schedule_due_key{some_topic, wall_from_us(-1), 9}).encode().view(),
              (schedule_due_key{some_topic, wall_from_us(0), 0}).encode().view());
    EXPECT_LT((schedule_due_key{some_topic, wall_from_us(7), 255}).encode().view(),
              (schedule_due_key{some_topic, wall_from_us(7), 256}).encode().view());
    EXPECT_LT((schedule_due_key{some_topic, wall_never, ~0ULL}).encode().view(),
              (schedule_id_key{some_topic, 0}).encode().view());
    EXPECT_LT((expiry_key{some_topic, wall_from_us(-1), 9}).encode().view(),
              (expiry_key{some_topic, wall_from_us(0), 0}).encode().view());
    EXPECT_LT((expiry_key{some_topic, wall_from_us(7), 255}).encode().view(),
              (expiry_key{some_topic, wall_from_us(7), 256}).encode().view());
}

TEST(keys, a_prefix_ends_before_the_next_id) {
    for (const std::uint64_t id : {1ULL, 255ULL, 256ULL, 0xFFFFULL, 0x1FFFFFULL}) {
        const auto end = std::string(behind(topic_prefix(topic_id{id})).view());
        EXPECT_LT((log_key{topic_id{id}, offset_end, 9}).encode().view(), end);
        EXPECT_LE(end, topic_prefix(topic_id{id + 1}).view());
        EXPECT_LT((schedule_id_key{topic_id{id}, ~0ULL}).encode().view(), end);
        EXPECT_LT((expiry_key{topic_id{id}, wall_never, offset_end}).encode().view(), end);
        const auto queue_end = std::string(behind(queue_prefix(some_topic, queue_id{id})).view());
        EXPECT_LT((dedup_key{some_topic, queue_id{id}, producer_id{~0ULL}, ~0U}).encode().view(),
                  queue_end);
        EXPECT_LE(queue_end, queue_prefix(some_topic, queue_id{id + 1}).view());
    }
}

}  // namespace

}  // namespace brokerd::storage
