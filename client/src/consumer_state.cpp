#include "client/src/consumer_state.hpp"

#include <algorithm>
#include <utility>

#include "client/src/client_limits.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

mono_time later(mono_time from, duration_us by) {
    return by >= mono_never - from ? mono_never : from + by;
}

}  // namespace

consumer_state::consumer_state(setup what, callback<void> opened)
    : setup_(std::move(what)),
      names_(std::make_shared<const delivery::names>(
          delivery::names{setup_.queue.substr(0, setup_.queue.find('/')), setup_.queue})),
      opened_(std::move(opened)),
      outbox_(setup_.producer, setup_.options.confirm) {}

// ---- the connection

void consumer_state::on_ready() {
    connected_ = true;
    attach_at_ = {};
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
    const bool finished = closing_ && held_count_ == 0 && !outbox_.has_unsent();
    phase_ = finished ? phase::ended : phase::detached;
    finish_close(out);
}

bool consumer_state::renewal_due(mono_time now) const {
    return phase_ == phase::attached && held_count_ > 0 && renew_at_ <= now;
}

bool consumer_state::wants_write(mono_time now) const {
    if (!connected_ || phase_ == phase::ended) {
        return false;
    }
    const bool idle = buffered_count_ == 0 || stopped_;
    if (queue_ != queue_id() && outbox_.due(now, idle)) {
        return true;
    }
    switch (phase_) {
        case phase::detached: return attach_at_ <= now;
        case phase::attached: return renewal_due(now) || (closing_ && !outbox_.has_unconfirmed());
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
    if (queue_ != queue_id() && outbox_.due(out.now, buffered_count_ == 0 || stopped_)) {
        outbox_.write(out, queue_);
    }
    if (phase_ == phase::detached && attach_at_ <= out.now) {
        write_attach(out);
    } else if (phase_ == phase::attached && closing_ && !outbox_.has_unconfirmed()) {
        request_ = out.ids.next();
        request_deadline_ = later(out.now, setup_.request_timeout);
        codec::encode_frame(out.bytes, request_, codec::detach{.consumer = setup_.id});
        phase_ = phase::detaching;
    } else if (renewal_due(out.now)) {
        write_renewals(out);
    }
}

void consumer_state::write_attach(outgoing& out) {
    const consume_options& options = setup_.options;
    codec::attach frame;
    frame.queue = setup_.queue;
    frame.consumer = setup_.id;
    frame.prefetch_bytes = options.prefetch_bytes;
    frame.held = open_runs();
    if (closing_ || (options.limit > 0 && delivered_ >= options.limit)) {
        frame.prefetch_messages = 0;
    } else {
        frame.prefetch_messages = options.prefetch_messages;
        frame.limit = options.limit > 0 ? options.limit - delivered_ : 0;
    }
    request_ = out.ids.next();
    request_deadline_ = later(out.now, setup_.request_timeout);
    codec::encode_frame(out.bytes, request_, frame);
    phase_ = phase::attaching;
}

std::vector<lease_run> consumer_state::open_runs() const {
    std::vector<lease_run> runs;
    for (const auto& each : held_) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            if (each->slots[i].open) {
                append_run(runs, each->lease_of(i));
            }
        }
    }
    return runs;
}

void consumer_state::write_renewals(outgoing& out) {
    std::vector<lease_run> renewed;
    std::vector<std::pair<delivery*, std::uint32_t>> given_back;
    for (const auto& each : held_) {
        for (std::uint32_t i = 0; i < each->slots.size(); ++i) {
            const delivery::slot& slot = each->slots[i];
            if (!slot.open || slot.extended_until > later(out.now, lease_)) {
                continue;
            }
            if (slot.hold_until > out.now) {
                append_run(renewed, each->lease_of(i));
            } else if (i >= each->handed) {
                given_back.emplace_back(each.get(), i);
            }
        }
        each->lease_until = later(out.now, lease_);
    }
    for (const auto& [from, index] : given_back) {
        answer release;
        release.action = settle_action::release;
        (void)settle(*from, index, release, out.now);
    }
    if (!renewed.empty()) {
        extend(out, std::move(renewed));
    }
    renew_at_ = later(out.now, lease_ / 3);
}

