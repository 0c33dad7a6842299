// The frame parser: pieces of any size, limits, damaged headers, what it keeps and what it frees.
#include "protocol/codec/frame.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/types/crc32c.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::codec {
namespace {

constexpr std::size_t limit = 4096;

void append_frame(byte_buffer& out, std::uint8_t type, std::uint32_t request_id,
                  std::string_view body) {
    const std::size_t start = out.size();
    out.resize(start + frame_header_bytes);
    store_frame_header(out.data() + start, type, request_id,
                       static_cast<std::uint32_t>(body.size()));
    const byte_view bytes = as_bytes(body);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

byte_buffer header_declaring(std::uint32_t body_bytes) {
    byte_buffer header(frame_header_bytes);
    store_frame_header(header.data(), 1, 1, body_bytes);
    return header;
}

struct seen_frame {
    std::uint8_t type;
    std::uint32_t request_id;
    std::string body;
    bool operator==(const seen_frame&) const = default;
};

// Feeds `stream` in pieces of at most `step` bytes, each in memory of its own.
std::vector<seen_frame> parse_in_steps(frame_parser& parser, byte_view stream, std::size_t step) {
    std::vector<seen_frame> seen;
    while (!stream.empty()) {
        const byte_view part = stream.first(std::min(step, stream.size()));
        const byte_buffer piece(part.begin(), part.end());
        stream = stream.subspan(piece.size());
        parser.feed(piece);
        for (;;) {
            const auto next = parser.next();
            EXPECT_TRUE(next.has_value());
            if (!next || !*next) {
                break;
            }
            seen.push_back(
                {(*next)->type, (*next)->request_id, std::string(as_text((*next)->body))});
        }
    }
    return seen;
}

TEST(frame_header, layout_on_the_wire) {
    byte_buffer header(frame_header_bytes);
    store_frame_header(header.data(), 0x10, 0x01020304, 0x0A0B0C0D);
    const std::array<int, 12> expected{0x0D, 0x0C, 0x0B, 0x0A, 0x10, 0, 0, 0, 4, 3, 2, 1};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(std::to_integer<int>(header[i]), expected[i]) << i;
    }
    const auto loaded = load_frame_header(header);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->body_bytes, 0x0A0B0C0DU);
    EXPECT_EQ(loaded->request_id, 0x01020304U);
}

// Promise: limits.checksums
TEST(frame_header, every_flipped_bit_is_detected) {
    byte_buffer header = header_declaring(77);
    for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
        header[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        const auto loaded = load_frame_header(header);
        ASSERT_FALSE(loaded) << bit;
        EXPECT_EQ(loaded.error().code, error_code::bad_frame);
        header[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
    EXPECT_TRUE(load_frame_header(header));
}

TEST(frame_parser, every_way_to_cut_a_stream_gives_the_same_frames) {
    byte_buffer stream;
    std::vector<seen_frame> expected;
    std::mt19937 random(3);
    for (std::uint32_t i = 0; i < 20; ++i) {
        const std::string body(random() % 200 * (i % 3), static_cast<char>('a' + i));
        append_frame(stream, static_cast<std::uint8_t>(i), i * 7, body);
        expected.push_back({static_cast<std::uint8_t>(i), i * 7, body});
    }
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        frame_parser parser(limit);
        ASSERT_EQ(parse_in_steps(parser, stream, step), expected) << step;
        EXPECT_FALSE(parser.in_progress());
        EXPECT_EQ(parser.frames(), expected.size());
        EXPECT_EQ(parser.buffered_bytes(), 0U);
    }
}

TEST(frame_parser, a_frame_within_a_piece_is_not_copied) {
    byte_buffer stream;
    append_frame(stream, 1, 1, "first");
    append_frame(stream, 2, 2, "second");
    frame_parser parser(limit);
    parser.feed(stream);
    const auto first = parser.next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->body.data(), stream.data() + frame_header_bytes);
    const auto second = parser.next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->body.data(), stream.data() + stream.size() - 6);
    EXPECT_EQ(parser.buffered_bytes(), 0U);
}

TEST(frame_parser, lengths_at_the_limit_and_beyond) {
    for (const std::uint32_t length :
         {0U, 1U, static_cast<std::uint32_t>(limit) - 1, static_cast<std::uint32_t>(limit)}) {
        byte_buffer stream;
        append_frame(stream, 5, 6, std::string(length, 'x'));
        frame_parser parser(limit);
        const auto seen = parse_in_steps(parser, stream, 1000);
        ASSERT_EQ(seen.size(), 1U) << length;
        EXPECT_EQ(seen[0].body.size(), length);
    }
    for (const std::uint32_t length : {static_cast<std::uint32_t>(limit) + 1, 0x7FFFFFFFU,
                                       0x80000000U, 0x80000001U, 0xFFFFFFFFU}) {
        frame_parser parser(limit);
        const byte_buffer header = header_declaring(length);
        parser.feed(header);
        const auto next = parser.next();
        ASSERT_FALSE(next) << length;
        EXPECT_EQ(next.error().code, error_code::frame_too_large);
        EXPECT_EQ(parser.buffered_bytes(), 0U);
    }
}

