// The input side of the session machine: frames, requests, deadlines, the end.
#include "broker/session/session.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "broker/session/request_checks.hpp"
#include "broker/session/request_table.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::session {
namespace {

// Offset of the count in a batch header; read even where the header's checksum does not hold, to
// take and give back the credit the client has counted.
constexpr std::size_t batch_count_offset = 4;

std::uint32_t claimed_count(byte_view batch, std::uint32_t max) {
    if (batch.size() < batch_count_offset + sizeof(std::uint32_t)) {
        return 0;
    }
    return std::min(load_le<std::uint32_t>(batch.data() + batch_count_offset), max);
}

}  // namespace

session::session(const session_settings& settings, connection_id id, instant now)
    : settings_(settings),
      id_(id),
      parser_(limits::hello_bytes_max),
      publishes_(settings.credit_messages, settings.credit_bytes),
      opened_(now.mono),
      last_received_(now.mono),
      last_sent_(now.mono),
      last_ping_(now.mono) {}

void session::transition(session_state to) {
    const bool legal = (state_ == session_state::handshake && to == session_state::open) ||
                       (state_ != session_state::closing && to == session_state::closing);
    BROKERD_ASSERT(legal, "connection {}: state {} to {}", id_.value(), static_cast<int>(state_),
                   static_cast<int>(to));
    state_ = to;
}

void session::received(byte_view piece, session_io& io) {
    if (closing()) {
        return;
    }
    last_received_ = io.now.mono;
    if (unread_.empty()) {
        piece_ = piece;
        parser_.feed(piece);
        handle_frames(io);
        return;
    }
    const byte_view rest = parser_.unread();
    byte_buffer together(rest.begin(), rest.end());
    together.insert(together.end(), piece.begin(), piece.end());
    unread_ = std::move(together);
    parser_.feed(unread_);
    handle_unread(io);
}

void session::handle_unread(session_io& io) {
    if (!unread_.empty() && !closing() && !must_wait()) {
        piece_ = unread_;
        handle_frames(io);
    }
}

// The frames of piece_, as long as nothing has to be waited for: one piece can hold thousands.
void session::handle_frames(session_io& io) {
    while (!closing() && !must_wait()) {
        const auto next = parser_.next();
        if (!next) {
            refuse(0, next.error(), io);
            break;
        }
        if (!*next) {
            break;
        }
        handle(**next, io);
    }
    const byte_view rest = parser_.unread();
    if (closing() || rest.empty()) {
        unread_ = byte_buffer();
    } else if (piece_.data() != unread_.data()) {
        unread_.assign(rest.begin(), rest.end());
        parser_.feed(unread_);
    }
    piece_ = {};
    kept_piece_.reset();
    watch_frame(io.now);
}

void session::watch_frame(instant now) {
    const std::uint64_t current = parser_.in_progress() ? parser_.frames() + 1 : 0;
    if (current != frame_in_progress_) {
        frame_in_progress_ = current;
        frame_began_ = now.mono;
    }
}

void session::handle(const codec::frame& frame, session_io& io) {
    if (leaving_) {
        return;  // nothing counts behind a goodbye
    }
    body_ = frame.body;
    const auto* row = find_request(frame.type);
    if (state_ == session_state::handshake && (row == nullptr || row->allowed != state_)) {
        refuse(frame.request_id,
               {error_code::unexpected,
                fmt::format("the first frame must be hello, this one has type {}", frame.type)},
               io);
    } else if (row == nullptr && !codec::is_known_type(frame.type)) {
        refuse(frame.request_id,
               {error_code::unknown_type, fmt::format("frame type {} is not known to brokerd {}",
                                                      frame.type, settings_.broker_version)},
               io);
    } else if (row == nullptr || (row->allowed != state_)) {
        const auto name = codec::frame_type_name(static_cast<codec::frame_type>(frame.type));
        refuse(frame.request_id,
               {error_code::unexpected,
                fmt::format("a client cannot send {} {}", name,
                            row == nullptr ? "at all" : "once the connection is open")},
               io);
    } else if (frame.flags != 0) {
        refuse(frame.request_id,
               {error_code::bad_flags,
                fmt::format("{} with flags {:#x}; this version has none", row->name, frame.flags)},
               io);
    } else {
        row->handler(*this, frame, io);
    }
}

