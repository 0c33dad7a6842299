// What the engine uses and what it answers to, as interfaces and plain data: tests put their own
// behind them. Every function says on which thread it is called.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "broker/domain/broker_state.hpp"
#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/domain/mutation.hpp"
#include "broker/engine/state_load.hpp"
#include "broker/storage/store.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::engine {

// Where outputs go: one sink per I/O thread. Connection c belongs to sink c % number of sinks.
// Called on the engine thread; must neither block nor throw.
class output_sink {
public:
    output_sink() = default;
    output_sink(const output_sink&) = delete;
    output_sink& operator=(const output_sink&) = delete;
    virtual ~output_sink() = default;

    // Outputs in order, what each depends on as durable as it has to be.
    virtual void deliver(std::vector<domain::output> outputs) = 0;
    // The state was thrown away: every connection is to be closed, and the engine has forgotten it.
    virtual void close_all(const failure& why) = 0;
    // The inbox has room again after it was full.
    virtual void inbox_relieved() = 0;
};

// Starts commits, one at a time; engine_core::committed is called with the result later.
class commit_starter {
public:
    commit_starter() = default;
    commit_starter(const commit_starter&) = delete;
    commit_starter& operator=(const commit_starter&) = delete;
    virtual ~commit_starter() = default;

    // With `sync` it comes back when it and all before are on the disk, else when the operating
    // system has it.
    virtual void start(commit_number number, std::vector<domain::mutation> batch, bool sync) = 0;
};

// Starts reads of the store; their answers come back as commands. Engine thread.
class fetch_starter {
public:
    fetch_starter() = default;
    fetch_starter(const fetch_starter&) = delete;
    fetch_starter& operator=(const fetch_starter&) = delete;
    virtual ~fetch_starter() = default;

    // `generation` comes back with the answer. False: too many are waiting already.
    [[nodiscard]] virtual bool start(domain::fetch what, std::uint64_t generation) = 0;
    // Measure the disk and give space back soon: much was written.
    virtual void maintain_soon() = 0;
    // Runs this load, one at a time; engine_core::loaded is called with it later.
    virtual void load(state_load what) = 0;
};

// What one connection wants done, in order.
struct command_batch {
    connection_id connection;
    std::vector<domain::command> commands;
    std::size_t bytes = 0;  // as received: their share of the inbox's bound
};

// The answer to a fetch that was started for `generation`.
struct fetch_answer {
    std::uint64_t generation = 0;
    domain::fetched what;
};

struct health_state {
    bool writable = false;
    std::vector<std::string> warnings;
};
using health_handler = std::function<void(const health_state&)>;

struct engine_statistics {
    domain::domain_counters domain;
    storage::store_statistics store;
    std::uint64_t commits = 0;
    std::uint64_t commit_bytes = 0;  // payload handed to the commit log
    std::uint64_t commit_us = 0;     // spent in commits, altogether
    std::uint64_t slow_commits = 0;  // longer than commit_slow
    std::uint64_t turns = 0;
    std::uint64_t fetches = 0;
    std::uint64_t fetches_refused = 0;  // the read pool's queue was full
    std::uint64_t reloads = 0;
    std::uint64_t held_outputs = 0;  // now: waiting for their commit
};
using stats_handler = std::function<void(const engine_statistics&)>;

// Called once when the broker must not go on; normally does not return.
using fatal_handler = std::function<void(const std::string& what)>;

}  // namespace brokerd::engine
