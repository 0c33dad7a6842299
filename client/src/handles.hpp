// What consumers and readers are for the core, shared by both interfaces: their id there, and the
// order to close when the last handle goes. Thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "brokerd/types.hpp"
#include "client/src/core.hpp"

namespace brokerd::client_core {

// A publish's result as a value, of what its callback gets.
[[nodiscard]] inline result<address> to_address(const publish_result& of) {
    if (of.failure != nullptr) {
        return std::unexpected(*of.failure);
    }
    return address{std::string(of.topic), of.offset};
}

// The same of a scheduled message: the id of its schedule.
[[nodiscard]] inline result<std::uint64_t> to_id(const publish_result& of) {
    if (of.failure != nullptr) {
        return std::unexpected(*of.failure);
    }
    return of.offset;
}

class core_consumer {
public:
    core_consumer(std::shared_ptr<core> owner, std::string queue, const consume_options& options)
        : owner_(std::move(owner)), queue_(std::move(queue)), confirm_(options.confirm) {}
    // As close() without waiting.
    ~core_consumer() { close(nullptr); }
    core_consumer(const core_consumer&) = delete;
    core_consumer& operator=(const core_consumer&) = delete;

    // To be called once.
    void open(const consume_options& options, callback<void> opened) {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            id_ = state.open_consumer(queue_, options, owner_, std::move(opened), out);
            if (stopped_) {
                stop(state, out);
            }
        });
    }

    [[nodiscard]] std::optional<handed_message> take(bool& over) { return owner_->take(id_, over); }

    // Calls with the next message or nothing. Returns a ticket for cancel_wait().
    std::uint64_t wait(duration_us timeout, callback<std::optional<handed_message>> done) {
        using taken = std::optional<handed_message>;
        return owner_->locked([&](client_state& state, mono_time now, calls& out) -> std::uint64_t {
            consumer_state* const from = state.find_consumer(id_);
            if (from == nullptr) {
                finish<taken>(out, done, taken());
                return 0;
            }
            const mono_time until = timeout >= mono_never - now ? mono_never : now + timeout;
            return from->wait(until, std::move(done));
        });
    }
    void cancel_wait(std::uint64_t ticket) {
        owner_->locked([&](client_state& state, mono_time, calls&) {
            if (consumer_state* const from = state.find_consumer(id_); from != nullptr) {
                from->cancel_wait(ticket);
            }
        });
    }

    // May come before open().
    void stop() {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            stopped_ = true;
            stop(state, out);
        });
    }

    void flush(callback<settle_counts> done) {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            consumer_state* const of = state.find_consumer(id_);
            if (!confirm_) {
                finish<settle_counts>(
                    out, done,
                    std::unexpected(make_error(client_errc::invalid_argument,
                                               "flush() needs consume_options::confirm")));
            } else if (of == nullptr) {
                finish<settle_counts>(out, done, std::unexpected(client_state::closed_error()));
            } else {
                of->wait_confirmed(std::move(done), out);
            }
        });
    }

    void close(callback<settle_counts> done) {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            state.close_consumer(id_, std::move(done), out);
        });
    }

    [[nodiscard]] const std::string& queue() const { return queue_; }
    [[nodiscard]] duration_us lease() const { return ask(duration_us{0}, &consumer_state::lease); }
    [[nodiscard]] std::uint32_t attempts() const {
        return ask(std::uint32_t{0}, &consumer_state::attempts);
    }

private:
    void stop(client_state& state, calls& out) {
        if (consumer_state* const of = state.find_consumer(id_); of != nullptr) {
            of->stop(out);
        }
    }
    template <typename T>
    T ask(T otherwise, T (consumer_state::*what)() const) const {
        return owner_->locked([&](client_state& state, mono_time, calls&) {
            const consumer_state* const of = state.find_consumer(id_);
            return of == nullptr ? otherwise : (of->*what)();
        });
    }

    std::shared_ptr<core> owner_;
    std::string queue_;
    bool confirm_;
    consumer_id id_;
    bool stopped_ = false;  // belongs to the holder of the lock
};

class core_reader {
public:
    core_reader(std::shared_ptr<core> owner, std::string topic, log_position from,
                const reader_options& options)
        : owner_(std::move(owner)), id_(owner_->locked([&](client_state& state, mono_time, calls&) {
              return state.open_reader(std::move(topic), from, options);
          })) {}
    ~core_reader() { close(); }
    core_reader(const core_reader&) = delete;
    core_reader& operator=(const core_reader&) = delete;

