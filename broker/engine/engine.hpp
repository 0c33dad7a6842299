// The engine: one thread that owns the domain, one commit thread, a small read pool. The first is
// its own or that of a host, which saves two changes of threads on the way of each message where
// there are few cores.
//
// Any thread may call the public functions; handlers are called on the engine thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/log.hpp"
#include "broker/engine/committer.hpp"
#include "broker/engine/engine_core.hpp"
#include "broker/engine/engine_parts.hpp"
#include "broker/engine/read_pool.hpp"
#include "broker/engine/turn_host.hpp"
#include "broker/storage/commit_log.hpp"
#include "broker/storage/store.hpp"

namespace brokerd::engine {

class engine {
public:
    struct parts {
        storage::store& store;
        storage::commit_log& commits;
        const base::clock& clock;
        std::vector<output_sink*> sinks;  // outlive the engine
        fatal_handler fatal;
        base::logger log;
        duration_us os_sync_interval{limits::os_sync_default};
        // Whose thread is the engine thread. It runs none of the turns it was asked for any more
        // when the engine is destroyed. Null: a thread of its own.
        turn_host* host = nullptr;
    };

    engine(parts from, const domain::domain_options& options);
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;
    ~engine();

    // Loads the store and starts the threads; returns once the new epoch is durable.
    [[nodiscard]] outcome<load_summary> start();
    // Commits what waits and ends the threads; waits for a load that runs. No outputs are delivered
    // after it returns. Not on the host's thread, which may have ended before.
    void stop();

    [[nodiscard]] broker_epoch epoch() const { return broker_epoch{epoch_.load()}; }

    // One call per socket read. Commands of one connection keep their order.
    void post(command_batch batch);
    // Too many publishes wait: stop reading until the sink's inbox_relieved.
    [[nodiscard]] bool congested() const { return congested_.load(std::memory_order_relaxed); }

    void request_health(health_handler handler);
    void request_statistics(stats_handler handler);
    void drop_and_reload();

private:
    struct commit_answer {
        commit_number number;
        storage::append_result result;
    };
    using task = std::function<void(instant)>;
    class late_starters;
    // Everything that waits for the engine thread.
    struct mail {
        std::deque<command_batch> commands;
        std::vector<fetch_answer> fetched;
        std::vector<commit_answer> committed;
        std::vector<task> tasks;
        [[nodiscard]] bool empty(bool without_commands) const;
    };

    void run();
    void run_hosted();
    bool leave_host();
    void turn();
    void collect();
    void wait_for_mail();
    [[nodiscard]] bool may_go_on() const;
    void post_task(task what);
    template <typename Add>
    void put(Add add);
    void take_in(std::size_t bytes);

    parts parts_;
    std::unique_ptr<late_starters> starters_;
    engine_core core_;

    std::mutex mutex_;
    std::condition_variable wake_;
    // Guarded by mutex_:
    mail inbox_;
    std::size_t inbox_bytes_ = 0;
    bool sleeping_ = false;
    bool stopping_ = false;
    bool hosted_ = false;      // turns are for the host to run
    bool in_turn_ = false;     // it is just running one
    bool turn_asked_ = false;  // it is about to

    std::atomic<bool> congested_ = false;
    std::atomic<std::uint32_t> epoch_ = 0;
    mono_time wake_at_ = mono_never;  // engine thread
    mail arrived_;                    // engine thread

    std::optional<committer> committer_;
    std::optional<read_pool> reads_;
    std::thread thread_;
};

}  // namespace brokerd::engine
