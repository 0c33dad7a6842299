// What was scheduled: each comes once, not before it is due, unless it was cancelled. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/types.hpp>

namespace brokerd::crash {

class schedule_ledger {
public:
    schedule_ledger(std::string topic, findings& told) : topic_(std::move(topic)), told_(told) {}

    // Is about to be scheduled; not due before that time.
    void submitted(std::uint64_t content, timestamp due);
    void acknowledged(std::uint64_t content, std::uint64_t id);

    struct chosen {
        std::uint64_t content = 0;
        std::uint64_t id = 0;
    };
    // One that is acknowledged, not known to be cancelled and due after that time, or nothing; some
    // other one with another number.
    [[nodiscard]] std::optional<chosen> some_after(timestamp time, std::uint64_t number) const;
    // A cancellation is about to be asked for; it cancelled so many.
    void cancelling(std::uint64_t content);
    void cancelled(std::uint64_t content, std::uint64_t schedules);

    struct appended {
        std::uint64_t content = 0;
        std::uint64_t offset = 0;
        timestamp time{};
    };
    // The whole topic, when every schedule has its answer and nothing is scheduled any more.
    void audit(const std::vector<appended>& stored) const;

    [[nodiscard]] std::size_t unanswered() const;
    [[nodiscard]] std::string summary() const;

private:
    enum class end : std::uint8_t { to_come, perhaps_cancelled, cancelled };
    struct entry {
        timestamp due{};
        std::optional<std::uint64_t> id;
        end is = end::to_come;
    };

    std::string topic_;
    findings& told_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, entry> entries_;           // by content
    std::map<std::uint64_t, std::uint64_t> contents_;  // by id
};

}  // namespace brokerd::crash
