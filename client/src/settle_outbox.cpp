// Answers from add() to their confirmation.
#include "client/src/settle_outbox.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <utility>

#include "client/src/client_limits.hpp"
#include "client/src/delivery.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::client_core {
namespace {

// Different reasons are rare; looking back further would cost more than the frame it saves.
constexpr std::ptrdiff_t groups_looked_at = 4;

std::uint64_t count_leases(const std::vector<lease_run>& runs) {
    std::uint64_t count = 0;
    for (const lease_run& run : runs) {
        count += run.count;
    }
    return count;
}

bool contains(const std::vector<lease_run>& runs, const lease_run& one) {
    return std::ranges::any_of(runs, [&](const lease_run& run) {
        return run.epoch == one.epoch && run.first_lease <= one.first_lease &&
               one.first_lease < run.first_lease + run.count;
    });
}

// Handlers that run at the same time finish in any order.
void sort_and_merge(std::vector<lease_run>& runs) {
    std::ranges::sort(runs, {},
                      [](const lease_run& run) { return std::pair(run.epoch, run.first_lease); });
    std::vector<lease_run> merged;
    for (const lease_run& run : runs) {
        append_run(merged, run);
    }
    runs = std::move(merged);
}

}  // namespace

settle_outbox::settle_outbox(producer_id producer, bool confirm_all, std::uint32_t prefetch)
    : producer_(producer),
      confirm_all_(confirm_all),
      gather_max_(std::clamp(prefetch / client_limits::settle_gather_part,
                             client_limits::settle_gather_min, client_limits::settle_gather_max)) {}

settle_outbox::group& settle_outbox::group_for(queue_id queue, const answer& what, bool confirm) {
    std::vector<group>& of_queue = pending_[queue];
    const auto last = of_queue.rbegin();
    const auto end = last + std::min(groups_looked_at, std::ssize(of_queue));
    const auto found = std::find_if(last, end, [&](const group& each) {
        return each.action == what.action && each.confirm == confirm && each.delay == what.delay &&
               each.reason == what.reason && each.runs.size() < limits::settle_runs_max;
    });
    if (found != end) {
        return *found;
    }
    group fresh;
    fresh.number = ++last_number_;
    fresh.queue = queue;
    fresh.action = what.action;
    fresh.confirm = confirm;
    fresh.delay = what.delay;
    fresh.reason = what.reason;
    return of_queue.emplace_back(std::move(fresh));
}

void settle_outbox::add(queue_id queue, const lease_run& lease, answer what, mono_time now) {
    if (pending_.empty()) {
        gather_until_ = now + client_limits::settle_gather;
    }
    const bool confirm =
        what.action != settle_action::extend && (confirm_all_ || static_cast<bool>(what.confirmed));
    group& place = group_for(queue, what, confirm);
    append_run(place.runs, lease);
    if (what.confirmed) {
        place.waiters.push_back({lease, std::move(what.confirmed)});
        urgent_ = true;
    }
    ++pending_answers_;
}

bool settle_outbox::full() const {
    // What was sent first has the lowest sequence; what is written at once comes on top.
    return unconfirmed_.size() >= client_limits::confirms_unanswered_max ||
           (!unconfirmed_.empty() && last_sequence_ - unconfirmed_.begin()->second.sequence >=
                                         client_limits::sequences_unanswered_max / 2);
}

bool settle_outbox::due(mono_time now, bool idle) const {
    if (!resend_.empty()) {
        return true;
    }
    return !pending_.empty() && !full() &&
           (idle || urgent_ || pending_answers_ >= gather_max_ || gather_until_ <= now);
}

// Sequences ascend over all queues, so they do in each.
void settle_outbox::write(outgoing& out) {
    for (auto& [sequence, each] : std::exchange(resend_, {})) {
        write_group(out, std::move(each));
    }
    // Of very many queues not all at once: they take turns, or the last ones would wait for ever.
    while (!pending_.empty() && !full()) {
        auto next = pending_.upper_bound(last_queue_);
        auto of_queue = pending_.extract(next == pending_.end() ? pending_.begin() : next);
        last_queue_ = of_queue.key();
        for (group& each : of_queue.mapped()) {
            sort_and_merge(each.runs);
            if (each.confirm) {
                each.sequence = ++last_sequence_;
            }
            pending_answers_ -= count_leases(each.runs);
            write_group(out, std::move(each));
        }
    }
    urgent_ = urgent_ && !pending_.empty();
}

void settle_outbox::write_group(outgoing& out, group what) {
    codec::settle frame;
    frame.queue = what.queue;
    frame.action = what.action;
    frame.confirm = what.confirm;
    frame.delay = what.delay;
    frame.reason = what.reason;
    if (what.confirm) {
        frame.producer = producer_;
        frame.sequence = what.sequence;
    }
    frame.runs = what.runs;
    const std::uint32_t request = out.ids.next();
    codec::encode_frame(out.bytes, request, frame);
    if (what.confirm) {
        unconfirmed_.emplace(request, std::move(what));
    }
}

