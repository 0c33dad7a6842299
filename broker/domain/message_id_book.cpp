// Marks in time, and what memory has to know beside the store.
#include "broker/domain/message_id_book.hpp"

#include <algorithm>

#include "protocol/types/limits.hpp"

namespace brokerd::domain {

void message_id_book::load(const message_ids_forgotten& stored) {
    before_ = told_ = stored.before;
    marks_ = stored.marks;
}

bool message_id_book::forget_old(wall_time now, duration_us window, offset_t end) {
    before_ = std::max(before_, now - window);
    // Too many messages have come since the newest of these.
    const auto near = std::ranges::find_if(marks_, [&](const done_mark& mark) {
        return mark.below + limits::message_id_distance_max >= end;
    });
    if (near != marks_.begin()) {
        before_ = std::max(before_, std::prev(near)->time + duration_us{1});
        marks_.erase(marks_.begin(), near);
        return true;
    }
    return before_ - told_ > window / parts;
}

wall_time message_id_book::arrive(wall_time now, offset_t end, bool& told) {
    const wall_time time = std::max(now, before_);
    constexpr std::uint64_t step = limits::message_id_distance_max / parts;
    if (marks_.empty() || end >= marks_.back().below + step) {
        marks_.push_back({time, end + 1});
        told = true;
    }
    return time;
}

message_ids_forgotten message_id_book::forgotten(topic_id of) {
    told_ = before_;
    return {of, before_, marks_};
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
        found = known_message_id{*stored->second, read_since.value_or(commit_number{})};
    }
    return found && found->entry.time >= before_ ? found : std::nullopt;
}

bool message_id_book::forget_applied(commit_number applied) {
    const commit_number known = reads.seen_by_all(applied);
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
