// Frame header and incremental parser.
#include "protocol/codec/frame.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/crc32c.hpp"

namespace brokerd::codec {
namespace {

constexpr std::size_t frame_crc_at = offsetof(frame_header, header_crc32c);
constexpr std::size_t growth_bytes_min = std::size_t{64} * 1024;

}  // namespace

void store_frame_header(std::byte* to, std::uint8_t type, std::uint32_t request_id,
                        std::uint32_t body_bytes) {
    frame_header header{.body_bytes = body_bytes, .type = type, .request_id = request_id};
    std::memcpy(to, &header, frame_crc_at);
    header.header_crc32c = crc32c(0, byte_view(to, frame_crc_at));
    store_le(to + frame_crc_at, header.header_crc32c);
}

outcome<frame_header> load_frame_header(byte_view bytes) {
    if (bytes.size() < frame_header_bytes) {
        return refuse(error_code::bad_frame, "the frame header is truncated");
    }
    frame_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.header_crc32c != crc32c(0, bytes.first(frame_crc_at))) {
        return refuse(error_code::bad_frame,
                      "the checksum of the frame header is wrong: this is no brokerd frame");
    }
    if (header.reserved != 0) {
        return refuse(error_code::bad_frame, "the reserved field of the frame header is not 0");
    }
    return header;
}

void frame_parser::feed(byte_view piece) {
    piece_ = piece;
}

outcome<std::optional<frame>> frame_parser::next() {
    if (failed_) {
        return std::unexpected(*failed_);
    }
    if (body_is_ours_) {
        body_ = byte_buffer();  // a connection that waits holds no memory
        body_is_ours_ = false;
    }
    kept_.reset();
    last_body_ = {};
    if (header_filled_ < frame_header_bytes) {
        const std::size_t missing = frame_header_bytes - header_filled_;
        if (piece_.size() < missing) {
            std::ranges::copy(piece_,
                              header_bytes_.begin() + static_cast<std::ptrdiff_t>(header_filled_));
            header_filled_ += piece_.size();
            piece_ = {};
            return std::optional<frame>();
        }
        byte_view header = piece_.first(missing);
        if (header_filled_ > 0) {
            std::ranges::copy(header,
                              header_bytes_.begin() + static_cast<std::ptrdiff_t>(header_filled_));
            header = header_bytes_;
        }
        if (auto accepted = accept(header); !accepted) {
            return fail(std::move(accepted.error()));
        }
        header_filled_ = frame_header_bytes;
        piece_ = piece_.subspan(missing);
    }
    if (body_.empty() && piece_.size() >= header_.body_bytes) {
        last_body_ = piece_.first(header_.body_bytes);
        piece_ = piece_.subspan(header_.body_bytes);
    } else {
        fill_body();
        if (body_.size() < header_.body_bytes) {
            return std::optional<frame>();
        }
        last_body_ = body_;
        body_is_ours_ = true;
    }
    header_filled_ = 0;
    ++frames_;
    return frame{header_.type, header_.flags, header_.request_id, last_body_};
}

outcome<void> frame_parser::accept(byte_view header) {
    auto loaded = load_frame_header(header);
    if (!loaded) {
        return std::unexpected(std::move(loaded.error()));
    }
    if (loaded->body_bytes > body_bytes_max_) {
        return refuse(error_code::frame_too_large,
                      fmt::format("the frame has a body of {} bytes; at most {} are accepted",
                                  loaded->body_bytes, body_bytes_max_));
    }
    header_ = *loaded;
    return {};
}

std::unexpected<failure> frame_parser::fail(failure why) {
    piece_ = {};
    header_filled_ = 0;
    body_ = byte_buffer();
    failed_ = why;
    return std::unexpected(std::move(why));
}

// Copies what the piece has of the body. The buffer grows with what arrived: by 64 KiB, or to
// twice its size where that is more, so that a large body is not copied again and again.
void frame_parser::fill_body() {
    const std::size_t taken =
        std::min<std::size_t>(piece_.size(), header_.body_bytes - body_.size());
    const std::size_t needed = body_.size() + taken;
    if (needed > body_.capacity()) {
        const std::size_t grown = body_.capacity() + std::max(growth_bytes_min, body_.capacity());
        body_.reserve(std::clamp<std::size_t>(grown, needed, header_.body_bytes));
    }
    body_.insert(body_.end(), piece_.begin(), piece_.begin() + static_cast<std::ptrdiff_t>(taken));
    piece_ = piece_.subspan(taken);
}

shared_bytes frame_parser::take_body() {
    if (body_is_ours_) {
        auto owner = std::make_shared<const byte_buffer>(std::move(body_));
        body_ = byte_buffer();
        body_is_ours_ = false;
        kept_ = owner;
        return {std::move(owner), last_body_};
    }
    if (kept_) {
        return {kept_, last_body_};
    }
    auto owner = std::make_shared_for_overwrite<std::byte[]>(last_body_.size());
    std::ranges::copy(last_body_, owner.get());
    const byte_view copy(owner.get(), last_body_.size());
    return {std::move(owner), copy};
}

std::size_t frame_parser::declared_bytes() const {
    if (header_filled_ < frame_header_bytes) {
        return frame_header_bytes;
    }
    return frame_header_bytes + header_.body_bytes;
}

}  // namespace brokerd::codec
