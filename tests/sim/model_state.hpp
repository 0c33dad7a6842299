// What the model knows of messages, queues, topics, schedules, transactions and consumers: what a
// crash takes back to the copy of the last durable commit, and consumers, which it ends.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/domain/command.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"
#include "tests/sim/model_filter.hpp"
#include "tests/sim/model_levels.hpp"
#include "tests/sim/model_limits.hpp"
#include "tests/sim/model_patterns.hpp"
#include "tests/sim/model_skips.hpp"

namespace brokerd::sim {

// A message in a queue as the model sees it. One that failed or was redriven is `retrying` here and
// ready from the moment it is due; the model knows that moment within the jitter of the back-off,
// after a restart within what it waited at first, and exactly else.
struct model_message {
    message_state state = message_state::ready;
    std::uint32_t failed = 0;   // attempts so far
    bool returned = false;      // was delivered before in this epoch
    bool excepted = false;      // failed or redriven before: stays so until done
    lease_id lease{};           // the newest lease
    lease_id failed_lease{};    // the newest lease that ended or was taken up again
    bool lease_failed = false;  // the last attempt is that of failed_lease
    std::vector<attempt_outcome> history{};
    holder by{};
    mono_time deadline{};
    mono_time due_min{};
    mono_time due_max{};
    duration_us wait_max{0};  // of the last failure
    bool lifted = false;      // redriven: its time to live does not count any more
    bool perhaps_done =
        false;                 // it expired while it waited for a consumer, or is not for the queue
    bool spared = false;       // was given out, or failed, since the filter last concerned it
    bool died_of_age = false;  // and no lease has ended since it was redriven
    bool perhaps_dropped = false;  // its topic may have, since the last commit was sealed
    bool taken_up = false;         // its lease was, last of all

    void wait(instant now, duration_us min, duration_us max) {
        due_min = now.mono + min;
        due_max = now.mono + max;
        wait_max = max;
    }
    [[nodiscard]] bool may_be_due(instant now) const {
        return state == message_state::retrying && now.mono >= due_min;
    }
    [[nodiscard]] bool must_be_due(instant now) const {
        return state == message_state::retrying && now.mono >= due_max;
    }
    // It waits for a consumer and nothing else, or may do so.
    [[nodiscard]] bool may_wait(instant now) const {
        return state == message_state::ready || may_be_due(now);
    }
    // The last attempt ended without a word of its holder: a late answer of that lease still holds.
    [[nodiscard]] bool ended_silently() const {
        return lease_failed && !history.empty() &&
               (history.back() == attempt_outcome::lost ||
                history.back() == attempt_outcome::expired);
    }
    [[nodiscard]] bool must_be_alone() const {
        return !history.empty() && history.back() == attempt_outcome::lost;
    }
};

struct model_queue {
    queue_id id;
    queue_mode mode = queue_mode::shared;
    queue_settings settings;
    offset_t start = 0;
    bool paused = false;
    lease_id fence{};
    lease_id newest{};  // of all leases given
    // What is for it: one of these. More than one while a change is not acknowledged.
    std::vector<model_sieve> sieves{model_sieve{}};
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> outcomes;  // of settles
    std::map<offset_t, model_message> messages;  // every one from start on
    mono_time unused_since{};                    // without a consumer; matters while it has none
    std::uint64_t dropped = 0;                   // as the last commit says
    std::optional<offset_t> told_floor;          // by the commit that is being sealed
    std::set<offset_t> gone_early;  // perhaps dropped, and done, since the last was sealed
    bool unsure = false;            // it was moved or purged since then

    [[nodiscard]] std::uint64_t count(message_state state) const;
    // Whether a message that was never given out is for it.
    [[nodiscard]] bool may_take(const model_record& of) const;
    [[nodiscard]] bool must_take(const model_record& of) const;
    [[nodiscard]] bool ends_before(offset_t offset) const;
    // There may be as many gaps between done messages as that makes; else some wait.
    [[nodiscard]] bool sifts_at_once() const { return settings.max_runs == limits::runs_default; }
};

enum class schedule_fate : std::uint8_t { scheduled, appended, cancelled };

// A batch to be appended later. When exactly is known if it was asked for so, or once it was
// listed: the domain follows the wall clock slowly.
struct model_schedule {
    std::vector<std::uint64_t> contents;
    wall_time due_min{};
    wall_time due_max{};
    std::uint64_t born = 0;  // chunks of the topic before it was accepted
    schedule_fate fate = schedule_fate::scheduled;
    bool left = false;  // was cancelled, or is in the open chunk: the end of the commit tells

