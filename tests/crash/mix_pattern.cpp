// A pattern queue with one consumer, while topics are made that it matches.
#include "tests/crash/mix_pattern.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "broker/base/random.hpp"
#include "tests/crash/crash_clients.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/crash/mix_leases.hpp"
#include "tests/crash/mix_publishes.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* pattern_rule = "grown.*/work";
constexpr std::size_t pattern_topics_max = 40;
constexpr std::size_t pattern_unanswered_max = 50;  // messages, of a topic
constexpr auto pattern_time = 40s;                  // to get all that is left

// A topic and its queue of the rule.
struct grown_topic {
    grown_topic(std::string of, findings& told)
        : name(std::move(of)),
          queue(name + "/work"),
          publishes(name, 1, told),
          leases(queue, told) {}

    std::string name;
    std::string queue;
    publish_ledger publishes;
    lease_ledger leases;
    std::uint64_t next_content = 1;  // of the producer
};

class pattern_feature : public mix_feature {
public:
    pattern_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene), seed_(seed), grown_(pattern_rule, scene.told()) {
        for (std::size_t i = 0; i < pattern_topics_max; ++i) {
            topics_.push_back(
                std::make_unique<grown_topic>(fmt::format("grown.{}", i), scene.told()));
        }
    }

    std::string name() const override { return "mix.pattern"; }

    // One topic is there before the rule.
    void prepare(client& with) override {
        with.ensure_topic(topics_.front()->name, {.keep_done = 24h});
        with.ensure_queue(
            pattern_rule,
            {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 50ms});
        note_made(with, *topics_.front());
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { publish(); }, [this] { consume(); }};
    }

    void audit(client& with) override {
        drain_all(with);
        std::set<std::string> there;
        for (const auto& each : queues_of_rule(with)) {
            there.insert(each.topic);
        }
        grown_.audit_queues(there);
        if (const auto rule = admin(with).pattern(pattern_rule); rule.queues != there.size()) {
            scene_.told().tell(fmt::format("{} says that it has {} queues, and has {}",
                                           pattern_rule, rule.queues, there.size()));
        }
        for (std::size_t i = 0; i < made_; ++i) {
            grown_topic& each = *topics_[i];
            const auto stored = read_numbers(with, each.name);
            each.publishes.audit(stored);
            grown_.audit(each.name, stored);
        }
    }

    std::string summary() const override {
        std::size_t acknowledged = 0;
        std::size_t confirmed = 0;
        for (const auto& each : topics_) {
            acknowledged += each->publishes.acknowledged_count();
            confirmed += each->leases.confirmed_count();
        }
        return fmt::format("{} topics, {} acknowledged, {} deliveries, {} acks confirmed",
                           grown_.topic_count(), acknowledged, grown_.delivered_count(), confirmed);
    }

