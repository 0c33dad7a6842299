// The list of all messages: from it come the names of frame types, the instantiations of encoder,
// decoder and printer, the golden tests, the fuzz targets and the tables of PROTOCOL.md.
// A frame type without a message, or the reverse, does not compile (see frame_type_name).
// Header only; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/codec/transaction_messages.hpp"

namespace brokerd::codec {

// clang-format off
#define BROKERD_MESSAGES(X)                                                                         \
    X(hello) X(hello_ok) X(ping) X(pong) X(goodbye) X(draining) X(error) X(ok)                      \
    X(publish) X(published) X(credit) X(schedule)                                                   \
    X(attach) X(attached) X(detach) X(detached) X(set_prefetch) X(deliver) X(settle) X(settled)     \
    X(topic_create) X(topic_created) X(topic_list) X(topics) X(topic_set) X(topic_remove)           \
    X(queue_create) X(queue_created) X(queue_clone) X(queue_list) X(queues) X(queue_set)            \
    X(queue_remove)                                                                                 \
    X(queue_pause) X(queue_seek) X(queue_purge) X(counted) X(queue_explain) X(explained)            \
    X(read) X(messages) X(message_show) X(shown)                                                    \
    X(dead_list) X(dead) X(dead_redrive) X(dead_purge)                                              \
    X(consumer_list) X(consumers) X(connection_list) X(connections) X(connection_close)             \
    X(health) X(health_report) X(stats) X(stats_report)                                             \
    X(schedule_list) X(schedules) X(schedule_cancel)                                                \
    X(transact) X(transacted)                                                                       \
    X(serve) X(unserve) X(service_request) X(requested) X(reply) X(replied)                         \
    X(service_list) X(services)                                                                 \
    X(pattern_create) X(pattern_created) X(pattern_list) X(patterns) X(pattern_remove)              \
    X(pattern_attach) X(pattern_queues)                                                             \
    X(queue_levels) X(queue_levels_counted)

// Structs that lie inside messages.
#define BROKERD_PARTS(X)                                                                            \
    X(topic_settings) X(queue_settings) X(position) X(attempt)                                      \
    X(published_item) X(topic_item) X(queue_item) X(queue_state_item) X(dead_item)                  \
    X(consumer_item) X(connection_item) X(stat_item) X(schedule_item)                                                  \
    X(transact_publish) X(transact_settle) X(transacted_item) X(service_item)                       \
    X(pattern_item) X(pattern_held) X(pattern_member) X(pattern_left)                       \
    X(level_count)
// clang-format on

template <typename... Messages>
struct message_list {
    static constexpr std::size_t size = sizeof...(Messages);

    // Calls visitor.template operator()<Message>() for each.
    template <typename Visitor>
    static constexpr void for_each(Visitor&& visitor) {
        (visitor.template operator()<Messages>(), ...);
    }
};

namespace detail {

struct list_begin {};
template <typename... Types>
struct without_begin;
template <typename... Types>
struct without_begin<list_begin, Types...> {
    using type = message_list<Types...>;
};

}  // namespace detail

#define BROKERD_LIST_ENTRY(name) , name
using all_messages =
    detail::without_begin<detail::list_begin BROKERD_MESSAGES(BROKERD_LIST_ENTRY)>::type;
using all_parts = detail::without_begin<detail::list_begin BROKERD_PARTS(BROKERD_LIST_ENTRY)>::type;
#undef BROKERD_LIST_ENTRY

// The message's name in PROTOCOL.md and logs; that of its frame type.
template <typename Message>
inline constexpr std::string_view message_name = "unknown";
#define BROKERD_NAME(name) \
    template <>            \
    inline constexpr std::string_view message_name<name> = #name;
BROKERD_MESSAGES(BROKERD_NAME)
BROKERD_PARTS(BROKERD_NAME)
#undef BROKERD_NAME

#define BROKERD_SAME_TYPE(name) static_assert(name::type == frame_type::name);
BROKERD_MESSAGES(BROKERD_SAME_TYPE)
#undef BROKERD_SAME_TYPE

// No default: a frame type that has no message is a compiler warning, hence an error.
[[nodiscard]] constexpr std::string_view frame_type_name(frame_type type) {
    switch (type) {
#define BROKERD_TYPE_NAME(name) \
    case frame_type::name: return #name;
        BROKERD_MESSAGES(BROKERD_TYPE_NAME)
#undef BROKERD_TYPE_NAME
    }
    return "unknown";
}

// Whether `type`, as received, is one of ours.
[[nodiscard]] constexpr bool is_known_type(std::uint8_t type) {
    return frame_type_name(static_cast<frame_type>(type)) != "unknown";
}

}  // namespace brokerd::codec
