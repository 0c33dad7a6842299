// Times as people write and read them, the same for every program: `2026-03-01T12:00:00Z`.
// Pure; no thread affinity.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/types/time.hpp"

namespace brokerd {

// RFC 3339 with its zone, in UTC of the years 0 to 9999. A fraction is cut to microseconds, a leap
// second is the second behind it, and a space may stand for the T. Nothing for anything else.
[[nodiscard]] std::optional<wall_time> parse_rfc3339(std::string_view text);

// The shortest exact form in UTC that parse_rfc3339 reads: `2026-03-01T12:00:00.25Z`.
// `time` is in the years 0 to 9999.
[[nodiscard]] std::string format_rfc3339(wall_time time);

}  // namespace brokerd
