// Temporary queues that nobody uses, one that is used, and one that may wait.
#include "tests/crash/mix_temporary.hpp"

#include <chrono>
#include <set>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* temporary_topic = "mix.temporary";
constexpr const char* temporary_used = "mix.temporary/used";
constexpr const char* temporary_waits = "mix.temporary/waits";
constexpr std::size_t temporary_max = 50;  // queues
constexpr auto temporary_patience = 20s;   // 10 s after a start, and some

class temporary_feature : public mix_feature {
public:
    temporary_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene), seed_(seed), queues_(scene.told()) {}

    std::string name() const override { return temporary_topic; }

    void prepare(client& with) override { with.ensure_topic(temporary_topic); }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    // Its consumer is gone now: the one that was used has to go, too.
    void audit(client& with) override {
        queues_.to_go(temporary_used);
        const auto deadline = std::chrono::steady_clock::now() + temporary_patience;
        while (queues_.left(there(with)) > 0 && std::chrono::steady_clock::now() < deadline) {
            mix_scene::rest(100ms);
        }
        queues_.audit_gone(there(with));
        if (!there(with).contains(temporary_waits)) {
            scene_.told().tell(fmt::format("{} is gone before its time", temporary_waits));
        }
    }

    std::string summary() const override { return fmt::format("{} unused", queues_.going_count()); }

private:
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        // Long enough that its consumer is there in time, and below the least time after a start.
        with.ensure_queue(temporary_used, {.expires = 5s}, log_position::latest());
        with.ensure_queue(temporary_waits, {.expires = 1h}, log_position::latest());
        queues_.to_stay(temporary_used);
        queues_.to_stay(temporary_waits);
        auto from = with.open_consumer(temporary_used);
        while (!scene_.over()) {
            if (random.chance(1, 3) && queues_.going_count() < temporary_max) {
                const std::string queue =
                    fmt::format("{}/unused-{}", temporary_topic, queues_.going_count());
                with.ensure_queue(queue, {.expires = 1s}, log_position::latest());
                queues_.to_go(queue);
            }
            outgoing_message message;
            message.payload = "news";
            (void)with.publish(temporary_topic, message);
            while (auto news = from.next(10ms)) {
                news->ack();
            }
            queues_.audit_staying(there(with));
            mix_scene::rest(50ms);
        }
        from.close();
        with.close();
    }

    static std::set<std::string> there(client& with) {
        std::set<std::string> all;
        for (const auto& each : admin(with).queues(temporary_topic)) {
            all.insert(each.path());
        }
        return all;
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    temporary_ledger queues_;
};

}  // namespace

feature mix_temporary(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<temporary_feature>(scene, seed);
}

}  // namespace brokerd::crash