private:
    // ---- publishing ----

    void note_made(client& with, const grown_topic& which) {
        const auto queues = admin(with).queues(which.name);
        grown_.made(which.name,
                    std::ranges::find(queues, which.queue, &queue_info::path) != queues.end());
    }

    // Half of them by a queue of their own that nobody reads, so that it keeps what is published.
    void grow(client& with, base::random& random) {
        const grown_topic& next = *topics_[made_];
        if (random.chance(1, 2)) {
            with.ensure_queue(next.name + "/own");
        } else {
            with.ensure_topic(next.name, {.keep_done = 24h});
        }
        note_made(with, next);
        ++made_;
    }

    void publish() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            if (made_ < pattern_topics_max && random.chance(1, 60)) {
                grow(with, random);
            }
            // Often to the newest one.
            grown_topic& to = *topics_[random.chance(1, 3) ? made_ - 1 : random.below(made_)];
            if (to.publishes.unanswered() < pattern_unanswered_max) {
                for (std::uint64_t i = random.below(4); i > 0; --i) {
                    send(with, to);
                }
            }
            mix_scene::rest(10ms);
        }
        with.flush();
        with.close();
    }

    void send(client& with, grown_topic& to) {
        const std::uint64_t content = to.next_content++;
        to.publishes.submitted(content);
        const outgoing_message message{
            .key = {}, .headers = {}, .payload = std::to_string(content)};
        with.submit(to.name, message, [this, &to, content](const publish_result& told) {
            if (told) {
                to.publishes.acknowledged(told.offset, content);
            } else {
                scene_.told().tell(
                    fmt::format("{}: a publish failed: {}", to.name, told.failure->what()));
            }
        });
    }

    // ---- consuming ----

    // The topic that a delivery is of; null if it is of none.
    grown_topic* topic_of(const message& m) {
        const auto at = std::ranges::find(topics_, m.topic(), &grown_topic_name);
        return at == topics_.end() ? nullptr : at->get();
    }
    static const std::string& grown_topic_name(const std::unique_ptr<grown_topic>& of) {
        return of->name;
    }

    grown_topic* saw(std::uint64_t consumer, const message& m) {
        grown_.delivered(m.topic(), m.offset());
        grown_topic* of = topic_of(m);
        if (of != nullptr && m.queue() != of->queue) {
            scene_.told().tell(fmt::format("{}@{} came from {}", of->name, m.offset(), m.queue()));
        }
        if (of != nullptr) {
            of->publishes.found(m.offset(), content_of(m.payload()));
            of->leases.delivered(consumer, m.offset(), m.lease());
        }
        return of;
    }

    // Attaches anew now and then, when there are more queues.
    void consume() {
        base::random random(seed_ * 31);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            const std::uint64_t consumer = consumers_++;
            auto from = with.open_consumer(pattern_rule, {.prefetch_messages = 20});
            for (std::uint64_t i = 50 + random.below(950); i > 0 && !scene_.over(); --i) {
                if (auto message = from.next(20ms)) {
                    if (grown_topic* of = saw(consumer, *message)) {
                        give_answer(*of, *message, random);
                    }
                }
            }
            from.close();
        }
        with.close();
    }

    void give_answer(grown_topic& of, message& m, base::random& random) {
        switch (choose_answer(random)) {
            case answer::ack_confirmed:
                if (const auto lease = m.lease(); confirmed_ack(m)) {
                    of.leases.confirmed(m.offset(), lease, scene_.epoch());
                }
                break;
            case answer::nack:
                m.nack(std::chrono::milliseconds(random.below(50)), "unlucky");
                break;
            case answer::release: m.release(); break;
            case answer::ack:
            case answer::reject: m.ack(); break;
        }
    }

    // ---- the end ----

    static std::vector<queue_info> queues_of_rule(client& with) {
        std::vector<queue_info> all = admin(with).queues();
        std::erase_if(all, [](const queue_info& each) {
            return !each.topic.starts_with("grown.") || each.queue != "work";
        });
        return all;
    }

    // All queues by one consumer; then each for itself, which has nothing any more.
    void drain_all(client& with) {
        const std::uint64_t consumer = consumers_++;
        const auto deadline = std::chrono::steady_clock::now() + pattern_time;
        consume_options options;
        options.confirm = true;
        auto from = with.open_consumer(pattern_rule, options);
        const auto is_empty = [&] {
            (void)from.flush();
            return std::ranges::all_of(queues_of_rule(with), [](const queue_info& each) {
                return each.ready + each.leased + each.retrying == 0;
            });
        };
        while (std::chrono::steady_clock::now() < deadline) {
            if (auto message = from.next(50ms)) {
                (void)saw(consumer, *message);
                message->ack();
            } else if (is_empty()) {
                break;
            }
        }
        from.close();
        for (const auto& each : queues_of_rule(with)) {
            drain_queue(with, scene_.told(), each.path(), [&](const message& m) {
                scene_.told().tell(fmt::format("{}@{} came from {} and not from {}", m.topic(),
                                               m.offset(), m.queue(), pattern_rule));
            });
        }
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    pattern_ledger grown_;
    std::vector<std::unique_ptr<grown_topic>> topics_;
    std::size_t made_ = 1;         // of them; of the producer
    std::uint64_t consumers_ = 0;  // one at a time
};

}  // namespace

feature mix_pattern(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<pattern_feature>(scene, seed);
}

}  // namespace brokerd::crash
