// How a lease ends: acknowledged, given back, or failed, which is one attempt of its message.
#include <algorithm>
#include <utility>

#include "broker/base/assert.hpp"
#include "broker/domain/consumer_group.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

// The queue's back-off: doubled with each attempt, with jitter so that what failed together does
// not come back together.
duration_us back_off(core& c, const queue_settings& settings, std::uint32_t attempts) {
    duration_us delay = settings.backoff;
    for (std::uint32_t i = 1; i < attempts && delay < settings.backoff_max; ++i) {
        delay *= 2;
    }
    delay = std::min(delay, settings.backoff_max);
    const std::int64_t spread = delay.count() / 100 * settings.jitter_percent;
    return delay + duration_us{c.jitter.between(-spread, spread)};
}

// The first attempt and the latest ones are kept.
void append_attempt(std::vector<attempt>& history, attempt one) {
    if (history.size() >= limits::attempts_history_max) {
        history.erase(history.begin() + 1);
    }
    history.push_back(std::move(one));
}

void offer_room(queue& q, consumer& holder) {
    q.offer(holder);
    if (holder.group != nullptr) {
        holder.group->note();
    }
}

void give_back_ended(core& c, queue& q, const lease_span& span) {
    span.holder->give_back_ended(span.run.count, span.bytes);
    offer_room(q, *span.holder);
    c.wake(q);
}

}  // namespace

void give_back_room(queue& q, const lease_span& span) {
    consumer& holder = *span.holder;
    BROKERD_ASSERT(holder.leased >= span.run.count && holder.leased_bytes >= span.bytes,
                   "consumer {} gives back more than it holds", holder.name);
    holder.give_back(span.run.count, span.bytes);
    offer_room(q, holder);
}

void keep_room(queue& q, lease_span span) {
    span.holder->keep_room(span.run.count, span.bytes);
    span.exception.reset();
    q.ended.made().add(std::move(span));
}

void forget_ended(core& c, queue& q, lease_run run) {
    while (run.count > 0 && !q.ended->empty()) {
        const lease_part part = find_part(*q.ended, run);
        if (part.held) {
            give_back_ended(c, q, q.ended.made().take({run.epoch, run.first_lease}, part.count));
        }
        run.first_offset += part.count;
        run.first_lease += part.count;
        run.count -= part.count;
    }
}

void ack_span(core& c, turn& t, queue& q, const lease_span& span) {
    end_in_flight(q, span.offsets());
    if (span.exception) {
        erase_exception(c, t, q, span.run.first_offset, *span.exception);
    } else {
        q.ahead.erase(span.offsets());
        if (q.order) {
            q.order->skipped.erase(span.offsets());  // an earlier epoch gave it
        }
        q.book.to_done(span.offsets());
        c.note_change(t, q, false);
        c.note_trim(q.owner);
    }
    q.out_rate.add(t.now.mono, span.run.count);
    c.counters.acked_messages += span.run.count;
    c.wake(q);
}

void release_span(core& c, turn& t, queue& q, lease_span span) {
    c.counters.released_messages += span.run.count;
    c.wake(q);
    if (span.exception) {
        end_in_flight(q, span.offsets());
        // Due at once. That it was leased again must be known, or a late answer of the lease that
        // failed before would still hold.
        exception_state value = *span.exception;
        value.due = t.retry_now;
        value.last_lease = {span.run.epoch, span.run.first_lease};
        value.lease_failed = false;
        put_exception(c, t, q, span.run.first_offset, span.exception.get(), std::move(value));
        return;
    }
    q.ahead.erase(span.offsets());
    if (q.order) {
        return_in_order(q, span.offsets());
    } else {
        q.give_back(span.offsets(), span.lane);
    }
}

void put_exception(core& c, turn& t, queue& q, offset_t offset, const exception_state* before,
                   exception_state value) {
    const bool was_retrying = before != nullptr && before->state == message_state::retrying;
    const wall_time previous_due = was_retrying ? before->due : wall_never;
    if (was_retrying) {
        q.forget_due(offset, before->due);
        q.leased_retries.erase({offset, 1});
    }
    if (value.state == message_state::dead) {
        q.book.to_dead(offset);
        end_retrying(q, value.key_hash, offset);
        ++c.counters.dead_messages;
    } else {
        q.book.to_retrying(offset);
        begin_retrying(q, value.key_hash, offset);
        q.schedule.add(offset, value.due, t.retry_now);
        c.arm(q, c.clock.mono_of_retry_time(value.due));
    }
    if (q.cloning) {
        q.cloning->put(offset, value);
    }
    c.retries_put = true;
    c.emit(t, exception_put{.topic = q.owner.id,
                            .queue = q.id,
                            .offset = offset,
                            .previous_due = previous_due,
                            .value = value});
    known_exception& known = q.exceptions.made().known[offset];
    known.value = std::move(value);
    known.commit = c.gathering;
    q.exceptions.made().put.emplace_back(c.gathering, offset);
    c.note_exceptions(q);
    c.note_change(t, q, true);
    c.note_trim(q.owner);
    c.wake(q);
}

