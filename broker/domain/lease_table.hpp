// The leases of one queue, as spans of neighbours that share holder, deadline and attempt. Keyed by
// the last lease of a span, so that acks in order shrink a span in place. Leases of earlier epochs,
// taken up again after a restart, lie among the others. Spans with the same deadline form a group,
// so that what expires is found without a look at the rest; only a span that comes or goes touches
// it. Pure.
//
// Invariants: spans do not overlap, neither in leases nor in offsets; a span with an exception
// holds one message; every span is in the group of its deadline, and no group is empty.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <vector>

#include "broker/domain/consumer.hpp"
#include "broker/domain/mutation.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

inline constexpr std::uint8_t unknown_lane = 255;  // taken up again, and not read since

struct lease_span {
    lease_run run;
    consumer* holder = nullptr;
    mono_time deadline{};
    std::uint32_t attempt = 1;
    std::uint8_t lane = unknown_lane;  // of its messages
    std::uint64_t bytes = 0;           // of its records; shared out evenly when a part leaves
    std::unique_ptr<exception_state> exception;  // of a retried message

    [[nodiscard]] lease_id first_lease() const { return {run.epoch, run.first_lease}; }
    [[nodiscard]] lease_id last_lease() const {
        return {run.epoch, run.first_lease + run.count - 1};
    }
    [[nodiscard]] offset_range offsets() const { return {run.first_offset, run.count}; }
};

class lease_table {
    struct entry;
    struct group {
        entry* first = nullptr;
        entry* last = nullptr;
    };
    using group_map = std::pmr::map<mono_time, group>;
    struct entry {
        lease_span span;
        group_map::iterator in;  // with its neighbours there
        entry* before = nullptr;
        entry* after = nullptr;
    };
    using span_map = std::pmr::map<lease_id, entry>;  // last lease -> span

public:
    explicit lease_table(std::pmr::memory_resource* pool = std::pmr::get_default_resource())
        : spans_(pool), groups_(pool) {}
    // Entries point to each other and into groups_.
    lease_table(const lease_table&) = delete;
    lease_table& operator=(const lease_table&) = delete;

    // Adds leases that are not in the table; extends the span before when that shares their fate.
    void add(lease_span span);

    // The span that holds `lease`, nullptr if none does.
    [[nodiscard]] const lease_span* find(lease_id lease) const;
    // The span that holds the message. Looks at every span: for those who look.
    [[nodiscard]] const lease_span* find_offset(offset_t offset) const;
    // The lowest lease in the table that is above `lease`; {max} if there is none.
    [[nodiscard]] lease_id next_lease(lease_id lease) const;

    // Takes `count` leases from `lease` on, which must lie in one span, out of the table.
    [[nodiscard]] lease_span take(lease_id lease, std::uint32_t count);

    [[nodiscard]] std::vector<lease_span> take_expired(mono_time now);
    // What one consumer holds: so many leases.
    [[nodiscard]] std::vector<lease_span> take_of(const consumer& holder, std::uint64_t count);
    [[nodiscard]] std::vector<lease_span> take_all();
    // The first deliveries of messages below `below`, of which there are `count`.
    [[nodiscard]] std::vector<lease_span> take_below(offset_t below, std::uint64_t count);

    // The earliest deadline; mono_never without leases.
    [[nodiscard]] mono_time earliest() const {
        return groups_.empty() ? mono_never : groups_.begin()->first;
    }

    [[nodiscard]] bool empty() const { return spans_.empty(); }
    [[nodiscard]] std::size_t spans() const { return spans_.size(); }
    [[nodiscard]] std::uint64_t fresh() const { return fresh_; }      // first deliveries
    [[nodiscard]] std::uint64_t retried() const { return retried_; }  // with an exception

    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [last, each] : spans_) {
            visit(each.span);
        }
    }

private:
    void insert(span_map::iterator hint, lease_span span);
    void join_group(entry& what);
    void leave_group(const entry& what);
    void uncount(const lease_span& span);
    [[nodiscard]] lease_span remove(span_map::iterator at);

    span_map spans_;
    group_map groups_;
    std::uint64_t fresh_ = 0;
    std::uint64_t retried_ = 0;
};

// The front of `run` that shares one place: within one span of the table, or not in it at all.
struct lease_part {
    std::uint32_t count = 0;
    bool held = false;
};
[[nodiscard]] lease_part find_part(const lease_table& table, const lease_run& run);

}  // namespace brokerd::domain
