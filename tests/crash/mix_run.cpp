// The cycles of a mixed run.
#include "tests/crash/mix_run.hpp"

#include <chrono>
#include <exception>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "broker/base/random.hpp"
#include "tests/crash/mix_client.hpp"
#include "tests/crash/mix_feature.hpp"
#include "tests/support/broker_process.hpp"

namespace brokerd::crash {
namespace {

// Temporary queues last: they need time after a start, in which the others are audited.
std::vector<feature> all_features(mix_scene& scene, std::uint64_t seed) {
    base::random seeds(seed);
    std::vector<feature> all;
    all.push_back(mix_plain(scene, seeds.next(), false));
    all.push_back(mix_plain(scene, seeds.next(), true));
    all.push_back(mix_ids(scene, seeds.next()));
    all.push_back(mix_order(scene, seeds.next(), delivery_mode::keyed));
    all.push_back(mix_order(scene, seeds.next(), delivery_mode::single));
    all.push_back(mix_retry(scene, seeds.next()));
    all.push_back(mix_schedule(scene, seeds.next()));
    all.push_back(mix_ttl(scene, seeds.next()));
    all.push_back(mix_filter(scene, seeds.next()));
    all.push_back(mix_transaction(scene, seeds.next()));
    all.push_back(mix_clone(scene, seeds.next()));
    all.push_back(mix_seek(scene, seeds.next()));
    all.push_back(mix_service(scene, seeds.next()));
    all.push_back(mix_priority(scene, seeds.next()));
    all.push_back(mix_pattern(scene, seeds.next()));
    all.push_back(mix_temporary(scene, seeds.next()));
    return all;
}

// An exception of a feature is a finding of its own: none is to be expected.
void guarded(findings& told, const mix_feature& of, const std::function<void()>& what) {
    try {
        what();
    } catch (const std::exception& failed) {
        told.tell(fmt::format("{}: {}", of.name(), failed.what()));
    }
}

std::uint32_t kill_again_and_again(mix_scene& scene, support::broker_process& broker,
                                   const run_options& options) {
    base::random random(options.seed);
    std::uint32_t cycle = 0;
    while (cycle < options.cycles && !scene.told().any()) {
        mix_scene::rest(std::chrono::milliseconds(
            random.between(options.life_min.count(), options.life_max.count())));
        scene.epoch_ends();
        broker.kill();
        broker.restart();
        ++cycle;
    }
    return cycle;
}

// What clones, parts and clients leave behind.
void audit_leftovers(client& with, findings& told) {
    for (const auto& each : admin(with).queues()) {
        if (each.queue.starts_with("clone-") || each.queue.starts_with("part-")) {
            told.tell(fmt::format("{} is left behind", each.path()));
        }
    }
    for (const auto& each : admin(with).consumers()) {
        told.tell(fmt::format("{}/{} still has consumer {}", each.topic, each.queue, each.name));
    }
}

}  // namespace

mix_report run_mix(const std::filesystem::path& brokerd, const std::filesystem::path& directory,
                   const run_options& options) {
    support::broker_process broker({.program = brokerd,
                                    .data_dir = directory,
                                    .arguments = {},
                                    .environment = options.environment});
    mix_scene scene(broker.address());
    findings& told = scene.told();
    const auto features = all_features(scene, options.seed);
    {
        auto with = mix_connect(scene);
        for (const auto& each : features) {
            each->prepare(with);
        }
    }
    mix_report report;
    {
        std::vector<std::jthread> threads;
        for (const auto& each : features) {
            for (auto& load : each->loads()) {
                threads.emplace_back(
                    [&told, of = each.get(), load = std::move(load)] { guarded(told, *of, load); });
            }
        }
        try {
            report.cycles = kill_again_and_again(scene, broker, options);
        } catch (const std::exception& failed) {
            told.tell(failed.what());  // a broker that does not start; the loads give up in time
        }
        scene.end();
    }
    if (broker.running()) {
        auto with = mix_connect(scene);
        for (const auto& each : features) {
            guarded(told, *each, [&] { each->audit(with); });
            report.summaries.push_back(each->name() + ": " + each->summary());
        }
        audit_leftovers(with, told);
        with.close();
        if (const int code = broker.terminate(); code != 0) {
            told.tell(fmt::format("brokerd ended with exit code {}", code));
        }
    }
    report.violations = told.all();
    return report;
}

}  // namespace brokerd::crash
