// The leases of one queue.
#include "broker/domain/lease_table.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "broker/base/assert.hpp"

namespace brokerd::domain {
namespace {

// `next` continues `span`: they share everything and are neighbours in offset and lease.
bool continues(const lease_span& span, const lease_span& next) {
    return span.holder == next.holder && span.deadline == next.deadline &&
           span.attempt == next.attempt && span.lane == next.lane && !span.exception &&
           !next.exception && span.run.epoch == next.run.epoch &&
           span.run.first_offset + span.run.count == next.run.first_offset &&
           span.run.first_lease + span.run.count == next.run.first_lease;
}

// Moves the first `count` messages of `span` out of it, with their share of the bytes.
lease_span cut_front(lease_span& span, std::uint32_t count) {
    lease_span front;
    front.run = span.run;
    front.run.count = count;
    front.holder = span.holder;
    front.deadline = span.deadline;
    front.attempt = span.attempt;
    front.lane = span.lane;
    front.bytes = span.bytes / span.run.count * count;
    span.bytes -= front.bytes;
    span.run.first_offset += count;
    span.run.first_lease += count;
    span.run.count -= count;
    return front;
}

}  // namespace

void lease_table::add(lease_span span) {
    BROKERD_ASSERT(span.run.count > 0 && span.holder != nullptr);
    BROKERD_ASSERT(!span.exception || span.run.count == 1);
    (span.exception ? retried_ : fresh_) += span.run.count;
    const lease_id last = span.last_lease();
    const auto behind = spans_.lower_bound(span.first_lease());
    BROKERD_ASSERT(behind == spans_.end() || behind->second.span.first_lease() > last,
                   "lease {} given twice", span.run.first_lease);
    if (behind != spans_.begin()) {
        const auto before = std::prev(behind);
        if (continues(before->second.span, span)) {
            auto node = spans_.extract(before);
            node.key() = last;
            node.mapped().span.run.count += span.run.count;
            node.mapped().span.bytes += span.bytes;
            spans_.insert(behind, std::move(node));
            return;
        }
    }
    insert(behind, std::move(span));
}

void lease_table::insert(span_map::iterator hint, lease_span span) {
    const lease_id last = span.last_lease();
    join_group(spans_.emplace_hint(hint, last, entry{.span = std::move(span), .in = {}})->second);
}

void lease_table::join_group(entry& what) {
    // What is leased now mostly expires last, together with what was leased just before.
    const auto hint = groups_.empty() ? groups_.end() : std::prev(groups_.end());
    what.in = groups_.try_emplace(hint, what.span.deadline);
    group& in = what.in->second;
    what.before = in.last;
    (in.last == nullptr ? in.first : in.last->after) = &what;
    in.last = &what;
}

void lease_table::leave_group(const entry& what) {
    group& in = what.in->second;
    (what.before == nullptr ? in.first : what.before->after) = what.after;
    (what.after == nullptr ? in.last : what.after->before) = what.before;
    if (in.first == nullptr) {
        groups_.erase(what.in);
    }
}

const lease_span* lease_table::find(lease_id lease) const {
    const auto at = spans_.lower_bound(lease);
    return at != spans_.end() && at->second.span.first_lease() <= lease &&
                   at->second.span.run.epoch == lease.epoch
               ? &at->second.span
               : nullptr;
}

const lease_span* lease_table::find_offset(offset_t offset) const {
    for (const auto& [last, each] : spans_) {
        if (offset >= each.span.run.first_offset && offset < each.span.offsets().end()) {
            return &each.span;
        }
    }
    return nullptr;
}

lease_part find_part(const lease_table& table, const lease_run& run) {
    const lease_id lease{run.epoch, run.first_lease};
    const lease_span* span = table.find(lease);
    std::uint64_t count = run.count;
    if (span == nullptr) {
        const lease_id next = table.next_lease(lease);
        if (next.epoch == run.epoch) {
            count = std::min<std::uint64_t>(count, next.counter - lease.counter);
        }
        return {static_cast<std::uint32_t>(count), false};
    }
    count = std::min<std::uint64_t>(count, span->last_lease().counter - lease.counter + 1);
    const offset_t offset = span->run.first_offset + (lease.counter - span->run.first_lease);
    return {static_cast<std::uint32_t>(count), offset == run.first_offset};
}

lease_id lease_table::next_lease(lease_id lease) const {
    const auto at = spans_.upper_bound(lease);
    if (at == spans_.end()) {
        return {broker_epoch{std::numeric_limits<std::uint32_t>::max()},
                std::numeric_limits<std::uint64_t>::max()};
    }
    return std::max(at->second.span.first_lease(), lease_id{lease.epoch, lease.counter + 1});
}

void lease_table::uncount(const lease_span& span) {
    (span.exception ? retried_ : fresh_) -= span.run.count;
}

lease_span lease_table::remove(span_map::iterator at) {
    leave_group(at->second);
    lease_span span = std::move(at->second.span);
    spans_.erase(at);
    uncount(span);
    return span;
}

lease_span lease_table::take(lease_id lease, std::uint32_t count) {
    const auto at = spans_.lower_bound(lease);
    BROKERD_ASSERT(at != spans_.end() && at->second.span.first_lease() <= lease && count > 0 &&
                       lease.counter + count - 1 <= at->second.span.last_lease().counter,
                   "lease {} is not in the table", lease.counter);
    lease_span& span = at->second.span;
    if (count == span.run.count) {
        return remove(at);
    }
    const auto before = static_cast<std::uint32_t>(lease.counter - span.run.first_lease);
    lease_span front;
    if (before > 0) {
        front = cut_front(span, before);
    }
    if (count == span.run.count) {
        // Taken from the end: the rest keeps its node under its new last lease.
        auto node = spans_.extract(at);
        lease_span taken = std::move(node.mapped().span);
        node.key() = front.last_lease();
        node.mapped().span = std::move(front);
        spans_.insert(std::move(node));
        uncount(taken);
        return taken;
    }
    lease_span taken = cut_front(span, count);
    if (before > 0) {
        insert(at, std::move(front));
    }
    uncount(taken);
    return taken;
}

std::vector<lease_span> lease_table::take_expired(mono_time now) {
    std::vector<lease_span> expired;
    while (earliest() <= now) {
        const entry& first = *groups_.begin()->second.first;
        expired.push_back(remove(spans_.find(first.span.last_lease())));
    }
    return expired;
}

std::vector<lease_span> lease_table::take_of(const consumer& holder, std::uint64_t count) {
    std::vector<lease_span> taken;
    std::uint64_t left = count;
    for (auto at = spans_.lower_bound(holder.oldest_lease); at != spans_.end() && left > 0;) {
        const auto here = at++;
        if (here->second.span.holder == &holder) {
            left -= here->second.span.run.count;
            taken.push_back(remove(here));
        }
    }
    BROKERD_ASSERT(left == 0, "consumer {} has {} leases that are not in the table", holder.name,
                   left);
    return taken;
}

std::vector<lease_span> lease_table::take_all() {
    std::vector<lease_span> taken;
    taken.reserve(spans_.size());
    for (auto& [last, each] : spans_) {
        taken.push_back(std::move(each.span));
    }
    spans_.clear();
    groups_.clear();
    fresh_ = 0;
    retried_ = 0;
    return taken;
}

std::vector<lease_span> lease_table::take_below(offset_t below, std::uint64_t count) {
    std::vector<lease_span> taken;
    // The oldest leases are mostly those of the oldest messages, so this mostly ends early. Those
    // that were returned and leased again lie anywhere: then it looks at every span.
    for (auto at = spans_.begin(); at != spans_.end() && count > 0;) {
        const auto here = at++;
        const lease_span& span = here->second.span;
        if (span.exception || span.run.first_offset >= below) {
            continue;
        }
        const auto part = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(span.run.count, below - span.run.first_offset));
        count -= std::min<std::uint64_t>(count, part);
        taken.push_back(take(span.first_lease(), part));
    }
    return taken;
}

}  // namespace brokerd::domain
