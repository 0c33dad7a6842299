// The oracle of the simulator: an independent, naive account of what brokerd must do, one entry per
// message and queue, no intervals, no cleverness. The world tells it every command and shows it
// every output at the moment the domain produces it; the first disagreement is thrown as
// `violation`. A crash takes it back to the copy made at the last durable commit.
// Single thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/domain/command.hpp"
#include "broker/domain/effects.hpp"
#include "protocol/types/error.hpp"
#include "protocol/types/ids.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"
#include "protocol/types/settings.hpp"
#include "protocol/types/time.hpp"
#include "tests/sim/model_content.hpp"
#include "tests/sim/model_filter.hpp"
#include "tests/sim/model_levels.hpp"
#include "tests/sim/model_limits.hpp"
#include "tests/sim/model_patterns.hpp"
#include "tests/sim/model_skips.hpp"
#include "tests/sim/model_state.hpp"

namespace brokerd::sim {

struct violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <typename... Args>
void expect(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) {
        throw violation(fmt::format(text, std::forward<Args>(args)...));
    }
}

// How many messages something concerns: not known exactly as long as some may have ended.
struct model_count {
    std::uint64_t least = 0;
    std::uint64_t most = 0;

    [[nodiscard]] bool takes(std::uint64_t told) const { return least <= told && told <= most; }
    [[nodiscard]] std::string text() const {
        return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
    }
};

// A message that never failed and waits in a queue though it has expired or is not for the queue.
struct overdue_message {
    std::string topic;
    std::string queue;
    offset_t offset = 0;
    bool of_age = false;
};

// Why a message turned out to be done.
enum class ended_by : std::uint8_t { nothing, age, sieve, bound };

// Deliveries that are right only for what was before.
struct odd_deliveries {
    std::uint64_t redriven = 0;  // expired since
    std::uint64_t spared = 0;    // not for the queue any more
};

// A filter that the broker reads as text, and what it means.
struct model_selection {
    std::string text;  // empty: all
    offset_t from = 0;
    std::optional<std::uint64_t> key;  // only of these
    std::optional<std::uint32_t> attempts_min;

    [[nodiscard]] bool takes(std::uint64_t content, const model_message& message) const {
        return (!key || key_of_content(content) == key) &&
               (!attempts_min || message.failed >= *attempts_min);
    }
};

class model {
public:
    model_state state;
    std::map<holder, model_consumer> consumers;
    broker_epoch epoch;

    // ---- what the world does ----
    void topic_created(const std::string& topic, topic_id id, std::uint8_t levels);
    void queue_created(const std::string& topic, const std::string& queue, queue_id id,
                       queue_mode mode, const queue_settings& settings, const model_sieve& sieve,
                       const position& asked, offset_t start);
    void queue_removed(const std::string& topic, const std::string& queue);
    void attached(holder who, model_consumer what);
    void detached(holder who, instant now);
    void connection_closed(connection_id connection, bool goodbye, instant now);
    void set_prefetch(holder who, std::uint32_t messages, std::uint64_t bytes);
    void paused(const std::string& topic, const std::string& queue, bool on);

