// One consumer that fails often, in a queue with few attempts.
#include "tests/crash/mix_retry.hpp"

#include <chrono>
#include <future>

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

constexpr const char* retry_topic = "mix.retry";
constexpr const char* retry_queue = "mix.retry/work";
constexpr std::uint32_t retry_attempts = 3;

class retry_feature : public mix_feature {
public:
    retry_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          publishes_(retry_topic, 1, scene.told()),
          leases_(retry_queue, scene.told()),
          fates_(retry_queue, retry_attempts, scene.told()) {}

    std::string name() const override { return retry_topic; }

    void prepare(client& with) override {
        with.ensure_topic(retry_topic, {.keep_done = 24h});
        with.ensure_queue(
            retry_queue,
            {.lease = mix_lease, .attempts = retry_attempts, .backoff = 10ms, .backoff_max = 20ms});
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    void audit(client& with) override {
        drain_queue(with, scene_.told(), retry_queue, [&](const message& m) {
            saw(1, m);
            fates_.answered(m.offset(), retry_ledger::kind::ack, {});
        });
        publishes_.audit(read_numbers(with, retry_topic));
        fates_.audit(read_dead(with, retry_queue));
    }

    std::string summary() const override { return fates_.summary(); }

private:
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        admin change(with);
        consume_options options;
        options.prefetch_messages = 20;
        options.confirm = true;
        auto from = with.open_consumer(retry_queue, options);
        std::uint64_t refused = 0;
        while (!scene_.over()) {
            publish(with, random.below(5));
            std::vector<std::pair<std::uint64_t, lease_token>> given;
            for (std::uint64_t i = random.below(15); i > 0; --i) {
                if (auto message = from.next(5ms)) {
                    saw(0, *message);
                    given.emplace_back(message->offset(), message->lease());
                    give_answer(*message, random);
                }
            }
            // Which of them were refused is not told: then nothing is sure of any.
            if (const auto counts = from.flush(); counts.refused > refused) {
                refused = counts.refused;
            } else {
                for (const auto& [offset, lease] : given) {
                    fates_.confirmed(offset, lease);
                }
            }
            if (random.chance(1, 4)) {
                redrive(change, random.next());
            }
            mix_scene::rest(5ms);
        }
        from.close();
        with.close();
    }

    void publish(client& with, std::uint64_t count) {
        std::vector<std::pair<std::uint64_t, std::future<address>>> sent;
        for (; count > 0; --count) {
            const std::uint64_t content = ++newest_;
            publishes_.submitted(content);
            const outgoing_message message{
                .key = {}, .headers = {}, .payload = std::to_string(content)};
            sent.emplace_back(content, with.publish_async(retry_topic, message));
        }
        for (auto& [content, stored] : sent) {
            publishes_.acknowledged(stored.get().offset, content);
        }
    }

    void saw(std::uint64_t consumer, const message& m) {
        publishes_.found(m.offset(), content_of(m.payload()));
        leases_.delivered(consumer, m.offset(), m.lease());
        fates_.delivered({m.offset(), m.lease(), m.attempt(), m.history()});
    }

    void give_answer(message& m, base::random& random) {
        using kind = retry_ledger::kind;
        const std::uint64_t dice = random.below(20);
        const std::string reason =
            fmt::format("dice {} at {}:{}", dice, m.lease().epoch, m.lease().counter);
        if (dice < 8) {
            fates_.answered(m.offset(), kind::ack, {});
            m.ack();
        } else if (dice < 16) {
            fates_.answered(m.offset(), kind::nack, reason);
            m.nack(std::chrono::milliseconds(random.below(20)), reason);
        } else if (dice < 18) {
            fates_.answered(m.offset(), kind::reject, reason);
            m.reject(reason);
        } else {
            fates_.answered(m.offset(), kind::release, {});
            m.release();
        }
    }

    void redrive(admin& change, std::uint64_t number) {
        const std::uint64_t* const chosen = fates_.some_dead(number);
        if (chosen == nullptr) {
            return;
        }
        const std::uint64_t offset = *chosen;
        selection one;
        one.from = offset;
        one.until = offset + 1;
        fates_.redriving(offset);
        if (const auto did = outcome_of([&] { return change.redrive_dead(retry_queue, one); })) {
            fates_.redrove(offset, did->messages);
        }
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    publish_ledger publishes_;
    lease_ledger leases_;
    retry_ledger fates_;
    std::uint64_t newest_ = 0;
};

}  // namespace

feature mix_retry(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<retry_feature>(scene, seed);
}

}  // namespace brokerd::crash
