// The frame: what every byte on a connection belongs to. Header layout and the incremental parser.
// Sans-I/O; a parser belongs to one connection and is used by one thread at a time.
//
//   offset size
//    0   u32  body_bytes      bytes of the body behind the header
//    4   u8   type            frame_type
//    5   u8   flags           0; a frame with others is refused with bad_flags
//    6   u16  reserved        0
//    8   u32  request_id      chosen by the asker, repeated in the answer; 0 = pushed
//   12   u32  header_crc32c   over the 12 bytes before it
//   16        body
//
// Invariants: nothing is believed before the header's checksum holds; nothing is allocated before
// the length is within its limit, and then never more than in proportion to what really arrived.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::codec {

inline constexpr std::size_t frame_header_bytes = 16;

// The header as it lies on the wire.
struct frame_header {
    std::uint32_t body_bytes = 0;
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint16_t reserved = 0;
    std::uint32_t request_id = 0;
    std::uint32_t header_crc32c = 0;

    bool operator==(const frame_header&) const = default;
};
static_assert(sizeof(frame_header) == frame_header_bytes);
static_assert(offsetof(frame_header, type) == 4);
static_assert(offsetof(frame_header, flags) == 5);
static_assert(offsetof(frame_header, reserved) == 6);
static_assert(offsetof(frame_header, request_id) == 8);
static_assert(offsetof(frame_header, header_crc32c) == 12);

// Writes the 16 bytes at `to`, checksum included.
void store_frame_header(std::byte* to, std::uint8_t type, std::uint32_t request_id,
                        std::uint32_t body_bytes);
// Errors: bad_frame (shorter than a header, checksum, reserved not 0).
[[nodiscard]] outcome<frame_header> load_frame_header(byte_view bytes);

// One frame; `type` and `flags` are as received, the user of the parser judges them.
struct frame {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t request_id = 0;
    byte_view body;
};

// Cuts a stream of bytes into frames. Frames that lie whole in a fed piece are views into it;
// only one that spans pieces is copied.
//
//     parser.feed(piece);
//     while (auto next = parser.next()) { if (!*next) break; handle(**next); }
class frame_parser {
public:
    explicit frame_parser(std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

    // Takes effect with the next header that is read.
    void set_body_bytes_max(std::size_t bytes) { body_bytes_max_ = bytes; }
    [[nodiscard]] std::size_t body_bytes_max() const { return body_bytes_max_; }

    // Gives the next piece of the stream; it must stay as it is until next() has returned nothing,
    // and must not be given before that.
    void feed(byte_view piece);

    // The next whole frame; nothing when the piece is used up. The body's bytes are valid until
    // the next call of next() or feed(), or for longer with take_body().
    // Errors (final: every later call returns the same): bad_frame, frame_too_large.
    [[nodiscard]] outcome<std::optional<frame>> next();

    // Keeps the body of the frame returned last: hands over the bytes of a frame that was put
    // together here without copying, copies those of one that lay whole in its piece (the piece's
    // memory is for the next read). The view in that frame stays valid as before.
    [[nodiscard]] shared_bytes take_body();

    // What is left of the piece: the frames behind the one returned last.
    [[nodiscard]] byte_view unread() const { return piece_; }

    // Between pieces: a frame has begun and is not complete. For the frame deadline.
    [[nodiscard]] bool in_progress() const { return header_filled_ > 0; }
    // Size of that frame, header included; the header's alone while that is not complete.
    [[nodiscard]] std::size_t declared_bytes() const;
    // Frames returned so far: tells a frame in progress from the one in progress earlier.
    [[nodiscard]] std::uint64_t frames() const { return frames_; }
    // Memory held for the frame in progress.
    [[nodiscard]] std::size_t buffered_bytes() const { return body_.capacity(); }

private:
    [[nodiscard]] outcome<void> accept(byte_view header);
    [[nodiscard]] std::unexpected<failure> fail(failure why);
    void fill_body();

    std::size_t body_bytes_max_;
    byte_view piece_;  // not yet consumed
    // The frame in progress: its header, then its body.
    std::array<std::byte, frame_header_bytes> header_bytes_{};
    std::size_t header_filled_ = 0;
    byte_buffer body_;
    frame_header header_;        // of the frame in progress or returned last, once complete
    bool body_is_ours_ = false;  // the frame returned last lies in body_
    byte_view last_body_;
    std::shared_ptr<const void> kept_;  // keeps last_body_ alive after take_body()
    std::uint64_t frames_ = 0;
    std::optional<failure> failed_;
};

}  // namespace brokerd::codec
