// The life of a responder over its connections.
#include "client/src/responder_state.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/deadline.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::client_core {
namespace {

// Up to the first whose time is not over: what comes behind it is looked at in its turn.
template <typename T>
void skip_overdue(std::deque<T>& from, mono_time now) {
    while (!from.empty() && from.front().handle.deadline <= now) {
        from.pop_front();
    }
}

}  // namespace

responder_state::responder_state(setup what, callback<void> opened)
    : setup_(std::move(what)), opened_(std::move(opened)) {}

// ---- the connection

void responder_state::on_ready(const codec::hello_ok& terms, calls& out) {
    connected_ = true;
    ++connection_;
    attach_at_ = {};
    frame_bytes_max_ = terms.frame_bytes_max;
    if (phase_ != phase::ended && (terms.features & codec::feature::services) == 0) {
        fail(make_error(failure{error_code::feature_unsupported,
                                "the broker is too old for services; update brokerd"}),
             out);
    }
}

void responder_state::on_lost(calls& out) {
    connected_ = false;
    late_serve_ = false;
    request_ = 0;
    request_deadline_ = mono_never;
    arrived_.clear();
    replies_.clear();
    if (phase_ != phase::ended) {
        phase_ = stopped_ ? phase::ended : phase::detached;
    }
    pump({}, out);
}

bool responder_state::wants_write(mono_time now) const {
    if (!connected_) {
        return false;
    }
    return !replies_.empty() || late_serve_ || (phase_ == phase::detached && attach_at_ <= now) ||
           (phase_ == phase::attached && stopped_) || (phase_ == phase::leaving && abandon_due_);
}

void responder_state::write(outgoing& out) {
    if (!wants_write(out.now)) {
        return;
    }
    if (std::exchange(late_serve_, false)) {
        // Nobody waits for its answer, which is an error where that serve came to nothing.
        codec::encode_frame(out.bytes, out.ids.next(),
                            codec::unserve{.responder = setup_.id, .at_once = true});
    }
    // Leaving before the replies, or each of them would bring one more request.
    if (phase_ == phase::detached && attach_at_ <= out.now) {
        codec::serve frame;
        frame.service = setup_.service;
        frame.responder = setup_.id;
        frame.prefetch = setup_.prefetch;
        request_ = out.ids.next();
        request_deadline_ = later(out.now, setup_.request_timeout);
        codec::encode_frame(out.bytes, request_, frame);
        phase_ = phase::attaching;
    } else if ((phase_ == phase::attached && stopped_) ||
               (phase_ == phase::leaving && abandon_due_)) {
        // Answered when everything is: that takes as long as it takes, unless at once.
        request_ = out.ids.next();
        codec::encode_frame(
            out.bytes, request_,
            codec::unserve{.responder = setup_.id, .at_once = std::exchange(abandon_due_, false)});
        phase_ = phase::leaving;
    }
    skip_overdue(replies_, out.now);
    while (!replies_.empty() && out.bytes.size() < client_limits::write_bytes_max) {
        write_reply(out, replies_.front());
        replies_.pop_front();
        skip_overdue(replies_, out.now);
    }
}

void responder_state::write_reply(outgoing& out, const sent_reply& next) const {
    codec::reply frame;
    frame.token = next.handle.token;
    frame.failed = next.what.failed;
    frame.text = next.what.text;
    frame.record.view = next.what.record;
    if (const std::size_t bytes = codec::body_size(frame); bytes > frame_bytes_max_) {
        frame = {};
        frame.token = next.handle.token;
        frame.failed = true;
        frame.text = fmt::format("the reply of {} bytes does not fit into a frame of {} bytes",
                                 bytes, frame_bytes_max_);
    }
    codec::encode_frame(out.bytes, out.ids.next(), frame);
}

mono_time responder_state::tick(mono_time now, calls& out) {
    if (phase_ == phase::attaching && request_deadline_ <= now) {
        request_ = 0;
        late_serve_ = true;
        if (opened_) {
            fail(make_error(client_errc::timed_out,
                            "the broker did not answer the serve of service " + setup_.service +
                                " in time"),
                 out);
        } else {
            retry_later(now, out);
        }
    }
    pump(now, out);
    if (!connected_) {
        return mono_never;
    }
    return phase_ == phase::attaching  ? request_deadline_
           : phase_ == phase::detached ? attach_at_
                                       : mono_never;
}

