// Places for unanswered publishes, and a list of those that are free.
#include "broker/session/publish_window.hpp"

#include <fmt/format.h>

#include "broker/base/assert.hpp"

namespace brokerd::session {

outcome<std::uint32_t> publish_window::open(std::uint32_t request, std::uint32_t messages,
                                            std::uint64_t bytes) {
    const auto wanted = static_cast<std::int64_t>(bytes);
    if (!empty() && (messages > credit_messages_ || wanted > credit_bytes_)) {
        return refuse(error_code::credit_overrun,
                      fmt::format("a publish of {} messages and {} bytes came when credit was {} "
                                  "messages and {} bytes; wait for published or credit",
                                  messages, bytes, credit_messages_, credit_bytes_));
    }
    if (free_.empty()) {
        places_.emplace_back();
        free_.push_back(static_cast<std::uint32_t>(places_.size()));
    }
    credit_messages_ -= messages;
    credit_bytes_ -= wanted;
    const std::uint32_t number = free_.back();
    free_.pop_back();
    places_[number - 1] = {request, messages, bytes, true};
    return number;
}

publish_window::entry publish_window::close(std::uint32_t number) {
    BROKERD_ASSERT(number > 0 && number <= places_.size() && places_[number - 1].in_flight,
                   "publish {} is not in flight", number);
    entry& closed = places_[number - 1];
    closed.in_flight = false;
    credit_messages_ += closed.messages;
    credit_bytes_ += static_cast<std::int64_t>(closed.bytes);
    free_.push_back(number);
    return closed;
}

}  // namespace brokerd::session
