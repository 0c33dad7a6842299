// The lane's thread, its one timer, and the way of outputs to their connections.
#include "broker/session/lane.hpp"

#include <algorithm>
#include <exception>
#include <pthread.h>
#include <utility>

#include <asio/post.hpp>

#include "protocol/transport/read.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::session {

using namespace std::chrono_literals;

namespace {

// Deadlines are met within this; a sweep visits every connection.
constexpr auto sweep_interval_min = 50ms;
constexpr auto drain_sweep_interval = 5ms;
// So late, the lane did not run for a while (the process was stopped, the machine overloaded).
constexpr auto sweep_late_min = 1s;

std::string text_of(const std::exception_ptr& why) {
    try {
        std::rethrow_exception(why);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown exception";
    }
}

}  // namespace

lane::lane(server_context& shared, std::uint64_t index, std::uint64_t lanes)
    : shared_(shared),
      work_(context_.get_executor()),
      tasks_(context_.get_executor(),
             [this](std::string_view name, const std::exception_ptr& why) {
                 shared_.log.error("a connection's {} task failed: {}", name, text_of(why));
             }),
      timer_(context_),
      next_id_(index == 0 ? lanes : index),
      lanes_(lanes) {}

lane::~lane() = default;

void lane::start_thread() {
    thread_ = std::thread([this] { context_.run(); });
    pthread_setname_np(thread_.native_handle(), "io");
}

void lane::join() {
    post([](lane& of) {
        of.leaving_ = true;
        of.turn_timer_.cancel();
    });
    work_.reset();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void lane::post(std::function<void(lane&)> what) {
    asio::post(context_, [this, what = std::move(what)] { what(*this); });
}

void lane::spawn(std::string name, transport::awaitable<> task) {
    tasks_.spawn(std::move(name), std::move(task));
}

void lane::accept(transport::tcp::socket socket, std::string ip, std::string address) {
    const connection_id id{std::exchange(next_id_, next_id_ + lanes_)};
    if (drained_ || transport::prepare(socket)) {
        shared_.limits.release(ip, false);
        return;  // the socket closes itself
    }
    const auto added = std::make_shared<connection>(*this, std::move(socket), std::move(ip),
                                                    std::move(address), id);
    connections_.emplace(id, added);
    added->start();
}

connection* lane::find(connection_id id) {
    const auto at = connections_.find(id);
    return at == connections_.end() || at->second->closing() ? nullptr : at->second.get();
}

void lane::ended(connection_id id) {
    connections_.erase(id);
    if (connections_.empty()) {
        timer_.cancel();
        timer_at_ = mono_never;
        if (drained_) {
            std::exchange(drained_, nullptr)();
        }
    }
}

void lane::deliver(std::vector<domain::output> outputs) {
    asio::post(context_, [this, outputs = std::move(outputs)]() mutable {
        handle_outputs(std::move(outputs));
    });
}

void lane::handle_outputs(std::vector<domain::output> outputs) {
    std::vector<connection*> touched;
    connection* current = nullptr;
    for (auto& out : outputs) {
        if (current == nullptr || current->id() != out.connection) {
            current = find(out.connection);
            if (current == nullptr) {
                continue;  // it has gone meanwhile
            }
        }
        if (!current->touched()) {
            touched.push_back(current);
        }
        current->output(std::move(out));
    }
    for (auto* each : touched) {
        each->outputs_end();
    }
}

void lane::close_all(const failure& why) {
    post([why](lane& of) {
        for (const auto& [id, each] : of.connections_) {
            each->close(closed_reason::state_reloaded, &why);
        }
    });
}

void lane::run_soon(std::function<void()> turn) {
    asio::post(context_, std::move(turn));
}

void lane::run_at(mono_time when, std::function<void()> turn) {
    if (when == turn_at_ || leaving_) {
        return;
    }
    turn_at_ = when;
    if (when == mono_never) {
        turn_timer_.cancel();
        return;
    }
    turn_timer_.expires_at(std::chrono::steady_clock::time_point(when.time_since_epoch()));
    turn_timer_.async_wait([this, when, turn = std::move(turn)](const std::error_code& error) {
        if (!error && when == turn_at_) {  // else it was moved when it had just expired
            turn_at_ = mono_never;
            turn();
        }
    });
}

void lane::inbox_relieved() {
    post([](lane& of) {
        for (const auto& [id, each] : of.connections_) {
            each->resume();
        }
    });
}

void lane::drain(duration_us grace, std::function<void()> done) {
    drained_ = std::move(done);
    if (connections_.empty()) {
        std::exchange(drained_, nullptr)();
        return;
    }
    ending_.drain(now().mono + grace);
    for (const auto& [id, each] : connections_) {
        each->drain(grace);
    }
    wake_by(now().mono);
}

void lane::wake_by(mono_time at) {
    if (at == mono_never) {
        return;
    }
    // Not more often than this, however many deadlines there are.
    const duration_us pause =
        ending_.draining() ? duration_us{drain_sweep_interval} : duration_us{sweep_interval_min};
    at = std::max(at, swept_ + pause);
    if (at >= timer_at_) {
        return;
    }
    timer_at_ = at;
    timer_.expires_at(std::chrono::steady_clock::time_point(at.time_since_epoch()));
    timer_.async_wait([this](std::error_code error) {
        if (!error && timer_at_ <= now().mono) {
            sweep();
        }
    });
}

void lane::sweep() {
    const auto at = now().mono;
    const auto late = at - std::exchange(timer_at_, mono_never);
    const auto since = std::exchange(swept_, at);
    catching_up_ = late >= sweep_late_min && !catching_up_;
    if (catching_up_) {
        // What peers sent and took meanwhile is looked at before anybody is called dead.
        for (const auto& [id, each] : connections_) {
            each->not_listening(at - since);
        }
        wake_by(at);
        return;
    }
    for (const auto& [id, each] : connections_) {
        wake_by(each->tick());
    }
    if (ending_.draining() && !connections_.empty()) {
        sweep_drained(swept_);
        wake_by(swept_);
    }
}

void lane::sweep_drained(mono_time at) {
    const failure why{error_code::draining, "the broker is shutting down; connect again later"};
    for (const auto& [id, each] : connections_) {
        if (!each->closing() && (each->drained() || ending_.drain_over(at))) {
            each->close(closed_reason::draining, &why);
        }
    }
}

// Ends that nobody needs to look into are for debugging: each call of brokerctl has one.
void lane::log_closed(const session& of, const std::string& address) {
    if (of.reason() == closed_reason::goodbye) {
        shared_.log.debug("connection {} {} from {} closed: goodbye", of.id().value(),
                          printable(of.client_name()), address);
        return;
    }
    const auto suppressed = closed_log_.allow(now().mono);
    if (!suppressed) {
        return;
    }
    shared_.log.info("connection {} {} from {} closed: {}{}{}{}", of.id().value(),
                     printable(of.client_name()), address, describe(of.reason()).name,
                     of.close_text().empty() ? "" : ": ", printable(of.close_text()),
                     *suppressed > 0 ? fmt::format(" ({} more were not logged)", *suppressed) : "");
}

}  // namespace brokerd::session