void responder_state::retry_later(mono_time now, calls& out) {
    phase_ = stopped_ ? phase::ended : phase::detached;
    attach_at_ = now + client_limits::attach_pause;
    pump(now, out);
}

// ---- frames

void responder_state::on_ok(calls& out) {
    request_ = 0;
    request_deadline_ = mono_never;
    if (phase_ == phase::attaching) {
        phase_ = phase::attached;
        finish<void>(out, opened_, {});
    } else if (phase_ == phase::leaving) {
        phase_ = phase::ended;
        arrived_.clear();  // their time was over for the broker
        pump({}, out);
    }
}

void responder_state::on_refused(const failure& why, mono_time now, calls& out) {
    request_ = 0;
    request_deadline_ = mono_never;
    if (phase_ == phase::leaving) {
        phase_ = phase::ended;
        pump({}, out);
    } else if (brokerd::describe(why.code).retryable && !opened_) {
        retry_later(now, out);
    } else {
        fail(make_error(why), out);
    }
}

bool responder_state::on_requested(const codec::requested& push, const shared_bytes& body,
                                   mono_time now, calls& out) {
    const auto record = codec::check_record(push.record.view);
    if (!record || record->bytes.size() != push.record.view.size()) {
        return false;
    }
    make_room(now);
    const mono_time deadline = later(now, std::max<duration_us>(push.remaining, {}));
    arrived_.push_back({.handle = {push.token, connection_, deadline},
                        .requester = push.requester,
                        .body = body,
                        .record = push.record.view});
    pump(now, out);
    return true;
}

// ---- the application

// The broker gives a new one for one whose time is over there, which is sooner than here. So when
// there are too many, those that end first are over, or as good as.
void responder_state::make_room(mono_time now) {
    const std::size_t arrived_max =
        std::size_t{2} * setup_.prefetch + client_limits::requests_spare_max;
    skip_overdue(arrived_, now);
    if (arrived_.size() < arrived_max) {
        return;
    }
    const auto deadline = [](const handed_request& each) { return each.handle.deadline; };
    std::erase_if(arrived_, [&](const handed_request& each) { return deadline(each) <= now; });
    if (arrived_.size() >= arrived_max) {
        arrived_.erase(std::ranges::min_element(arrived_, {}, deadline));
    }
}

std::optional<handed_request> responder_state::take(mono_time now) {
    skip_overdue(arrived_, now);
    if (arrived_.empty()) {
        return std::nullopt;
    }
    handed_request next = std::move(arrived_.front());
    arrived_.pop_front();
    return next;
}

std::uint64_t responder_state::wait(mono_time now, callback<std::optional<handed_request>> done,
                                    calls& out) {
    const std::uint64_t ticket = waiters_.add(mono_never, std::move(done));
    pump(now, out);
    return ticket;
}

void responder_state::cancel_wait(std::uint64_t ticket) {
    waiters_.cancel(ticket);
}

// Gives waiters what there is for them: requests, or the end.
void responder_state::pump(mono_time now, calls& out) {
    waiters_.serve([&] { return take(now); }, [&] { return over(); }, failed_, out);
}

void responder_state::reply(request_handle to, made_reply what, mono_time now) {
    skip_overdue(replies_, now);  // as long as the connection takes nothing
    if (connected_ && to.connection == connection_ && to.deadline > now) {
        replies_.push_back({to, std::move(what)});
    }
}

void responder_state::stop(calls& out) {
    stopped_ = true;
    // A serve under way is followed by its unserve.
    if (phase_ == phase::detached) {
        phase_ = phase::ended;
    }
    finish<void>(out, opened_, {});
    pump({}, out);
}

void responder_state::abandon(calls& out) {
    abandon_due_ =
        phase_ == phase::attaching || phase_ == phase::attached || phase_ == phase::leaving;
    arrived_.clear();
    stop(out);
}

void responder_state::give_up(const error& why, calls& out) {
    if (opened_) {
        fail(why, out);
    }
}

void responder_state::fail(const error& why, calls& out) {
    failed_ = why;
    end(why, out);
}

void responder_state::end(const error& why, calls& out) {
    phase_ = phase::ended;
    request_ = 0;
    arrived_.clear();
    replies_.clear();
    finish<void>(out, opened_, std::unexpected(why));
    pump({}, out);
}

}  // namespace brokerd::client_core
