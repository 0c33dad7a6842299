// A queue that is worked on, and clones of it that are emptied and removed.
#include "tests/crash/mix_clone.hpp"

#include <chrono>
#include <future>
#include <map>
#include <set>
#include <utility>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* clone_topic = "mix.clone";
constexpr const char* clone_source = "mix.clone/source";
constexpr std::size_t clone_dead_max = 30;  // then they are purged
constexpr auto clone_time = 20s;            // to get all of a clone

class clone_feature : public mix_feature {
public:
    clone_feature(mix_scene& scene, std::uint64_t seed) : scene_(scene), seed_(seed) {}

    std::string name() const override { return clone_topic; }

    void prepare(client& with) override {
        with.ensure_topic(clone_topic, {.keep_done = 24h});
        with.ensure_queue(
            clone_source,
            {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 20ms});
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    void audit(client& with) override {
        drain_queue(with, scene_.told(), clone_source, [](const message&) {});
    }

    std::string summary() const override {
        return fmt::format("{} clones, {} deliveries by them", clones_, delivered_);
    }

private:
    using state = source_ledger::state;

    // Nothing but this thread changes the source, so it is the same before, during and after the
    // making of a clone, known or unknown.
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        consume_options options;
        options.prefetch_messages = 10;
        options.confirm = true;
        auto from = with.open_consumer(clone_source, options);
        std::uint64_t refused = 0;
        while (!scene_.over()) {
            publish(with, random.below(6));  // fewer than are taken, so that clones stay small
            consume(from, random, refused);
            if (random.chance(1, 2)) {
                clone(with);
            }
            mix_scene::rest(20ms);
        }
        from.close();
        with.close();
    }

    void publish(client& with, std::uint64_t count) {
        std::vector<std::future<address>> sent;
        for (; count > 0; --count) {
            outgoing_message message;
            message.payload = "original";
            sent.push_back(with.publish_async(clone_topic, message));
        }
        for (auto& each : sent) {
            source_.stored(each.get().offset);
        }
    }

    void consume(consumer& from, base::random& random, std::uint64_t& refused) {
        std::map<std::uint64_t, answer> answers;  // the last one of each
        for (std::uint64_t i = random.below(10); i > 0; --i) {
            auto message = from.next(5ms);
            if (!message) {
                break;
            }
            const std::uint64_t offset = message->offset();
            source_.delivered(offset, message->attempt());
            const std::uint64_t dice = random.below(10);
            answers[offset] = dice < 5   ? answer::ack
                              : dice < 7 ? answer::reject
                              : dice < 9 ? answer::nack
                                         : answer::release;
            switch (answers[offset]) {
                case answer::ack:
                case answer::ack_confirmed: message->ack(); break;
                case answer::reject: message->reject("no use"); break;
                case answer::nack: message->nack(30ms, "unlucky"); break;
                case answer::release: message->release(); break;
            }
        }
        const auto counts = from.flush();
        const bool sure = counts.refused == refused;
        refused = counts.refused;
        for (const auto& [offset, with] : answers) {
            if (!sure) {
                source_.ended(offset, state::unknown);
            } else if (with == answer::ack) {
                source_.ended(offset, state::done);
            } else if (with == answer::reject) {
                source_.ended(offset, state::dead);
            } else if (with == answer::nack) {
                source_.failed(offset);
            }
        }
    }

    void clone(client& with) {
        admin change(with);
        const std::string name = fmt::format("clone-{}", ++clones_);
        const std::string queue = fmt::format("{}/{}", clone_topic, name);
        const auto made = [&] {
            return outcome_of([&] { return change.clone_queue(clone_source, name); });
        };
        // Unknown: then it is there as a whole, or not.
        while (!made() && !exists(change, queue)) {
        }
        source_.audit_dead(queue, read_dead(with, clone_source), read_dead(with, queue),
                           scene_.told());
        visit_ledger visits = source_.expected(queue, scene_.told());
        empty(with, queue, visits);
        remove_surely(with, queue);
        if (source_.dead_count() > clone_dead_max) {
            purge(change);
        }
    }

    static bool exists(admin& look, const std::string& queue) {
        for (const auto& each : look.queues(clone_topic)) {
            if (each.path() == queue) {
                return true;
            }
        }
        return false;
    }

    void empty(client& with, const std::string& queue, visit_ledger& visits) {
        consume_options options;
        options.confirm = true;
        auto from = with.open_consumer(queue, options);
        std::set<std::uint64_t> seen;
        const auto take = [&](std::chrono::milliseconds wait) {
            auto message = from.next(wait);
            if (!message) {
                return false;
            }
            visits.delivered(message->offset());
            if (seen.insert(message->offset()).second) {
                source_.audit_attempt(queue, message->offset(), message->attempt(), scene_.told());
            }
            message->ack();
            return true;
        };
        const auto deadline = std::chrono::steady_clock::now() + clone_time;
        while (visits.missing() > 0 && std::chrono::steady_clock::now() < deadline) {
            (void)take(20ms);
        }
        while (take(5ms)) {
        }
        (void)from.flush();
        visits.audit();
        delivered_ += visits.delivered_count();
        from.close();
    }

    // Again until it is known that it was done: that changes nothing more.
    void purge(admin& change) {
        selection all;
        for (bool more = true; more;) {
            const auto did = outcome_of([&] { return change.purge_dead(clone_source, all); });
            more = !did || did->more;
            all.from = did ? did->next : all.from;
        }
        source_.purged();
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    source_ledger source_;
    std::size_t clones_ = 0;
    std::size_t delivered_ = 0;
};

}  // namespace

feature mix_clone(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<clone_feature>(scene, seed);
}

}  // namespace brokerd::crash
