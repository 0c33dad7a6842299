// Redis: a stream with one consumer group for each queue. XADD is pipelined up to the window, and
// so is XREADGROUP with an XACK that names each message taken before. Requests and replies go
// through lists, popped as many at a time as there are.
#include <array>
#include <cstddef>
#include <hiredis/hiredis.h>
#include <memory>
#include <poll.h>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/time.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tools/bench/peers/peer.hpp"

namespace brokerd::peers {
namespace {

constexpr const char* stream_key = "bench";
constexpr const char* question_key = "bench:questions";
constexpr const char* reply_key = "bench:replies";

struct reply_free {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using reply_handle = std::unique_ptr<redisReply, reply_free>;

std::string_view text_of(const redisReply& reply) {
    return {reply.str, static_cast<std::size_t>(reply.len)};
}

std::span<redisReply* const> elements_of(const redisReply& reply) {
    return {reply.element, reply.elements};
}

class redis_connection {
public:
    explicit redis_connection(std::uint16_t port)
        : context_(redisConnectWithTimeout("127.0.0.1", port, timeout())) {
        if (context_ == nullptr || context_->err != 0) {
            throw std::runtime_error(fmt::format("redis does not connect: {}",
                                                 context_ == nullptr
                                                     ? "out of memory"
                                                     : static_cast<const char*>(context_->errstr)));
        }
        redisSetTimeout(context_.get(), timeout());
    }

    // Keeps a command for the next write.
    void append(std::span<const std::string_view> words) {
        arguments_.clear();
        lengths_.clear();
        for (const std::string_view word : words) {
            arguments_.push_back(word.data());
            lengths_.push_back(word.size());
        }
        check(redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()),
                                     arguments_.data(), lengths_.data()));
    }
    void write() {
        for (int done = 0; done == 0;) {
            check(redisBufferWrite(context_.get(), &done));
        }
    }
    // Writes what is kept, and waits.
    reply_handle read() {
        void* reply = nullptr;
        check(redisGetReply(context_.get(), &reply));
        return checked(reply);
    }
    // Nothing when none has come as a whole.
    reply_handle read_parsed() {
        void* reply = nullptr;
        check(redisGetReplyFromReader(context_.get(), &reply));
        return reply == nullptr ? nullptr : checked(reply);
    }
    // Takes from the network what is there.
    void receive() {
        pollfd wanted{.fd = context_->fd, .events = POLLIN, .revents = 0};
        if (::poll(&wanted, 1, 0) == 1) {
            check(redisBufferRead(context_.get()));
        }
    }
    reply_handle run(std::initializer_list<std::string_view> words) {
        append({words.begin(), words.size()});
        return read();
    }

private:
    struct context_free {
        void operator()(redisContext* context) const { redisFree(context); }
    };

    static timeval timeout() { return {.tv_sec = answer_timeout.count(), .tv_usec = 0}; }

    void check(int status) const {
        if (status != REDIS_OK) {
            throw std::runtime_error(
                fmt::format("redis: {}", static_cast<const char*>(context_->errstr)));
        }
    }
    static reply_handle checked(void* reply) {
        reply_handle handle(static_cast<redisReply*>(reply));
        if (handle->type == REDIS_REPLY_ERROR) {
            throw std::runtime_error(fmt::format("redis refuses: {}", text_of(*handle)));
        }
        return handle;
    }

    std::unique_ptr<redisContext, context_free> context_;
    std::vector<const char*> arguments_;
    std::vector<std::size_t> lengths_;
};

class redis_publisher final : public publisher {
public:
    redis_publisher(std::uint16_t port, std::size_t window)
        : connection_(port), window_(window), window_low_(window - window / 8) {}

    void publish(std::string_view payload) override {
        if (window_ > 0 && unanswered_ >= window_) {
            wait_until(std::min(window_low_, window_ - 1));
        }
        connection_.append(std::array<std::string_view, 5>{"XADD", stream_key, "*", "p", payload});
        ++unanswered_;
        if (window_ == 0) {
            flush();
        }
    }
    void flush() override {
        connection_.write();
        connection_.receive();
        take_parsed();
    }
    void finish() override { wait_until(0); }

private:
    void take_parsed() {
        while (unanswered_ > 0 && connection_.read_parsed()) {
            --unanswered_;
        }
    }
    void wait_until(std::size_t unanswered) {
        while (unanswered_ > unanswered) {
            (void)connection_.read();
            --unanswered_;
            take_parsed();
        }
    }

    redis_connection connection_;
    const std::size_t window_;
    const std::size_t window_low_;
    std::size_t unanswered_ = 0;
};

class redis_consumer final : public consumer {
public:
    redis_consumer(std::uint16_t port, std::size_t queue, std::size_t number, std::size_t prefetch)
        : connection_(port),
          group_(fmt::format("g{}", queue)),
          name_(fmt::format("c{}", number)),
          count_(std::to_string(prefetch)) {}

