// Checks that need no broker, and the record.
#include "client/src/encoded.hpp"

#include "client/src/convert.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/types/names.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

result<void> check_topic(std::string_view topic) {
    if (const auto valid = check_topic_name(topic); !valid) {
        return std::unexpected(make_error(valid.error()));
    }
    return {};
}

result<void> check_when(const std::optional<schedule_time>& when) {
    const auto refuse = [](const char* text) -> result<void> {
        return std::unexpected(make_error(client_errc::invalid_argument, text));
    };
    if (when && when->delay() < duration_us{0}) {
        return refuse("a message cannot be scheduled after a negative delay");
    }
    if (when && when->time() < wall_time{}) {
        return refuse("a message cannot be scheduled at a time before 1970");
    }
    return {};
}

result<void> check_queue(std::string_view queue) {
    const auto valid = is_pattern(queue) ? parse_pattern_path(queue) : parse_queue_path(queue);
    if (!valid) {
        return std::unexpected(make_error(valid.error()));
    }
    return {};
}

bool is_pattern(std::string_view queue) {
    return queue.find_first_of("*>") != std::string_view::npos;
}

result<void> check_service(std::string_view service) {
    if (const auto valid = check_service_name(service); !valid) {
        return std::unexpected(make_error(valid.error()));
    }
    return {};
}

result<void> encode_message(byte_buffer& out, std::string_view topic,
                            const outgoing_message& message) {
    thread_local std::string last_valid;  // mostly the same again
    if (topic.empty() || topic != last_valid) {
        if (auto valid = check_topic(topic); !valid) {
            return valid;
        }
        last_valid = topic;
    }
    return encode_reply(out, message);
}

result<void> encode_request(byte_buffer& out, std::string_view service,
                            const outgoing_message& message) {
    if (auto valid = check_service(service); !valid) {
        return valid;
    }
    return encode_reply(out, message);
}

result<void> encode_reply(byte_buffer& out, const outgoing_message& message) {
    const result<codec::record_fields> fields = to_wire(message);
    if (!fields) {
        return std::unexpected(fields.error());
    }
    out.clear();
    codec::encode_record(out, *fields);
    return {};
}

}  // namespace brokerd::client_core
