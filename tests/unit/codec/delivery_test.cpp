// The writers of deliver and messages frames against the generic encoder, and what their decoders
// refuse.
#include "protocol/codec/delivery.hpp"

#include <array>

#include <gtest/gtest.h>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::codec {
namespace {

byte_buffer records(std::size_t count) {
    byte_buffer bytes;
    for (std::size_t i = 0; i < count; ++i) {
        encode_record(bytes, {.key = {}, .headers = {}, .payload = as_bytes("payload")});
    }
    return bytes;
}

TEST(deliver_writer, writes_what_the_encoder_writes) {
    const byte_buffer first = records(3);
    const byte_buffer second = records(1);
    const deliver expected{.consumer = consumer_id(7),
                           .runs = {{{10, 3, broker_epoch(2), 100}, wall_from_us(5), 1, {first}},
                                    {{20, 1, broker_epoch(2), 103}, wall_from_us(6), 4, {second}}}};
    byte_buffer by_encoder(5);
    encode_frame(by_encoder, 0, expected);

    byte_buffer by_writer(5);
    deliver_writer writer(by_writer, consumer_id(7));
    writer.append_run(expected.runs[0].leases, wall_from_us(5), 1, first);
    const std::array<byte_view, 2> pieces{byte_view(second).first(4), byte_view(second).subspan(4)};
    writer.append_run(expected.runs[1].leases, wall_from_us(6), 4, pieces);
    EXPECT_EQ(writer.body_bytes(), body_size(expected));
    writer.finish();
    EXPECT_EQ(by_writer, by_encoder);

    const auto decoded = decode<deliver>(byte_view(by_writer).subspan(5 + frame_header_bytes));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, expected);
}

TEST(deliver_writer, writes_a_history) {
    const byte_buffer record = records(1);
    const std::vector<attempt> history{{wall_from_us(3), attempt_outcome::nacked, "a@b:1", "no"},
                                       {wall_from_us(4), attempt_outcome::lost, "a@b:2", ""}};
    const deliver expected{
        .consumer = consumer_id(7),
        .runs = {{{20, 1, broker_epoch(2), 103}, wall_from_us(6), 3, {record}, history}}};
    byte_buffer by_encoder;
    encode_frame(by_encoder, 0, expected);
    byte_buffer by_writer;
    deliver_writer writer(by_writer, consumer_id(7));
    writer.append_run(expected.runs[0].leases, wall_from_us(6), 3, {}, history, record);
    EXPECT_EQ(writer.body_bytes(), body_size(expected));
    writer.finish();
    EXPECT_EQ(by_writer, by_encoder);
    const auto decoded = decode<deliver>(byte_view(by_writer).subspan(frame_header_bytes));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, expected);
    // A message that did not fail before is written as without the feature.
    byte_buffer plain;
    deliver_writer first(plain, consumer_id(7));
    first.append_run(expected.runs[0].leases, wall_from_us(6), 1, {}, {}, record);
    first.finish();
    byte_buffer without;
    deliver_writer second(without, consumer_id(7));
    second.append_run(expected.runs[0].leases, wall_from_us(6), 1, record);
    second.finish();
    EXPECT_EQ(plain, without);
}

TEST(deliver_writer, writes_the_queue_of_a_run) {
    const byte_buffer record = records(1);
    const std::vector<attempt> history{{wall_from_us(3), attempt_outcome::nacked, "a@b:1", "no"}};
    const lease_run leases{20, 1, broker_epoch(2), 103};
    const deliver expected{
        .consumer = consumer_id(7),
        .runs = {{leases, wall_from_us(6), 1, {record}, {}, queue_id(9)},
                 {leases, wall_from_us(6), 3, {record}, history, queue_id(0x1122334455667788)}}};
    byte_buffer by_encoder;
    encode_frame(by_encoder, 0, expected);
    byte_buffer by_writer;
    deliver_writer writer(by_writer, consumer_id(7));
    for (const delivery_run& run : expected.runs) {
        writer.append_run(leases, wall_from_us(6), run.attempt, run.queue, run.history, record);
    }
    EXPECT_EQ(writer.body_bytes(), body_size(expected));
    writer.finish();
    EXPECT_EQ(by_writer, by_encoder);
    // As a client reads it: bit 30 of the attempt, then the identity in front of the records.
    constexpr std::size_t attempt_at = frame_header_bytes + 4 + 24 + 8;
    EXPECT_EQ(load_le<std::uint32_t>(by_writer.data() + attempt_at), 0x40000001U);
    EXPECT_EQ(load_le<std::uint64_t>(by_writer.data() + attempt_at + 8), 9U);
    const auto decoded = decode<deliver>(byte_view(by_writer).subspan(frame_header_bytes));
    ASSERT_TRUE(decoded) << decoded.error().text;
    EXPECT_EQ(*decoded, expected);
    store_le(by_writer.data() + attempt_at + 8, std::uint64_t{0});
    const auto none = decode<deliver>(byte_view(by_writer).subspan(frame_header_bytes));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, error_code::malformed);
}

TEST(delivery, an_empty_history_is_refused) {
    const byte_buffer record = records(1);
    byte_buffer out;
    deliver_writer writer(out, consumer_id(1));
    writer.append_run({.count = 1}, {}, 1, record);
    writer.finish();
    constexpr std::size_t attempt_at = frame_header_bytes + 4 + 24 + 8;
    constexpr std::size_t records_at = attempt_at + 8;
    store_le(out.data() + attempt_at, has_history | 1U);
    const std::array<std::byte, 4> none{};
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(records_at), none.begin(), none.end());
    const auto decoded = decode<deliver>(byte_view(out).subspan(frame_header_bytes));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, error_code::malformed);
}

TEST(messages_writer, writes_what_the_encoder_writes) {
    const byte_buffer some = records(2);
    const messages expected{.incarnation = topic_id(7),
                            .first_offset = 1,
                            .next_offset = 50,
                            .position = 12,
                            .runs = {{10, 2, wall_from_us(5), {some}}}};
    byte_buffer by_encoder;
    encode_frame(by_encoder, 33, expected);

    byte_buffer by_writer;
    messages_writer writer(by_writer, 33, topic_id(7), 1, 50);
    writer.append_run(10, 2, wall_from_us(5), some);
    EXPECT_EQ(writer.body_bytes(), body_size(expected));
    writer.finish(12);
    EXPECT_EQ(by_writer, by_encoder);
}

TEST(delivery, runs_that_cannot_be_are_refused) {
    const byte_buffer some = records(2);
    const auto accepted = [&](lease_run leases) {
        byte_buffer out;
        deliver_writer writer(out, consumer_id(1));
        writer.append_run(leases, {}, 1, some);
        writer.finish();
        return decode<deliver>(byte_view(out).subspan(frame_header_bytes)).has_value();
    };
    EXPECT_TRUE(accepted({.count = 2}));
    EXPECT_FALSE(accepted({.count = 0}));
    EXPECT_FALSE(accepted({.count = 1000}));
    EXPECT_FALSE(accepted({.first_offset = offset_end, .count = 2}));
}

TEST(delivery, a_problem_names_its_place) {
    const byte_buffer body(4 + 10);
    const auto decoded = decode<deliver>(body);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().text, "deliver.runs: the body ends inside it");
}

}  // namespace
}  // namespace brokerd::codec
