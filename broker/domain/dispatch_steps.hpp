// The steps that dispatch to shared queues and to ordered ones have in common. Private to
// dispatch.cpp, dispatch_levels.cpp and dispatch_ordered.cpp, and to explain_waiting.cpp, which
// only looks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {

inline constexpr std::uint64_t quantum_max =
    64;  // messages to one consumer before the next is served
inline constexpr std::uint32_t retry_share_max = 16;  // retries in a row, then as many others

// How far to read ahead of a cursor, in bytes; 0 while much is in memory.
[[nodiscard]] std::size_t read_ahead(const core& c);

// Where a message is, and the commit that stores it.
struct place {
    chunk_ptr data;
    commit_number commit;
};

enum class given : std::uint8_t {
    some,
    nothing,    // there is none, or it must be read first
    too_large,  // for what this consumer still has room for
};

// Where a message is, as far as memory knows.
[[nodiscard]] place find_in_memory(const queue& q, offset_t offset);
// The chunk that holds `offset`; asks the store for it if memory has not.
[[nodiscard]] place find_chunk(core& c, turn& t, queue& q, offset_t offset);
[[nodiscard]] failure not_in_log(const queue& q, offset_t offset);
// The chunks a read has brought, the first of which has to hold `from`; nullptr when the read
// failed, which the queue then knows.
[[nodiscard]] const std::vector<chunk_ptr>* read_chunks(core& c, turn& t, queue& q, offset_t from,
                                                        const fetch_result& result);
// Drops what the queue is done reading and asks for more before the window runs out.
void keep_window(core& c, turn& t, queue& q);

// Whether `one` may take a record of this size now.
[[nodiscard]] bool fits(const consumer& one, std::size_t bytes);
// Leases the records of `slice`, fresh or given back, to `one`.
void lease_slice(core& c, turn& t, queue& q, consumer& one, const record_slice& slice,
                 const place& from);
// Leases a due message whose record is loaded.
void give_retry(core& c, turn& t, queue& q, consumer& one, offset_t offset, bool alone);
// Picks the consumer that is to take the next message that must be alone: the one nearest to
// holding nothing. It gets nothing else until then. `is_loaded`: the message is at hand.
void reserve_for_alone(queue& q, bool is_loaded);
// Gives `offset`, which must be alone, to the reserved consumer; true if it took it.
bool give_alone(core& c, turn& t, queue& q, offset_t offset);

// The longest waiting candidate that has room and is not reserved; nullptr if there is none.
[[nodiscard]] consumer* next_candidate(queue& q);
// Of about `share` messages, what one turn of a consumer is: one of a group leaves room to the
// queues in line behind this one.
[[nodiscard]] std::uint64_t part_of(const consumer& one, std::uint64_t share);
// The candidate has been served; it queues up again if it may take more.
void serve_next(queue& q, consumer& one, bool may_take_more);
// Loads what the due messages need to be given out.
void load_retries(core& c, turn& t, queue& q);

// Gives `one` its next share, of about `share` messages: due retries in turns with the others.
// `retry` = the next one that is loaded, or offset_end; `give_others(count)` gives out that many of
// the others at most.
template <typename GiveOthers>
[[nodiscard]] given give_in_turn(core& c, turn& t, queue& q, consumer& one, std::uint64_t share,
                                 offset_t retry, bool others_wait, GiveOthers&& give_others) {
    const bool retries_wait = retry != offset_end || !q.alone_due.empty();
    if (!retries_wait) {
        q.retry_credit = 1;
    }
    if (retry != offset_end && (q.retry_credit > 0 || !others_wait)) {
        if (!fits(one, q.exceptions->known.find(retry)->second.record.view.size())) {
            return given::too_large;
        }
        give_retry(c, t, q, one, retry, false);
        if (others_wait) {
            --q.retry_credit;
        }
        return given::some;
    }
    const bool only_one = q.candidates.size() == 1 && one.group == nullptr;
    std::uint64_t quantum = only_one ? one.room() : part_of(one, share);
    if (retries_wait) {
        quantum = std::min<std::uint64_t>(quantum, retry_share_max);
    }
    const std::uint64_t before = q.next_lease;
    const given result = give_others(std::min(quantum, one.room()));
    if (retries_wait) {
        q.retry_credit = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(retry_share_max, q.retry_credit + (q.next_lease - before)));
    }
    return result;
}

// ---- dispatch_levels.cpp: queues with levels of priority ----
// Sorts what was given back or is due by level, as far as it was read.
void sort_levels(core& c, turn& t, queue& q);
// Something but a retry could be given out, or may once it is read.
[[nodiscard]] bool levels_wait(core& c, turn& t, queue& q);
// Gives `one` the next share of the highest level.
[[nodiscard]] given give_highest(core& c, turn& t, queue& q, consumer& one, std::uint64_t share);

}  // namespace brokerd::domain
