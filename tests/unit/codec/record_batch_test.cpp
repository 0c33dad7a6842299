// Batches: what is built is accepted, each flipped bit is detected, limits, lying headers.
#include "protocol/codec/record_batch.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace brokerd::codec {
namespace {

constexpr std::uint32_t wide = 4096;  // records

byte_buffer batch_of(std::uint32_t count, std::size_t payload_bytes = 10, producer_id producer = {},
                     std::uint64_t first_sequence = 0) {
    batch_builder builder;
    const std::string payload(payload_bytes, 'p');
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string key = "key" + std::to_string(i);
        builder.add({.key = key, .headers = {}, .payload = as_bytes(payload)});
    }
    return builder.take(producer, first_sequence);
}

error_code batch_code(byte_view bytes) {
    const auto checked = check_batch(bytes, wide);
    return checked ? error_code::ok : checked.error().code;
}

// The batch with its header changed and the header's checksum made right.
byte_buffer with_header(byte_buffer batch, const std::function<void(batch_header&)>& change) {
    auto header = load_batch_header(batch);
    EXPECT_TRUE(header);
    change(*header);
    store_batch_header(batch.data(), *header);
    return batch;
}

TEST(record_batch, what_the_builder_makes_is_accepted) {
    batch_builder builder;
    EXPECT_TRUE(builder.empty());
    builder.add({.key = "k", .headers = {}, .payload = as_bytes("one")});
    builder.add({.key = {}, .headers = {{"n", "v"}}, .payload = as_bytes("two")});
    EXPECT_EQ(builder.count(), 2U);
    const std::size_t bytes = builder.bytes();
    const byte_buffer batch = builder.take(producer_id(9), 100);
    EXPECT_EQ(batch.size(), bytes);
    EXPECT_TRUE(builder.empty());

    const auto checked = check_batch(batch, wide);
    ASSERT_TRUE(checked) << checked.error().text;
    EXPECT_EQ(checked->header.count, 2U);
    EXPECT_EQ(checked->header.flags, record_has_key | record_has_headers);
    EXPECT_EQ(checked->header.producer, producer_id(9));
    EXPECT_EQ(checked->header.first_sequence, 100U);
    EXPECT_EQ(checked->header.earliest_ttl_ms, no_ttl);
    EXPECT_EQ(checked->bytes.data(), batch.data());
}

TEST(record_batch, the_largest_record_is_told) {
    const std::uint64_t alone = batch_of(1, 500).size() - batch_header_bytes;
    batch_builder builder;
    for (const std::size_t payload : {10U, 500U, 20U}) {
        builder.add({.key = "key0", .headers = {}, .payload = as_bytes(std::string(payload, 'p'))});
    }
    const byte_buffer batch = builder.take({}, 0);
    EXPECT_EQ(check_batch(batch, wide)->largest_record, alone);
}

TEST(record_batch, the_builder_is_reusable) {
    batch_builder builder;
    builder.add({.key = "k", .headers = {}, .payload = {}});
    static_cast<void>(builder.take(producer_id(0), 0));
    builder.add({.key = {}, .headers = {}, .payload = as_bytes("x")});
    const byte_buffer batch = builder.take(producer_id(0), 0);
    const auto checked = check_batch(batch, wide);
    ASSERT_TRUE(checked) << checked.error().text;
    EXPECT_EQ(checked->header.flags, 0);
    EXPECT_EQ(checked->header.count, 1U);
}

TEST(record_batch, the_header_tells_the_shortest_and_the_longest_time_to_live) {
    using times = std::pair<std::uint64_t, std::uint64_t>;
    batch_builder builder;
    const auto of = [&](const std::vector<std::optional<std::uint64_t>>& ttls) {
        for (const auto& ttl_ms : ttls) {
            builder.add({.payload = as_bytes("x"), .ttl_ms = ttl_ms});
        }
        const byte_buffer batch = builder.take({}, 0);
        const auto checked = check_batch(batch, wide);
        EXPECT_TRUE(checked) << checked.error().text;
        const bool any = std::ranges::any_of(ttls, [](const auto& ttl) { return ttl.has_value(); });
        EXPECT_EQ(checked->header.flags, any ? record_has_ttl : 0);
        return times{checked->header.earliest_ttl_ms, checked->header.latest_ttl_ms};
    };
    EXPECT_EQ(of({7}), times(7, 7));
    EXPECT_EQ(of({7, 3, 5}), times(3, 7));
    EXPECT_EQ(of({std::nullopt}), times(no_ttl, no_ttl));
    EXPECT_EQ(of({7, std::nullopt}), times(7, no_ttl));
    EXPECT_EQ(of({std::nullopt, 7}), times(7, no_ttl));
    EXPECT_EQ(of({0, 9}), times(0, 9));
}