// Confirmed, because the answer then names the leases that are gone.
void consumer_state::extend(outgoing& out, std::vector<lease_run> runs) {
    for (std::size_t begin = 0; begin < runs.size(); begin += limits::settle_runs_max) {
        const std::size_t end = std::min<std::size_t>(runs.size(), begin + limits::settle_runs_max);
        codec::settle frame;
        frame.queue = queue_;
        frame.action = settle_action::extend;
        frame.confirm = true;
        frame.runs.assign(runs.begin() + static_cast<std::ptrdiff_t>(begin),
                          runs.begin() + static_cast<std::ptrdiff_t>(end));
        const std::uint32_t request = out.ids.next();
        codec::encode_frame(out.bytes, request, frame);
        extends_.insert(request);
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
    mono_time next = mono_never;
    for (const waiter& each : waiters_) {
        next = std::min(next, each.deadline);
    }
    if (connected_ && phase_ != phase::ended) {
        next = std::min(next, request_ != 0 ? request_deadline_ : mono_never);
        next = std::min(next, queue_ != queue_id() ? outbox_.deadline() : mono_never);
        next = std::min(next, phase_ == phase::detached ? attach_at_ : mono_never);
        next =
            std::min(next, phase_ == phase::attached && held_count_ > 0 ? renew_at_ : mono_never);
    }
    return next;
}

// ---- frames

bool consumer_state::owns(std::uint32_t request) const {
    return (request_ != 0 && request == request_) || extends_.contains(request) ||
           outbox_.owns(request);
}

bool consumer_state::on_attached(std::uint32_t request, const codec::attached& reply, mono_time now,
                                 calls& out) {
    if (phase_ != phase::attaching || request != request_) {
        return false;
    }
    request_ = 0;
    request_deadline_ = mono_never;
    phase_ = phase::attached;
    take_over_terms(reply, now);
    finish<void>(out, opened_, {});
    pump(now, out);
    return true;
}

void consumer_state::take_over_terms(const codec::attached& reply, mono_time now) {
    queue_ = reply.queue;
    lease_ = std::max<duration_us>(reply.lease, std::chrono::milliseconds{1});
    attempts_ = reply.attempts;
    drop_gone(reply.gone);
    for (const auto& each : held_) {
        each->lease_until = later(now, lease_);
    }
    renew_at_ = later(now, lease_ / 3);
}

void consumer_state::on_ok(std::uint32_t request, calls& out) {
    if (phase_ == phase::detaching && request == request_) {
        request_ = 0;
        phase_ = phase::ended;
        finish_close(out);
    }
}

void consumer_state::on_settled(std::uint32_t request, const codec::settled& reply, calls& out) {
    if (extends_.erase(request) > 0) {
        drop_gone(reply.gone);
        return;
    }
    outbox_.on_settled(request, reply, out);
    finish_close(out);
}

void consumer_state::on_refused(std::uint32_t request, const failure& why, mono_time now,
                                calls& out) {
    if (extends_.erase(request) > 0) {
        return;  // a removed queue is told by detached
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

bool consumer_state::on_deliver(const codec::deliver& push, const shared_bytes& body, mono_time now,
                                calls& out) {
    if (phase_ != phase::attached) {
        return true;  // on its way when we detached
    }
    drop_expired(now);
    for (const codec::delivery_run& run : push.runs) {
        std::shared_ptr<delivery> fresh = make_delivery(run, body, now);
        if (!fresh || buffered_count_ + fresh->open_count >
                          std::uint64_t{2} * setup_.options.prefetch_messages) {
            return false;
        }
        if (held_count_ == 0) {
            renew_at_ = later(now, lease_ / 3);
        }
        held_count_ += fresh->open_count;
        buffered_count_ += fresh->open_count;
        delivered_ += fresh->open_count;
        fresh->self = held_.insert(held_.end(), fresh);
        buffered_.push_back(std::move(fresh));
    }
    pump(now, out);
    return true;
}

// Nothing if the records are not what the run says.
std::shared_ptr<delivery> consumer_state::make_delivery(const codec::delivery_run& run,
                                                        const shared_bytes& body, mono_time now) {
    byte_view left = run.records.view;
    for (std::uint32_t i = 0; i < run.leases.count; ++i) {
        const outcome<codec::record_view> record = codec::check_record(left);
        if (!record) {
            return nullptr;
        }
        left = left.subspan(record->bytes.size());
    }
    if (!left.empty()) {
        return nullptr;
    }
    auto fresh = std::make_shared<delivery>();
    fresh->owner = setup_.owner;
    fresh->name = names_;
    fresh->consumer = setup_.id;
    fresh->leases = run.leases;
    fresh->append_time = run.append_time;
    fresh->attempt = run.attempt;
    fresh->body = body;
    fresh->records = run.records.view;
    fresh->open_count = run.leases.count;
    fresh->lease_until = later(now, lease_);
    // Buffered messages without renewal go back before their lease runs out.
    const mono_time hold_until =
        later(now, std::max<duration_us>(setup_.options.max_hold, lease_ * 2 / 3));
    fresh->slots.assign(run.leases.count, delivery::slot{.hold_until = hold_until});
    return fresh;
}

// ---- leases

void consumer_state::close_slot(delivery& of, std::uint32_t index) {
    of.slots[index].open = false;
    --held_count_;
    if (index >= of.handed) {
        --buffered_count_;
    }
    if (--of.open_count == 0) {
        held_.erase(of.self);  // `of` lives on in buffered_ or in a message, or is not used again
    }
}

void consumer_state::drop_gone(const std::vector<lease_run>& gone) {
    for (const lease_run& run : gone) {
        for (auto next = held_.begin(); next != held_.end();) {
            const std::shared_ptr<delivery> each = *next++;
            if (each->leases.epoch != run.epoch) {
                continue;
            }
            const std::uint64_t first = std::max(each->leases.first_lease, run.first_lease);
            const std::uint64_t end = std::min(each->leases.first_lease + each->leases.count,
                                               run.first_lease + run.count);
            for (std::uint64_t lease = first; lease < end; ++lease) {
                const auto index = static_cast<std::uint32_t>(lease - each->leases.first_lease);
                if (each->slots[index].open) {
                    close_slot(*each, index);
                }
            }
        }
    }
}

// Buffered messages whose renewal came too late, as after a suspension: others have them by now.
// The front has always the earliest end: what comes later is delivered later, and all are renewed
// together.
void consumer_state::drop_expired(mono_time now) {
    if (phase_ != phase::attached) {
        return;
    }
    while (!buffered_.empty() && buffered_.front()->lease_until <= now) {
        const std::shared_ptr<delivery> front = std::move(buffered_.front());
        buffered_.pop_front();
        for (std::uint32_t i = front->handed; i < front->slots.size(); ++i) {
            if (front->slots[i].open) {
                close_slot(*front, i);
            }
        }
        front->handed = static_cast<std::uint32_t>(front->slots.size());
    }
}

mono_time consumer_state::hold_from(mono_time now) const {
    return later(now, setup_.options.max_hold);
}

// ---- the application

std::optional<handed_message> consumer_state::take(mono_time now) {
    if (stopped_ || failed_) {
        return std::nullopt;
    }
    drop_expired(now);
    while (!buffered_.empty()) {
        delivery& front = *buffered_.front();
        if (front.open_count > 0 && front.lease_until <= now) {
            return std::nullopt;  // not attached: whether it is still ours is answered soon
        }
        while (front.handed < front.slots.size()) {
            const byte_view left = front.records.subspan(front.handed_bytes);
            const byte_view record = left.first(codec::record_size_at(left));
            const std::uint32_t index = front.handed++;
            front.handed_bytes += record.size();
            if (front.slots[index].open) {
                --buffered_count_;
                front.slots[index].hold_until = hold_from(now);
                handed_message one{buffered_.front(), index, record};
                if (front.handed == front.slots.size()) {
                    buffered_.pop_front();
                }
                return one;
            }
        }
        buffered_.pop_front();
    }
    return std::nullopt;
}

bool consumer_state::over() const {
    const bool all_delivered =
        setup_.options.limit > 0 && delivered_ >= setup_.options.limit && buffered_count_ == 0;
    return stopped_ || failed_ || phase_ == phase::ended || all_delivered;
}

std::uint64_t consumer_state::wait(mono_time deadline,
                                   callback<std::optional<handed_message>> done) {
    waiters_.push_back({++last_ticket_, deadline, std::move(done)});
    return last_ticket_;
}

void consumer_state::cancel_wait(std::uint64_t ticket) {
    std::erase_if(waiters_, [&](const waiter& each) { return each.ticket == ticket; });
}

// Gives waiters what there is for them: messages, the end, or that their time is over.
void consumer_state::pump(mono_time now, calls& out) {
    using taken = std::optional<handed_message>;
    while (!waiters_.empty()) {
        taken next = take(now);
        if (!next && !over()) {
            break;
        }
        waiter first = std::move(waiters_.front());
        waiters_.pop_front();
        if (!next && failed_) {
            finish<taken>(out, first.done, std::unexpected(*failed_));
        } else {
            finish<taken>(out, first.done, std::move(next));
        }
    }
    std::erase_if(waiters_, [&](waiter& each) {
        const bool late = each.deadline <= now;
        if (late) {
            finish<taken>(out, each.done, taken());
        }
        return late;
    });
}

bool consumer_state::settle(delivery& of, std::uint32_t index, answer& what, mono_time now) {
    // A detach under way releases everything.
    if (phase_ == phase::ended || phase_ == phase::detaching || !of.slots[index].open) {
        return false;
    }
    if (what.action == settle_action::extend) {
        delivery::slot& slot = of.slots[index];
        slot.extended_until = later(now, what.delay);
        slot.hold_until = std::max(slot.hold_until, slot.extended_until);
    } else {
        close_slot(of, index);
    }
    outbox_.add(of.lease_of(index), std::move(what), now);
    return true;
}

void consumer_state::wait_confirmed(callback<settle_counts> done, calls& out) {
    outbox_.wait_confirmed(std::move(done), out);
}

void consumer_state::stop(calls& out) {
    stopped_ = true;
    pump({}, out);
}

void consumer_state::close(callback<settle_counts> done, calls& out) {
    if (phase_ == phase::ended) {
        finish<settle_counts>(out, done, outbox_.counts());
        return;
    }
    closing_ = true;
    closed_ = std::move(done);
    stop(out);
    if (phase_ == phase::detached && held_count_ == 0 && !outbox_.has_unsent()) {
        phase_ = phase::ended;
    }
    finish_close(out);
}

// Detached, or nothing is left to wait for: without a connection, only confirmations are.
void consumer_state::finish_close(calls& out) {
    const bool nothing_to_wait_for = !connected_ && !outbox_.has_unconfirmed();
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

// The queue is gone for us.
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
    buffered_.clear();
    held_.clear();
    held_count_ = 0;
    buffered_count_ = 0;
}

}  // namespace brokerd::client_core
