// A queue that is moved back, and gives out again what lies from there on.
#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/crash/mix_leases.hpp"
#include "tests/crash/mix_visits.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* seek_topic = "mix.seek";
constexpr const char* seek_queue = "mix.seek/work";
constexpr std::uint64_t seek_back_max = 40;  // messages

class seek_feature : public mix_feature {
public:
    seek_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          visits_(seek_queue, scene.told()),
          leases_(seek_queue, scene.told()) {}

    std::string name() const override { return seek_topic; }

    void prepare(client& with) override {
        with.ensure_topic(seek_topic, {.keep_done = 24h});
        with.ensure_queue(
            seek_queue,
            {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 20ms});
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    void audit(client& with) override {
        const std::uint64_t consumer = ++consumers_;
        drain_queue(with, scene_.told(), seek_queue, [&](const message& m) { saw(consumer, m); });
        visits_.audit();
    }

    std::string summary() const override {
        return fmt::format("{} messages, {} deliveries, moved {} times", end_,
                           visits_.delivered_count(), moves_);
    }

private:
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            publish(with, random.below(10));
            consume(with, random);
            if (random.chance(1, 2)) {
                move(with, end_ - random.below(std::min(end_, seek_back_max) + 1));
            }
            mix_scene::rest(20ms);
        }
        with.close();
    }

    void publish(client& with, std::uint64_t count) {
        std::vector<std::future<address>> sent;
        for (; count > 0; --count) {
            outgoing_message message;
            message.payload = "again";
            sent.push_back(with.publish_async(seek_topic, message));
        }
        for (auto& each : sent) {
            const std::uint64_t offset = each.get().offset;
            visits_.expect(offset);
            end_ = std::max(end_, offset + 1);
        }
    }

    void saw(std::uint64_t consumer, const message& m) {
        visits_.delivered(m.offset());
        leases_.delivered(consumer, m.offset(), m.lease());
    }

    // Some of what there is. A new consumer each time, as moving ends all leases.
    void consume(client& with, base::random& random) {
        consume_options options;
        options.prefetch_messages = 20;
        options.confirm = true;
        auto from = with.open_consumer(seek_queue, options);
        const std::uint64_t consumer = ++consumers_;
        std::vector<std::uint64_t> acked;
        for (std::uint64_t i = random.below(40); i > 0; --i) {
            auto message = from.next(5ms);
            if (!message) {
                break;
            }
            saw(consumer, *message);
            if (random.chance(1, 10)) {
                message->release();
                visits_.expect(message->offset());
            } else {
                acked.push_back(message->offset());
                message->ack();
            }
        }
        if (from.flush().refused == 0) {
            for (const std::uint64_t offset : acked) {
                visits_.done(offset);
            }
        }
        from.close();
    }

    // Again until it is known that it was done: moving twice is moving once.
    void move(client& with, std::uint64_t to) {
        admin change(with);
        std::optional<slice> moved;
        while (!moved) {
            moved = outcome_of(
                [&] { return change.seek_queue(seek_queue, log_position::at_offset(to)); });
        }
        ++moves_;
        if (moved->messages != end_ - to || moved->next != to) {
            scene_.told().tell(fmt::format("{}: moved to {} instead of {}, {} ready instead of {}",
                                           seek_queue, moved->next, to, moved->messages,
                                           end_ - to));
        }
        visits_.done_below(to);
        for (std::uint64_t offset = to; offset < end_; ++offset) {
            visits_.expect(offset);
        }
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    visit_ledger visits_;
    lease_ledger leases_;
    std::uint64_t end_ = 0;
    std::uint64_t consumers_ = 0;
    std::size_t moves_ = 0;
};

}  // namespace

feature mix_seek(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<seek_feature>(scene, seed);
}

}  // namespace brokerd::crash
