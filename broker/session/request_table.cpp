// The rows, indexed by frame type at compile time.
#include "broker/session/request_table.hpp"

#include <algorithm>
#include <array>

#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/registry.hpp"

namespace brokerd::session {
namespace {

using codec::frame_type;

constexpr request_row in_open(frame_type type, request_handler handler) {
    return {type, codec::frame_type_name(type), session_state::open, handler};
}
template <codec::frame_message T>
constexpr request_row engine_request() {
    return in_open(T::type, &handlers::pass_on<T>);
}

constexpr std::array table{
    request_row{frame_type::hello, "hello", session_state::handshake, &handlers::hello},
    in_open(frame_type::ping, &handlers::ping),
    in_open(frame_type::pong, &handlers::pong),
    in_open(frame_type::goodbye, &handlers::goodbye),
    in_open(frame_type::publish, &handlers::publish),
    in_open(frame_type::schedule, &handlers::schedule),
    in_open(frame_type::transact, &handlers::transact),
    in_open(frame_type::attach, &handlers::attach),
    in_open(frame_type::detach, &handlers::detach),
    engine_request<codec::set_prefetch>(),
    in_open(frame_type::settle, &handlers::settle),
    engine_request<codec::topic_create>(),
    engine_request<codec::topic_list>(),
    engine_request<codec::topic_set>(),
    engine_request<codec::topic_remove>(),
    engine_request<codec::queue_create>(),
    engine_request<codec::queue_list>(),
    engine_request<codec::queue_set>(),
    engine_request<codec::queue_remove>(),
    engine_request<codec::queue_pause>(),
    engine_request<codec::queue_seek>(),
    engine_request<codec::queue_purge>(),
    engine_request<codec::queue_clone>(),
    engine_request<codec::queue_levels>(),
    engine_request<codec::queue_explain>(),
    in_open(frame_type::read, &handlers::read),
    engine_request<codec::message_show>(),
    engine_request<codec::dead_list>(),
    engine_request<codec::dead_redrive>(),
    engine_request<codec::dead_purge>(),
    engine_request<codec::consumer_list>(),
    engine_request<codec::schedule_list>(),
    engine_request<codec::schedule_cancel>(),
    in_open(frame_type::serve, &handlers::serve),
    in_open(frame_type::unserve, &handlers::unserve),
    in_open(frame_type::service_request, &handlers::service_request),
    in_open(frame_type::reply, &handlers::reply),
    engine_request<codec::service_list>(),
    engine_request<codec::pattern_create>(),
    engine_request<codec::pattern_list>(),
    engine_request<codec::pattern_remove>(),
    in_open(frame_type::pattern_attach, &handlers::pattern_attach),
    in_open(frame_type::connection_list, &handlers::connection_list),
    in_open(frame_type::connection_close, &handlers::connection_close),
    in_open(frame_type::health, &handlers::health),
    in_open(frame_type::stats, &handlers::stats),
};

// Every request that the domain knows has its row (publish, transact, service_request and reply
// have forms of their own there).
template <typename Variant>
struct covered;
template <typename... Bodies>
struct covered<std::variant<domain::publish_request, domain::transaction_request,
                            domain::service_request, domain::service_reply, Bodies...>> {
    static constexpr bool value =
        (... && (std::ranges::find(table, Bodies::type, &request_row::type) != table.end()));
};
static_assert(covered<domain::request_body>::value);

constexpr std::uint8_t no_row = 0xff;
constexpr auto index = [] {
    std::array<std::uint8_t, 256> rows{};
    rows.fill(no_row);
    for (std::size_t i = 0; i < table.size(); ++i) {
        rows[static_cast<std::uint8_t>(table[i].type)] = static_cast<std::uint8_t>(i);
    }
    return rows;
}();

}  // namespace

const request_row* find_request(std::uint8_t type) {
    return index[type] == no_row ? nullptr : &table[index[type]];
}

}  // namespace brokerd::session
