// What the features of a mixed crash run share: where the broker is, whether it goes on, and what
// was found. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace brokerd::crash {

// Promises that were broken. Keeps the first ones: what follows is mostly their consequence.
class findings {
public:
    void tell(std::string what) {
        const std::scoped_lock lock(mutex_);
        if (all_.size() < kept_max) {
            all_.push_back(std::move(what));
        }
    }
    [[nodiscard]] bool any() const {
        const std::scoped_lock lock(mutex_);
        return !all_.empty();
    }
    [[nodiscard]] std::vector<std::string> all() const {
        const std::scoped_lock lock(mutex_);
        return all_;
    }

private:
    static constexpr std::size_t kept_max = 50;

    mutable std::mutex mutex_;
    std::vector<std::string> all_;
};

class mix_scene {
public:
    explicit mix_scene(std::string server) : server_(std::move(server)) {}

    [[nodiscard]] const std::string& server() const { return server_; }
    [[nodiscard]] findings& told() { return told_; }

    // Before the broker is killed: it had this epoch, or an earlier one.
    void epoch_ends() { ++epoch_; }
    // Of the running broker, at most.
    [[nodiscard]] std::uint32_t epoch() const { return epoch_.load(); }

    void end() { over_.request_stop(); }
    [[nodiscard]] bool over() const { return over_.stop_requested(); }
    [[nodiscard]] std::stop_token ending() const { return over_.get_token(); }

    // Keeps a load from filling disk and processor: rests between its steps.
    static void rest(std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); }

private:
    std::string server_;
    findings told_;
    std::atomic<std::uint32_t> epoch_{1};
    std::stop_source over_;
};

}  // namespace brokerd::crash
