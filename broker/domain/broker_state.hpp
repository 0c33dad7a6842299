// The aggregate root of the domain: all topics, queues, leases and producer windows, as a state
// machine without clock, randomness or I/O. Owner: the engine strand; every function is called on
// it, one at a time.
//
// Use, per turn of the engine:
//   apply(command, now, out)   for each command that arrived
//   tick(now, out)             when next_deadline() has come
//   dispatch(now, out)         once, at the end of the turn: gives out what became ready
// and when the commit thread is free and dirty() says that there is something to commit (at once if
// out.urgent or out.prompt, else within limits::plain_ack_sync_max):
//   seal(now, out)             closes the open chunks: out.mutations is now the batch; gives out
//                              what it made ready (outputs that depend on this very commit)
//   commit_cut(next)           later mutations belong to commit `next`
//
// At most one commit may be in flight: when commit_cut(n) is called, all commits up to n - 2 have
// been applied to the store, so fetches issued from then on see them. What later commits hold is
// kept in memory here.
//
// A commit that was sealed with out.prompt and without out.urgent need not be synced when it is
// applied, every other one is. Outputs carry the commit they depend on, and say if it is enough
// that it was applied. Reads of the store are fetches; their answers come back as `fetched`
// commands. State can be thrown away and rebuilt by restore at any time between turns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

struct domain_options {
    std::uint64_t seed = 0;                          // of the retry jitter
    std::size_t cache_bytes_max = 16 * 1024 * 1024;  // recent chunks kept in memory, all topics
    std::size_t read_ahead_bytes = 1024 * 1024;      // per lagging queue
    std::uint64_t message_bytes_max = limits::message_bytes_default;  // in any topic
    durability level = durability::disk;                              // reported with publishes
    std::size_t producers_max = limits::producers_max;
    std::size_t consumers_per_connection_max = limits::consumers_per_connection_default;
    std::size_t queues_per_topic_max = limits::queues_per_topic_default;
    // Of a consumer of a pattern queue, and of all those of a connection.
    std::size_t queues_per_group_max = limits::pattern_topics_max;
    std::size_t group_queues_per_connection_max = limits::pattern_members_per_connection_max;
    // After a start nobody looks for what has expired before, or is older than its topic's max_age:
    // consumers come back for their leases, and somebody may see that the clock is wrong.
    duration_us expiry_grace = limits::expires_after_start_min;
};

// What a store holds, as the domain needs it to start.
struct topic_tail {
    topic_id topic;
    offset_t next_offset = 0;  // behind the last stored chunk, at least the trim point
    wall_time last_append{};   // append times never run backwards
    // Of the batches of the readable chunks from the last log_mark on (log_marked); exact if they
    // are few, else it may be estimated.
    std::uint64_t unmarked_bytes = 0;
};
struct loaded_state {
    broker_epoch epoch;  // the last one that was started
    commit_number last_commit;
    std::uint64_t next_id = 1;  // of topics and queues
    wall_time retry_clock{};    // the last known reading of the clock of due times
    // Topics, trim points, done marks, totals of schedules, watched expiries, reserved and skipped
    // offsets, marks of the log, what was dropped, queues, snapshots then deltas in order of
    // number, producer slots; never appended, exceptions or schedules.
    std::vector<mutation> mutations;
    std::vector<topic_tail> tails;
};

// Counters for stats; all since start.
struct domain_counters {
    std::uint64_t published_messages = 0;
    std::uint64_t published_bytes = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t refused_publishes = 0;
    std::uint64_t delivered_messages = 0;
    std::uint64_t acked_messages = 0;
    std::uint64_t nacked_messages = 0;
    std::uint64_t rejected_messages = 0;
    std::uint64_t released_messages = 0;
    std::uint64_t expired_leases = 0;
    std::uint64_t lost_leases = 0;
    std::uint64_t stale_settles = 0;
    std::uint64_t dead_messages = 0;
    std::uint64_t redriven_messages = 0;
    std::uint64_t expired_messages = 0;  // whose time to live was over, in each queue
    std::uint64_t sifted_messages = 0;   // not for a queue: its filter, or behind its end
    std::uint64_t expired_queues = 0;
    std::uint64_t dropped_messages = 0;  // to keep the bounds of topics
    std::uint64_t skipped_offsets = 0;   // reserved and never stored, found so at starts
    std::uint64_t requests = 0;          // to services
    std::uint64_t replied_requests = 0;
    std::uint64_t failed_requests = 0;
    std::uint64_t expired_requests = 0;
    std::uint64_t refused_requests = 0;
    std::uint64_t cached_bytes = 0;
};

// Offsets of a topic that may have been given out before the broker stopped without goodbye, and
// that no message has.
struct skipped_offsets {
    std::string topic;
    offset_range offsets;
};

// Messages that a topic has dropped to keep its bounds, since the notice before; at most one notice
// each ten seconds.
struct drop_notice {
    std::string topic;
    std::uint64_t messages = 0;  // that some queue was not done with
    std::uint64_t in_all = 0;    // since the topic was created
    std::string bound;           // the settings it has: max_messages 1000, drop-oldest
};

class broker_state {
public:
    explicit broker_state(domain_options options);
    ~broker_state();
    broker_state(broker_state&&) noexcept;
    broker_state& operator=(broker_state&&) noexcept;

    // Rebuilds everything from a store and starts the next epoch (an epoch_started mutation, which
    // must be durable before any connection is opened). `first_commit` = number of the commit being
    // gathered.
    void restore(const loaded_state& loaded, commit_number first_commit, instant now, effects& out);

    void apply(command what, instant now, effects& out);

    // Does what is due. Returns next_deadline().
    mono_time tick(instant now, effects& out);
    // When tick wants to be called next; mono_never = not before something else happens. Every
    // apply, dispatch and seal may bring it forward, so look after each turn.
    [[nodiscard]] mono_time next_deadline() const;

    void dispatch(instant now, effects& out);

    // While held, what falls due stays scheduled: the disk has no room for it.
    void hold_schedules(bool on);

    // From now on what is new is not published, for want of room: `why` says so, and what to do.
    // Empty: it is again. What had been published before is still known when it comes again.
    void refuse_publishes(std::string why);

    // The broker stops: topics of durability os give back the offsets they have reserved ahead, so
    // that none is skipped at the next start. What is published from now on, until a restore, is
    // synced.
    void release_reservations(instant now, effects& out);
    // What the last restore found to be skipped from then on.
    [[nodiscard]] const std::vector<skipped_offsets>& skipped_at_start() const;

    // What topics have dropped; each is told once.
    [[nodiscard]] std::vector<drop_notice> take_drop_notices();

    // Something waits to be committed. Chunks and the changes of queues become mutations only in
    // seal, so out.mutations alone does not tell.
    [[nodiscard]] bool dirty() const;
    void seal(instant now, effects& out);
    void commit_cut(commit_number next);

    [[nodiscard]] broker_epoch epoch() const;
    [[nodiscard]] const domain_counters& counters() const;
    // Things a person should look at, for health.
    [[nodiscard]] std::vector<std::string> warnings(instant now) const;

    // How many retrying and dead messages memory knows more of than their offsets: those of the
    // newest commits, and those about to be given out.
    [[nodiscard]] std::size_t exceptions_in_memory() const;

    // Checks every invariant that can be checked in memory; a text for the first that fails.
    // For tests and the simulator.
    [[nodiscard]] outcome<void> check_invariants() const;

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace brokerd::domain
