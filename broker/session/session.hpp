// One connection as a state machine without I/O: bytes in, commands for the engine and questions to
// the server out; outputs of the engine in, bytes for the outbox out. Owner: the I/O thread of the
// connection. Each function runs to completion; time is a parameter.
//
//   handshake --hello accepted--> open --goodbye, error, timeout, drain--> closing
//       \---------------- refused, timeout, lost ----------------------------^
//
// Invariants
//   * nothing but a hello of at most 4 KiB is looked at before the handshake is done;
//   * connection_opened is the first command, connection_closed the last, once each;
//   * in closing nothing is read and nothing but the last frames is written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "broker/session/closed_reason.hpp"
#include "broker/session/publish_window.hpp"
#include "broker/session/session_settings.hpp"
#include "broker/session/unanswered.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/frame.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::session {

enum class session_state : std::uint8_t { handshake = 1, open = 2, closing = 4 };

// Questions that only the server can answer; it does so through session::answer.
struct ask {
    enum class kind : std::uint8_t { health, stats, connections, close_connection };
    kind what;
    std::uint64_t request = 0;  // its tag, for the answer
    connection_id target;       // with close_connection
};

// What a call of the machine works with and leaves behind; its driver empties it.
struct session_io {
    instant now;
    broker_epoch epoch;              // current one, for the hello
    byte_buffer& outbox;             // whole frames are appended
    std::size_t outbox_pending = 0;  // bytes that were there before, written or not
    std::vector<domain::command>& commands;
    std::vector<ask>& asks;
};

class session {
public:
    session(const session_settings& settings, connection_id id, instant now);

    // The next bytes of the stream. They are used up when this returns: what may not be looked at
    // yet is kept until it may.
    void received(byte_view piece, session_io& io);

    // Outputs of the engine, in order, then once outputs_end(). What does not fit into the outbox
    // waits until pump() is called with more room.
    void output(domain::output out, session_io& io);
    void outputs_end(session_io& io);
    void pump(session_io& io);
    // Nothing is to be read: outputs wait for room, or too many requests for their answers.
    [[nodiscard]] bool blocked() const { return must_wait() || !unread_.empty(); }

    // Answers to questions that were asked of the server.
    template <codec::frame_message T>
    void answer_question(std::uint64_t tag, const T& message, session_io& io) {
        answer(unanswered_.close(tag), message, io);
        handle_unread(io);
    }
    // Appends a frame; nothing unless the session is open.
    template <codec::frame_message T>
    void answer(std::uint32_t request, const T& message, session_io& io) {
        if (state_ == session_state::open) {
            codec::encode_frame(io.outbox, request, message);
            note_sent(io);
        }
    }

    // When tick() has something to do; any call may bring it forward.
    [[nodiscard]] mono_time deadline() const;
    // Does what is due; returns the next deadline.
    mono_time tick(session_io& io);
    // For so long, until now, nothing was read: neither silence nor a frame or hello that does not
    // come was the client's doing.
    void not_listening(duration_us time, instant now);

    // Shut-down: asks the client to settle and leave, gives it nothing new.
    void drain(duration_us grace, session_io& io);
    [[nodiscard]] bool draining() const { return draining_; }
    // Nothing is in flight that closing would interrupt.
    [[nodiscard]] bool drained() const;

    // Ends the session; with `why` an error frame says so. Later calls change nothing.
    void close(closed_reason reason, session_io& io, const failure* why = nullptr);

    [[nodiscard]] session_state state() const { return state_; }
    [[nodiscard]] bool closing() const { return state_ == session_state::closing; }
    // Nothing that still comes from the client counts.
    [[nodiscard]] bool heard_all() const { return leaving_ || closing(); }
    [[nodiscard]] closed_reason reason() const { return reason_; }
    [[nodiscard]] const std::string& close_text() const { return close_text_; }
    [[nodiscard]] connection_id id() const { return id_; }
    [[nodiscard]] const std::string& client_name() const { return client_name_; }
    [[nodiscard]] const session_settings& settings() const { return settings_; }
    [[nodiscard]] std::uint64_t consumers() const {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(consumers_, 0));
    }
    [[nodiscard]] const publish_window& publishes() const { return publishes_; }

    // ---- for the handlers of requests (handlers_*.cpp) ----

    // Answers with an error; closes the connection if the error table says so.
    void refuse(std::uint32_t request, const failure& why, session_io& io);
    void pass_on(std::uint32_t request, domain::request_body body, expected_answer expected,
                 session_io& io);
    // Bytes of the frame at hand that outlive it.
    [[nodiscard]] shared_bytes keep(byte_view part_of_body);
    void accept_hello(std::uint32_t request, const codec::hello& hello, session_io& io);
    void take_publish(std::uint32_t request, domain::publish_request message, session_io& io);
    void take_attach(std::uint32_t request, codec::attach message, session_io& io);
    void take_pattern_attach(std::uint32_t request, codec::pattern_attach message, session_io& io);
    void take_settle(std::uint32_t request, codec::settle message, session_io& io);
    void take_goodbye(std::uint32_t request, session_io& io);
    [[nodiscard]] std::uint64_t requests_without_reply() const { return unanswered_.replies(); }
    void put_question(std::uint32_t request, ask::kind what, connection_id target, session_io& io);

