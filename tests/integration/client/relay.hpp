// A TCP relay between client and broker that a test can cut: the network between two processes
// that live on. Owner: the test; it runs one thread of its own.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>

namespace brokerd::client_integration {

class relay {
public:
    explicit relay(std::uint16_t to)
        : to_(asio::ip::address_v4::loopback(), to),
          listener_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          thread_([this] { context_.run(); }) {
        accept();
    }
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;
    ~relay() {
        asio::post(context_, asio::use_future([this] {
                       listener_.close();
                       cut_all();
                   }))
            .get();
        work_.reset();
        thread_.join();
    }

    [[nodiscard]] std::string address() const {
        return "127.0.0.1:" + std::to_string(listener_.local_endpoint().port());
    }
    // Resets every connection; new ones are relayed.
    void cut() {
        asio::post(context_, asio::use_future([this] { cut_all(); })).get();
    }

private:
    using tcp = asio::ip::tcp;
    struct pair {
        tcp::socket client;
        tcp::socket broker;
    };
    using pair_ptr = std::shared_ptr<pair>;
    using buffer = std::array<char, 16384>;

    void accept() {
        listener_.async_accept([this](std::error_code failed, tcp::socket client) {
            if (failed) {
                return;
            }
            auto both = std::make_shared<pair>(std::move(client), tcp::socket(context_));
            std::error_code refused;
            both->broker.connect(to_, refused);
            if (!refused) {
                pairs_.push_back(both);
                pump(both, both->client, both->broker, std::make_shared<buffer>());
                pump(both, both->broker, both->client, std::make_shared<buffer>());
            }
            accept();
        });
    }
    void pump(pair_ptr both, tcp::socket& from, tcp::socket& to, std::shared_ptr<buffer> bytes) {
        from.async_read_some(asio::buffer(*bytes), [this, both, &from, &to, bytes](
                                                       std::error_code failed, std::size_t count) {
            std::error_code lost;
            if (!failed) {
                asio::write(to, asio::buffer(bytes->data(), count), lost);
            }
            if (failed || lost) {
                reset(*both);
                return;
            }
            pump(both, from, to, bytes);
        });
    }
    static void reset(pair& both) {
        std::error_code ignored;
        for (tcp::socket* each : {&both.client, &both.broker}) {
            each->set_option(tcp::socket::linger(true, 0), ignored);
            each->close(ignored);
        }
    }
    void cut_all() {
        for (const pair_ptr& each : std::exchange(pairs_, {})) {
            reset(*each);
        }
    }

    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_ = make_work_guard(context_);
    tcp::endpoint to_;
    tcp::acceptor listener_;
    std::list<pair_ptr> pairs_;
    std::thread thread_;
};

}  // namespace brokerd::client_integration