void erase_exception(core& c, turn& t, queue& q, offset_t offset, const exception_state& before) {
    const bool was_retrying = before.state == message_state::retrying;
    if (was_retrying) {
        q.forget_due(offset, before.due);
        q.leased_retries.erase({offset, 1});
        end_retrying(q, before.key_hash, offset);
    }
    q.book.exception_done(offset);
    q.exceptions.made().known.erase(offset);
    if (q.cloning) {
        q.cloning->erase(offset);
    }
    c.emit(t,
           exception_erased{.topic = q.owner.id,
                            .queue = q.id,
                            .offset = offset,
                            .previous_due = was_retrying ? before.due : wall_never},
           false);
    if (offset < q.owner.trim) {
        c.emit(t, kept_erased{.topic = q.owner.id, .queue = q.id, .offset = offset}, false);
    }
    c.note_change(t, q, false);
    c.note_trim(q.owner);
}

void fail_message(core& c, turn& t, queue& q, offset_t offset, lease_id lease,
                  const exception_state* before, const failed_lease& how) {
    exception_state value = before != nullptr ? *before : exception_state{};
    if (before == nullptr && q.order) {
        value.key_hash = key_of_failed(q, offset);
    } else {
        end_in_flight(q, {offset, 1});
    }
    ++value.attempts;
    value.last_lease = lease;
    value.lease_failed = true;
    append_attempt(
        value.history,
        {.time = t.wall, .outcome = how.outcome, .consumer = how.consumer, .reason = how.reason});
    if (how.outcome == attempt_outcome::rejected || value.attempts >= q.settings->attempts) {
        value.state = message_state::dead;
        value.due = t.wall;
    } else {
        value.state = message_state::retrying;
        const duration_us delay =
            how.delay >= duration_us{0} ? how.delay : back_off(c, *q.settings, value.attempts);
        value.due = t.retry_now + delay;
    }
    put_exception(c, t, q, offset, before, std::move(value));
}

void expire_message(core& c, turn& t, queue& q, offset_t offset, const exception_state* before,
                    key_hash key) {
    exception_state value = before != nullptr ? *before : exception_state{};
    if (before == nullptr) {
        value.key_hash = key;
        value.last_lease = {c.epoch, q.next_lease - 1};  // none that was given before holds
    }
    value.state = message_state::dead;
    value.due = t.wall;
    value.lease_failed = false;
    append_attempt(value.history, {.time = t.wall,
                                   .outcome = attempt_outcome::ttl_expired,
                                   .consumer = {},
                                   .reason = std::string(to_string(attempt_outcome::ttl_expired))});
    put_exception(c, t, q, offset, before, std::move(value));
}

void fail_span(core& c, turn& t, queue& q, const lease_span& span, const failed_lease& how) {
    switch (how.outcome) {
        case attempt_outcome::nacked: c.counters.nacked_messages += span.run.count; break;
        case attempt_outcome::rejected: c.counters.rejected_messages += span.run.count; break;
        case attempt_outcome::expired: c.counters.expired_leases += span.run.count; break;
        case attempt_outcome::lost: c.counters.lost_leases += span.run.count; break;
        case attempt_outcome::ttl_expired: break;  // no lease fails so
    }
    q.ahead.erase(span.offsets());
    for (std::uint32_t i = 0; i < span.run.count; ++i) {
        fail_message(c, t, q, span.run.first_offset + i,
                     lease_id{span.run.epoch, span.run.first_lease + i}, span.exception.get(), how);
    }
}

void expire_leases(core& c, turn& t, queue& q) {
    if (std::min(q.leases->earliest(), q.ended->earliest()) > t.now.mono) {
        return;
    }
    for (const lease_span& span : q.leases.made().take_expired(t.now.mono)) {
        if (!q.stands_by(*span.holder)) {
            q.pass_on();
        }
        give_back_room(q, span);
        fail_span(
            c, t, q, span,
            {.outcome = attempt_outcome::expired, .consumer = span.holder->name, .reason = {}});
    }
    for (const lease_span& span : q.ended.made().take_expired(t.now.mono)) {
        give_back_ended(c, q, span);
    }
}

}  // namespace brokerd::domain
