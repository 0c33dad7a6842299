// What a producer's last sequences led to.
#include "broker/domain/producer_window.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/base/assert.hpp"

namespace brokerd::domain {
namespace {

std::uint64_t last_of(const producer_run& run) {
    return run.first_sequence + run.count - 1;
}

}  // namespace

std::uint64_t producer_window::lowest() const {
    return highest_ < limits::producer_window ? 1 : highest_ - limits::producer_window + 1;
}

producer_window::answer producer_window::check(std::uint64_t first, std::uint64_t count) const {
    if (first > highest_) {
        return {};
    }
    if (first < lowest()) {
        return {verdict::too_old, 0};
    }
    const std::uint64_t last = first + count - 1;
    // The first run that reaches `first`.
    const auto run = std::lower_bound(
        runs_.begin(), runs_.end(), first,
        [](const producer_run& each, std::uint64_t sequence) { return last_of(each) < sequence; });
    if (run == runs_.end() || run->first_sequence > last) {
        return {};  // falls into a gap: its first try was refused
    }
    if (run->first_sequence <= first && last <= last_of(*run)) {
        const std::uint64_t distance = kind_ == content::offsets ? first - run->first_sequence : 0;
        return {verdict::duplicate, run->value + distance};
    }
    return {verdict::mismatch, 0};
}

bool producer_window::continues(const producer_run& run, std::uint64_t first,
                                std::uint64_t value) const {
    return run.first_sequence + run.count == first &&
           value == (kind_ == content::offsets ? run.value + run.count : run.value);
}

void producer_window::touch(std::uint64_t run_index) {
    changed_from_ = std::min(changed_from_, (base_ + run_index) / slot_runs);
}

void producer_window::record(std::uint64_t first, std::uint64_t count, std::uint64_t value) {
    if (first > highest_) {
        highest_ = first + count - 1;
        if (!runs_.empty() && continues(runs_.back(), first, value)) {
            runs_.back().count += count;
        } else {
            runs_.push_back({first, count, value});
        }
        touch(runs_.size() - 1);
    } else {
        // A gap is filled: everything behind it moves, which is rare.
        const auto at = std::upper_bound(runs_.begin(), runs_.end(), first,
                                         [](std::uint64_t sequence, const producer_run& each) {
                                             return sequence < each.first_sequence;
                                         });
        BROKERD_ASSERT((at == runs_.begin() || last_of(*std::prev(at)) < first) &&
                           (at == runs_.end() || first + count <= at->first_sequence),
                       "sequence {} recorded twice", first);
        const auto index = static_cast<std::uint64_t>(std::distance(runs_.begin(), at));
        runs_.insert(at, {first, count, value});
        touch(index);
    }
    forget_old();
    const std::uint64_t slots = (base_ + runs_.size() + slot_runs - 1) / slot_runs;
    slots_used_ = static_cast<std::uint32_t>(
        std::max<std::uint64_t>(slots_used_, std::min(slots, slots_max)));
}

void producer_window::forget_old() {
    std::size_t forget = 0;
    while (runs_.size() - forget > slot_runs && last_of(runs_[forget + slot_runs - 1]) < lowest()) {
        forget += slot_runs;
    }
    if (forget > 0) {
        runs_.erase(runs_.begin(), runs_.begin() + static_cast<std::ptrdiff_t>(forget));
        base_ += forget;
        changed_from_ = std::max(changed_from_, base_ / slot_runs);
    }
}

std::span<const producer_run> producer_window::slot_content(std::uint64_t slot) const {
    const std::uint64_t begin = slot * slot_runs - base_;
    return std::span{runs_}.subspan(begin,
                                    std::min<std::uint64_t>(slot_runs, runs_.size() - begin));
}

void producer_window::load(std::uint32_t slot, std::vector<producer_run> runs) {
    BROKERD_ASSERT(!runs.empty() && runs.size() <= slot_runs && slot < slots_max);
    loaded_.push_back({slot, std::move(runs)});
}

void producer_window::finish_load() {
    std::sort(loaded_.begin(), loaded_.end(), [](const loaded_slot& a, const loaded_slot& b) {
        return a.runs.front().first_sequence < b.runs.front().first_sequence;
    });
    // Backwards from the newest as long as the ring goes on; what lies behind is older than the
    // window and was not overwritten yet.
    auto begin = loaded_.end();
    while (begin != loaded_.begin()) {
        const auto before = std::prev(begin);
        if (begin != loaded_.end() &&
            ((before->slot + 1) % slots_max != begin->slot || before->runs.size() != slot_runs ||
             last_of(before->runs.back()) >= begin->runs.front().first_sequence)) {
            break;
        }
        begin = before;
    }
    if (begin != loaded_.end()) {
        const auto kept = static_cast<std::uint64_t>(std::distance(begin, loaded_.end()));
        base_ = (slots_max + loaded_.back().slot + 1 - kept) * slot_runs;
    }
    for (const auto& each : loaded_) {
        slots_used_ = std::max(slots_used_, each.slot + 1);
    }
    for (; begin != loaded_.end(); ++begin) {
        runs_.insert(runs_.end(), begin->runs.begin(), begin->runs.end());
    }
    loaded_.clear();
    loaded_.shrink_to_fit();
    highest_ = runs_.empty() ? 0 : last_of(runs_.back());
    changed_from_ = (base_ + runs_.size() + slot_runs - 1) / slot_runs;
    forget_old();
}

}  // namespace brokerd::domain
