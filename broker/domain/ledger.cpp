// The durable state of a queue.
#include "broker/domain/ledger.hpp"

#include <algorithm>
#include <utility>

#include "broker/base/assert.hpp"

namespace brokerd::domain {
namespace {

// What a delta and one of its runs take on disk, roughly.
constexpr std::size_t delta_bytes_fixed = 40;
constexpr std::size_t run_bytes = 10;

}  // namespace

ledger::ledger(offset_t start, std::pmr::memory_resource* pool)
    : first_(start),
      floor_(start),
      closed_(pool),
      retrying_(pool),
      dead_(pool),
      pending_done_(pool) {}

void ledger::raise_floor() {
    if (floor_held_) {
        return;
    }
    const offset_t gap = closed_.next_gap(floor_);
    if (gap != floor_) {
        floor_ = gap;
        closed_.erase_below(floor_);
    }
}

void ledger::close(offset_range range) {
    if (range.first == floor_ && !floor_held_) {
        floor_ = range.end();  // in order: nothing to remember
        closed_.erase_below(floor_);
        raise_floor();
    } else {
        closed_.insert(range);
    }
}

void ledger::note(message_state state, offset_t offset) {
    dirty_ = true;
    if (!pending_exceptions_.empty()) {
        state_run& last = pending_exceptions_.back();
        if (last.state == state && last.first + last.count == offset) {
            ++last.count;
            return;
        }
    }
    pending_exceptions_.push_back({state, offset, 1});
}

void ledger::to_done(offset_range open) {
    BROKERD_ASSERT(open.first >= floor_ && !closed_.contains_any(open),
                   "messages {} to {} are not open (floor {})", open.first, open.end(), floor_);
    dirty_ = true;
    done_total_ += open.count;
    pending_done_.insert(open);
    close(open);
}

void ledger::exception_done(offset_t offset) {
    const std::uint64_t removed = retrying_.erase({offset, 1}) + dead_.erase({offset, 1});
    BROKERD_ASSERT(removed == 1, "message {} is no exception", offset);
    ++done_total_;
    note(message_state::done, offset);
}

void ledger::to_retrying(offset_t offset) {
    dead_.erase({offset, 1});
    retrying_.insert({offset, 1});
    note(message_state::retrying, offset);
    if (offset >= floor_) {
        close({offset, 1});
    }
}

void ledger::to_dead(offset_t offset) {
    retrying_.erase({offset, 1});
    dead_.insert({offset, 1});
    note(message_state::dead, offset);
    if (offset >= floor_) {
        close({offset, 1});
    }
}

void ledger::exception_ready(offset_t offset) {
    BROKERD_ASSERT(offset >= floor_, "message {} is below the floor {}", offset, floor_);
    const std::uint64_t removed = retrying_.erase({offset, 1}) + dead_.erase({offset, 1});
    BROKERD_ASSERT(removed == 1, "message {} is no exception", offset);
    closed_.erase({offset, 1});
    note(message_state::ready, offset);
}

void ledger::move_to(offset_t position, offset_t end) {
    first_ = std::min(first_, position);
    floor_ = position;
    floor_held_ = true;
    closed_.clear();
    const auto close_run = [&](offset_range run) { closed_.insert(run); };
    retrying_.for_each_in(position, end, close_run);
    dead_.for_each_in(position, end, close_run);
    done_total_ =
        position - first_ - retrying_.count_in(first_, position) - dead_.count_in(first_, position);
    pending_done_.clear();
    pending_exceptions_.clear();
    snapshot_wanted_ = true;
    dirty_ = true;
}

void ledger::release_floor() {
    floor_held_ = false;
    const offset_t before = floor_;
    raise_floor();
    dirty_ = dirty_ || floor_ != before;
}

void ledger::take_over(const ledger& other) {
    BROKERD_ASSERT(!other.floor_held_ && number_ == 0, "a ledger in use takes no other over");
    first_ = other.first_;
    floor_ = other.floor_;
    done_total_ = other.done_total_;
    closed_ = other.closed_;
    retrying_ = other.retrying_;
    dead_ = other.dead_;
    snapshot_wanted_ = true;
    dirty_ = true;
}

std::size_t ledger::snapshot_bytes() const {
    return delta_bytes_fixed + run_bytes * (closed_.runs() + retrying_.runs() + dead_.runs());
}

mutation ledger::take_change(topic_id topic, queue_id queue) {
    BROKERD_ASSERT(dirty_);
    queue_delta delta{.topic = topic,
                      .queue = queue,
                      .number = ++number_,
                      .floor = floor_,
                      .done_total = done_total_,
                      .runs = std::move(pending_exceptions_)};
    // What the floor says need not be said again.
    pending_done_.for_each_in(floor_, offset_end, [&](offset_range run) {
        delta.runs.push_back({message_state::done, run.first, run.count});
    });
    pending_exceptions_.clear();
    pending_done_.clear();
    dirty_ = false;
    delta_bytes_ += delta_bytes_fixed + run_bytes * delta.runs.size();
    if (!snapshot_wanted_ && delta_bytes_ <= std::max(snapshot_bytes_min, snapshot_bytes())) {
        return delta;
    }
    queue_snapshot snapshot = make_snapshot(topic, queue);
    snapshot_number_ = number_;
    snapshot_wanted_ = false;
    delta_bytes_ = 0;
    return snapshot;
}

queue_snapshot ledger::make_snapshot(topic_id topic, queue_id queue) const {
    queue_snapshot snapshot{.topic = topic,
                            .queue = queue,
                            .number = number_,
                            .replaces = snapshot_number_,
                            .floor = floor_,
                            .done_total = done_total_,
                            .runs = {}};
    interval_set done = closed_;
    retrying_.for_each([&](offset_range run) {
        done.erase(run);
        snapshot.runs.push_back({message_state::retrying, run.first, run.count});
    });
    dead_.for_each([&](offset_range run) {
        done.erase(run);
        snapshot.runs.push_back({message_state::dead, run.first, run.count});
    });
    done.for_each([&](offset_range run) {
        snapshot.runs.push_back({message_state::done, run.first, run.count});
    });
    return snapshot;
}

void ledger::replay(const state_run& run) {
    const offset_range range{run.first, run.count};
    retrying_.erase(range);
    dead_.erase(range);
    if (run.state == message_state::ready) {
        closed_.erase(range);
        return;
    }
    closed_.insert(range);  // what is below the floor goes when that is set
    if (run.state == message_state::retrying) {
        retrying_.insert(range);
    } else if (run.state == message_state::dead) {
        dead_.insert(range);
    } else {
        BROKERD_ASSERT(run.state == message_state::done, "a run of state {}",
                       static_cast<int>(run.state));
    }
}

void ledger::apply(const queue_delta& delta) {
    if (delta.number <= number_) {
        return;  // already in the snapshot
    }
    for (const state_run& run : delta.runs) {
        replay(run);
    }
    number_ = delta.number;
    floor_ = delta.floor;
    closed_.erase_below(floor_);
    done_total_ = delta.done_total;
    delta_bytes_ += delta_bytes_fixed + run_bytes * delta.runs.size();
}

void ledger::apply(const queue_snapshot& snapshot) {
    closed_.clear();
    retrying_.clear();
    dead_.clear();
    for (const state_run& run : snapshot.runs) {
        replay(run);
    }
    number_ = snapshot.number;
    snapshot_number_ = snapshot.number;
    floor_ = snapshot.floor;
    closed_.erase_below(floor_);
    done_total_ = snapshot.done_total;
    delta_bytes_ = 0;
}

void ledger::finish_restore(offset_t end) {
    raise_floor();
    const std::uint64_t known = done_total_ + open_count(end) + retrying_.count() + dead_.count();
    BROKERD_ASSERT(floor_ <= end && known <= end, "a queue knows {} messages of {}", known, end);
    first_ = end - known;
}

}  // namespace brokerd::domain
