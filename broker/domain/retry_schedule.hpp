// When the retrying messages of a queue are due. In memory only those due soon; the rest is in the
// store's due index and is fetched as time goes on. Pure.
//
// Times are on the retry clock: wall time at the start of the broker, from then on monotonic time,
// so that a step of the wall clock moves no retry (wall_clock.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory_resource>
#include <set>
#include <utility>

#include "broker/domain/interval_set.hpp"
#include "broker/domain/lazy.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class retry_schedule {
public:
    // How far ahead the due times are known in memory, and when the next part is fetched.
    static constexpr duration_us horizon = std::chrono::minutes(1);
    static constexpr duration_us fetch_margin = std::chrono::seconds(10);

    explicit retry_schedule(std::pmr::memory_resource* pool = std::pmr::get_default_resource())
        : soon_(pool), due_(pool) {}

    // Takes a message in; one that is due later than known_until() stays with the store.
    void add(offset_t offset, wall_time due, wall_time now);
    // Takes a message in that is due whatever the time.
    void make_due(offset_t offset) { due_.insert({offset, 1}); }
    // Forgets a message; `due` as it was added.
    void remove(offset_t offset, wall_time due);
    void clear();

    // Makes due what has become due. True if something did.
    bool advance(wall_time now);

    [[nodiscard]] const interval_set& due() const { return due_; }
    [[nodiscard]] bool contains(offset_t offset, wall_time due) const {
        return due_.contains(offset) || soon_->contains({due, offset});
    }
    [[nodiscard]] std::uint64_t in_memory() const { return due_.count() + soon_->size(); }
    // When the next message in memory becomes due; wall_never if none will.
    [[nodiscard]] wall_time next() const {
        return soon_->empty() ? wall_never : soon_->begin()->first;
    }

    // Every message due before this time is in memory.
    [[nodiscard]] wall_time known_until() const { return known_until_; }
    void set_known_until(wall_time until) { known_until_ = until; }

    bool fetching = false;                 // a part of the due index is being fetched
    std::uint32_t fetch_limit_factor = 1;  // grown when a whole part was due at one instant

private:
    lazy<std::pmr::set<std::pair<wall_time, offset_t>>> soon_;
    interval_set due_;
    wall_time known_until_{};
};

}  // namespace brokerd::domain
