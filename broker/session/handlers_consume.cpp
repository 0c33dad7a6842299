// Consuming and reading.
#include <algorithm>

#include "broker/session/request_table.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::session::handlers {

void attach(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::attach>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_attach(frame.request_id, *std::move(message), io);
}

void detach(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::detach>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.pass_on(frame.request_id, *std::move(message), {answer_kind::detach, small_answer_bytes},
               io);
}

void pattern_attach(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::pattern_attach>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_pattern_attach(frame.request_id, *std::move(message), io);
}

void settle(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::settle>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_settle(frame.request_id, *std::move(message), io);
}

void read(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::read>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    // One that may wait for messages is nothing a shut-down has to wait for. Whatever was asked
    // for, at least one message is read, and the batch it is in kept.
    const auto kind = message->wait > duration_us{0} ? answer_kind::waiting : answer_kind::soon;
    const auto asked = std::min<std::uint64_t>(message->bytes_max, limits::read_bytes_max);
    const auto bytes = std::max<std::size_t>(asked, of.settings().frame_bytes_max);
    of.pass_on(frame.request_id, *std::move(message), {kind, bytes}, io);
}

}  // namespace brokerd::session::handlers
