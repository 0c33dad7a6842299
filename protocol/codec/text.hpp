// Messages as text, for logs and debugging: foreign strings escaped and cut, payloads only by
// their size, long lists cut. Pure; no thread affinity.
#pragma once

#include <string>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"

namespace brokerd::codec {

// settle{queue=7 action=ack confirm=true ...}
template <frame_message T>
[[nodiscard]] std::string to_text(const T& message);

// A received frame: its type, request id and decoded body, or why it cannot be decoded.
[[nodiscard]] std::string to_text(const frame& frame);

}  // namespace brokerd::codec
