// A keyed queue, or a single one, whose consumers come and go.
#include "tests/crash/mix_order.hpp"

#include <atomic>
#include <chrono>
#include <optional>

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

constexpr std::uint64_t order_keys = 6;
constexpr std::size_t order_backlog_max = 200;  // messages

class order_feature : public mix_feature {
public:
    order_feature(mix_scene& scene, std::uint64_t seed, delivery_mode mode)
        : scene_(scene),
          seed_(seed),
          mode_(mode),
          topic_(fmt::format("mix.{}", brokerd::to_string(mode))),
          queue_(topic_ + "/work"),
          publishes_(topic_, 1, scene.told()),
          order_(queue_, scene.told()),
          leases_(queue_, scene.told()) {}

    std::string name() const override { return topic_; }

    void prepare(client& with) override {
        with.ensure_topic(topic_, {.keep_done = 24h});
        with.ensure_queue(queue_,
                          {.lease = mix_lease, .attempts = 3, .backoff = 10ms, .backoff_max = 50ms},
                          log_position::earliest(), mode_);
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { publish(); }, [this] { consume(0); }, [this] { consume(1); }};
    }

    void audit(client& with) override {
        const std::uint64_t consumer = next_consumer_++;
        drain_queue(with, scene_.told(), queue_, [&](const message& m) {
            saw(consumer, m);
            order_.answering(m.offset(), key_of(m.key()), m.lease(), order_ledger::end::done);
        });
        publishes_.audit(read_numbers(with, topic_));
        std::map<std::uint64_t, std::string> keys;
        for (const auto& each : read_topic(with, topic_)) {
            keys[each.offset] = key_of(each.key);
        }
        std::set<std::uint64_t> dead;
        for (const auto& each : read_dead(with, queue_)) {
            dead.insert(each.offset);
        }
        dead_ = dead.size();
        order_.audit(keys, dead);
    }

    std::string summary() const override {
        return fmt::format("{} acknowledged, {} deliveries, {} acks confirmed, {} dead",
                           publishes_.acknowledged_count(), leases_.delivered_count(),
                           leases_.confirmed_count(), dead_);
    }

private:
    // What the order is of: in mode single everything.
    std::string key_of(std::optional<std::string_view> key) const {
        return mode_ == delivery_mode::single ? "all" : std::string(key.value_or(""));
    }

    void publish() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        std::uint64_t content = 1;
        while (!scene_.over()) {
            const bool room =
                publishes_.unanswered() < 50 &&
                publishes_.acknowledged_count() < order_.ended_count() + order_backlog_max;
            for (std::uint64_t i = room ? random.below(6) : 0; i > 0; --i, ++content) {
                outgoing_message message{
                    .key = {}, .headers = {}, .payload = std::to_string(content)};
                if (const std::uint64_t key = random.below(order_keys + 1); key > 0) {
                    message.key = fmt::format("key-{}", key);
                }
                publishes_.submitted(content);
                with.submit(topic_, message, [this, content](const publish_result& told) {
                    if (told) {
                        publishes_.acknowledged(told.offset, content);
                    } else {
                        scene_.told().tell(
                            fmt::format("{}: a publish failed: {}", topic_, told.failure->what()));
                    }
                });
            }
            mix_scene::rest(10ms);
        }
        with.flush();
        with.close();
    }

    void saw(std::uint64_t consumer, const message& m) {
        publishes_.found(m.offset(), content_of(m.payload()));
        leases_.delivered(consumer, m.offset(), m.lease());
        order_.delivered(m.offset(), key_of(m.key()), m.lease());
    }

    // Another consumer takes over now and then, above all in mode single.
    void consume(std::uint64_t which) {
        base::random random(seed_ * 31 + which);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            const std::uint64_t consumer = next_consumer_++;
            auto from = with.open_consumer(queue_, {.prefetch_messages = 10});
            for (std::uint64_t i = 20 + random.below(80); i > 0 && !scene_.over(); --i) {
                if (auto message = from.next(20ms)) {
                    saw(consumer, *message);
                    give_answer(*message, random, from.attempts());
                }
            }
            from.close();
        }
        with.close();
    }

    void give_answer(message& m, base::random& random, std::uint32_t attempts) {
        using end = order_ledger::end;
        const auto lease = m.lease();
        const auto note = [&](end after) {
            order_.answering(m.offset(), key_of(m.key()), lease, after);
        };
        switch (choose_answer(random)) {
            case answer::ack:
                note(end::done);
                m.ack();
                break;
            case answer::ack_confirmed:
                note(end::done);
                if (confirmed_ack(m)) {
                    leases_.confirmed(m.offset(), lease, scene_.epoch());
                }
                break;
            case answer::nack:
                note(m.attempt() >= attempts ? end::dead : end::open);
                m.nack(std::chrono::milliseconds(random.below(20)), "unlucky");
                break;
            case answer::reject:
                note(end::dead);
                m.reject("no use");
                break;
            case answer::release:
                note(end::open);
                m.release();
                break;
        }
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    delivery_mode mode_;
    std::string topic_;
    std::string queue_;
    publish_ledger publishes_;
    order_ledger order_;
    lease_ledger leases_;
    std::atomic<std::uint64_t> next_consumer_{0};
    std::size_t dead_ = 0;
};

}  // namespace

feature mix_order(mix_scene& scene, std::uint64_t seed, delivery_mode mode) {
    return std::make_unique<order_feature>(scene, seed, mode);
}

}  // namespace brokerd::crash
