// Offsets of a topic that no message has: the broker had reserved them when it stopped without
// goodbye, and goes on behind them. All there ever were, naively.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "protocol/types/ids.hpp"

namespace brokerd::sim {

class skipped_offsets {
public:
    // Behind all before.
    void add(offset_t first, offset_t end) {
        if (!runs_.empty() && runs_.back().end == first) {
            runs_.back().end = end;
        } else {
            runs_.push_back({first, end});
        }
    }

    [[nodiscard]] bool empty() const { return runs_.empty(); }
    [[nodiscard]] bool contains(offset_t offset) const {
        return std::ranges::any_of(
            runs_, [&](const run& each) { return each.first <= offset && offset < each.end; });
    }
    // How many there are below an offset.
    [[nodiscard]] std::uint64_t below(offset_t offset) const {
        std::uint64_t count = 0;
        for (const run& each : runs_) {
            count += std::clamp(offset, each.first, each.end) - each.first;
        }
        return count;
    }
    [[nodiscard]] std::uint64_t total() const { return below(offset_end); }
    // The first offset from this one on that is none of them.
    [[nodiscard]] offset_t next_kept(offset_t offset) const {
        for (const run& each : runs_) {
            offset = each.first <= offset ? std::max(offset, each.end) : offset;
        }
        return offset;
    }
    // One of them; `number` below total().
    [[nodiscard]] offset_t at(std::uint64_t number) const {
        for (const run& each : runs_) {
            if (number < each.end - each.first) {
                return each.first + number;
            }
            number -= each.end - each.first;
        }
        return offset_end;
    }

private:
    struct run {
        offset_t first = 0;
        offset_t end = 0;
    };
    std::vector<run> runs_;  // ascending, without neighbours
};

}  // namespace brokerd::sim