    std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) override {
        const bool acks = !ids_.empty();
        if (acks) {
            words_.assign({"XACK", stream_key, group_});
            words_.insert(words_.end(), ids_.begin(), ids_.end());
            connection_.append(words_);
        }
        const std::string block = std::to_string(std::max<std::int64_t>(wait.count(), 1));
        connection_.append(std::array<std::string_view, 11>{"XREADGROUP", "GROUP", group_, name_,
                                                            "COUNT", count_, "BLOCK", block,
                                                            "STREAMS", stream_key, ">"});
        if (acks) {
            (void)connection_.read();
        }
        const reply_handle reply = connection_.read();
        ids_.clear();
        for (const redisReply* stream : elements_of(*reply)) {
            for (const redisReply* entry : elements_of(*stream->element[1])) {
                taken(text_of(*entry->element[1]->element[1]));
                ids_.emplace_back(text_of(*entry->element[0]));
            }
        }
        return ids_.size();
    }

private:
    redis_connection connection_;
    const std::string group_;
    const std::string name_;
    const std::string count_;
    std::vector<std::string> ids_;  // taken, to be acked with the next read
    std::vector<std::string_view> words_;
};

// Pops what is in a list, at most so many at a time.
class list_reader {
public:
    list_reader(std::uint16_t port, std::string_view key, std::size_t at_once)
        : connection_(port), key_(key), count_(std::to_string(at_once)) {}

    std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) {
        const std::string seconds =
            fmt::format("{:.3f}", std::chrono::duration<double>(wait).count());
        const reply_handle reply =
            connection_.run({"BLMPOP", seconds, "1", key_, "LEFT", "COUNT", count_});
        if (reply->type == REDIS_REPLY_NIL) {
            return 0;
        }
        const auto items = elements_of(*reply->element[1]);
        for (const redisReply* item : items) {
            taken(text_of(*item));
        }
        return items.size();
    }

private:
    redis_connection connection_;
    const std::string key_;
    const std::string count_;
};

class list_writer {
public:
    list_writer(std::uint16_t port, std::string_view key) : connection_(port), key_(key) {}

    void append(std::string_view payload) {
        connection_.append(std::array<std::string_view, 3>{"RPUSH", key_, payload});
        ++unanswered_;
    }
    void write() { connection_.write(); }
    void finish() {
        for (; unanswered_ > 0; --unanswered_) {
            (void)connection_.read();
        }
    }

private:
    redis_connection connection_;
    const std::string key_;
    std::size_t unanswered_ = 0;
};

class redis_requester final : public requester {
public:
    redis_requester(std::uint16_t port, std::size_t at_once)
        : questions_(port, question_key), replies_(port, reply_key, at_once) {}

    void ask(std::string_view question) override { questions_.append(question); }
    std::size_t take_replies(const payload_function& taken) override {
        questions_.write();
        const std::size_t count = replies_.take(answer_timeout, taken);
        if (count == 0) {
            throw std::runtime_error("redis: no reply came in time");
        }
        // By now the answers to the pushes have come.
        questions_.finish();
        return count;
    }

private:
    list_writer questions_;
    list_reader replies_;
};

class redis_responder final : public responder {
public:
    redis_responder(std::uint16_t port, std::size_t at_once)
        : questions_(port, question_key, at_once), replies_(port, reply_key) {}

    void serve(std::chrono::milliseconds wait) override {
        (void)questions_.take(wait,
                              [this](std::string_view question) { replies_.append(question); });
        replies_.write();
        replies_.finish();
    }

private:
    list_reader questions_;
    list_writer replies_;
};

class redis_peer final : public peer {
public:
    explicit redis_peer(const peer_options& options) : port_(options.port) {}

    void create_topic(std::size_t queues) override {
        redis_connection connection(port_);
        for (std::size_t queue = 0; queue < queues; ++queue) {
            const std::string group = fmt::format("g{}", queue);
            (void)connection.run({"XGROUP", "CREATE", stream_key, group, "0", "MKSTREAM"});
        }
    }
    std::unique_ptr<publisher> open_publisher(std::size_t window) override {
        return std::make_unique<redis_publisher>(port_, window);
    }
    std::unique_ptr<consumer> open_consumer(std::size_t queue, std::size_t prefetch,
                                            consuming) override {
        return std::make_unique<redis_consumer>(port_, queue, ++consumers_, prefetch);
    }
    std::unique_ptr<responder> open_responder(std::size_t at_once) override {
        return std::make_unique<redis_responder>(port_, at_once);
    }
    std::unique_ptr<requester> open_requester(std::size_t at_once) override {
        return std::make_unique<redis_requester>(port_, at_once);
    }

private:
    const std::uint16_t port_;
    std::size_t consumers_ = 0;
};

}  // namespace

std::unique_ptr<peer> make_redis_peer(const peer_options& options) {
    return std::make_unique<redis_peer>(options);
}

}  // namespace brokerd::peers