    [[nodiscard]] bool waits() const { return fate == schedule_fate::scheduled && !left; }
    // The earliest and the latest place among all of the topic.
    [[nodiscard]] domain::schedule_key earliest(std::uint64_t id) const { return {due_min, id}; }
    [[nodiscard]] domain::schedule_key latest(std::uint64_t id) const { return {due_max, id}; }
};

// Schedules that are not scheduled any more, so many of which were cancelled: the others must be in
// a chunk of the commit that is being gathered.
struct schedules_left {
    std::set<std::uint64_t> ids;
    std::uint64_t cancelled = 0;
};

// What is at an offset between two publishes until its chunk is closed; no message is this one.
inline constexpr std::uint64_t unknown_content = 0;

// What the first publish with a message id led to, and for how long it has been remembered.
struct model_id {
    std::uint64_t value = 0;  // its offset, or the id of its schedule
    bool scheduled = false;
    mono_time born{};
    wall_time born_clock{};  // by the broker's clock for this, or before
    duration_us leapt{0};    // that clock may be ahead of monotonic time by so much more since
    // Since when its time runs whatever the broker counts by: the clock of a start may stand where
    // it was when this came.
    mono_time since{};
    bool old = false;     // a start came in between
    bool fading = false;  // it may have been forgotten
    bool gone = false;    // it must have been

    [[nodiscard]] duration_us age_max(mono_time now) const { return now - born + leapt; }
};

// Whether a message with an id was there before.
enum class known_as : std::uint8_t { fresh, perhaps, known };

struct model_topic {
    topic_id id;
    std::uint8_t levels = 1;  // of priority
    offset_t trim = 0;
    std::vector<std::uint64_t> contents;  // of all messages, in order
    std::vector<wall_time> appended;      // likewise, up to the end
    skipped_offsets skipped;
    offset_t end = 0;    // what is beyond is published but in no commit yet: in no queue
    duration_us ttl{0};  // of messages without a time to live of their own; 0: they have none
    durability level = durability::disk;
    bool reserves = false;  // its level was os before, or is
    duration_us id_window = limits::message_id_window_default;
    std::uint64_t chunks = 0;
    std::map<std::string, model_queue> queues;
    // By producer and sequence: the offset, or the id of the schedule.
    std::map<std::pair<std::uint64_t, std::uint64_t>, offset_t> sequences;
    std::map<std::uint64_t, model_schedule> schedules;  // all there ever were, by id
    std::vector<schedules_left> undecided;
    std::map<std::string, model_id> ids;
    // Of publishes that were not stored again because of their id. Whether they are remembered as
    // well nobody has promised.
    std::map<std::pair<std::uint64_t, std::uint64_t>, offset_t> repeated;
    model_limits limits;

    // Behind all that was published.
    [[nodiscard]] offset_t next() const { return contents.size() + skipped.total(); }
    [[nodiscard]] bool has(offset_t offset) const {
        return offset < next() && !skipped.contains(offset);
    }
    [[nodiscard]] std::size_t place(offset_t offset) const {
        return offset - skipped.below(offset);
    }
    [[nodiscard]] std::uint64_t& content(offset_t offset) { return contents.at(place(offset)); }
    [[nodiscard]] std::uint64_t content(offset_t offset) const {
        return contents.at(place(offset));
    }
    [[nodiscard]] wall_time appended_at(offset_t offset) const {
        return appended.at(place(offset));
    }
    [[nodiscard]] std::uint8_t level_of(offset_t offset) const {
        return level_of_content(content(offset), levels);
    }
    // A batch of these must be refused.
    [[nodiscard]] bool mixes_levels(const std::vector<std::uint64_t>& of) const;
};

// One transaction as it is sent.
struct model_transaction {
    struct publish {
        std::string topic;
        std::vector<std::uint64_t> contents;
        std::optional<model_schedule> later;
    };
    producer_id producer;
    std::uint64_t first_sequence = 0;
    std::vector<publish> publishes;
    std::vector<codec::transact_settle> settles;
    std::set<error_code> flaws;  // for which it is refused at any time

    [[nodiscard]] std::uint64_t sequences() const {
        return std::max<std::uint64_t>(1, publishes.size());
    }
};

struct model_state {
    std::map<std::string, model_topic> topics;
    std::map<std::string, model_rule> rules;  // of pattern queues, by PATTERN/QUEUE
    // Those carried out, by producer and first sequence: what each publish was given.
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<offset_t>> transactions;
};

struct model_consumer {
    std::string topic;
    std::string queue;
    std::uint32_t prefetch = 0;
    std::uint64_t limit = 0;  // deliveries left; only with has_limit
    bool has_limit = false;
    // Leases it was given and nobody has named since, and when their time is over: they take its
    // room, also if they ended before.
    std::map<std::pair<queue_id, lease_id>, mono_time> owed{};
    std::string pattern{};  // of all queues of a rule, and then not of the one above
    std::uint64_t prefetch_bytes = limits::prefetch_bytes_default;
};

}  // namespace brokerd::sim
