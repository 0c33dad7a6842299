// The line of the queues that share a consumer.
#include "broker/domain/consumer_group.hpp"

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/queue.hpp"

namespace brokerd::domain {

void consumer_group::stand_in_line(consumer& one) {
    if (one.in_line) {
        return;
    }
    one.in_line = true;
    const bool jumps = base::seeded_fault(base::fault::jump_the_line);
    line_.insert(jumps ? line_.begin() : line_.end(), &one);
    if (one.room() > 0) {
        note();
    }
}

consumer* consumer_group::take_first() {
    if (line_.empty() || claimed_by_ != nullptr || room.free() == 0) {
        return nullptr;
    }
    consumer* const first = line_.front();
    line_.pop_front();
    first->in_line = false;
    return first;
}

void consumer_group::claim(consumer& one, bool until_alone) {
    if (claimed_by_ == nullptr || claimed_by_ == &one) {
        set_claim(&one, until_alone);
    } else {
        stand_in_line(one);
    }
}

void consumer_group::end_claim(const consumer& one) {
    if (claimed_by_ == &one) {
        set_claim(nullptr, false);
        note();
    }
}

void consumer_group::set_claim(consumer* one, bool until_alone) {
    if (claimed_by_ != nullptr) {
        std::erase(claimed_by_->from->too_large_for, claimed_by_);
    }
    claimed_by_ = one;
    until_alone_ = until_alone;
    if (one != nullptr && !until_alone) {
        one->from->too_large_for.push_back(one);
    }
}

void consumer_group::note() {
    if (!noted) {
        noted = true;
        looked_at_.push_back(this);
    }
}

void consumer_group::forget(consumer& one) {
    if (one.in_line) {
        line_.remove(&one);
        one.in_line = false;
    }
    end_claim(one);
}

void consumer_group::disband() {
    for (consumer* one : line_) {
        one->in_line = false;
    }
    line_.clear();
    set_claim(nullptr, false);
}

}  // namespace brokerd::domain
