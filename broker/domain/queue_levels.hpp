// The levels of priority of a shared queue: where dispatch stands in the lane of each. The queue
// itself knows its messages by their offsets, whatever their level; here is what finds the highest
// one without a look at what lies between. Pure.
//
// Invariants: `unplaced` and the `returned` of all levels are a partition of queue::returned; the
// `due` of all levels, queue::schedule.due() and queue::alone_due are disjoint.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory_resource>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/interval_set.hpp"
#include "broker/domain/lease_table.hpp"
#include "broker/domain/read_window.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

// Chunks of one lane that were fetched from the store, neighbours there, and up to where nothing
// else of the lane is stored. One fetch is outstanding at most.
class lane_window {
public:
    explicit lane_window(std::size_t& total) : chunks_(total) {}

    // Whether the window says what the lane has at `offset`.
    [[nodiscard]] bool covers(offset_t offset) const { return offset >= from_ && offset < until_; }
    // The first chunk that ends behind `offset`, which is covered; nullptr if there is none below
    // until().
    [[nodiscard]] const chunk_ptr* next(offset_t offset) const { return chunks_.next(offset); }
    [[nodiscard]] offset_t until() const { return until_; }
    [[nodiscard]] std::size_t bytes() const { return chunks_.bytes(); }
    [[nodiscard]] bool empty() const { return chunks_.empty(); }

    // What a read from `from` on has brought: all there is below `until`.
    void add(offset_t from, const std::vector<chunk_ptr>& chunks, offset_t until) {
        if (from != until_) {
            clear();
            from_ = from;
        }
        until_ = until;
        for (const chunk_ptr& each : chunks) {
            chunks_.add(each);
        }
    }
    void drop_below(offset_t offset) {
        chunks_.drop_below(offset);
        from_ = std::clamp(offset, from_, until_);
    }
    void clear() {
        chunks_.clear();
        from_ = until_ = 0;
    }

    bool fetching = false;

private:
    fetched_chunks chunks_;
    offset_t from_ = 0;
    offset_t until_ = 0;
};

struct queue_level {
    queue_level(std::uint8_t of_lane, std::pmr::memory_resource* pool, std::size_t& window_bytes)
        : lane(of_lane), returned(pool), due(pool), window(window_bytes) {}

    const std::uint8_t lane;
    offset_t next = 0;      // nothing of the lane that lies below was never given out
    interval_set returned;  // was leased before and is ready again
    interval_set due;       // retries that are due, and were read
    lane_window window;
};

class queue_levels {
public:
    queue_levels(std::uint8_t levels, std::pmr::memory_resource* pool, std::size_t& window_bytes)
        : unplaced(pool), shelf(window_bytes) {
        for (std::uint8_t lane = levels; lane-- > 0;) {
            all.emplace_back(lane, pool, window_bytes);
        }
    }

    std::list<queue_level> all;  // the highest first; a few
    interval_set unplaced;       // given back, and not known of which level
    chunk_shelf shelf;           // that tell it
    bool placing = false;        // one of them is being read

    [[nodiscard]] std::uint64_t due() const {
        std::uint64_t count = 0;
        for (const queue_level& each : all) {
            count += each.due.count();
        }
        return count;
    }
    [[nodiscard]] bool is_due(offset_t offset) const {
        return std::ranges::any_of(
            all, [&](const queue_level& each) { return each.due.contains(offset); });
    }
    // The chunk that holds `offset`, nullptr if it was not read.
    [[nodiscard]] const chunk_ptr* find(offset_t offset) const {
        for (const queue_level& each : all) {
            const chunk_ptr* const data = each.window.next(offset);
            if (data != nullptr && (*data)->contains(offset)) {
                return data;
            }
        }
        return shelf.find(offset);
    }
    void forget_due(offset_t offset) {
        for (queue_level& each : all) {
            each.due.erase({offset, 1});
        }
    }
    [[nodiscard]] queue_level& at(std::uint8_t lane) {
        return *std::ranges::find(all, lane, &queue_level::lane);
    }
    void give_back(offset_range range, std::uint8_t lane) {
        (lane == unknown_lane ? unplaced : at(lane).returned).insert(range);
    }
    // It counts as never given out. Not known of which level, so the cursor of each goes back to
    // it: what was given out or settled behind it is passed over by range.
    void reach_back(offset_t offset) {
        for (queue_level& each : all) {
            each.next = std::min(each.next, offset);
        }
    }
    // A chunk was appended: whoever stands before it and has nothing in it stands behind it.
    void pass(const chunk& data) {
        for (queue_level& each : all) {
            if (each.lane != data.lane() && each.next == data.base_offset()) {
                each.next = data.end_offset();
            }
        }
    }
    // They were given back and are not ready any more.
    void forget_returned(offset_range range) {
        unplaced.erase(range);
        for (queue_level& each : all) {
            each.returned.erase(range);
        }
    }
    void clear_returned() {
        unplaced.clear();
        for (queue_level& each : all) {
            each.returned.clear();
        }
    }
    // The queue was moved: dispatch begins anew.
    void restart() {
        clear_returned();
        drop_windows();
        for (queue_level& each : all) {
            each.next = 0;
            each.due.clear();
        }
    }
    void drop_windows() {
        shelf.clear();
        for (queue_level& each : all) {
            each.window.clear();
        }
    }
};

}  // namespace brokerd::domain
