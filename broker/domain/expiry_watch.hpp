// What a topic with times to live remembers about what is to be looked at, and when (expiry.cpp).
// There is none for a topic without any. Owner: the engine strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/interval_set.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

struct expiry_watch {
    // ---- messages with a time to live of their own: the index in the store ----
    bool indexed = false;         // there are some, or were
    wall_time next = wall_never;  // no entry of the index is due before
    // Entries that the store may not have yet, and the earliest of those a fetch that is on its
    // way may miss.
    std::vector<std::pair<commit_number, wall_time>> lately;
    wall_time missed = wall_never;
    std::vector<expiring_chunk> due;  // fetched, still to be looked at
    std::size_t looked_at = 0;        // of these

    // ---- all others: the topic's time to live ----
    offset_t passed = 0;                   // those below have been looked at
    wall_time next_of_topic = wall_never;  // the first of the others does not expire before

    // ---- what has to be looked at once more ----
    offset_t again = offset_end;  // from here on, as a queue has begun or gone back there; durable
    offset_t again_until = 0;
    interval_set held;                // expired while leased
    mono_time held_at = mono_never;   // when to look at them
    offset_t postponed = offset_end;  // expired, but one gap too many for the queue's max_runs
    mono_time postponed_at = mono_never;

    // ---- looking ----
    std::vector<chunk_ptr> window;  // read for this
    bool reading = false;
    mono_time read_again{};  // after a failed read
    std::string read_error;
    mono_time last_look{};
    mono_time timer = mono_never;  // in core::expiry_timers

    // An entry that a commit puts into the index.
    void note_entry(commit_number commit, commit_number applied, wall_time at) {
        std::erase_if(lately, [&](const auto& each) { return each.first <= applied; });
        lately.emplace_back(commit, at);
        next = std::min(next, at);
        missed = std::min(missed, at);
    }
};

}  // namespace brokerd::domain
