// Marks in time, and what memory has to know beside the store.
#include "broker/domain/message_id_book.hpp"

#include <algorithm>

#include "protocol/types/limits.hpp"

namespace brokerd::domain {

void message_id_book::load(const message_ids_forgotten& stored) {
    below_ = stored.below;
    marks_ = stored.marks;
}

bool message_id_book::forget_old(wall_time now, duration_us window, offset_t end) {
    bool changed = false;
    const auto young = std::ranges::find_if(
        marks_, [&](const done_mark& mark) { return now - mark.time < window; });
    if (young != marks_.begin()) {
        below_ = std::max(below_, std::prev(young)->below);
        marks_.erase(marks_.begin(), young);
        changed = true;
    }
    constexpr std::uint64_t step = limits::message_id_distance_max / marks_max;
    if (end - below_ > limits::message_id_distance_max) {
        below_ = end - limits::message_id_distance_max + step;
        changed = true;
    }
    return changed;
}

bool message_id_book::note(wall_time now, duration_us window, offset_t at) {
    if (!marks_.empty() && now <= marks_.back().time) {
        marks_.back().below = std::max(marks_.back().below, at + 1);
        return false;
    }
    // A window that became longer has closer marks than it needs: the oldest may go.
    if (marks_.size() > marks_max) {
        marks_.erase(marks_.begin());
    }
    marks_.push_back({now + window / marks_max, at + 1});
    return true;
}

void message_id_book::cover(wall_time last, offset_t end) {
    if (marks_.empty() || marks_.back().below >= end) {
        return;
    }
    if (last <= marks_.back().time) {
        marks_.back().below = end;
    } else {
        marks_.push_back({last, end});
    }
}

void message_id_book::put(const std::string& id, const message_id_entry& entry,
                          commit_number commit) {
    lately_[id] = {entry, commit};
    lately_log_.emplace_back(commit, id);
}

std::optional<known_message_id> message_id_book::find(const std::string& id) const {
    std::optional<known_message_id> found;
    if (const auto at = lately_.find(id); at != lately_.end()) {
        found = at->second;
    } else if (const auto stored = read_.find(id); stored != read_.end() && stored->second) {
        found = known_message_id{*stored->second, {}};
    }
    return found && found->entry.at >= below_ ? found : std::nullopt;
}

bool message_id_book::forget_applied(commit_number applied) {
    const commit_number known = reads_.empty() ? applied : std::min(applied, *reads_.begin());
    for (; !lately_log_.empty() && lately_log_.front().first <= known; lately_log_.pop_front()) {
        const auto at = lately_.find(lately_log_.front().second);
        if (at != lately_.end() && at->second.commit <= known) {
            lately_.erase(at);
        }
    }
    return lately_log_.empty();
}

std::vector<std::string> message_id_book::unknown_ids() const {
    std::vector<std::string> ids;
    for (const waiting& each : line) {
        if (!ids.empty() && ids.size() + each.ids.size() > ids_per_read_max) {
            break;
        }
        std::ranges::copy_if(each.ids, std::back_inserter(ids),
                             [this](const std::string& id) { return !knows(id); });
        if (ids.empty()) {
            break;  // the first one has all it needs
        }
    }
    return ids;
}

void message_id_book::take_read(const std::vector<std::string>& ids,
                                const std::vector<std::optional<message_id_entry>>& entries) {
    for (std::size_t i = 0; i < ids.size() && i < entries.size(); ++i) {
        read_[ids[i]] = entries[i];
    }
}

}  // namespace brokerd::domain
