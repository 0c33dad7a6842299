// What a queue of mode keyed or single has beyond what every queue has. Owner: the engine strand;
// ordered.cpp and dispatch_ordered.cpp work on it.
//
// Invariants: skipped lies below queue::next and is disjoint from returned and closed; due_waiting
// is a part of book.retrying() and disjoint from schedule.due(), alone_due and leased_retries;
// promised is a part of schedule.due() and alone_due.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory_resource>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "broker/domain/chunk.hpp"
#include "broker/domain/interval_set.hpp"
#include "broker/domain/key_table.hpp"
#include "broker/domain/read_window.hpp"
#include "protocol/types/ids.hpp"

namespace brokerd::domain {

// Messages with their keys, found by either.
class keyed_offsets {
public:
    explicit keyed_offsets(std::pmr::memory_resource* pool) : by_offset_(pool), by_key_(pool) {}

    void add(offset_t offset, key_hash key) {
        by_offset_.emplace(offset, key);
        by_key_.emplace(key, offset);
    }
    // Takes it out; its key if it was there.
    std::optional<key_hash> erase(offset_t offset) {
        const auto at = by_offset_.find(offset);
        if (at == by_offset_.end()) {
            return std::nullopt;
        }
        const key_hash key = at->second;
        by_key_.erase({key, offset});
        by_offset_.erase(at);
        return key;
    }
    // The lowest of a key, offset_end if it has none.
    [[nodiscard]] offset_t first_of(key_hash key) const {
        const auto at = by_key_.lower_bound({key, 0});
        return at == by_key_.end() || at->first != key ? offset_end : at->second;
    }
    // The lowest from `offset` on.
    [[nodiscard]] offset_t next(offset_t offset) const {
        const auto at = by_offset_.lower_bound(offset);
        return at == by_offset_.end() ? offset_end : at->first;
    }
    [[nodiscard]] bool contains(offset_t offset) const { return by_offset_.contains(offset); }
    [[nodiscard]] std::size_t size() const { return by_offset_.size(); }
    [[nodiscard]] bool empty() const { return by_offset_.empty(); }
    void clear() {
        by_offset_.clear();
        by_key_.clear();
    }

private:
    std::pmr::map<offset_t, key_hash> by_offset_;
    std::pmr::set<std::pair<key_hash, offset_t>> by_key_;
};

struct ordering {
    ordering(std::pmr::memory_resource* pool, std::size_t& window_bytes)
        : keys(pool),
          skipped(pool),
          due_waiting(pool),
          promised(pool),
          shelf(window_bytes),
          search_window(window_bytes),
          learnt(pool) {}

    key_table keys;
    interval_set skipped;  // ready, but the cursor passed them: their key was not free

    // Retries that are due while their key is not free.
    keyed_offsets due_waiting;
    // Due retries whose key became free: it is theirs, also while their records are being read.
    keyed_offsets promised;
    offset_t passed_below = 0;  // those below were looked at since the cursor passed them

    // Chunks with waiting messages, read one by one; the oldest read goes first.
    chunk_shelf shelf;
    std::set<offset_t> reading;
    std::set<key_hash> aside_for_reading;  // more are to be read than may be at once

    read_window search_window;
    offset_t search_at = 0;

    // Messages leased or retrying whose key nobody has looked at since the start: what it is, once
    // that is known. Nothing is given out before.
    std::pmr::map<offset_t, key_hash> learnt;
    std::size_t unknown = 0;  // of these
    bool learning = false;

    // Keys of retrying messages from before the start are read before anything is given out.
    bool keys_known = false;
    bool keys_reading = false;
    offset_t keys_known_below = 0;

    // Everything but the keys of messages that are retrying.
    void clear(const interval_set& retrying) {
        std::erase_if(learnt, [&](const auto& each) { return !retrying.contains(each.first); });
        unknown = static_cast<std::size_t>(
            std::ranges::count(learnt, unknown_key, &decltype(learnt)::value_type::second));
        keys.clear();
        skipped.clear();
        due_waiting.clear();
        promised.clear();
        passed_below = 0;
        shelf.clear();
        search_window.clear();
    }
    void not_known(offset_t offset) { unknown += learnt.try_emplace(offset, unknown_key).second; }
    // Its key, if it had to be learnt.
    std::optional<key_hash> forget_learnt(offset_t offset) {
        const auto at = learnt.find(offset);
        if (at == learnt.end()) {
            return std::nullopt;
        }
        const key_hash key = at->second;
        unknown -= key == unknown_key;
        learnt.erase(at);
        return key;
    }
    void forget_due(offset_t offset) {
        due_waiting.erase(offset);
        if (const auto key = promised.erase(offset)) {
            keys.make_runnable(*key);
        }
    }
};

}  // namespace brokerd::domain
