// One consumer of a client, of a queue or of all queues of a pattern queue: attaching, the buffer
// of delivered messages, the renewal of their leases, their answers, and all of it again over the
// next connection. What is for pattern queues alone is in consumer_pattern.cpp. Sans-I/O. Owner:
// the holder of the client's lock.
//
//   detached --attach--> attaching --attached--> attached --detach--> detaching --ok--> ended
//       ^  connection lost   |                      |                    |
//       +--------------------+----------------------+--------------------+
//   any --the queue, or the pattern queue, is gone, or the first attach was refused--> ended
//
// Invariants:
//   Each open lease is renewed when a third of its queue's lease time has passed: of what is
//   buffered and of what was handed out, until it was held for max_hold. A buffered message that
//   reaches max_hold is released instead: what was never handed out cannot fail.
//   Each waiter is called exactly once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "brokerd/options.hpp"
#include "client/src/delivery.hpp"
#include "client/src/delivery_buffer.hpp"
#include "client/src/frame_intake.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "client/src/settle_outbox.hpp"
#include "client/src/waiting_line.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/pattern_messages.hpp"

namespace brokerd::client_core {

class consumer_state {
public:
    struct setup {
        consumer_id id;
        std::string queue;  // TOPIC/QUEUE or PATTERN/QUEUE, valid
        consume_options options;
        producer_id producer;         // of its confirmed answers; of no other consumer
        duration_us request_timeout;  // for the answer to attach
        std::weak_ptr<core> owner;    // whom its messages answer to
    };

    // `opened` is called when the broker has accepted or refused it for the first time, or by
    // stop().
    consumer_state(setup what, callback<void> opened);

    // ---- the connection
    void on_ready(const codec::hello_ok& terms, calls& out);
    void on_lost(calls& out);
    // Before on_ready(): the broker has other data than the one before, in which what we hold and
    // have answered names nothing, or other messages.
    void on_other_database(calls& out);
    void write(outgoing& out);
    [[nodiscard]] bool wants_write(mono_time now) const;
    mono_time tick(mono_time now, calls& out);

    // ---- frames for it; `request` of those it sent. False: the broker broke the protocol.
    [[nodiscard]] bool owns(std::uint32_t request) const;
    [[nodiscard]] bool on_attached(std::uint32_t request, const codec::attached& reply,
                                   mono_time now, calls& out);
    [[nodiscard]] bool on_pattern_attached(std::uint32_t request,
                                           const codec::pattern_queues& reply, mono_time now,
                                           calls& out);
    // Queues of the pattern queue came or went.
    [[nodiscard]] bool on_pattern_queues(const codec::pattern_queues& push, mono_time now);
    void on_ok(std::uint32_t request, calls& out);
    void on_settled(std::uint32_t request, const codec::settled& reply, calls& out);
    void on_refused(std::uint32_t request, const failure& why, mono_time now, calls& out);
    void on_detached(const codec::detached& push, calls& out);
    // One that could be decoded.
    [[nodiscard]] bool on_deliver(const arrived_frame& push, mono_time now, calls& out);

    // ---- the application
    // The next message, if one is here: nothing and over() = no more will come.
    [[nodiscard]] std::optional<handed_message> take(mono_time now);
    // Nothing more will be handed out; failed() says why if that is an error.
    [[nodiscard]] bool over() const;
    [[nodiscard]] const std::optional<error>& failed() const { return failed_; }
    // Calls with the next message; with nothing at `deadline` or when no more will come.
    std::uint64_t wait(mono_time deadline, callback<std::optional<handed_message>> done);
    void cancel_wait(std::uint64_t ticket);

    // False: its lease is no longer held; the callback in `what` was not taken.
    [[nodiscard]] bool settle(delivery& of, std::uint32_t index, answer& what, mono_time now);
    // Whether its lease is held and has no answer.
    [[nodiscard]] bool holds(const delivery& of, std::uint32_t index) const;
    // A message goes into a transaction under way: until leave_transaction() it is held, and
    // the consumer attached. `settled`: the transaction answered it.
    void enter_transaction() { ++in_transactions_; }
    void leave_transaction(delivery& of, std::uint32_t index, bool settled, calls& out);
    void wait_confirmed(callback<settle_counts> done, calls& out);
    // Hands nothing more out; what was handed out can still be answered.
    void stop(calls& out);
    // Wakes all waiters of the application, sends what is unsent, detaches.
    void close(callback<settle_counts> done, calls& out);
    // Who waits for a confirmation or to be opened waits no longer.
    void give_up(const error& not_opened, const error& unconfirmed, calls& out);
    // The client is closed.
    void end(const error& why, calls& out);

    [[nodiscard]] consumer_id id() const { return setup_.id; }
    [[nodiscard]] const consume_options& options() const { return setup_.options; }
    [[nodiscard]] bool ended() const { return phase_ == phase::ended; }
    // When answers that wait for company are sent at the latest.
    [[nodiscard]] mono_time gather_until() const { return outbox_.deadline(); }
    [[nodiscard]] bool has_unsent() const { return outbox_.has_unsent(); }
    // With what is being answered by transactions.
    [[nodiscard]] bool has_unconfirmed() const {
        return outbox_.has_unconfirmed() || in_transactions_ > 0;
    }
    // Of the queue; of a pattern queue the shortest, or fewest, of its queues.
    [[nodiscard]] duration_us lease() const { return held_.lease(); }
    [[nodiscard]] std::uint32_t attempts() const { return held_.attempts(); }
    [[nodiscard]] std::size_t buffered() const { return held_.buffered(); }
    [[nodiscard]] std::size_t held() const { return held_.open(); }

private:
    enum class phase : std::uint8_t { detached, attaching, attached, detaching, ended };

    void write_attach(outgoing& out);
    [[nodiscard]] codec::attach plain_attach() const;
    [[nodiscard]] codec::pattern_attach pattern_attach() const;
    void write_renewals(outgoing& out);
    void extend(outgoing& out, queue_id queue, const std::vector<lease_run>& runs);
    [[nodiscard]] bool renewal_due(mono_time now) const;
    [[nodiscard]] bool answers(std::uint32_t request) const;
    void attached(mono_time now, calls& out);
    // How much it may get from now on.
    struct allowance {
        std::uint32_t prefetch_messages = 0;
        std::uint64_t limit = 0;
    };
    [[nodiscard]] allowance allowed() const;
    void join(const std::vector<codec::pattern_member>& joined, mono_time now);
    void pump(mono_time now, calls& out);
    void finish_close(calls& out);
    void fail(const error& why, calls& out);

    setup setup_;
    phase phase_ = phase::detached;
    bool connected_ = false;
    bool stopped_ = false;
    bool closing_ = false;  // stopped, and to be detached
    std::optional<error> failed_;
    callback<void> opened_;
    callback<settle_counts> closed_;

    bool pattern_;               // attached to all queues of a pattern queue
    queue_id queue_;             // of a single one; 0 before the first attached
    std::uint32_t request_ = 0;  // attach or detach in flight
    mono_time request_deadline_ = mono_never;
    mono_time attach_at_{};                      // not before
    std::map<std::uint32_t, queue_id> extends_;  // requests in flight

    delivery_buffer held_;
    std::uint64_t delivered_ = 0;  // ever
    waiting_line<handed_message> waiters_;
    settle_outbox outbox_;
    std::size_t in_transactions_ = 0;  // messages
};

}  // namespace brokerd::client_core
