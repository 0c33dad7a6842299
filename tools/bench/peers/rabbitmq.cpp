// RabbitMQ: queues bound to a fanout exchange; quorum queues where an answer stands for the disk,
// else durable classic queues, or a stream where nobody consumes. Publisher confirms up to the
// window, prefetch and one basic.ack for each message, requests with direct reply-to.
#include <algorithm>
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/time.h>
#include <vector>

#include <fmt/format.h>

#include "tools/bench/peers/peer.hpp"

namespace brokerd::peers {
namespace {

constexpr amqp_channel_t only_channel = 1;
constexpr const char* exchange = "bench";
constexpr const char* question_queue = "bench.questions";
constexpr const char* direct_reply_to = "amq.rabbitmq.reply-to";

amqp_bytes_t bytes_of(std::string_view text) {
    // The library takes no pointer to const, but writes through none of these.
    return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}

std::string_view text_of(const amqp_bytes_t& bytes) {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

timeval timeval_of(std::chrono::milliseconds time) {
    return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

std::string queue_name(std::size_t queue) {
    return fmt::format("bench.q{}", queue);
}

[[noreturn]] void fail(const char* what, std::string_view why) {
    throw std::runtime_error(fmt::format("rabbitmq: {}: {}", what, why));
}

// What a message has beside its payload.
struct properties {
    bool persistent = false;
    std::string reply_to{};
};

class rabbitmq_connection {
public:
    explicit rabbitmq_connection(std::uint16_t port) : state_(amqp_new_connection()) {
        constexpr int heartbeat_off = 0;
        const timeval timeout = timeval_of(answer_timeout);
        amqp_socket_t* const socket = amqp_tcp_socket_new(state_.get());
        check(amqp_socket_open_noblock(socket, "127.0.0.1", port, &timeout), "connecting");
        check(amqp_login(state_.get(), AMQP_DEFAULT_VHOST, 0, AMQP_DEFAULT_FRAME_SIZE,
                         heartbeat_off, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
              "logging in");
        amqp_channel_open(state_.get(), only_channel);
        check("opening a channel");
    }

    [[nodiscard]] amqp_connection_state_t state() const { return state_.get(); }

    void check(int status, const char* what) const {
        if (status != AMQP_STATUS_OK) {
            fail(what, amqp_error_string2(status));
        }
    }
    // Of the last call that has an answer.
    void check(const char* what) const { check(amqp_get_rpc_reply(state_.get()), what); }
    static void check(const amqp_rpc_reply_t& reply, const char* what) {
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
            fail(what, amqp_error_string2(reply.library_error));
        } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
            fail(what, server_text(reply));
        } else if (reply.reply_type == AMQP_RESPONSE_NONE) {
            fail(what, "no answer");
        }
    }

    void publish(std::string_view to, std::string_view key, const properties& with,
                 std::string_view payload) {
        amqp_basic_properties_t given{};
        if (with.persistent) {
            given._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
            given.delivery_mode = AMQP_DELIVERY_PERSISTENT;
        }
        if (!with.reply_to.empty()) {
            given._flags |= AMQP_BASIC_REPLY_TO_FLAG;
            given.reply_to = bytes_of(with.reply_to);
        }
        check(amqp_basic_publish(state_.get(), only_channel, bytes_of(to), bytes_of(key), 0, 0,
                                 &given, bytes_of(payload)),
              "publishing");
    }

    enum class acking : std::uint8_t { none, each };

    void consume(std::string_view queue, acking way, std::size_t prefetch) {
        if (way == acking::each) {
            amqp_basic_qos(state_.get(), only_channel, 0, static_cast<std::uint16_t>(prefetch), 0);
            check("prefetch");
        }
        amqp_basic_consume(state_.get(), only_channel, bytes_of(queue), amqp_empty_bytes, 0,
                           way == acking::none ? 1 : 0, 0, amqp_empty_table);
        check("consuming");
    }

    // One message, or nothing within `wait`. Gives `taken` its payload, reply-to and tag.
    template <typename Taken>
    bool take(std::chrono::milliseconds wait, const Taken& taken) {
        const timeval timeout = timeval_of(wait);
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(state_.get());
        const amqp_rpc_reply_t reply = amqp_consume_message(state_.get(), &envelope, &timeout, 0);
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
            reply.library_error == AMQP_STATUS_TIMEOUT) {
            return false;
        }
        check(reply, "taking a message");
        const std::unique_ptr<amqp_envelope_t, envelope_destroy> owned(&envelope);
        taken(envelope);
        return true;
    }
    // More can be taken without the network.
    [[nodiscard]] bool has_received() const {
        return amqp_frames_enqueued(state_.get()) != 0 || amqp_data_in_buffer(state_.get()) != 0;
    }

private:
    struct state_destroy {
        void operator()(amqp_connection_state_t state) const {
            amqp_connection_close(state, AMQP_REPLY_SUCCESS);
            amqp_destroy_connection(state);
        }
    };
    struct envelope_destroy {
        void operator()(amqp_envelope_t* envelope) const { amqp_destroy_envelope(envelope); }
    };

    static std::string server_text(const amqp_rpc_reply_t& reply) {
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            return std::string(
                text_of(static_cast<amqp_channel_close_t*>(reply.reply.decoded)->reply_text));
        }
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            return std::string(
                text_of(static_cast<amqp_connection_close_t*>(reply.reply.decoded)->reply_text));
        }
        return "refused";
    }

