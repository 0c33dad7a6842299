// A message leased to this process, and the answers to it. C++20, no other library.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <brokerd/error.hpp>
#include <brokerd/types.hpp>

namespace brokerd {

namespace client_core {
class delivery;  // what a message shares with its consumer
struct message_access;
}  // namespace client_core

/// One message leased to a consumer of this process. Exactly one answer ends the lease: ack(),
/// ack_confirmed(), nack(), reject() or release(), or a transaction the message is moved into. Only
/// the first counts, later ones do nothing.
/// A message that is destroyed without an answer is released: it becomes ready again at once and no
/// attempt is counted.
///
/// Answers return at once: they are queued, sent together with neighbouring ones as soon as the
/// connection is free, over a later connection if this one is lost. With consume_options::confirm
/// they are resent until the broker has confirmed them. An answer after the lease was lost (held
/// longer than max_hold, or the queue was moved) has no effect; who needs to know uses
/// ack_confirmed() or consumer::flush().
///
/// Lifetime: everything it returns by view is valid as long as the message (a moved-to message
/// keeps the views). It may outlive its consumer and its client; answers then do nothing, as the
/// lease was released when they were closed.
/// Thread safety: one message by one thread at a time; different messages from any threads.
class message {
public:
    /// Empty, as after a move: no accessor but the operator below may be called.
    message() noexcept;
    message(message&& other) noexcept;
    message& operator=(message&& other) noexcept;
    message(const message&) = delete;
    message& operator=(const message&) = delete;
    ~message();

    /// Whether it holds a message.
    [[nodiscard]] explicit operator bool() const noexcept;

    [[nodiscard]] const std::string& topic() const noexcept;
    /// `TOPIC/QUEUE` it was consumed from, also by a consumer of a pattern queue.
    [[nodiscard]] const std::string& queue() const noexcept;
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] address at() const { return {topic(), offset_}; }
    [[nodiscard]] std::optional<std::string_view> key() const noexcept { return key_; }
    [[nodiscard]] std::string_view payload() const noexcept { return payload_; }
    /// All headers in the order they were given.
    [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> headers() const;
    /// Value of the first header of that name.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    /// When the broker appended it.
    [[nodiscard]] timestamp time() const noexcept { return time_; }
    /// Its own time to live, counted from time(); nothing: what the topic says
    /// (topic_options::ttl). When it ends the lease stays; it counts again when a retry is due, and
    /// not at all after a redrive.
    [[nodiscard]] std::optional<std::chrono::milliseconds> ttl() const noexcept;
    /// What its publisher named it (outgoing_message::id); empty: nothing.
    [[nodiscard]] std::string_view id() const noexcept;
    /// Its outgoing_message::priority, whatever levels its topic has.
    [[nodiscard]] std::uint8_t priority() const noexcept;
    /// Number of this attempt, from 1.
    [[nodiscard]] std::uint32_t attempt() const noexcept { return attempt_; }
    /// How earlier attempts failed, oldest first; of very many the first and the latest. It
    /// outlives a redrive, so it may be longer than attempt() - 1.
    [[nodiscard]] const std::vector<failed_attempt>& history() const noexcept;
    /// Identity of the lease: a fencing token.
    [[nodiscard]] lease_token lease() const noexcept { return lease_; }
    /// An answer was given.
    [[nodiscard]] bool answered() const noexcept { return !open_; }

    /// Done: the queue is finished with the message.
    void ack() noexcept;

    /// Done, and durable when this returns. Blocks the calling thread; not for the thread that runs
    /// the client's I/O (async_client has async_consumer::ack_confirmed()).
    /// Errors: broker_errc::lease_gone: the lease was lost before, so the message may be delivered
    /// again. closed: the client was closed meanwhile. outcome_unknown: no connection for
    /// client_options::give_up_after. queue_removed, queue_not_found: as they say.
    void ack_confirmed();

    /// Failed: counts an attempt and comes again after `delay`, by default after the queue's
    /// back-off. `reason` is kept in the message's history, the first 256 bytes of it.
    void nack(std::string_view reason = {}) noexcept;
    void nack(std::chrono::microseconds delay, std::string_view reason = {}) noexcept;

    /// Failed for good: the message is dead, with `reason` in its history.
    void reject(std::string_view reason = {}) noexcept;

    /// Given back: ready again at once, no attempt counted.
    void release() noexcept;

    /// The lease lasts `duration` from now, even beyond max_hold. Needed only without renewal, or
    /// to hold a message longer than max_hold. Not an answer.
    void extend(std::chrono::microseconds duration) noexcept;

private:
    friend struct client_core::message_access;

    std::shared_ptr<client_core::delivery> delivery_;
    std::string_view record_;  // the whole record, for headers
    std::optional<std::string_view> key_;
    std::string_view payload_;
    std::uint64_t offset_ = 0;
    timestamp time_{};
    lease_token lease_;
    std::uint32_t attempt_ = 0;
    bool open_ = false;  // holds a lease that has no answer yet
};

}  // namespace brokerd
