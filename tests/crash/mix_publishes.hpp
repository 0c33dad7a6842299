// What became of the numbers that some producers published to a topic, each its own in rising
// order: every one is stored once, where it was acknowledged, in the order of its producer. Any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "tests/crash/mix_scene.hpp"

namespace brokerd::crash {

class publish_ledger {
public:
    // Producer p of n publishes numbers that leave the rest p when divided by n.
    publish_ledger(std::string topic, std::uint64_t producers, findings& told)
        : topic_(std::move(topic)), producers_(producers), told_(told) {}

    void submitted(std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        submitted_.insert(content);
    }

    void acknowledged(std::uint64_t offset, std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        acknowledged_.insert(content);
        place(offset, content, "was acknowledged");
    }

    // Of a delivery.
    void found(std::uint64_t offset, std::uint64_t content) {
        const std::scoped_lock lock(mutex_);
        place(offset, content, "was delivered");
    }

    // The whole topic, when every publish has its answer.
    void audit(const std::map<std::uint64_t, std::uint64_t>& stored) {
        const std::scoped_lock lock(mutex_);
        for (const auto& [offset, content] : places_) {
            if (!stored.contains(offset)) {
                told_.tell(fmt::format("{}@{} with {} is lost", topic_, offset, content));
            }
        }
        std::map<std::uint64_t, std::uint64_t> newest;  // by producer
        for (const auto& [offset, content] : stored) {
            place(offset, content, "is stored");
            auto& before = newest[content % producers_];
            if (content < before) {
                told_.tell(fmt::format("{}@{} with {} lies behind {}, which was published later",
                                       topic_, offset, content, before));
            }
            before = content;
        }
        for (const std::uint64_t content : submitted_) {
            if (!acknowledged_.contains(content)) {
                told_.tell(fmt::format("{}: {} was never acknowledged", topic_, content));
            }
        }
    }

    [[nodiscard]] std::size_t unanswered() const {
        const std::scoped_lock lock(mutex_);
        return submitted_.size() - acknowledged_.size();
    }
    [[nodiscard]] std::size_t acknowledged_count() const {
        const std::scoped_lock lock(mutex_);
        return acknowledged_.size();
    }

private:
    void place(std::uint64_t offset, std::uint64_t content, const char* how) {
        if (!submitted_.contains(content)) {
            told_.tell(
                fmt::format("{}@{} holds {}, which nobody published", topic_, offset, content));
            return;
        }
        const auto [at, fresh] = places_.try_emplace(offset, content);
        if (at->second != content) {
            told_.tell(fmt::format("{}@{} {} with {} and was {} before", topic_, offset, how,
                                   content, at->second));
        }
        const auto [of, once] = offsets_.try_emplace(content, offset);
        if (of->second != offset) {
            told_.tell(fmt::format("{}: {} {} at {} and is at {} as well", topic_, content, how,
                                   offset, of->second));
        }
    }

    std::string topic_;
    std::uint64_t producers_;
    findings& told_;
    mutable std::mutex mutex_;
    std::set<std::uint64_t> submitted_;
    std::set<std::uint64_t> acknowledged_;
    std::map<std::uint64_t, std::uint64_t> places_;   // content by offset
    std::map<std::uint64_t, std::uint64_t> offsets_;  // and the other way round
};

}  // namespace brokerd::crash
