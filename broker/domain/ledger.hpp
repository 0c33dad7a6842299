// The durable state of a queue: which messages are done, retrying or dead. Everything else at or
// above the floor is ready or leased, which only the running broker tells apart. Gathers what one
// commit changes into one small delta, or a snapshot when the deltas since the last outweigh it;
// recovery replays both through the same sets. Pure.
//
// Invariants: first <= floor; every offset below the floor is done, retrying or dead; closed holds
// the done, retrying and dead ones at or above the floor and does not begin at it unless held;
// retrying and dead are disjoint.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <vector>

#include "broker/domain/interval_set.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class ledger {
public:
    // A snapshot is written when the deltas since the last outweigh it, but not before this.
    static constexpr std::size_t snapshot_bytes_min = 4096;

    ledger(offset_t start, std::pmr::memory_resource* pool);

    [[nodiscard]] offset_t first() const { return first_; }  // of the queue's first message
    [[nodiscard]] offset_t floor() const { return floor_; }
    [[nodiscard]] std::uint64_t done_total() const { return done_total_; }
    [[nodiscard]] const interval_set& closed() const { return closed_; }
    [[nodiscard]] const interval_set& retrying() const { return retrying_; }
    [[nodiscard]] const interval_set& dead() const { return dead_; }
    [[nodiscard]] bool is_exception(offset_t offset) const {
        return retrying_.contains(offset) || dead_.contains(offset);
    }
    // Messages below `end` that are neither done nor retrying nor dead: ready or leased.
    [[nodiscard]] std::uint64_t open_count(offset_t end) const {
        return end - floor_ - closed_.count();
    }

    // ---- transitions ----
    void to_done(offset_range open);  // messages without exception
    void exception_done(offset_t offset);
    void to_retrying(offset_t offset);  // from any state but done
    void to_dead(offset_t offset);
    void exception_ready(offset_t offset);  // at or above the floor

    // Seek: below `position` done, from there on ready; retrying and dead stay what they are. The
    // floor is held at `position` until release_floor, so that retrying ones above it can be made
    // ready. `end` = of the topic.
    void move_to(offset_t position, offset_t end);
    void release_floor();

    // A new queue begins where another one is.
    void take_over(const ledger& other);

    // ---- durability ----
    [[nodiscard]] bool dirty() const { return dirty_; }
    // The mutation that makes everything since the last one durable. Only when dirty.
    [[nodiscard]] mutation take_change(topic_id topic, queue_id queue);

    void apply(const queue_delta& delta);
    void apply(const queue_snapshot& snapshot);
    // After the last of these: finds the first offset from the counts.
    void finish_restore(offset_t end);

private:
    void close(offset_range range);
    void raise_floor();
    void note(message_state state, offset_t offset);
    void replay(const state_run& run);
    [[nodiscard]] queue_snapshot make_snapshot(topic_id topic, queue_id queue) const;
    [[nodiscard]] std::size_t snapshot_bytes() const;

    offset_t first_;
    offset_t floor_;
    std::uint64_t done_total_ = 0;
    interval_set closed_;
    interval_set retrying_;
    interval_set dead_;
    bool floor_held_ = false;

    // Not yet in a mutation. Done is final, so those runs come last.
    bool dirty_ = false;
    bool snapshot_wanted_ = false;
    std::vector<state_run> pending_exceptions_;
    interval_set pending_done_;
    std::uint64_t number_ = 0;           // of the last delta or snapshot
    std::uint64_t snapshot_number_ = 0;  // of the last snapshot
    std::size_t delta_bytes_ = 0;        // written since then
};

}  // namespace brokerd::domain
