// Priorities as they were published and as they came, and the order in which a backlog was drained
// by one consumer that holds one message at a time. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/types.hpp>

namespace brokerd::crash {

class priority_ledger {
public:
    // `levels`: of the topic. `leased_max`: messages that its consumers may hold at a kill.
    priority_ledger(std::string queue, std::uint8_t levels, std::size_t leased_max, findings& told)
        : queue_(std::move(queue)), levels_(levels), leased_max_(leased_max), told_(told) {}

    void submitted(std::uint64_t content, std::uint8_t priority);
    // Of a delivery, or stored.
    void found(std::uint64_t offset, std::uint64_t content, std::uint8_t priority);

    // While the broker was killed now and then.
    void delivered(std::uint64_t offset, lease_token lease);
    // An answer is about to be given: a nack, an ack.
    void failing(std::uint64_t offset);
    void acking(std::uint64_t offset);

    // After that, with everything ready and no publisher; in the order in which they came.
    void drained(std::uint64_t offset, std::uint8_t priority);
    // When the queue is empty. `epoch`: of the broker that gave out what was drained.
    void audit(std::uint32_t epoch) const;

    [[nodiscard]] std::size_t acked_count() const;
    [[nodiscard]] std::size_t drained_count() const;

private:
    struct drained_message {
        std::uint64_t offset = 0;
        std::uint8_t level = 0;
    };

    [[nodiscard]] std::vector<drained_message> in_order(std::uint32_t epoch) const;

    std::string queue_;
    std::uint8_t levels_;
    std::size_t leased_max_;
    findings& told_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, std::uint8_t> published_;     // priority by content
    std::map<std::uint64_t, std::uint32_t> first_epoch_;  // in which an offset was leased
    std::set<std::uint64_t> failed_;
    std::set<std::uint64_t> acked_;
    std::set<std::uint64_t> drained_offsets_;
    std::vector<drained_message> drained_;
};

}  // namespace brokerd::crash
