// The read pool: a few threads that read the store for the domain and do its background work, so
// that neither the engine nor an I/O thread ever waits for the disk.
// start(), maintain_soon() and load() are called on the engine thread; handlers run on pool
// threads. stop() waits for a read or load that is running, but has the background work break off.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "broker/engine/engine_parts.hpp"
#include "broker/storage/store.hpp"

namespace brokerd::engine {

class read_pool final : public fetch_starter {
public:
    struct handlers {
        std::function<void(fetch_answer)> answered;
        std::function<void(const storage::store_statistics&)> measured;
        std::function<void(state_load)> loaded;
    };

    read_pool(storage::store& from, handlers to);
    ~read_pool() override;

    [[nodiscard]] bool start(domain::fetch what, std::uint64_t generation) override;
    void maintain_soon() override;
    void load(state_load what) override;
    void stop();

private:
    struct read {
        domain::fetch what;
        std::uint64_t generation = 0;
    };
    using time_point = std::chrono::steady_clock::time_point;

    // What comes again and again; never twice at once.
    struct chore {
        time_point at;
        bool running = false;
        [[nodiscard]] bool due(time_point now) const { return !running && at <= now; }
    };

    void run();
    void run_load(std::unique_lock<std::mutex>& lock);
    void answer(std::unique_lock<std::mutex>& lock);
    template <typename Work>
    void run_chore(chore& which, std::chrono::nanoseconds interval,
                   std::unique_lock<std::mutex>& lock, Work work);
    [[nodiscard]] time_point next_chore(time_point now) const;

    storage::store& from_;
    handlers to_;
    std::mutex mutex_;
    std::condition_variable wake_;
    // Guarded by mutex_:
    std::deque<read> waiting_;
    std::optional<state_load> load_;  // waits
    chore measure_;
    chore maintain_;  // may take minutes; the disk is measured meanwhile
    bool stopping_ = false;

    std::vector<std::thread> threads_;
};

}  // namespace brokerd::engine
