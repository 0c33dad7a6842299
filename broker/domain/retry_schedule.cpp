// When the retrying messages of a queue are due.
#include "broker/domain/retry_schedule.hpp"

namespace brokerd::domain {

void retry_schedule::add(offset_t offset, wall_time due, wall_time now) {
    if (due <= now) {
        due_.insert({offset, 1});
    } else if (due < known_until_) {
        soon_.emplace(due, offset);
    }
}

void retry_schedule::remove(offset_t offset, wall_time due) {
    due_.erase({offset, 1});
    soon_.erase({due, offset});
}

void retry_schedule::clear() {
    soon_.clear();
    due_.clear();
    known_until_ = {};
}

bool retry_schedule::advance(wall_time now) {
    bool some = false;
    while (!soon_.empty() && soon_.begin()->first <= now) {
        due_.insert({soon_.begin()->second, 1});
        soon_.erase(soon_.begin());
        some = true;
    }
    return some;
}

}  // namespace brokerd::domain
