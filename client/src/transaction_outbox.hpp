// Transactions on their way to the broker: made into frames, sent in order, kept and sent again
// until the broker has said what became of them.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Invariants:
//   A transaction gets its sequences when it is first sent and keeps frame and sequences for ever:
//   unanswered, it is sent again, byte for byte and in order, over the next connection.
//   Unanswered sequences span at most sequences_unanswered_max.
//   From add() to its outcome the messages of a transaction are renewed like any, and their
//   consumers stay attached.
//   Each gets its callback exactly once, with its outcome: committed, or refused as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "brokerd/transaction.hpp"
#include "client/src/consumer_state.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "client/src/transaction_parts.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/transaction_messages.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::client_core {

class transaction_outbox {
public:
    using parts_ptr = std::shared_ptr<transaction_parts>;
    using find_consumer = std::function<consumer_state*(consumer_id)>;

    transaction_outbox(producer_id producer, find_consumer find)
        : producer_(producer), find_(std::move(find)) {}

    // Takes a transaction over; it is refused at once if a lease in it is known to be lost.
    void add(parts_ptr what, callback<committed> done, calls& out);
    // Ends one that was never added.
    static void refuse(parts_ptr what, callback<committed> done, const error& why, calls& out);

    // A connection is there, under these terms: what was unanswered comes first.
    void on_ready(const codec::hello_ok& terms);
    void on_lost();
    // Before on_ready(): the broker has other data than the one before, in which our leases name
    // nothing, or other messages.
    void on_other_database(calls& out);

    // Appends what may be sent. What this broker can never take fails here.
    void write(outgoing& out, calls& done);
    // write() has something to do.
    [[nodiscard]] bool wants_write() const;

    [[nodiscard]] bool owns(std::uint32_t request) const { return sent_.contains(request); }
    // False: the answer does not fit the transaction.
    [[nodiscard]] bool on_transacted(std::uint32_t request, const codec::transacted& reply,
                                     calls& out);
    void on_refused(std::uint32_t request, const failure& why, calls& out);

    // Ends everything: what was ever sent with outcome_unknown, the rest with `unsent`.
    void fail_all(const error& unsent, calls& out);

    [[nodiscard]] bool empty() const { return waiting_.empty() && sent_.empty(); }

private:
    struct entry {
        parts_ptr parts;
        callback<committed> done;
        codec::transact frame;               // views of the batches; first_sequence 0 = never sent
        std::vector<std::uint32_t> records;  // of each batch
        std::vector<byte_buffer> cut;        // batches in smaller ones, for this broker
        std::size_t bytes = 0;               // of the frame's body, once it is made
        bool unanswered = false;             // by an earlier connection, over which it was sent

        [[nodiscard]] bool was_sent() const { return frame.first_sequence != 0; }
        [[nodiscard]] std::uint64_t sequences() const {
            return frame.publishes.empty() ? 1 : frame.publishes.size();
        }
    };

    [[nodiscard]] result<void> check_leases(const transaction_parts& of) const;
    [[nodiscard]] result<void> prepare(entry& next) const;
    void make_frame(entry& of) const;
    void add_publish(entry& to, transaction_parts::publish& what) const;
    void add_settles(entry& to) const;
    [[nodiscard]] result<void> check_size(const entry& of) const;
    [[nodiscard]] result<void> check_resend(const entry& of) const;
    [[nodiscard]] bool has_room(const entry& next) const;
    void end(entry what, result<committed> outcome, calls& out);

    producer_id producer_;
    find_consumer find_;
    std::uint64_t next_sequence_ = 1;
    std::deque<entry> waiting_;  // resends first; only the front has a frame but was not sent
    std::map<std::uint32_t, entry> sent_;  // by request id, this connection
    std::size_t bytes_unanswered_ = 0;     // of sent_

    bool ready_ = false;
    bool draining_ = false;
    bool takes_transactions_ = false;
    bool takes_ids_ = false;
    std::uint32_t batch_records_max_ = 0;
    std::uint64_t frame_bytes_max_ = 0;
};

}  // namespace brokerd::client_core
