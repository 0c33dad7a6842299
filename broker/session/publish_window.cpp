// A ring of unanswered publishes, indexed by our own running number.
#include "broker/session/publish_window.hpp"

#include <fmt/format.h>

#include "broker/base/assert.hpp"

namespace brokerd::session {
namespace {
constexpr std::size_t ring_size_first = 16;
}

outcome<std::uint32_t> publish_window::open(std::uint32_t request, std::uint32_t messages,
                                            std::uint64_t bytes) {
    const auto wanted = static_cast<std::int64_t>(bytes);
    if (unanswered_ > 0 && (messages > credit_messages_ || wanted > credit_bytes_)) {
        return refuse(error_code::credit_overrun,
                      fmt::format("a publish of {} messages and {} bytes came when credit was {} "
                                  "messages and {} bytes; wait for published or credit",
                                  messages, bytes, credit_messages_, credit_bytes_));
    }
    if (next_ - first_ == ring_.size()) {
        grow();
    }
    credit_messages_ -= messages;
    credit_bytes_ -= wanted;
    ++unanswered_;
    at(next_) = {request, messages, bytes, false};
    return next_++;
}

publish_window::entry publish_window::close(std::uint32_t number) {
    BROKERD_ASSERT(number - first_ < next_ - first_ && !at(number).answered,
                   "publish {} is not in flight", number);
    entry& closed = at(number);
    closed.answered = true;
    credit_messages_ += closed.messages;
    credit_bytes_ += static_cast<std::int64_t>(closed.bytes);
    --unanswered_;
    const entry result = closed;
    while (first_ != next_ && at(first_).answered) {
        ++first_;
    }
    return result;
}

void publish_window::grow() {
    std::vector<entry> larger(ring_.empty() ? ring_size_first : ring_.size() * 2);
    for (std::uint32_t number = first_; number != next_; ++number) {
        larger[number & (larger.size() - 1)] = at(number);
    }
    ring_ = std::move(larger);
}

}  // namespace brokerd::session
