// What the clients of a crash run were told: the facts that must outlive every crash. Thread safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <brokerd/types.hpp>

namespace brokerd::crash {

class ledger {
public:
    void submitted(std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        submitted_.insert(content);
    }

    void acknowledged(std::uint64_t offset, std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        const auto [at, fresh] = by_offset_.try_emplace(offset, content);
        if (!fresh) {
            complain(fmt::format("offset {} was acknowledged for {} and for {}", offset, at->second,
                                 content));
        }
        ++acknowledged_;
    }

    void scheduled(std::uint64_t id, std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        if (!schedules_.insert(id).second) {
            complain(fmt::format("schedule {} was acknowledged twice", id));
        }
        scheduled_.insert(content);
        ++acknowledged_;
    }

    // False if so many messages wait for their first delivery that more would only make the run
    // longer. Waits a moment for consumers to catch up.
    bool has_room() {
        std::unique_lock lock(mutex_);
        return caught_up_.wait_for(lock, std::chrono::milliseconds{20},
                                   [&] { return submitted_.size() < seen_.size() + backlog_max; });
    }

    // Before the broker is killed: it had this epoch, or an earlier one.
    void epoch_ends() {
        const std::scoped_lock lock(mutex_);
        ++epoch_;
    }

    // A delivery: its contents were published, agree with what is known of the offset, and no
    // confirmed ack is undone.
    void delivered(std::uint64_t offset, std::uint64_t content, lease_token lease) {
        const std::scoped_lock lock(mutex_);
        ++delivered_;
        if (!submitted_.contains(content)) {
            complain(fmt::format("offset {} holds {}, which nobody published", offset, content));
        }
        const auto [at, fresh] = seen_.try_emplace(offset, content);
        redelivered_ += fresh ? 0U : 1U;
        if (submitted_.size() < seen_.size() + backlog_max) {
            caught_up_.notify_all();
        }
        if (at->second != content) {
            complain(fmt::format("offset {} was reused: {} and {}", offset, at->second, content));
        }
        if (const auto done = confirmed_.find(offset); done != confirmed_.end()) {
            judge(offset, lease, done->second);
        }
        auto& newest = newest_lease_[offset];
        newest = std::max(newest, lease);
    }

    // An ack under that lease was confirmed.
    void confirmed(std::uint64_t offset, lease_token lease) {
        const std::scoped_lock lock(mutex_);
        const confirmation done{lease, epoch_};
        confirmed_.insert_or_assign(offset, done);
        judge(offset, newest_lease_[offset], done);
    }

    // The whole topic as read at the end.
    void audit(const std::map<std::uint64_t, std::uint64_t>& stored) {
        const std::scoped_lock lock(mutex_);
        for (const auto& [offset, content] : by_offset_) {
            const auto at = stored.find(offset);
            if (at == stored.end()) {
                complain(fmt::format("offset {} was acknowledged and is lost", offset));
            } else if (at->second != content) {
                complain(fmt::format("offset {} was acknowledged with {} and holds {}", offset,
                                     content, at->second));
            }
        }
        for (const auto& [offset, content] : seen_) {
            const auto at = stored.find(offset);
            if (at == stored.end() || at->second != content) {
                complain(fmt::format("offset {} was delivered and is lost", offset));
            }
        }
        std::map<std::uint64_t, std::uint64_t> places;
        for (const auto& [offset, content] : stored) {
            const auto [at, once] = places.try_emplace(content, offset);
            if (!once) {
                complain(
                    fmt::format("{} is stored twice, at {} and {}", content, at->second, offset));
            }
            if (!submitted_.contains(content)) {
                complain(
                    fmt::format("offset {} holds {}, which nobody published", offset, content));
            }
        }
        for (const std::uint64_t content : scheduled_) {
            if (!places.contains(content)) {
                complain(fmt::format("{} was scheduled and never came", content));
            }
        }
    }

    void complain(std::string what) {
        if (violations_.size() < 50) {
            violations_.push_back(std::move(what));
        }
    }

    // Only when no other thread uses it any more.
    [[nodiscard]] std::vector<std::string> violations() const { return violations_; }
    [[nodiscard]] std::uint64_t acknowledged_count() const { return acknowledged_; }
    [[nodiscard]] std::uint64_t confirmed_count() const { return confirmed_.size(); }
    [[nodiscard]] std::uint64_t delivered_count() const { return delivered_; }
    [[nodiscard]] std::uint64_t redelivered_count() const { return redelivered_; }

private:
    static constexpr std::size_t backlog_max = 20'000;

    struct confirmation {
        lease_token lease;
        std::uint32_t epoch_max = 0;  // of the broker that confirmed it
    };

    // A delivery may reach its consumer long after the broker gave it out, so only its lease tells
    // whether it was given out after the ack: in an epoch after the one that confirmed the ack, or
    // in that same epoch after the acked lease.
    void judge(std::uint64_t offset, lease_token lease, const confirmation& done) {
        const bool later_epoch = lease.epoch > done.epoch_max;
        const bool same_epoch = lease.epoch == done.epoch_max && lease.epoch == done.lease.epoch &&
                                lease.counter > done.lease.counter;
        if (later_epoch || same_epoch) {
            complain(
                fmt::format("offset {} was leased again ({}:{}) after its ack ({}:{}) was "
                            "confirmed in epoch {} or before",
                            offset, lease.epoch, lease.counter, done.lease.epoch,
                            done.lease.counter, done.epoch_max));
        }
    }

    std::mutex mutex_;
    std::condition_variable caught_up_;
    std::uint32_t epoch_ = 1;  // of the running broker, at most
    std::set<std::uint64_t> submitted_;
    std::map<std::uint64_t, std::uint64_t> by_offset_;
    std::set<std::uint64_t> schedules_;  // ids
    std::set<std::uint64_t> scheduled_;  // contents
    std::map<std::uint64_t, std::uint64_t> seen_;
    std::map<std::uint64_t, confirmation> confirmed_;
    std::map<std::uint64_t, lease_token> newest_lease_;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t delivered_ = 0;
    std::uint64_t redelivered_ = 0;
    std::vector<std::string> violations_;
};

}  // namespace brokerd::crash
