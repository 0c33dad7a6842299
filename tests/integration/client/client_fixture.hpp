// A real broker for each test, and what tests of the client library have in common.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "brokerd/admin.hpp"
#include "brokerd/client.hpp"
#include "tests/support/broker_process.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::client_integration {

using namespace std::chrono_literals;

// Longer than anything here takes; a test that waits for so long has failed.
inline constexpr auto patience = 30s;

class client_fixture : public testing::Test {
protected:
    [[nodiscard]] client connected(client_options options = {}) const {
        return connect(broker.address(), std::move(options));
    }
    // Publishes payloads "0", "1", ...
    static void publish_numbers(client& with, const std::string& topic, int count) {
        for (int i = 0; i < count; ++i) {
            with.submit(topic, {.payload = std::to_string(i)}, [](const publish_result& result) {
                EXPECT_TRUE(result) << result.failure->what();
            });
        }
        with.flush();
    }
    // The next message, which has to come.
    static message next_of(consumer& from) {
        auto next = from.next(patience);
        if (!next) {
            throw std::runtime_error("no message came");
        }
        return std::move(*next);
    }
    // Everything a topic holds.
    static std::vector<std::string> payloads(client& with, const std::string& topic) {
        std::vector<std::string> out;
        reader from = with.open_reader(topic);
        while (auto next = from.next(0s)) {
            out.push_back(next->payload);
        }
        return out;
    }
    // The failed attempts of a message in the queue.
    static std::vector<failed_attempt> history(client& with, const std::string& topic,
                                               std::uint64_t offset) {
        return admin(with).show(topic, offset).queues.at(0).history;
    }

    // What a call fails with; none: it does not.
    template <typename F>
    static std::error_code code_of(F what) {
        try {
            what();
        } catch (const error& failed) {
            return failed.code();
        }
        return {};
    }
    // What the broker does by itself, soon.
    template <typename Condition>
    [[nodiscard]] static bool comes_true(Condition condition) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
        }
        return true;
    }

    test::temp_dir directory;
    support::broker_process broker{
        {.program = {}, .data_dir = directory / "data", .arguments = {}, .environment = {}}};
};

// Counts up; others wait until it has counted far enough.
class counter {
public:
    void add() {
        const std::lock_guard lock(mutex_);
        ++count_;
        changed_.notify_all();
    }
    [[nodiscard]] bool reaches(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return count_ >= count; });
    }
    [[nodiscard]] int value() {
        const std::lock_guard lock(mutex_);
        return count_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
};

}  // namespace brokerd::client_integration
