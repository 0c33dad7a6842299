// Judging priorities.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "tests/crash/mix_priority.hpp"

namespace brokerd::crash {

void priority_ledger::submitted(std::uint64_t content, std::uint8_t priority) {
    const std::scoped_lock lock(mutex_);
    published_[content] = priority;
}

void priority_ledger::found(std::uint64_t offset, std::uint64_t content, std::uint8_t priority) {
    const std::scoped_lock lock(mutex_);
    const auto at = published_.find(content);
    if (at != published_.end() && at->second != priority) {
        told_.tell(fmt::format("{}: {} with {} has priority {} and was published with {}", queue_,
                               offset, content, priority, at->second));
    }
}

void priority_ledger::delivered(std::uint64_t offset, lease_token lease) {
    const std::scoped_lock lock(mutex_);
    const auto [at, fresh] = first_epoch_.try_emplace(offset, lease.epoch);
    at->second = std::min(at->second, lease.epoch);
}

void priority_ledger::failing(std::uint64_t offset) {
    const std::scoped_lock lock(mutex_);
    failed_.insert(offset);
}

void priority_ledger::acking(std::uint64_t offset) {
    const std::scoped_lock lock(mutex_);
    acked_.insert(offset);
}

void priority_ledger::drained(std::uint64_t offset, std::uint8_t priority) {
    const std::scoped_lock lock(mutex_);
    if (!drained_offsets_.insert(offset).second) {
        told_.tell(fmt::format("{}: {} was drained twice", queue_, offset));
        return;
    }
    drained_.push_back({offset, std::min(priority, static_cast<std::uint8_t>(levels_ - 1))});
}

// Those whose place is promised. Retries take turns with others. What was leased before the start
// and was given back takes its place when the broker has read it, and holds up nobody until then.
std::vector<priority_ledger::drained_message> priority_ledger::in_order(std::uint32_t epoch) const {
    std::vector<drained_message> kept;
    std::ranges::copy_if(drained_, std::back_inserter(kept), [&](const drained_message& each) {
        const auto first = first_epoch_.find(each.offset);
        return !failed_.contains(each.offset) &&
               (first == first_epoch_.end() || first->second >= epoch);
    });
    return kept;
}

// Some that were leased at a kill no consumer saw: their deliveries were lost with it, or lay in
// the buffer of a client until it closed. But there are not many of them, and without as many
// messages the others are in order. So the longest part in order is looked for.
void priority_ledger::audit(std::uint32_t epoch) const {
    const std::scoped_lock lock(mutex_);
    const std::vector<drained_message> all = in_order(epoch);
    const auto before = [](const drained_message& a, const drained_message& b) {
        return a.level != b.level ? a.level > b.level : a.offset < b.offset;
    };
    std::vector<drained_message> ends;  // of the parts of each length: the one that comes first
    std::string first_break;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto at = std::ranges::lower_bound(ends, all[i], before);
        if (at == ends.end()) {
            ends.push_back(all[i]);
        } else {
            *at = all[i];
        }
        if (i > 0 && first_break.empty() && before(all[i], all[i - 1])) {
            first_break = fmt::format("{} of level {} behind {} of level {}", all[i].offset,
                                      all[i].level, all[i - 1].offset, all[i - 1].level);
        }
    }
    if (const std::size_t wrong = all.size() - ends.size(); wrong > leased_max_) {
        told_.tell(fmt::format("{}: {} of {} messages came out of order, first {}", queue_, wrong,
                               all.size(), first_break));
    }
}

std::size_t priority_ledger::acked_count() const {
    const std::scoped_lock lock(mutex_);
    return acked_.size();
}

std::size_t priority_ledger::drained_count() const {
    const std::scoped_lock lock(mutex_);
    return drained_.size();
}

}  // namespace brokerd::crash
