// Judging the order of keys.
#include <fmt/format.h>

#include "tests/crash/mix_order.hpp"

namespace brokerd::crash {

void order_ledger::delivered(std::uint64_t offset, const std::string& key, lease_token lease) {
    const std::scoped_lock lock(mutex_);
    seen_.insert(offset);
    if (key.empty()) {
        return;
    }
    events_[key].push_back({offset, false});
    auto& held = in_flight_[key];
    for (const auto& [other, of] : held) {
        // What is held over a restart was given out by another epoch, which may have known more:
        // an ack that was lost since makes the message before it ready again.
        if (other != offset && of.epoch == lease.epoch) {
            told_.tell(fmt::format(
                "{}: {} was given out ({}:{}) while {} of its key {} was held "
                "({}:{})",
                queue_, offset, lease.epoch, lease.counter, other, key, of.epoch, of.counter));
        }
    }
    held[offset] = lease;
}

void order_ledger::answering(std::uint64_t offset, const std::string& key, lease_token lease,
                             end after) {
    const std::scoped_lock lock(mutex_);
    if (after != end::open) {
        ended_.insert(offset);
    }
    if (after == end::dead) {
        may_be_dead_.insert(offset);
    }
    if (key.empty()) {
        return;
    }
    if (after != end::open) {
        events_[key].push_back({offset, true});
    }
    auto& held = in_flight_[key];
    if (const auto at = held.find(offset); at != held.end() && at->second == lease) {
        held.erase(at);
    }
}

void order_ledger::audit(const std::map<std::uint64_t, std::string>& stored,
                         const std::set<std::uint64_t>& dead) {
    const std::scoped_lock lock(mutex_);
    std::map<std::string, std::vector<std::uint64_t>> keys;
    for (const auto& [offset, key] : stored) {
        if (!seen_.contains(offset)) {
            told_.tell(fmt::format("{}: {} was never delivered", queue_, offset));
        }
        if (!key.empty()) {
            keys[key].push_back(offset);
        }
    }
    for (const std::uint64_t offset : dead) {
        if (!may_be_dead_.contains(offset)) {
            told_.tell(fmt::format("{}: {} is dead, which nobody wanted", queue_, offset));
        }
    }
    for (const auto& [key, offsets] : keys) {
        audit_key(key, offsets);
    }
}

// An answer is noted before it is given, a delivery when it has come: so whatever lets the broker
// go on is noted before what it gives out then.
void order_ledger::audit_key(const std::string& key, const std::vector<std::uint64_t>& offsets) {
    std::set<std::uint64_t> ended;
    std::size_t all_ended_before = 0;  // index of the first that is not
    for (const event& each : events_[key]) {
        if (each.ended) {
            ended.insert(each.offset);
            while (all_ended_before < offsets.size() && ended.contains(offsets[all_ended_before])) {
                ++all_ended_before;
            }
        } else if (all_ended_before < offsets.size() && each.offset > offsets[all_ended_before]) {
            told_.tell(fmt::format("{}: {} of key {} was given out before {} was done or dead",
                                   queue_, each.offset, key, offsets[all_ended_before]));
        }
    }
}

std::size_t order_ledger::ended_count() const {
    const std::scoped_lock lock(mutex_);
    return ended_.size();
}

}  // namespace brokerd::crash
