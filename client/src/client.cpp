// The public blocking interface: forwards to blocking.hpp; consume() and its threads are here.
#include "brokerd/client.hpp"

#include <atomic>
#include <exception>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "client/src/blocking.hpp"
#include "client/src/convert.hpp"
#include "client/src/encoded.hpp"
#include "client/src/message_access.hpp"
#include "client/src/transaction_parts.hpp"

namespace brokerd {

using client_core::blocking_client;
using client_core::calls;
using client_core::client_state;
using client_core::repeat;

client connect(std::string_view server, client_options options, std::stop_token stop) {
    return client(std::make_shared<blocking_client>(server, std::move(options), std::move(stop)));
}

client::client(std::shared_ptr<blocking_client> state) : state_(std::move(state)) {}
client::client(client&&) noexcept = default;

client& client::operator=(client&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

client::~client() {
    close();
}

address client::publish(std::string_view topic, const outgoing_message& message) {
    return publish_async(topic, message).get();
}

std::future<address> client::publish_async(std::string_view topic,
                                           const outgoing_message& message) {
    auto promise = std::make_shared<std::promise<address>>();
    std::future<address> future = promise->get_future();
    state_->submit(topic, message, [promise](const publish_result& result) {
        if (result) {
            promise->set_value({std::string(result.topic), result.offset});
        } else {
            promise->set_exception(std::make_exception_ptr(*result.failure));
        }
    });
    return future;
}

void client::submit(std::string_view topic, const outgoing_message& message,
                    publish_callback on_result) {
    state_->submit(topic, message, std::move(on_result));
}

std::uint64_t client::schedule(std::string_view topic, const outgoing_message& message,
                               schedule_time when) {
    auto promise = std::make_shared<std::promise<std::uint64_t>>();
    std::future<std::uint64_t> id = promise->get_future();
    schedule(topic, message, when, [promise](const publish_result& result) {
        if (result) {
            promise->set_value(result.offset);
        } else {
            promise->set_exception(std::make_exception_ptr(*result.failure));
        }
    });
    return id.get();
}

void client::schedule(std::string_view topic, const outgoing_message& message, schedule_time when,
                      publish_callback on_result) {
    state_->submit(topic, message, std::move(on_result), when);
}

committed client::commit(transaction& what) {
    return client_core::value_or_throw(
        client_core::wait_for<committed>([&](client_core::callback<committed> done) {
            client_core::commit(state_->shared_core(), client_core::transaction_access::parts(what),
                                std::move(done));
        }));
}

void client::flush() {
    client_core::value_or_throw(client_core::wait_for<void>([&](client_core::callback<void> done) {
        state_->shared_core()->locked([&](client_state& state, mono_time, calls& out) {
            state.wait_flushed(std::move(done), out);
        });
    }));
}

ensured_topic client::ensure_topic(std::string_view topic, const topic_options& settings) {
    codec::topic_create request;
    request.topic = topic;
    request.settings = client_core::to_wire(settings);
    return state_->ask<codec::topic_created>(
        std::move(request), repeat::harmless,
        [](const codec::topic_created& reply) { return client_core::to_public(reply); });
}

ensured_queue client::ensure_queue(std::string_view queue, const queue_options& settings,
                                   log_position start, delivery_mode mode) {
    if (client_core::is_pattern(queue)) {
        return state_->ask<codec::pattern_created>(
            client_core::value_or_throw(
                client_core::to_pattern_create(queue, settings, start, mode)),
            repeat::harmless,
            [](const codec::pattern_created& reply) { return client_core::to_public(reply); });
    }
    codec::queue_create request;
    request.queue = queue;
    request.mode = static_cast<queue_mode>(mode);
    request.settings = client_core::to_wire(settings);
    request.start = client_core::to_wire(start);
    request.create_topic = true;
    return state_->ask<codec::queue_created>(
        std::move(request), repeat::harmless,
        [](const codec::queue_created& reply) { return client_core::to_public(reply); });
}

std::uint64_t client::consume(std::string_view queue, const std::function<void(message&)>& handler,
                              const consume_options& options) {
    consumer from(
        std::make_shared<client_core::blocking_consumer>(state_, queue, options, options.stop));
    std::atomic<std::uint64_t> handled = 0;
    std::exception_ptr failed;
    std::once_flag once;
    const auto work = [&] {
        try {
            while (auto next = from.next()) {
                std::exception_ptr thrown;
                try {
                    handler(*next);
                } catch (...) {
                    thrown = std::current_exception();
                }
                client_core::message_access::settle_handled(*next, thrown);
                ++handled;
            }
        } catch (...) {
            std::call_once(once, [&] { failed = std::current_exception(); });
        }
    };
    {
        // Ends the waiting for messages; what is being handled is waited for below.
        const std::stop_callback stop(options.stop, [&] { from.state_->stop(); });
        std::vector<std::jthread> others;
        for (std::uint32_t i = 1; i < options.concurrency; ++i) {
            others.emplace_back(work);
        }
        work();
    }
    if (failed) {
        std::rethrow_exception(failed);
    }
    from.close();
    return handled;
}

consumer client::open_consumer(std::string_view queue, const consume_options& options) {
    return consumer(std::make_shared<client_core::blocking_consumer>(state_, queue, options,
                                                                     std::stop_token()));
}

reader client::open_reader(std::string_view topic, log_position from,
                           const reader_options& options) {
    return reader(std::make_shared<client_core::blocking_reader>(state_, topic, from, options));
}

broker_info client::broker() const {
    return state_->shared_core()->locked([](client_state& state, mono_time, calls&) {
        return client_core::to_public(state.terms());
    });
}

bool client::connected() const noexcept {
    return state_->shared_core()->locked(
        [](client_state& state, mono_time, calls&) { return state.connected(); });
}

void client::close() noexcept {
    if (state_) {
        state_->close();
    }
}

// ---- consumer

consumer::consumer(std::shared_ptr<client_core::blocking_consumer> state)
    : state_(std::move(state)) {}
consumer::consumer(consumer&&) noexcept = default;
consumer& consumer::operator=(consumer&&) noexcept = default;
consumer::~consumer() = default;

std::optional<message> consumer::next(std::chrono::microseconds timeout) {
    return state_->next(timeout);
}

settle_counts consumer::flush() {
    return state_->flush();
}

void consumer::close() {
    state_->close();
}

const std::string& consumer::queue() const noexcept {
    return state_->state().queue();
}

std::chrono::microseconds consumer::lease() const {
    return state_->state().lease();
}

std::uint32_t consumer::attempts() const {
    return state_->state().attempts();
}

// ---- reader

reader::reader(std::shared_ptr<client_core::blocking_reader> state) : state_(std::move(state)) {}
reader::reader(reader&&) noexcept = default;
reader& reader::operator=(reader&&) noexcept = default;
reader::~reader() = default;

std::optional<stored_message> reader::next(std::chrono::microseconds timeout) {
    return state_->next(timeout);
}

void reader::seek(log_position where) {
    state_->state().seek(where);
}

std::uint64_t reader::position() const {
    return state_->state().position();
}

void reader::close() noexcept {
    state_->state().close();
}

}  // namespace brokerd
