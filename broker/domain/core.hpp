// What all operations of the domain share: topics, queues, connections, consumers, caches, pending
// fetches, and the few helpers to find, answer, emit and read. The operations themselves are the
// functions of operations.hpp. Owner: the engine strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "broker/base/random.hpp"
#include "broker/domain/broker_state.hpp"
#include "broker/domain/chunk_cache.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/consumer.hpp"
#include "broker/domain/consumer_group.hpp"
#include "broker/domain/effects.hpp"
#include "broker/domain/pattern_queue.hpp"
#include "broker/domain/producer_table.hpp"
#include "broker/domain/queue.hpp"
#include "broker/domain/service_table.hpp"
#include "broker/domain/shared_settings.hpp"
#include "broker/domain/topic.hpp"
#include "broker/domain/wall_clock.hpp"

namespace brokerd::domain {

// One call into the domain: when it happens and where its effects go.
struct turn {
    instant now;
    wall_time wall;       // as the domain sees it (wall_clock.hpp)
    wall_time retry_now;  // on the clock of due times
    effects& out;
};

// Who asked, and gets the answer.
struct asker {
    connection_id connection;
    std::uint64_t request = 0;
};

struct connection {
    std::string name;
    std::map<consumer_id, std::unique_ptr<consumer>> consumers;
    std::map<consumer_id, std::unique_ptr<consumer_group>> groups;  // of pattern queues
    std::uint32_t waiting_reads = 0;
    bool draining = false;  // consumers and responders get nothing new, whatever they ask for
    // Settles that wait for exceptions, and what waits for them in turn: a detach or a goodbye
    // would give back leases that these were sent to settle.
    std::uint32_t waiting_settles = 0;
    std::vector<std::function<void(turn&)>> behind_settles{};
};

class core {
public:
    using fetch_handler = std::function<void(turn&, fetch_result&)>;

    explicit core(domain_options wanted);

    // ---- finding ----
    [[nodiscard]] topic* topic_by_id(topic_id id);
    [[nodiscard]] queue* queue_by_id(queue_id id);
    [[nodiscard]] outcome<topic*> find_topic(std::string_view name);
    // `path` is TOPIC/QUEUE.
    [[nodiscard]] outcome<queue*> find_queue(std::string_view path);
    [[nodiscard]] connection* find_connection(connection_id id);

    // ---- answering ----
    // `commit`, or nothing if it is known to be durable, or applied if that is enough.
    [[nodiscard]] commit_number depend(commit_number commit, bool when_applied = false) const {
        return commit <= (when_applied ? applied() : synced) ? commit_number{} : commit;
    }
    void answer(turn& t, asker who, commit_number depends_on, output_body body,
                bool when_applied = false) const;
    void refuse(turn& t, asker who, failure why) const;

    // ---- changing ----
    void emit(turn& t, mutation m, bool urgent = true);
    // The queue's ledger has changed: its delta is due at the next seal.
    void note_change(turn& t, queue& q, bool urgent);
    // Dispatch shall look at the queue; its exceptions in memory are to be dropped later.
    void wake(queue& q);
    void note_exceptions(queue& q);
    // The trim point may move: it is looked at with the next commit, or by `when`.
    void note_trim(topic& t);
    void note_trim_later(topic& t, mono_time when);
    void forget_trim(topic& t);
    // When trim_topics is to be called at the latest.
    [[nodiscard]] mono_time trim_deadline() const {
        return topics_to_trim_later.empty() ? mono_never : topics_to_trim_later.begin()->first;
    }
    // The queue shall be looked at by then: a lease or the queue expires, or a retry becomes due.
    void arm(queue& q, mono_time when);

    // ---- reading ----
    // What dispatch asks for waits here while so much of it is on its way: thousands of queues that
    // lag behind leave room to the reads of others, and what they bring does not come all at once.
    static constexpr std::size_t dispatch_reads_max = 64;
    void read(turn& t, fetch_body what, fetch_handler then);
    // Passes an answer on to who asked, if anybody did.
    void take_answer(turn& t, std::uint64_t id, fetch_result& result);
    // The read windows of all queues are small enough to be filled ahead of time.
    [[nodiscard]] bool may_read_ahead() const {
        return window_bytes <= 4 * options.cache_bytes_max;
    }

