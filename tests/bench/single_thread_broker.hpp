// A client, its session, the engine and the store, in one thread and without sockets: bytes are
// handed from one to the next. One topic, one queue, one consumer. What each part allocates is
// counted for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "broker/engine/engine_core.hpp"
#include "broker/session/session.hpp"
#include "broker/storage/rocks_store.hpp"
#include "client/src/client_state.hpp"
#include "client/src/encoded.hpp"
#include "tests/bench/allocation_counter.hpp"
#include "tests/support/temp_dir.hpp"

namespace brokerd::bench {

class single_thread_broker final : private engine::commit_starter,
                                   private engine::fetch_starter,
                                   private engine::output_sink {
public:
    struct shape {
        queue_mode mode = queue_mode::shared;
        std::uint32_t batch_messages = 64;
        std::uint64_t keys = 0;
    };

    explicit single_thread_broker(shape of)
        : store_(open_store()),
          core_({.store = *store_,
                 .commits = *this,
                 .fetches = *this,
                 .sinks = {this},
                 .fatal = [](const std::string& what) { throw std::runtime_error(what); },
                 .log = {}},
                {.seed = 1}),
          session_(settings_, connection_id{1}, now_),
          client_("broker:4650", options_of(of), 1, now_.mono) {
        message_.payload.assign(100, 'x');
        for (std::uint64_t i = 0; i < of.keys; ++i) {
            keys_.push_back("customer-" + std::to_string(i));
        }
        if (!core_.load(now_)) {
            throw std::runtime_error("the store cannot be loaded");
        }
        pump();
        make_queue(of.mode);
        (void)client_.next_step(now_.mono);
        client_.on_connected(now_.mono);
        consume_options consume;
        consume.prefetch_messages = 4096;
        consumer_ = client_.open_consumer(queue, consume, {}, {}, calls_);
        exchange();
    }

    // Publishes, delivers and acks so many messages; each is acked when it returns.
    void round(std::uint64_t messages) {
        const std::uint64_t published = published_ + messages;
        const std::uint64_t acked = acked_ + messages;
        submit(messages);
        while (published_ < published || acked_ < acked) {
            const std::uint64_t before = published_ + acked_;
            exchange();
            take_and_ack();
            if (published_ + acked_ == before && ++idle_ > idle_max) {
                throw std::runtime_error("nothing comes any more");
            }
        }
        idle_ = 0;
        exchange();
    }

private:
    // Longer than what a std::string holds in itself, as names are.
    static constexpr const char* topic = "orders.europe.completed";
    static constexpr const char* queue = "orders.europe.completed/work";
    static constexpr std::size_t read_bytes = 64 * limits::kib;  // of a socket at once
    static constexpr int idle_max = 10;

    static client_options options_of(const shape& of) {
        client_options options;
        options.client_name = "bench@here:1";
        options.batch_messages = of.batch_messages;
        return options;
    }
    std::unique_ptr<storage::rocks_store> open_store() {
        auto opened = storage::rocks_store::open({.directory = directory_ / "data",
                                                  .disk_reserve_bytes = 0,
                                                  .ballast_bytes = 0,
                                                  .warn = {},
                                                  .ephemeral = true,
                                                  .file_system = {}});
        if (!opened) {
            throw std::runtime_error(opened.error().text);
        }
        return std::move(*opened);
    }
    // By a connection of its own, whose answers nobody reads.
    void make_queue(queue_mode mode) {
        constexpr connection_id other{2};
        codec::queue_create create;
        create.queue = queue;
        create.mode = mode;
        create.create_topic = true;
        std::vector<domain::command> commands;
        commands.emplace_back(domain::connection_opened{other, "admin"});
        commands.emplace_back(domain::request{other, 1, std::move(create)});
        core_.apply({other, std::move(commands)}, now_);
        pump();
    }

    void submit(std::uint64_t messages) {
        const at_work counted(part::client_submit);
        for (std::uint64_t i = 0; i < messages; ++i) {
            if (!keys_.empty()) {
                message_.key = keys_[next_key_++ % keys_.size()];
            }
            if (!client_core::encode_message(record_, topic, message_)) {
                throw std::runtime_error("the message is refused");
            }
            // As small as the callback of an application that needs no memory.
            client_.submit(
                topic, record_,
                [this](const publish_result& result) { published_ += result ? 1U : 0U; }, {},
                calls_);
        }
    }
    void take_and_ack() {
        const at_work counted(part::client_take);
        auto* const from = client_.find_consumer(consumer_);
        while (auto taken = from->take(now_.mono)) {
            client_core::answer ack;
            ack.action = settle_action::ack;
            if (!from->settle(*taken->from, taken->index, ack, now_.mono)) {
                throw std::runtime_error("a lease was lost");
            }
            ++acked_;
        }
    }

    // All that the client has to write goes to the broker, is committed, and answered.
    void exchange() {
        now_.mono += std::chrono::milliseconds(1);
        now_.wall += std::chrono::milliseconds(1);
        while (client_write()) {
            for (byte_view left = to_broker_; !left.empty();) {
                const auto piece = left.first(std::min(left.size(), read_bytes));
                left = left.subspan(piece.size());
                session_read(piece);
            }
            pump();
        }
        client_.tick(now_.mono, calls_);
        make_calls();
    }
    bool client_write() {
        const at_work counted(part::client_write);
        to_broker_.clear();
        client_.write(to_broker_, now_.mono, calls_);
        return !to_broker_.empty();
    }
    void session_read(byte_view piece) {
        std::vector<domain::command> commands;
        {
            const at_work counted(part::session_read);
            session::session_io io = make_io(commands);
            session_.received(piece, io);
        }
        if (!commands.empty()) {
            const at_work counted(part::engine);
            core_.apply({session_.id(), std::move(commands), piece.size()}, now_);
        }
    }
    session::session_io make_io(std::vector<domain::command>& commands) {
        return {.now = now_,
                .epoch = core_.epoch(),
                .outbox = to_client_,
                .commands = commands,
                .asks = asks_};
    }

    // Turns of the engine until nothing is left to commit.
    void pump() {
        do {
            finish_turn();
            if (running_) {
                commit();
            }
            session_write();
        } while (running_);
    }
    void finish_turn() {
        const at_work counted(part::engine);
        (void)core_.finish_turn(now_);
    }
    void commit() {
        const auto done = *std::exchange(running_, std::nullopt);
        storage::append_result result;
        {
            const at_work counted(part::storage);
            result = store_->apply(done.number, done.batch, done.sync);
        }
        {
            const at_work counted(part::engine);
            core_.committed(done.number, result, now_);
        }
        finish_turn();
    }
    void session_write() {
        std::vector<domain::command> commands;
        {
            const at_work counted(part::session_write);
            session::session_io io = make_io(commands);
            for (domain::output& each : std::exchange(outputs_, {})) {
                if (each.connection == session_.id()) {
                    session_.output(std::move(each), io);
                }
            }
            session_.outputs_end(io);
        }
        if (!commands.empty()) {
            core_.apply({session_.id(), std::move(commands)}, now_);
        }
        client_read();
    }
    void client_read() {
        {
            const at_work counted(part::client_read);
            for (byte_view left = to_client_; !left.empty();) {
                const auto piece = left.first(std::min(left.size(), read_bytes));
                left = left.subspan(piece.size());
                client_.on_arrivals(intake_.take(piece), now_.mono, calls_);
                make_calls();
            }
        }
        to_client_.clear();
    }
    void make_calls() {
        for (auto& call : calls_) {
            call();
        }
        calls_.clear();
    }

    // ---- for the engine
    void start(commit_number number, std::vector<domain::mutation> batch, bool sync) override {
        running_.emplace(running_commit{number, std::move(batch), sync});
    }
    bool start(domain::fetch, std::uint64_t) override {
        throw std::runtime_error("the store is read, which is not what is to be counted");
    }
    void maintain_soon() override {}
    void load(engine::state_load) override { throw std::runtime_error("the state is dropped"); }
    void deliver(std::vector<domain::output> outputs) override {
        if (outputs_.empty()) {
            outputs_ = std::move(outputs);
            return;
        }
        for (domain::output& each : outputs) {
            outputs_.push_back(std::move(each));
        }
    }
    void close_all(const failure& why) override { throw std::runtime_error(why.text); }
    void inbox_relieved() override {}

    struct running_commit {
        commit_number number;
        std::vector<domain::mutation> batch;
        bool sync = true;
    };

    instant now_{mono_time{std::chrono::hours(1)}, wall_time{std::chrono::hours(1)}};
    test::temp_dir directory_;
    std::unique_ptr<storage::rocks_store> store_;
    std::optional<running_commit> running_;
    std::vector<domain::output> outputs_;
    engine::engine_core core_;
    session::session_settings settings_{.broker_version = "0", .database_id = {}};
    session::session session_;
    std::vector<session::ask> asks_;
    client_core::client_state client_;
    client_core::frame_intake intake_;
    client_core::calls calls_;
    consumer_id consumer_;
    byte_buffer to_broker_;
    byte_buffer to_client_;
    byte_buffer record_;
    outgoing_message message_;
    std::vector<std::string> keys_;
    std::size_t next_key_ = 0;
    std::uint64_t published_ = 0;
    std::uint64_t acked_ = 0;
    int idle_ = 0;
};

}  // namespace brokerd::bench
