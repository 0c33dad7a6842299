// A shared queue of a topic with levels of priority, whose consumers hold few messages and rest now
// and then, so that there is a backlog.
#include "tests/crash/mix_priority.hpp"

#include <array>
#include <chrono>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/crash_clients.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/crash/mix_leases.hpp"
#include "tests/crash/mix_publishes.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* priority_topic = "mix.priority";
constexpr const char* priority_queue = "mix.priority/work";
constexpr std::uint8_t priority_levels = 3;
constexpr std::uint64_t priority_producers = 2;
constexpr std::uint64_t priority_consumers = 2;
constexpr std::uint32_t priority_prefetch = 2;        // messages
constexpr std::size_t priority_backlog_max = 300;     // messages
constexpr std::uint64_t priority_last_messages = 60;  // of each producer: something to drain
constexpr auto priority_patience = 20s;

class priority_feature : public mix_feature {
public:
    priority_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          publishes_(priority_topic, priority_producers, scene.told()),
          leases_(priority_queue, scene.told()),
          priorities_(priority_queue, priority_levels, priority_consumers * priority_prefetch,
                      scene.told()) {}

    std::string name() const override { return priority_topic; }

    void prepare(client& with) override {
        topic_options topic;
        topic.keep_done = 24h;
        topic.priorities = priority_levels;
        with.ensure_topic(priority_topic, topic);
        with.ensure_queue(
            priority_queue,
            {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 50ms});
    }

    std::vector<std::function<void()>> loads() override {
        std::vector<std::function<void()>> all;
        for (std::uint64_t i = 0; i < priority_producers; ++i) {
            all.emplace_back([this, i] { publish(i); });
        }
        for (std::uint64_t i = 0; i < priority_consumers; ++i) {
            all.emplace_back([this, i] { consume(i); });
        }
        return all;
    }

    void audit(client& with) override {
        await_ready(with);
        drain_queue(
            with, scene_.told(), priority_queue,
            [&](const message& m) {
                saw(priority_consumers, m);
                priorities_.drained(m.offset(), m.priority());
            },
            1);
        priorities_.audit(with.broker().epoch);
        publishes_.audit(read_numbers(with, priority_topic));
        for (const auto& each : read_topic(with, priority_topic)) {
            priorities_.found(each.offset, content_of(each.payload), each.priority);
        }
        if (const auto dead = read_dead(with, priority_queue); !dead.empty()) {
            scene_.told().tell(
                fmt::format("{}: {} messages are dead", priority_queue, dead.size()));
        }
    }

    std::string summary() const override {
        return fmt::format("{} acknowledged, {} deliveries, {} acks confirmed, {} drained",
                           publishes_.acknowledged_count(), leases_.delivered_count(),
                           leases_.confirmed_count(), priorities_.drained_count());
    }

private:
    void publish(std::uint64_t producer) {
        base::random random(seed_ * 17 + producer);
        auto with = mix_connect(scene_);
        std::uint64_t content = producer + priority_producers;
        const auto submit = [&] {
            send(with, random, content);
            content += priority_producers;
        };
        while (!scene_.over()) {
            const bool room =
                publishes_.unanswered() < 50 &&
                publishes_.acknowledged_count() < priorities_.acked_count() + priority_backlog_max;
            for (std::uint64_t i = room ? random.below(8) : 0; i > 0; --i) {
                submit();
            }
            mix_scene::rest(5ms);
        }
        for (std::uint64_t i = 0; i < priority_last_messages; ++i) {
            submit();
        }
        with.flush();
        with.close();
    }

    // As often of one level as of another, some of a priority above the highest level. Neighbours
    // often have one priority, and share a batch.
    void send(client& with, base::random& random, std::uint64_t content) {
        static constexpr std::array<std::uint8_t, 7> priorities{0, 0, 1, 1, 2, 2, 9};
        outgoing_message message{.key = {}, .headers = {}, .payload = std::to_string(content)};
        message.priority = priorities[random.below(priorities.size())];
        publishes_.submitted(content);
        priorities_.submitted(content, message.priority);
        with.submit(priority_topic, message, [this, content](const publish_result& told) {
            if (told) {
                publishes_.acknowledged(told.offset, content);
            } else {
                scene_.told().tell(
                    fmt::format("{}: a publish failed: {}", priority_topic, told.failure->what()));
            }
        });
    }

    void saw(std::uint64_t consumer, const message& m) {
        const std::uint64_t content = content_of(m.payload());
        publishes_.found(m.offset(), content);
        priorities_.found(m.offset(), content, m.priority());
        leases_.delivered(consumer, m.offset(), m.lease());
    }

    void consume(std::uint64_t consumer) {
        base::random random(seed_ * 31 + consumer);
        auto with = mix_connect(scene_);
        auto from = with.open_consumer(priority_queue, {.prefetch_messages = priority_prefetch});
        while (!scene_.over()) {
            for (std::uint64_t i = random.below(80); i > 0 && !scene_.over(); --i) {
                if (auto message = from.next(20ms)) {
                    saw(consumer, *message);
                    priorities_.delivered(message->offset(), message->lease());
                    give_answer(*message, random);
                }
            }
            mix_scene::rest(std::chrono::milliseconds(random.below(200)));
        }
        from.close();
        with.close();
    }

    void give_answer(message& m, base::random& random) {
        switch (choose_answer(random)) {
            case answer::ack_confirmed:
                priorities_.acking(m.offset());
                if (const auto lease = m.lease(); confirmed_ack(m)) {
                    leases_.confirmed(m.offset(), lease, scene_.epoch());
                }
                break;
            case answer::nack:
                priorities_.failing(m.offset());
                m.nack(std::chrono::milliseconds(random.below(50)), "unlucky");
                break;
            case answer::release: m.release(); break;
            case answer::ack:
            case answer::reject:
                priorities_.acking(m.offset());
                m.ack();
                break;
        }
    }

    // The goodbyes of the consumers and the retries have come to their end.
    void await_ready(client& with) {
        const auto deadline = std::chrono::steady_clock::now() + priority_patience;
        while (std::chrono::steady_clock::now() < deadline) {
            const queue_info now = admin(with).queue(priority_queue);
            if (now.leased + now.retrying == 0) {
                return;
            }
            mix_scene::rest(10ms);
        }
        scene_.told().tell(fmt::format("{} is leased or retrying for too long: {}", priority_queue,
                                       admin(with).explain(priority_queue)));
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    publish_ledger publishes_;
    lease_ledger leases_;
    priority_ledger priorities_;
};

}  // namespace

feature mix_priority(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<priority_feature>(scene, seed);
}

}  // namespace brokerd::crash
