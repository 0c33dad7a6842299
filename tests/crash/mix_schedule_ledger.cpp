// Judging schedules.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "tests/crash/mix_schedule.hpp"

namespace brokerd::crash {

void schedule_ledger::submitted(std::uint64_t content, timestamp due) {
    const std::scoped_lock lock(mutex_);
    entries_[content].due = due;
}

void schedule_ledger::acknowledged(std::uint64_t content, std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    entry& of = entries_[content];
    if (of.id.value_or(id) != id) {
        told_.tell(fmt::format("{}: {} has schedule {} and was answered with {}", topic_, content,
                               *of.id, id));
    }
    of.id = id;
    if (const auto [at, fresh] = contents_.try_emplace(id, content); at->second != content) {
        told_.tell(fmt::format("{}: schedule {} was given to {} and to {}", topic_, id, at->second,
                               content));
    }
}

std::optional<schedule_ledger::chosen> schedule_ledger::some_after(timestamp time,
                                                                   std::uint64_t number) const {
    const std::scoped_lock lock(mutex_);
    std::vector<chosen> all;
    // Only the newest can be due so late.
    for (auto at = entries_.rbegin(); at != entries_.rend() && all.size() < 20; ++at) {
        const entry& of = at->second;
        if (of.id && of.is != end::cancelled && of.due > time) {
            all.push_back({at->first, *of.id});
        }
    }
    return all.empty() ? std::nullopt : std::optional(all[number % all.size()]);
}

void schedule_ledger::cancelling(std::uint64_t content) {
    const std::scoped_lock lock(mutex_);
    entries_[content].is = end::perhaps_cancelled;
}

void schedule_ledger::cancelled(std::uint64_t content, std::uint64_t schedules) {
    const std::scoped_lock lock(mutex_);
    // With none it was appended, or an attempt before whose outcome is unknown had cancelled it.
    if (schedules > 0) {
        entries_[content].is = end::cancelled;
    }
}

void schedule_ledger::audit(const std::vector<appended>& stored) const {
    const std::scoped_lock lock(mutex_);
    std::set<std::uint64_t> came;
    for (const auto& each : stored) {
        const auto at = entries_.find(each.content);
        if (at == entries_.end()) {
            told_.tell(fmt::format("{}@{} holds {}, which nobody scheduled", topic_, each.offset,
                                   each.content));
            continue;
        }
        if (!came.insert(each.content).second) {
            told_.tell(fmt::format("{}: {} came twice", topic_, each.content));
        }
        if (at->second.is == end::cancelled) {
            told_.tell(fmt::format("{}: {} was cancelled and came", topic_, each.content));
        }
        if (each.time < at->second.due) {
            told_.tell(fmt::format("{}: {} came {} us before it was due", topic_, each.content,
                                   (at->second.due - each.time).count()));
        }
    }
    for (const auto& [content, of] : entries_) {
        if (!of.id) {
            told_.tell(fmt::format("{}: {} was never acknowledged", topic_, content));
        }
        if (of.is == end::to_come && !came.contains(content)) {
            told_.tell(fmt::format("{}: {} was scheduled and never came", topic_, content));
        }
    }
}

std::size_t schedule_ledger::unanswered() const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(entries_, [](const auto& each) { return !each.second.id; }));
}

std::string schedule_ledger::summary() const {
    const std::scoped_lock lock(mutex_);
    const auto cancelled = std::ranges::count_if(
        entries_, [](const auto& each) { return each.second.is == end::cancelled; });
    return fmt::format("{} scheduled, {} cancelled", entries_.size(), cancelled);
}

}  // namespace brokerd::crash
