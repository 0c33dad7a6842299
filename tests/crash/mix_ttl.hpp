// Times to live: what has expired is not delivered, and ends as the queue says. For one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/types.hpp>

namespace brokerd::crash {

class expiry_ledger {
public:
    expiry_ledger(std::string queue, expiry_policy on_expiry, findings& told)
        : queue_(std::move(queue)), on_expiry_(on_expiry), told_(told) {}

    // A consumer attaches: what it gets is given out from now on.
    void attaching(timestamp now) { attached_ = now; }

    struct delivery {
        std::uint64_t offset = 0;
        timestamp appended{};
        std::optional<std::chrono::milliseconds> ttl{};
    };
    // Given out between the attach, or the last answer to this message, and now; if it had expired
    // by the former, it was given out for sure after that.
    void delivered(const delivery& what) {
        ++delivered_;
        if (!what.ttl) {
            return;
        }
        timestamp since = attached_;
        if (const auto at = answered_.find(what.offset); at != answered_.end()) {
            since = std::max(since, at->second);
        }
        const timestamp expiry = what.appended + *what.ttl;
        if (expiry + margin < since) {
            told_.tell(fmt::format("{}: {} had expired for {} us when it was given out", queue_,
                                   what.offset, (since - expiry).count()));
        }
    }

    void answering(std::uint64_t offset, timestamp now, bool ack) {
        answered_[offset] = now;
        if (ack) {
            may_be_done_.insert(offset);
        }
    }
    void confirmed(std::uint64_t offset) { done_.insert(offset); }

    // When nothing is ready, leased or retrying.
    void audit(const std::vector<stored_message>& stored, const std::vector<dead_message>& dead) {
        std::set<std::uint64_t> ended;
        for (const auto& each : dead) {
            ended.insert(each.offset);
            if (on_expiry_ != expiry_policy::dead || each.reason != "ttl expired") {
                told_.tell(fmt::format("{}: {} is dead: {}", queue_, each.offset, each.reason));
            }
            if (done_.contains(each.offset)) {
                told_.tell(
                    fmt::format("{}: {} was done for sure and is dead", queue_, each.offset));
            }
        }
        expired_ = 0;
        for (const auto& each : stored) {
            const bool done = may_be_done_.contains(each.offset);
            const bool is_dead = ended.contains(each.offset);
            expired_ += done ? 0U : 1U;
            if (is_dead && !each.ttl) {
                told_.tell(fmt::format("{}: {} lives for ever and is dead", queue_, each.offset));
            } else if (!done && !each.ttl) {
                told_.tell(
                    fmt::format("{}: {} lives for ever and never came", queue_, each.offset));
            } else if (!done && !is_dead && on_expiry_ == expiry_policy::dead) {
                told_.tell(fmt::format("{}: {} neither came nor is dead", queue_, each.offset));
            }
        }
    }

    [[nodiscard]] std::string summary() const {
        return fmt::format("{} deliveries, {} expired", delivered_, expired_);
    }

private:
    // The broker takes the time at the beginning of a turn, and may be kept waiting within it.
    static constexpr auto margin = std::chrono::milliseconds{100};

    std::string queue_;
    expiry_policy on_expiry_;
    findings& told_;
    timestamp attached_{};
    std::map<std::uint64_t, timestamp> answered_;
    std::set<std::uint64_t> may_be_done_;
    std::set<std::uint64_t> done_;
    std::size_t delivered_ = 0;
    std::size_t expired_ = 0;
};

}  // namespace brokerd::crash
