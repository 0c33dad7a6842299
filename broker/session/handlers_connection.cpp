// Requests about the connection itself.
#include "broker/session/request_table.hpp"

namespace brokerd::session::handlers {

void hello(session& of, const codec::frame& frame, session_io& io) {
    const auto message = codec::decode<codec::hello>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.accept_hello(frame.request_id, *message, io);
}

void ping(session& of, const codec::frame& frame, session_io& io) {
    of.answer(frame.request_id, codec::pong{}, io);
}

// Any bytes are a sign of life; the answer to our ping needs nothing more.
void pong(session&, const codec::frame&, session_io&) {}

void goodbye(session& of, const codec::frame& frame, session_io& io) {
    of.take_goodbye(frame.request_id, io);
}

}  // namespace brokerd::session::handlers
