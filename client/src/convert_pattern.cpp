// Between the protocol's messages about pattern queues and the types of the public headers.
#include "client/src/convert.hpp"

namespace brokerd::client_core {

result<codec::pattern_create> to_pattern_create(std::string_view pattern,
                                                const queue_options& settings, log_position start,
                                                delivery_mode mode) {
    const auto refuse = [](const char* text) {
        return std::unexpected(make_error(client_errc::invalid_argument, text));
    };
    if (start.which() == log_position::kind::offset || start.which() == log_position::kind::time) {
        return refuse(
            "the queues of a pattern begin with the earliest or behind the latest message of their "
            "topics: an offset or a time is a place in one topic");
    }
    if (settings.until != 0) {
        return refuse("a pattern queue has no end: queue_options::until is an offset of one topic");
    }
    codec::pattern_create request;
    request.pattern = pattern;
    request.mode = static_cast<queue_mode>(mode);
    request.settings = to_wire(settings);
    request.start = to_wire(start);
    return request;
}

ensured_queue to_public(const codec::pattern_created& reply) {
    return {.created = reply.created,
            .topic_created = false,
            .settings = to_public(reply.settings),
            .differing = reply.differing,
            .queues = reply.queues};
}

pattern_info to_public(const codec::pattern_item& item) {
    return {.pattern = item.pattern,
            .mode = static_cast<delivery_mode>(item.mode),
            .settings = to_public(item.settings),
            .created = item.created,
            .queues = item.queues,
            .consumers = item.consumers};
}

}  // namespace brokerd::client_core
