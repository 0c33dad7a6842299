// What a workload needs of a broker that is not ours, in the terms they share. One source per
// broker implements it with that broker's own client library, in the way its documentation
// recommends.
//
// Each publisher, consumer, requester and responder is one connection and is used by one thread.
// Any call throws std::runtime_error when the broker refuses, goes away or does not answer in time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace brokerd::peers {

// Longest time without an answer to what has one.
inline constexpr std::chrono::seconds answer_timeout{30};

class publisher {
public:
    virtual ~publisher() = default;
    // Hands one message in; first waits for answers while the window is full.
    virtual void publish(std::string_view payload) = 0;
    // Sends what is kept back, and takes answers that are there without waiting for others.
    virtual void flush() = 0;
    // Returns when every message is answered.
    virtual void finish() = 0;
};

using payload_function = std::function<void(std::string_view payload)>;

class consumer {
public:
    virtual ~consumer() = default;
    // Gives `taken` each message that is there, or that comes within `wait`, and acks each. Returns
    // how many.
    virtual std::size_t take(std::chrono::milliseconds wait, const payload_function& taken) = 0;
};

class requester {
public:
    virtual ~requester() = default;
    virtual void ask(std::string_view question) = 0;
    // Waits for replies, and gives `taken` each that is there. Returns how many.
    virtual std::size_t take_replies(const payload_function& taken) = 0;
};

class responder {
public:
    virtual ~responder() = default;
    // Replies with the question to all that is asked within `wait`.
    virtual void serve(std::chrono::milliseconds wait) = 0;
};

// Whether messages are there before their consumer (throughput counts) or not (latency counts).
enum class consuming : std::uint8_t { backlog, live };

// What an answer to a publish stands for.
enum class durability : std::uint8_t { disk, os };

struct peer_options {
    std::uint16_t port = 0;  // of the loopback address
    durability stored = durability::disk;
    // Messages are only stored, as fast as that goes, and nobody consumes them.
    bool only_stores = false;
};

class peer {
public:
    virtual ~peer() = default;
    // Makes one topic with so many queues. Once, before what follows.
    virtual void create_topic(std::size_t queues) = 0;
    // `window` messages are without answer at most; 0: as many as it takes, each sent at once.
    [[nodiscard]] virtual std::unique_ptr<publisher> open_publisher(std::size_t window) = 0;
    // `prefetch` messages are without ack at most.
    [[nodiscard]] virtual std::unique_ptr<consumer> open_consumer(std::size_t queue,
                                                                  std::size_t prefetch,
                                                                  consuming way) = 0;
    // The responder comes first. `at_once` questions are without reply at most.
    [[nodiscard]] virtual std::unique_ptr<responder> open_responder(std::size_t at_once) = 0;
    [[nodiscard]] virtual std::unique_ptr<requester> open_requester(std::size_t at_once) = 0;
};

[[nodiscard]] std::unique_ptr<peer> make_redis_peer(const peer_options& options);
[[nodiscard]] std::unique_ptr<peer> make_nats_peer(const peer_options& options);
[[nodiscard]] std::unique_ptr<peer> make_rabbitmq_peer(const peer_options& options);

}  // namespace brokerd::peers
