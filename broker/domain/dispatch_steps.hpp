// The steps that dispatch to shared queues and to ordered ones have in common. Private to
// dispatch.cpp and dispatch_ordered.cpp, and to explain_waiting.cpp, which only looks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {

inline constexpr std::uint64_t quantum_max =
    64;  // messages to one consumer before the next is served
inline constexpr std::uint32_t retry_share_max = 16;  // retries in a row, then as many others

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

}  // namespace brokerd::domain
