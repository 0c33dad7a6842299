// Wall time as the domain uses it, made from the two times it is given. Small steps of the wall
// clock are followed at once; a step of more than 60 s against monotonic time is followed slowly,
// 100 ms per second, and is a warning meanwhile. Header only; pure.
//
// Due times of retries run on a clock of their own: the wall time of the start (or the latest time
// found in the store, if that is later), then monotonic time. So no step moves a retry while the
// broker runs. Each commit that puts one also stores how far this clock was, and no later start
// begins before that: a wall clock that was ahead at one start, or is set back before the next,
// makes no retry wait longer than it had to. (Bounding each wait by itself would need the delay of
// each, and a walk over the whole due index at every start.)
#pragma once

#include <algorithm>
#include <chrono>

#include "protocol/types/time.hpp"

namespace brokerd::domain {

class wall_clock {
public:
    static constexpr duration_us step_max = std::chrono::seconds(60);
    static constexpr int slew_divisor = 10;  // follows by elapsed time / 10

    // Starts both clocks; `latest_known` = the latest wall time in the store.
    void start(instant now, wall_time latest_known) {
        offset_ = offset_of(now);
        retry_offset_ =
            std::max(now.wall, latest_known).time_since_epoch() - now.mono.time_since_epoch();
        last_ = now.mono;
        behind_ = duration_us{0};
    }

    // The wall time to use for this instant.
    wall_time observe(instant now) {
        const duration_us drift = offset_of(now) - offset_;
        const duration_us elapsed = now.mono - last_;
        if (behind_ != duration_us{0} && elapsed <= duration_us{0}) {
            return wall_time{now.mono.time_since_epoch() + offset_};  // one instant, one time
        }
        last_ = std::max(last_, now.mono);
        if (drift <= step_max && drift >= -step_max) {
            offset_ += drift;
            behind_ = duration_us{0};
        } else {
            const duration_us step = std::max(elapsed, duration_us{0}) / slew_divisor;
            offset_ += drift > duration_us{0} ? step : -step;
            behind_ = offset_of(now) - offset_;
        }
        return wall_time{now.mono.time_since_epoch() + offset_};
    }

    // As observe said last, for those who only look.
    [[nodiscard]] wall_time at(mono_time mono) const {
        return wall_time{mono.time_since_epoch() + offset_};
    }

    // How far the system's wall clock has stepped away and is not followed yet; 0 = not at all.
    [[nodiscard]] duration_us behind() const { return behind_; }

    [[nodiscard]] wall_time retry_time(mono_time mono) const {
        return wall_time{mono.time_since_epoch() + retry_offset_};
    }
    [[nodiscard]] mono_time mono_of_retry_time(wall_time due) const {
        return mono_time{due.time_since_epoch() - retry_offset_};
    }

private:
    static duration_us offset_of(instant now) {
        return now.wall.time_since_epoch() - now.mono.time_since_epoch();
    }

    duration_us offset_{0};        // wall time = monotonic time + offset
    duration_us retry_offset_{0};  // likewise for due times; fixed from start on
    duration_us behind_{0};
    mono_time last_{};
};

}  // namespace brokerd::domain
