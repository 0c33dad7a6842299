// The requests a client may send, as one table: frame type, name, the states it is allowed in, its
// handler. Handlers live in one file per family. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "broker/session/session.hpp"
#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/messages.hpp"

namespace brokerd::session {

using request_handler = void (*)(session& of, const codec::frame& frame, session_io& io);

struct request_row {
    codec::frame_type type;
    std::string_view name;
    session_state allowed;
    request_handler handler;
};

// Null for a type that no client may send.
[[nodiscard]] const request_row* find_request(std::uint8_t type);

namespace handlers {
// handlers_connection.cpp
void hello(session& of, const codec::frame& frame, session_io& io);
void ping(session& of, const codec::frame& frame, session_io& io);
void pong(session& of, const codec::frame& frame, session_io& io);
void goodbye(session& of, const codec::frame& frame, session_io& io);
// handlers_publish.cpp
void publish(session& of, const codec::frame& frame, session_io& io);
void schedule(session& of, const codec::frame& frame, session_io& io);
// handlers_transact.cpp
void transact(session& of, const codec::frame& frame, session_io& io);
// handlers_services.cpp
void serve(session& of, const codec::frame& frame, session_io& io);
void unserve(session& of, const codec::frame& frame, session_io& io);
void service_request(session& of, const codec::frame& frame, session_io& io);
void reply(session& of, const codec::frame& frame, session_io& io);
// handlers_consume.cpp
void attach(session& of, const codec::frame& frame, session_io& io);
void detach(session& of, const codec::frame& frame, session_io& io);
void pattern_attach(session& of, const codec::frame& frame, session_io& io);
void settle(session& of, const codec::frame& frame, session_io& io);
void read(session& of, const codec::frame& frame, session_io& io);
// handlers_observe.cpp
void connection_list(session& of, const codec::frame& frame, session_io& io);
void connection_close(session& of, const codec::frame& frame, session_io& io);
void health(session& of, const codec::frame& frame, session_io& io);
void stats(session& of, const codec::frame& frame, session_io& io);

// Requests answered with a list or a message.
template <typename T>
inline constexpr bool answers_at_length =
    std::is_same_v<T, codec::topic_list> || std::is_same_v<T, codec::queue_list> ||
    std::is_same_v<T, codec::consumer_list> || std::is_same_v<T, codec::dead_list> ||
    std::is_same_v<T, codec::message_show> || std::is_same_v<T, codec::schedule_list> ||
    std::is_same_v<T, codec::service_list> || std::is_same_v<T, codec::pattern_list>;

// Decodes and hands over to the engine, which checks the rest.
template <codec::frame_message T>
void pass_on(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<T>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    const auto bytes = answers_at_length<T> ? of.settings().frame_bytes_max : small_answer_bytes;
    of.pass_on(frame.request_id, *std::move(message), {answer_kind::soon, bytes}, io);
}
}  // namespace handlers

}  // namespace brokerd::session
