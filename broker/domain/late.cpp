// Leases that are not in the table any more: their holder was lost, their time ran out, or an
// earlier epoch gave them. They still hold as long as the message was not leased again, so that
// work which was done is not done twice.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

std::uint64_t record_bytes(const queue& q, offset_t offset) {
    const chunk_tail::entry* entry = q.owner.tail.find(offset);
    return entry == nullptr ? 0 : entry->data->record_size(offset);
}

}  // namespace

bool ended_silently(const exception_state& known) {
    return known.lease_failed && !known.history.empty() &&
           (known.history.back().outcome == attempt_outcome::lost ||
            known.history.back().outcome == attempt_outcome::expired);
}

late_lease judge_late(const core& c, const queue& q, offset_t offset, lease_id lease,
                      const exception_state* known) {
    if (lease.counter == 0 || lease.epoch == broker_epoch{} || lease <= q.fence ||
        lease.epoch > c.epoch || offset >= q.owner.end) {
        return late_lease::gone;
    }
    const bool earlier_epoch = lease.epoch < c.epoch;
    if (earlier_epoch && q.untouched(offset)) {
        return late_lease::untouched;
    }
    if (known == nullptr || !q.book.is_exception(offset) || q.leased_retries.contains(offset)) {
        return late_lease::gone;
    }
    if (known->last_lease == lease && ended_silently(*known)) {
        return late_lease::excepted;
    }
    // Leased again after that one ended, or taken up again, when the broker went down.
    const bool leased_at_restart =
        earlier_epoch && known->state == message_state::retrying &&
        (known->last_lease < lease || (known->last_lease == lease && !known->lease_failed));
    return leased_at_restart ? late_lease::excepted : late_lease::gone;
}

outcome<void> check_runs(const std::vector<lease_run>& runs) {
    std::uint64_t leases = 0;
    for (const lease_run& run : runs) {
        leases += run.count;
    }
    if (runs.size() > limits::settle_runs_max || leases > limits::settle_leases_max) {
        return refuse(
            error_code::invalid_argument,
            fmt::format("{} leases in {} runs; at most {} leases in {} runs are allowed "
                        "in one request",
                        leases, runs.size(), limits::settle_leases_max, limits::settle_runs_max));
    }
    return {};
}

std::vector<offset_t> unleased_exceptions(const queue& q, const std::vector<lease_run>& runs) {
    std::vector<offset_t> found;
    const auto collect = [&](offset_range range) {
        for (offset_t offset = range.first; offset < range.end(); ++offset) {
            if (!q.leased_retries.contains(offset)) {
                found.push_back(offset);
            }
        }
    };
    for (const lease_run& run : runs) {
        const offset_t end = run.first_offset + run.count;
        q.book.retrying().for_each_in(run.first_offset, end, collect);
        q.book.dead().for_each_in(run.first_offset, end, collect);
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

std::uint64_t same_fate(const queue& q, offset_t offset, lease_id lease, offset_t end) {
    if (lease <= q.fence && lease.epoch == q.fence.epoch) {
        end = std::min(end, offset + (q.fence.counter - lease.counter) + 1);
    }
    offset_t stop =
        std::min(q.book.retrying().next_member(offset), q.book.dead().next_member(offset));
    if (q.order && offset < q.next) {
        return 1;
    }
    if (q.untouched(offset)) {
        stop = std::min({stop, q.book.closed().next_member(offset), q.ahead.next_member(offset),
                         q.returned.next_member(offset), q.owner.end});
    } else if (const offset_t fresh = std::max(q.next, q.book.floor()); offset < fresh) {
        stop = std::min(stop, fresh);
    } else {
        stop = std::min(stop, std::max({q.book.closed().next_gap(offset), q.ahead.next_gap(offset),
                                        q.returned.next_gap(offset)}));
    }
    return std::min(std::max(stop, offset + 1), end) - offset;
}

bool take_up(core& c, turn& t, queue& q, consumer& holder, offset_t offset, lease_id lease,
             const exception_state* known, mono_time deadline) {
    const late_lease worth = judge_late(c, q, offset, lease, known);
    // A lease that is in a table was given for another message: somebody made this one up.
    if (worth == late_lease::gone || q.leases->find(lease) != nullptr ||
        q.ended->find(lease) != nullptr || holder.shared->leased >= limits::prefetch_messages_max) {
        return false;
    }
    lease_span span;
    span.run = {
        .first_offset = offset, .count = 1, .epoch = lease.epoch, .first_lease = lease.counter};
    span.holder = &holder;
    span.deadline = deadline;
    span.bytes = record_bytes(q, offset);
    if (worth == late_lease::untouched) {
        take_up_untouched(q, offset);
    } else {
        exception_state value = *known;
        if (known->last_lease == lease && ended_silently(*known) &&
            value.history.back().outcome == attempt_outcome::lost) {
            // The connection came back: the attempt did not fail after all.
            value.history.pop_back();
            --value.attempts;
            value.lease_failed = false;
            value.state = message_state::retrying;
            value.due = t.retry_now;
            put_exception(c, t, q, offset, known, value);
        }
        if (value.state == message_state::dead) {
            return false;
        }
        q.forget_due(offset, value.due);
        q.leased_retries.insert({offset, 1});
        lock_retry(q, value.key_hash, offset);
        holder.shared->alone = holder.shared->alone || must_be_alone(value);
        span.attempt = value.attempts + 1;
        span.exception = std::make_unique<exception_state>(std::move(value));
    }
    holder.hold(lease, 1, span.bytes);
    q.leases.made().add(std::move(span));
    c.arm(q, deadline);
    return true;
}

}  // namespace brokerd::domain
