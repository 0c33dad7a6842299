// The life of a consumer over its connections.
#include "client/src/consumer_state.hpp"

#include <algorithm>
#include <utility>

#include "client/src/client_limits.hpp"
#include "client/src/deadline.hpp"
#include "client/src/encoded.hpp"
#include "protocol/codec/encode.hpp"

namespace brokerd::client_core {

consumer_state::consumer_state(setup what, callback<void> opened)
    : setup_(std::move(what)),
      opened_(std::move(opened)),
      pattern_(is_pattern(setup_.queue)),
      held_(setup_.owner, setup_.id, setup_.options.max_hold),
      outbox_(setup_.producer, setup_.options.confirm, setup_.options.prefetch_messages) {}

// ---- the connection

void consumer_state::on_ready(const codec::hello_ok& terms, calls& out) {
    connected_ = true;
    attach_at_ = {};
    if (pattern_ && (terms.features & codec::feature::pattern_queues) == 0) {
        fail(make_error(failure{error_code::feature_unsupported,
                                "the broker is too old for pattern queues; update brokerd"}),
             out);
    }
}

void consumer_state::on_lost(calls& out) {
    connected_ = false;
    outbox_.on_lost();
    extends_.clear();
    request_ = 0;
    request_deadline_ = mono_never;
    if (phase_ == phase::ended) {
        return;
    }
    // Leases to be given back by a detach that got lost are given back over the next connection.
    const bool finished = closing_ && held_.open() == 0 && !outbox_.has_unsent();
    phase_ = finished ? phase::ended : phase::detached;
    finish_close(out);
}

void consumer_state::on_other_database(calls& out) {
    if (phase_ == phase::ended) {
        return;
    }
    held_.clear();
    if (pattern_) {
        held_.close_idle_queues();  // an identity names another queue there
    }
    outbox_.refuse_all(
        make_error(failure{error_code::lease_gone,
                           "the broker was reached again with other data than before, in which "
                           "this message was not leased; whether its answer counted in the data "
                           "before is unknown"}),
        out);
    if (closing_) {
        phase_ = phase::ended;  // nothing is left to give back
    }
    finish_close(out);
}

bool consumer_state::renewal_due(mono_time now) const {
    return phase_ == phase::attached && held_.renew_at() <= now;
}

bool consumer_state::wants_write(mono_time now) const {
    if (!connected_ || phase_ == phase::ended) {
        return false;
    }
    const bool idle = held_.buffered() == 0 || stopped_;
    if (outbox_.due(now, idle)) {
        return true;
    }
    switch (phase_) {
        case phase::detached: return attach_at_ <= now;
        case phase::attached: return renewal_due(now) || (closing_ && !has_unconfirmed());
        case phase::attaching:
        case phase::detaching:
        case phase::ended: return false;
    }
    return false;
}

void consumer_state::write(outgoing& out) {
    if (!wants_write(out.now)) {
        return;
    }
    // Answers before the attach: they hold for messages that were not leased again since.
    if (outbox_.due(out.now, held_.buffered() == 0 || stopped_)) {
        outbox_.write(out);
    }
    if (phase_ == phase::detached && attach_at_ <= out.now) {
        write_attach(out);
    } else if (phase_ == phase::attached && closing_ && !has_unconfirmed()) {
        request_ = out.ids.next();
        request_deadline_ = later(out.now, setup_.request_timeout);
        codec::encode_frame(out.bytes, request_, codec::detach{.consumer = setup_.id});
        phase_ = phase::detaching;
    } else if (renewal_due(out.now)) {
        write_renewals(out);
    }
}

void consumer_state::write_attach(outgoing& out) {
    request_ = out.ids.next();
    request_deadline_ = later(out.now, setup_.request_timeout);
    if (pattern_) {
        codec::encode_frame(out.bytes, request_, pattern_attach());
    } else {
        codec::encode_frame(out.bytes, request_, plain_attach());
    }
    phase_ = phase::attaching;
}

consumer_state::allowance consumer_state::allowed() const {
    const consume_options& options = setup_.options;
    if (closing_ || (options.limit > 0 && delivered_ >= options.limit)) {
        return {};
    }
    return {options.prefetch_messages, options.limit > 0 ? options.limit - delivered_ : 0};
}

codec::attach consumer_state::plain_attach() const {
    codec::attach frame;
    frame.queue = setup_.queue;
    frame.consumer = setup_.id;
    frame.prefetch_messages = allowed().prefetch_messages;
    frame.prefetch_bytes = setup_.options.prefetch_bytes;
    frame.limit = allowed().limit;
    for (codec::pattern_held& each : held_.open_runs()) {
        frame.held = std::move(each.runs);  // there is one queue
    }
    return frame;
}

void consumer_state::write_renewals(outgoing& out) {
    const delivery_buffer::renewal due = held_.renew(out.now);
    for (const auto& [from, index] : due.given_back) {
        answer release;
        release.action = settle_action::release;
        (void)settle(*from, index, release, out.now);
    }
    for (const auto& [queue, runs] : due.renewed) {
        extend(out, queue, runs);
    }
}

// Confirmed, because the answer then names the leases that are gone.
void consumer_state::extend(outgoing& out, queue_id queue, const std::vector<lease_run>& runs) {
    for (std::size_t begin = 0; begin < runs.size(); begin += limits::settle_runs_max) {
        const std::size_t end = std::min<std::size_t>(runs.size(), begin + limits::settle_runs_max);
        codec::settle frame;
        frame.queue = queue;
        frame.action = settle_action::extend;
        frame.confirm = true;
        frame.runs.assign(runs.begin() + static_cast<std::ptrdiff_t>(begin),
                          runs.begin() + static_cast<std::ptrdiff_t>(end));
        const std::uint32_t request = out.ids.next();
        codec::encode_frame(out.bytes, request, frame);
        extends_.emplace(request, queue);
    }
}

mono_time consumer_state::tick(mono_time now, calls& out) {
    if (phase_ == phase::attaching && request_deadline_ <= now) {
        const error late =
            make_error(client_errc::timed_out, "the broker did not answer the attach to queue " +
                                                   setup_.queue + " in time");
        if (opened_) {
            fail(late, out);
        } else {
            request_ = 0;
            phase_ = phase::detached;
            attach_at_ = now + client_limits::attach_pause;
        }
    } else if (phase_ == phase::detaching && request_deadline_ <= now) {
        phase_ = phase::ended;
        finish_close(out);
    }
    pump(now, out);
    mono_time next = waiters_.deadline();
    if (connected_ && phase_ != phase::ended) {
        next = std::min(next, request_ != 0 ? request_deadline_ : mono_never);
        next = std::min(next, outbox_.deadline());
        next = std::min(next, phase_ == phase::detached ? attach_at_ : mono_never);
        next = std::min(next, phase_ == phase::attached ? held_.renew_at() : mono_never);
    }
    return next;
}

// ---- frames

bool consumer_state::owns(std::uint32_t request) const {
    return (request_ != 0 && request == request_) || extends_.contains(request) ||
           outbox_.owns(request);
}

bool consumer_state::answers(std::uint32_t request) const {
    return phase_ == phase::attaching && request == request_;
}

bool consumer_state::on_attached(std::uint32_t request, const codec::attached& reply, mono_time now,
                                 calls& out) {
    if (pattern_ || !answers(request)) {
        return false;
    }
    if (queue_ != reply.queue) {
        held_.close_queue(queue_);  // another one has its name
    }
    queue_ = reply.queue;
    held_.open_queue({.queue = queue_,
                      .topic = setup_.queue.substr(0, setup_.queue.find('/')),
                      .path = setup_.queue,
                      .lease = reply.lease,
                      .attempts = reply.attempts},
                     now);
    held_.close_gone(queue_, reply.gone);
    attached(now, out);
    return true;
}

void consumer_state::attached(mono_time now, calls& out) {
    request_ = 0;
    request_deadline_ = mono_never;
    phase_ = phase::attached;
    held_.restart_leases(now);
    finish<void>(out, opened_, {});
    pump(now, out);
}

void consumer_state::on_ok(std::uint32_t request, calls& out) {
    if (phase_ == phase::detaching && request == request_) {
        request_ = 0;
        phase_ = phase::ended;
        finish_close(out);
    }
}

void consumer_state::on_settled(std::uint32_t request, const codec::settled& reply, calls& out) {
    if (const auto extend = extends_.extract(request); !extend.empty()) {
        held_.close_gone(extend.mapped(), reply.gone);
        return;
    }
    outbox_.on_settled(request, reply, out);
    finish_close(out);
}

void consumer_state::on_refused(std::uint32_t request, const failure& why, mono_time now,
                                calls& out) {
    if (extends_.erase(request) > 0) {
        return;  // a removed queue is told by detached, or as one that left
    }
    if (request_ == 0 || request != request_) {
        outbox_.on_refused(request, why, out);
        finish_close(out);
        return;
    }
    request_ = 0;
    request_deadline_ = mono_never;
    if (phase_ == phase::detaching) {
        phase_ = phase::ended;
        finish_close(out);
    } else if (describe(why.code).retryable && (!opened_ || why.code == error_code::draining)) {
        phase_ = phase::detached;
        attach_at_ = now + client_limits::attach_pause;
    } else {
        fail(make_error(why), out);
    }
}

void consumer_state::on_detached(const codec::detached& push, calls& out) {
    if (push.code == error_code::draining) {
        return;  // the connection ends soon, and the consumer attaches over the next one
    }
    fail(make_error(failure{push.code, push.text}), out);
}

bool consumer_state::on_deliver(const arrived_frame& push, mono_time now, calls& out) {
    if (phase_ != phase::attached) {
        return true;  // on its way when we detached
    }
    if (!push.sound) {
        return false;
    }
    held_.close_expired(now);
    for (const codec::delivery_run& run : (*push.delivery)->runs) {
        const std::uint64_t buffered_max = std::uint64_t{2} * setup_.options.prefetch_messages;
        const queue_id from = pattern_ ? run.queue : queue_;
        if (held_.buffered() + run.leases.count > buffered_max ||
            !held_.add(run, from, push.body, now)) {
            return false;
        }
        delivered_ += run.leases.count;
    }
    pump(now, out);
    return true;
}

// ---- the application

std::optional<handed_message> consumer_state::take(mono_time now) {
    // Without being attached, whether the leases are still ours is answered soon: to hand them out
    // before could mean to do what another consumer was given in the meantime.
    if (stopped_ || failed_ || phase_ != phase::attached) {
        return std::nullopt;
    }
    held_.close_expired(now);  // as after a suspension
    return held_.take(now);
}

bool consumer_state::over() const {
    const bool all_delivered =
        setup_.options.limit > 0 && delivered_ >= setup_.options.limit && held_.buffered() == 0;
    return stopped_ || failed_ || phase_ == phase::ended || all_delivered;
}

std::uint64_t consumer_state::wait(mono_time deadline,
                                   callback<std::optional<handed_message>> done) {
    return waiters_.add(deadline, std::move(done));
}

void consumer_state::cancel_wait(std::uint64_t ticket) {
    waiters_.cancel(ticket);
}

// Gives waiters what there is for them: messages, the end, or that their time is over.
void consumer_state::pump(mono_time now, calls& out) {
    waiters_.serve([&] { return take(now); }, [&] { return over(); }, failed_, out);
    waiters_.expire(now, out);
}

bool consumer_state::holds(const delivery& of, std::uint32_t index) const {
    // A detach under way releases everything.
    return phase_ != phase::ended && phase_ != phase::detaching && of.slots[index].open;
}

bool consumer_state::settle(delivery& of, std::uint32_t index, answer& what, mono_time now) {
    if (!holds(of, index)) {
        return false;
    }
    if (what.action == settle_action::extend) {
        delivery::slot& slot = of.slots[index];
        slot.extended_until = later(now, what.delay);
        slot.hold_until = std::max(slot.hold_until, slot.extended_until);
    } else {
        held_.close(of, index);
    }
    outbox_.add(of.queue, of.lease_of(index), std::move(what), now);
    return true;
}

void consumer_state::leave_transaction(delivery& of, std::uint32_t index, bool settled,
                                       calls& out) {
    --in_transactions_;
    if (settled && of.slots[index].open) {
        held_.close(of, index);
    }
    finish_close(out);
}

void consumer_state::wait_confirmed(callback<settle_counts> done, calls& out) {
    outbox_.wait_confirmed(std::move(done), out);
}

void consumer_state::stop(calls& out) {
    stopped_ = true;
    finish<void>(out, opened_, {});
    pump({}, out);
}

void consumer_state::close(callback<settle_counts> done, calls& out) {
    if (phase_ == phase::ended) {
        finish<settle_counts>(out, done, outbox_.counts());
        return;
    }
    closing_ = true;
    closed_ = std::move(done);
    stopped_ = true;
    pump({}, out);
    if (phase_ == phase::detached && held_.open() == 0 && !outbox_.has_unsent()) {
        phase_ = phase::ended;
    }
    finish_close(out);
}

// Detached, or nothing is left to wait for: without a connection, only confirmations are.
void consumer_state::finish_close(calls& out) {
    const bool nothing_to_wait_for = !connected_ && !has_unconfirmed();
    if (closing_ && (phase_ == phase::ended || nothing_to_wait_for)) {
        finish<settle_counts>(out, closed_, outbox_.counts());
    }
}

void consumer_state::give_up(const error& not_opened, const error& unconfirmed, calls& out) {
    if (opened_) {
        fail(not_opened, out);
        return;
    }
    outbox_.fail_waiters(unconfirmed, out);
    finish<settle_counts>(out, closed_, std::unexpected(unconfirmed));
}

// The queue, or the pattern queue, is gone for us.
void consumer_state::fail(const error& why, calls& out) {
    if (phase_ == phase::ended) {
        return;
    }
    failed_ = why;
    end(why, out);
}

void consumer_state::end(const error& why, calls& out) {
    phase_ = phase::ended;
    finish<void>(out, opened_, std::unexpected(why));
    finish<settle_counts>(out, closed_, std::unexpected(why));
    outbox_.discard(why, out);
    pump({}, out);
    request_ = 0;
    extends_.clear();
    held_.clear();
}

}  // namespace brokerd::client_core
