// The domain on its way through a load of the store, which may take seconds: whoever has this has
// the domain, and nobody sees it before it is whole. So a load can run on any thread.
#pragma once

#include "broker/domain/broker_state.hpp"
#include "broker/domain/effects.hpp"
#include "broker/storage/store.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::engine {

// What was found in the store.
struct load_summary {
    broker_epoch epoch;  // the one that starts now
    std::uint64_t topics = 0;
    std::uint64_t queues = 0;
};

struct state_load {
    // What it held before goes, but for what outlives a load.
    domain::broker_state state;
    instant began;

    // Left by run():
    outcome<load_summary> found{};
    commit_number last_commit{};  // of what was loaded
    domain::effects effects{};    // the new epoch, which is to be committed next

    // Reads the store and rebuilds the state from it, or says in `found` why it cannot. No commit
    // may be running.
    void run(storage::store& from);
};

}  // namespace brokerd::engine
