// Workers that take inputs, and bill and remind in transactions.
#include "tests/crash/mix_transaction.hpp"

#include <chrono>
#include <utility>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/crash/mix_publishes.hpp"
#include <brokerd/transaction.hpp>

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* transaction_inputs = "mix.inputs";
constexpr const char* transaction_queue = "mix.inputs/work";
constexpr const char* transaction_bills = "mix.bills";
constexpr const char* transaction_reminders = "mix.reminders";
constexpr auto transaction_patience = 30s;  // until the last reminder

class transaction_feature : public mix_feature {
public:
    transaction_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene),
          seed_(seed),
          inputs_(transaction_inputs, 1, scene.told()),
          work_(scene.told()) {}

    std::string name() const override { return transaction_inputs; }

    void prepare(client& with) override {
        for (const char* topic : {transaction_inputs, transaction_bills, transaction_reminders}) {
            with.ensure_topic(topic, {.keep_done = 24h});
        }
        with.ensure_queue(
            transaction_queue,
            {.lease = mix_lease, .attempts = 1000, .backoff = 10ms, .backoff_max = 50ms});
    }

    std::vector<std::function<void()>> loads() override {
        return {[this] { publish(); }, [this] { work(0); }, [this] { work(1); }};
    }

    void audit(client& with) override {
        admin look(with);
        const auto deadline = std::chrono::steady_clock::now() + transaction_patience;
        auto from = with.open_consumer(transaction_queue);
        const auto left = [&] {
            const queue_info now = look.queue(transaction_queue);
            return now.ready + now.leased + now.retrying +
                   look.topic(transaction_reminders).scheduled;
        };
        base::random random(seed_);
        while (left() > 0) {
            if (!take(with, from, random) && std::chrono::steady_clock::now() > deadline) {
                scene_.told().tell(
                    fmt::format("{}: {} inputs or reminders are left", transaction_queue, left()));
                break;
            }
        }
        from.close();
        const auto stored = read_numbers(with, transaction_inputs);
        inputs_.audit(stored);
        std::set<std::uint64_t> contents;
        for (const auto& [offset, content] : stored) {
            contents.insert(content);
        }
        work_.audit(contents, read_topic(with, transaction_bills),
                    read_topic(with, transaction_reminders));
    }

    std::string summary() const override { return work_.summary(); }

private:
    void publish() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        std::uint64_t content = 1;
        while (!scene_.over()) {
            const std::uint64_t burst = inputs_.unanswered() < 50 ? random.below(4) : 0;
            for (std::uint64_t i = 0; i < burst; ++i, ++content) {
                inputs_.submitted(content);
                const outgoing_message message{
                    .key = {}, .headers = {}, .payload = std::to_string(content)};
                with.submit(transaction_inputs, message,
                            [this, content](const publish_result& told) {
                                if (told) {
                                    inputs_.acknowledged(told.offset, content);
                                } else {
                                    scene_.told().tell(fmt::format("{}: a publish failed: {}",
                                                                   transaction_inputs,
                                                                   told.failure->what()));
                                }
                            });
            }
            mix_scene::rest(20ms);
        }
        with.flush();
        with.close();
    }

    void work(std::uint64_t worker) {
        base::random random(seed_ * 31 + worker);
        auto with = mix_connect(scene_);
        auto from = with.open_consumer(transaction_queue, {.prefetch_messages = 10});
        while (!scene_.over()) {
            (void)take(with, from, random);
        }
        from.close();
        with.close();
    }

    // One transaction of up to three inputs. Returns false if there was none.
    bool take(client& with, consumer& from, base::random& random) {
        const std::uint64_t number = work_.begun();
        transaction all;
        std::vector<std::uint64_t> inputs;
        for (std::uint64_t i = 1 + random.below(3); i > 0; --i) {
            auto message = from.next(inputs.empty() ? 20ms : 2ms);
            if (!message) {
                break;
            }
            const std::uint64_t input = content_of(message->payload());
            inputs_.found(message->offset(), input);
            inputs.push_back(input);
            all.ack(std::move(*message));
        }
        for (const std::uint64_t input : inputs) {
            const outgoing_message made{
                .key = {}, .headers = {}, .payload = transaction_ledger::payload(input, number)};
            all.publish(transaction_bills, made);
            const std::chrono::milliseconds later(random.below(300));
            all.schedule(transaction_reminders, made, schedule_time::after(later));
        }
        if (inputs.empty()) {
            return false;
        }
        try {
            const committed done = with.commit(all);
            for (std::size_t i = 0; i < inputs.size(); ++i) {
                work_.committed(number, inputs[i], done.messages.at(2 * i).offset);
            }
        } catch (const error& failed) {
            // The other worker has one of them, since the broker came back.
            if (failed.code() != broker_errc::lease_gone) {
                throw;
            }
            work_.refused(number);
        }
        return true;
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    publish_ledger inputs_;
    transaction_ledger work_;
};

}  // namespace

feature mix_transaction(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<transaction_feature>(scene, seed);
}

}  // namespace brokerd::crash
