// Reasons of nacks and rejects as the broker accepts them. Pure; no thread affinity.
#pragma once

#include <string>
#include <string_view>

namespace brokerd::client_core {

// `text` as valid UTF-8 without control characters, cut at limits::reason_bytes_max.
[[nodiscard]] std::string clean_reason(std::string_view text);

}  // namespace brokerd::client_core
