// A queue: its durable state (ledger), its leases, its retries, its consumers and where it stands
// in its topic. Owner: the engine strand. The operations of operations.hpp move messages through
// it; here is what they share.
//
// State of an offset within [first, end):
//   dead      in book.dead()
//   ready     in schedule.due(), alone_due, order->due_waiting or the due ones of a level: its
//   retry
//             is due, or it was redriven
//   retrying  in book.retrying() and neither of those nor in leased_retries
//   done      below the floor or in book.closed(), and none of the above
//   ready     in `returned` or order->skipped, or at or above `next` and not in `ahead`
//   leased    everything else
// Which retries are due is known as of the last advance_schedule; who tells states or counts calls
// catch_up first.
//
// Invariants: ahead lies at or above next; returned, ahead and book.closed() are disjoint;
// leased_retries is a part of book.retrying(); schedule.due(), alone_due and leased_retries are
// disjoint.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/clone_watch.hpp"
#include "broker/domain/consumer.hpp"
#include "broker/domain/interval_set.hpp"
#include "broker/domain/lazy.hpp"
#include "broker/domain/lease_table.hpp"
#include "broker/domain/ledger.hpp"
#include "broker/domain/mutation.hpp"
#include "broker/domain/ordering.hpp"
#include "broker/domain/queue_levels.hpp"
#include "broker/domain/rate_meter.hpp"
#include "broker/domain/read_window.hpp"
#include "broker/domain/reads_under_way.hpp"
#include "broker/domain/retry_schedule.hpp"
#include "broker/domain/sieve.hpp"
#include "protocol/types/bytes.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/settings.hpp"

namespace brokerd::domain {

class topic;

// An exception that memory knows: because the store does not have it yet, or because it was loaded
// to be dispatched.
struct known_exception {
    exception_state value;
    commit_number commit;  // that stores it; 0 = it is as the store has it
    wall_time append_time{};
    shared_bytes record;  // empty: take it from the log
};

// All of a queue that memory knows, and the reads of others.
struct exception_memory {
    std::map<offset_t, known_exception> known;
    // Which of them a commit put that may not be applied yet, oldest first, and which wait loaded
    // to be given out; some may be gone from there, or put since.
    std::vector<std::pair<commit_number, offset_t>> put;
    std::vector<offset_t> loaded;
    interval_set missed_once{};  // due, but their record was not found at the first try
    reads_under_way reads;       // of any kind that looks at exceptions
};

// What all queues share.
struct queue_memory {
    std::pmr::memory_resource* pool;  // nodes of sets and tables
    std::size_t* window_bytes;        // of all read windows together
};

class queue {
public:
    queue(queue_id number, topic& of, queue_mode how, offset_t start, const queue_memory& memory);

    const queue_id id;
    topic& owner;
    std::string name;                                // never changes: topic::queues has it as key
    std::shared_ptr<const queue_settings> settings;  // of core::settings
    wall_time created{};
    lease_id fence;
    commit_number changed;  // of creation, seek, pause: what is delivered depends on it

    ledger book;

    // ---- where dispatch stands ----
    offset_t next = 0;      // nothing from here on was given out, but for `ahead`
    interval_set returned;  // leased before in this epoch, and ready again
    interval_set ahead;     // leased at or above next: taken up again after a restart
    lazy<lease_table> leases;
    // Ended without their holder's doing: they hold nothing, and still take its room.
    lazy<lease_table> ended;
    std::uint64_t next_lease = 1;
    read_window window;
    mono_time read_again{};  // after a failed read
    std::string read_error;  // empty = reads succeed

    // ---- retries ----
    retry_schedule schedule;
    interval_set leased_retries;
    interval_set alone_due;  // due, but only to a consumer that holds nothing else
    lazy<exception_memory> exceptions;
    std::unique_ptr<clone_watch> cloning;    // a clone that waits for fetches
    std::unique_ptr<copied_records> copied;  // a clone's own, until the store has them

    // ---- consumers ----
    std::vector<consumer*> consumers;        // in order of attachment
    std::pmr::list<consumer*> candidates;    // those that may have room, longest waiting first
    consumer* reserved_for_alone = nullptr;  // gets nothing until it can take from alone_due
    // Those that hold up the other queues of their group: the next message was too large for what
    // room is left.
    std::vector<consumer*> too_large_for;

    const std::unique_ptr<ordering> order;  // modes keyed and single only
    // Mode shared, of a topic with several levels of priority. What is given out by level lies in
    // `ahead` beyond `next`, the returned ones of all levels in `returned` too.
    const std::unique_ptr<queue_levels> levels;
    std::unique_ptr<sieve> sifting;  // none: all messages are for it

    // ---- bookkeeping ----
    std::uint64_t dropped = 0;     // it was not done with; durable, with its topic's
    mono_time unused_since{};      // without a consumer; matters while there is none
    mono_time timer = mono_never;  // in core::timers
    rate_meter out_rate;
    offset_t oldest_offset = offset_end;  // whose append time is remembered
    wall_time oldest_time{};