TEST(record_batch, a_header_that_lies_about_times_to_live_is_refused) {
    batch_builder builder;
    builder.add({.payload = as_bytes("x"), .ttl_ms = 7});
    builder.add({.payload = as_bytes("y"), .ttl_ms = 9});
    const byte_buffer batch = builder.take({}, 0);
    const auto changed = [&](const std::function<void(batch_header&)>& change) {
        return batch_code(with_header(batch, change));
    };
    EXPECT_EQ(changed([](batch_header&) {}), error_code::ok);
    EXPECT_EQ(changed([](batch_header& h) { h.flags = 0; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.earliest_ttl_ms = 6; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.earliest_ttl_ms = no_ttl; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.latest_ttl_ms = 10; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.latest_ttl_ms = no_ttl; }), error_code::bad_batch);
}

TEST(record_batch, header_round_trip) {
    const batch_header header{.flags = 5,
                              .count = 3,
                              .records_bytes = 1000,
                              .producer = producer_id(0x1122334455667788),
                              .first_sequence = 77,
                              .earliest_ttl_ms = 1,
                              .latest_ttl_ms = 2};
    byte_buffer bytes(batch_header_bytes);
    store_batch_header(bytes.data(), header);
    ASSERT_TRUE(load_batch_header(bytes));
    EXPECT_EQ(*load_batch_header(bytes), header);
}

// Promise: limits.checksums
TEST(record_batch, every_flipped_bit_is_detected) {
    byte_buffer batch = batch_of(3, 10, producer_id(5), 1);
    ASSERT_EQ(batch_code(batch), error_code::ok);
    for (std::size_t bit = 0; bit < batch.size() * 8; ++bit) {
        batch[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ASSERT_NE(batch_code(batch), error_code::ok) << "bit " << bit;
        batch[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
}

TEST(record_batch, every_truncation_is_refused) {
    const byte_buffer batch = batch_of(3);
    for (std::size_t size = 0; size < batch.size(); ++size) {
        const byte_buffer cut(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(size));
        ASSERT_EQ(batch_code(cut), error_code::bad_batch) << size;
    }
    byte_buffer longer = batch;
    longer.push_back(std::byte{0});
    EXPECT_EQ(batch_code(longer), error_code::bad_batch);
}

TEST(record_batch, count_at_the_limit_and_one_beyond) {
    EXPECT_EQ(batch_code(batch_of(4096, 0)), error_code::ok);
    EXPECT_EQ(batch_code(batch_of(4097, 0)), error_code::too_many_records);
    EXPECT_EQ(batch_code(batch_of(0)), error_code::empty_batch);
}

TEST(record_batch, a_header_that_lies_is_refused) {
    const byte_buffer batch = batch_of(2, 10, producer_id(5), 1);
    const auto changed = [&](const std::function<void(batch_header&)>& change) {
        return batch_code(with_header(batch, change));
    };
    EXPECT_EQ(changed([](batch_header&) {}), error_code::ok);
    EXPECT_EQ(changed([](batch_header& h) { h.version = 2; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.codec = 1; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.flags = 0; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.flags |= record_has_ttl; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.count = 1; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.count = 3; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.records_bytes += 1; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.earliest_ttl_ms = 0; }), error_code::bad_batch);
    EXPECT_EQ(changed([](batch_header& h) { h.latest_ttl_ms = 5; }), error_code::bad_batch);
}

TEST(record_batch, sequences_start_at_1_and_do_not_overflow) {
    const auto with = [&](std::uint64_t producer, std::uint64_t first) {
        return batch_code(batch_of(2, 1, producer_id(producer), first));
    };
    EXPECT_EQ(with(0, 0), error_code::ok);
    EXPECT_EQ(with(0, 1), error_code::bad_batch);
    EXPECT_EQ(with(1, 0), error_code::bad_batch);
    EXPECT_EQ(with(1, 1), error_code::ok);
    EXPECT_EQ(with(1, ~std::uint64_t{0} - 2), error_code::ok);
    EXPECT_EQ(with(1, ~std::uint64_t{0} - 1), error_code::bad_batch);
}

TEST(record_batch, a_count_bomb_is_refused) {
    const byte_buffer batch =
        with_header(batch_of(1), [](batch_header& h) { h.count = 0xFFFFFFFFU; });
    const auto checked = check_batch(batch, 0xFFFFFFFFU);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, error_code::bad_batch);
}

}  // namespace
}  // namespace brokerd::codec
