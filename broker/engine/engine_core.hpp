// The engine without its threads: turns commands into commits and outputs. Single writer: it owns
// the domain. Owner: the engine thread; a test drives it by hand.
//
// A turn:   apply(...) and answered(...) for what arrived, committed(...) if a commit came back,
//           then finish_turn(): tick, seal and start the next commit, dispatch, fetch, release.
//
// Invariants
//   * an output leaves only when the commit it depends on is durable, or at least applied if that
//     is enough for it;
//   * what was applied without a sync is synced within the time for it, whatever else happens;
//   * one commit runs at a time, the next one gathers meanwhile (natural group commit);
//   * while the state is loaded again the domain is away: no commit runs, commands wait, and what
//     is asked about the engine is answered from what it knows itself;
//   * after a commit whose outcome is unknown nothing leaves any more: fail stop.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "broker/base/log.hpp"
#include "broker/domain/broker_state.hpp"
#include "broker/engine/engine_parts.hpp"
#include "broker/storage/store.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::engine {

struct core_parts {
    storage::store& store;  // to load and for the room; reads and writes go through the starters
    commit_starter& commits;
    fetch_starter& fetches;
    std::vector<output_sink*> sinks;  // at least one
    fatal_handler fatal;
    base::logger log;
    // What topics of durability os have acknowledged is synced within this.
    duration_us os_sync_interval{limits::os_sync_default};
};

class engine_core {
public:
    engine_core(core_parts parts, domain::domain_options options);

    // Loads the store and starts the commit of the new epoch; ready() once that is durable.
    [[nodiscard]] outcome<load_summary> load(instant now);
    [[nodiscard]] bool ready() const { return ready_; }
    // Of the newest state that was loaded.
    [[nodiscard]] broker_epoch epoch() const { return epoch_; }

    // Not while saturated() because of a load.
    void apply(command_batch batch, instant now);
    void answered(fetch_answer answer, instant now);
    void committed(commit_number number, const storage::append_result& result, instant now);
    // The load that the fetch starter was given has run.
    void loaded(state_load what, instant now);

    // Ends the turn. Returns when the next one must be held at the latest.
    [[nodiscard]] mono_time finish_turn(instant now);

    // No further commands, please: enough is gathered for the next commit, or the state is being
    // loaded, or its epoch is not durable yet.
    [[nodiscard]] bool saturated() const { return !failed_ && (!ready_ || enough_gathered()); }

    // Answered after a synced commit that starts after this call, or when that cannot be had.
    void request_health(health_handler handler, instant now);
    [[nodiscard]] engine_statistics statistics() const;
    void disk_measured(const storage::store_statistics& measured);

    // Throws the domain away and has it loaded again, once no commit is running. Connections are
    // closed.
    void drop_and_reload(failure why);

    // Commits everything that waits, however lazy; idle() when it is done.
    void flush() { flushing_ = true; }
    // From now on nothing begins by itself: what falls due stays scheduled. What topics have
    // reserved is given back.
    void begin_stop(instant now);
    [[nodiscard]] bool idle() const;

    [[nodiscard]] const domain::broker_state& domain() const { return domain_; }

private:
    struct held_bucket {
        commit_number number;
        std::vector<domain::output> outputs;
    };
    struct health_waiter {
        health_handler handler;
        commit_number needs;  // 0 until the commit that proves it has started
    };

    [[nodiscard]] bool commit_running() const { return running_.value() != 0; }
    [[nodiscard]] state_load give_away_state(instant now);
    void take_over(state_load what, instant now);
    [[nodiscard]] bool is_stuck(instant now) const;
    [[nodiscard]] bool proof_wanted() const;
    // Something must be synced now, whether anything new is gathered or not.
    [[nodiscard]] bool sync_wanted(instant now) const;
    [[nodiscard]] bool enough_gathered() const;
    [[nodiscard]] bool commit_wanted(instant now) const;
    void start_commit(instant now);
    void note_sync(instant now);
    void log_skipped() const;
    void log_drops();
    void take_outputs();
    void release(domain::output out);
    void leave(domain::output out);
    // Commit `number` is applied, and synced if it says so.
    void release_held(commit_number number, bool synced);
    void flush_sinks();
    void start_fetches(instant now);
    void room_measured(const storage::disk_room& measured);
    void answer_health(instant now, bool proven);
    [[nodiscard]] health_state health(instant now, bool proven) const;
    [[nodiscard]] mono_time next_wake(instant now) const;
    [[nodiscard]] mono_time wait_for_load(instant now);
    void reload(instant now);
    void stop_for(const std::string& what);

    core_parts parts_;
    const domain::domain_options options_;
    domain::broker_state domain_;  // empty while loading_
    broker_epoch epoch_;
    domain::effects effects_;
    std::unordered_set<connection_id> open_;

    commit_number applied_;
    commit_number durable_;       // at most applied_
    commit_number gathering_{1};  // the number the next commit will have
    commit_number running_;       // 0 = none
    bool running_synced_ = true;
    mono_time running_since_{};  // the commit, or the load
    std::size_t gathered_bytes_ = 0;
    std::size_t gathering_bytes_limit_;
    std::size_t written_since_maintained_ = 0;
    std::optional<mono_time> lazy_since_;  // something waits to be committed since then
    mono_time sync_by_ = mono_never;       // for what was applied without a sync
    mono_time tick_at_ = mono_never;

    std::deque<held_bucket> held_;                      // ascending by number
    std::vector<std::vector<domain::output>> leaving_;  // per sink, this turn
    std::vector<health_waiter> health_waiters_;

    std::optional<failure> reload_wanted_;
    mono_time reload_not_before_{};
    bool loading_ = false;
    std::uint64_t generation_ = 1;  // of the domain; answers for an earlier one are dropped
    mono_time last_slow_commit_ = mono_time::min();
    duration_us last_slow_duration_{0};
    engine_statistics counts_;
    bool ready_ = false;
    bool failed_ = false;
    bool flushing_ = false;
    bool stopping_ = false;
};

}  // namespace brokerd::engine
