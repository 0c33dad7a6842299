// The thread of the blocking interface, and its waits.
#include "client/src/blocking.hpp"

#include <csignal>
#include <pthread.h>

#include "client/src/encoded.hpp"
#include "client/src/message_access.hpp"

namespace brokerd::client_core {
namespace {

// Signals are for the threads of the program.
std::thread start_without_signals(std::shared_ptr<asio::io_context> context) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread([context = std::move(context)] { context->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

}  // namespace

blocking_client::blocking_client(std::string_view server, client_options options,
                                 std::stop_token stop)
    : context_(std::make_shared<asio::io_context>(1)),
      core_(core::start(context_->get_executor(), server, std::move(options), context_)) {
    result<void> connected;
    {
        const std::stop_callback stopped(stop, [this] {
            core_->locked([](client_state& state, mono_time now, calls& out) {
                state.close(now, nullptr, out);  // fails who waits
            });
        });
        connected = wait_for<void>([&](callback<void> done) {
            core_->locked([&](client_state& state, mono_time, calls& out) {
                state.wait_connected(std::move(done), out);
            });
            // Behind the wait, so that what goes wrong at once finds somebody to tell.
            thread_ = start_without_signals(context_);
        });
    }
    if (connected && stop.stop_requested()) {
        connected = std::unexpected(client_state::closed_error());  // it came just too late
    }
    if (!connected) {
        close();
        throw error(connected.error());
    }
}

void blocking_client::close() {
    (void)wait_for<void>([&](callback<void> done) {
        core_->locked([&](client_state& state, mono_time now, calls& out) {
            state.close(now, std::move(done), out);
        });
    });
    // The context runs out of work by itself.
    const std::lock_guard lock(closing_);
    if (thread_.joinable()) {
        thread_.join();
    }
}

void blocking_client::submit(std::string_view topic, const outgoing_message& message,
                             publish_callback done, const std::optional<schedule_time>& when) {
    value_or_throw(check_when(when));
    thread_local byte_buffer record;
    value_or_throw(encode_message(record, topic, message));
    std::future<result<void>> room;
    core_->submit(topic, record, std::move(done), when, [&room] {
        std::promise<result<void>> promise;
        room = promise.get_future();
        return callback<void>([promise = std::move(promise)](result<void> value) mutable {
            promise.set_value(std::move(value));
        });
    });
    if (room.valid()) {
        value_or_throw(room.get());
    }
}

blocking_consumer::blocking_consumer(std::shared_ptr<blocking_client> client,
                                     std::string_view queue, const consume_options& options,
                                     std::stop_token stop)
    : client_(std::move(client)), consumer_(client_->shared_core(), std::string(queue), options) {
    value_or_throw(check_queue(queue));
    value_or_throw(check_options(options));
    const std::stop_callback stopped(std::move(stop), [this] { consumer_.stop(); });
    value_or_throw(
        wait_for<void>([&](callback<void> opened) { consumer_.open(options, std::move(opened)); }));
}

std::optional<message> blocking_consumer::next(duration_us timeout) {
    bool over = false;
    std::optional<handed_message> taken = consumer_.take(over);
    if (!taken && (over || timeout > duration_us{0})) {
        taken = value_or_throw(wait_for<std::optional<handed_message>>(
            [&](callback<std::optional<handed_message>> done) {
                consumer_.wait(timeout, std::move(done));
            }));
    }
    if (!taken) {
        return std::nullopt;
    }
    return message_access::make(std::move(*taken));
}

settle_counts blocking_consumer::flush() {
    return value_or_throw(wait_for<settle_counts>(
        [&](callback<settle_counts> done) { consumer_.flush(std::move(done)); }));
}

void blocking_consumer::close() {
    value_or_throw(wait_for<settle_counts>(
        [&](callback<settle_counts> done) { consumer_.close(std::move(done)); }));
}

blocking_reader::blocking_reader(std::shared_ptr<blocking_client> client, std::string_view topic,
                                 log_position from, const reader_options& options)
    : client_(std::move(client)),
      reader_((value_or_throw(check_topic(topic)), value_or_throw(check_options(options)),
               client_->shared_core()),
              std::string(topic), from, options) {}

std::optional<stored_message> blocking_reader::next(duration_us timeout) {
    if (std::optional<stored_message> here = reader_.take()) {
        return here;
    }
    return value_or_throw(
        wait_for<std::optional<stored_message>>([&](callback<std::optional<stored_message>> done) {
            reader_.wait(timeout, std::move(done));
        }));
}

}  // namespace brokerd::client_core
