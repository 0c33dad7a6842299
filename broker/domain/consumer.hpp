// A consumer: one attachment of a connection to a queue, with what it may hold and what it holds.
// Plain state of the engine strand; the queue and the dispatcher keep it consistent.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class queue;

struct consumer {
    connection_id connection;
    consumer_id id;
    std::string name;  // name@host:pid of its connection
    queue* from = nullptr;
    wall_time attached{};

    std::uint32_t prefetch_messages = 0;
    std::uint64_t prefetch_bytes = 0;
    std::uint64_t limit = 0;  // deliveries after which it gets no more; 0 = unlimited

    std::uint64_t leased = 0;
    std::uint64_t leased_bytes = 0;
    std::uint64_t delivered = 0;
    commit_number depends_on;  // the latest commit that one of its deliveries waits for
    lease_id oldest_lease;     // no lease it holds is older
    bool alone = false;      // holds a message that must be alone: gets nothing more until settled
    bool candidate = false;  // is in its queue's list of those that may have room

    // The delivery of this turn that can still take runs.
    std::uint64_t output_turn = 0;
    std::size_t output_index = 0;
    std::size_t output_bytes = 0;

    // Messages it may be given now; one at least while it holds none.
    [[nodiscard]] std::uint64_t room() const {
        if (alone || leased >= prefetch_messages ||
            (leased > 0 && leased_bytes >= prefetch_bytes)) {
            return 0;
        }
        const std::uint64_t free = prefetch_messages - leased;
        return limit == 0 ? free : std::min(free, limit - std::min(limit, delivered));
    }
    // Bytes that still fit; meaningful only with room().
    [[nodiscard]] std::uint64_t room_bytes() const {
        return prefetch_bytes > leased_bytes ? prefetch_bytes - leased_bytes : 0;
    }
    // It may be given messages once it holds fewer.
    [[nodiscard]] bool usable() const {
        return prefetch_messages > 0 && !alone && (limit == 0 || delivered < limit);
    }
};

}  // namespace brokerd::domain
