// The checks and their texts.
#include "broker/session/request_checks.hpp"

#include <fmt/format.h>

#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::session {

failure naming(const std::string& topic, failure why) {
    if (check_topic_name(topic)) {
        why.text = fmt::format("topic {}: {}", topic, why.text);
    }
    return why;
}

outcome<void> check_settle(settle_action action, duration_us delay, const std::string& reason) {
    if (auto text = check_text(reason, limits::reason_bytes_max, "reason"); !text) {
        return text;
    }
    const duration_us longest = action == settle_action::extend
                                    ? duration_us{limits::lease_max}
                                    : duration_us{limits::nack_delay_max};
    if (delay < duration_us{-1} || delay > longest) {
        return brokerd::refuse(
            error_code::invalid_argument,
            fmt::format("the delay of a {} is {} us; allowed are 0 to {} us, or -1 for what the "
                        "queue says",
                        to_string(action), delay.count(), longest.count()));
    }
    return {};
}

}  // namespace brokerd::session
