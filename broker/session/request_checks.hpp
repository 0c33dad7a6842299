// What handlers of several requests check, and how they say what is wrong. Pure.
#pragma once

#include <string>

#include "protocol/types/error.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::session {

// With pipelined publishes to many topics, which one is meant. A name that is none is not repeated.
[[nodiscard]] failure naming(const std::string& topic, failure why);

// Of a settle, what does not depend on its leases. Errors: invalid_argument.
[[nodiscard]] outcome<void> check_settle(settle_action action, duration_us delay,
                                         const std::string& reason);

}  // namespace brokerd::session
