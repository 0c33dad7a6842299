// What arrives in pieces: frames that stay, deliveries that are judged.
#include "client/src/frame_intake.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/codec/delivery.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

byte_buffer some_records(std::initializer_list<std::string_view> payloads) {
    byte_buffer out;
    for (const std::string_view each : payloads) {
        codec::record_fields fields;
        fields.payload = as_bytes(each);
        codec::encode_record(out, fields);
    }
    return out;
}

byte_buffer deliver_frame(std::uint32_t count, byte_view of) {
    byte_buffer out;
    codec::deliver_writer writer(out, consumer_id(1));
    writer.append_run({0, count, broker_epoch(1), 1}, {}, 1, of);
    writer.finish();
    return out;
}

std::string text_of(const arrived_frame& each) {
    return codec::decode<codec::error>(each.what.body)->text;
}

TEST(client_intake, frames_stay_though_the_next_one_is_put_together_too) {
    byte_buffer stream;
    for (std::uint32_t i = 1; i <= 3; ++i) {
        codec::encode_frame(stream, i,
                            codec::error{error_code::internal, std::string(i * 10, 'e')});
    }
    frame_intake intake;
    const std::size_t middle = stream.size() / 2 - 20;  // within the second frame
    byte_buffer front(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(middle));
    EXPECT_THAT(intake.take(front).frames, SizeIs(1));
    std::ranges::fill(front, std::byte{0});
    const arrivals& rest = intake.take(byte_view(stream).subspan(middle));
    ASSERT_THAT(rest.frames, SizeIs(2));
    EXPECT_EQ(text_of(rest.frames[0]), std::string(20, 'e'));
    EXPECT_EQ(text_of(rest.frames[1]), std::string(30, 'e'));
    EXPECT_THAT(intake.take({}).frames, IsEmpty());
}

TEST(client_intake, a_delivery_outlives_its_piece) {
    byte_buffer piece = deliver_frame(2, some_records({"one", "two"}));
    frame_intake intake;
    const arrivals& arrived = intake.take(piece);
    ASSERT_THAT(arrived.frames, SizeIs(1));
    std::ranges::fill(piece, std::byte{0});
    EXPECT_TRUE(arrived.frames[0].sound);
    const byte_view left = arrived.frames[0].delivery->value().runs.at(0).records.view;
    EXPECT_EQ(as_text(codec::check_record(left)->payload), "one");
}

TEST(client_intake, what_was_taken_is_let_go) {
    const byte_buffer piece = deliver_frame(1, some_records({"one"}));
    frame_intake intake;
    const std::weak_ptr<const void> body = intake.take(piece).frames.at(0).body.owner;
    EXPECT_FALSE(body.expired());
    intake.release();
    EXPECT_TRUE(body.expired());
}

TEST(client_intake, a_delivery_is_sound_only_if_it_is_what_it_says) {
    byte_buffer damaged = some_records({"one", "two"});
    damaged.back() ^= std::byte{1};
    for (const byte_buffer& piece :
         {deliver_frame(2, damaged), deliver_frame(1, some_records({"one", "two"})),
          deliver_frame(3, some_records({"one"}))}) {
        frame_intake intake;
        const arrivals& arrived = intake.take(piece);
        ASSERT_THAT(arrived.frames, SizeIs(1));
        EXPECT_FALSE(arrived.frames[0].sound);
    }
}

TEST(client_intake, what_came_before_nonsense_is_there) {
    byte_buffer stream;
    codec::encode_frame(stream, 1, codec::ok{});
    stream.resize(stream.size() + codec::frame_header_bytes, std::byte{'x'});
    frame_intake intake;
    const arrivals& arrived = intake.take(stream);
    EXPECT_THAT(arrived.frames, SizeIs(1));
    ASSERT_TRUE(arrived.failed);
    EXPECT_EQ(arrived.failed->code, error_code::bad_frame);
}

}  // namespace
}  // namespace brokerd::client_core
