// The answers of one consumer on their way to the broker: gathered into runs of each queue, sent
// when it is worth it, with confirmation kept and sent again until the broker has confirmed them.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants: an answer leaves exactly once, or with confirmation again under the same sequence;
// each waiter is called exactly once. Sequences ascend over all queues of the consumer. Bounded by
// the messages it may hold, and by confirms_unanswered_max frames and half the sequences that the
// broker remembers of a producer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "brokerd/client.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::client_core {

// What is said about one message.
struct answer {
    settle_action action = settle_action::ack;
    duration_us delay{-1};  // nack: until the retry; extend: from now; -1 = as the queue says
    std::string reason;
    callback<void> confirmed;  // wanted: called when it is durable
};

class settle_outbox {
public:
    // `prefetch`: of its consumer, in messages.
    settle_outbox(producer_id producer, bool confirm_all, std::uint32_t prefetch);

    void add(queue_id queue, const lease_run& lease, answer what, mono_time now);

    // Something should be sent now. `idle`: the consumer has nothing else to hand out, so no
    // further answer is to be expected soon.
    [[nodiscard]] bool due(mono_time now, bool idle) const;
    // When due() becomes true by itself.
    [[nodiscard]] mono_time deadline() const {
        return pending_.empty() || full() ? mono_never : gather_until_;
    }
    void write(outgoing& out);

    [[nodiscard]] bool owns(std::uint32_t request) const { return unconfirmed_.contains(request); }
    void on_settled(std::uint32_t request, const codec::settled& reply, calls& out);
    void on_refused(std::uint32_t request, const failure& why, calls& out);
    void on_lost();

    // Calls when all answers given so far are confirmed.
    void wait_confirmed(callback<settle_counts> done, calls& out);
    // The waiters end with `why`; the answers go on.
    void fail_waiters(const error& why, calls& out);
    // The broker has other data, in which our leases name nothing, or other messages: what is
    // unsent or unconfirmed is never sent and counts as refused, its waiters end with `why`.
    void refuse_all(const error& why, calls& out);
    // The queue is gone: everything ends with `why`.
    void discard(const error& why, calls& out);

    [[nodiscard]] bool has_unsent() const { return !pending_.empty() || !resend_.empty(); }
    [[nodiscard]] bool has_unconfirmed() const;
    [[nodiscard]] settle_counts counts() const { return counts_; }

private:
    struct waiter {
        lease_run lease;
        callback<void> done;
    };
    struct group {
        std::uint64_t number = 0;    // order of creation
        std::uint64_t sequence = 0;  // once sent with confirmation
        queue_id queue;
        settle_action action = settle_action::ack;
        bool confirm = false;
        duration_us delay{-1};
        std::string reason;
        std::vector<lease_run> runs;
        std::vector<waiter> waiters;
    };
    struct flush {
        std::uint64_t number = 0;  // last group it waits for
        callback<settle_counts> done;
    };

    static void fail_group(group& what, const error& why, calls& out);
    void clear();
    // So many confirmations are awaited that the next answers wait for one.
    [[nodiscard]] bool full() const;
    group& group_for(queue_id queue, const answer& what, bool confirm);
    void write_group(outgoing& out, group what);
    void finish_waiters(group& what, const codec::settled& reply, calls& out);
    void finish_flushes(calls& out);

    producer_id producer_;
    bool confirm_all_;
    std::uint64_t gather_max_;                        // answers
    std::map<queue_id, std::vector<group>> pending_;  // never sent
    queue_id last_queue_;                             // whose answers went last
    std::map<std::uint64_t, group> resend_;           // by sequence
    std::map<std::uint32_t, group> unconfirmed_;      // by request id, this connection
    std::vector<flush> flushes_;
    mono_time gather_until_ = mono_never;
    std::uint64_t pending_answers_ = 0;
    std::uint64_t last_number_ = 0;
    std::uint64_t last_sequence_ = 0;
    bool urgent_ = false;  // somebody waits for a confirmation
    settle_counts counts_;
};

}  // namespace brokerd::client_core