    [[nodiscard]] std::optional<stored_message> take() {
        return with([](reader_state& of, mono_time, calls&) { return of.take(); },
                    std::optional<stored_message>());
    }
    std::uint64_t wait(duration_us timeout, callback<std::optional<stored_message>> done) {
        return owner_->locked([&](client_state& state, mono_time now, calls& out) -> std::uint64_t {
            reader_state* const of = state.find_reader(id_);
            if (of == nullptr) {
                finish<std::optional<stored_message>>(out, done, std::optional<stored_message>());
                return 0;
            }
            return of->wait(timeout, now, std::move(done), out);
        });
    }
    void cancel_wait(std::uint64_t ticket) {
        with(
            [&](reader_state& of, mono_time, calls&) {
                of.cancel_wait(ticket);
                return 0;
            },
            0);
    }
    void seek(log_position where) {
        with(
            [&](reader_state& of, mono_time, calls&) {
                of.seek(where);
                return 0;
            },
            0);
    }
    [[nodiscard]] std::uint64_t position() const {
        return with([](reader_state& of, mono_time, calls&) { return of.position(); },
                    std::uint64_t{0});
    }
    void close() {
        owner_->locked(
            [&](client_state& state, mono_time, calls& out) { state.close_reader(id_, out); });
    }

private:
    template <typename F, typename T>
    T with(F what, T otherwise) const {
        return owner_->locked([&](client_state& state, mono_time now, calls& out) -> T {
            reader_state* const of = state.find_reader(id_);
            return of == nullptr ? std::move(otherwise) : what(*of, now, out);
        });
    }

    std::shared_ptr<core> owner_;
    std::uint64_t id_;
};

class core_responder {
public:
    core_responder(std::shared_ptr<core> owner, std::string service)
        : owner_(std::move(owner)), service_(std::move(service)) {}
    // What has no reply by now gets none.
    ~core_responder() {
        owner_->locked(
            [&](client_state& state, mono_time, calls& out) { state.release_responder(id_, out); });
    }
    core_responder(const core_responder&) = delete;
    core_responder& operator=(const core_responder&) = delete;

    // To be called once.
    void open(std::uint32_t prefetch, callback<void> opened) {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            id_ = state.open_responder(service_, prefetch, std::move(opened), out);
            if (stopped_) {
                stop(state, out);
            }
        });
    }

    [[nodiscard]] std::optional<handed_request> take(bool& over) {
        return owner_->take_request(id_, over);
    }

    // Calls with the next request or nothing. Returns a ticket for cancel_wait().
    std::uint64_t wait(callback<std::optional<handed_request>> done) {
        using taken = std::optional<handed_request>;
        return owner_->locked([&](client_state& state, mono_time now, calls& out) -> std::uint64_t {
            responder_state* const from = state.find_responder(id_);
            if (from == nullptr) {
                finish<taken>(out, done, taken());
                return 0;
            }
            return from->wait(now, std::move(done), out);
        });
    }
    void cancel_wait(std::uint64_t ticket) {
        owner_->locked([&](client_state& state, mono_time, calls&) {
            if (responder_state* const from = state.find_responder(id_); from != nullptr) {
                from->cancel_wait(ticket);
            }
        });
    }

    void reply(request_handle to, made_reply what) {
        owner_->locked([&](client_state& state, mono_time now, calls&) {
            if (responder_state* const from = state.find_responder(id_); from != nullptr) {
                from->reply(to, std::move(what), now);
            }
        });
    }
    // May come before open().
    void stop() {
        owner_->locked([&](client_state& state, mono_time, calls& out) {
            stopped_ = true;
            stop(state, out);
        });
    }

    [[nodiscard]] const std::string& service() const { return service_; }

private:
    void stop(client_state& state, calls& out) {
        if (responder_state* const of = state.find_responder(id_); of != nullptr) {
            of->stop(out);
        }
    }

    std::shared_ptr<core> owner_;
    std::string service_;
    responder_id id_;
    bool stopped_ = false;  // belongs to the holder of the lock
};

}  // namespace brokerd::client_core
