// Questions about connections and the broker, answered by the server.
#include "broker/session/request_table.hpp"
#include "protocol/codec/admin_messages.hpp"

namespace brokerd::session::handlers {
namespace {

template <codec::frame_message T>
void put(session& of, const codec::frame& frame, ask::kind what, session_io& io) {
    const auto message = codec::decode<T>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    connection_id target;
    if constexpr (requires { message->connection; }) {
        target = message->connection;
    }
    of.put_question(frame.request_id, what, target, io);
}

}  // namespace

void connection_list(session& of, const codec::frame& frame, session_io& io) {
    put<codec::connection_list>(of, frame, ask::kind::connections, io);
}

void connection_close(session& of, const codec::frame& frame, session_io& io) {
    put<codec::connection_close>(of, frame, ask::kind::close_connection, io);
}

void health(session& of, const codec::frame& frame, session_io& io) {
    put<codec::health>(of, frame, ask::kind::health, io);
}

void stats(session& of, const codec::frame& frame, session_io& io) {
    put<codec::stats>(of, frame, ask::kind::stats, io);
}

}  // namespace brokerd::session::handlers
