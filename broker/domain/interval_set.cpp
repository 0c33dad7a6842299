// Sets of offsets as runs.
#include "broker/domain/interval_set.hpp"

#include <algorithm>
#include <iterator>

namespace brokerd::domain {

interval_set::interval_set(const interval_set& other) : interval_set() {
    *this = other;
}

interval_set& interval_set::operator=(const interval_set& other) {
    if (this != &other && (in_.is_made() || !other.empty())) {
        in_.made().runs = other.in_->runs;
        in_.made().count = other.in_->count;
    }
    return *this;
}

std::uint64_t interval_set::insert(offset_range range) {
    if (range.empty()) {
        return 0;
    }
    auto& [runs, count] = in_.made();
    offset_t end = range.end();
    auto next = runs.upper_bound(range.first);
    auto run = runs.end();
    std::uint64_t added = range.count;
    if (next != runs.begin()) {
        const auto before = std::prev(next);
        if (before->second >= end) {
            return 0;
        }
        if (before->second >= range.first) {
            added -= before->second - range.first;
            run = before;
        }
    }
    // Swallow the runs that begin within the range or right behind it.
    while (next != runs.end() && next->first <= end) {
        added -= std::min(next->second, range.end()) - std::min(next->first, range.end());
        end = std::max(end, next->second);
        next = runs.erase(next);
    }
    if (run != runs.end()) {
        run->second = end;
    } else {
        runs.emplace_hint(next, range.first, end);
    }
    count += added;
    return added;
}

std::uint64_t interval_set::erase(offset_range range) {
    if (range.empty() || empty()) {
        return 0;
    }
    auto& [runs, count] = in_.made();
    std::uint64_t removed = 0;
    const offset_t end = range.end();
    auto run = runs.upper_bound(range.first);
    if (run != runs.begin() && std::prev(run)->second > range.first) {
        --run;
    }
    while (run != runs.end() && run->first < end) {
        const offset_t run_first = run->first;
        const offset_t run_end = run->second;
        removed += std::min(run_end, end) - std::max(run_first, range.first);
        if (run_first < range.first) {
            run->second = range.first;
            ++run;
            if (run_end > end) {
                runs.emplace_hint(run, end, run_end);
                break;
            }
        } else if (run_end > end) {
            // Shrinks at the front: the node is kept, only its key changes.
            auto node = runs.extract(run);
            node.key() = end;
            runs.insert(std::move(node));
            break;
        } else {
            run = runs.erase(run);
        }
    }
    count -= removed;
    return removed;
}

void interval_set::erase_below(offset_t offset) {
    if (!empty() && front() < offset) {
        erase({0, offset});
    }
}

void interval_set::clear() {
    if (!empty()) {
        in_.made().runs.clear();
        in_.made().count = 0;
    }
}

interval_set::run_map::const_iterator interval_set::reaching(offset_t offset) const {
    const run_map& runs = in_->runs;
    const auto next = runs.upper_bound(offset);
    if (next != runs.begin() && std::prev(next)->second > offset) {
        return std::prev(next);
    }
    return next;
}

bool interval_set::contains(offset_t offset) const {
    const auto run = reaching(offset);
    return run != in_->runs.end() && run->first <= offset;
}

bool interval_set::contains_any(offset_range range) const {
    if (range.empty()) {
        return false;
    }
    const auto run = reaching(range.first);
    return run != in_->runs.end() && run->first < range.end();
}

std::uint64_t interval_set::count_in(offset_t first, offset_t end) const {
    std::uint64_t sum = 0;
    for (auto run = reaching(first); run != in_->runs.end() && run->first < end; ++run) {
        sum += std::min(run->second, end) - std::max(run->first, first);
    }
    return sum;
}

offset_t interval_set::next_gap(offset_t from) const {
    const auto run = reaching(from);
    return run != in_->runs.end() && run->first <= from ? run->second : from;
}

offset_t interval_set::next_member(offset_t from) const {
    const auto run = reaching(from);
    return run == in_->runs.end() ? offset_end : std::max(run->first, from);
}

std::optional<offset_range> interval_set::next_run(offset_t from) const {
    const auto run = reaching(from);
    if (run == in_->runs.end()) {
        return std::nullopt;
    }
    const offset_t first = std::max(run->first, from);
    return offset_range{first, run->second - first};
}

}  // namespace brokerd::domain
