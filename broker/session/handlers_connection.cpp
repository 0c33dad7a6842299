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
    if (const auto message = codec::decode<codec::ping>(frame.body); !message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.answer(frame.request_id, codec::pong{}, io);
}

// Any bytes are a sign of life; the answer to our ping needs nothing more.
void pong(session& of, const codec::frame& frame, session_io& io) {
    if (const auto message = codec::decode<codec::pong>(frame.body); !message) {
        of.refuse(frame.request_id, message.error(), io);
    }
}

void goodbye(session& of, const codec::frame& frame, session_io& io) {
    if (const auto message = codec::decode<codec::goodbye>(frame.body); !message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.take_goodbye(frame.request_id, io);
}

}  // namespace brokerd::session::handlers
