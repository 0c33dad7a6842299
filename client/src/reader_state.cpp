// Reads one after the other, in one incarnation of the topic.
#include "client/src/reader_state.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "client/src/client_limits.hpp"
#include "client/src/convert.hpp"

namespace brokerd::client_core {

reader_state::reader_state(request_table& requests, std::string topic, log_position from,
                           const reader_options& options)
    : requests_(requests), topic_(std::move(topic)), options_(options), next_(from) {}

reader_state::~reader_state() {
    requests_.cancel(asked_);
}

std::optional<stored_message> reader_state::take() {
    if (buffer_.empty()) {
        return std::nullopt;
    }
    stored_message first = std::move(buffer_.front());
    buffer_.pop_front();
    return first;
}

std::uint64_t reader_state::wait(duration_us timeout, mono_time now,
                                 callback<std::optional<stored_message>> done, calls& out) {
    if (!buffer_.empty()) {  // it came since take() found nothing
        finish<std::optional<stored_message>>(out, done, take());
        return 0;
    }
    if (over_) {
        finish<std::optional<stored_message>>(out, done, std::unexpected(*over_));
        return 0;
    }
    const bool one_look = timeout <= duration_us{0};
    const bool endless = one_look || timeout >= mono_never - now;
    waiters_.push_back(
        {++last_ticket_, endless ? mono_never : now + timeout, one_look, std::move(done)});
    ask(now);
    return last_ticket_;
}

void reader_state::cancel_wait(std::uint64_t ticket) {
    std::erase_if(waiters_, [&](const waiter& each) { return each.ticket == ticket; });
}

void reader_state::ask(mono_time now) {
    now_ = now;
    if (asked_ != 0 || waiters_.empty()) {
        return;
    }
    const waiter& first = waiters_.front();
    codec::read request;
    request.topic = topic_;
    request.incarnation = incarnation_;
    request.from = to_wire(next_);
    request.messages_max = options_.batch_messages;
    request.bytes_max = options_.batch_bytes;
    // The first answer must not be waited for: over a lost connection, a position such as latest
    // would be asked for again and have moved on.
    if (!first.one_look && incarnation_ != topic_id{}) {
        request.wait = std::clamp<duration_us>(first.deadline - now, duration_us{0},
                                               client_limits::read_wait_max);
    }
    const duration_us wait = request.wait;
    asked_ = requests_.add_raw(
        std::move(request), repeat::look,
        [this](const result<codec::frame>& frame, calls& out) { on_answer(frame, out); }, wait);
}

void reader_state::on_answer(const result<codec::frame>& frame, calls& out) {
    asked_ = 0;
    if (!frame) {
        fail_waiters(frame.error(), out);
        return;
    }
    const auto reply = request_table::decode_answer<codec::messages>(*frame);
    result<read_page> page =
        reply ? to_page(topic_, *reply) : result<read_page>(std::unexpected(reply.error()));
    if (!page && page.error().code() == broker_errc::gone && options_.skip_removed) {
        next_ = log_position::earliest();
        ask(now_);
        return;
    }
    if (!page && page.error().code() == broker_errc::topic_removed) {
        end(page.error(), out);
        return;
    }
    if (!page) {
        fail_waiters(page.error(), out);
        return;
    }
    incarnation_ = reply->incarnation;
    next_ = log_position::at_offset(page->position);
    std::ranges::move(page->messages, std::back_inserter(buffer_));
    while (!waiters_.empty() && !buffer_.empty()) {
        finish<std::optional<stored_message>>(out, waiters_.front().done, take());
        waiters_.pop_front();
    }
    while (!waiters_.empty() && waiters_.front().one_look) {
        end_wait(waiters_.front(), out);
        waiters_.pop_front();
    }
    ask(now_);
}

void reader_state::end_wait(waiter& which, calls& out) {
    finish<std::optional<stored_message>>(out, which.done, std::optional<stored_message>());
}

void reader_state::end(const error& why, calls& out) {
    requests_.cancel(std::exchange(asked_, 0));
    over_ = why;
    fail_waiters(why, out);
}

// Without an answer yet, earliest, latest or a time are as good a beginning in these data; an
// offset was named by somebody who knew the others.
void reader_state::on_other_database(calls& out) {
    const bool bound = incarnation_ != topic_id{} || next_.which() == log_position::kind::offset;
    if (!bound || over_) {
        return;
    }
    end(make_error(client_errc::other_data,
                   fmt::format("the broker was reached again with other data than before, in which "
                               "the offsets of topic {} name other messages: read it from a new "
                               "position",
                               topic_)),
        out);
}

void reader_state::fail_waiters(const error& why, calls& out) {
    for (waiter& each : std::exchange(waiters_, {})) {
        finish<std::optional<stored_message>>(out, each.done, std::unexpected(why));
    }
}

void reader_state::seek(log_position where) {
    buffer_.clear();
    next_ = where;
    if (std::exchange(over_, std::nullopt)) {
        incarnation_ = {};
    }
    requests_.cancel(std::exchange(asked_, 0));
    ask(now_);
}

std::uint64_t reader_state::position() const {
    return buffer_.empty() ? next_.offset() : buffer_.front().offset;
}

void reader_state::close(calls& out) {
    requests_.cancel(std::exchange(asked_, 0));
    for (waiter& each : std::exchange(waiters_, {})) {
        end_wait(each, out);
    }
}

mono_time reader_state::tick(mono_time now, calls& out) {
    now_ = now;
    mono_time next = mono_never;
    std::erase_if(waiters_, [&](waiter& each) {
        const bool late = each.deadline <= now;
        if (late) {
            end_wait(each, out);
        } else {
            next = std::min(next, each.deadline);
        }
        return late;
    });
    return next;
}

}  // namespace brokerd::client_core
