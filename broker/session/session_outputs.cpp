// The output side of the session machine: what the engine released becomes frames.
#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "broker/session/session.hpp"
#include "protocol/codec/delivery.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::session {
namespace {

// What a push takes while it waits. Its record may be tiny, so the rest is counted too.
std::size_t waiting_bytes(const domain::request_push& push) {
    return sizeof(domain::output) + push.message.service.size() + push.message.requester.size() +
           push.record.view.size();
}

}  // namespace

void session::output(domain::output out, session_io& io) {
    if (closing()) {
        return;
    }
    if (!waiting_.empty() || io.outbox_pending + io.outbox.size() > limits::outbox_bytes_max) {
        hold_back(std::move(out), io);
        return;
    }
    encode_output(out, io);
}

// What waits here has bytes of its own: shared ones are as large as all that was read with them.
void session::hold_back(domain::output out, session_io& io) {
    if (std::holds_alternative<domain::reply_result>(out.body)) {
        hold_back_reply(out);
    } else if (auto* const push = std::get_if<domain::request_push>(&out.body);
               push != nullptr && !hold_back_push(*push, io)) {
        return;
    }
    waiting_.push_back(std::move(out));
}

// Nothing but the number of requests bounds replies, so those that wait are counted.
void session::hold_back_reply(domain::output& out) {
    auto& reply = std::get<domain::reply_result>(out.body);
    const std::size_t bytes = reply.record.view.size();
    if (replies_waiting_bytes_ > 0 &&
        replies_waiting_bytes_ + bytes > limits::replies_waiting_bytes_max) {
        out.body = codec::error{
            .code = error_code::reply_dropped,
            .text = fmt::format("there was a reply of {} bytes, which was dropped: replies of "
                                "{} bytes wait for this connection to read them",
                                bytes, replies_waiting_bytes_)};
        return;
    }
    replies_waiting_bytes_ += bytes;
    reply.record = copy_bytes(reply.record.view);
}

// Nothing bounds pushes either: at its deadline a request leaves its responder room for the next
// one, and its push waits on. Those whose time is over are dropped; they have to be half of what
// may wait, so that looking for them costs each push a constant. A responder that is behind even
// with the others is behind for good. False: the push does not wait.
bool session::hold_back_push(domain::request_push& push, session_io& io) {
    if (leaving_ || push.deadline <= io.now.mono) {
        return false;
    }
    if (pushes_waiting_bytes_ > limits::pushes_waiting_bytes_max) {
        drop_overdue_pushes(io.now.mono);
        if (pushes_waiting_bytes_ > limits::pushes_waiting_bytes_max / 2) {
            refuse(0,
                   {error_code::slow_consumer,
                    fmt::format("requests of {} bytes wait for the responders of this connection "
                                "to read them; serve with a smaller prefetch",
                                pushes_waiting_bytes_)},
                   io);
            return false;
        }
    }
    push.record = copy_bytes(push.record.view);
    pushes_waiting_bytes_ += waiting_bytes(push);
    return true;
}

void session::drop_overdue_pushes(mono_time now) {
    std::erase_if(waiting_, [&](const domain::output& each) {
        const auto* push = std::get_if<domain::request_push>(&each.body);
        const bool overdue = push != nullptr && push->deadline <= now;
        if (overdue) {
            pushes_waiting_bytes_ -= waiting_bytes(*push);
        }
        return overdue;
    });
}

void session::pump(session_io& io) {
    while (!waiting_.empty() && io.outbox_pending + io.outbox.size() <= limits::outbox_bytes_max) {
        auto out = std::move(waiting_.front());
        waiting_.pop_front();
        if (const auto* reply = std::get_if<domain::reply_result>(&out.body)) {
            replies_waiting_bytes_ -= reply->record.view.size();
        } else if (const auto* push = std::get_if<domain::request_push>(&out.body)) {
            pushes_waiting_bytes_ -= waiting_bytes(*push);
        }
        encode_output(out, io);
    }
    outputs_end(io);
}

void session::encode_output(domain::output& out, session_io& io) {
    if (unanswered_requests::kind_of(out.request) == answer_kind::detach &&
        std::holds_alternative<codec::ok>(out.body)) {
        --consumers_;
    }
    // Others of these are pushed.
    const bool attached = unanswered_requests::kind_of(out.request) != answer_kind::none &&
                          std::holds_alternative<codec::pattern_queues>(out.body);
    consumers_ += attached ? 1 : 0;
    const std::uint32_t request = unanswered_.close(out.request);
    std::visit([&](auto& body) { encode_body(request, body, io); }, out.body);
    if (attached && draining_ && !leaving_) {
        ask_what_is_held(io);  // as with attached
    }
}

