// Cutting, keeping and verifying.
#include "client/src/frame_intake.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "client/src/client_limits.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

using codec::frame_type;

// Exactly `count` undamaged records, and nothing else.
bool holds_records(byte_view bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const outcome<codec::record_view> record = codec::check_record(bytes);
        if (!record) {
            return false;
        }
        bytes = bytes.subspan(record->bytes.size());
    }
    return bytes.empty();
}

bool lies_in(byte_view piece, byte_view body) {
    const std::less_equal<> at_most;
    return body.empty() || (at_most(piece.data(), body.data()) &&
                            at_most(body.data() + body.size(), piece.data() + piece.size()));
}

}  // namespace

frame_intake::frame_intake() : parser_(limits::frame_bytes_default) {}

const arrivals& frame_intake::take(byte_view piece) {
    arrived_.frames.clear();
    parser_.feed(piece);
    while (true) {
        const outcome<std::optional<codec::frame>> next = parser_.next();
        if (!next) {
            arrived_.failed = next.error();
            break;
        }
        if (!*next) {
            break;
        }
        add(**next, piece);
    }
    return arrived_;
}

void frame_intake::release() {
    constexpr std::size_t frames_kept = 256;  // room for, not frames
    arrived_.frames.clear();
    if (arrived_.frames.capacity() > frames_kept) {
        arrived_.frames.shrink_to_fit();
    }
}

void frame_intake::add(const codec::frame& what, byte_view piece) {
    arrived_frame& fresh = arrived_.frames.emplace_back();
    fresh.what = what;
    const auto type = static_cast<frame_type>(what.type);
    const bool kept = type == frame_type::deliver || type == frame_type::requested;
    // What was put together from several pieces is overwritten by the next one of its kind.
    if (kept || !lies_in(piece, what.body)) {
        fresh.body = parser_.take_body();
        fresh.what.body = fresh.body.view;
    }
    if (type == frame_type::hello_ok) {
        parser_.set_body_bytes_max(client_limits::frame_body_bytes_max);
    } else if (type == frame_type::deliver) {
        fresh.delivery = codec::decode<codec::deliver>(fresh.what.body);
        fresh.sound =
            *fresh.delivery && std::ranges::all_of((*fresh.delivery)->runs, [](const auto& run) {
                return holds_records(run.records.view, run.leases.count);
            });
    }
}

}  // namespace brokerd::client_core
