// How long a connection that has said its last word may take to end, and how long all of them may
// once the broker shuts down. Values only: whoever asks brings the time.
#pragma once

#include <algorithm>
#include <chrono>

#include "protocol/types/time.hpp"

namespace brokerd::session {

class closing_time {
public:
    // After the peer or we said the last word; or without progress in saying it.
    static constexpr duration_us linger{std::chrono::seconds{2}};
    // At shut-down nobody waits long for peers that do not hang up, or take the rest too slowly.
    static constexpr duration_us drain_linger{std::chrono::milliseconds{200}};

    // From now on all end, at `until` even those that are not done.
    void drain(mono_time until) { drain_until_ = until; }
    [[nodiscard]] bool draining() const { return drain_until_ != mono_never; }
    [[nodiscard]] bool drain_over(mono_time now) const { return now >= drain_until_; }

    // When a connection that is closing since `closed` ends, whether its peer is done or not.
    // `progress`: when it last took something of what is `pending`; `patience`: how long a peer
    // that goes on taking may need for all of it.
    [[nodiscard]] mono_time close_by(mono_time closed, mono_time progress, bool pending,
                                     duration_us patience) const {
        const auto since = std::max(closed, progress);
        if (!pending) {
            return since + (draining() ? drain_linger : linger);
        }
        const auto all_by =
            draining() ? std::max(closed, drain_until_) + drain_linger : closed + patience;
        return std::min(since + linger, all_by);
    }

private:
    mono_time drain_until_ = mono_never;
};

}  // namespace brokerd::session
