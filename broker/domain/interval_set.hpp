// A set of offsets as half-open runs: what is closed, returned, retrying, dead in a queue. Touching
// runs are always merged, so the number of runs is the number of gaps and the cost of everything is
// per run. In-order inserts extend a run in place; nodes come from the pool given. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory_resource>
#include <optional>

#include "protocol/types/ids.hpp"

namespace brokerd::domain {

class interval_set {
    using run_map = std::pmr::map<offset_t, offset_t>;  // first -> end

public:
    explicit interval_set(std::pmr::memory_resource* pool = std::pmr::get_default_resource())
        : runs_(pool) {}

    // Returns how many of them were not in the set.
    std::uint64_t insert(offset_range range);
    // Returns how many of them were in the set.
    std::uint64_t erase(offset_range range);
    // Erases everything below `offset`.
    void erase_below(offset_t offset);
    void clear();

    [[nodiscard]] bool contains(offset_t offset) const;
    [[nodiscard]] bool contains_any(offset_range range) const;
    [[nodiscard]] bool empty() const { return runs_.empty(); }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t count_in(offset_t first, offset_t end) const;
    [[nodiscard]] std::size_t runs() const { return runs_.size(); }

    // The first offset from `from` on that is not in the set.
    [[nodiscard]] offset_t next_gap(offset_t from) const;
    // The first offset from `from` on that is in the set; offset_end if there is none.
    [[nodiscard]] offset_t next_member(offset_t from) const;
    // What is left of the first run that reaches beyond `from`, from there on.
    [[nodiscard]] std::optional<offset_range> next_run(offset_t from) const;
    // The lowest and the highest member; the set must not be empty.
    [[nodiscard]] offset_t front() const { return runs_.begin()->first; }
    [[nodiscard]] offset_t back() const { return runs_.rbegin()->second - 1; }

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
        for (const auto& [first, end] : runs_) {
            visit(offset_range{first, end - first});
        }
    }

private:
    // The run that holds `offset`, or the first behind it.
    [[nodiscard]] run_map::const_iterator reaching(offset_t offset) const;

    run_map runs_;
    std::uint64_t count_ = 0;
};

}  // namespace brokerd::domain
