// Times that may lie beyond the end of all times. Header only.
#pragma once

#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// `from` + `by`, at most mono_never.
[[nodiscard]] inline mono_time later(mono_time from, duration_us by) {
    return by >= mono_never - from ? mono_never : from + by;
}

}  // namespace brokerd::client_core
