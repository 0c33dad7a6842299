// The leases of a queue as its consumers saw them: fencing tokens that are given out once and grow,
// and nothing comes back that was confirmed. Any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/types.hpp>

namespace brokerd::crash {

class lease_ledger {
public:
    lease_ledger(std::string queue, findings& told) : queue_(std::move(queue)), told_(told) {}

    // `consumer`: a number of its own for each. Only of one consumer it is known that it hands out
    // in the order of the broker; another may hand out late what it had in its buffer.
    void delivered(std::uint64_t consumer, std::uint64_t offset, lease_token lease) {
        const std::scoped_lock lock(mutex_);
        ++delivered_;
        if (const auto [at, fresh] = tokens_.try_emplace(lease, offset); !fresh) {
            told_.tell(fmt::format("{}: lease {}:{} was given out for {} and for {}", queue_,
                                   lease.epoch, lease.counter, at->second, offset));
        }
        const auto [before, first] = by_consumer_.try_emplace({consumer, offset}, lease);
        if (!first && before->second >= lease) {
            told_.tell(fmt::format("{}: {} was leased as {}:{} and then as {}:{}", queue_, offset,
                                   before->second.epoch, before->second.counter, lease.epoch,
                                   lease.counter));
        }
        before->second = lease;
        if (const auto done = confirmed_.find(offset); done != confirmed_.end()) {
            judge(offset, lease, done->second);
        }
        auto& newest = newest_[offset];
        newest = std::max(newest, lease);
    }

    // An ack under that lease was confirmed, by a broker of this epoch or an earlier one.
    void confirmed(std::uint64_t offset, lease_token lease, std::uint32_t epoch) {
        const std::scoped_lock lock(mutex_);
        const confirmation done{lease, epoch};
        confirmed_.insert_or_assign(offset, done);
        judge(offset, newest_[offset], done);
    }

    [[nodiscard]] std::size_t delivered_count() const {
        const std::scoped_lock lock(mutex_);
        return delivered_;
    }
    [[nodiscard]] std::size_t confirmed_count() const {
        const std::scoped_lock lock(mutex_);
        return confirmed_.size();
    }

private:
    struct confirmation {
        lease_token lease;
        std::uint32_t epoch_max = 0;
    };

    // Only its lease tells whether a delivery was given out after the ack: in an epoch after the
    // one that confirmed it, or in that same epoch after the acked lease.
    void judge(std::uint64_t offset, lease_token lease, const confirmation& done) {
        const bool later_epoch = lease.epoch > done.epoch_max;
        const bool same_epoch = lease.epoch == done.epoch_max && lease.epoch == done.lease.epoch &&
                                lease.counter > done.lease.counter;
        if (later_epoch || same_epoch) {
            told_.tell(fmt::format(
                "{}: {} was leased again ({}:{}) after its ack ({}:{}) was confirmed in epoch {}",
                queue_, offset, lease.epoch, lease.counter, done.lease.epoch, done.lease.counter,
                done.epoch_max));
        }
    }

    std::string queue_;
    findings& told_;
    mutable std::mutex mutex_;
    std::map<lease_token, std::uint64_t> tokens_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, lease_token> by_consumer_;
    std::map<std::uint64_t, lease_token> newest_;
    std::map<std::uint64_t, confirmation> confirmed_;
    std::size_t delivered_ = 0;
};

}  // namespace brokerd::crash
