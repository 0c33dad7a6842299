// What the clients of a crash run were told: the facts that must outlive every crash. Thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

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

    // A delivery: its contents were published, agree with what is known of the offset, and no
    // confirmed ack is undone.
    void delivered(std::uint64_t offset, std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        ++delivered_;
        if (!submitted_.contains(content)) {
            complain(fmt::format("offset {} holds {}, which nobody published", offset, content));
        }
        const auto [at, fresh] = seen_.try_emplace(offset, content);
        redelivered_ += fresh ? 0U : 1U;
        if (at->second != content) {
            complain(fmt::format("offset {} was reused: {} and {}", offset, at->second, content));
        }
        if (confirmed_.contains(offset)) {
            complain(fmt::format("offset {} came again after its ack was confirmed", offset));
        }
    }

    void confirmed(std::uint64_t offset) {
        const std::scoped_lock lock(mutex_);
        confirmed_.insert(offset);
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
    [[nodiscard]] bool is_confirmed(std::uint64_t offset) {
        const std::scoped_lock lock(mutex_);
        return confirmed_.contains(offset);
    }

private:
    std::mutex mutex_;
    std::set<std::uint64_t> submitted_;
    std::map<std::uint64_t, std::uint64_t> by_offset_;
    std::map<std::uint64_t, std::uint64_t> seen_;
    std::set<std::uint64_t> confirmed_;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t delivered_ = 0;
    std::uint64_t redelivered_ = 0;
    std::vector<std::string> violations_;
};

}  // namespace brokerd::crash
