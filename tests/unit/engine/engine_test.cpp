// The engine with its real threads over a store in memory: start, work, reload, stop.
#include "broker/engine/engine.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/base/clock.hpp"
#include "broker/engine/engine_limits.hpp"
#include "broker/storage/memory_store.hpp"

namespace brokerd::engine {
namespace {

using namespace std::chrono_literals;

class waiting_sink final : public output_sink {
public:
    void deliver(std::vector<domain::output> more) override {
        const std::lock_guard lock(mutex_);
        for (auto& each : more) {
            outputs_.push_back(std::move(each));
        }
        wake_.notify_all();
    }
    void close_all(const failure&) override {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        wake_.notify_all();
    }
    void inbox_relieved() override {}

    std::vector<domain::output> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(wake_.wait_for(lock, 20s, [&] { return outputs_.size() >= count; }));
        return std::exchange(outputs_, {});
    }
    bool wait_closed() {
        std::unique_lock lock(mutex_);
        return wake_.wait_for(lock, 20s, [&] { return closed_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<domain::output> outputs_;
    bool closed_ = false;
};

// A thread that runs what it is asked to, and turns when it is time.
class thread_host final : public turn_host {
public:
    ~thread_host() override { end(); }
    void run_soon(std::function<void()> turn) override {
        const std::lock_guard lock(mutex_);
        soon_.push_back(std::move(turn));
        wake_.notify_all();
    }
    void run_at(mono_time when, std::function<void()> turn) override {
        const std::lock_guard lock(mutex_);
        at_ = when;
        later_ = std::move(turn);
        wake_.notify_all();
    }
    // Runs nothing any more.
    void end() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            wake_.notify_all();
        }
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    [[nodiscard]] int turns() const { return turns_.load(); }
    // The time of the next turn, once there is one.
    mono_time wait_for_time() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(wake_.wait_for(lock, 20s, [this] { return at_ != mono_never; }));
        return at_;
    }

private:
    using time_point = std::chrono::steady_clock::time_point;

    void run() {
        std::unique_lock lock(mutex_);
        while (!ended_) {
            std::function<void()> turn;
            if (!soon_.empty()) {
                turn = std::move(soon_.front());
                soon_.pop_front();
            } else if (at_ == mono_never) {
                wake_.wait(lock, [this] { return ended_ || !soon_.empty(); });
            } else if (!wake_.wait_until(lock, time_point(at_.time_since_epoch()),
                                         [this] { return ended_ || !soon_.empty(); })) {
                at_ = mono_never;
                turn = later_;
            }
            if (turn) {
                lock.unlock();
                turn();
                ++turns_;
                lock.lock();
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> soon_;
    mono_time at_ = mono_never;
    std::function<void()> later_;
    bool ended_ = false;
    std::atomic<int> turns_ = 0;
    std::thread thread_{[this] { run(); }};
};

class engine_test : public testing::Test {
protected:
    engine make(turn_host* host = nullptr) {
        return engine({.store = store,
                       .commits = commits,
                       .clock = clock,
                       .sinks = {&sink},
                       .fatal = [](const std::string& what) { FAIL() << what; },
                       .log = {},
                       .host = host},
                      {.seed = 1});
    }
    static command_batch batch_of(std::uint64_t connection, std::vector<domain::command> commands) {
        return {connection_id{connection}, std::move(commands), 0};
    }
    static domain::request create_queue(std::uint64_t connection, const std::string& name) {
        return {connection_id{connection}, 1,
                codec::queue_create{.queue = name, .create_topic = true}};
    }

    storage::memory_store store;
    storage::local_commit_log commits{store};
    base::system_clock clock;
    waiting_sink sink;
};

TEST_F(engine_test, works_and_stops_and_finds_its_state_again) {
    {
        auto first = make();
        const auto loaded = first.start();
        ASSERT_TRUE(loaded);
        EXPECT_EQ(loaded->epoch, broker_epoch{1});
        EXPECT_EQ(loaded->queues, 0U);
        first.post(batch_of(
            1, {domain::connection_opened{connection_id{1}, "c"}, create_queue(1, "t/q")}));
        const auto outputs = sink.wait_for(1);
        ASSERT_EQ(outputs.size(), 1U);
        EXPECT_TRUE(std::get<codec::queue_created>(outputs[0].body).created);
        first.stop();
    }
    auto second = make();
    const auto loaded = second.start();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->epoch, broker_epoch{2});
    EXPECT_EQ(loaded->topics, 1U);
    EXPECT_EQ(loaded->queues, 1U);
}

TEST_F(engine_test, reloads_while_running) {
    auto running = make();
    ASSERT_TRUE(running.start());
    running.post(
        batch_of(1, {domain::connection_opened{connection_id{1}, "c"}, create_queue(1, "t/q")}));
    (void)sink.wait_for(1);
    running.drop_and_reload();
    ASSERT_TRUE(sink.wait_closed());
    running.post(
        batch_of(2, {domain::connection_opened{connection_id{2}, "c"}, create_queue(2, "t/q")}));
    const auto outputs = sink.wait_for(1);
    EXPECT_FALSE(std::get<codec::queue_created>(outputs.at(0).body).created) << "it is there";
    EXPECT_EQ(running.epoch(), broker_epoch{2});
}

TEST_F(engine_test, answers_health_and_statistics) {
    auto running = make();
    ASSERT_TRUE(running.start());
    std::promise<health_state> health;
    running.request_health([&](const health_state& state) { health.set_value(state); });
    EXPECT_TRUE(health.get_future().get().writable);
    std::promise<engine_statistics> statistics;
    running.request_statistics([&](const engine_statistics& s) { statistics.set_value(s); });
    EXPECT_GE(statistics.get_future().get().commits, 1U);
}

TEST_F(engine_test, works_on_the_thread_of_a_host) {
    {
        thread_host host;
        auto first = make(&host);
        ASSERT_TRUE(first.start());
        first.post(batch_of(
            1, {domain::connection_opened{connection_id{1}, "c"}, create_queue(1, "t/q")}));
        EXPECT_EQ(sink.wait_for(1).size(), 1U);
        first.drop_and_reload();
        ASSERT_TRUE(sink.wait_closed());
        first.post(batch_of(
            2, {domain::connection_opened{connection_id{2}, "c"}, create_queue(2, "t/q")}));
        const auto outputs = sink.wait_for(1);
        EXPECT_FALSE(std::get<codec::queue_created>(outputs.at(0).body).created) << "it is there";
        EXPECT_GE(host.turns(), 3);
        first.stop();  // while the host goes on
        host.end();
    }
    auto second = make();
    const auto loaded = second.start();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->queues, 1U);
}

TEST_F(engine_test, stops_when_the_thread_of_its_host_has_ended) {
    thread_host host;
    auto running = make(&host);
    ASSERT_TRUE(running.start());
    running.post(batch_of(1, {domain::connection_opened{connection_id{1}, "c"}}));
    std::promise<void> ran;
    running.request_statistics([&](const engine_statistics&) { ran.set_value(); });
    ran.get_future().get();
    host.end();
    running.post(batch_of(1, {create_queue(1, "t/q")}));
    running.stop();
    EXPECT_EQ(sink.wait_for(1).size(), 1U) << "what came before the end is answered";
    EXPECT_EQ(running.epoch(), broker_epoch{1});
}

// Nothing may come in for long, and yet a queue without consumers is to go in an hour or so.
TEST_F(engine_test, a_host_is_told_when_the_next_turn_is_due) {
    thread_host host;
    auto running = make(&host);
    ASSERT_TRUE(running.start());
    const codec::queue_create temporary{
        .queue = "t/q", .settings = {.expires = 1h}, .create_topic = true};
    running.post(batch_of(1, {domain::connection_opened{connection_id{1}, "c"},
                              domain::request{connection_id{1}, 1, temporary}}));
    EXPECT_LE(host.wait_for_time(), clock.now().mono + 2h);
    host.end();
}

TEST_F(engine_test, does_not_start_on_a_store_that_cannot_write) {
    store.fail_next(false);
    engine dead({.store = store,
                 .commits = commits,
                 .clock = clock,
                 .sinks = {&sink},
                 .fatal = [](const std::string&) {},
                 .log = {}},
                {.seed = 1});
    const auto loaded = dead.start();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, error_code::storage_failed);
}

// Gives space back until it is told to stop.
class endless_store final : public storage::memory_store {
public:
    void maintain() override {
        std::unique_lock lock(mutex_);
        running_ = true;
        wake_.notify_all();
        wake_.wait(lock, [&] { return stopped_; });
    }
    void stop_maintaining() override {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        wake_.notify_all();
    }
    void wait_running() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(wake_.wait_for(lock, 20s, [&] { return running_; }));
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    bool running_ = false;
    bool stopped_ = false;
};

TEST_F(engine_test, space_that_is_given_back_for_long_holds_up_neither_measuring_nor_the_stop) {
    endless_store endless;
    storage::local_commit_log log(endless);
    engine running({.store = endless,
                    .commits = log,
                    .clock = clock,
                    .sinks = {&sink},
                    .fatal = [](const std::string& what) { FAIL() << what; },
                    .log = {}},
                   {.seed = 1});
    ASSERT_TRUE(running.start());
    endless.wait_running();
    endless.set_disk(storage::memory_store::disk_level::below_reserve);
    const auto until = std::chrono::steady_clock::now() + 20s;
    bool heard = false;
    while (!heard && std::chrono::steady_clock::now() < until) {
        std::promise<bool> below;
        running.request_statistics(
            [&](const engine_statistics& s) { below.set_value(s.store.room.below_reserve); });
        heard = below.get_future().get();
    }
    EXPECT_TRUE(heard);
    running.stop();
}

// Holds loads back from when it is told to until it is told to let them go.
class held_store final : public storage::memory_store {
public:
    [[nodiscard]] outcome<domain::loaded_state> load() override {
        {
            std::unique_lock lock(mutex_);
            waiting_ = held_;
            wake_.notify_all();
            wake_.wait(lock, [&] { return !held_; });
            waiting_ = false;
        }
        return memory_store::load();
    }
    void hold() { set_held(true); }
    void let_go() { set_held(false); }
    [[nodiscard]] bool wait_loading() {
        std::unique_lock lock(mutex_);
        return wake_.wait_for(lock, 20s, [&] { return waiting_; });
    }

private:
    void set_held(bool held) {
        const std::lock_guard lock(mutex_);
        held_ = held;
        wake_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    bool held_ = false;
    bool waiting_ = false;
};

// With a thread of the engine's own, and on that of a host.
class engine_reload_test : public engine_test, public testing::WithParamInterface<bool> {
protected:
    // A load is held back, connection 1 and its queue t/q were there before.
    void start_reload() {
        ASSERT_TRUE(running.start());
        running.post(batch_of(
            1, {domain::connection_opened{connection_id{1}, "c"}, create_queue(1, "t/q")}));
        ASSERT_EQ(sink.wait_for(1).size(), 1U);
        held.hold();
        running.drop_and_reload();
        ASSERT_TRUE(held.wait_loading());
        ASSERT_TRUE(sink.wait_closed());
    }
    // Also where it was held when the test failed.
    void TearDown() override { held.let_go(); }