    // A publish was accepted: checks the offset, learns the contents. What was scheduled may have
    // been appended before it.
    void published(const std::string& topic, producer_id producer, std::uint64_t first_sequence,
                   const std::vector<std::uint64_t>& contents,
                   const domain::publish_accepted& answer);
    // A publish for later was accepted.
    void scheduled(const std::string& topic, producer_id producer, std::uint64_t first_sequence,
                   model_schedule what, const domain::publish_accepted& answer);
    // Returns which were cancelled, as far as that is known now.
    std::set<std::uint64_t> cancelled(const std::string& topic,
                                      const std::vector<std::uint64_t>& ids, std::uint64_t told);
    // Learns from the page when schedules are due.
    // `newest`: the last one there was when it was asked; later ones may be missing.
    void listed(const codec::schedule_list& asked, std::uint64_t newest,
                const codec::schedules& page);
    [[nodiscard]] std::uint64_t newest_schedule(const std::string& topic) const;
    // A transaction was carried out, now or before: checks that it had to be.
    void transacted(const model_transaction& what, const codec::transacted& answer, instant now);
    // Nothing of it was carried out: checks that there is a reason.
    void transaction_refused(const model_transaction& what, const codec::error& why);
    // Somebody names leases of the queue: who was given them may be given others now.
    void named(const model_queue& queue, const lease_run& run);
    // Applies a settle and says how many of its leases were held.
    // `all_held`: the broker said that all were, and nothing speaks against it.
    std::uint64_t settled(const codec::settle& what, holder by, instant now, bool all_held = false);
    // Takes up one held lease again at attach; false if it is gone.
    bool taken_up(const std::string& topic, const std::string& queue, offset_t offset,
                  lease_id lease, holder by, instant now);
    bool taken_up(queue_id queue, offset_t offset, lease_id lease, holder by, instant now);
    // A chunk was closed: what it holds is in the queues now. `latest` = as late as it may be for
    // the domain. Returns how many schedules it holds.
    std::uint64_t sealed(const domain::chunk& data, wall_time latest);
    // A commit was cut: all that was accepted is in its chunks.
    void cut();
    odd_deliveries delivered(connection_id connection, consumer_id consumer,
                             const domain::record_run& run, instant now);
    void expire(instant now);
    void trimmed(topic_id topic, offset_t first);
    // Returns how many are ready afterwards. `end`: of the topic when it was asked for; what came
    // since may be counted.
    model_count sought(const std::string& topic, const std::string& queue, offset_t position,
                       offset_t end);
    // What a slice that ended at `until` concerned.
    model_count purged(const std::string& topic, const std::string& queue,
                       const model_selection& which = {}, offset_t until = offset_end);
    model_count redriven(const std::string& topic, const std::string& queue, instant now,
                         const model_selection& which = {}, offset_t until = offset_end);
    model_count dead_purged(const std::string& topic, const std::string& queue,
                            const model_selection& which = {}, offset_t until = offset_end);

    // ---- times to live ----
    // The domain is given this instant from now on.
    void time_is(instant now, wall_time in_the_domain);
    [[nodiscard]] instant now() const { return now_; }
    [[nodiscard]] wall_time wall() const { return wall_; }
    // From now on messages without a time to live of their own have this one.
    void ttl_changed(const std::string& topic, duration_us ttl);
    // The domain made a message dead because it had expired: checks that it had.
    void died_of_age(queue_id queue, offset_t offset);
    // A queue is being moved: what dies before sought() is heard of after it.
    void hold_deaths() { deaths_held_ = true; }
    // Whether it waits although it has expired, or had: it may end at any time.
    [[nodiscard]] bool is_in_doubt(queue_id queue, offset_t offset);
    // What a lease from before it died of age is worth once it was redriven: nobody has promised.
    [[nodiscard]] bool is_worth_unknown(queue_id queue, offset_t offset);
    // Whether it may be done by now without anybody having said so.
    [[nodiscard]] bool may_have_ended(const model_topic& topic, const model_queue& queue,
                                      offset_t offset, const model_message& message) const;
    [[nodiscard]] std::vector<overdue_message> overdue() const;

    // ---- filters and ends of queues ----
    // It is asked for, and takes effect at once or later.
    void sieve_changing(const std::string& topic, const std::string& queue, model_sieve what);
    // What was asked for last was acknowledged.
    void sieve_changed(const std::string& topic, const std::string& queue);
    [[nodiscard]] bool is_changed_by(const std::string& topic, const std::string& queue,
                                     const model_sieve& what) const;
    // How many messages were done at once, as they were not for their queue.
    [[nodiscard]] std::uint64_t sifted_at_once() const { return sifted_at_once_; }
    // What is told of the filter and the end in force.
    void check_sieve(const std::string& topic, const std::string& queue,
                     const queue_settings& told) const;
    // The answer when a queue that exists was to be created with these.
    void check_existing(const std::string& topic, const std::string& queue,
                        const model_sieve& asked, const codec::queue_created& told) const;