void session::outputs_end(session_io& io) {
    flush(io);
    handle_unread(io);
}

void session::flush(session_io& io) {
    if (closing()) {
        return;
    }
    if (!published_.items.empty()) {
        published_.credit_messages = std::exchange(credit_back_messages_, 0);
        published_.credit_bytes = std::exchange(credit_back_bytes_, 0);
        answer(0, published_, io);
        published_.items.clear();
    } else if (credit_back_messages_ > 0 || credit_back_bytes_ > 0) {
        answer(0,
               codec::credit{std::exchange(credit_back_messages_, 0),
                             std::exchange(credit_back_bytes_, 0)},
               io);
    }
    finish_goodbye(io);
}

void session::give_back(const publish_window::entry& answered) {
    credit_back_messages_ += answered.messages;
    credit_back_bytes_ += answered.bytes;
}

void session::encode_body(std::uint32_t request, const domain::publish_accepted& body,
                          session_io&) {
    const auto publish = publishes_.close(request);
    give_back(publish);
    published_.items.push_back({.request = publish.request,
                                .base_offset = body.base_offset,
                                .level = body.level,
                                .duplicate = body.duplicate});
}

void session::encode_body(std::uint32_t request, const domain::publish_refused& body,
                          session_io& io) {
    const auto publish = publishes_.close(request);
    give_back(publish);
    refuse(publish.request, body.why, io);
}

void session::encode_body(std::uint32_t, const domain::delivery& body, session_io& io) {
    if (leaving_) {
        return;
    }
    const bool with_history = (features_ & codec::feature::attempt_history) != 0;
    const auto bytes_of = [&](const domain::record_run& run) {
        return codec::delivery_run_bytes + sizeof run.queue + run.records.view.size() +
               (with_history ? codec::history_bytes(run.history) : 0);
    };
    const std::vector<attempt> none;
    std::size_t at = 0;
    while (at < body.runs.size()) {
        codec::deliver_writer writer(io.outbox, body.consumer);
        // A frame takes at least one run and no more than any peer accepts by default.
        do {
            const auto& run = body.runs[at++];
            writer.append_run(run.leases, run.append_time, run.attempt, run.queue,
                              with_history ? run.history : none, run.records.view);
        } while (at < body.runs.size() &&
                 writer.body_bytes() + bytes_of(body.runs[at]) <= limits::frame_bytes_default);
        writer.finish();
    }
    note_sent(io);
}

void session::encode_body(std::uint32_t request, const domain::read_result& body, session_io& io) {
    codec::messages_writer writer(io.outbox, request, body.incarnation, body.first_offset,
                                  body.next_offset);
    for (const auto& run : body.runs) {
        writer.append_run(run.leases.first_offset, run.leases.count, run.append_time,
                          run.records.view);
    }
    writer.finish(body.position);
    note_sent(io);
}

void session::encode_body(std::uint32_t request, domain::show_result& body, session_io& io) {
    body.message.record.view = body.record.view;
    encode_body(request, body.message, io);
}

void session::encode_body(std::uint32_t, domain::request_push& body, session_io& io) {
    body.message.remaining = body.deadline - io.now.mono;
    if (leaving_ || body.message.remaining <= duration_us{0}) {
        return;  // its goodbye or its deadline has ended the request
    }
    body.message.record.view = body.record.view;
    answer(0, body.message, io);
}

void session::encode_body(std::uint32_t request, domain::reply_result& body, session_io& io) {
    body.message.record.view = body.record.view;
    answer(request, body.message, io);
}

template <codec::frame_message T>
void session::encode_body(std::uint32_t request, const T& body, session_io& io) {
    answer(request, body, io);
}

void session::encode_body(std::uint32_t request, const codec::error& body, session_io& io) {
    refuse(request, {body.code, body.text}, io);
}

void session::encode_body(std::uint32_t request, const codec::attached& body, session_io& io) {
    ++consumers_;
    encode_body<codec::attached>(request, body, io);
    if (draining_ && !leaving_) {
        // It was on its way when the drain began, and may hold leases by now.
        ask_what_is_held(io);
    }
}

void session::encode_body(std::uint32_t, const domain::holds_nothing&, session_io&) {
    held_questions_ -= std::min<std::uint64_t>(held_questions_, 1);
}

void session::encode_body(std::uint32_t, const codec::detached& body, session_io& io) {
    --consumers_;
    answer(0, body, io);
}

}  // namespace brokerd::session
