// The machine's clocks, in microseconds.
#include "broker/base/clock.hpp"

#include <chrono>

namespace brokerd::base {

instant system_clock::now() const {
    using std::chrono::duration_cast;
    const auto mono = std::chrono::steady_clock::now().time_since_epoch();
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return {.mono = mono_time{duration_cast<duration_us>(mono)},
            .wall = wall_time{duration_cast<duration_us>(wall)}};
}

}  // namespace brokerd::base
