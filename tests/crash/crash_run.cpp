// The cycles: publishers and consumers on the client library against a broker that keeps dying.
#include "tests/crash/crash_run.hpp"

#include <atomic>
#include <map>
#include <thread>

#include "broker/base/random.hpp"
#include "tests/crash/crash_clients.hpp"
#include "tests/crash/ledger.hpp"
#include "tests/support/broker_process.hpp"
#include <brokerd/client.hpp>

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t publishers = 2;
constexpr std::uint32_t consumers = 3;
constexpr auto later_max = 400ms;  // of what is scheduled
constexpr const char* topic = "crash";
constexpr const char* queue = "crash/work";

// Publishes numbers pipelined until told to stop, one in eight for a little later; then waits for
// every result.
void publish_load(const std::string& server, std::uint64_t first, ledger& facts,
                  const std::atomic<bool>& stop) {
    base::random random(first);
    auto client = connect(server, patient());
    for (std::uint64_t content = first; !stop.load();) {
        if (!facts.has_room()) {
            continue;
        }
        facts.submitted(content);
        const bool later = random.chance(1, 8);
        const auto told = [&facts, content, later](const publish_result& result) {
            if (!result) {
                facts.complain(std::string("a publish failed: ") + result.failure->what());
            } else if (later) {
                facts.scheduled(result.offset, content);
            } else {
                facts.acknowledged(result.offset, content);
            }
        };
        const outgoing_message message{
            .key = {}, .headers = {}, .payload = std::to_string(content)};
        if (later) {
            const std::chrono::milliseconds delay(random.below(later_max.count()));
            client.schedule(topic, message, schedule_time::after(delay), told);
        } else {
            client.submit(topic, message, told);
        }
        content += publishers;
    }
    client.flush();
    client.close();
}

// Takes messages and answers each in one of the ways an application would.
void consume_load(const std::string& server, std::uint64_t seed, ledger& facts,
                  const std::atomic<bool>& stop) {
    base::random random(seed);
    auto client = connect(server, patient());
    consume_options options;
    options.prefetch_messages = 50;
    auto from = client.open_consumer(queue, options);
    while (!stop.load()) {
        auto message = from.next(20ms);
        if (!message) {
            continue;
        }
        facts.delivered(message->offset(), content_of(message->payload()), message->lease());
        const std::uint64_t dice = random.below(20);
        if (dice < 3) {
            try {
                message->ack_confirmed();
                facts.confirmed(message->offset(), message->lease());
            } catch (const error& failed) {
                if (failed.code() != broker_errc::lease_gone) {
                    facts.complain(std::string("a confirmed ack failed: ") + failed.what());
                }
            }
        } else if (dice < 17) {
            message->ack();
        } else if (dice < 19) {
            message->nack(std::chrono::milliseconds(random.below(50)), "unlucky");
        } else {
            message->release();
        }
    }
    from.close();
    client.close();
}

// Acks what is left until the queue is empty and nothing is scheduled any more: what was confirmed
// must not come.
void drain(const std::string& server, ledger& facts) {
    auto client = connect(server, patient());
    auto from = client.open_consumer(queue);
    static_assert(later_max < 1500ms);
    while (auto message = from.next(1500ms)) {
        facts.delivered(message->offset(), content_of(message->payload()), message->lease());
        message->ack();
    }
    from.close();
    client.close();
}

std::map<std::uint64_t, std::uint64_t> read_all(const std::string& server) {
    std::map<std::uint64_t, std::uint64_t> stored;
    auto client = connect(server, patient());
    auto from = client.open_reader(topic);
    while (auto message = from.next(200ms)) {
        stored[message->offset] = content_of(message->payload);
    }
    client.close();
    return stored;
}

}  // namespace

run_report run(const std::filesystem::path& brokerd, const std::filesystem::path& directory,
               const run_options& options) {
    base::random random(options.seed);
    ledger facts;
    support::broker_process broker({.program = brokerd,
                                    .data_dir = directory,
                                    .arguments = {},
                                    .environment = options.environment});
    const std::string server = broker.address();
    {
        auto client = connect(server, patient());
        client.ensure_topic(
            topic, {.keep_done = std::chrono::hours{1},
                    .durability = options.os ? durability_level::os : durability_level::disk});
        client.ensure_queue(queue,
                            {.lease = 2s, .attempts = 1000, .backoff = 10ms, .backoff_max = 100ms});
    }
    std::atomic<bool> stop{false};
    {
        std::vector<std::jthread> load;
        for (std::uint32_t i = 0; i < publishers; ++i) {
            load.emplace_back([&, i] { publish_load(server, 1 + i, facts, stop); });
        }
        for (std::uint32_t i = 0; i < consumers; ++i) {
            load.emplace_back([&, i] { consume_load(server, options.seed * 31 + i, facts, stop); });
        }
        for (std::uint32_t cycle = 0; cycle < options.cycles; ++cycle) {
            std::this_thread::sleep_for(std::chrono::milliseconds(
                random.between(options.life_min.count(), options.life_max.count())));
            facts.epoch_ends();
            broker.kill();
            broker.restart();
        }
        stop = true;
    }
    drain(server, facts);
    facts.audit(read_all(server));
    const int code = broker.terminate();
    if (code != 0) {
        facts.complain("brokerd ended with exit code " + std::to_string(code));
    }
    return {facts.acknowledged_count(), facts.confirmed_count(), facts.delivered_count(),
            facts.redelivered_count(), facts.violations()};
}

}  // namespace brokerd::crash