    std::unique_ptr<std::remove_pointer_t<amqp_connection_state_t>, state_destroy> state_;
};

// Which delivery tags, from 1, are confirmed: they need not come in order.
class confirmations {
public:
    void add(std::uint64_t tag, bool and_all_before) {
        if (and_all_before) {
            lowest_ = std::max(lowest_, tag);
            beyond_.erase(beyond_.begin(), beyond_.upper_bound(tag));
        } else if (tag > lowest_) {
            beyond_.insert(tag);
        }
        while (!beyond_.empty() && *beyond_.begin() == lowest_ + 1) {
            ++lowest_;
            beyond_.erase(beyond_.begin());
        }
    }
    [[nodiscard]] std::uint64_t count() const { return lowest_ + beyond_.size(); }

private:
    std::uint64_t lowest_ = 0;  // this and all before
    std::set<std::uint64_t> beyond_;
};

class rabbitmq_publisher final : public publisher {
public:
    rabbitmq_publisher(std::uint16_t port, std::size_t window)
        : connection_(port), window_(window), window_low_(window - window / 8) {
        amqp_confirm_select(connection_.state(), only_channel);
        connection_.check("confirms");
    }

    void publish(std::string_view payload) override {
        if (window_ > 0 && published_ - confirmed_.count() >= window_) {
            wait_until(std::min(window_low_, window_ - 1));
        }
        connection_.publish(exchange, "", with_, payload);
        ++published_;
        if (window_ == 0) {
            flush();
        }
    }
    void flush() override {
        while (take_frame(std::chrono::milliseconds(0))) {
        }
    }
    void finish() override { wait_until(0); }

private:
    void wait_until(std::uint64_t unanswered) {
        while (published_ - confirmed_.count() > unanswered) {
            if (!take_frame(answer_timeout)) {
                throw std::runtime_error("rabbitmq: no confirm came in time");
            }
        }
    }

    bool take_frame(std::chrono::milliseconds wait) {
        const timeval timeout = timeval_of(wait);
        amqp_frame_t frame;
        amqp_maybe_release_buffers(connection_.state());
        const int status = amqp_simple_wait_frame_noblock(connection_.state(), &frame, &timeout);
        if (status == AMQP_STATUS_TIMEOUT) {
            return false;
        }
        connection_.check(status, "waiting for confirms");
        if (frame.frame_type == AMQP_FRAME_METHOD) {
            if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
                throw std::runtime_error("rabbitmq refuses to store a message");
            }
            const auto& ack = *static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
            confirmed_.add(ack.delivery_tag, ack.multiple != 0);
        }
        return true;
    }

    rabbitmq_connection connection_;
    const properties with_{.persistent = true};
    const std::size_t window_;
    const std::size_t window_low_;
    std::uint64_t published_ = 0;
    confirmations confirmed_;
};

class rabbitmq_consumer final : public consumer {
public:
    rabbitmq_consumer(std::uint16_t port, std::size_t queue, std::size_t prefetch)
        : connection_(port) {
        connection_.consume(queue_name(queue), rabbitmq_connection::acking::each, prefetch);
    }

