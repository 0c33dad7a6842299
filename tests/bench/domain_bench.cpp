// What a message costs in the domain alone: publish, deliver, acknowledge, per message, in commits
// of some size, as the engine drives it. Mutations are made and dropped: nothing is stored.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <benchmark/benchmark.h>

#include "broker/domain/broker_state.hpp"
#include "protocol/codec/record_batch.hpp"

namespace brokerd::domain {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t batch_messages = 64;

// A broker with one topic, one queue and one consumer, which acks all it gets.
class driver {
public:
    explicit driver(queue_mode mode) : state_({}) {
        state_.restore({}, gathering_, now_, out_);
        cut();
        state_.apply(connection_opened{connection_, "bench"}, now_, out_);
        codec::queue_create create;
        create.queue = "t/q";
        create.mode = mode;
        create.create_topic = true;
        ask(std::move(create));
        codec::attach attach;
        attach.queue = "t/q";
        attach.consumer = consumer_id{1};
        attach.prefetch_messages = 10000;
        attach.prefetch_bytes = 64 * limits::mib;
        ask(std::move(attach));
        commit();
        for (const output& each : out_.outputs) {
            if (const auto* created = std::get_if<codec::queue_created>(&each.body)) {
                queue_ = created->queue;
            }
        }
        out_.outputs.clear();
    }

    void publish(const shared_bytes& batch) {
        ask(publish_request{.topic = "t",
                            .batch = batch,
                            .count = batch_messages,
                            .producer = {},
                            .first_sequence = 0,
                            .largest_record = 200});
    }

    // Ends the commit, acks what was delivered; returns how many messages that were.
    std::uint64_t commit() {
        state_.seal(now_, out_);
        cut();
        state_.dispatch(now_, out_);
        codec::settle settle;
        settle.queue = queue_;
        settle.action = settle_action::ack;
        std::uint64_t messages = 0;
        for (const output& each : out_.outputs) {
            if (const auto* delivered = std::get_if<delivery>(&each.body)) {
                for (const record_run& run : delivered->runs) {
                    settle.runs.push_back(run.leases);
                    messages += run.leases.count;
                }
            }
        }
        if (messages > 0) {
            out_.outputs.clear();
            ask(std::move(settle));
            now_.mono += 100us;
            now_.wall += 100us;
            state_.tick(now_, out_);
        }
        return messages;
    }

private:
    void ask(request_body body) {
        state_.apply(request{connection_, 1, std::move(body)}, now_, out_);
    }
    void cut() {
        out_.mutations.clear();
        out_.urgent = false;
        gathering_ = commit_number{gathering_.value() + 1};
        state_.commit_cut(gathering_);
    }

    connection_id connection_{1};
    queue_id queue_;
    commit_number gathering_{1};
    instant now_{mono_time{1h}, wall_time{1h}};
    effects out_;
    broker_state state_;
};

// Batches of messages whose keys go round.
std::vector<shared_bytes> batches(std::int64_t keys) {
    const std::string payload(100, 'x');
    std::vector<shared_bytes> made;
    std::int64_t next = 0;
    for (int i = 0; i < 64; ++i) {
        codec::batch_builder builder;
        for (std::uint32_t n = 0; n < batch_messages; ++n) {
            const std::string key = "k" + std::to_string(next++ % std::max<std::int64_t>(keys, 1));
            codec::record_fields fields{.payload = as_bytes(payload)};
            fields.key = key;
            builder.add(fields);
        }
        auto bytes = std::make_shared<byte_buffer>(builder.take({}, 0));
        made.push_back({bytes, *bytes});
    }
    return made;
}

// Arguments: batches of 64 messages a commit, number of keys.
void publish_deliver_ack(benchmark::State& state, queue_mode mode) {
    const auto input = batches(state.range(1));
    driver broker(mode);
    std::uint64_t messages = 0;
    std::size_t next = 0;
    for (auto _ : state) {
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            broker.publish(input[next++ % input.size()]);
        }
        messages += broker.commit();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(messages));
}
BENCHMARK_CAPTURE(publish_deliver_ack, shared, queue_mode::shared)->Args({1, 1})->Args({16, 1});
BENCHMARK_CAPTURE(publish_deliver_ack, keyed, queue_mode::keyed)
    ->Args({1, 100000})
    ->Args({16, 100000})
    ->Args({16, 1000});

}  // namespace
}  // namespace brokerd::domain