void session::refuse(std::uint32_t request, const failure& why, session_io& io) {
    // Before the handshake every error ends the connection: nothing else can follow.
    if (brokerd::describe(why.code).closes_connection || state_ == session_state::handshake) {
        const codec::error last{why.code, why.text};
        codec::encode_frame(io.outbox, request, last);
        close_text_ = why.text;
        close(reason_for(why.code), io);
        return;
    }
    answer(request, codec::error{why.code, why.text}, io);
}

void session::pass_on(std::uint32_t request, domain::request_body body, expected_answer expected,
                      session_io& io) {
    const auto tag = unanswered_.open(request, expected);
    io.commands.emplace_back(domain::request{id_, tag, std::move(body)});
}

void session::accept_hello(std::uint32_t request, const codec::hello& hello, session_io& io) {
    const auto bad = [&](error_code code, std::string text) {
        refuse(request, {code, std::move(text)}, io);
    };
    if (hello.magic != codec::hello_magic) {
        return bad(error_code::bad_frame, "the hello does not begin with BRKD");
    }
    const auto version = std::min(hello.version_max, codec::protocol_version_max);
    if (version < std::max(hello.version_min, codec::protocol_version_min)) {
        return bad(error_code::version_unsupported,
                   fmt::format("brokerd {} speaks protocol versions {} to {}, the client {} to {}",
                               settings_.broker_version, codec::protocol_version_min,
                               codec::protocol_version_max, hello.version_min, hello.version_max));
    }
    if (const auto missing = hello.features_required & ~known_features; missing != 0) {
        return bad(error_code::feature_unsupported,
                   fmt::format("brokerd {} does not know the required features {:#x}",
                               settings_.broker_version, missing));
    }
    const auto name = check_text(hello.client_name, limits::client_name_bytes_max, "client name");
    if (!name) {
        return bad(name.error().code, name.error().text);
    }
    if (draining_) {
        return bad(error_code::draining, "the broker is shutting down; connect again later");
    }
    client_name_ = hello.client_name.empty() ? "unnamed" : hello.client_name;
    features_ = hello.features_offered & known_features;
    transition(session_state::open);
    parser_.set_body_bytes_max(settings_.frame_bytes_max);
    io.commands.emplace_back(domain::connection_opened{id_, client_name_});
    answer(request,
           codec::hello_ok{
               .version = version,
               .features = features_,
               .broker_version = settings_.broker_version,
               .database_id = settings_.database_id,
               .epoch = io.epoch,
               .connection = id_,
               .heartbeat_ms = static_cast<std::uint32_t>(settings_.heartbeat.count() / 1000),
               .dead_after_ms = static_cast<std::uint32_t>(settings_.dead_after.count() / 1000),
               .frame_bytes_max = static_cast<std::uint32_t>(settings_.frame_bytes_max),
               .batch_records_max = settings_.batch_records_max,
               .credit_messages = settings_.credit_messages,
               .credit_bytes = settings_.credit_bytes},
           io);
}

void session::take_publish(std::uint32_t request, domain::publish_request message, session_io& io) {
    const byte_view batch = message.batch.view;
    const auto number =
        publishes_.open(request, claimed_count(batch, settings_.batch_records_max), batch.size());
    if (!number) {
        refuse(request, number.error(), io);
        return;
    }
    const auto checked = codec::check_batch(batch, settings_.batch_records_max);
    if (!checked) {
        give_back(publishes_.close(*number));
        refuse(request, naming(message.topic, checked.error()), io);
        flush(io);
        return;
    }
    if (auto id = id_of_batch(*checked)) {
        message.id = std::move(*id);
    } else {
        give_back(publishes_.close(*number));
        refuse(request, naming(message.topic, id.error()), io);
        flush(io);
        return;
    }
    message.batch = keep(batch);
    message.count = checked->header.count;
    message.producer = checked->header.producer;
    message.first_sequence = checked->header.first_sequence;
    message.largest_record = checked->largest_record;
    io.commands.emplace_back(domain::request{id_, *number, std::move(message)});
}