    std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) override {
        const auto handle = [&](const amqp_envelope_t& envelope) {
            taken(text_of(envelope.message.body));
            connection_.check(
                amqp_basic_ack(connection_.state(), only_channel, envelope.delivery_tag, 0),
                "acking");
        };
        std::size_t count = 0;
        while (connection_.take(count == 0 ? wait : std::chrono::milliseconds(0), handle)) {
            ++count;
            if (!connection_.has_received()) {
                break;
            }
        }
        return count;
    }

private:
    rabbitmq_connection connection_;
};

class rabbitmq_requester final : public requester {
public:
    explicit rabbitmq_requester(std::uint16_t port) : connection_(port) {
        connection_.consume(direct_reply_to, rabbitmq_connection::acking::none, 0);
    }

    void ask(std::string_view question) override {
        connection_.publish("", question_queue, with_, question);
    }
    std::size_t take_replies(const payload_function& taken) override {
        const bool came = connection_.take(answer_timeout, [&](const amqp_envelope_t& envelope) {
            taken(text_of(envelope.message.body));
        });
        if (!came) {
            throw std::runtime_error("rabbitmq: no reply came in time");
        }
        return 1;
    }

private:
    rabbitmq_connection connection_;
    const properties with_{.reply_to = direct_reply_to};
};

class rabbitmq_responder final : public responder {
public:
    explicit rabbitmq_responder(std::uint16_t port) : connection_(port) {
        amqp_queue_declare(connection_.state(), only_channel, bytes_of(question_queue), 0, 0, 0, 1,
                           amqp_empty_table);
        connection_.check("declaring a queue");
        connection_.consume(question_queue, rabbitmq_connection::acking::none, 0);
    }

    void serve(std::chrono::milliseconds wait) override {
        (void)connection_.take(wait, [this](const amqp_envelope_t& envelope) {
            connection_.publish("", text_of(envelope.message.properties.reply_to), {},
                                text_of(envelope.message.body));
        });
    }

private:
    rabbitmq_connection connection_;
};

class rabbitmq_peer final : public peer {
public:
    explicit rabbitmq_peer(const peer_options& options) : options_(options) {}

    void create_topic(std::size_t queues) override {
        rabbitmq_connection connection(options_.port);
        amqp_exchange_declare(connection.state(), only_channel, bytes_of(exchange),
                              bytes_of("fanout"), 0, 1, 0, 0, amqp_empty_table);
        connection.check("declaring the exchange");
        std::array<amqp_table_entry_t, 1> entries{};
        entries[0].key = bytes_of("x-queue-type");
        entries[0].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[0].value.value.bytes = bytes_of(queue_type());
        const amqp_table_t arguments{.num_entries = static_cast<int>(entries.size()),
                                     .entries = entries.data()};
        for (std::size_t number = 0; number < queues; ++number) {
            const std::string name = queue_name(number);
            amqp_queue_declare(connection.state(), only_channel, bytes_of(name), 0, 1, 0, 0,
                               arguments);
            connection.check("declaring a queue");
            amqp_queue_bind(connection.state(), only_channel, bytes_of(name), bytes_of(exchange),
                            amqp_empty_bytes, amqp_empty_table);
            connection.check("binding a queue");
        }
    }
    std::unique_ptr<publisher> open_publisher(std::size_t window) override {
        return std::make_unique<rabbitmq_publisher>(options_.port, window);
    }
    std::unique_ptr<consumer> open_consumer(std::size_t queue, std::size_t prefetch,
                                            consuming) override {
        return std::make_unique<rabbitmq_consumer>(options_.port, queue, prefetch);
    }
    std::unique_ptr<responder> open_responder(std::size_t) override {
        return std::make_unique<rabbitmq_responder>(options_.port);
    }
    std::unique_ptr<requester> open_requester(std::size_t) override {
        return std::make_unique<rabbitmq_requester>(options_.port);
    }

private:
    [[nodiscard]] const char* queue_type() const {
        if (options_.stored == durability::disk) {
            return "quorum";
        }
        return options_.only_stores ? "stream" : "classic";
    }

    const peer_options options_;
};

}  // namespace

std::unique_ptr<peer> make_rabbitmq_peer(const peer_options& options) {
    return std::make_unique<rabbitmq_peer>(options);
}

}  // namespace brokerd::peers
