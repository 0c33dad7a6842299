// What bounds a topic, and what the model remembers to judge whether the bounds are kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::sim {

// Those settings of a topic that say how much of it is there, as in topic_settings.
struct model_bounds {
    duration_us keep_done{0};
    std::uint64_t keep_done_bytes = 0;
    std::uint64_t max_bytes = 0;
    std::uint64_t max_messages = 0;
    full_policy when_full = full_policy::refuse;
    duration_us max_age{0};

    [[nodiscard]] bool is_set() const { return has_size() || max_age > duration_us{0}; }
    [[nodiscard]] bool has_size() const { return max_messages > 0 || max_bytes > 0; }
    [[nodiscard]] bool refuses() const { return has_size() && when_full == full_policy::refuse; }
    [[nodiscard]] bool drops() const { return has_size() && when_full == full_policy::drop_oldest; }
    // More than the topic may hold if it were empty.
    [[nodiscard]] bool is_beyond(std::uint64_t messages, std::uint64_t bytes) const {
        return (max_messages > 0 && messages > max_messages) ||
               (max_bytes > 0 && bytes > max_bytes);
    }
};

// A chunk of the log. With a bound by age, one that begins long enough after the one before makes
// a mark: times are known to the broker only there.
struct model_span {
    offset_t first = 0;
    wall_time appended{};
    duration_us spacing{0};  // of marks, then; 0: no bound by age
    wall_time base{};        // the last append before the start of the broker
};

struct model_limits {
    model_bounds bounds;
    // What was so since the last commit was cut: what that commit holds may go by it.
    std::vector<model_bounds> earlier{};
    std::uint64_t highest_pending = 0;  // so many messages lay before the first pending one once
    std::vector<model_span> spans{};
    // Bytes of batches, for each of their messages. The broker spreads those between two marks
    // evenly, so those of any range are between these.
    double share_min = std::numeric_limits<double>::max();
    double share_max = 0;
    std::uint64_t batch_max = 0;
    std::uint64_t chunk_max = 0;
    wall_time base{};                     // the last append before the start of the broker
    bool restarted = false;               // what is counted may begin within a chunk
    offset_t may_drop_below = 0;          // the bounds let these be dropped now, or did before
    offset_t dropped_below = 0;           // bounds that are not so any more let them be dropped
    offset_t must_trim_below = 0;         // the bounds want the trim point there
    mono_time must_trim_since{};          // and nothing has stood in its way since
    std::uint64_t dropped = 0;            // as the last commit says
    std::uint64_t dropped_bytes = 0;      //
    wall_time last_dropped = wall_never;  // never: nothing was
    // So many messages lie below what is dropped already, at least and at most. The trim point may
    // have to wait for a read, or for what failed in a queue.
    std::uint64_t gone_least = 0;
    std::uint64_t gone_most = 0;
    offset_t stored_below = 0;                       // what is below is dropped, by the last commit
    bool unsure = false;                             // a queue came or went since then
    std::optional<domain::messages_dropped> told{};  // likewise

    // A batch of so many messages was accepted.
    void note_batch(std::uint64_t messages, std::uint64_t bytes) {
        const double share = static_cast<double>(bytes) / static_cast<double>(messages);
        share_min = std::min(share_min, share);
        share_max = std::max(share_max, share);
        batch_max = std::max(batch_max, bytes);
    }
};

// Messages below the first one must have been dropped, those below the second may be.
struct model_drops {
    offset_t must = 0;
    offset_t may = 0;
    offset_t may_by_size = 0;
};

}  // namespace brokerd::sim
