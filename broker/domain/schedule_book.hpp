// What is scheduled for a topic: batches that are appended to it when they are due. Pure.
//
// In memory are only those due next, within a budget; the rest is in the store and is fetched as
// time goes on. A position divides the two: every schedule before known() is in memory.
//
// The store lags behind by up to two commits. What was added or taken out since is remembered until
// the store has it and no read began before that: so what a read brings can be corrected, and
// nothing is lost or appended twice.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/command.hpp"
#include "broker/domain/mutation.hpp"
#include "broker/domain/reads_under_way.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/time.hpp"

namespace brokerd::domain {

class schedule_book {
public:
    // How far ahead of time schedules are fetched, and how long before that is used up.
    static constexpr duration_us horizon = std::chrono::minutes(1);
    static constexpr duration_us fetch_margin = std::chrono::seconds(10);
    // Batches kept in memory, of one topic and of all; a part of the store that is fetched.
    static constexpr std::size_t bytes_max = std::size_t{2} << 20;
    static constexpr std::size_t count_max = 2048;
    static constexpr std::size_t all_bytes_max = std::size_t{16} << 20;
    static constexpr std::size_t fetch_bytes_max = bytes_max / 2;
    static constexpr std::uint32_t fetch_count_max = count_max / 2;

    // `all_bytes` = what all books keep, counted together.
    explicit schedule_book(std::size_t& all_bytes) : all_bytes_(all_bytes) {}
    ~schedule_book() { all_bytes_ -= soon_bytes_; }
    schedule_book(const schedule_book&) = delete;
    schedule_book& operator=(const schedule_book&) = delete;

    void load(const schedule_totals& totals) { totals_ = totals; }
    [[nodiscard]] const schedule_totals& totals() const { return totals_; }

    // The id of the next schedule; never the same again.
    [[nodiscard]] std::uint64_t take_id() { return totals_.next_id++; }
    void add(scheduled_batch what, commit_number commit, wall_time now);
    // It was appended or cancelled. Must be scheduled.
    void remove(const scheduled_batch& what, commit_number commit);

    // The next one that is due, if memory knows it.
    [[nodiscard]] const scheduled_batch* first() const {
        return soon_.empty() ? nullptr : &soon_.begin()->second;
    }
    // What is due by `now` and comes next, as far as memory knows: the first one it holds, or one
    // that it has given back to the store.
    struct batch_size {
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] std::optional<batch_size> next_due(wall_time now) const;
    // Whether what the store returned is still to come.
    [[nodiscard]] bool is_scheduled(const schedule_key& key) const;
    // What was added since the store was written last, in order.
    [[nodiscard]] std::vector<const scheduled_batch*> added_lately() const;
    // The commit of the last change that may not be in the store yet.
    [[nodiscard]] commit_number last_change() const { return last_change_; }

    // ---- between memory and store ----
    [[nodiscard]] const schedule_key& known() const { return known_; }
    // How many only the store has.
    [[nodiscard]] std::uint64_t in_store() const { return totals_.schedules - soon_.size(); }
    [[nodiscard]] bool has_room() const;
    // What is due has to wait, as the topic is full or the disk: it must not keep the memory that
    // others need, and goes back to the store as long as there is too little of it.
    void wait_for_room();
    // Nothing but what memory holds is due before.
    void set_known(const schedule_key& until);
    // What the store has from `from` on, up to `until`.
    void take(std::vector<scheduled_batch>& items, const schedule_key& from,
              const schedule_key& until, wall_time now);
    reads_under_way reads;
    // Forgets what the store has by now, and what no read that is on its way may miss. True if
    // nothing is left to be forgotten.
    bool forget_applied(commit_number applied);

    // Memory and totals agree; a text for what does not.
    [[nodiscard]] std::optional<std::string> check() const;

    bool fetching = false;         // the part that comes next
    bool waits_for_room = false;   // what is due has to wait
    mono_time read_again{};        // a fetch failed: not before
    std::string read_error;        // of that fetch
    wall_time timer = wall_never;  // in core::schedule_timers
    mono_time wait = mono_never;   // in core::schedule_waits
    bool noted = false;            // in core::noted_schedules
    bool totals_changed = false;   // since the last seal

private:
    struct change {
        commit_number commit;
        std::optional<scheduled_batch> added;  // nothing: taken out
    };

    void keep(const scheduled_batch& what, wall_time now);
    void drop(std::map<schedule_key, scheduled_batch>::iterator at);
    void drop_last();
    [[nodiscard]] bool is_too_much(wall_time now) const;
    void note(const schedule_key& key, commit_number commit, std::optional<scheduled_batch> added);

    std::size_t& all_bytes_;
    schedule_totals totals_;
    std::map<schedule_key, scheduled_batch> soon_;  // all before known_
    std::size_t soon_bytes_ = 0;
    schedule_key known_{};
    std::optional<batch_size> given_back_;  // the batch at known_, if memory held it once
    std::map<schedule_key, change> lately_;
    std::deque<std::pair<commit_number, schedule_key>> lately_log_;
    commit_number last_change_;
};

// The position right behind a schedule.
[[nodiscard]] inline schedule_key behind(const schedule_key& key) {
    if (key.id != ~std::uint64_t{0}) {
        return {key.due, key.id + 1};
    }
    return key.due == wall_never ? key : schedule_key{key.due + duration_us{1}, 0};
}

}  // namespace brokerd::domain
