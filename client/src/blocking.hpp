// What the blocking interface stands on: a core with a context and a thread of its own, and waiting
// for its callbacks. Any thread but that one.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include "client/src/core.hpp"
#include "client/src/handles.hpp"
#include "client/src/result.hpp"
#include "client/src/wait_for.hpp"

namespace brokerd::client_core {

class blocking_client {
public:
    // Returns when there is a connection; throws error when there is none, or a stop came first.
    blocking_client(std::string_view server, client_options options, std::stop_token stop);
    ~blocking_client() { close(); }
    blocking_client(const blocking_client&) = delete;
    blocking_client& operator=(const blocking_client&) = delete;

    void close();

    // Hands a message in, to be scheduled with `when`, waiting for room.
    void submit(std::string_view topic, const outgoing_message& message, publish_callback done,
                const std::optional<schedule_time>& when = std::nullopt);

    // Sends a request and waits for the answer as `convert` makes it of the reply.
    template <typename Reply, typename Request, typename Convert>
    auto ask(Request request, repeat kind, Convert convert, duration_us wait = duration_us{0}) {
        using value = std::invoke_result_t<Convert, const Reply&>;
        return value_or_throw(wait_for<value>([&](callback<value> done) {
            core_->locked([&](client_state& state, mono_time, calls& out) {
                state.request<Reply>(std::move(request), kind, std::move(convert), std::move(done),
                                     out, wait);
            });
        }));
    }

    [[nodiscard]] const std::shared_ptr<core>& shared_core() const { return core_; }

private:
    std::shared_ptr<asio::io_context> context_;
    std::shared_ptr<core> core_;
    std::thread thread_;
    std::mutex closing_;
};

// A consumer and the client whose thread it needs.
class blocking_consumer {
public:
    // Returns when it is attached, or `stop` was requested: then it hands out nothing.
    blocking_consumer(std::shared_ptr<blocking_client> client, std::string_view queue,
                      const consume_options& options, std::stop_token stop);

    [[nodiscard]] std::optional<message> next(duration_us timeout);
    void stop() { consumer_.stop(); }
    settle_counts flush();
    void close();
    [[nodiscard]] const core_consumer& state() const { return consumer_; }

private:
    std::shared_ptr<blocking_client> client_;  // goes last
    core_consumer consumer_;
};

class blocking_reader {
public:
    blocking_reader(std::shared_ptr<blocking_client> client, std::string_view topic,
                    log_position from, const reader_options& options);

    [[nodiscard]] std::optional<stored_message> next(duration_us timeout);
    [[nodiscard]] core_reader& state() { return reader_; }

private:
    std::shared_ptr<blocking_client> client_;  // goes last
    core_reader reader_;
};

}  // namespace brokerd::client_core
