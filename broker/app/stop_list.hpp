// Shut-down in the reverse order of start-up by construction: whoever starts something pushes how
// to stop it. Owner: the main thread. Header only.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace brokerd::app {

class stop_list {
public:
    stop_list() = default;
    stop_list(const stop_list&) = delete;
    stop_list& operator=(const stop_list&) = delete;
    ~stop_list() { run(); }

    void push(std::function<void()> stop) { stops_.push_back(std::move(stop)); }
    void run() {
        while (!stops_.empty()) {
            const auto stop = std::move(stops_.back());
            stops_.pop_back();
            stop();
        }
    }

private:
    std::vector<std::function<void()>> stops_;
};

}  // namespace brokerd::app
