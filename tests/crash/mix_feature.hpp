// A feature in a mixed crash run: its load, its ledger of what was promised, its audit. Each has
// topics, clients and random numbers of its own, so that what it does follows from the seed alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/mix_scene.hpp"
#include <brokerd/client.hpp>

namespace brokerd::crash {

class mix_feature {
public:
    mix_feature() = default;
    mix_feature(const mix_feature&) = delete;
    mix_feature& operator=(const mix_feature&) = delete;
    virtual ~mix_feature() = default;

    [[nodiscard]] virtual std::string name() const = 0;
    // Makes topics and queues, before the first kill.
    virtual void prepare(client& with) = 0;
    // Each is run by a thread of its own, and ends soon after the scene is over.
    [[nodiscard]] virtual std::vector<std::function<void()>> loads() = 0;
    // After the last restart and the end of all loads: takes what is left, and compares.
    virtual void audit(client& with) = 0;
    // What was done, for people.
    [[nodiscard]] virtual std::string summary() const = 0;
};

using feature = std::unique_ptr<mix_feature>;

// Publishes are there once, confirmed acks stay; of a topic of durability disk, or os.
[[nodiscard]] feature mix_plain(mix_scene& scene, std::uint64_t seed, bool os);
// A message with an id is stored once, whoever publishes it.
[[nodiscard]] feature mix_ids(mix_scene& scene, std::uint64_t seed);
// Order of keys, or of everything.
[[nodiscard]] feature mix_order(mix_scene& scene, std::uint64_t seed, delivery_mode mode);
// Attempts are counted, dead messages listed and redriven.
[[nodiscard]] feature mix_retry(mix_scene& scene, std::uint64_t seed);
// Schedules: once, not too early, and not at all once cancelled.
[[nodiscard]] feature mix_schedule(mix_scene& scene, std::uint64_t seed);
// Nothing that has expired is delivered.
[[nodiscard]] feature mix_ttl(mix_scene& scene, std::uint64_t seed);
// Filters of queues, and queues with an end.
[[nodiscard]] feature mix_filter(mix_scene& scene, std::uint64_t seed);
// Ack, publish and schedule together or not at all.
[[nodiscard]] feature mix_transaction(mix_scene& scene, std::uint64_t seed);
// A clone has the state of its source.
[[nodiscard]] feature mix_clone(mix_scene& scene, std::uint64_t seed);
// Moving a queue back.
[[nodiscard]] feature mix_seek(mix_scene& scene, std::uint64_t seed);
// The highest level first, and the oldest of it.
[[nodiscard]] feature mix_priority(mix_scene& scene, std::uint64_t seed);
// A pattern queue reaches all topics, those made later too.
[[nodiscard]] feature mix_pattern(mix_scene& scene, std::uint64_t seed);
// Temporary queues go, and only they.
[[nodiscard]] feature mix_temporary(mix_scene& scene, std::uint64_t seed);
// Requests and replies leave nothing behind.
[[nodiscard]] feature mix_service(mix_scene& scene, std::uint64_t seed);

}  // namespace brokerd::crash