private:
    void transition(session_state to);
    // Frames are not handled until answers or room have come.
    [[nodiscard]] bool must_wait() const { return !waiting_.empty() || unanswered_.full(); }
    void handle_frames(session_io& io);
    void handle_unread(session_io& io);
    void handle(const codec::frame& frame, session_io& io);
    void watch_frame(instant now);
    [[nodiscard]] mono_time frame_due() const;
    [[nodiscard]] mono_time ping_due() const;
    void note_sent(session_io& io) { last_sent_ = io.now.mono; }
    void flush(session_io& io);
    void ask_what_is_held(session_io& io);
    void give_back(const publish_window::entry& answered);
    void finish_goodbye(session_io& io);

    void hold_back(domain::output out, session_io& io);
    void hold_back_reply(domain::output& out);
    [[nodiscard]] bool hold_back_push(domain::request_push& push, session_io& io);
    void drop_overdue_pushes(mono_time now);
    void encode_output(domain::output& out, session_io& io);
    void encode_body(std::uint32_t request, const domain::publish_accepted& body, session_io& io);
    void encode_body(std::uint32_t request, const domain::publish_refused& body, session_io& io);
    void encode_body(std::uint32_t request, const domain::delivery& body, session_io& io);
    void encode_body(std::uint32_t request, const domain::read_result& body, session_io& io);
    void encode_body(std::uint32_t request, domain::show_result& body, session_io& io);
    void encode_body(std::uint32_t request, domain::request_push& body, session_io& io);
    void encode_body(std::uint32_t request, domain::reply_result& body, session_io& io);
    void encode_body(std::uint32_t request, const codec::error& body, session_io& io);
    void encode_body(std::uint32_t request, const codec::attached& body, session_io& io);
    void encode_body(std::uint32_t request, const codec::detached& body, session_io& io);
    void encode_body(std::uint32_t request, const domain::holds_nothing& body, session_io& io);
    template <codec::frame_message T>
    void encode_body(std::uint32_t request, const T& body, session_io& io);

    const session_settings& settings_;
    connection_id id_;
    session_state state_ = session_state::handshake;
    closed_reason reason_ = closed_reason::internal;
    std::string close_text_;
    std::string client_name_;
    std::uint64_t features_ = 0;  // in force

    codec::frame_parser parser_;
    byte_buffer unread_;                       // came while frames are not handled
    byte_view piece_;                          // while its frames are handled
    byte_view body_;                           // of the frame being handled
    std::shared_ptr<std::byte[]> kept_piece_;  // its copy, once something in it must live on

    publish_window publishes_;
    codec::published published_;  // gathered until outputs_end()
    std::uint32_t credit_back_messages_ = 0;
    std::uint64_t credit_back_bytes_ = 0;

    // Of what was answered: the ok of a detach may come before the `attached` it is about.
    std::int64_t consumers_ = 0;
    unanswered_requests unanswered_;
    std::uint64_t held_questions_ = 0;  // asked of the engine in drain: is a lease still held?

    std::deque<domain::output> waiting_;     // the outbox is full
    std::size_t replies_waiting_bytes_ = 0;  // of the replies among them
    std::size_t pushes_waiting_bytes_ = 0;   // of the requests for responders among them

    mono_time opened_;
    mono_time last_received_;
    mono_time last_sent_;
    mono_time last_ping_;
    mono_time frame_began_{};
    std::uint64_t frame_in_progress_ = 0;  // parser_.frames() + 1 while one is, 0 = none
    bool draining_ = false;
    bool leaving_ = false;  // goodbye came; its ok waits for the publishes in flight
    std::uint32_t goodbye_request_ = 0;
};

}  // namespace brokerd::session