// Those that lie in the piece just read share one copy of it: one allocation per read, however many
// frames it holds.
shared_bytes session::keep(byte_view part_of_body) {
    const bool in_piece = !body_.empty() && body_.data() >= piece_.data() &&
                          body_.data() + body_.size() <= piece_.data() + piece_.size();
    if (!in_piece) {
        const shared_bytes whole = parser_.take_body();
        const auto at = static_cast<std::size_t>(part_of_body.data() - body_.data());
        return {whole.owner, whole.view.subspan(at, part_of_body.size())};
    }
    if (!kept_piece_) {
        kept_piece_ = std::make_shared_for_overwrite<std::byte[]>(piece_.size());
        std::memcpy(kept_piece_.get(), piece_.data(), piece_.size());
    }
    const auto at = static_cast<std::size_t>(part_of_body.data() - piece_.data());
    return {kept_piece_, {kept_piece_.get() + at, part_of_body.size()}};
}

void session::take_attach(std::uint32_t request, codec::attach message, session_io& io) {
    if (message.held.size() > limits::settle_runs_max) {
        refuse(request,
               {error_code::invalid_argument,
                fmt::format("attach names {} held runs, at most {} are allowed",
                            message.held.size(), limits::settle_runs_max)},
               io);
        return;
    }
    if (draining_) {
        // No error code that closes: what the client holds it can still settle.
        refuse(request, {error_code::busy, "the broker is shutting down; attach again later"}, io);
        return;
    }
    const auto bytes = answer_about(leases_in(message.held));
    pass_on(request, std::move(message), {answer_kind::soon, bytes}, io);
}

void session::take_pattern_attach(std::uint32_t request, codec::pattern_attach message,
                                  session_io& io) {
    std::size_t runs = 0;
    std::uint64_t leases = 0;
    for (const codec::pattern_held& each : message.held) {
        runs += each.runs.size();
        leases += leases_in(each.runs);
    }
    if (runs > limits::settle_runs_max) {
        refuse(request,
               {error_code::invalid_argument,
                fmt::format("pattern_attach names {} held runs, at most {} are allowed", runs,
                            limits::settle_runs_max)},
               io);
        return;
    }
    if (draining_) {
        refuse(request, {error_code::busy, "the broker is shutting down; attach again later"}, io);
        return;
    }
    // The queues that it tells first, each with a topic, and the leases that are gone, by queue.
    constexpr std::size_t member_bytes = 64 + limits::topic_name_bytes_max;
    constexpr std::size_t held_bytes = sizeof(codec::pattern_held);
    const auto bytes = answer_about(leases) + limits::pattern_page_max * member_bytes +
                       message.held.size() * held_bytes;
    pass_on(request, std::move(message), {answer_kind::soon, bytes}, io);
}

void session::take_settle(std::uint32_t request, codec::settle message, session_io& io) {
    if (message.runs.size() > limits::settle_runs_max) {
        refuse(request,
               {error_code::invalid_argument,
                fmt::format("settle has {} runs, at most {} are allowed: send several",
                            message.runs.size(), limits::settle_runs_max)},
               io);
        return;
    }
    if (auto checked = check_settle(message.action, message.delay, message.reason); !checked) {
        refuse(request, checked.error(), io);
        return;
    }
    const expected_answer expected{message.confirm ? answer_kind::soon : answer_kind::none,
                                   answer_about(leases_in(message.runs))};
    pass_on(request, std::move(message), expected, io);
}

