// The publishing side of a client: batches per topic, credit, sequences, resending.
// Sans-I/O. Owner: the holder of the client's lock.
//
// Batching without a timer: a message is appended to its topic's open batch. A lone one goes with
// the next write; once frames_unanswered_max frames of the topic are unanswered, what comes is
// gathered until one is answered or the batch is worth sending. A scheduled message is a batch of
// its own, as a schedule frame has one due time, and so is one with an id, as the broker answers
// for a batch as a whole: it goes at once, between those before and behind. All messages of a batch
// have one priority, as a batch has one level in its topic: where the next has another one, the
// batch is closed, so messages keep the order in which they were submitted.
//
// Invariants:
//   A batch gets its sequences when it is first sent and keeps bytes and sequences for ever: what
//   was sent and not answered is sent again, byte for byte and in order, over the next connection.
//   The messages of a batch that is too large for its topic are sent again one by one, with new
//   sequences: nothing of it was stored.
//   Unanswered sequences of a topic span at most sequences_unanswered_max.
//   Unanswered messages and bytes never exceed the credit, but for one message when nothing else
//   is unanswered.
//   Each message that was submitted gets its callback exactly once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "brokerd/client.hpp"
#include "brokerd/types.hpp"
#include "client/src/batch_summary.hpp"
#include "client/src/outgoing.hpp"
#include "client/src/result.hpp"
#include "protocol/codec/messages.hpp"
#include "protocol/codec/record_batch.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::client_core {

class publish_pipeline {
public:
    // `seed` picks the producer ids; a batch is closed at `batch_messages`.
    publish_pipeline(std::uint64_t seed, std::uint32_t batch_messages)
        : random_(seed), batch_messages_(batch_messages) {}

    // Takes a message over, to be scheduled with `when`; `record` is copied. The bound on what is
    // in flight is the caller's. Returns whether write() would send something of this topic now.
    bool submit(std::string_view topic, byte_view record, publish_callback done,
                const std::optional<schedule_time>& when = std::nullopt);

    // A connection is there, under these terms: what was unanswered comes first.
    void on_ready(const codec::hello_ok& terms);
    void on_lost();
    // The broker takes nothing more over this connection.
    void on_draining() { draining_ = true; }

    // Appends what may be sent. What this broker can never take fails here.
    void write(outgoing& out, calls& done);
    // write() would append something.
    [[nodiscard]] bool wants_write() const;

    // False: the broker answered what was not asked, or gave an impossible credit.
    [[nodiscard]] bool on_published(const codec::published& reply, calls& done);
    void on_credit(const codec::credit& grant);
    // Whether the request is a publish or schedule of this connection.
    [[nodiscard]] bool owns(std::uint32_t request) const { return sent_.contains(request); }
    void on_refused(std::uint32_t request, const failure& why, calls& done);

    // Without a connection, or right before it is given up. Ends everything: what was ever sent
    // with outcome_unknown, the rest with `unsent`.
    void fail_all(const error& unsent, calls& done);

    [[nodiscard]] std::uint64_t messages_in_flight() const { return messages_; }
    [[nodiscard]] std::uint64_t bytes_in_flight() const { return bytes_; }

private:
    struct entry {
        std::uint32_t record_bytes;
        publish_callback done;
    };
    struct topic_line;
    struct batch {
        topic_line* line = nullptr;
        byte_buffer bytes;  // header (written when sent) and records
        std::vector<entry> entries;
        batch_summary summary;
        std::uint64_t first_sequence = 0;    // 0 = not sent yet
        std::uint64_t refused_sequence = 0;  // of a refused batch whose messages go one by one
        std::optional<schedule_time> when;   // scheduled: one message

        // Nothing joins its message.
        [[nodiscard]] bool alone() const {
            return when || summary.has_id() || refused_sequence != 0;
        }
    };
    using batch_ptr = std::unique_ptr<batch>;
    struct topic_line {
        std::string name;
        producer_id producer;
        std::uint64_t next_sequence = 1;
        // Resends first; the last is open while it was never sent, unless it is to be alone.
        std::deque<batch_ptr> waiting;
        std::set<std::uint64_t> unanswered;   // first sequences of batches that were ever sent
        std::uint32_t frames_unanswered = 0;  // on this connection
        bool queued = false;                  // in active_
    };

    topic_line& line_of(std::string_view topic);
    void forget_idle_lines();
    void append(topic_line& line, byte_view record, publish_callback done,
                const std::optional<schedule_time>& when);
    void activate(topic_line& line);
    [[nodiscard]] bool may_send(const topic_line& line) const;
    [[nodiscard]] std::uint64_t batch_room(const batch& what) const;
    void fail_impossible(topic_line& line, calls& done);
    [[nodiscard]] const char* unsupported(const batch& what) const;
    [[nodiscard]] std::uint32_t sendable_entries(const batch& next) const;
    void send_front(topic_line& line, outgoing& out);
    static batch_ptr split_front(batch& from, std::uint32_t count);
    batch_ptr take_sent(std::uint32_t request);
    void complete(batch_ptr what, const codec::published_item& answer, calls& done);
    void fail(batch_ptr what, const error& why, calls& done);
    void forget(const batch& what);
    void requeue(batch_ptr what);
    void send_one_by_one(batch_ptr what);
    [[nodiscard]] std::uint64_t random();

    std::unordered_map<std::string, std::unique_ptr<topic_line>> lines_;
    topic_line* last_line_ = nullptr;          // of the message before: mostly the same again
    std::deque<topic_line*> active_;           // lines with something waiting, taken in turns
    std::map<std::uint32_t, batch_ptr> sent_;  // by request id, this connection
    std::uint64_t messages_ = 0;               // not answered, sent or not
    std::uint64_t bytes_ = 0;                  // their records
    std::uint64_t random_;
    const std::uint32_t batch_messages_;

    bool ready_ = false;
    bool draining_ = false;
    std::int64_t credit_messages_ = 0;  // negative only while one large message is unanswered
    std::int64_t credit_bytes_ = 0;
    std::uint64_t terms_messages_ = 0;  // credit when nothing is unanswered
    std::uint64_t terms_bytes_ = 0;
    std::uint32_t batch_records_max_ = 0;
    std::uint64_t frame_bytes_max_ = 0;
    bool takes_schedules_ = false;
    bool takes_ids_ = false;
};

}  // namespace brokerd::client_core
