// A thread that runs the turns of an engine between work of its own.
#pragma once

#include <functional>

#include "protocol/types/time.hpp"

namespace brokerd::engine {

class turn_host {
public:
    turn_host() = default;
    turn_host(const turn_host&) = delete;
    turn_host& operator=(const turn_host&) = delete;
    virtual ~turn_host() = default;

    // Calls `turn` once, soon, and not before this returns. Any thread.
    virtual void run_soon(std::function<void()> turn) = 0;
    // Calls `turn` at this time instead of the one that was said before; mono_never: not at all.
    // The host's thread.
    virtual void run_at(mono_time when, std::function<void()> turn) = 0;
};

}  // namespace brokerd::engine
