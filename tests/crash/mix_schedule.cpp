// Messages for a little later, some of which are cancelled, some sent twice with an id.
#include "tests/crash/mix_schedule.hpp"

#include <chrono>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/crash_clients.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* schedule_topic = "mix.schedule";
constexpr auto schedule_later_max = 1500ms;
constexpr auto schedule_patience = 30s;  // until all have come

timestamp schedule_clock() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
}

class schedule_feature : public mix_feature {
public:
    schedule_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene), seed_(seed), schedules_(schedule_topic, scene.told()) {}

    std::string name() const override { return schedule_topic; }

    void prepare(client& with) override { with.ensure_topic(schedule_topic, {.keep_done = 24h}); }

    std::vector<std::function<void()>> loads() override {
        return {[this] { work(); }};
    }

    void audit(client& with) override {
        admin look(with);
        const auto deadline = std::chrono::steady_clock::now() + schedule_patience;
        while (look.topic(schedule_topic).scheduled > 0) {
            if (std::chrono::steady_clock::now() > deadline) {
                scene_.told().tell(fmt::format("{}: {} are still scheduled", schedule_topic,
                                               look.topic(schedule_topic).scheduled));
                break;
            }
            mix_scene::rest(20ms);
        }
        if (const auto left = look.schedules(schedule_topic).schedules; !left.empty()) {
            scene_.told().tell(
                fmt::format("{}: schedule {} is still listed", schedule_topic, left.front().id));
        }
        std::vector<schedule_ledger::appended> stored;
        for (const auto& each : read_topic(with, schedule_topic)) {
            stored.push_back({content_of(each.payload), each.offset, each.time});
        }
        schedules_.audit(stored);
    }

    std::string summary() const override { return schedules_.summary(); }

private:
    void work() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        admin change(with);
        std::uint64_t content = 1;
        while (!scene_.over()) {
            const std::uint64_t burst = schedules_.unanswered() < 50 ? random.below(4) : 0;
            for (std::uint64_t i = 0; i < burst; ++i, ++content) {
                schedule(with, random, content);
            }
            if (random.chance(1, 6)) {
                // Late enough that it is mostly cancelled in time.
                if (const auto one =
                        schedules_.some_after(schedule_clock() + 20ms, random.next())) {
                    cancel(change, *one);
                }
            }
            mix_scene::rest(10ms);
        }
        with.flush();
        with.close();
    }

    void schedule(client& with, base::random& random, std::uint64_t content) {
        const std::chrono::milliseconds delay(random.below(schedule_later_max.count()));
        const bool twice = random.chance(1, 5);
        const timestamp due = schedule_clock() + delay;
        const auto when =
            random.chance(1, 2) ? schedule_time::after(delay) : schedule_time::at(due);
        const outgoing_message message{.key = {},
                                       .headers = {},
                                       .payload = std::to_string(content),
                                       .id = twice ? fmt::format("schedule-{}", content) : ""};
        schedules_.submitted(content, due);
        const auto told = [this, content](const publish_result& result) {
            if (result) {
                schedules_.acknowledged(content, result.offset);
            } else {
                scene_.told().tell(fmt::format("{}: a schedule failed: {}", schedule_topic,
                                               result.failure->what()));
            }
        };
        with.schedule(schedule_topic, message, when, told);
        if (twice) {
            with.schedule(schedule_topic, message, when, told);
        }
    }

    void cancel(admin& change, const schedule_ledger::chosen& one) {
        schedules_.cancelling(one.content);
        if (const auto did =
                outcome_of([&] { return change.cancel_schedules(schedule_topic, {one.id}); })) {
            schedules_.cancelled(one.content, *did);
        }
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    schedule_ledger schedules_;
};

}  // namespace

feature mix_schedule(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<schedule_feature>(scene, seed);
}

}  // namespace brokerd::crash