    std::promise<void> other_work;
    std::promise<engine_statistics> statistics;
    held_store held;
    storage::local_commit_log log{held};
    thread_host host;
    engine running{{.store = held,
                    .commits = log,
                    .clock = clock,
                    .sinks = {&sink},
                    .fatal = [](const std::string& what) { FAIL() << what; },
                    .log = {},
                    .host = GetParam() ? &host : nullptr},
                   {.seed = 1}};
};

INSTANTIATE_TEST_SUITE_P(threads, engine_reload_test, testing::Bool(), [](const auto& of) {
    return std::string(of.param ? "of_a_host" : "of_its_own");
});

TEST_P(engine_reload_test, keeps_no_thread_busy_while_it_loads) {
    start_reload();
    host.run_soon([&] { other_work.set_value(); });
    EXPECT_EQ(other_work.get_future().wait_for(20s), std::future_status::ready);
    running.request_statistics([&](const engine_statistics& s) { statistics.set_value(s); });
    auto asked = statistics.get_future();
    ASSERT_EQ(asked.wait_for(20s), std::future_status::ready);
    EXPECT_EQ(asked.get().reloads, 1U);
    EXPECT_EQ(running.epoch(), broker_epoch{1});

    // Whoever comes now is answered when all is there.
    running.post(
        batch_of(2, {domain::connection_opened{connection_id{2}, "c"}, create_queue(2, "t/q")}));
    held.let_go();
    const auto outputs = sink.wait_for(1);
    EXPECT_FALSE(std::get<codec::queue_created>(outputs.at(0).body).created) << "it is there";
    EXPECT_EQ(running.epoch(), broker_epoch{2});
}

TEST_P(engine_reload_test, stops_when_the_load_is_over) {
    start_reload();
    running.post(
        batch_of(2, {domain::connection_opened{connection_id{2}, "c"}, create_queue(2, "t/r")}));
    auto stopping = std::async(std::launch::async, [&] { running.stop(); });
    EXPECT_EQ(stopping.wait_for(50ms), std::future_status::timeout);
    held.let_go();
    ASSERT_EQ(stopping.wait_for(20s), std::future_status::ready);
    EXPECT_EQ(sink.wait_for(1).size(), 1U) << "what came before the end is answered";
    EXPECT_EQ(running.epoch(), broker_epoch{2});
    EXPECT_EQ(held.unsynced_commits(), 0U);
}

TEST_P(engine_reload_test, stops_when_the_thread_of_its_host_has_ended_during_the_load) {
    start_reload();
    host.end();
    held.let_go();
    running.stop();
    EXPECT_EQ(running.epoch(), broker_epoch{2});
}

}  // namespace
}  // namespace brokerd::engine
