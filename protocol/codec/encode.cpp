// The instantiations of encoder and decoder for every message.
#include "protocol/codec/encode.hpp"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "protocol/codec/delivery.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/codec/wire.hpp"

namespace brokerd::codec {
namespace {

template <frame_message T>
std::byte* put_body(std::byte* to, const T& message) {
    if constexpr (described<T>) {
        return wire_fields<T>::put(to, message);
    } else {
        return runs_codec<T>::put(to, message);
    }
}

template <frame_message T>
bool get_body(wire_reader& reader, T& message) {
    if constexpr (described<T>) {
        return wire_fields<T>::get_whole(reader, message);
    } else {
        return runs_codec<T>::get(reader, message);
    }
}

}  // namespace

template <frame_message T>
std::size_t body_size(const T& message) {
    if constexpr (described<T>) {
        return wire_fields<T>::size(message);
    } else {
        return runs_codec<T>::size(message);
    }
}

template <frame_message T>
void encode_frame(byte_buffer& out, std::uint32_t request_id, const T& message) {
    const std::size_t start = out.size();
    const std::size_t size = body_size(message);
    out.resize(start + frame_header_bytes + size);
    std::byte* const header = out.data() + start;
    store_frame_header(header, static_cast<std::uint8_t>(T::type), request_id,
                       static_cast<std::uint32_t>(size));
    [[maybe_unused]] const std::byte* end = put_body(header + frame_header_bytes, message);
    assert(end == out.data() + out.size());
}

template <frame_message T>
outcome<T> decode(byte_view body) {
    wire_reader reader(body);
    T message;
    if (!get_body(reader, message)) {
        return refuse(error_code::malformed,
                      fmt::format("{}.{}: {}", message_name<T>, reader.path(), reader.problem()));
    }
    if (!reader.empty()) {
        return refuse(error_code::malformed, fmt::format("{}: {} bytes behind its last field",
                                                         message_name<T>, reader.left()));
    }
    return message;
}

#define BROKERD_INSTANTIATE(name)                                               \
    template std::size_t body_size<name>(const name&);                          \
    template void encode_frame<name>(byte_buffer&, std::uint32_t, const name&); \
    template outcome<name> decode<name>(byte_view);
BROKERD_MESSAGES(BROKERD_INSTANTIATE)
#undef BROKERD_INSTANTIATE

void encode_publish(byte_buffer& out, std::uint32_t request_id, std::string_view topic,
                    byte_view batch) {
    const std::size_t topic_bytes = std::min(topic.size(), wire<std::string>::text_bytes_max);
    const std::size_t body = sizeof(std::uint16_t) + topic_bytes + batch.size();
    const std::size_t start = out.size();
    // Behind here the frame is complete but for the batch, which is appended without being
    // filled with zeros before.
    out.resize(start + frame_header_bytes + sizeof(std::uint16_t) + topic_bytes);
    std::byte* to = out.data() + start;
    store_frame_header(to, static_cast<std::uint8_t>(frame_type::publish), request_id,
                       static_cast<std::uint32_t>(body));
    store_le(to + frame_header_bytes, static_cast<std::uint16_t>(topic_bytes));
    std::ranges::copy(as_bytes(topic.substr(0, topic_bytes)),
                      to + frame_header_bytes + sizeof(std::uint16_t));
    out.insert(out.end(), batch.begin(), batch.end());
}

}  // namespace brokerd::codec
