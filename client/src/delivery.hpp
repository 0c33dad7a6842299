// A run of neighbouring messages as it was delivered: their bytes, their leases and which of them
// still wait for an answer. Shared by the consumer and the messages made of it; the bytes live as
// long as one of these does.
//
// Owner: what is above "guarded" never changes after the delivery was made; the rest belongs to the
// holder of the client's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "brokerd/types.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

class core;

// Where deliveries of one queue to one consumer come from.
struct delivery_origin {
    std::weak_ptr<core> owner;  // whom answers go to; none in tests of the machine
    consumer_id consumer;
    std::string topic;
    std::string queue;  // TOPIC/QUEUE
};

class delivery {
public:
    struct slot {
        bool open = true;            // leased, and not answered
        mono_time hold_until{};      // renewed until then
        mono_time extended_until{};  // asked for by extend()
    };

    std::shared_ptr<const delivery_origin> origin;
    queue_id queue;  // whom answers name
    lease_run leases;
    wall_time append_time{};
    std::uint32_t attempt = 1;
    std::vector<failed_attempt> history;
    shared_bytes body;  // keeps `records` alive
    byte_view records;

    // guarded
    std::vector<slot> slots;
    std::uint32_t open_count = 0;
    std::uint32_t handed = 0;      // slots handed out or skipped
    std::size_t handed_bytes = 0;  // their records
    mono_time lease_until{};       // by our clock, at the latest; of slots without extended_until
    std::list<std::shared_ptr<delivery>>::iterator self;

    [[nodiscard]] lease_run lease_of(std::uint32_t index) const {
        return {leases.first_offset + index, 1, leases.epoch, leases.first_lease + index};
    }
};

// One message taken from a delivery; becomes a brokerd::message.
struct handed_message {
    std::shared_ptr<delivery> from;
    std::uint32_t index = 0;
    byte_view record;
};

}  // namespace brokerd::client_core
