// The engine core driven by hand: a store in memory, commits that complete when the test says so,
// outputs and fetches that are looked at. Manual time, no threads.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "broker/engine/engine_core.hpp"
#include "broker/storage/memory_store.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd::engine {

using namespace std::chrono_literals;

class manual_commits final : public commit_starter {
public:
    struct commit {
        commit_number number;
        std::vector<domain::mutation> batch;
        bool sync = true;
    };
    void start(commit_number number, std::vector<domain::mutation> batch, bool sync) override {
        ASSERT_FALSE(running) << "two commits at once";
        running = commit{number, std::move(batch), sync};
        ++started;
    }

    std::optional<commit> running;
    int started = 0;
};

class manual_fetches final : public fetch_starter {
public:
    [[nodiscard]] bool start(domain::fetch what, std::uint64_t generation) override {
        if (full) {
            return false;
        }
        waiting.emplace_back(std::move(what), generation);
        return true;
    }
    void maintain_soon() override { ++maintain_calls; }
    void load(state_load what) override {
        ASSERT_FALSE(loading) << "two loads at once";
        loading.emplace(std::move(what));
    }

    std::vector<std::pair<domain::fetch, std::uint64_t>> waiting;
    std::optional<state_load> loading;
    bool full = false;
    int maintain_calls = 0;
};

class recording_sink final : public output_sink {
public:
    void deliver(std::vector<domain::output> more) override {
        for (auto& each : more) {
            outputs.push_back(std::move(each));
        }
    }
    void close_all(const failure& why) override { closed_for = why; }
    void inbox_relieved() override {}

    std::vector<domain::output> outputs;
    std::optional<failure> closed_for;
};

class engine_fixture : public testing::Test {
protected:
    engine_fixture() { make_core(); }

    void make_core() {
        core_.emplace(
            core_parts{.store = store,
                       .commits = commits,
                       .fetches = fetches,
                       .sinks = {&sink},
                       .fatal = [this](const std::string& what) { fatal.push_back(what); },
                       .log = {},
                       .os_sync_interval = os_sync_interval},
            domain::domain_options{.seed = 1});
    }
    engine_core& core() { return *core_; }

    // Loads and makes the epoch durable.
    void start() {
        ASSERT_TRUE(core().load(now));
        complete();
        ASSERT_TRUE(core().ready());
        (void)finish();
    }
    mono_time finish() {
        const auto wake = core().finish_turn(now);
        return fetches.loading && !hold_loads ? complete_load() : wake;
    }
    mono_time complete_load() {
        auto load = *std::exchange(fetches.loading, std::nullopt);
        load.run(store);
        core().loaded(std::move(load), now);
        return core().finish_turn(now);
    }

    // The running commit reaches the store and comes back.
    void complete() {
        ASSERT_TRUE(commits.running) << "no commit runs";
        const auto done = *std::exchange(commits.running, std::nullopt);
        core().committed(done.number, store.apply(done.number, done.batch, done.sync), now);
    }
    void complete_with(storage::append_status status) {
        const auto done = *std::exchange(commits.running, std::nullopt);
        core().committed(done.number, {status, "as the test wants"}, now);
    }
    // Turns until nothing is left to commit or to fetch.
    void settle_all() {
        (void)finish();
        while (commits.running || !fetches.waiting.empty()) {
            if (commits.running) {
                complete();
            }
            for (auto& [what, generation] : std::exchange(fetches.waiting, {})) {
                core().answered({generation, {what.id, store.read(what.body)}}, now);
            }
            (void)finish();
        }
    }

    void open(std::uint64_t connection = 1) {
        post(connection, domain::connection_opened{connection_id{connection}, "c"});
    }
    void post(std::uint64_t connection, domain::command command, std::size_t bytes = 0) {
        command_batch batch{connection_id{connection}, {}, bytes};
        batch.commands.push_back(std::move(command));
        core().apply(std::move(batch), now);
    }
    void ask(std::uint32_t id, domain::request_body body, std::uint64_t connection = 1) {
        post(connection, domain::request{connection_id{connection}, id, std::move(body)});
    }
    [[nodiscard]] static domain::publish_request publish_of(const std::string& payload) {
        codec::batch_builder builder;
        builder.add({.key = {}, .headers = {}, .payload = as_bytes(payload)});
        const auto bytes = std::make_shared<byte_buffer>(builder.take({}, 0));
        return {.topic = "t",
                .batch = {bytes, *bytes},
                .count = 1,
                .producer = {},
                .first_sequence = 0,
                .largest_record = payload.size() + codec::record_bytes_min};
    }
    // With `later` it is scheduled.
    void publish(std::uint32_t id, const std::string& payload = "x", std::uint64_t connection = 1,
                 std::optional<domain::schedule_time> later = std::nullopt) {
        auto request = publish_of(payload);
        request.later = later;
        ask(id, std::move(request), connection);
    }
    // Topic t with queue q.
    void make_queue() {
        open();
        ask(1, codec::queue_create{.queue = "t/q", .create_topic = true});
        settle_all();
        (void)take();
    }

    // As the broker lists topic t; nothing else is left to be answered.
    codec::topic_item topic(std::uint64_t connection = 1) {
        settle_all();
        (void)take();
        ask(1000, codec::topic_list{.topic = "t"}, connection);
        settle_all();
        const auto outputs = take();
        const auto* const listed =
            outputs.size() == 1 ? std::get_if<codec::topics>(&outputs[0].body) : nullptr;
        EXPECT_NE(listed, nullptr);
        return listed == nullptr ? codec::topic_item{} : listed->items.at(0);
    }

    std::vector<domain::output> take() { return std::exchange(sink.outputs, {}); }
    // Ids of the requests answered with a Body since the last take.
    template <typename Body>
    std::vector<std::uint32_t> answered() {
        std::vector<std::uint32_t> ids;
        for (const auto& out : sink.outputs) {
            if (std::holds_alternative<Body>(out.body)) {
                ids.push_back(static_cast<std::uint32_t>(out.request));
            }
        }
        return ids;
    }

    storage::memory_store store;
    manual_commits commits;
    manual_fetches fetches;
    recording_sink sink;
    std::vector<std::string> fatal;
    bool hold_loads = false;                                // until complete_load
    duration_us os_sync_interval{limits::os_sync_default};  // of the next core that is made
    instant now{mono_time{1000s}, wall_time{1'700'000'000s}};

private:
    std::optional<engine_core> core_;
};

}  // namespace brokerd::engine
