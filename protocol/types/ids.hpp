// The identities of the model (DESIGN terms): topics, queues, messages, leases, producers.
// Header only; no thread affinity.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "protocol/types/strong_id.hpp"

namespace brokerd {

// Which single-writer engine owns a topic. Always 0 today; part of every storage key.
using shard_id = strong_id<struct shard_tag, std::uint16_t>;

// Identity of one incarnation of a topic name: never reused, so a recreated name is another topic.
using topic_id = strong_id<struct topic_tag, std::uint64_t>;

// Identity of one incarnation of a queue name: never reused. Acks name queues by this id.
using queue_id = strong_id<struct queue_tag, std::uint64_t>;

// Identity of one rule that makes queues: numbered with topics and queues, in order of creation.
using pattern_id = strong_id<struct pattern_tag, std::uint64_t>;

// Chosen at random by a client; with a sequence it makes a publish idempotent. 0 = none.
using producer_id = strong_id<struct producer_tag, std::uint64_t>;

// Identity of a connection while the broker runs; never reused within an epoch.
using connection_id = strong_id<struct connection_tag, std::uint64_t>;

// Identity of a consumer, chosen by the client, unique within its connection.
using consumer_id = strong_id<struct consumer_tag, std::uint32_t>;

// Identity of a responder, chosen by the client, unique within its connection.
using responder_id = strong_id<struct responder_tag, std::uint32_t>;

// Names one request to its responder while the broker runs; never reused within an epoch.
using request_token = strong_id<struct request_token_tag, std::uint64_t>;

// Number of a group commit; 0 = depends on no commit.
using commit_number = strong_id<struct commit_tag, std::uint64_t>;

// Incremented durably at each start of the broker.
using broker_epoch = strong_id<struct epoch_tag, std::uint32_t>;

// Position of a message in its topic, from 0, never reused. A plain number because the code
// computes with it everywhere; ranges are half open [first, first + count).
using offset_t = std::uint64_t;
inline constexpr offset_t offset_end = ~offset_t{0};  // "after everything"

// A half-open range of offsets.
struct offset_range {
    offset_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr offset_t end() const { return first + count; }
    [[nodiscard]] constexpr bool empty() const { return count == 0; }
    constexpr bool operator==(const offset_range&) const = default;
};

// The right of one consumer to one delivered message: the fencing token. Ordered: a later lease
// of the same queue compares greater.
struct lease_id {
    broker_epoch epoch{};
    std::uint64_t counter = 0;  // per queue, from 1; 0 = no lease

    constexpr auto operator<=>(const lease_id&) const = default;
};

// Leases of neighbours: offset first_offset + i is held by lease {epoch, first_lease + i}.
struct lease_run {
    offset_t first_offset = 0;
    std::uint32_t count = 0;
    broker_epoch epoch{};
    std::uint64_t first_lease = 0;

    constexpr bool operator==(const lease_run&) const = default;
};

// Appends `next` to runs, merged with the last one where it continues it.
inline void append_run(std::vector<lease_run>& runs, const lease_run& next) {
    if (!runs.empty()) {
        lease_run& last = runs.back();
        if (last.epoch == next.epoch && last.first_offset + last.count == next.first_offset &&
            last.first_lease + last.count == next.first_lease) {
            last.count += next.count;
            return;
        }
    }
    runs.push_back(next);
}

}  // namespace brokerd
