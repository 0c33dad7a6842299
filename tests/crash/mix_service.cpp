// Requests and replies beside everything else: a reply belongs to its request, and nothing stays.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"

namespace brokerd::crash {
namespace {

using namespace std::chrono_literals;

constexpr const char* service_name = "mix.service";

class service_feature : public mix_feature {
public:
    service_feature(mix_scene& scene, std::uint64_t seed) : scene_(scene), seed_(seed) {}

    std::string name() const override { return service_name; }

    void prepare(client&) override {}

    std::vector<std::function<void()>> loads() override {
        return {[this] { serve(); }, [this] { ask(); }};
    }

    void audit(client& with) override {
        for (const auto& each : admin(with).services()) {
            scene_.told().tell(
                fmt::format("service {} still has {} responders", each.service, each.responders));
        }
        for (const auto& each : admin(with).topics()) {
            if (each.topic == service_name) {
                scene_.told().tell(fmt::format("service {} left a topic behind", service_name));
            }
        }
    }

    std::string summary() const override {
        return fmt::format("{} requests, {} without a reply", asked_, unanswered_);
    }

private:
    void serve() {
        auto with = mix_connect(scene_);
        serve_options options;
        options.stop = scene_.ending();
        with.serve(
            service_name,
            [](const service_request& asked) {
                outgoing_message reply;
                reply.payload = "reply to " + asked.payload;
                return reply;
            },
            options);
        with.close();
    }

    // Those that may be refused or lost while a broker dies.
    static bool acceptable(const std::error_code& code) {
        static const std::array<std::error_code, 8> all{
            broker_errc::no_responder,      broker_errc::responder_gone, broker_errc::busy,
            broker_errc::deadline_exceeded, client_errc::not_connected,  client_errc::timed_out,
            client_errc::outcome_unknown,   broker_errc::reply_dropped};
        return std::ranges::find(all, code) != all.end();
    }

    void ask() {
        base::random random(seed_ * 17);
        auto with = mix_connect(scene_);
        while (!scene_.over()) {
            outgoing_message request;
            request.payload = fmt::format("request {} {}", asked_++, random.below(100));
            try {
                const auto reply = with.request(service_name, request, {.timeout = 500ms});
                if (reply.payload != "reply to " + request.payload) {
                    scene_.told().tell(fmt::format("\"{}\" was answered with \"{}\"",
                                                   request.payload, reply.payload));
                }
            } catch (const error& failed) {
                ++unanswered_;
                if (!acceptable(failed.code())) {
                    throw;
                }
            }
            mix_scene::rest(10ms);
        }
        with.close();
    }

    mix_scene& scene_;
    std::uint64_t seed_;
    std::size_t asked_ = 0;
    std::size_t unanswered_ = 0;
};

}  // namespace

feature mix_service(mix_scene& scene, std::uint64_t seed) {
    return std::make_unique<service_feature>(scene, seed);
}

}  // namespace brokerd::crash
