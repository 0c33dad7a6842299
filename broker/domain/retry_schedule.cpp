// When the retrying messages of a queue are due.
#include "broker/domain/retry_schedule.hpp"

namespace brokerd::domain {

void retry_schedule::add(offset_t offset, wall_time due, wall_time now) {
    if (due <= now) {
        due_.insert({offset, 1});
    } else if (due < known_until_) {
        soon_.made().emplace(due, offset);
    }
}

void retry_schedule::remove(offset_t offset, wall_time due) {
    due_.erase({offset, 1});
    if (!soon_->empty()) {
        soon_.made().erase({due, offset});
    }
}

void retry_schedule::clear() {
    if (!soon_->empty()) {
        soon_.made().clear();
    }
    due_.clear();
    known_until_ = {};
}

bool retry_schedule::advance(wall_time now) {
    bool some = false;
    while (!soon_->empty() && soon_->begin()->first <= now) {
        auto& soon = soon_.made();
        due_.insert({soon.begin()->second, 1});
        soon.erase(soon.begin());
        some = true;
    }
    return some;
}

}  // namespace brokerd::domain
