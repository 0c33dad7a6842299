// The coroutines of a connection, and how other threads wake them.
#include "client/src/core.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <iterator>
#include <random>
#include <span>
#include <sys/socket.h>
#include <system_error>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/ip/address.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include "client/src/client_limits.hpp"
#include "client/src/self_connection.hpp"
#include "protocol/transport/read.hpp"

namespace brokerd::client_core {
namespace {

using clock = std::chrono::steady_clock;

// A deadline that has passed while a write is under way is looked at again after this pause.
constexpr auto busy_pause = std::chrono::milliseconds{5};

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32U | device();
}

clock::time_point to_clock(mono_time when) {
    return when == mono_never ? clock::time_point::max()
                              : clock::time_point(when.time_since_epoch());
}

}  // namespace

std::shared_ptr<core> core::start(const asio::any_io_executor& executor, std::string_view server,
                                  client_options options, std::shared_ptr<void> context) {
    result<server_address> address = parse_server(server);
    if (!address) {
        throw error(address.error());
    }
    result<client_options> checked = check_options(std::move(options));
    if (!checked) {
        throw error(checked.error());
    }
    std::shared_ptr<core> self(new core(executor, std::move(*address), std::string(server),
                                        std::move(*checked), std::move(context)));
    // The coroutine's end is the end of the client; nothing in it throws but what is out of memory,
    // which is not survived.
    asio::co_spawn(self->strand_, self->run(), [self](const std::exception_ptr& why) {
        if (why) {
            std::rethrow_exception(why);
        }
    });
    return self;
}

core::core(const asio::any_io_executor& executor, server_address server, std::string server_text,
           client_options options, std::shared_ptr<void> context)
    : context_(std::move(context)),
      server_(std::move(server)),
      strand_(asio::make_strand(executor)),
      resolver_(strand_),
      socket_(strand_),
      retry_(strand_, clock::time_point::max()),
      deadline_(strand_, clock::time_point::max()),
      writable_(strand_, clock::time_point::max()),
      joined_(strand_, clock::time_point::max()),
      state_(std::move(server_text), std::move(options), random_seed(), now()) {}

mono_time core::now() {
    return mono_time(std::chrono::duration_cast<duration_us>(clock::now().time_since_epoch()));
}

mono_time core::recently() {
    timespec at{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &at);
    return mono_time(std::chrono::duration_cast<duration_us>(std::chrono::seconds(at.tv_sec) +
                                                             std::chrono::nanoseconds(at.tv_nsec)));
}

// ---- from any thread

// Under the lock. `look`: something may have changed that is not seen from here.
void core::decide(follow_up& after, bool look) {
    if (ended_) {
        return;
    }
    if (may_write_here()) {
        write_here(after.to_make);
    }
    look = look || look_ || !after.to_make.empty() || (wake_ && !writing_) || !rest_.empty();
    std::ranges::move(after.to_make, std::back_inserter(pending_));
    after.to_make.clear();
    after.post = look && !posted_;
    posted_ = posted_ || look;
}

bool core::may_write_here() const {
    return wake_ && !writing_ && !posted_ && rest_.empty() && connected_socket_ >= 0 &&
           !state_.closing() &&
           state_.messages_in_flight() <= client_limits::write_here_messages_max &&
           state_.bytes_in_flight() <= client_limits::write_here_bytes_max;
}