TEST(frame_parser, the_limit_can_be_raised_after_the_handshake) {
    byte_buffer stream;
    append_frame(stream, 1, 1, std::string(limits::hello_bytes_max, 'h'));
    append_frame(stream, 2, 2, std::string(limits::hello_bytes_max + 1, 'b'));
    frame_parser parser(limits::hello_bytes_max);
    parser.feed(stream);
    ASSERT_TRUE(parser.next());
    parser.set_body_bytes_max(limits::frame_bytes_default);
    const auto second = parser.next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->body.size(), limits::hello_bytes_max + 1);
}

TEST(frame_parser, an_error_is_final) {
    frame_parser parser(limit);
    byte_buffer stream(frame_header_bytes, std::byte{'G'});  // "GET / HTTP"
    append_frame(stream, 1, 1, "fine");
    parser.feed(stream);
    for (int i = 0; i < 3; ++i) {
        const auto next = parser.next();
        ASSERT_FALSE(next);
        EXPECT_EQ(next.error().code, error_code::bad_frame);
    }
    byte_buffer good;
    append_frame(good, 1, 1, "fine");
    parser.feed(good);
    EXPECT_FALSE(parser.next());
}

TEST(frame_parser, reserved_bytes_are_refused_and_flags_are_reported) {
    for (const std::size_t at : {std::size_t{6}, std::size_t{7}}) {
        byte_buffer header = header_declaring(0);
        header[at] = std::byte{1};
        store_le(header.data() + 12, crc32c(0, byte_view(header).first(12)));
        frame_parser parser(limit);
        parser.feed(header);
        ASSERT_FALSE(parser.next()) << at;
    }
    byte_buffer header = header_declaring(0);
    header[5] = std::byte{0x80};
    store_le(header.data() + 12, crc32c(0, byte_view(header).first(12)));
    frame_parser parser(limit);
    parser.feed(header);
    const auto next = parser.next();
    ASSERT_TRUE(next && *next);
    EXPECT_EQ((*next)->flags, 0x80);
}

// Promise: limits.frame
TEST(frame_parser, memory_grows_with_what_arrives_not_with_what_is_declared) {
    frame_parser parser(limits::frame_bytes_max);
    const byte_buffer header = header_declaring(limits::frame_bytes_max);
    parser.feed(header);
    ASSERT_TRUE(parser.next());
    EXPECT_TRUE(parser.in_progress());
    EXPECT_EQ(parser.declared_bytes(), frame_header_bytes + limits::frame_bytes_max);
    EXPECT_EQ(parser.buffered_bytes(), 0U);
    const byte_buffer piece(1000);
    for (std::size_t arrived = 1000; arrived < 1000000; arrived += 1000) {
        parser.feed(piece);
        ASSERT_TRUE(parser.next());
        ASSERT_LE(parser.buffered_bytes(), std::max(arrived + 64 * 1024, 2 * arrived));
    }
}

TEST(frame_parser, progress_for_the_frame_deadline) {
    byte_buffer stream;
    append_frame(stream, 1, 1, std::string(100, 'x'));
    frame_parser parser(limit);
    EXPECT_FALSE(parser.in_progress());
    parser.feed(byte_view(stream).first(3));
    ASSERT_TRUE(parser.next());
    EXPECT_TRUE(parser.in_progress());
    EXPECT_EQ(parser.declared_bytes(), frame_header_bytes);
    parser.feed(byte_view(stream).subspan(3, 50));
    ASSERT_TRUE(parser.next());
    EXPECT_EQ(parser.declared_bytes(), frame_header_bytes + 100);
    parser.feed(byte_view(stream).subspan(53));
    const auto whole = parser.next();
    ASSERT_TRUE(whole && *whole);
    ASSERT_TRUE(parser.next());
    EXPECT_FALSE(parser.in_progress());
    EXPECT_EQ(parser.frames(), 1U);
}

TEST(frame_parser, a_body_put_together_is_taken_without_a_copy) {
    byte_buffer stream;
    append_frame(stream, 1, 1, std::string(3000, 'x'));
    frame_parser parser(limit);
    parser.feed(byte_view(stream).first(2000));
    ASSERT_TRUE(parser.next());
    parser.feed(byte_view(stream).subspan(2000));
    const auto next = parser.next();
    ASSERT_TRUE(next && *next);
    const shared_bytes taken = parser.take_body();
    EXPECT_EQ(taken.view.data(), (*next)->body.data());
    EXPECT_EQ(parser.take_body().view.data(), taken.view.data());
    ASSERT_TRUE(parser.next());
    EXPECT_EQ(as_text(taken.view), std::string(3000, 'x'));
}

TEST(frame_parser, a_body_within_a_piece_is_taken_as_a_copy) {
    byte_buffer stream;
    append_frame(stream, 1, 1, "keep me");
    frame_parser parser(limit);
    parser.feed(stream);
    ASSERT_TRUE(parser.next());
    const shared_bytes taken = parser.take_body();
    std::ranges::fill(stream, std::byte{0});
    EXPECT_EQ(as_text(taken.view), "keep me");
}

}  // namespace
}  // namespace brokerd::codec
