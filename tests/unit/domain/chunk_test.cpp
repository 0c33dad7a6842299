// Chunks: building, loading, slicing, and damage found.
#include "broker/domain/chunk.hpp"

#include <gmock/gmock.h>

#include "tests/unit/domain/harness.hpp"

namespace brokerd::domain::test {
namespace {

chunk_ptr two_batches() {
    chunk_builder builder(topic_id{7}, 100);
    EXPECT_TRUE(builder.empty());
    EXPECT_EQ(builder.append(make_batch({"a", "bb", "ccc"}).view, 3), 100U);
    EXPECT_EQ(builder.append(make_batch({"dddd", "e"}).view, 2), 103U);
    EXPECT_EQ(builder.next_offset(), 105U);
    return builder.seal(wall_from_us(1234));
}

byte_buffer bytes_of(const chunk& data) {
    return {data.bytes().begin(), data.bytes().end()};
}

std::string payload_of(byte_view record) {
    return std::string(as_text(codec::check_record(record)->payload));
}

TEST(chunk, is_loaded_as_it_was_sealed) {
    const chunk_ptr sealed = two_batches();
    const auto loaded = chunk::load(bytes_of(*sealed), true);
    ASSERT_TRUE(loaded) << loaded.error().text;
    EXPECT_EQ((*loaded)->topic(), topic_id{7});
    EXPECT_EQ((*loaded)->base_offset(), 100U);
    EXPECT_EQ((*loaded)->last_offset(), 104U);
    EXPECT_EQ((*loaded)->append_time(), wall_from_us(1234));
    for (offset_t offset = 100; offset < 105; ++offset) {
        EXPECT_EQ(as_text((*loaded)->record(offset)), as_text(sealed->record(offset)));
    }
    EXPECT_EQ(payload_of(sealed->record(103)), "dddd");
    EXPECT_FALSE(sealed->contains(105));
    EXPECT_FALSE(sealed->contains(99));
}

TEST(chunk, slices_lie_within_one_batch_and_within_bounds) {
    const chunk_ptr data = two_batches();
    EXPECT_EQ(data->slice(100, 100, 10000).count, 3U);
    EXPECT_EQ(data->slice(101, 100, 10000).count, 2U);
    EXPECT_EQ(data->slice(103, 100, 10000).count, 2U);
    EXPECT_EQ(data->slice(100, 2, 10000).count, 2U);
    EXPECT_EQ(data->slice(100, 100, 1).count, 1U) << "at least one";
    const std::size_t two = data->record_size(100) + data->record_size(101);
    EXPECT_EQ(data->slice(100, 100, two).count, 2U);
    EXPECT_EQ(data->slice(100, 100, two - 1).count, 1U);
    EXPECT_EQ(data->slice(100, 100, two).bytes.size(), two);
}

TEST(chunk, at_the_largest_offset_and_one_beyond) {
    const auto load_at = [](offset_t base) {
        chunk_builder builder(topic_id{7}, base);
        (void)builder.append(make_batch({"a", "bb"}).view, 2);
        return chunk::load(bytes_of(*builder.seal(wall_from_us(1234))), true);
    };
    const auto last = load_at(offset_end - 2);
    ASSERT_TRUE(last) << last.error().text;
    EXPECT_EQ((*last)->end_offset(), offset_end);
    const auto beyond = load_at(offset_end - 1);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, error_code::bad_batch);
}

// Promise: durability.damage
TEST(chunk, every_flipped_byte_is_found) {
    const byte_buffer good = bytes_of(*two_batches());
    for (std::size_t i = 0; i < good.size(); ++i) {
        byte_buffer bad = good;
        bad[i] ^= std::byte{0x10};
        EXPECT_FALSE(chunk::load(std::move(bad), true)) << "byte " << i;
    }
}

TEST(chunk, every_truncation_is_found) {
    const byte_buffer good = bytes_of(*two_batches());
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(
            chunk::load({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}, false))
            << size;
    }
}

}  // namespace
}  // namespace brokerd::domain::test
