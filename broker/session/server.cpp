// Accepting connections and shutting down.
#include "broker/session/server.hpp"

#include <chrono>
#include <future>
#include <utility>

#include <asio/write.hpp>
#include <fmt/format.h>

#include "protocol/codec/encode.hpp"

namespace brokerd::session {

using transport::tcp;
using transport::use_tuple;

namespace {

constexpr auto accept_pause = std::chrono::milliseconds{100};

std::string to_text(const tcp::endpoint& endpoint) {
    const auto host = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                      : fmt::format("{}:{}", host, endpoint.port());
}

std::vector<std::unique_ptr<lane>> make_lanes(server_context& shared, std::size_t count) {
    std::vector<std::unique_ptr<lane>> lanes;
    for (std::size_t i = 0; i < count; ++i) {
        lanes.push_back(std::make_unique<lane>(shared, i, count));
    }
    return lanes;
}

}  // namespace

server::server(const server_settings& settings, const base::clock& clock, base::logger log)
    : shared_{.settings = {},
              .clock = clock,
              .log = std::move(log),
              .limits = connection_limits(settings.bounds),
              .registry = {},
              .counters = {},
              .engine = nullptr,
              .on_lane_of = {}},
      lanes_(make_lanes(shared_, settings.io_threads)),
      acceptor_(lanes_.front()->context()),
      pause_(lanes_.front()->context()) {
    shared_.on_lane_of = [this](connection_id id, std::function<void(lane&)> what) {
        lanes_[id.value() % lanes_.size()]->post(std::move(what));
    };
}

server::~server() = default;

std::error_code server::bind(const std::string& host, std::uint16_t port) {
    std::error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) {
        return error;
    }
    const tcp::endpoint endpoint{address, port};
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
        acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    }
    if (!error) {
        acceptor_.bind(endpoint, error);
    }
    if (!error) {
        address_ = to_text(acceptor_.local_endpoint(error));
    }
    return error;
}

std::vector<engine::output_sink*> server::sinks() {
    std::vector<engine::output_sink*> result;
    for (const auto& each : lanes_) {
        result.push_back(each.get());
    }
    return result;
}

std::error_code server::start(engine::engine& engine, session_settings settings) {
    shared_.engine = &engine;
    shared_.settings = std::move(settings);
    std::error_code error;
    acceptor_.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
        return error;
    }
    started_ = true;
    lanes_.front()->spawn("accept", accept_loop());
    for (const auto& each : lanes_) {
        each->start_thread();
    }
    return {};
}

transport::awaitable<> server::accept_loop() {
    while (!stopping_) {
        auto& target = *lanes_[next_lane_ % lanes_.size()];
        tcp::socket socket(target.context());
        const auto [error] = co_await acceptor_.async_accept(socket, use_tuple);
        if (stopping_) {
            break;
        }
        if (error) {
            accept_failed(error);
            pause_.expires_after(accept_pause);
            co_await pause_.async_wait(use_tuple);
            continue;
        }
        accept_failing_ = false;
        take(std::move(socket));
    }
}

void server::accept_failed(const std::error_code& error) {
    shared_.counters.accept_errors.add();
    if (!std::exchange(accept_failing_, true)) {
        shared_.log.error("cannot accept connections: {}; trying again every {} ms",
                          error.message(), accept_pause.count());
    }
}

void server::take(tcp::socket socket) {
    std::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) {
        return;  // gone already
    }
    auto ip = peer.address().to_string();
    if (const auto admitted = shared_.limits.admit(ip); !admitted) {
        shared_.counters.closed[static_cast<std::size_t>(closed_reason::too_many_connections)]
            .add();
        send_refusal(socket, admitted.error());
        return;
    }
    shared_.counters.accepted.add();
    auto& target = *lanes_[next_lane_++ % lanes_.size()];
    const auto held = std::make_shared<tcp::socket>(std::move(socket));
    target.post([held, ip = std::move(ip), address = to_text(peer)](lane& of) {
        of.accept(std::move(*held), ip, address);
    });
}

// One attempt: whoever is refused may cost nothing more.
void server::send_refusal(tcp::socket& socket, const failure& why) {
    if (const auto suppressed = refused_log_.allow(shared_.clock.now().mono)) {
        shared_.log.warning("a connection was refused: {}", why.text);
    }
    byte_buffer frame;
    codec::encode_frame(frame, 0, codec::error{why.code, why.text});
    std::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(frame.data(), frame.size()), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
}

void server::drain(duration_us grace) {
    if (!std::exchange(started_, false)) {
        return;
    }
    std::promise<void> no_input;
    lanes_.front()->post([this, &no_input](lane&) {
        stopping_ = true;
        std::error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
        no_input.set_value();
    });
    no_input.get_future().wait();
    std::vector<std::promise<void>> empty(lanes_.size());
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        lanes_[i]->post([&promise = empty[i], grace](lane& of) {
            of.drain(grace, [&promise] { promise.set_value(); });
        });
    }
    for (auto& promise : empty) {
        promise.get_future().wait();
    }
    for (const auto& each : lanes_) {
        each->join();
    }
}

}  // namespace brokerd::session
