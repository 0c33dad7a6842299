// Sockets, coroutines and bookkeeping around the session machine.
#include "broker/session/connection.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "broker/session/lane.hpp"
#include "broker/session/stats_report.hpp"
#include "protocol/transport/read.hpp"

namespace brokerd::session {

using transport::tcp;
using transport::use_tuple;

transport::awaitable<std::tuple<std::error_code, std::size_t>> noticed_socket::async_write_some(
    asio::const_buffer bytes, const decltype(transport::use_tuple)& how) {
    const auto [error, count] = co_await socket_.async_write_some(bytes, how);
    if (!error) {
        wrote_(count);
    }
    co_return std::tuple{error, count};
}

connection::connection(lane& of, tcp::socket socket, std::string ip, std::string address,
                       connection_id id)
    : lane_(of),
      socket_(std::move(socket)),
      noticed_(socket_, [this](std::size_t bytes) { wrote(bytes); }),
      writer_(noticed_, limits::outbox_unauthenticated_bytes_max),
      resume_(socket_.get_executor(), std::chrono::steady_clock::time_point::max()),
      session_(of.shared().settings, id, of.now()),
      ip_(std::move(ip)),
      entry_(std::make_shared<connection_entry>()) {
    entry_->connection = id;
    entry_->address = std::move(address);
    entry_->connected = of.now().wall;
}

void connection::start() {
    lane_.spawn("write", write(shared_from_this()));
    lane_.spawn("read", read(shared_from_this()));
    lane_.wake_by(deadline());
}

session_io connection::make_io(left_behind& left, std::size_t just_written) {
    auto& outbox = writer_.outbox();
    return {.now = lane_.now(),
            .epoch = lane_.shared().engine->epoch(),
            .outbox = outbox,
            .outbox_pending = writer_.pending_bytes() - outbox.size() - just_written,
            .commands = left.commands,
            .asks = left.asks};
}

void connection::after_call(left_behind& left) {
    if (!left.commands.empty()) {
        lane_.shared().engine->post(
            {id(), std::move(left.commands), std::exchange(bytes_to_post_, 0)});
    }
    for (const auto& question : left.asks) {
        put_question(question);
    }
    writer_.wake();
    note_state();
    if (reading_paused_ && !paused()) {
        resume_.cancel();
    }
}

void connection::note_state() {
    if (!opened_ && session_.state() == session_state::open) {
        note_opened();
    }
    if (!closed_ && session_.closing()) {
        note_closing();
    }
    lane_.wake_by(deadline());
    entry_->consumers.set(session_.consumers());
    entry_->outbox_bytes.set(writer_.pending_bytes());
    const auto& publishes = session_.publishes();
    entry_->credit_messages.set(
        static_cast<std::uint64_t>(std::max<std::int64_t>(publishes.credit_messages(), 0)));
    entry_->credit_bytes.set(
        static_cast<std::uint64_t>(std::max<std::int64_t>(publishes.credit_bytes(), 0)));
}

void connection::note_opened() {
    opened_ = true;
    lane_.shared().limits.confirm(ip_);
    writer_.set_outbox_bytes_max(limits::outbox_bytes_max);
    entry_->name = session_.client_name();
    lane_.shared().registry.add(entry_);
}

void connection::note_closing() {
    closed_ = true;
    lane_.shared().registry.remove(id());
    lane_.shared().counters.closed[static_cast<std::size_t>(session_.reason())].add();
    lane_.log_closed(session_, entry_->address);
    writer_.finish();
    resume_.cancel();
    closed_at_ = lane_.now().mono;
}

void connection::put_question(const ask& question) {
    auto& shared = lane_.shared();
    const auto answer_later = [&shared, asker = id(), request = question.request](auto message) {
        shared.on_lane_of(asker, [asker, request, message = std::move(message)](lane& of) {
            if (auto* found = of.find(asker)) {
                found->answer(request, message);
            }
        });
    };
    switch (question.what) {
        case ask::kind::connections: answer_later(shared.registry.list()); break;
        case ask::kind::health:
            shared.engine->request_health([answer_later](const engine::health_state& state) {
                answer_later(codec::health_report{state.writable, state.warnings});
            });
            break;
        case ask::kind::stats:
            shared.engine->request_statistics(
                [answer_later, &shared](const engine::engine_statistics& statistics) {
                    answer_later(make_stats_report(statistics, shared.counters,
                                                   shared.limits.total(), base::measure_process()));
                });
            break;
        case ask::kind::close_connection:
            shared.on_lane_of(question.target, [answer_later, target = question.target](lane& of) {
                auto* found = of.find(target);
                if (found == nullptr) {
                    answer_later(codec::error{error_code::connection_not_found,
                                              fmt::format("no connection {}; connection ls lists "
                                                          "those there are",
                                                          target.value())});
                    return;
                }
                const failure why{error_code::closed_by_admin,
                                  "an administrator closed the connection"};
                found->close(closed_reason::closed_by_admin, &why);
                answer_later(codec::ok{});
            });
            break;
    }
}

void connection::output(domain::output out) {
    touched_ = true;
    left_behind left;
    session_io io = make_io(left);
    session_.output(std::move(out), io);
    if (!left.commands.empty()) {
        after_call(left);
    }
}

void connection::outputs_end() {
    touched_ = false;
    run([this](session_io& io) { session_.outputs_end(io); });
}

void connection::received(byte_view piece) {
    entry_->bytes_in.add(piece.size());
    lane_.shared().counters.bytes_in.add(piece.size());
    bytes_to_post_ += piece.size();
    run([&](session_io& io) { session_.received(piece, io); });
}

void connection::wrote(std::size_t bytes) {
    entry_->bytes_out.add(bytes);
    lane_.shared().counters.bytes_out.add(bytes);
    entry_->outbox_bytes.set(writer_.pending_bytes() - bytes);
    if (session_.blocked()) {
        left_behind left;
        session_io io = make_io(left, bytes);
        session_.pump(io);
        after_call(left);
    }
    if (reading_paused_) {
        resume_.cancel();  // it looks again, when the writer has counted these bytes
    }
}

void connection::drain(duration_us grace) {
    run([&](session_io& io) { session_.drain(grace, io); });
}

void connection::close(closed_reason reason, const failure* why) {
    run([&](session_io& io) { session_.close(reason, io, why); });
}

void connection::resume() {
    resume_.cancel();
}

bool connection::drained() const {
    std::error_code ignored;
    return session_.drained() && writer_.pending_bytes() == 0 && socket_.available(ignored) == 0;
}

void connection::not_listening(duration_us time) {
    session_.not_listening(time, lane_.now());
}

void connection::count_pause() {
    const auto now = lane_.now().mono;
    not_listening(now - std::exchange(pause_counted_, now));
}

bool connection::paused() const {
    return !session_.closing() &&
           (session_.blocked() || writer_.over_limit() || lane_.shared().engine->congested());
}

// A peer that takes nothing is dead after the same time as one that says nothing.
duration_us connection::dead_after() const {
    return lane_.shared().settings.dead_after;
}

mono_time connection::tick() {
    const auto now = lane_.now();
    if (session_.closing()) {
        if (now.mono >= close_by()) {
            std::error_code ignored;
            socket_.close(ignored);
            return mono_never;
        }
        return close_by();
    }
    if (writer_.stalled(std::chrono::steady_clock::now(), dead_after())) {
        const failure why{error_code::slow_consumer, "the client does not read what it asked for"};
        close(closed_reason::slow_consumer, &why);
        return now.mono;
    }
    if (reading_paused_) {
        count_pause();
    }
    run([&](session_io& io) { session_.tick(io); });
    return deadline();
}

mono_time connection::deadline() const {
    if (session_.closing()) {
        return close_by();
    }
    mono_time next = session_.deadline();
    if (writer_.pending_bytes() > 0) {
        next = std::min(next, last_progress() + dead_after());
    }
    return next;
}

mono_time connection::last_progress() const {
    return mono_time{
        std::chrono::duration_cast<duration_us>(writer_.last_progress().time_since_epoch())};
}

// A peer that goes on reading gets all that was promised to it, within reason.
mono_time connection::close_by() const {
    return lane_.ending().close_by(closed_at_, last_progress(), writer_.pending_bytes() > 0,
                                   lane_.shared().settings.dead_after);
}

transport::awaitable<> connection::read(std::shared_ptr<connection> self) {
    auto reason = closed_reason::peer_reset;
    for (;;) {
        self->pause_counted_ = self->lane_.now().mono;
        while (self->paused()) {
            self->reading_paused_ = true;
            co_await self->resume_.async_wait(use_tuple);
            self->count_pause();
        }
        self->reading_paused_ = false;
        const auto [waited] = co_await self->socket_.async_wait(tcp::socket::wait_read, use_tuple);
        if (waited) {
            break;
        }
        const auto piece = transport::read_available(self->socket_);
        if (!piece) {
            reason = piece.error() == asio::error::eof ? closed_reason::peer_closed
                                                       : closed_reason::peer_reset;
            break;
        }
        if (!piece->empty()) {
            self->received(*piece);
        }
    }
    if (reason == closed_reason::peer_closed && self->session_.heard_all()) {
        // It may still take our last words; that nothing comes any more is no silence.
        self->reading_paused_ = true;
        self->pause_counted_ = self->lane_.now().mono;
    } else {
        self->close(reason);
        self->writer_.stop();
        std::error_code ignored;
        self->socket_.close(ignored);
    }
    self->coroutine_ended();
}

transport::awaitable<> connection::write(std::shared_ptr<connection> self) {
    const auto error = co_await self->writer_.run();
    std::error_code ignored;
    if (error) {
        self->close(closed_reason::peer_reset);
        self->socket_.close(ignored);
    } else {
        self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }
    self->coroutine_ended();
}

void connection::coroutine_ended() {
    if (--coroutines_ == 0) {
        lane_.shared().limits.release(ip_, opened_);
        lane_.ended(id());
    }
}

}  // namespace brokerd::session
