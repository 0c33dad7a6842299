// The order in which an ordered queue was worked on: what its consumers saw and answered, and
// whether each key went on only when everything before was done or dead. Any thread.
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

class order_ledger {
public:
    order_ledger(std::string queue, findings& told) : queue_(std::move(queue)), told_(told) {}

    // A message with that key, "" for none, which has no order.
    void delivered(std::uint64_t offset, const std::string& key, lease_token lease);

    enum class end : std::uint8_t { open, done, dead };
    // Before the answer under that lease is given, and what it may make of the message.
    void answering(std::uint64_t offset, const std::string& key, lease_token lease, end after);

    // When nothing is ready, leased or retrying: the keys of all messages by offset, and which are
    // dead.
    void audit(const std::map<std::uint64_t, std::string>& stored,
               const std::set<std::uint64_t>& dead);

    // Messages that were answered for good.
    [[nodiscard]] std::size_t ended_count() const;

private:
    struct event {
        std::uint64_t offset = 0;
        bool ended = false;  // or delivered
    };

    void audit_key(const std::string& key, const std::vector<std::uint64_t>& offsets);

    std::string queue_;
    findings& told_;
    mutable std::mutex mutex_;
    std::map<std::string, std::vector<event>> events_;
    std::map<std::string, std::map<std::uint64_t, lease_token>> in_flight_;
    std::set<std::uint64_t> seen_;
    std::set<std::uint64_t> ended_;
    std::set<std::uint64_t> may_be_dead_;
};

}  // namespace brokerd::crash
