// From the exception of a message and its record to what a filter looks at.
#include "broker/domain/selection.hpp"

#include <limits>
#include <utility>

namespace brokerd::domain {

outcome<selection> selection::parse(std::string_view filter, std::uint32_t limit) {
    selection parsed;
    parsed.limit_ = limit == 0 ? std::numeric_limits<std::uint64_t>::max() : limit;
    if (!filter.empty()) {
        auto made = filters::filter::parse(filter);
        if (!made) {
            return std::unexpected(failure{made.error().code, "filter, " + made.error().text});
        }
        parsed.filter_ = *std::move(made);
    }
    return parsed;
}

bool selection::needs_record() const {
    using filters::field_id;
    constexpr filters::field_set of_record{field_id::time, field_id::age, field_id::size,
                                           field_id::key, field_id::header};
    return filter_ && !(filter_->uses() & of_record).empty();
}

bool selection::takes(const candidate& message, wall_time now) const {
    if (!filter_) {
        return true;
    }
    filters::subject subject{.record = message.record,
                             .offset = message.offset,
                             .time = message.append_time,
                             .now = now,
                             .state = message.state};
    if (message.exception != nullptr) {
        subject.attempts = message.exception->attempts;
        if (!message.exception->history.empty()) {
            subject.reason = message.exception->history.back().reason;
        }
    }
    return filter_->matches(subject);
}

}  // namespace brokerd::domain
