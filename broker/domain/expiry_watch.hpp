// What a topic with times to live remembers about what is to be looked at, and when (expiry.cpp).
// There is none for a topic without any. Owner: the engine strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/interval_set.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

// Of an entry of the index: time, and last offset of the chunk.
using expiring_key = std::pair<wall_time, offset_t>;

struct expiry_watch {
    // ---- messages with a time to live of their own: the index in the store ----
    bool indexed = false;         // there are some, or were
    wall_time next = wall_never;  // no entry of the index is due before
    // Entries that came and went with commits the store may not have yet.
    std::map<expiring_key, commit_number> added;
    std::map<expiring_key, commit_number> moved;
    std::vector<expiring_chunk> due;  // fetched, still to be looked at
    std::size_t looked_at = 0;        // of these

    // ---- all others: the topic's time to live ----
    offset_t passed = 0;        // those below have been looked at
    wall_time next_of_topic{};  // none of the others expires before

    // ---- what has to be looked at once more ----
    offset_t again = offset_end;  // from here on, as a queue has begun or gone back there; durable
    offset_t again_until = 0;
    interval_set held;                // expired while leased
    mono_time held_at = mono_never;   // when to look at them
    offset_t held_from = 0;           // a look at them goes on here
    offset_t postponed = offset_end;  // expired, but one gap too many for the queue's max_runs
    mono_time postponed_at = mono_never;

    // ---- looking ----
    std::vector<chunk_ptr> window;  // read for this
    bool reading = false;
    mono_time read_again{};   // after a failed read
    mono_time index_again{};  // the store does not have what the index holds next
    std::string read_error;
    mono_time last_look{};
    mono_time timer = mono_never;  // in core::expiry_timers

    // A commit puts an entry into the index, or takes one out.
    void add_entry(const expiring_key& key, commit_number commit, commit_number applied) {
        forget_applied(applied);
        moved.erase(key);
        added[key] = commit;
        next = std::min(next, key.first);
    }
    void drop_entry(const expiring_key& key, commit_number commit, commit_number applied) {
        forget_applied(applied);
        added.erase(key);
        moved[key] = commit;
    }
    // Takes what a fetch of the index has brought.
    void take(expiring_fetched& got) {
        next = got.next;
        for (const expiring_chunk& each : got.items) {
            added.erase({each.at, each.last});
        }
        std::erase_if(got.items,
                      [&](const auto& each) { return moved.contains({each.at, each.last}); });
        for (const auto& [key, commit] : added) {
            next = std::min(next, key.first);  // the fetch may have missed it
        }
        due = std::move(got.items);
        looked_at = 0;
    }

    // What the store has by now need not be remembered; not while a read is on its way, which may
    // be older.
    void forget_applied(commit_number applied) {
        if (!reading) {
            std::erase_if(added, [&](const auto& each) { return each.second <= applied; });
            std::erase_if(moved, [&](const auto& each) { return each.second <= applied; });
        }
    }
};

}  // namespace brokerd::domain
