// The driver of one session: moves bytes between its socket and the state machine. It decides
// nothing. Owner: the thread of its lane.
//
// Two coroutines: read() waits for bytes and feeds the machine; write() is the one writer. When the
// machine is closing, the writer sends what is left, as long as the peer goes on taking it, and
// shuts its direction down; read() discards what still comes until the peer has closed too, at most
// closing_time::linger, so that the last frame is not lost to a reset.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>

#include "broker/session/connection_registry.hpp"
#include "broker/session/session.hpp"
#include "protocol/transport/asio_aliases.hpp"
#include "protocol/transport/frame_writer.hpp"

namespace brokerd::session {

class lane;

// A socket that says when it has written something: then there is room in the outbox.
class noticed_socket {
public:
    using executor_type = transport::tcp::socket::executor_type;

    noticed_socket(transport::tcp::socket& socket, std::function<void(std::size_t)> wrote)
        : socket_(socket), wrote_(std::move(wrote)) {}

    [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
    [[nodiscard]] transport::awaitable<std::tuple<std::error_code, std::size_t>> async_write_some(
        asio::const_buffer bytes, const decltype(transport::use_tuple)& how);

private:
    transport::tcp::socket& socket_;
    std::function<void(std::size_t)> wrote_;
};

class connection final : public std::enable_shared_from_this<connection> {
public:
    connection(lane& of, transport::tcp::socket socket, std::string ip, std::string address,
               connection_id id);

    void start();

    // Outputs of the engine, in order; then outputs_end() once.
    void output(domain::output out);
    void outputs_end();
    // The answer to a question of its client.
    template <codec::frame_message T>
    void answer(std::uint64_t tag, const T& message) {
        run([&](session_io& io) { session_.answer_question(tag, message, io); });
    }
    void received(byte_view piece);
    void drain(duration_us grace);
    void close(closed_reason reason, const failure* why = nullptr);
    // Does what is due; returns the next deadline.
    [[nodiscard]] mono_time tick();
    // The engine's inbox has room again.
    void resume();
    // The lane did not run for so long: nothing was read.
    void not_listening(duration_us time);

    [[nodiscard]] connection_id id() const { return session_.id(); }
    // Closing cuts nothing off: no request or lease is open, every answer is with the system, and
    // all that has arrived was read.
    [[nodiscard]] bool drained() const;
    [[nodiscard]] bool closing() const { return session_.closing(); }

    // Whether outputs came since the last outputs_end(); the lane's mark.
    [[nodiscard]] bool touched() const { return touched_; }

private:
    // What the machine leaves behind in one call.
    struct left_behind {
        std::vector<domain::command> commands;
        std::vector<ask> asks;
    };

    // Calls the machine and does what it asks for.
    template <typename Call>
    void run(Call call) {
        left_behind left;
        session_io io = make_io(left);
        call(io);
        after_call(left);
    }
    [[nodiscard]] session_io make_io(left_behind& left, std::size_t just_written = 0);
    void after_call(left_behind& left);
    void note_state();
    void note_opened();
    void note_closing();
    void put_question(const ask& question);
    void wrote(std::size_t bytes);
    [[nodiscard]] bool paused() const;
    [[nodiscard]] duration_us dead_after() const;
    [[nodiscard]] mono_time deadline() const;
    [[nodiscard]] mono_time last_progress() const;
    [[nodiscard]] mono_time close_by() const;
    void count_pause();

    static transport::awaitable<> read(std::shared_ptr<connection> self);
    static transport::awaitable<> write(std::shared_ptr<connection> self);
    void coroutine_ended();

    lane& lane_;
    transport::tcp::socket socket_;
    noticed_socket noticed_;
    transport::basic_frame_writer<noticed_socket> writer_;
    asio::steady_timer resume_;  // never expires; cancelled to go on reading
    session session_;
    std::string ip_;
    std::shared_ptr<connection_entry> entry_;
    mono_time closed_at_{};          // once closing
    std::size_t bytes_to_post_ = 0;  // received, not yet counted in the engine's inbox
    bool reading_paused_ = false;
    mono_time pause_counted_{};  // while reading is paused: until when that is accounted for
    int coroutines_ = 2;
    bool opened_ = false;  // the handshake was seen to be done
    bool closed_ = false;  // closing was seen and reported
    bool touched_ = false;
};

}  // namespace brokerd::session
