// What an ordered queue (mode keyed or single) knows of its keys: which have a message in flight,
// which are blocked by a retrying one, and which messages wait for their key. Pure.
//
// A key is a 64-bit hash; two keys with one hash share their lock, which costs speed and no order.
// Key 0 = no key: such messages are never held back. In mode single every message has the same key.
//
// Messages that wait are remembered up to a bound, per key and in all. Beyond it only the offset is
// kept from which on the key's messages have to be looked for again (missed_from), and a search
// over the log finds them when the key has nothing else to give. So memory is bounded whatever is
// blocked, one key never stops the others, and nothing of this is durable.
//
// Invariants: the waiting offsets of a key ascend and lie below its missed_from. What they name may
// have left the state ready meanwhile: who takes one checks.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/domain/offset_line.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

using key_hash = std::uint64_t;
inline constexpr key_hash no_key = 0;
inline constexpr key_hash only_key = 1;                // of every message in mode single
inline constexpr key_hash unknown_key = ~key_hash{0};  // has to be read from the message

// None of the three, but no_key for an empty text. Durable in exceptions: never change it.
[[nodiscard]] key_hash hash_of_key(std::string_view key);

class key_table {
public:
    static constexpr std::size_t waiting_per_key_max = 1000;
    static constexpr std::size_t waiting_max = 65536;

    explicit key_table(std::pmr::memory_resource* pool = std::pmr::get_default_resource());

    // ---- in flight ----
    // A message with a key is given out.
    void lock(key_hash key, offset_t offset);
    // Its lease has ended; returns its key, no_key if it is not known to have one.
    key_hash unlock(offset_t offset);
    [[nodiscard]] bool locked(key_hash key) const;
    // A message of the key that is in flight; offset_end if there is none.
    [[nodiscard]] offset_t in_flight(key_hash key) const;

    // ---- blocked by retrying messages ----
    void add_retrying(key_hash key, offset_t offset);  // once for each
    void remove_retrying(key_hash key, offset_t offset);
    // The lowest retrying message of the key; offset_end if there is none.
    [[nodiscard]] offset_t first_retrying(key_hash key) const;

    // ---- waiting ----
    // Something of the key waits already, so that what comes later has to wait too.
    [[nodiscard]] bool has_waiting(key_hash key) const { return first_waiting(key) != offset_end; }
    // Where the oldest of these is, or may be; offset_end if none waits.
    [[nodiscard]] offset_t first_waiting(key_hash key) const;
    // Found by the cursor, which goes upward.
    void wait_behind(key_hash key, offset_t offset);
    // Given back: comes before what waits already if it is older.
    void wait_again(key_hash key, offset_t offset);
    [[nodiscard]] std::size_t waiting_count() const { return waiting_count_; }

    // The oldest message that waits for a key which may be free; offset_end: there is none.
    struct candidate {
        key_hash key = no_key;
        offset_t offset = offset_end;
    };
    [[nodiscard]] candidate next_runnable() const;
    void take_waiting(const candidate& which);  // out of those that wait
    // Not now; make_runnable brings it back.
    void put_aside(key_hash key);
    void make_runnable(key_hash key);
    void make_all_runnable();

    // ---- looking again for what was not remembered ----
    [[nodiscard]] bool search_wanted() const { return !searching_ && !hungry_.empty(); }
    [[nodiscard]] bool searching() const { return searching_; }
    // Begins; returns the offset to start from.
    offset_t start_search();
    // A ready message below the cursor, upward.
    void found(key_hash key, offset_t offset);
    // The search has come to the cursor.
    void end_search();

    // All but what is retrying.
    void clear();

private:
    struct entry {
        std::uint32_t in_flight = 0;
        bool aside = false;
        bool full = false;  // the running search had to leave some behind
        offset_t newest_in_flight = offset_end;
        offset_t missed_from = offset_end;
        offset_line waiting{};
    };
    using entry_map = std::pmr::unordered_map<key_hash, entry>;
    using by_offset = std::pmr::set<std::pair<offset_t, key_hash>>;

    // Takes an entry out of the indexes before it changes, puts it in afterwards.
    class change;
    [[nodiscard]] static bool may_run(key_hash key, const entry& of);
    void evict();

    entry_map entries_;
    std::pmr::unordered_map<offset_t, key_hash> in_flight_;
    by_offset runnable_;  // keys that may run, by their first waiting message
    by_offset hungry_;    // keys that could run if what was missed was found, by missed_from
    by_offset missed_;    // all keys that missed some, by missed_from
    std::size_t waiting_count_ = 0;
    bool searching_ = false;
    offset_t search_from_ = 0;

    // The lowest retrying message of each key, 16 bytes a key: open addressing, linear probing. A
    // key seldom has a second one (redriven, or with after_failure skip).
    struct slot {
        key_hash key = no_key;
        offset_t offset = offset_end;  // offset_end: free
    };
    void grow();
    void free_slot(std::size_t hole);
    [[nodiscard]] std::size_t home(key_hash key) const;
    [[nodiscard]] std::size_t place_of(key_hash key) const;
    std::vector<slot> slots_;
    std::size_t slots_used_ = 0;
    std::pmr::set<std::pair<key_hash, offset_t>> further_;
};

}  // namespace brokerd::domain
