// The public asynchronous interface: the core's callbacks as awaitables.
#include "brokerd/async_client.hpp"

#include <exception>
#include <stop_token>
#include <utility>

#include <asio/this_coro.hpp>

#include "client/src/async_consume.hpp"
#include "client/src/async_op.hpp"
#include "client/src/convert.hpp"
#include "client/src/encoded.hpp"
#include "client/src/handles.hpp"
#include "client/src/message_access.hpp"
#include "client/src/transaction_parts.hpp"
#include "client/src/wait_for.hpp"

// Coroutines take what they need by value; lambdas get a name before co_await (g++ 12).
namespace brokerd {

using client_core::callback;
using client_core::calls;
using client_core::cancel_hook;
using client_core::client_state;
using client_core::core;
using client_core::core_consumer;
using client_core::core_reader;
using client_core::repeat;
using client_core::result;
using client_core::suspend;
using client_core::value_or_throw;

namespace {

// A record that was encoded when the operation was called, or why it could not be.
using encoded = result<byte_buffer>;

encoded encode(std::string_view topic, const outgoing_message& message,
               const std::optional<schedule_time>& when = std::nullopt) {
    if (auto valid = client_core::check_when(when); !valid) {
        return std::unexpected(valid.error());
    }
    byte_buffer record;
    if (auto done = client_core::encode_message(record, topic, message); !done) {
        return std::unexpected(done.error());
    }
    return record;
}

// `admitted` empty: `done` hears of everything.
cancel_hook submit_record(const std::shared_ptr<core>& to, const std::string& topic,
                          const byte_buffer& record, publish_callback done,
                          const std::optional<schedule_time>& when, callback<void> admitted) {
    const std::uint64_t ticket = to->submit(topic, record, std::move(done), when,
                                            [&] { return std::exchange(admitted, nullptr); });
    if (ticket == 0) {
        if (admitted) {
            admitted({});
        }
        return nullptr;
    }
    return [to, ticket] {
        to->locked(
            [ticket](client_state& state, mono_time, calls&) { state.cancel_submit(ticket); });
    };
}

asio::awaitable<address> publish_record(std::shared_ptr<core> to, std::string topic,
                                        encoded record) {
    const byte_buffer bytes = value_or_throw(std::move(record));
    auto start = [&](callback<address> done) {
        auto shared = std::make_shared<callback<address>>(std::move(done));
        return submit_record(
            to, topic, bytes,
            [shared](const publish_result& result) { (*shared)(client_core::to_address(result)); },
            std::nullopt, nullptr);
    };
    result<address> at = co_await suspend<address>(std::move(start));
    co_return value_or_throw(std::move(at));
}

asio::awaitable<std::uint64_t> schedule_record(std::shared_ptr<core> to, std::string topic,
                                               encoded record, schedule_time when) {
    const byte_buffer bytes = value_or_throw(std::move(record));
    auto start = [&](callback<std::uint64_t> done) {
        auto shared = std::make_shared<callback<std::uint64_t>>(std::move(done));
        return submit_record(
            to, topic, bytes,
            [shared](const publish_result& result) { (*shared)(client_core::to_id(result)); }, when,
            nullptr);
    };
    result<std::uint64_t> id = co_await suspend<std::uint64_t>(std::move(start));
    co_return value_or_throw(std::move(id));
}

asio::awaitable<void> submit_when_room(std::shared_ptr<core> to, std::string topic, encoded record,
                                       std::optional<schedule_time> when,
                                       publish_callback on_result) {
    const byte_buffer bytes = value_or_throw(std::move(record));
    auto start = [&](callback<void> admitted) {
        return submit_record(to, topic, bytes, std::move(on_result), when, std::move(admitted));
    };
    const result<void> in = co_await suspend<void>(std::move(start));
    value_or_throw(in);
}

asio::awaitable<committed> commit_parts(std::shared_ptr<core> to,
                                        std::shared_ptr<client_core::transaction_parts> what) {
    auto start = [&](callback<committed> done) -> cancel_hook {
        client_core::commit(to, std::move(what), std::move(done));
        return nullptr;
    };
    result<committed> outcome = co_await suspend<committed>(std::move(start));
    co_return value_or_throw(std::move(outcome));
}

queue_options settings_of(const codec::queue_created& reply) {
    return client_core::to_public(reply.settings);
}

// One request of the broker, awaited.
template <typename Reply, typename Value, typename Request>
asio::awaitable<Value> ask(std::shared_ptr<core> of, Request request, repeat kind,
                           Value (*convert)(const Reply&) = client_core::to_public) {
    auto start = [&](callback<Value> done) -> cancel_hook {
        const std::uint64_t ticket = of->locked([&](client_state& state, mono_time, calls& out) {
            return state.request<Reply>(std::move(request), kind, convert, std::move(done), out);
        });
        return [of, ticket] {
            of->locked(
                [ticket](client_state& state, mono_time, calls&) { state.cancel_request(ticket); });
        };
    };
    result<Value> answer = co_await suspend<Value>(std::move(start));
    co_return value_or_throw(std::move(answer));
}

asio::awaitable<level_counts> count_levels(std::shared_ptr<core> of, std::string queue) {
    level_counts out;
    codec::queue_levels request;
    request.queue = std::move(queue);
    for (bool more = true; more;) {
        const client_core::level_slice part =
            co_await ask<codec::queue_levels_counted, client_core::level_slice>(of, request,
                                                                                repeat::look);
        client_core::add(out, part);
        request.from = part.next;
        more = part.more;
    }
    co_return out;
}

// Awaits an operation of the core that cannot be withdrawn. `what(state, now, done, calls)`.
template <typename T, typename What>
asio::awaitable<T> await_state(std::shared_ptr<core> of, What what) {
    auto start = [&](callback<T> done) -> cancel_hook {
        of->locked([&](client_state& state, mono_time now, calls& out) {
            what(state, now, std::move(done), out);
        });
        return nullptr;
    };
    result<T> value = co_await suspend<T>(std::move(start));
    co_return value_or_throw(std::move(value));
}

// Made when the operation was called; what no pattern queue can be is told when it is awaited.
asio::awaitable<ensured_queue> ensure_pattern(std::shared_ptr<core> of,
                                              result<codec::pattern_create> request) {
    codec::pattern_create what = value_or_throw(std::move(request));
    co_return co_await ask<codec::pattern_created, ensured_queue>(std::move(of), std::move(what),
                                                                  repeat::harmless);
}

asio::awaitable<std::optional<stored_message>> next_stored(std::shared_ptr<core_reader> from,
                                                           std::chrono::microseconds timeout) {
    if (std::optional<stored_message> here = from->take()) {
        co_return here;
    }
    using taken = std::optional<stored_message>;
    auto start = [&](callback<taken> done) -> cancel_hook {
        const std::uint64_t ticket = from->wait(timeout, std::move(done));
        return [from, ticket] { from->cancel_wait(ticket); };
    };
    result<taken> next = co_await suspend<taken>(std::move(start));
    co_return value_or_throw(std::move(next));
}

asio::awaitable<void> confirm_ack(message which) {
    auto start = [&](callback<void> done) -> cancel_hook {
        client_core::message_access::confirm(which, std::move(done));
        return nullptr;
    };
    const result<void> confirmed = co_await suspend<void>(std::move(start));
    value_or_throw(confirmed);
}

asio::awaitable<settle_counts> flush_consumer(std::shared_ptr<core_consumer> of) {
    auto start = [&](callback<settle_counts> done) -> cancel_hook {
        of->flush(std::move(done));
        return nullptr;
    };
    result<settle_counts> counts = co_await suspend<settle_counts>(std::move(start));
    co_return value_or_throw(std::move(counts));
}

asio::awaitable<void> close_consumer(std::shared_ptr<core_consumer> of) {
    auto start = [&](callback<settle_counts> done) -> cancel_hook {
        of->close(std::move(done));
        return nullptr;
    };
    const result<settle_counts> counts = co_await suspend<settle_counts>(std::move(start));
    value_or_throw(counts);
}

asio::awaitable<std::shared_ptr<core_consumer>> attach_consumer(std::shared_ptr<core> to,
                                                                std::string queue,
                                                                consume_options options,
                                                                std::stop_token stop) {
    value_or_throw(client_core::check_queue(queue));
    value_or_throw(client_core::check_options(options));
    auto opened = std::make_shared<core_consumer>(std::move(to), std::move(queue), options);
    auto start = [&](callback<void> done) -> cancel_hook {
        opened->open(options, std::move(done));
        return nullptr;  // the consumer closes with its last handle, which is ours
    };
    const std::stop_callback stopped(std::move(stop), [opened] { opened->stop(); });
    const result<void> attached = co_await suspend<void>(std::move(start));
    value_or_throw(attached);
    co_return opened;
}

asio::awaitable<std::uint64_t> consume_queue(std::shared_ptr<core> of, std::string queue,
                                             std::function<asio::awaitable<void>(message&)> handler,
                                             consume_options options) {
    std::shared_ptr<core_consumer> from =
        co_await attach_consumer(of, std::move(queue), options, options.stop);
    const std::uint64_t handled =
        co_await client_core::consume_all(from, std::move(handler), options);
    co_await close_consumer(from);
    co_return handled;
}

}  // namespace

// ---- async_client

// Without default arguments: g++ 12 spoils such temporaries in the coroutine that calls.
async_client::async_client(const asio::any_io_executor& executor, std::string_view server)
    : async_client(executor, server, client_options()) {}

async_client::async_client(const asio::any_io_executor& executor, std::string_view server,
                           const client_options& options)
    : core_(core::start(executor, server, options)) {}

async_client::async_client(async_client&&) noexcept = default;

async_client& async_client::operator=(async_client&& other) noexcept {
    if (this != &other) {
        async_client old(std::move(*this));
        core_ = std::move(other.core_);
    }
    return *this;
}

async_client::~async_client() {
    if (core_) {
        core_->locked(
            [](client_state& state, mono_time now, calls& out) { state.abandon(now, out); });
    }
}

asio::awaitable<void> async_client::connected() {
    return await_state<void>(core_, [](client_state& state, mono_time, callback<void> done,
                                       calls& out) { state.wait_connected(std::move(done), out); });
}

asio::awaitable<address> async_client::publish(std::string_view topic,
                                               const outgoing_message& message) {
    return publish_record(core_, std::string(topic), encode(topic, message));
}

asio::awaitable<void> async_client::submit(std::string_view topic, const outgoing_message& message,
                                           publish_callback on_result) {
    return submit_when_room(core_, std::string(topic), encode(topic, message), std::nullopt,
                            std::move(on_result));
}

asio::awaitable<std::uint64_t> async_client::schedule(std::string_view topic,
                                                      const outgoing_message& message,
                                                      schedule_time when) {
    return schedule_record(core_, std::string(topic), encode(topic, message, when), when);
}

asio::awaitable<void> async_client::schedule(std::string_view topic,
                                             const outgoing_message& message, schedule_time when,
                                             publish_callback on_result) {
    return submit_when_room(core_, std::string(topic), encode(topic, message, when), when,
                            std::move(on_result));
}

asio::awaitable<committed> async_client::commit(transaction& what) {
    return commit_parts(core_, client_core::transaction_access::parts(what));
}

asio::awaitable<void> async_client::flush() {
    return await_state<void>(core_, [](client_state& state, mono_time, callback<void> done,
                                       calls& out) { state.wait_flushed(std::move(done), out); });
}

asio::awaitable<ensured_topic> async_client::ensure_topic(std::string_view topic,
                                                          const topic_options& settings) {
    codec::topic_create request;
    request.topic = topic;
    request.settings = client_core::to_wire(settings);
    return ask<codec::topic_created, ensured_topic>(core_, std::move(request), repeat::harmless);
}

asio::awaitable<ensured_queue> async_client::ensure_queue(std::string_view queue) {
    return ensure_queue(queue, queue_options());
}

asio::awaitable<ensured_queue> async_client::ensure_queue(std::string_view queue,
                                                          const queue_options& settings,
                                                          log_position start, delivery_mode mode) {
    if (client_core::is_pattern(queue)) {
        return ensure_pattern(core_, client_core::to_pattern_create(queue, settings, start, mode));
    }
    codec::queue_create request;
    request.queue = queue;
    request.mode = static_cast<queue_mode>(mode);
    request.settings = client_core::to_wire(settings);
    request.start = client_core::to_wire(start);
    request.create_topic = true;
    return ask<codec::queue_created, ensured_queue>(core_, std::move(request), repeat::harmless);
}

asio::awaitable<queue_options> async_client::clone_queue(std::string_view queue,
                                                         std::string_view name) {
    codec::queue_clone request;
    request.queue = queue;
    request.name = name;
    return ask<codec::queue_created, queue_options>(core_, std::move(request), repeat::never,
                                                    settings_of);
}

asio::awaitable<level_counts> async_client::queue_levels(std::string_view queue) {
    return count_levels(core_, std::string(queue));
}

asio::awaitable<std::uint64_t> async_client::consume(
    std::string_view queue, const std::function<asio::awaitable<void>(message&)>& handler) {
    return consume_queue(core_, std::string(queue), handler, consume_options());
}

asio::awaitable<std::uint64_t> async_client::consume(
    std::string_view queue, const std::function<asio::awaitable<void>(message&)>& handler,
    const consume_options& options) {
    return consume_queue(core_, std::string(queue), handler, options);
}

namespace {

template <typename Make>
asio::awaitable<async_consumer> open_with(std::shared_ptr<core> of, std::string queue,
                                          consume_options options, Make make) {
    std::shared_ptr<core_consumer> opened =
        co_await attach_consumer(std::move(of), std::move(queue), std::move(options), {});
    co_return make(std::move(opened));
}

}  // namespace

asio::awaitable<async_consumer> async_client::open_consumer(std::string_view queue) {
    return open_consumer(queue, consume_options());
}

asio::awaitable<async_consumer> async_client::open_consumer(std::string_view queue,
                                                            const consume_options& options) {
    return open_with(core_, std::string(queue), options, [](std::shared_ptr<core_consumer> opened) {
        return async_consumer(std::move(opened));
    });
}

async_reader async_client::open_reader(std::string_view topic, log_position from,
                                       const reader_options& options) {
    value_or_throw(client_core::check_topic(topic));
    value_or_throw(client_core::check_options(options));
    return async_reader(std::make_shared<core_reader>(core_, std::string(topic), from, options));
}

broker_info async_client::broker() const {
    return core_->locked([](client_state& state, mono_time, calls&) {
        return client_core::to_public(state.terms());
    });
}

bool async_client::is_connected() const noexcept {
    return core_->locked([](client_state& state, mono_time, calls&) { return state.connected(); });
}

asio::awaitable<void> async_client::close() {
    return await_state<void>(core_, [](client_state& state, mono_time now, callback<void> done,
                                       calls& out) { state.close(now, std::move(done), out); });
}

// ---- async_consumer

async_consumer::async_consumer(std::shared_ptr<core_consumer> state) : state_(std::move(state)) {}
async_consumer::async_consumer(async_consumer&&) noexcept = default;
async_consumer& async_consumer::operator=(async_consumer&&) noexcept = default;
async_consumer::~async_consumer() {
    if (state_) {
        state_->close(nullptr);
    }
}

asio::awaitable<std::optional<message>> async_consumer::next(std::chrono::microseconds timeout) {
    return client_core::next_message(state_, timeout);
}

asio::awaitable<void> async_consumer::ack_confirmed(message message) {
    return confirm_ack(std::move(message));
}

asio::awaitable<settle_counts> async_consumer::flush() {
    return flush_consumer(state_);
}

asio::awaitable<void> async_consumer::close() {
    return close_consumer(state_);
}

const std::string& async_consumer::queue() const noexcept {
    return state_->queue();
}

std::chrono::microseconds async_consumer::lease() const {
    return state_->lease();
}

std::uint32_t async_consumer::attempts() const {
    return state_->attempts();
}

// ---- async_reader

async_reader::async_reader(std::shared_ptr<core_reader> state) : state_(std::move(state)) {}
async_reader::async_reader(async_reader&&) noexcept = default;
async_reader& async_reader::operator=(async_reader&&) noexcept = default;
async_reader::~async_reader() {
    if (state_) {
        state_->close();
    }
}

asio::awaitable<std::optional<stored_message>> async_reader::next(
    std::chrono::microseconds timeout) {
    return next_stored(state_, timeout);
}

void async_reader::seek(log_position where) {
    state_->seek(where);
}

std::uint64_t async_reader::position() const {
    return state_->position();
}

void async_reader::close() noexcept {
    state_->close();
}

}  // namespace brokerd
