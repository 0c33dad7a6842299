// What a topic remembers of the ids of its messages. Pure.
//
// The ids are in the store, each with what its first publish led to. In memory are only those the
// store may not have yet, and what waits until the store was asked. An id is remembered by where
// the topic ended when it came: one number, which only grows, says which are forgotten, and the
// store drops those when it likes.
//
// Invariant: ids that were put by a commit which is not applied, or was not when a read that is on
// its way began, are in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class core;
class topic;
struct turn;

// What is known of an id; `commit` holds it, 0 if that is in the store.
struct known_message_id {
    message_id_entry entry;
    commit_number commit;
};

class message_id_book {
public:
    // Marks kept: an id is remembered for at most one part in so many longer than it has to be.
    static constexpr std::int64_t marks_max = 64;
    // Ids that one read of the store looks up.
    static constexpr std::size_t ids_per_read_max = 4096;

    // Something that has to wait until it is known what its ids led to, and its turn behind those
    // that came before it. `then` is called once: with a failure if the store could not be read or
    // the topic goes away.
    struct waiting {
        std::vector<std::string> ids;
        std::function<void(core&, turn&, topic&, outcome<void>)> then;
    };

    void load(const message_ids_forgotten& stored);

    // Ids put when the topic ended below this are forgotten.
    [[nodiscard]] offset_t below() const { return below_; }
    // Moves below() as time goes on; true if it did.
    [[nodiscard]] bool forget_old(wall_time now, duration_us window, offset_t end);
    // An id comes where the topic ends at `at`; true if that made a mark, which the store should
    // have: each stands for a part of the window, and covers what comes in it.
    [[nodiscard]] bool note(wall_time now, duration_us window, offset_t at);
    // After a start: all before `end` had come by `last`. (The store has the marks as they were
    // made, without what they covered later.)
    void cover(wall_time last, offset_t end);
    [[nodiscard]] message_ids_forgotten forgotten(topic_id of) const {
        return {of, below_, marks_};
    }

    void put(const std::string& id, const message_id_entry& entry, commit_number commit);
    // What an id led to, if it is not forgotten: as memory knows it, or else as the last read said.
    [[nodiscard]] std::optional<known_message_id> find(const std::string& id) const;
    // Whether find() needs no read for this one.
    [[nodiscard]] bool knows(const std::string& id) const {
        return lately_.contains(id) || read_.contains(id);
    }

    // A read of the store begins when it has all commits up to `applied`, and ends; until then what
    // may be missing in it stays in memory.
    void begin_read(commit_number applied) { reads_.insert(applied); }
    void end_read(commit_number applied) { reads_.erase(reads_.find(applied)); }
    // Forgets what the store has by now, and what no read that is on its way may miss. True if
    // nothing is left to be forgotten.
    bool forget_applied(commit_number applied);

    // ---- what waits, in the order in which it came ----
    std::deque<waiting> line;
    std::optional<commit_number> read_since;  // a read for it is on its way
    bool noted = false;                       // in core::topics_with_ids

    // The ids to look up next, for the first of those that wait; empty: all that the first needs
    // is known.
    [[nodiscard]] std::vector<std::string> unknown_ids() const;
    void take_read(const std::vector<std::string>& ids,
                   const std::vector<std::optional<message_id_entry>>& entries);
    // What the read said is good only for those that it was made for.
    void forget_read() { read_.clear(); }

private:
    offset_t below_ = 0;
    std::vector<done_mark> marks_;  // ascending; by their time all before `below` had come
    std::unordered_map<std::string, known_message_id> lately_;
    std::deque<std::pair<commit_number, std::string>> lately_log_;
    std::unordered_map<std::string, std::optional<message_id_entry>> read_;
    std::multiset<commit_number> reads_;  // what the store had when each began
};

}  // namespace brokerd::domain
