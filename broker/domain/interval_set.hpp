// A set of offsets as half-open runs: what is closed, returned, retrying, dead in a queue. Touching
// runs are always merged, so the number of runs is the number of gaps and the cost of everything is
// per run. In-order inserts extend a run in place; nodes come from the pool given. A queue has ten
// of these, mostly empty ones: until something is inserted a set is two pointers. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory_resource>
#include <optional>

#include "broker/domain/lazy.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class interval_set {
    using run_map = std::pmr::map<offset_t, offset_t>;  // first -> end

    struct content {
        explicit content(std::pmr::memory_resource* pool = std::pmr::get_default_resource())
            : runs(pool) {}

        run_map runs;
        std::uint64_t count = 0;
    };

public:
    explicit interval_set(std::pmr::memory_resource* pool = std::pmr::get_default_resource())
        : in_(pool) {}
    // A copy has the pool it is made with, not that of the other.
    interval_set(const interval_set& other);
    interval_set& operator=(const interval_set& other);
    ~interval_set() = default;

    // Returns how many of them were not in the set.
    std::uint64_t insert(offset_range range);
    // Returns how many of them were in the set.
    std::uint64_t erase(offset_range range);
    // Erases everything below `offset`.
    void erase_below(offset_t offset);
    void clear();

    [[nodiscard]] bool contains(offset_t offset) const;
    [[nodiscard]] bool contains_any(offset_range range) const;
    [[nodiscard]] bool empty() const { return in_->runs.empty(); }
    [[nodiscard]] std::uint64_t count() const { return in_->count; }
    [[nodiscard]] std::uint64_t count_in(offset_t first, offset_t end) const;
    [[nodiscard]] std::size_t runs() const { return in_->runs.size(); }

    // The first offset from `from` on that is not in the set.
    [[nodiscard]] offset_t next_gap(offset_t from) const;
    // The first offset from `from` on that is in the set; offset_end if there is none.
    [[nodiscard]] offset_t next_member(offset_t from) const;
    // What is left of the first run that reaches beyond `from`, from there on.
    [[nodiscard]] std::optional<offset_range> next_run(offset_t from) const;
    // The lowest and the highest member; the set must not be empty.
    [[nodiscard]] offset_t front() const { return in_->runs.begin()->first; }
    [[nodiscard]] offset_t back() const { return in_->runs.rbegin()->second - 1; }

    // Calls visit(offset_range) for the part of each run within [first, end), ascending.
    template <typename Visit>
    void for_each_in(offset_t first, offset_t end, Visit&& visit) const {
        offset_t at = first;
        while (at < end) {
            const auto run = next_run(at);
            if (!run || run->first >= end) {
                return;
            }
            const offset_t stop = run->end() < end ? run->end() : end;
            visit(offset_range{run->first, stop - run->first});
            at = stop;
        }
    }
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& [first, end] : in_->runs) {
            visit(offset_range{first, end - first});
        }
    }

private:
    // The run that holds `offset`, or the first behind it.
    [[nodiscard]] run_map::const_iterator reaching(offset_t offset) const;

    lazy<content> in_;
};

}  // namespace brokerd::domain
