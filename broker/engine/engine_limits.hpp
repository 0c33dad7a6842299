// Bounds of the engine's queues and the times it watches. Header only.
#pragma once

#include <chrono>
#include <cstddef>

#include "protocol/types/limits.hpp"

namespace brokerd::engine {

using namespace std::chrono_literals;

// Received bytes waiting for the engine; beyond it sessions stop reading until it is half empty.
inline constexpr std::size_t inbox_bytes_max = 64 * limits::mib;
// Publishes gathered for one commit; beyond it the inbox waits for the commit that is running.
inline constexpr std::size_t gathering_bytes_max = 64 * limits::mib;
// Likewise of changes, one for each message that fails: the store takes about 4 us for one, and all
// others wait for it; a start that has to replay it takes as long.
inline constexpr std::size_t gathering_changes_max = 32'768;
// Reads of the store waiting for the pool; further ones are answered with busy.
inline constexpr std::size_t read_queue_max = 4096;
inline constexpr std::size_t read_threads = 2;

// A read that was refused is asked for again after this.
inline constexpr auto fetch_retry = 10ms;
// On a full disk that does not even take the epoch.
inline constexpr auto no_space_retry = 1s;

inline constexpr auto measure_interval = 1s;
inline constexpr auto maintain_interval = 1s;
inline constexpr std::size_t maintain_bytes = 64 * limits::mib;  // or after this much was written

inline constexpr auto commit_slow = 500ms;      // counted, logged, a warning of health
inline constexpr auto commit_stuck = 10s;       // health fails
inline constexpr auto slow_commit_shown = 60s;  // how long the warning stays

// How long the commit thread looks for the next batch before it sleeps: shorter than waking it.
// On two cores it takes from others: with 30 us 64 connections with one message in flight made 31
// to 37 k/s, with 8 us 39 to 41 k/s, as with none at all.
inline constexpr auto commit_spin = 8us;

}  // namespace brokerd::engine
