// What a topic remembers of the ids of its messages. Pure.
//
// The ids are in the store, each with what its first publish led to and when that was. In memory
// are only those the store may not have yet, and what waits until the store was asked. One time,
// which only grows, says which are forgotten, and the store drops those when it likes.
//
// Invariant: ids that were put by a commit which is not applied, or was not when a read that is on
// its way began, are in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/domain/mutation.hpp"
#include "broker/domain/reads_under_way.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class core;
class topic;
struct turn;

// What is known of an id. It is in the store once `commit` is.
struct known_message_id {
    message_id_entry entry;
    commit_number commit;
};

class message_id_book {
public:
    // Into how many parts a window is cut: after each the store is told what is forgotten. And how
    // many marks lie in limits::message_id_distance_max.
    static constexpr std::int64_t parts = 64;
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

    // Ids that came before this are forgotten.
    [[nodiscard]] wall_time before() const { return before_; }
    // Moves before() as time goes on and the topic grows; true if the store is to know.
    [[nodiscard]] bool forget_old(wall_time now, duration_us window, offset_t end);
    // The ids of the topic are not looked at any more: all that came are forgotten.
    void forget_all(wall_time now) { before_ = std::max(before_, now + duration_us{1}); }
    // When an id that comes now did, never before what is forgotten; the topic ends at `end`.
    // `told` is set if the store is to know what that changed.
    [[nodiscard]] wall_time arrive(wall_time now, offset_t end, bool& told);
    [[nodiscard]] message_ids_forgotten forgotten(topic_id of);

    void put(const std::string& id, const message_id_entry& entry, commit_number commit);
    // What an id led to, if it is not forgotten: as memory knows it, or else as the last read said.
    [[nodiscard]] std::optional<known_message_id> find(const std::string& id) const;
    // Whether find() needs no read for this one.
    [[nodiscard]] bool knows(const std::string& id) const {
        return lately_.contains(id) || read_.contains(id);
    }

    // Forgets what the store has by now, and what no read that is on its way may miss. True if
    // nothing is left to be forgotten.
    bool forget_applied(commit_number applied);

    // ---- what waits, in the order in which it came ----
    std::deque<waiting> line;
    std::optional<commit_number> read_since;  // a read for it is on its way
    bool noted = false;                       // in core::topics_with_ids
    reads_under_way reads;

    // The ids to look up next, for the first of those that wait; empty: all that the first needs
    // is known.
    [[nodiscard]] std::vector<std::string> unknown_ids() const;
    void take_read(const std::vector<std::string>& ids,
                   const std::vector<std::optional<message_id_entry>>& entries);
    // What the read said is good only for those that it was made for.
    void forget_read() { read_.clear(); }

private:
    wall_time before_{};
    wall_time told_{};              // what the store knows of it
    std::vector<done_mark> marks_;  // ascending; by their time all before `below` had come
    std::unordered_map<std::string, known_message_id> lately_;
    std::deque<std::pair<commit_number, std::string>> lately_log_;
    std::unordered_map<std::string, std::optional<message_id_entry>> read_;  // at read_since
};

}  // namespace brokerd::domain