    // ---- message ids ----
    // A publish with an id was refused because of it: checks that it had to be.
    void id_refused(const std::string& topic, std::uint64_t content, bool scheduled,
                    const failure& why) const;
    // From now on ids are remembered for so long.
    void id_window_changed(const std::string& topic, duration_us window);
    // What happened since with messages that have an id, as marks.
    [[nodiscard]] std::vector<const char*> take_id_marks() { return std::exchange(id_marks_, {}); }

    // ---- topics of durability os ----
    void level_changed(const std::string& topic, durability level);
    // The topic goes on behind offsets that it had reserved. Returns how many are new.
    std::uint64_t skipped(const domain::offsets_skipped& what);
    // The broker runs: from now on nothing is skipped.
    void started(duration_us age_grace) {
        may_skip_ = false;
        age_grace_ = age_grace;
    }

    // ---- clones of queues ----
    // Checks that the new queue has the settings of the other one.
    void cloned(const std::string& topic, const std::string& source, const std::string& name,
                const codec::queue_created& told, instant now);

    // ---- temporary queues ----
    // Somebody makes sure that there is one: its time begins anew.
    void queue_used(const std::string& topic, const std::string& queue);
    void expires_changed(const std::string& topic, const std::string& queue, duration_us expires);
    // The broker removed it: checks that its time was over.
    void queue_expired(queue_id id, instant now);
    // Those whose time is over have gone.
    void check_temporary(instant now) const;

    // ---- bounds of topics ----
    // They are so from now on.
    void bounds_changed(const std::string& topic, const model_bounds& bounds);
    // A request of an administrator concerns the queue, and the model hears of it at the end; none:
    // that was it.
    void administered(queue_id queue);
    // What a commit says of the messages of a queue: what is done without any other reason was
    // dropped, and the bounds must allow it.
    void ledger_stored(queue_id queue, offset_t floor, const std::vector<domain::state_run>& runs);
    void drops_stored(const domain::messages_dropped& what);
    // A commit is sealed: what had to be dropped was, and all of it is counted. `reads_open`: the
    // broker waits for reads.
    void bounds_kept(bool reads_open);
    // A publish was refused as there is no room for it.
    void refused_as_full(const std::string& topic, producer_id producer,
                         std::uint64_t first_sequence, const std::vector<std::uint64_t>& contents,
                         bool later, const failure& why);
    // What a list tells of the topic, behind a commit that was sealed.
    void check_topic(const codec::topic_item& item) const;
    // What happened since, as marks.
    [[nodiscard]] std::vector<const char*> take_limit_marks() {
        return std::exchange(limit_marks_, {});
    }

    // ---- pattern queues ----
    // Why a rule must not be made; it may exist. `queues_max`: of a topic.
    [[nodiscard]] std::set<error_code> rule_obstacles(const std::string& path,
                                                      const model_rule& asked,
                                                      std::size_t queues_max) const;
    // It was made, and these queues with it: checks that they are those of its topics. Returns how
    // many there were before.
    std::uint64_t rule_made(const std::string& path, model_rule what, const position& start,
                            const std::vector<domain::queue_created>& made);
    // A topic was created, and these queues with it: likewise. Returns how many are of rules.
    std::uint64_t rules_applied(const std::string& topic,
                                const std::vector<domain::queue_created>& made);
    // The rule and its queues are to have other settings, and have them. Returns how many queues
    // are not as before.
    void rule_replacing(const std::string& path, const model_sieve& sieve);
    std::uint64_t rule_replaced(const std::string& path, const queue_settings& settings,
                                const model_sieve& sieve);
    void rule_removed(const std::string& path, bool queues, instant now);
    void topic_removed(const std::string& topic);
    [[nodiscard]] std::vector<queue_path> queues_of(const model_rule& rule) const;
    // Its queues that no other rule means.
    [[nodiscard]] std::vector<queue_path> only_of(const std::string& path) const;
    [[nodiscard]] std::set<queue_id> members_of(const std::string& pattern) const;
    // Whether it is attached to the queue, or to a rule whose queue this is.
    [[nodiscard]] bool serves(const model_consumer& one, const std::string& topic,
                              const std::string& queue) const;
    void check_rule(const std::string& path, const queue_settings& asked,
                    const codec::pattern_created& told) const;
    void check_rules(const std::vector<codec::pattern_item>& told) const;
    void check_settings(const codec::queue_item& item) const;
    void check_consumers(const std::vector<codec::consumer_item>& told) const;
    // The domain has given out what it could. `reads_open`: or waits for reads.
    void turn_ended(bool reads_open);

