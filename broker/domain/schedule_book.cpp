// Adding, taking out, and what is in memory.
#include "broker/domain/schedule_book.hpp"

#include <algorithm>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "broker/base/assert.hpp"

namespace brokerd::domain {

void schedule_book::add(scheduled_batch what, commit_number commit, wall_time now) {
    ++totals_.schedules;
    totals_.messages += what.messages;
    totals_.bytes += what.bytes;
    if (what.key < known_) {
        keep(what, now);
    }
    const schedule_key key = what.key;
    note(key, commit, std::move(what));
}

void schedule_book::remove(const scheduled_batch& what, commit_number commit) {
    BROKERD_ASSERT(
        totals_.schedules > 0 && totals_.messages >= what.messages && totals_.bytes >= what.bytes,
        "schedule {} is not in the totals", what.key.id);
    const schedule_key key = what.key;  // `what` may be the one that goes
    --totals_.schedules;
    totals_.messages -= what.messages;
    totals_.bytes -= what.bytes;
    if (const auto at = soon_.find(key); at != soon_.end()) {
        drop(at);
    } else if (key == known_) {
        given_back_.reset();
    }
    note(key, commit, std::nullopt);
}

std::optional<schedule_book::batch_size> schedule_book::next_due(wall_time now) const {
    if (const scheduled_batch* held = first()) {
        return held->key.due <= now ? std::optional(batch_size{held->messages, held->bytes})
                                    : std::nullopt;
    }
    return known_.due <= now ? given_back_ : std::nullopt;
}

void schedule_book::note(const schedule_key& key, commit_number commit,
                         std::optional<scheduled_batch> added) {
    lately_[key] = {commit, std::move(added)};
    lately_log_.emplace_back(commit, key);
    last_change_ = commit;
    totals_changed = true;
}

// Takes it into memory; what is due last goes back to the store if that is too much.
void schedule_book::keep(const scheduled_batch& what, wall_time now) {
    if (soon_.emplace(what.key, what).second) {
        soon_bytes_ += what.bytes;
        all_bytes_ += what.bytes;
    }
    while (!soon_.empty() && is_too_much(now)) {
        drop_last();
    }
}

void schedule_book::wait_for_room() {
    waits_for_room = true;
    while (!soon_.empty() && all_bytes_ > all_bytes_max / 2) {
        drop_last();
    }
}

void schedule_book::drop_last() {
    const auto last = std::prev(soon_.end());
    known_ = last->first;
    given_back_ = {last->second.messages, last->second.bytes};
    drop(last);
}

void schedule_book::drop(std::map<schedule_key, scheduled_batch>::iterator at) {
    soon_bytes_ -= at->second.bytes;
    all_bytes_ -= at->second.bytes;
    soon_.erase(at);
}

// One batch of any size is never too much for a topic, nor is what is due now, unless it waits.
bool schedule_book::is_too_much(wall_time now) const {
    const bool of_topic = soon_.size() > count_max || soon_bytes_ > bytes_max;
    const bool waits = soon_.rbegin()->first.due > now || waits_for_room;
    const bool of_all = all_bytes_ > all_bytes_max && waits;
    return (of_topic && soon_.size() > 1) || of_all;
}

bool schedule_book::has_room() const {
    const std::uint64_t next_bytes = given_back_ ? given_back_->bytes : 0;
    const bool fits = (soon_.empty() || soon_bytes_ + next_bytes <= bytes_max) &&
                      all_bytes_ + next_bytes <= all_bytes_max;
    return fits && soon_.size() <= count_max / 2 && soon_bytes_ <= bytes_max / 2 &&
           all_bytes_ <= all_bytes_max / 2;
}

void schedule_book::set_known(const schedule_key& until) {
    if (until > known_) {
        known_ = until;
        given_back_.reset();
    }
}

bool schedule_book::is_scheduled(const schedule_key& key) const {
    if (key < known_) {
        return soon_.contains(key);
    }
    const auto at = lately_.find(key);
    return at == lately_.end() || at->second.added;
}

std::vector<const scheduled_batch*> schedule_book::added_lately() const {
    std::vector<const scheduled_batch*> added;
    for (const auto& [key, each] : lately_) {
        if (each.added) {
            added.push_back(&*each.added);
        }
    }
    return added;
}

void schedule_book::take(std::vector<scheduled_batch>& items, const schedule_key& from,
                         const schedule_key& until, wall_time now) {
    if (known_ < from || until <= known_) {
        return;  // memory gave some back meanwhile, or knows all of it
    }
    const schedule_key begin = known_;
    std::map<schedule_key, scheduled_batch> found;
    for (scheduled_batch& each : items) {
        if (each.key >= begin && each.key < until && is_scheduled(each.key)) {
            found.emplace(each.key, std::move(each));
        }
    }
    for (auto at = lately_.lower_bound(begin); at != lately_.end() && at->first < until; ++at) {
        if (at->second.added) {
            found.emplace(at->first, *at->second.added);
        }
    }
    set_known(until);
    for (const auto& [key, each] : found) {
        if (key < known_) {  // else there is no room for it
            keep(each, now);
        }
    }
}

bool schedule_book::forget_applied(commit_number applied) {
    const commit_number known = reads.seen_by_all(applied);
    for (; !lately_log_.empty() && lately_log_.front().first <= known; lately_log_.pop_front()) {
        const auto at = lately_.find(lately_log_.front().second);
        if (at != lately_.end() && at->second.commit <= known) {
            lately_.erase(at);
        }
    }
    return lately_log_.empty();
}

std::optional<std::string> schedule_book::check() const {
    std::uint64_t messages = 0;
    std::size_t bytes = 0;
    for (const auto& [key, each] : soon_) {
        messages += each.messages;
        bytes += each.bytes;
    }
    if (bytes != soon_bytes_) {
        return fmt::format("{} bytes of schedules in memory are counted as {}", bytes, soon_bytes_);
    }
    if (soon_.size() > totals_.schedules || messages > totals_.messages || bytes > totals_.bytes) {
        return fmt::format("{} schedules are in memory, {} in all", soon_.size(),
                           totals_.schedules);
    }
    if (!soon_.empty() && soon_.rbegin()->first >= known_) {
        return "a schedule in memory is beyond what memory knows";
    }
    return std::nullopt;
}

}  // namespace brokerd::domain
