// Consuming and reading.
#include "broker/session/request_table.hpp"

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
    of.forget_consumer(message->consumer);
    of.pass_on(frame.request_id, *std::move(message), true, io);
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
    // One that may wait for messages is nothing a shut-down has to wait for.
    const bool answered_soon = message->wait == duration_us{0};
    of.pass_on(frame.request_id, *std::move(message), answered_soon, io);
}

}  // namespace brokerd::session::handlers
