// What the sessions count; written by I/O threads, read by stats. Header only.
#pragma once

#include <array>

#include "broker/base/counter.hpp"
#include "broker/session/closed_reason.hpp"

namespace brokerd::session {

struct session_counters {
    base::counter accepted;
    base::counter accept_errors;
    base::counter bytes_in;
    base::counter bytes_out;
    std::array<base::counter, closed_reasons.size()> closed;  // by closed_reason
};

}  // namespace brokerd::session
