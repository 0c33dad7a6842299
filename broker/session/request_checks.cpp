// The checks and their texts.
#include "broker/session/request_checks.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "broker/session/unanswered.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::session {

failure naming(const std::string& topic, failure why) {
    if (check_topic_name(topic)) {
        why.text = fmt::format("topic {}: {}", topic, why.text);
    }
    return why;
}

outcome<std::string> id_of_batch(const codec::checked_batch& batch) {
    if ((batch.header.flags & codec::record_has_id) == 0) {
        return {};
    }
    if (batch.header.count != 1) {
        return brokerd::refuse(
            error_code::invalid_argument,
            fmt::format("a batch of {} messages has one with an id; a message with an id must be "
                        "alone in its batch",
                        batch.header.count));
    }
    std::string id(codec::record_id(batch.bytes.subspan(codec::batch_header_bytes)));
    if (id.empty()) {
        return brokerd::refuse(error_code::bad_batch, "the id of a message is empty");
    }
    return id;
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

std::uint64_t leases_in(const std::vector<lease_run>& runs) {
    std::uint64_t count = 0;
    for (const auto& run : runs) {
        count += run.count;
    }
    return count;
}

std::size_t answer_about(std::uint64_t leases) {
    constexpr std::size_t run_bytes = sizeof(lease_run);
    return small_answer_bytes +
           static_cast<std::size_t>(std::min<std::uint64_t>(leases, limits::frame_bytes_max)) *
               run_bytes;
}

}  // namespace brokerd::session
