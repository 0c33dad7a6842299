// What is known of messages that fail: how often each did, whether it is done or dead, for sure or
// perhaps. For a queue with one consumer at a time, used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/admin.hpp>
#include <brokerd/types.hpp>

namespace brokerd::crash {

class retry_ledger {
public:
    retry_ledger(std::string queue, std::uint32_t attempts_max, findings& told)
        : queue_(std::move(queue)), attempts_max_(attempts_max), told_(told) {}

    struct delivery {
        std::uint64_t offset = 0;
        lease_token lease;
        std::uint32_t attempt = 0;
        std::vector<failed_attempt> history;
    };
    void delivered(const delivery& what);

    enum class kind : std::uint8_t { ack, nack, reject, release };
    // An answer was given; whether it holds is not known yet.
    void answered(std::uint64_t offset, kind with, const std::string& reason);
    // The answer under that lease is durable.
    void confirmed(std::uint64_t offset, lease_token lease);

    // A message that is surely dead, or nothing; some other one with another number.
    [[nodiscard]] const std::uint64_t* some_dead(std::uint64_t number) const;
    // A redrive is about to be asked for; it redrove so many messages.
    void redriving(std::uint64_t offset);
    void redrove(std::uint64_t offset, std::uint64_t messages);

    // When nothing is ready, leased or retrying.
    void audit(const std::vector<dead_message>& dead) const;

    [[nodiscard]] std::string summary() const;

private:
    enum class end : std::uint8_t { open, perhaps_done, done, perhaps_dead, dead };
    struct fate {
        lease_token lease;  // the newest
        std::uint32_t attempt = 0;
        // Attempts that failed, as far as it is open.
        std::uint32_t failed_min = 0;
        std::uint32_t failed_max = 0;
        end is = end::open;
        kind with = kind::release;  // the last answer
        std::string reason;         // of the last failure
    };

    std::string queue_;
    std::uint32_t attempts_max_;
    findings& told_;
    std::map<std::uint64_t, fate> fates_;
    std::size_t deliveries_ = 0;
    std::size_t redriven_ = 0;
};

}  // namespace brokerd::crash
