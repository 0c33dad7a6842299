// Requests and replies in the asynchronous interface.
#include <exception>
#include <stop_token>
#include <utility>

#include "brokerd/async_client.hpp"
#include "client/src/async_op.hpp"
#include "client/src/async_workers.hpp"
#include "client/src/encoded.hpp"
#include "client/src/handles.hpp"
#include "client/src/service_handling.hpp"
#include "client/src/wait_for.hpp"

// Coroutines take what they need by value; lambdas get a name before co_await (g++ 12).
namespace brokerd {

using client_core::callback;
using client_core::calls;
using client_core::cancel_hook;
using client_core::client_state;
using client_core::core;
using client_core::core_responder;
using client_core::handed_request;
using client_core::made_reply;
using client_core::result;
using client_core::suspend;
using client_core::value_or_throw;
using client_core::worker_group;

namespace {

using service_handler = std::function<asio::awaitable<outgoing_message>(const service_request&)>;

result<byte_buffer> encode(std::string_view service, const outgoing_message& message,
                           const request_options& options) {
    if (const auto fine = client_core::check_options(options); !fine) {
        return std::unexpected(fine.error());
    }
    byte_buffer record;
    if (const auto done = client_core::encode_request(record, service, message); !done) {
        return std::unexpected(done.error());
    }
    return record;
}

asio::awaitable<service_reply> ask(std::shared_ptr<core> of, std::string service,
                                   result<byte_buffer> request, request_options options) {
    byte_buffer record = value_or_throw(std::move(request));
    auto start = [&](callback<service_reply> done) -> cancel_hook {
        const std::uint64_t ticket =
            of->locked([&](client_state& state, mono_time now, calls& out) {
                return state.ask(service, std::move(record), options.timeout, now, std::move(done),
                                 out);
            });
        return [of, ticket] {
            of->locked(
                [ticket](client_state& state, mono_time, calls&) { state.cancel_ask(ticket); });
        };
    };
    result<service_reply> reply = co_await suspend<service_reply>(std::move(start));
    co_return value_or_throw(std::move(reply));
}

asio::awaitable<std::optional<handed_request>> next_request(std::shared_ptr<core_responder> from) {
    bool over = false;
    if (std::optional<handed_request> here = from->take(over)) {
        co_return here;
    }
    using maybe = std::optional<handed_request>;
    auto start = [&](callback<maybe> done) -> cancel_hook {
        const std::uint64_t ticket = from->wait(std::move(done));
        return [from, ticket] { from->cancel_wait(ticket); };
    };
    result<maybe> next = co_await suspend<maybe>(std::move(start));
    co_return value_or_throw(std::move(next));
}

// One worker: request after request.
asio::awaitable<void> handle_requests(std::shared_ptr<core_responder> from, service_handler handler,
                                      std::shared_ptr<worker_group> group) {
    while (true) {
        const std::optional<handed_request> next = co_await next_request(from);
        if (!next) {
            break;
        }
        const service_request request = client_core::to_public(from->service(), *next);
        made_reply made;
        try {
            const outgoing_message returned = co_await handler(request);
            made = client_core::reply_of(returned);
        } catch (...) {
            made = client_core::failure_of(std::current_exception());
        }
        from->reply(next->handle, std::move(made));
        group->handled();
    }
}

asio::awaitable<std::uint64_t> serve_all(std::shared_ptr<core> of, std::string service,
                                         service_handler handler, serve_options options) {
    value_or_throw(client_core::check_service(service));
    value_or_throw(client_core::check_options(options));
    auto from = std::make_shared<core_responder>(std::move(of), std::move(service));
    auto start = [&](callback<void> done) -> cancel_hook {
        from->open(client_core::prefetch_of(options), std::move(done));
        return nullptr;  // the responder ends with its last handle, which is ours
    };
    {
        const std::stop_callback stopped(options.stop, [from] { from->stop(); });
        const result<void> attached = co_await suspend<void>(std::move(start));
        value_or_throw(attached);
    }
    auto group = std::make_shared<worker_group>(options.concurrency, [from] { from->stop(); });
    std::function<asio::awaitable<void>()> work = [from, handler, group] {
        return handle_requests(from, handler, group);
    };
    co_return co_await client_core::run_workers(std::move(group), std::move(work),
                                                options.concurrency, options.stop);
}

}  // namespace

asio::awaitable<service_reply> async_client::request(std::string_view service,
                                                     const outgoing_message& message) {
    return request(service, message, request_options());
}

asio::awaitable<service_reply> async_client::request(std::string_view service,
                                                     const outgoing_message& message,
                                                     const request_options& options) {
    return ask(core_, std::string(service), encode(service, message, options), options);
}

asio::awaitable<std::uint64_t> async_client::serve(std::string_view service,
                                                   const service_handler& handler) {
    return serve_all(core_, std::string(service), handler, serve_options());
}

asio::awaitable<std::uint64_t> async_client::serve(std::string_view service,
                                                   const service_handler& handler,
                                                   const serve_options& options) {
    return serve_all(core_, std::string(service), handler, options);
}

}  // namespace brokerd
