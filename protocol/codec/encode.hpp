// Messages to frames and back. Declared here, generated in encode.cpp from the descriptions in
// messages.hpp for every message of registry.hpp. Pure; no thread affinity.
//
// Bodies are strict: a body that is too short, has bytes behind its last field, an unknown enum
// value or a count that cannot be is refused with malformed and a text that names the field.
// Texts are not checked for UTF-8 and names not for validity: that is the receiver's part.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/codec/admin_messages.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"

namespace brokerd::codec {

template <typename T>
concept frame_message = requires {
    { T::type } -> std::convertible_to<frame_type>;
    { T::doc } -> std::convertible_to<std::string_view>;
};

// Exact size of the body, without the frame header.
template <frame_message T>
[[nodiscard]] std::size_t body_size(const T& message);

// Appends the whole frame, header and body, to a growing outbox.
template <frame_message T>
void encode_frame(byte_buffer& out, std::uint32_t request_id, const T& message);

// The publish frame without a struct in between: the batch is copied once.
void encode_publish(byte_buffer& out, std::uint32_t request_id, std::string_view topic,
                    byte_view batch);

// Views in the result (rest_bytes, bytes_field) point into `body`. Error: malformed.
template <frame_message T>
[[nodiscard]] outcome<T> decode(byte_view body);

}  // namespace brokerd::codec
