// Plain publishes and a shared queue.
#include <chrono>
#include <utility>

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

constexpr std::uint64_t plain_producers = 2;
constexpr std::uint64_t plain_consumers = 2;

class plain_feature : public mix_feature {
public:
    plain_feature(mix_scene& scene, std::uint64_t seed, bool os)
        : scene_(scene),
          seed_(seed),
          topic_(os ? "mix.os" : "mix.plain"),
          queue_(topic_ + "/work"),
          level_(os ? durability_level::os : durability_level::disk),
          publishes_(topic_, plain_producers, scene.told()),
          leases_(queue_, scene.told()) {}

    std::string name() const override { return topic_; }

    void prepare(client& with) override {
        topic_options topic;
        topic.keep_done = 24h;
        topic.durability = level_;
        with.ensure_topic(topic_, topic);
        with.ensure_queue(
            queue_, {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 100ms});
    }

    std::vector<std::function<void()>> loads() override {
        std::vector<std::function<void()>> all;
        for (std::uint64_t i = 0; i < plain_producers; ++i) {
            all.emplace_back([this, i] { publish(i); });
        }
        for (std::uint64_t i = 0; i < plain_consumers; ++i) {
            all.emplace_back([this, i] { consume(i); });
        }
        return all;
    }

    void audit(client& with) override {
        drain_queue(with, scene_.told(), queue_,
                    [&](const message& m) { saw(plain_consumers, m); });
        publishes_.audit(read_numbers(with, topic_));
        if (const auto dead = read_dead(with, queue_); !dead.empty()) {
            scene_.told().tell(fmt::format("{}: {} messages are dead", queue_, dead.size()));
        }
    }

    std::string summary() const override {
        return fmt::format("{} acknowledged, {} deliveries, {} acks confirmed",
                           publishes_.acknowledged_count(), leases_.delivered_count(),
                           leases_.confirmed_count());
    }

private:
    void publish(std::uint64_t producer) {
        base::random random(seed_ * 17 + producer);
        auto with = mix_connect(scene_);
        std::uint64_t content = producer + plain_producers;
        while (!scene_.over()) {
            const std::uint64_t burst = publishes_.unanswered() < 400 ? random.below(5) : 0;
            for (std::uint64_t i = 0; i < burst; ++i, content += plain_producers) {
                publishes_.submitted(content);
                const outgoing_message message{
                    .key = {}, .headers = {}, .payload = std::to_string(content)};
                with.submit(topic_, message,
                            [this, content](const publish_result& told) { hear(told, content); });
            }
            mix_scene::rest(3ms);  // a kill is to find something unanswered, mostly
        }
        with.flush();
        with.close();
    }

    void hear(const publish_result& told, std::uint64_t content) {
        if (!told) {
            scene_.told().tell(
                fmt::format("{}: a publish failed: {}", topic_, told.failure->what()));
        } else if (told.level != level_) {
            scene_.told().tell(fmt::format("{}: {} was acknowledged as {}", topic_, content,
                                           to_string(told.level)));
        } else {
            publishes_.acknowledged(told.offset, content);
        }
    }

    void saw(std::uint64_t consumer, const message& m) {
        publishes_.found(m.offset(), content_of(m.payload()));
        leases_.delivered(consumer, m.offset(), m.lease());
    }

    void consume(std::uint64_t consumer) {
        base::random random(seed_ * 31 + consumer);
        auto with = mix_connect(scene_);
        auto from = with.open_consumer(queue_, {.prefetch_messages = 50});
        while (!scene_.over()) {
            auto message = from.next(20ms);
            if (!message) {
                continue;
            }
            saw(consumer, *message);
            switch (choose_answer(random)) {
                case answer::ack_confirmed:
                    if (const auto lease = message->lease(); confirmed_ack(*message)) {
                        leases_.confirmed(message->offset(), lease, scene_.epoch());
                    }
                    break;
                case answer::nack:
                    message->nack(std::chrono::milliseconds(random.below(50)), "unlucky");
                    break;
                case answer::release: message->release(); break;
                case answer::ack:
                case answer::reject: message->ack(); break;
            }
        }
        from.close();
        with.close();
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    std::string topic_;
    std::string queue_;
    durability_level level_;
    publish_ledger publishes_;
    lease_ledger leases_;
};

}  // namespace

feature mix_plain(mix_scene& scene, std::uint64_t seed, bool os) {
    return std::make_unique<plain_feature>(scene, seed, os);
}

}  // namespace brokerd::crash
