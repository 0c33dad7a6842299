// A queue with a filter, and queues with an end that get a part of the log again.
#include <algorithm>
#include <chrono>
#include <future>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/crash/mix_leases.hpp"
#include "tests/crash/mix_visits.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* filter_topic = "mix.filter";
constexpr const char* filter_queue = "mix.filter/german";
constexpr const char* filter_text = "header.country = 'DE' and size >= 8";
constexpr auto filter_part_time = 20s;  // to get all of a part

// The same in C++.
bool filter_takes(const std::vector<header>& headers, const std::string& payload) {
    return payload.size() >= 8 &&
           std::ranges::find(headers, header{"country", "DE"}) != headers.end();
}

class filter_feature : public mix_feature {
public:
    filter_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          german_(filter_queue, scene.told()),
          leases_(filter_queue, scene.told()) {}

    std::string name() const override { return filter_topic; }

    void prepare(client& with) override {
        with.ensure_topic(filter_topic, {.keep_done = 24h});
        queue_options settings{
            .lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 50ms};
        settings.filter = filter_text;
        with.ensure_queue(filter_queue, settings);
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }, [this] { replay(); }};
    }

    // Of the part of the work that is over: what nobody expected is told when it comes.
    void audit(client& with) override {
        for (const auto& each : read_topic(with, filter_topic)) {
            ++stored_;
            if (!filter_takes(each.headers, each.payload)) {
                german_.done(each.offset);
            }
        }
        drain_queue(with, scene_.told(), filter_queue, [&](const message& m) { saw(1, m); });
        german_.audit();
    }

    std::string summary() const override {
        return fmt::format("{} messages, {} deliveries, {} parts with {} deliveries", stored_,
                           german_.delivered_count(), parts_, parts_delivered_);
    }

private:
    void saw(std::uint64_t consumer, const message& m) {
        german_.delivered(m.offset());
        leases_.delivered(consumer, m.offset(), m.lease());
    }

    // Publishes, and takes from the filtered queue what it published.
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        auto from = with.open_consumer(filter_queue, {.prefetch_messages = 20});
        while (!scene_.over()) {
            publish(with, random);
            for (std::uint64_t i = random.below(12); i > 0; --i) {
                auto message = from.next(5ms);
                if (!message) {
                    break;
                }
                saw(0, *message);
                const answer given = choose_answer(random);
                if (given == answer::ack_confirmed) {
                    if (const auto lease = message->lease(); confirmed_ack(*message)) {
                        leases_.confirmed(message->offset(), lease, scene_.epoch());
                    }
                } else if (given == answer::nack) {
                    message->nack(std::chrono::milliseconds(random.below(20)), "unlucky");
                } else if (given == answer::release) {
                    message->release();
                } else {
                    message->ack();
                }
            }
            mix_scene::rest(10ms);
        }
        from.close();
        with.close();
    }

    void publish(client& with, base::random& random) {
        std::vector<std::pair<bool, std::future<address>>> sent;
        for (std::uint64_t i = random.below(6); i > 0; --i) {
            outgoing_message message;
            message.payload = std::string(random.below(16), 'x');
            if (random.chance(2, 3)) {
                message.headers.emplace_back("country", random.chance(1, 2) ? "DE" : "AT");
            }
            const bool takes = filter_takes(message.headers, message.payload);
            sent.emplace_back(takes, with.publish_async(filter_topic, message));
        }
        for (auto& [takes, stored] : sent) {
            const std::uint64_t offset = stored.get().offset;
            if (takes) {
                german_.expect(offset);
            }
        }
    }

    void replay() {
        base::random random(seed_ * 31);
        auto with = mix_connect(scene_);
        admin look(with);
        while (!scene_.over()) {
            mix_scene::rest(std::chrono::milliseconds(random.between(50, 200)));
            const std::uint64_t end = look.topic(filter_topic).next_offset;
            if (end > 0) {
                part(with, end - random.below(std::min<std::uint64_t>(end, 60)) - 1, end);
            }
        }
        with.close();
    }

    // A queue of [begin, end), worked off and removed.
    void part(client& with, std::uint64_t begin, std::uint64_t end) {
        const std::string queue = fmt::format("{}/part-{}", filter_topic, ++parts_);
        visit_ledger visits(queue, scene_.told());
        for (const auto& each : read_topic(with, filter_topic)) {
            if (each.offset >= begin && each.offset < end &&
                filter_takes(each.headers, each.payload)) {
                visits.expect(each.offset);
            }
        }
        queue_options settings;
        settings.filter = filter_text;
        settings.until = end;
        with.ensure_queue(queue, settings, log_position::at_offset(begin));
        auto from = with.open_consumer(queue, {.prefetch_messages = 10});
        const auto deadline = std::chrono::steady_clock::now() + filter_part_time;
        while (visits.missing() > 0 && std::chrono::steady_clock::now() < deadline) {
            if (auto message = from.next(20ms)) {
                visits.delivered(message->offset());
                message->ack();
            }
        }
        while (auto more = from.next(5ms)) {  // which nobody expects, but for acks that were lost
            visits.delivered(more->offset());
            more->ack();
        }
        visits.audit();
        parts_delivered_ += visits.delivered_count();
        from.close();
        remove_surely(with, queue);
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    visit_ledger german_;
    lease_ledger leases_;
    std::size_t stored_ = 0;
    std::size_t parts_ = 0;
    std::size_t parts_delivered_ = 0;
};

}  // namespace

feature mix_filter(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<filter_feature>(scene, seed);
}

}  // namespace brokerd::crash
