// The clock as a dependency: whoever needs the time receives a clock, so that tests and the
// simulator bring their own. Any thread.
#pragma once

#include "protocol/types/time.hpp"

namespace brokerd::base {

class clock {
public:
    clock() = default;
    clock(const clock&) = delete;
    clock& operator=(const clock&) = delete;
    virtual ~clock() = default;

    // Both times of this instant, read together.
    [[nodiscard]] virtual instant now() const = 0;
};

// The machine's clocks: CLOCK_MONOTONIC and CLOCK_REALTIME.
class system_clock final : public clock {
public:
    [[nodiscard]] instant now() const override;
};

}  // namespace brokerd::base
