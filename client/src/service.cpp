// Requests and replies in the blocking interface: serve() and its threads.
#include <atomic>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "brokerd/client.hpp"
#include "client/src/blocking.hpp"
#include "client/src/encoded.hpp"
#include "client/src/service_handling.hpp"

namespace brokerd {

using client_core::callback;
using client_core::calls;
using client_core::client_state;
using client_core::core_responder;
using client_core::handed_request;
using client_core::made_reply;
using client_core::result;
using client_core::value_or_throw;
using client_core::wait_for;

namespace {

std::optional<handed_request> next_request(core_responder& from) {
    bool over = false;
    std::optional<handed_request> taken = from.take(over);
    if (!taken) {
        using maybe = std::optional<handed_request>;
        taken = value_or_throw(
            wait_for<maybe>([&](callback<maybe> done) { from.wait(std::move(done)); }));
    }
    return taken;
}

made_reply handle(const std::string& service, const handed_request& request,
                  const std::function<outgoing_message(const service_request&)>& handler) {
    try {
        return client_core::reply_of(handler(client_core::to_public(service, request)));
    } catch (...) {
        return client_core::failure_of(std::current_exception());
    }
}

}  // namespace

service_reply client::request(std::string_view service, const outgoing_message& message,
                              const request_options& options) {
    return request_async(service, message, options).get();
}

std::future<service_reply> client::request_async(std::string_view service,
                                                 const outgoing_message& message,
                                                 const request_options& options) {
    value_or_throw(client_core::check_options(options));
    byte_buffer record;
    value_or_throw(client_core::encode_request(record, service, message));
    std::promise<service_reply> promise;
    std::future<service_reply> future = promise.get_future();
    state_->shared_core()->locked([&](client_state& state, mono_time now, calls& out) {
        state.ask(
            std::string(service), std::move(record), options.timeout, now,
            [promise = std::move(promise)](result<service_reply> reply) mutable {
                if (reply) {
                    promise.set_value(std::move(*reply));
                } else {
                    promise.set_exception(std::make_exception_ptr(reply.error()));
                }
            },
            out);
    });
    return future;
}

std::uint64_t client::serve(std::string_view service,
                            const std::function<outgoing_message(const service_request&)>& handler,
                            const serve_options& options) {
    value_or_throw(client_core::check_service(service));
    value_or_throw(client_core::check_options(options));
    core_responder from(state_->shared_core(), std::string(service));
    // Nothing new; what has arrived is handled below.
    const std::stop_callback stop(options.stop, [&] { from.stop(); });
    value_or_throw(wait_for<void>([&](callback<void> opened) {
        from.open(client_core::prefetch_of(options), std::move(opened));
    }));
    std::atomic<std::uint64_t> handled = 0;
    std::exception_ptr failed;
    std::once_flag once;
    const auto work = [&] {
        try {
            while (const auto next = next_request(from)) {
                from.reply(next->handle, handle(from.service(), *next, handler));
                ++handled;
            }
        } catch (...) {
            std::call_once(once, [&] { failed = std::current_exception(); });
        }
    };
    {
        std::vector<std::jthread> others;
        try {
            for (std::uint32_t i = 1; i < options.concurrency; ++i) {
                others.emplace_back(work);
            }
        } catch (...) {
            from.stop();  // those that run are waited for, and would go on for ever
            throw;
        }
        work();
    }
    if (failed) {
        std::rethrow_exception(failed);
    }
    return handled;
}

}  // namespace brokerd
