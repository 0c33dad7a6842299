// The messages a consumer holds: delivered and not answered, of which some are buffered and the
// others handed out. Knows the queues they come from, until when each lease lasts and which are to
// be renewed.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: a message is handed out at most once, in the order of delivery, and not after its
// lease has run out by our clock; a lease is open until it is answered, released or gone. Leases of
// one queue are renewed together, when a third of its lease time has passed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/src/delivery.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/pattern_messages.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// A queue as its consumers are told of it.
struct queue_terms {
    queue_id queue;
    std::string topic;
    std::string path;  // TOPIC/QUEUE
    duration_us lease{0};
    std::uint32_t attempts = 0;
};

class delivery_buffer {
public:
    // `max_hold`: see consume_options.
    delivery_buffer(std::weak_ptr<core> owner, consumer_id consumer, duration_us max_hold)
        : owner_(std::move(owner)), consumer_(consumer), max_hold_(max_hold) {}

    // ---- the queues

    // Messages of this queue may come. What is held of it stays; its terms may be others than
    // before.
    void open_queue(queue_terms of, mono_time now);
    // It is no more: closes all messages of it, buffered or handed out.
    void close_queue(queue_id queue);
    // Forgets those of which nothing is held.
    void close_idle_queues();
    // Of all queues the shortest and the fewest; 0 without any.
    [[nodiscard]] duration_us lease() const;
    [[nodiscard]] std::uint32_t attempts() const;

    // ---- messages

    // Takes a run of this queue in, of undamaged records. False if nothing of the queue may come.
    [[nodiscard]] bool add(const codec::delivery_run& run, queue_id queue, const shared_bytes& body,
                           mono_time now);
    // The next buffered message.
    [[nodiscard]] std::optional<handed_message> take(mono_time now);

    // The message is answered or not ours any more.
    void close(delivery& of, std::uint32_t index);
    void close_gone(queue_id queue, const std::vector<lease_run>& gone);
    // Closes buffered messages whose leases are over: others have them by now.
    void close_expired(mono_time now);
    // Closes all of them, buffered or handed out.
    void clear();

    // ---- leases

    struct renewal {
        std::vector<codec::pattern_held> renewed;  // by queue
        // Buffered for too long: to be released, so that they do not fail.
        std::vector<std::pair<std::shared_ptr<delivery>, std::uint32_t>> given_back;
    };
    // What to renew now; assumes that it is done.
    [[nodiscard]] renewal renew(mono_time now);
    // When renew() has something to do at the earliest.
    [[nodiscard]] mono_time renew_at() const { return open_ > 0 ? renew_at_ : mono_never; }
    // All leases last from now on for their full time: they were taken up again.
    void restart_leases(mono_time now);
    // By queue; none without.
    [[nodiscard]] std::vector<codec::pattern_held> open_runs() const;

    [[nodiscard]] std::size_t open() const { return open_; }
    [[nodiscard]] std::size_t buffered() const { return buffered_open_; }

private:
    struct source {
        std::shared_ptr<const delivery_origin> origin;
        duration_us lease{0};
        std::uint32_t attempts = 0;
        std::list<std::shared_ptr<delivery>> held;  // with open slots
        std::size_t open = 0;
        mono_time renew_at = mono_never;
    };

    static std::vector<lease_run> open_runs(const source& of);
    static void restart(source& of, mono_time now);
    void renew(source& of, queue_id queue, mono_time now, renewal& out);
    void forget(source& of);

    std::weak_ptr<core> owner_;
    consumer_id consumer_;
    duration_us max_hold_;
    std::map<queue_id, source> sources_;
    std::deque<std::shared_ptr<delivery>> buffered_;  // with slots not handed out
    std::size_t open_ = 0;
    std::size_t buffered_open_ = 0;
    // Not after the first of them: answers and new deliveries leave them where they are.
    mono_time renew_at_ = mono_never;
    mono_time expire_at_ = mono_never;  // of what is buffered
};

}  // namespace brokerd::client_core
