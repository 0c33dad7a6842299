// What a message costs in the domain alone: the whole round of publish, deliver and acknowledge,
// and each step by itself.
#include <chrono>
#include <cstdint>

#include <benchmark/benchmark.h>

#include "tests/bench/domain_driver.hpp"

namespace brokerd::bench {
namespace {

using steady = std::chrono::steady_clock;

// Arguments: batches of 64 messages a commit, number of keys.
void publish_deliver_ack(benchmark::State& state, queue_mode mode) {
    constexpr std::uint32_t prefetch = 10'000;
    const auto input = make_batches(64, static_cast<std::uint64_t>(state.range(1)));
    domain_driver broker(mode, prefetch);
    broker.cut();
    std::uint64_t messages = 0;
    std::size_t next = 0;
    for (auto _ : state) {
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            broker.publish(input[next++ % input.size()]);
        }
        broker.seal();
        broker.cut();
        broker.dispatch();
        // With keys once more for each further message of a key.
        while (const std::uint64_t delivered = broker.take_deliveries()) {
            messages += delivered;
            broker.choose_all();
            broker.ack();
            broker.dispatch();
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(messages));
}
BENCHMARK_CAPTURE(publish_deliver_ack, shared, queue_mode::shared)->Args({1, 1})->Args({16, 1});
BENCHMARK_CAPTURE(publish_deliver_ack, keyed, queue_mode::keyed)
    ->Args({1, 100000})
    ->Args({16, 100000})
    ->Args({16, 1000});

enum class step { publish, seal, ack, ack_with_gaps, dispatch };

// The same rounds, of which one step is timed. The consumer has room for the messages of one commit
// and holds those of the one before until they are acked, so that seal gives out nothing, and
// dispatch one commit.
void one_step(benchmark::State& state, queue_mode mode, step timed) {
    constexpr std::uint32_t commit_batches = 16;
    constexpr std::uint32_t commit_messages = commit_batches * batch_messages;
    constexpr std::uint64_t keys = 100'000;
    const auto input = make_batches(256, mode == queue_mode::keyed ? keys : 0);
    domain_driver broker(mode, commit_messages);
    broker.cut();
    std::chrono::duration<double> spent{};
    const auto time = [&](step what, auto&& call) {
        const auto start = steady::now();
        call();
        if (what == timed) {
            spent += steady::now() - start;
        }
    };
    std::size_t next = 0;
    std::uint64_t delivered = 0;
    for (auto _ : state) {
        spent = {};
        time(step::publish, [&] {
            for (std::uint32_t i = 0; i < commit_batches; ++i) {
                broker.publish(input[next++ % input.size()]);
            }
        });
        time(step::seal, [&] { broker.seal(); });
        broker.cut();
        if (timed == step::ack_with_gaps) {
            broker.choose_gaps(false);
            time(timed, [&] { broker.ack(); });
            broker.choose_gaps(true);
            time(timed, [&] { broker.ack(); });
        } else {
            broker.choose_all();
            time(step::ack, [&] { broker.ack(); });
        }
        time(step::dispatch, [&] { broker.dispatch(); });
        delivered += broker.take_deliveries();
        state.SetIterationTime(spent.count());
    }
    const std::int64_t messages = state.iterations() * commit_messages;
    if (delivered != static_cast<std::uint64_t>(messages)) {
        state.SkipWithError("a commit was not delivered as a whole");
    }
    state.SetItemsProcessed(messages);
}
BENCHMARK_CAPTURE(one_step, publish, queue_mode::shared, step::publish)->UseManualTime();
BENCHMARK_CAPTURE(one_step, seal, queue_mode::shared, step::seal)->UseManualTime();
BENCHMARK_CAPTURE(one_step, dispatch, queue_mode::shared, step::dispatch)->UseManualTime();
BENCHMARK_CAPTURE(one_step, dispatch_keyed, queue_mode::keyed, step::dispatch)->UseManualTime();
BENCHMARK_CAPTURE(one_step, ack, queue_mode::shared, step::ack)->UseManualTime();
BENCHMARK_CAPTURE(one_step, ack_with_gaps, queue_mode::shared, step::ack_with_gaps)
    ->UseManualTime();
BENCHMARK_CAPTURE(one_step, ack_keyed, queue_mode::keyed, step::ack)->UseManualTime();

}  // namespace
}  // namespace brokerd::bench