void settle_outbox::finish_waiters(group& what, const codec::settled& reply, calls& out) {
    const std::uint64_t asked = count_leases(what.runs);
    for (waiter& each : what.waiters) {
        if (reply.refused == 0) {
            finish<void>(out, each.done, {});
        } else if (reply.refused == asked || contains(reply.gone, each.lease)) {
            finish<void>(out, each.done,
                         std::unexpected(make_error(failure{
                             error_code::lease_gone,
                             "the lease of this message was lost before it was answered: it may "
                             "be delivered again"})));
        } else if (reply.duplicate) {
            // The broker remembers how many it refused the first time, not which.
            finish<void>(out, each.done,
                         std::unexpected(make_error(
                             client_errc::outcome_unknown,
                             "answered together with others over a lost connection; some of them "
                             "were refused")));
        } else {
            finish<void>(out, each.done, {});
        }
    }
}

void settle_outbox::on_settled(std::uint32_t request, const codec::settled& reply, calls& out) {
    auto found = unconfirmed_.extract(request);
    if (found.empty()) {
        return;
    }
    counts_.accepted += reply.accepted;
    counts_.refused += reply.refused;
    finish_waiters(found.mapped(), reply, out);
    finish_flushes(out);
}

void settle_outbox::on_refused(std::uint32_t request, const failure& why, calls& out) {
    auto found = unconfirmed_.extract(request);
    if (found.empty()) {
        return;
    }
    group& what = found.mapped();
    if (why.code == error_code::draining || why.code == error_code::storage_failed) {
        // The connection ends; over the next one it is sent again.
        resend_.emplace(what.sequence, std::move(what));
        return;
    }
    counts_.refused += count_leases(what.runs);
    for (waiter& each : what.waiters) {
        finish<void>(out, each.done, std::unexpected(make_error(why)));
    }
    finish_flushes(out);
}

void settle_outbox::on_lost() {
    for (auto& [request, each] : std::exchange(unconfirmed_, {})) {
        resend_.emplace(each.sequence, std::move(each));
    }
}

bool settle_outbox::has_unconfirmed() const {
    return !unconfirmed_.empty() || !resend_.empty() ||
           std::ranges::any_of(pending_ | std::views::values | std::views::join, &group::confirm);
}

void settle_outbox::wait_confirmed(callback<settle_counts> done, calls& out) {
    flushes_.push_back({last_number_, std::move(done)});
    urgent_ = true;
    finish_flushes(out);
}

void settle_outbox::finish_flushes(calls& out) {
    if (flushes_.empty()) {
        return;
    }
    std::uint64_t oldest = last_number_ + 1;  // of those that are not confirmed
    for (const auto& each : unconfirmed_) {
        oldest = std::min(oldest, each.second.number);
    }
    for (const auto& each : resend_) {
        oldest = std::min(oldest, each.second.number);
    }
    for (const group& each : pending_ | std::views::values | std::views::join) {
        oldest = each.confirm ? std::min(oldest, each.number) : oldest;
    }
    std::erase_if(flushes_, [&](flush& each) {
        if (each.number >= oldest) {
            return false;
        }
        finish<settle_counts>(out, each.done, counts_);
        return true;
    });
}

void settle_outbox::fail_group(group& what, const error& why, calls& out) {
    for (waiter& each : std::exchange(what.waiters, {})) {
        finish<void>(out, each.done, std::unexpected(why));
    }
}

void settle_outbox::fail_waiters(const error& why, calls& out) {
    for (group& each : pending_ | std::views::values | std::views::join) {
        fail_group(each, why, out);
    }
    for (auto& [sequence, each] : resend_) {
        fail_group(each, why, out);
    }
    for (auto& [request, each] : unconfirmed_) {
        fail_group(each, why, out);
    }
    for (flush& each : std::exchange(flushes_, {})) {
        finish<settle_counts>(out, each.done, std::unexpected(why));
    }
}

void settle_outbox::refuse_all(const error& why, calls& out) {
    const auto refuse = [&](group& what) {
        counts_.refused += what.confirm ? count_leases(what.runs) : 0;
        fail_group(what, why, out);
    };
    for (group& each : pending_ | std::views::values | std::views::join) {
        refuse(each);
    }
    for (auto& [sequence, each] : resend_) {
        refuse(each);
    }
    for (auto& [request, each] : unconfirmed_) {
        refuse(each);
    }
    clear();
    finish_flushes(out);
}

void settle_outbox::discard(const error& why, calls& out) {
    fail_waiters(why, out);
    clear();
}

void settle_outbox::clear() {
    pending_.clear();
    resend_.clear();
    unconfirmed_.clear();
    pending_answers_ = 0;
    urgent_ = false;
}

}  // namespace brokerd::client_core
