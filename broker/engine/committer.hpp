// The commit thread: the only one that writes the store and blocks in fsync. One batch at a time.
// start() is called on the engine thread, the answer handler on the commit thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "broker/engine/engine_parts.hpp"
#include "broker/storage/commit_log.hpp"

namespace brokerd::engine {

class committer final : public commit_starter {
public:
    using answer_handler = std::function<void(commit_number, storage::append_result)>;

    committer(storage::commit_log& log, answer_handler answer);
    ~committer() override;

    void start(commit_number number, std::vector<domain::mutation> batch, bool sync) override;
    // Finishes the batch at hand and ends the thread.
    void stop();

private:
    struct work {
        commit_number number;
        std::vector<domain::mutation> batch;
        bool sync = true;
    };

    void run();
    [[nodiscard]] std::optional<work> take();

    storage::commit_log& log_;
    answer_handler answer_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::optional<work> next_;            // guarded by mutex_
    std::atomic<bool> has_next_ = false;  // hint for the spin; set under mutex_
    bool stopping_ = false;               // guarded by mutex_
    std::thread thread_;
};

}  // namespace brokerd::engine
