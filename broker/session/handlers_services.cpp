// Requests of services and replies to them: records are verified here, on the I/O thread; who gets
// them is for the engine to say.
#include <string>
#include <utility>

#include <fmt/format.h>

#include "broker/session/request_table.hpp"
#include "protocol/codec/record.hpp"
#include "protocol/codec/service_messages.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::session::handlers {
namespace {

// Exactly one record.
outcome<void> check_record(byte_view bytes) {
    const auto checked = codec::check_record(bytes);
    if (!checked) {
        return std::unexpected(checked.error());
    }
    if (checked->bytes.size() != bytes.size()) {
        return brokerd::refuse(
            error_code::bad_batch,
            fmt::format("{} bytes follow the one record", bytes.size() - checked->bytes.size()));
    }
    return {};
}

outcome<void> check_timeout(duration_us timeout) {
    if (timeout >= limits::request_timeout_min && timeout <= limits::request_timeout_max) {
        return {};
    }
    return brokerd::refuse(
        error_code::invalid_argument,
        fmt::format("a request cannot wait for {} us; allowed are {} to {} us", timeout.count(),
                    duration_us{limits::request_timeout_min}.count(),
                    duration_us{limits::request_timeout_max}.count()));
}

outcome<void> check_reply(const codec::reply& message) {
    if (!message.failed) {
        return message.text.empty()
                   ? check_record(message.record.view)
                   : brokerd::refuse(error_code::invalid_argument,
                                     "a reply that did not fail has a text; it belongs into its "
                                     "record");
    }
    if (!message.record.view.empty()) {
        return brokerd::refuse(error_code::invalid_argument, "a reply that failed has a record");
    }
    return check_text(message.text, limits::reason_bytes_max, "text of a failed request");
}

}  // namespace

void serve(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::serve>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    if (of.draining()) {
        of.refuse(frame.request_id,
                  {error_code::busy, "the broker is shutting down; serve again later"}, io);
        return;
    }
    of.pass_on(frame.request_id, *std::move(message), {answer_kind::soon, small_answer_bytes}, io);
}

// Its answer waits for replies, so nothing may wait for it.
void unserve(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::unserve>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    of.pass_on(frame.request_id, *std::move(message), {answer_kind::none, 0}, io);
}

void service_request(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::service_request>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    auto checked = check_timeout(message->timeout);
    if (checked) {
        checked = check_record(message->record.view);
    }
    if (!checked) {
        of.refuse(frame.request_id, checked.error(), io);
        return;
    }
    if (of.draining()) {
        // No error code that closes: what is in progress may still be answered.
        of.refuse(frame.request_id,
                  {error_code::busy, "the broker is shutting down; ask again later"}, io);
        return;
    }
    if (of.requests_without_reply() >= limits::requests_per_connection_max) {
        of.refuse(frame.request_id,
                  {error_code::busy,
                   fmt::format("{} requests of this connection have no reply yet, as many as may; "
                               "nothing was done",
                               of.requests_without_reply())},
                  io);
        return;
    }
    domain::service_request request{.service = std::move(message->service),
                                    .deadline = io.now.mono + message->timeout,
                                    .record = of.keep(message->record.view)};
    of.pass_on(frame.request_id, std::move(request), {answer_kind::reply, 0}, io);
}

void reply(session& of, const codec::frame& frame, session_io& io) {
    auto message = codec::decode<codec::reply>(frame.body);
    if (!message) {
        of.refuse(frame.request_id, message.error(), io);
        return;
    }
    domain::service_reply answer{.token = message->token, .failed = message->failed};
    if (const auto checked = check_reply(*message); !checked) {
        of.refuse(frame.request_id, checked.error(), io);
        // Whoever asked need not wait for the deadline.
        answer.failed = true;
        answer.text = "its reply was not acceptable: " + checked.error().text;
    } else if (message->failed) {
        answer.text = std::move(message->text);
    } else {
        answer.record = of.keep(message->record.view);
    }
    of.pass_on(frame.request_id, std::move(answer), {answer_kind::none, 0}, io);
}

}  // namespace brokerd::session::handlers
