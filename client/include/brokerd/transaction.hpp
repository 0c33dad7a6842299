// Answers and messages that become durable together or not at all. C++20, no other library.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include <brokerd/message.hpp>
#include <brokerd/types.hpp>

namespace brokerd {

namespace client_core {
struct transaction_access;
struct transaction_parts;
}  // namespace client_core

/// What a transaction did.
struct committed {
    /// One for each publish() and schedule(), in their order: the address of a message; of a
    /// scheduled one its topic and, as the offset, the id of the schedule. Where a message has an
    /// id that was published before, that of the first.
    std::vector<address> messages;
};

/// Any number of answers and of messages to publish and to schedule, over several topics and
/// queues, that are carried out together by client::commit(): to consume, transform and produce
/// exactly once, or to publish several messages of which there must not be some without the others.
///
///     brokerd::transaction both;
///     both.publish("invoices", {.payload = invoice_of(order.payload())});
///     both.ack(std::move(order));
///     client.commit(both);
///
/// A transaction belongs to no client and does nothing before it is committed. It takes messages
/// over; their leases are renewed as those of any held message (consume_options::max_hold). Commit
/// before the consumer of a message is closed, which releases what it holds.
///
/// Committed, it is empty and may be used again. Refused, nothing of it was done, and it is as it
/// was before: commit it again, or take the messages back, or destroy it, which releases them as a
/// message that is destroyed. A released message comes again at once; in a handler of consume(),
/// where a failed commit ends as an exception, who wants a pause takes the messages back and nacks
/// them.
///
/// Limits: the whole transaction fits into one frame of the broker (4 MiB unless it was started
/// with another --max-frame-bytes); at most 1000 parts each of publishes and of answers. Messages
/// of one priority published to one topic one after the other are one part per 1024 messages or
/// 256 KiB, a scheduled message and one with an id are parts of their own; answers of the same
/// kind, delay and reason for one queue are one part; the leases of all answers together are at
/// most 131072 in 16384 runs of neighbours. Errors of all functions: invalid_argument, also while a
/// commit of it is under way. Thread safety: one transaction by one thread at a time.
class transaction {
public:
    transaction() noexcept;
    transaction(transaction&& other) noexcept;
    transaction& operator=(transaction&& other) noexcept;
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    /// Releases the messages it still has. A commit under way goes on.
    ~transaction();

    /// Appends a message to `topic`, behind what was added before. The message is copied. One whose
    /// id is remembered (outgoing_message::id) is not stored again; the rest is done.
    /// Errors: invalid_name; invalid_argument: beyond the limits of a message.
    void publish(std::string_view topic, const outgoing_message& message);

    /// Stores a message that the broker appends to `topic` at `when`; a delay counts from the
    /// arrival of the transaction. See client::schedule().
    /// Errors: as publish(); invalid_argument: a negative delay, a time before 1970.
    void schedule(std::string_view topic, const outgoing_message& message, schedule_time when);

    /// The answers, see brokerd::message; all are carried out before the first message is
    /// published. Errors: invalid_argument: it has an answer already, or is empty.
    void ack(message&& which);
    void nack(message&& which, std::string_view reason = {});
    void nack(message&& which, std::chrono::microseconds delay, std::string_view reason = {});
    void reject(message&& which, std::string_view reason = {});

    /// Nothing was added. Committing it does nothing.
    [[nodiscard]] bool empty() const noexcept;

    /// Hands the messages back that were added with an answer, in their order and unanswered. What
    /// was to be published is dropped: the transaction is empty.
    [[nodiscard]] std::vector<message> take_back();

private:
    friend struct client_core::transaction_access;
    client_core::transaction_parts& parts();

    std::shared_ptr<client_core::transaction_parts> parts_;  // none: empty
};

}  // namespace brokerd