// Under the lock, so that bytes keep their order and the socket is not closed meanwhile. After an
// error the strand finds the connection lost.
void core::write_here(calls& after) {
    const mono_time at = now();
    here_bytes_.clear();
    state_.write(here_bytes_, at, after);
    wake_ = state_.wants_write(at);
    if (here_bytes_.empty()) {
        return;
    }
    const ssize_t sent = ::send(connected_socket_, here_bytes_.data(), here_bytes_.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    const auto taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    if (taken < here_bytes_.size()) {
        rest_.assign(here_bytes_.begin() + static_cast<std::ptrdiff_t>(taken), here_bytes_.end());
    }
    if (here_bytes_.capacity() > client_limits::idle_buffer_bytes_max) {
        here_bytes_ = byte_buffer();
    }
}

core::follow_up::~follow_up() {
    if (post) {
        // Weak: the client may have ended by now and its context have run out of work. Nobody would
        // run a call that keeps the client, which keeps the context, which keeps the call. Until
        // the end it is `run` that keeps the client.
        asio::post(owner.strand_, [of = owner.weak_from_this()] {
            if (const std::shared_ptr<core> self = of.lock()) {
                self->look_after();
            }
        });
    }
    make(to_make);  // empty unless the client has ended
}

void core::make(calls& out) {
    for (auto& call : out) {
        call();
    }
    out.clear();
}

bool core::settle(delivery& of, std::uint32_t index, answer& what) {
    return run_locked(false, [&](client_state& state, calls&) {
        consumer_state* const consumer = state.find_consumer(of.origin->consumer);
        if (consumer == nullptr) {
            return false;
        }
        // Exact where a time begins: that of the first answer's waiting for others, of a lease.
        const bool begins =
            consumer->gather_until() == mono_never || what.action == settle_action::extend;
        const mono_time at = begins ? now() : recently();
        if (!consumer->settle(of, index, what, at)) {
            return false;
        }
        const bool write_now = consumer->wants_write(at);
        wake_ = wake_ || write_now;
        look_ = look_ || (!write_now && consumer->gather_until() < armed_);
        return true;
    });
}

std::optional<handed_message> core::take(consumer_id consumer, bool& over) {
    return run_locked(false, [&](client_state& state, calls&) -> std::optional<handed_message> {
        const mono_time at = recently();
        consumer_state* const from = state.find_consumer(consumer);
        over = from == nullptr;
        if (from == nullptr) {
            return std::nullopt;
        }
        std::optional<handed_message> next = from->take(at);
        over = !next && from->over();
        // Answers wait for company only while there is something else to do.
        wake_ = wake_ || (!next && from->wants_write(at));
        return next;
    });
}

std::optional<handed_request> core::take_request(responder_id responder, bool& over) {
    return run_locked(false, [&](client_state& state, calls&) -> std::optional<handed_request> {
        responder_state* const from = state.find_responder(responder);
        over = from == nullptr;
        if (from == nullptr) {
            return std::nullopt;
        }
        std::optional<handed_request> next = from->take(now());
        over = !next && from->over();
        return next;
    });
}

// ---- on the strand

// Calls `what(state, now, calls)` under the lock, then makes the calls, those of other threads that
// came before first.
template <typename F>
void core::on_strand(F&& what) {
    calls out;
    {
        const std::lock_guard lock(mutex_);
        out = std::exchange(pending_, {});
        what(state_, now(), out);
    }
    make(out);
}

// Does what is due and starts what is wanted: the one reaction to every change.
void core::look_after() {
    bool write = false;
    bool drop = false;
    on_strand([&](client_state& state, mono_time at, calls& out) {
        posted_ = false;
        look_ = false;
        wake_ = false;
        arm(state.tick(at, out), at);
        write = !writing_ && (state.wants_write(at) || !rest_.empty());
        drop = state.dropped().has_value();
    });
    if (drop) {
        disconnect();
    }
    if (write) {
        write_wanted_ = true;
        writable_.cancel();
    }
    retry_.cancel();
}

// Under the lock. A timer that fires too early is cheaper than one moved with every change.
void core::arm(mono_time next, mono_time at) {
    if (next <= at) {
        next = at + busy_pause;  // is being written, or will be when the writer is free
    }
    if (next < armed_ || armed_ <= at) {
        armed_ = next;
        deadline_.expires_at(to_clock(next));
    }
}

void core::disconnect() {
    disconnecting_ = true;
    {
        const std::lock_guard lock(mutex_);
        connected_socket_ = -1;
        rest_ = byte_buffer();
    }
    std::error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    writable_.cancel();
}

void core::spawn(awaitable<> task) {
    ++tasks_;
    asio::co_spawn(strand_, std::move(task),
                   [self = shared_from_this()](const std::exception_ptr& why) {
                       --self->tasks_;
                       self->joined_.cancel();
                       if (why) {
                           std::rethrow_exception(why);
                       }
                   });
}

// Until so many tasks are left.
core::awaitable<> core::join(std::size_t left) {
    while (tasks_ > left) {
        co_await joined_.async_wait(transport::use_tuple);
    }
}

core::awaitable<> core::run() {
    const std::shared_ptr<core> self = shared_from_this();
    spawn(keep_time());
    while (true) {
        connection_state::step step;
        on_strand([&](client_state& state, mono_time at, calls&) { step = state.next_step(at); });
        if (step.what == connection_state::step::kind::stop) {
            break;
        }
        if (step.what == connection_state::step::kind::wait) {
            retry_.expires_at(to_clock(step.until));
            co_await retry_.async_wait(transport::use_tuple);
            continue;
        }
        const std::string why = co_await serve();
        on_strand([&](client_state& state, mono_time at, calls& out) {
            state.on_connection_lost(state.dropped().value_or(why), at, out);
        });
        look_after();
    }
    stopped_ = true;
    deadline_.cancel();
    co_await join(0);
    on_strand([&](client_state& state, mono_time, calls& out) {
        state.on_stopped(out);
        ended_ = true;
    });
}

// One connection from the attempt to its end; returns why it ended.
core::awaitable<std::string> core::serve() {
    disconnecting_ = false;
    look_after();  // arms the deadline of the attempt
    std::string problem = co_await connect();
    if (!problem.empty() || disconnecting_) {
        co_return problem;
    }
    on_strand([&](client_state& state, mono_time at, calls&) {
        state.on_connected(at);
        connected_socket_ = socket_.native_handle();
    });
    spawn(write_frames());
    problem = co_await read_frames();
    disconnect();
    co_await join(1);  // keep_time() goes on
    intake_ = {};
    co_return problem;
}

core::awaitable<std::string> core::connect() {
    std::vector<tcp::endpoint> endpoints;
    std::error_code problem;
    const asio::ip::address literal = asio::ip::make_address(server_.host, problem);
    if (!problem) {
        endpoints.emplace_back(literal, static_cast<std::uint16_t>(std::stoul(server_.port)));
    } else {
        auto [failed, found] =
            co_await resolver_.async_resolve(server_.host, server_.port, transport::use_tuple);
        if (failed) {
            co_return "the host name cannot be resolved: " + failed.message();
        }
        for (const auto& each : found) {
            endpoints.push_back(each.endpoint());
        }
    }
    std::string why = "the host name has no address";
    for (const tcp::endpoint& each : endpoints) {
        if (disconnecting_) {
            break;
        }
        std::error_code ignored;
        socket_.close(ignored);
        const auto [failed] = co_await socket_.async_connect(each, transport::use_tuple);
        problem = failed ? failed : transport::prepare(socket_);
        if (!problem && is_self_connection(socket_)) {
            problem = asio::error::connection_refused;  // nobody listens there
        }
        if (!problem) {
            co_return "";
        }
        why = problem.message();
    }
    std::error_code ignored;
    socket_.close(ignored);  // a refused one must not keep the broker's port until the next attempt
    co_return why;
}

core::awaitable<std::string> core::read_frames() {
    while (!disconnecting_) {
        const auto [failed] =
            co_await socket_.async_wait(tcp::socket::wait_read, transport::use_tuple);
        if (failed || disconnecting_) {
            co_return failed ? failed.message() : "closed";
        }
        const auto piece = transport::read_available(socket_);
        if (!piece) {
            co_return piece.error() == asio::error::eof ? "the broker closed the connection"
                                                        : piece.error().message();
        }
        const arrivals& what = intake_.take(*piece);
        on_strand([&](client_state& state, mono_time at, calls& out) {
            state.on_arrivals(what, at, out);
        });
        intake_.release();
        look_after();
    }
    co_return "closed";
}

// The one writer: what is wanted is gathered while the last write is under way.
core::awaitable<> core::write_frames() {
    while (!disconnecting_) {
        writing_bytes_.clear();
        write_wanted_ = false;
        on_strand([&](client_state& state, mono_time at, calls& out) {
            if (!rest_.empty()) {
                writing_bytes_ = std::exchange(rest_, byte_buffer());
            }
            state.write(writing_bytes_, at, out);
            writing_ = !writing_bytes_.empty();
        });
        if (writing_bytes_.empty()) {
            if (writing_bytes_.capacity() > client_limits::idle_buffer_bytes_max) {
                writing_bytes_ = byte_buffer();
            }
            look_after();
            if (!write_wanted_ && !disconnecting_) {
                co_await writable_.async_wait(transport::use_tuple);
            }
            continue;
        }
        const auto bytes = asio::buffer(writing_bytes_.data(), writing_bytes_.size());
        const auto [failed, count] =
            co_await asio::async_write(socket_, bytes, transport::use_tuple);
        if (failed) {
            disconnect();
        }
    }
    on_strand([&](client_state&, mono_time, calls&) { writing_ = true; });
}

core::awaitable<> core::keep_time() {
    while (!stopped_) {
        co_await deadline_.async_wait(transport::use_tuple);
        // A wait that was cut short goes on until the new time.
        if (!stopped_ && deadline_.expiry() <= clock::now()) {
            look_after();
        }
    }
}

}  // namespace brokerd::client_core