void session::take_goodbye(std::uint32_t request, session_io& io) {
    if (leaving_) {
        return;
    }
    leaving_ = true;
    goodbye_request_ = request;
    io.commands.emplace_back(domain::connection_closed{id_, true});
    finish_goodbye(io);
}

void session::put_question(std::uint32_t request, ask::kind what, connection_id target,
                           session_io& io) {
    if (unanswered_.questions() >= questions_unanswered_max) {
        refuse(request,
               {error_code::busy, fmt::format("{} questions of this connection wait for an answer",
                                              unanswered_.questions())},
               io);
        return;
    }
    const std::size_t bytes =
        what == ask::kind::connections ? settings_.frame_bytes_max : small_answer_bytes;
    io.asks.push_back({what, unanswered_.open(request, {answer_kind::question, bytes}), target});
}

void session::finish_goodbye(session_io& io) {
    if (leaving_ && !closing() && publishes_.empty()) {
        answer(goodbye_request_, codec::ok{}, io);
        close(closed_reason::goodbye, io);
    }
}

mono_time session::frame_due() const {
    const std::chrono::seconds for_size{parser_.declared_bytes() /
                                        limits::frame_bytes_per_second_min};
    return frame_in_progress_ == 0 ? mono_never
                                   : frame_began_ + limits::frame_base_deadline + for_size;
}

mono_time session::ping_due() const {
    return std::max(std::min(last_received_, last_sent_), last_ping_) + settings_.heartbeat;
}

mono_time session::deadline() const {
    switch (state_) {
        case session_state::handshake: return std::min(opened_ + settings_.handshake, frame_due());
        case session_state::open:
            return std::min({last_received_ + settings_.dead_after, ping_due(), frame_due()});
        case session_state::closing: break;
    }
    return mono_never;
}

mono_time session::tick(session_io& io) {
    const auto now = io.now.mono;
    if (now < deadline()) {
        return deadline();
    }
    if (state_ == session_state::handshake && now >= opened_ + settings_.handshake) {
        refuse(0, {error_code::handshake_timeout, "no hello arrived in time"}, io);
    } else if (now >= frame_due()) {
        refuse(0, {error_code::frame_timeout, "a frame did not complete in time"}, io);
    } else if (now >= last_received_ + settings_.dead_after) {
        refuse(0, {error_code::idle_timeout, "nothing was heard from the client in time"}, io);
    } else {
        last_ping_ = now;
        answer(0, codec::ping{}, io);
    }
    return deadline();
}

void session::not_listening(duration_us time, instant now) {
    for (mono_time* since : {&opened_, &last_received_, &frame_began_}) {
        *since = std::min(*since + time, now.mono);
    }
}

void session::drain(duration_us grace, session_io& io) {
    draining_ = true;
    if (state_ == session_state::handshake) {
        refuse(0, {error_code::draining, "the broker is shutting down; connect again later"}, io);
        return;
    }
    answer(0, codec::draining{static_cast<std::uint32_t>(grace.count() / 1000)}, io);
    if (state_ == session_state::open && !leaving_) {
        ask_what_is_held(io);
    }
}

void session::ask_what_is_held(session_io& io) {
    ++held_questions_;
    io.commands.emplace_back(domain::connection_draining{id_});
}

bool session::drained() const {
    return closing() ||
           (publishes_.empty() && unanswered_.soon() == 0 && unanswered_.replies() == 0 &&
            held_questions_ == 0 && !blocked() && frame_in_progress_ == 0);
}

void session::close(closed_reason reason, session_io& io, const failure* why) {
    if (closing()) {
        return;
    }
    if (why != nullptr) {
        close_text_ = why->text;
        answer(0, codec::error{why->code, why->text}, io);
    }
    const bool was_open = state_ == session_state::open;
    transition(session_state::closing);
    reason_ = reason;
    waiting_.clear();
    if (was_open && !leaving_) {
        io.commands.emplace_back(domain::connection_closed{id_, describe(reason).no_attempt});
    }
}

}  // namespace brokerd::session
