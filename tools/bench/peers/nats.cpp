// NATS: a JetStream stream in files with one durable consumer for each queue. js_PublishAsync with
// as many pending as the window, js_Publish for one at a time; pull consumers fetch a backlog in
// batches, push consumers take what is live; every message is acked explicitly. Requests are those
// of core NATS, on one inbox.
#include <atomic>
#include <memory>
#include <nats/nats.h>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tools/bench/peers/peer.hpp"

namespace brokerd::peers {
namespace {

constexpr const char* stream_name = "bench";
constexpr const char* subject = "bench";
constexpr const char* questions = "bench.questions";
constexpr std::int64_t answer_timeout_ms = std::chrono::milliseconds(answer_timeout).count();

void check(natsStatus status, const char* what) {
    if (status != NATS_OK) {
        const char* const detail = nats_GetLastError(nullptr);
        throw std::runtime_error(fmt::format("nats: {}: {}{}{}", what, natsStatus_GetText(status),
                                             detail == nullptr ? "" : ", ",
                                             detail == nullptr ? "" : detail));
    }
}

template <auto Destroy>
struct destroyer {
    template <typename T>
    void operator()(T* object) const {
        Destroy(object);
    }
};
using options_handle = std::unique_ptr<natsOptions, destroyer<natsOptions_Destroy>>;
using connection_handle = std::unique_ptr<natsConnection, destroyer<natsConnection_Destroy>>;
using context_handle = std::unique_ptr<jsCtx, destroyer<jsCtx_Destroy>>;
using subscription_handle = std::unique_ptr<natsSubscription, destroyer<natsSubscription_Destroy>>;
using nats_message = std::unique_ptr<natsMsg, destroyer<natsMsg_Destroy>>;

std::string_view payload_of(const natsMsg* message) {
    return {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))};
}

// Gathers what is sent into larger writes, or sends all at once.
enum class sending : std::uint8_t { gathered, at_once };

connection_handle connect_nats(std::uint16_t port, sending way) {
    natsOptions* made = nullptr;
    check(natsOptions_Create(&made), "options");
    const options_handle options(made);
    check(natsOptions_SetURL(options.get(), fmt::format("nats://127.0.0.1:{}", port).c_str()),
          "address");
    check(natsOptions_SetAllowReconnect(options.get(), false), "options");
    check(natsOptions_SetSendAsap(options.get(), way == sending::at_once), "options");
    natsConnection* connection = nullptr;
    check(natsConnection_Connect(&connection, options.get()), "connecting");
    return connection_handle(connection);
}

context_handle open_context(const connection_handle& connection, jsOptions* options) {
    jsCtx* context = nullptr;
    check(natsConnection_JetStream(&context, connection.get(), options), "JetStream");
    return context_handle(context);
}

std::string durable_name(std::size_t queue) {
    return fmt::format("q{}", queue);
}

class nats_publisher final : public publisher {
public:
    nats_publisher(std::uint16_t port, std::size_t window)
        : connection_(connect_nats(port, window > 1 ? sending::gathered : sending::at_once)),
          alone_(window == 1) {
        jsOptions options;
        check(jsOptions_Init(&options), "options");
        options.PublishAsync.MaxPending = static_cast<std::int64_t>(window);
        options.PublishAsync.StallWait = answer_timeout_ms;
        options.PublishAsync.ErrHandler = &note_failure;
        options.PublishAsync.ErrHandlerClosure = this;
        context_ = open_context(connection_, &options);
    }

    void publish(std::string_view payload) override {
        const int size = static_cast<int>(payload.size());
        jsErrCode code{};
        if (alone_) {
            check(
                js_Publish(nullptr, context_.get(), subject, payload.data(), size, nullptr, &code),
                "publishing");
        } else {
            check(js_PublishAsync(context_.get(), subject, payload.data(), size, nullptr),
                  "publishing");
        }
    }
    void flush() override {}  // a thread of the library does
    void finish() override {
        if (!alone_) {
            jsPubOptions options;
            check(jsPubOptions_Init(&options), "options");
            options.MaxWait = answer_timeout_ms;
            check(js_PublishAsyncComplete(context_.get(), &options), "answers to publishing");
        }
        if (refused_.load()) {
            throw std::runtime_error("nats refuses to store a message");
        }
    }

private:
    static void note_failure(jsCtx*, jsPubAckErr*, void* self) {
        static_cast<nats_publisher*>(self)->refused_ = true;
    }

    std::atomic<bool> refused_ = false;
    connection_handle connection_;
    context_handle context_;
    const bool alone_;
};

class pull_consumer final : public consumer {
public:
    pull_consumer(std::uint16_t port, std::size_t queue, std::size_t prefetch)
        : connection_(connect_nats(port, sending::gathered)),
          context_(open_context(connection_, nullptr)),
          batch_(static_cast<int>(prefetch)) {
        jsSubOptions options;
        check(jsSubOptions_Init(&options), "options");
        options.Stream = stream_name;
        options.Config.AckPolicy = js_AckExplicit;
        options.Config.MaxAckPending = pending_max;
        natsSubscription* made = nullptr;
        jsErrCode code{};
        check(js_PullSubscribe(&made, context_.get(), subject, durable_name(queue).c_str(), nullptr,
                               &options, &code),
              "subscribing");
        subscription_.reset(made);
    }

    std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) override {
        natsMsgList list{};
        jsErrCode code{};
        const natsStatus status = natsSubscription_Fetch(
            &list, subscription_.get(), batch_, std::max<std::int64_t>(wait.count(), 1), &code);
        if (status == NATS_TIMEOUT || status == NATS_NOT_FOUND) {
            return 0;
        }
        check(status, "fetching");
        const auto count = static_cast<std::size_t>(list.Count);
        natsStatus acked = NATS_OK;
        for (std::size_t i = 0; i < count; ++i) {
            taken(payload_of(list.Msgs[i]));
            acked = acked == NATS_OK ? natsMsg_Ack(list.Msgs[i], nullptr) : acked;
        }
        natsMsgList_Destroy(&list);
        check(acked, "acking");
        return count;
    }