    // ---- levels of priority ----
    // A batch that mixes them was refused.
    void mixture_refused(const std::string& topic, const failure& why) const;
    // Whether all the chunk holds was accepted before, as far as was told.
    [[nodiscard]] bool knows_all_of(const domain::chunk& data) const;
    // What happened since, as marks.
    [[nodiscard]] std::vector<const char*> take_level_marks() {
        return std::exchange(level_marks_, {});
    }

    // ---- what must hold ----
    void check_counts(const codec::queue_item& item, instant now) const;
    // Learns from it when a retry is due and what has ended; returns why, if something had.
    ended_by check_shown(const std::string& topic, offset_t offset, const codec::shown& shown,
                         instant now);
    void check_dead(const std::string& topic, const std::string& queue,
                    const codec::dead& page) const;

    // The broker restarts with the state of `durable`; `clean`: it had said goodbye.
    void restarted(model_state durable, broker_epoch new_epoch, instant now, bool clean);

    [[nodiscard]] std::uint64_t held_by(holder who) const;
    [[nodiscard]] std::uint64_t scheduled_messages(const std::string& topic) const;
    // What it knows of a message, for traces.
    [[nodiscard]] std::string describe(queue_id queue, offset_t offset);
    [[nodiscard]] model_queue* find(queue_id id);
    // The topic of a queue and its name; nullptr: there is none.
    [[nodiscard]] std::pair<const std::string, model_topic>* owner_of(queue_id id);
    [[nodiscard]] bool is_held(queue_id queue, offset_t offset, lease_id lease);

private:
    // Whether it may have been dropped by now; the others: whether it may have ended without that.
    [[nodiscard]] static bool may_be_dropped(const model_topic& topic, offset_t offset,
                                             const model_message& message);
    [[nodiscard]] bool may_have_ended_itself(const model_topic& topic, const model_queue& queue,
                                             offset_t offset, const model_message& message) const;
    [[nodiscard]] bool is_in_doubt_itself(const model_topic& topic, const model_queue& queue,
                                          offset_t offset, const model_message& message) const;
    // Before anything changes what may be dropped: what may have been stays so.
    void note_dropped();
    void note_dropped(model_topic& topic);
    void note_bounds(model_topic& topic) const;
    // What the bounds ask for as things are.
    [[nodiscard]] model_drops drops_by_size(const model_topic& topic) const;
    [[nodiscard]] offset_t old_below(const model_topic& topic) const;
    [[nodiscard]] offset_t too_old_below(const model_topic& topic) const;
    [[nodiscard]] model_drops drops_of(const model_topic& topic) const;
    void keep_bounds(const std::string& name, model_topic& topic, bool reads_open);
    void check_drops(const std::string& name, model_topic& topic, model_count count);
    // Of a topic without queues: how many messages go with the commit that is sealed.
    [[nodiscard]] static model_count dropped_alone(const model_topic& topic,
                                                   const model_drops& drops);
    void check_trim_follows(const std::string& name, model_topic& topic, bool reads_open) const;
    [[nodiscard]] bool is_administered(const model_queue& queue) const {
        return queue.id == administered_;
    }
    // How many messages lie before the first pending one, at least and at most.
    [[nodiscard]] model_count before_pending(const model_topic& topic) const;
    // It may move back from here.
    void note_pending(model_topic& topic) const;
    [[nodiscard]] static model_count bytes_of(const model_topic& topic, std::uint64_t messages);
    // As many of the last messages as that leaves begin here.
    [[nodiscard]] static offset_t last_ones(const model_topic& topic, std::uint64_t messages);
    // A batch was stored at this offset: that there was room.
    void check_room(const std::string& name, const model_topic& topic, offset_t base,
                    std::uint64_t messages, std::uint64_t bytes, bool earlier) const;
    [[nodiscard]] bool may_be_full(const model_topic& topic, std::uint64_t messages,
                                   std::uint64_t bytes) const;
    [[nodiscard]] bool must_be_full(const model_topic& topic, std::uint64_t messages,
                                    std::uint64_t bytes) const;
    void note_waiting_schedules(const model_topic& topic);
    // The same for all of a transaction.
    void add_full(const model_transaction& what, bool possible, std::set<error_code>& to) const;
    [[nodiscard]] static bool belongs(const model_rule& rule, const std::string& topic,
                                      const std::string& name, const model_queue& queue);
    [[nodiscard]] std::vector<queue_path> served_by(const model_consumer& one) const;
    void make_of_rule(const model_rule& rule, const std::string& topic,
                      const std::vector<domain::queue_created>& made, const position& start);
    // Where a delivery comes from that names this queue, or none.
    [[nodiscard]] queue_path source_of(const model_consumer& one, queue_id told);
    // That a record fits the prefetch, whatever queues hold it.
    void check_bytes(holder who, offset_t offset, std::size_t bytes) const;
    [[nodiscard]] bool holds_lonely(holder who) const;
    [[nodiscard]] bool has_surely_ready(const model_topic& topic, const model_queue& queue) const;
    // Whether the batch, or a message with its id, was accepted before, and that the answer says
    // so. Learns the id.
    bool is_repeated(model_topic& to, producer_id producer, std::uint64_t first_sequence,
                     std::uint64_t content, bool is_scheduled,
                     const domain::publish_accepted& answer);
    // What a message with this content is; for one without an id it is fresh.
    [[nodiscard]] static known_as knows(const model_topic& topic, std::uint64_t content);
    // Of a publish in a transaction, by what it was given.
    [[nodiscard]] static bool repeats(const model_topic& topic, std::uint64_t content,
                                      bool is_scheduled, std::uint64_t base);
    void learn_id(model_topic& to, std::uint64_t content, bool is_scheduled, std::uint64_t value);
    void age_ids();
    // Whether message ids speak against it.
    [[nodiscard]] bool has_id_conflict(const model_transaction& what, bool possible) const;
    [[nodiscard]] std::size_t consumers_of(const std::string& topic,
                                           const std::string& queue) const;
    void consumer_left(const model_consumer& what, instant now);
    static void remember(model_topic& to, producer_id producer, std::uint64_t first_sequence,
                         std::size_t count, std::uint64_t first);
    // The schedule whose messages begin at an offset that no publish was given.
    static std::map<std::uint64_t, model_schedule>::iterator append_scheduled(
        model_topic& to, const domain::chunk& data, offset_t offset, wall_time latest);
    // Of those that were there before the chunk, none may come behind one that is due later.
    static void check_turn(const model_topic& to, std::uint64_t id, const model_schedule& what,
                           const domain::schedule_key& reached);
    // Why a transaction must be refused as things are, its sequences aside; or why it may be.
    [[nodiscard]] std::set<error_code> obstacles(const model_transaction& what, bool possible);
    bool taken_up(model_queue& queue, model_message& message, lease_id lease, holder by,
                  instant now);
    // Its holder has it until it is named.
    void owe(queue_id queue, const model_message& message);
    void forget_owed(queue_id removed);
    void fail_lease(model_queue& queue, model_message& message, attempt_outcome outcome,
                    std::optional<duration_us> delay, instant now);
    void release(model_message& message, instant now);
    // Forgets the attempt that a late answer of `lease` replaces.
    static void take_back(model_message& message, lease_id lease);
    // That a message may be given out as far as the order of its queue is concerned.
    void check_order(const model_topic& topic, const model_queue& queue, offset_t offset);
    // The same for a shared queue of a topic with several levels.
    void check_levels(const model_topic& topic, const model_queue& queue, offset_t offset);
    // Between done messages: runs of those that are done, dead or failed before.
    [[nodiscard]] model_count gaps_of(const model_topic& topic, const model_queue& queue) const;
    // All it holds is of one level, and that is the chunk's.
    static void check_lane(const model_topic& topic, const domain::chunk& data);
    void deliver_one(model_topic& topic, model_queue& queue, holder who, offset_t offset,
                     lease_id lease, std::uint32_t attempt, byte_view record, instant now);
    [[nodiscard]] bool holds(const model_queue& queue, const model_message& message,
                             lease_id lease) const;
    // First offset that is open and no exception.
    [[nodiscard]] offset_t floor(const model_topic& topic, const model_queue& queue) const;
    // wall_never: it does not expire.
    [[nodiscard]] static wall_time expiry_of(const model_topic& topic, offset_t offset,
                                             const model_message& message);
    [[nodiscard]] std::string age(const model_topic& topic, offset_t offset,
                                  const model_message& message) const;
    [[nodiscard]] bool has_expired(const model_topic& topic, offset_t offset,
                                   const model_message& message) const;
    [[nodiscard]] bool is_in_doubt(const model_topic& topic, const model_queue& queue,
                                   offset_t offset, const model_message& message) const;
    // Those that have expired, or are not for their queue, may have ended, from now on also if time
    // is set back, they get longer to live or the filter changes.
    void note_expired();
    [[nodiscard]] static model_record record_of(const model_topic& topic, offset_t offset);
    // Whether it may be given out, as far as the filter is concerned.
    [[nodiscard]] static bool may_be_for(const model_topic& topic, const model_queue& queue,
                                         offset_t offset, const model_message& message);
    // Whether it may be done at any time because it is not for the queue.
    [[nodiscard]] static bool may_be_sifted(const model_topic& topic, const model_queue& queue,
                                            offset_t offset, const model_message& message);
    [[nodiscard]] static std::string sieve_text(const model_topic& topic, const model_queue& queue,
                                                offset_t offset, const model_message& message);
    // A message that is ready ends where it is not for the queue and that needs no look.
    void sift(const model_queue& queue, model_message& message);
    // The message is new in the queue, at the end of the topic.
    void appended_to(const model_topic& topic, model_queue& queue, offset_t offset);
    void release_deaths();

    // Of queues that are not known yet, or are being moved.
    std::vector<std::pair<queue_id, offset_t>> deaths_;
    bool deaths_held_ = false;
    std::uint64_t sifted_at_once_ = 0;
    std::vector<const char*> id_marks_;
    bool ids_restarted_ = true;
    duration_us id_clock_{0};  // the broker's clock for ids is not behind monotonic time and this
    bool may_skip_ = false;
    duration_us age_grace_{0};  // nothing is dropped for its age so long after a start
    std::vector<const char*> limit_marks_;
    std::vector<const char*> level_marks_;
    std::uint64_t next_rule_ = 1;
    model_turns turns_;
    queue_id administered_;
    mono_time started_{};
    std::optional<duration_us> lag_max_;  // of the wall clock behind monotonic time, since then
    // The newest instant that the domain was given, and its wall time then.
    instant now_{};
    wall_time wall_{};
    wall_time latest_wall_{};  // since the last commit was sealed
};
// The content of a simulated message: its payload is this number.
[[nodiscard]] std::uint64_t content_of(byte_view record);

}  // namespace brokerd::sim
