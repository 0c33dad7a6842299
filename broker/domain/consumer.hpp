// A consumer: one attachment of a connection to a queue, with what it may hold and what it holds.
// One that is attached to a pattern queue is a consumer of each of its queues, and they have one
// room together. Plain state of the engine strand; queue, group and dispatcher keep it consistent.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class queue;
class consumer_group;

// What may be held at once, and what is. A lease that ended without its holder's doing, as its
// message was dropped or the queue moved, still takes its room until the holder settles it (and
// learns that it is gone), or its time is over: the message lies with the holder all the same, and
// to send another for it would leave no bound to what does.
struct consumer_room {
    std::uint32_t prefetch_messages = 0;
    std::uint64_t prefetch_bytes = 0;
    std::uint64_t limit = 0;  // deliveries after which there are no more; 0 = unlimited

    std::uint64_t leased = 0;  // with those that ended
    std::uint64_t leased_bytes = 0;
    std::uint64_t ended = 0;
    std::uint64_t delivered = 0;
    commit_number attached;    // that the answer to the attach waits for, and so all deliveries
    commit_number depends_on;  // the latest commit that one of the deliveries waits for
    bool alone = false;        // a message that must be alone is held: nothing more until settled

    // The delivery of this turn that can still take runs.
    std::uint64_t output_turn = 0;
    std::size_t output_index = 0;
    std::size_t output_bytes = 0;

    // Messages that may be given now; one at least while nothing is held.
    [[nodiscard]] std::uint64_t free() const {
        if (alone || leased >= prefetch_messages ||
            (leased > 0 && leased_bytes >= prefetch_bytes)) {
            return 0;
        }
        const std::uint64_t left = prefetch_messages - leased;
        return limit == 0 ? left : std::min(left, limit - std::min(limit, delivered));
    }
};

struct consumer {
    connection_id connection;
    consumer_id id;
    std::string name;  // name@host:pid of its connection
    queue* from = nullptr;
    wall_time attached{};

    consumer_group* group = nullptr;  // of a pattern queue
    consumer_room own;                // of any other
    consumer_room* shared = &own;     // the one that counts

    std::uint64_t leased = 0;  // of this queue
    std::uint64_t leased_bytes = 0;
    std::uint64_t ended = 0;  // likewise, that still take room
    std::uint64_t ended_bytes = 0;
    std::uint64_t delivered = 0;
    lease_id oldest_lease;   // no lease it holds is older, nor one that ended
    bool candidate = false;  // is in its queue's list of those that may have room
    bool in_line = false;    // of a group: waits there for room, in turn with the other queues

    consumer() = default;
    consumer(const consumer&) = delete;  // `shared` points into it
    consumer& operator=(const consumer&) = delete;

    // Messages it may be given now; one at least while it holds none, of whatever queue.
    [[nodiscard]] std::uint64_t room() const { return held_up() ? 0 : shared->free(); }
    // Bytes that still fit; meaningful only with room().
    [[nodiscard]] std::uint64_t room_bytes() const {
        return shared->prefetch_bytes > shared->leased_bytes
                   ? shared->prefetch_bytes - shared->leased_bytes
                   : 0;
    }
    [[nodiscard]] bool holds_nothing() const { return shared->leased == 0; }
    // It may be given messages once it holds fewer.
    [[nodiscard]] bool usable() const {
        return shared->prefetch_messages > 0 && !shared->alone && !held_up() &&
               (shared->limit == 0 || shared->delivered < shared->limit);
    }
    // The room is kept for another queue of its group (consumer_group::claim).
    [[nodiscard]] bool held_up() const;

    void hold(lease_id first, std::uint64_t messages, std::uint64_t bytes) {
        if (leased + ended == 0 || first < oldest_lease) {
            oldest_lease = first;
        }
        leased += messages;
        leased_bytes += bytes;
        shared->leased += messages;
        shared->leased_bytes += bytes;
    }
    void give_back(std::uint64_t messages, std::uint64_t bytes) {
        leased -= messages;
        leased_bytes -= bytes;
        free_room(messages, bytes);
    }
    // Leases that ended: their room is not given back yet; it is.
    void keep_room(std::uint64_t messages, std::uint64_t bytes) {
        leased -= messages;
        leased_bytes -= bytes;
        ended += messages;
        ended_bytes += bytes;
        shared->ended += messages;
    }
    void give_back_ended(std::uint64_t messages, std::uint64_t bytes) {
        ended -= messages;
        ended_bytes -= bytes;
        shared->ended -= messages;
        free_room(messages, bytes);
    }

private:
    void free_room(std::uint64_t messages, std::uint64_t bytes) {
        shared->leased -= messages;
        shared->leased_bytes -= bytes;
        if (shared->leased == 0) {
            shared->alone = false;
        }
    }
};

}  // namespace brokerd::domain
