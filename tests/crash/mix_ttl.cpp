// Messages that live for a moment, and consumers that are too late for some.
#include "tests/crash/mix_ttl.hpp"

#include <array>
#include <chrono>
#include <future>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* ttl_topic = "mix.ttl";
constexpr auto ttl_max = 400ms;

timestamp ttl_clock() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
}

class ttl_feature : public mix_feature {
public:
    ttl_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          ledgers_{expiry_ledger(queues[0], expiry_policy::done, scene.told()),
                   expiry_ledger(queues[1], expiry_policy::dead, scene.told())} {}

    std::string name() const override { return ttl_topic; }

    void prepare(client& with) override {
        with.ensure_topic(ttl_topic, {.keep_done = 24h});
        queue_options settings{
            .lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 20ms};
        with.ensure_queue(queues[0], settings);
        settings.on_expiry = expiry_policy::dead;
        with.ensure_queue(queues[1], settings);
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    void audit(client& with) override {
        mix_scene::rest(ttl_max);
        for (std::size_t i = 0; i < queues.size(); ++i) {
            ledgers_[i].attaching(ttl_clock());
            drain_queue(with, scene_.told(), queues[i], [&](const message& m) {
                saw(i, m);
                ledgers_[i].answering(m.offset(), ttl_clock(), true);
            });
            ledgers_[i].audit(read_topic(with, ttl_topic), read_dead(with, queues[i]));
        }
    }

    std::string summary() const override {
        return fmt::format("{}; {}", ledgers_[0].summary(), ledgers_[1].summary());
    }

private:
    static constexpr std::array<const char*, 2> queues{"mix.ttl/forget", "mix.ttl/bury"};

    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            publish(with, random);
            if (random.chance(1, 2)) {
                consume(with, random, random.below(queues.size()));
            }
            mix_scene::rest(std::chrono::milliseconds(random.below(60)));
        }
        with.close();
    }

    static void publish(client& with, base::random& random) {
        std::vector<std::future<address>> sent;
        for (std::uint64_t i = random.below(10); i > 0; --i) {
            outgoing_message message;
            message.payload = "short";
            if (random.chance(4, 5)) {
                message.ttl = std::chrono::milliseconds(random.between(50, ttl_max.count()));
            }
            sent.push_back(with.publish_async(ttl_topic, message));
        }
        for (auto& each : sent) {
            (void)each.get();
        }
    }

    void saw(std::size_t queue, const message& m) {
        ledgers_[queue].delivered({m.offset(), m.time(), m.ttl()});
    }

    void consume(client& with, base::random& random, std::size_t queue) {
        expiry_ledger& of = ledgers_[queue];
        of.attaching(ttl_clock());
        auto from = with.open_consumer(queues[queue], {.prefetch_messages = 5});
        for (std::uint64_t i = random.below(20); i > 0 && !scene_.over(); --i) {
            auto message = from.next(10ms);
            if (!message) {
                continue;
            }
            saw(queue, *message);
            const answer given = choose_answer(random);
            const bool ack = given == answer::ack || given == answer::ack_confirmed;
            if (given == answer::ack_confirmed && confirmed_ack(*message)) {
                of.confirmed(message->offset());
            } else if (ack) {
                message->ack();
            } else if (given == answer::nack) {
                message->nack(std::chrono::milliseconds(random.below(30)), "unlucky");
            } else {
                message->release();
            }
            of.answering(message->offset(), ttl_clock(), ack);
        }
        from.close();
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    std::array<expiry_ledger, 2> ledgers_;
};

}  // namespace

feature mix_ttl(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<ttl_feature>(scene, seed);
}

}  // namespace brokerd::crash