    // ---- what is small, together, without gaps ----
    const queue_mode mode;
    bool paused = false;
    bool exceptions_fetching = false;
    bool exceptions_noted = false;  // in core::queues_with_exceptions: some may be forgotten
    bool woken = false;             // in core::woken
    bool change_noted = false;      // in core::changed_queues
    bool moving = false;            // seek or purge in slices is under way
    std::uint32_t retry_credit = 1;

    [[nodiscard]] std::string path() const;                    // topic/queue
    [[nodiscard]] std::string address(offset_t offset) const;  // topic/queue@offset

    [[nodiscard]] std::uint64_t ready() const;
    [[nodiscard]] std::uint64_t leased() const { return leases->fresh() + leases->retried(); }
    // Those of the ready ones that failed before: due again, or redriven.
    [[nodiscard]] std::uint64_t due() const {
        return schedule.due().count() + alone_due.count() +
               (order ? order->due_waiting.size() : 0) + (levels ? levels->due() : 0);
    }
    [[nodiscard]] bool is_due(offset_t offset) const {
        return schedule.due().contains(offset) || alone_due.contains(offset) ||
               (order && order->due_waiting.contains(offset)) || (levels && levels->is_due(offset));
    }
    [[nodiscard]] std::uint64_t retrying() const {
        return book.retrying().count() - leases->retried() - due();
    }
    [[nodiscard]] std::uint64_t dead() const { return book.dead().count(); }
    [[nodiscard]] std::uint64_t done() const { return book.done_total(); }
    [[nodiscard]] message_state state_of(offset_t offset) const;
    // Ready, and no retry: lies below `next`.
    [[nodiscard]] bool passed_over(offset_t offset) const {
        return returned.contains(offset) || (order && order->skipped.contains(offset));
    }
    // Ready and never given out since the broker started.
    [[nodiscard]] bool untouched(offset_t offset) const;
    // The first message from `from` on that is ready and has never failed; offset_end: there is
    // none.
    [[nodiscard]] offset_t next_ready(offset_t from) const;
    // These and its neighbours that are so for the same reason: all of them fresh, or returned, or
    // skipped.
    [[nodiscard]] std::optional<offset_range> next_ready_run(offset_t from) const;
    // The first one from `from` on that is neither done nor retrying nor dead.
    [[nodiscard]] offset_t next_open(offset_t from) const {
        const offset_t open = book.closed().next_gap(std::max(from, book.floor()));
        return open < end_of_topic() ? open : offset_end;
    }
    // Moves `next` over what is closed or leased ahead; returns it.
    offset_t skip_to_fresh();

    // When a temporary queue goes, if no consumer comes.
    [[nodiscard]] mono_time expires_at() const {
        return settings->expires == duration_us{0} || !consumers.empty()
                   ? mono_never
                   : unused_since + settings->expires;
    }

    // Why no message that was never delivered is given out, although there are some.
    [[nodiscard]] bool too_many_retrying() const {
        return book.retrying().count() >= settings->max_retrying;
    }
    // A gap below `next` is leased or ready again, so that it closes by and by. Other gaps (a seek,
    // a restart, a purge of some, what was given back before the cursor came by) are no reason to
    // give out nothing.
    [[nodiscard]] bool too_many_runs() const {
        const bool given_by_cursor = returned.empty() || returned.front() >= next;
        const std::size_t gaps = leases->spans() + (given_by_cursor ? 0 : returned.runs()) +
                                 (order ? order->skipped.runs() : 0);
        return std::min(book.closed().runs(), gaps) >= settings->max_runs;
    }

    // Of a queue with levels: the done messages of higher ones leave so many gaps among the others
    // that these have to close first.
    [[nodiscard]] bool gaps_need_closing() const {
        return book.closed().runs() >= settings->max_runs;
    }

    // Whether these would be done among others that are not, and there are as many gaps between
    // done messages as there may be.
    [[nodiscard]] bool is_one_run_too_many(offset_range range) const;
    // They are ready and never failed, and are done or dead now.
    void end_ready(offset_range range);
    // Ready again without having failed; all of one lane. Not of an ordered queue.
    void give_back(offset_range range, std::uint8_t lane);
    void clear_returned();

    // Not waiting for its time, nor given out soon: it is leased, done, dead, or its time changes.
    void forget_due(offset_t offset, wall_time due);

    [[nodiscard]] offset_t end_of_topic() const;  // topic::end

    // Puts it among the candidates if it has room and a turn; one of a group stands in line there
    // if others do.
    void offer(consumer& one);
    void admit(consumer& one);  // likewise, but it has had its place in line
    // Who gets what must be alone, and nothing else until then; nullptr: nobody.
    void reserve(consumer* one);
    void end_reservation();  // who was it may take something else
    void end_claims();       // no queue of a group waits for this one
    void forget(consumer& one);
    // Mode single: the first of `consumers` is the active one, the others wait for its place.
    [[nodiscard]] bool stands_by(const consumer& one) const {
        return mode == queue_mode::single && consumers.front() != &one;
    }
    // Mode single: the active consumer let a lease expire; it goes to the end of the line.
    void pass_on();
};

}  // namespace brokerd::domain