    [[nodiscard]] queue_memory memory() { return {&pool, &window_bytes}; }

    // Commits up to this one are in the store.
    [[nodiscard]] commit_number applied() const {
        return commit_number{gathering.value() < 2 ? 0 : gathering.value() - 2};
    }

    domain_options options;
    domain_counters counters;
    base::random jitter;
    wall_clock clock;
    bool clock_started = false;
    mono_time started{};                          // rates look no further back
    mono_time ages_from{};                        // nothing is dropped for its age before
    std::pmr::unsynchronized_pool_resource pool;  // nodes of every set and table

    std::size_t window_bytes = 0;          // of all read windows
    std::size_t scheduled_bytes_kept = 0;  // of all schedule books

    broker_epoch epoch;
    commit_number gathering{1};  // the commit that takes the next mutations
    // Commits up to this one are on the disk, as far as that is known here; at most applied(). And
    // the last one that was cut to be synced; whether the one that is sealed is to be.
    commit_number synced;
    commit_number last_cut_to_sync;
    bool to_be_synced = true;
    std::uint64_t next_id = 1;
    bool dirty = false;
    bool reserving = true;  // topics of durability os may be answered before the sync
    std::vector<skipped_offsets> skipped_at_start;
    std::vector<drop_notice> drop_notices;  // for the log, until the engine takes them
    bool retries_put = false;  // or message ids, since the last seal: their clock goes with them

    std::map<topic_id, std::unique_ptr<topic>> topics;
    std::map<std::string_view, topic*> topics_by_name;  // topic::name, which never changes
    std::unordered_map<queue_id, queue*> queues;        // only to find; never iterated
    shared_settings settings;                           // of queues
    std::map<connection_id, connection> connections;
    std::map<std::string, std::unique_ptr<pattern_queue>, std::less<>> patterns;  // by path
    std::vector<consumer_group*> noted_groups;  // whose lines dispatch has to look at
    producer_table producers;
    service_table services;
    chunk_cache cache;

    std::vector<queue*> woken;
    std::vector<queue*> changed_queues;
    std::vector<queue*> queues_with_exceptions;
    std::vector<topic*> open_topics;     // with an open chunk or waiting reads to answer
    std::set<topic_id> topics_waiting;   // with waiting reads
    std::vector<topic*> topics_to_trim;  // whose queues have moved
    std::set<std::pair<mono_time, topic_id>> topics_to_trim_later;
    std::set<std::pair<mono_time, queue_id>> timers;  // one per queue that waits for a time
    // Topics with schedules to look at: when one is due, and when something else is over.
    std::set<std::pair<wall_time, topic_id>> schedule_timers;
    std::set<std::pair<mono_time, topic_id>> schedule_waits;
    mono_time schedule_deadline = mono_never;  // when to look at both
    topic_id schedules_looked_at;              // the last one that appended; they take turns
    std::vector<topic*> noted_schedules;       // changed, or with changes the store may not have
    std::vector<topic*> topics_with_ids;       // with message ids the store may not have
    std::uint32_t schedule_fetches = 0;        // of what is due next, on their way
    std::size_t scheduled_bytes_appended = 0;  // by the commit that is gathered
    bool schedules_held = false;               // the disk has no room for what is due
    std::string no_room;                       // nor for what is new: why; empty: it has
    std::set<std::pair<mono_time, topic_id>> expiry_timers;  // topics with times to live
    std::uint32_t expired_to_dead = 0;                       // by the commit that is gathered
    mono_time waiting_until = mono_never;                    // no waiting read ends before
    std::vector<connection_id> draining;                     // to be told when they hold nothing
    std::uint32_t clones = 0;                                // that wait for fetches
    std::uint64_t dispatch_number = 0;
    std::uint64_t sifted_in = 0;  // the dispatch whose walks have looked at so many messages
    std::uint64_t sifted = 0;

    bool dispatching = false;  // dispatch is on the stack
    std::uint64_t next_fetch = 1;
    struct pending_fetch {
        fetch_handler then;
        bool of_dispatch = false;
    };
    std::map<std::uint64_t, pending_fetch> fetches;
    std::size_t dispatch_reads = 0;  // on their way
    std::deque<fetch> dispatch_reads_waiting;
};

}  // namespace brokerd::domain
