// Two that publish the same ids, again and again.
#include "tests/crash/mix_ids.hpp"

#include <algorithm>
#include <chrono>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* ids_topic = "mix.ids";
constexpr std::uint64_t ids_publishers = 2;

class ids_feature : public mix_feature {
public:
    ids_feature(mix_scene& scene, std::uint64_t seed)
        : scene_(scene), seed_(seed), ids_(ids_topic, scene.told()) {}

    std::string name() const override { return ids_topic; }

    void prepare(client& with) override { with.ensure_topic(ids_topic, {.keep_done = 24h}); }

    std::vector<std::function<void()>> loads() override {
        std::vector<std::function<void()>> all;
        for (std::uint64_t i = 0; i < ids_publishers; ++i) {
            all.emplace_back([this, i] { publish(i); });
        }
        return all;
    }

    void audit(client& with) override { ids_.audit(read_topic(with, ids_topic)); }

    std::string summary() const override { return ids_.summary(); }

private:
    // Both go through the same ids at about the same pace, and look back: a little, where the first
    // publish may be unanswered yet, or as far as it goes, over many restarts.
    void publish(std::uint64_t publisher) {
        base::random random(seed_ * 17 + publisher);
        auto with = mix_connect(scene_);
        std::uint64_t newest = 0;
        for (std::uint64_t count = 0; !scene_.over(); ++count) {
            const std::uint64_t burst = ids_.unanswered() < 100 ? random.below(4) : 0;
            for (std::uint64_t i = 0; i < burst; ++i) {
                const std::uint64_t dice = random.below(10);
                const std::uint64_t back_max =
                    dice < 9 ? std::min<std::uint64_t>(newest, 20) : newest;
                const std::uint64_t back = dice < 6 ? 0 : random.below(back_max + 1);
                newest += back == 0 ? 1 : 0;
                const std::string id = fmt::format("id-{}", newest - back);
                ids_.submitted(id);
                const outgoing_message message{
                    .key = {},
                    .headers = {},
                    .payload = fmt::format("{} of {}, {}", id, publisher, count),
                    .id = id};
                with.submit(ids_topic, message, [this, id](const publish_result& told) {
                    if (told) {
                        ids_.answered(id, told.offset, told.duplicate);
                    } else {
                        scene_.told().tell(fmt::format("{}: a publish of id {} failed: {}",
                                                       ids_topic, id, told.failure->what()));
                    }
                });
            }
            mix_scene::rest(10ms);
        }
        with.flush();
        with.close();
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    id_ledger ids_;
};

}  // namespace

feature mix_ids(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<ids_feature>(scene, seed);
}

}  // namespace brokerd::crash