private:
    // Of all consumers of a queue together; the library's own limit is the batch.
    static constexpr std::int64_t pending_max = 65'536;

    connection_handle connection_;
    context_handle context_;
    const int batch_;
    subscription_handle subscription_;
};

class push_consumer final : public consumer {
public:
    push_consumer(std::uint16_t port, std::size_t queue, std::size_t prefetch)
        : connection_(connect_nats(port, sending::gathered)),
          context_(open_context(connection_, nullptr)) {
        const std::string durable = durable_name(queue);
        jsSubOptions options;
        check(jsSubOptions_Init(&options), "options");
        options.Stream = stream_name;
        options.ManualAck = true;
        options.Config.Durable = durable.c_str();
        options.Config.AckPolicy = js_AckExplicit;
        options.Config.MaxAckPending = static_cast<std::int64_t>(prefetch);
        natsSubscription* made = nullptr;
        jsErrCode code{};
        check(js_SubscribeSync(&made, context_.get(), subject, nullptr, &options, &code),
              "subscribing");
        subscription_.reset(made);
    }

    std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) override {
        natsMsg* next = nullptr;
        const natsStatus status = natsSubscription_NextMsg(&next, subscription_.get(),
                                                           std::max<std::int64_t>(wait.count(), 1));
        if (status == NATS_TIMEOUT) {
            return 0;
        }
        check(status, "taking");
        const nats_message message(next);
        taken(payload_of(next));
        check(natsMsg_Ack(next, nullptr), "acking");
        return 1;
    }

private:
    connection_handle connection_;
    context_handle context_;
    subscription_handle subscription_;
};

class nats_requester final : public requester {
public:
    explicit nats_requester(std::uint16_t port)
        : connection_(connect_nats(port, sending::at_once)) {
        natsInbox* inbox = nullptr;
        check(natsInbox_Create(&inbox), "inbox");
        inbox_ = inbox;
        natsInbox_Destroy(inbox);
        natsSubscription* made = nullptr;
        check(natsConnection_SubscribeSync(&made, connection_.get(), inbox_.c_str()),
              "subscribing");
        subscription_.reset(made);
        check(natsConnection_Flush(connection_.get()), "subscribing");
    }

    void ask(std::string_view question) override {
        check(natsConnection_PublishRequest(connection_.get(), questions, inbox_.c_str(),
                                            question.data(), static_cast<int>(question.size())),
              "asking");
    }
    std::size_t take_replies(const payload_function& taken) override {
        natsMsg* next = nullptr;
        check(natsSubscription_NextMsg(&next, subscription_.get(), answer_timeout_ms), "a reply");
        const nats_message message(next);
        taken(payload_of(next));
        return 1;
    }

private:
    connection_handle connection_;
    std::string inbox_;
    subscription_handle subscription_;
};

class nats_responder final : public responder {
public:
    explicit nats_responder(std::uint16_t port)
        : connection_(connect_nats(port, sending::at_once)) {
        natsSubscription* made = nullptr;
        check(natsConnection_SubscribeSync(&made, connection_.get(), questions), "subscribing");
        subscription_.reset(made);
        check(natsConnection_Flush(connection_.get()), "subscribing");
    }

    void serve(std::chrono::milliseconds wait) override {
        natsMsg* next = nullptr;
        const natsStatus status =
            natsSubscription_NextMsg(&next, subscription_.get(), wait.count());
        if (status == NATS_TIMEOUT) {
            return;
        }
        check(status, "a question");
        const nats_message message(next);
        check(natsConnection_Publish(connection_.get(), natsMsg_GetReply(next),
                                     natsMsg_GetData(next), natsMsg_GetDataLength(next)),
              "replying");
    }

private:
    connection_handle connection_;
    subscription_handle subscription_;
};

class nats_peer final : public peer {
public:
    explicit nats_peer(const peer_options& options) : port_(options.port) {}

    // The consumers of the stream are made when the first of each subscribes, from its beginning.
    void create_topic(std::size_t) override {
        const connection_handle connection = connect_nats(port_, sending::at_once);
        const context_handle context = open_context(connection, nullptr);
        jsStreamConfig config;
        check(jsStreamConfig_Init(&config), "options");
        const char* subjects[] = {subject};
        config.Name = stream_name;
        config.Subjects = subjects;
        config.SubjectsLen = 1;
        config.Storage = js_FileStorage;
        jsErrCode code{};
        check(js_AddStream(nullptr, context.get(), &config, nullptr, &code), "adding the stream");
    }
    std::unique_ptr<publisher> open_publisher(std::size_t window) override {
        return std::make_unique<nats_publisher>(port_, window);
    }
    std::unique_ptr<consumer> open_consumer(std::size_t queue, std::size_t prefetch,
                                            consuming way) override {
        if (way == consuming::backlog) {
            return std::make_unique<pull_consumer>(port_, queue, prefetch);
        }
        return std::make_unique<push_consumer>(port_, queue, prefetch);
    }
    std::unique_ptr<responder> open_responder(std::size_t) override {
        return std::make_unique<nats_responder>(port_);
    }
    std::unique_ptr<requester> open_requester(std::size_t) override {
        return std::make_unique<nats_requester>(port_);
    }

private:
    const std::uint16_t port_;
};

}  // namespace

std::unique_ptr<peer> make_nats_peer(const peer_options& options) {
    return std::make_unique<nats_peer>(options);
}

}  // namespace brokerd::peers
