// The simulated world around the real domain: clients, a commit thread that may lose its last
// batch, and what was not synced, a store that answers when it likes, clocks that jump, crashes.
// One seed decides everything; the same seed gives the same trace. The model checks each step.
// Single thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/base/random.hpp"
#include "broker/domain/broker_state.hpp"
#include "broker/domain/wall_clock.hpp"
#include "broker/storage/memory_store.hpp"
#include "tests/sim/model.hpp"
#include "tests/sim/services.hpp"
#include "tests/sim/watchdog.hpp"

namespace brokerd::sim {

// Queues that a topic may have where they are cloned: it soon has as many.
inline constexpr std::size_t few_queues = 5;

struct world_options {
    std::uint64_t seed = 0;
    std::uint32_t steps = 400;
    bool trace = false;          // print every step to standard error
    trace_tail* tail = nullptr;  // told of every step
};

class world {
public:
    explicit world(world_options options);

    // The faulty phase, then a quiet one in which everything must come to an end.
    // Throws violation.
    void run();

    // A number over everything that happened, to compare two runs of one seed.
    [[nodiscard]] std::uint64_t trace_hash() const { return hash_; }
    // How often each thing happened, for coverage.
    [[nodiscard]] const std::map<std::string, std::uint64_t>& marks() const { return marks_; }

private:
    struct held_lease {
        queue_id queue;
        offset_t offset = 0;
        lease_id lease;
    };
    struct pending_publish {
        std::string topic;
        std::uint64_t sequence = 0;
        std::vector<std::uint64_t> contents;
        byte_buffer batch;
        std::optional<domain::schedule_time> later;
        std::uint64_t largest_record = 64;
    };
    struct sent_publish {
        connection_id connection;
        producer_id producer;
        pending_publish what;
        wall_time sent_min{};  // by the domain's wall clock
    };
    // A message that somebody was told to be stored.
    struct seen_message {
        std::uint64_t content = 0;
        bool synced = false;  // and no power cut may take it
    };
    struct confirmed_ack {
        queue_id queue;
        offset_t offset = 0;
    };
    struct pending_transaction {
        std::uint64_t sequence = 0;
        std::vector<pending_publish> publishes;  // without sequences
        std::vector<codec::transact_settle> settles;
        std::set<error_code> flaws;       // made on purpose
        std::vector<held_lease> leases;   // of the settles; held again if it is refused
        std::vector<confirmed_ack> acks;  // what it confirms if it is not
        bool accepted = false;            // and the client knows

        [[nodiscard]] std::uint64_t end() const {
            return sequence + std::max<std::uint64_t>(1, publishes.size());
        }
    };
    struct sent_transaction {
        connection_id connection;
        producer_id producer;
        pending_transaction what;
        wall_time sent_min{};  // by the domain's wall clock
    };
    struct named_schedules {
        std::string topic;
        std::vector<std::uint64_t> ids;
    };
    struct sim_client {
        connection_id connection;
        bool connected = false;
        producer_id producer;
        std::map<std::string, std::uint64_t> next_sequence;
        std::map<std::uint64_t, pending_publish> unanswered;  // by request
        std::vector<pending_publish> to_resend;
        std::uint64_t next_transaction = 1;                         // sequence
        std::map<std::uint64_t, pending_transaction> transactions;  // not answered, by request
        std::vector<pending_transaction> transactions_to_resend;
        std::optional<pending_transaction> answered;                          // one of the last
        std::map<std::uint32_t, std::pair<std::string, queue_id>> consumers;  // id -> path, queue
        std::vector<held_lease> held;
        std::map<std::uint64_t, std::uint32_t> detaches;  // request -> consumer, not answered
        std::set<std::uint32_t> ended;  // consumers the client was told the end of
        // Of consumers of pattern queues: the queues they were told to be attached to.
        std::map<std::uint32_t, std::set<queue_id>> joined;
    };

    // ---- steps ----
    void step();
    void do_publish(sim_client& who);
    void resend(sim_client& who);
    [[nodiscard]] std::optional<pending_publish> new_batch(sim_client& who,
                                                           std::uint64_t count_max);
    void send_publish(sim_client& who, pending_publish what);
    void do_settle(sim_client& who);
    void do_attach(sim_client& who);
    void do_detach(sim_client& who);
    void do_prefetch(sim_client& who);
    void do_disconnect(sim_client& who);
    void connect(sim_client& who);
    void do_admin();
    void do_look();
    void do_schedule(sim_client& who);
    void do_cancel(sim_client& who);
    void do_list(sim_client& who);
    void check_totals(sim_client& who);
    void check_queues(sim_client& who);
    // Compares what a queue lists as dead.
    void check_dead(sim_client& who, const std::string& path);
    void change_ttl(sim_client& who, const std::string& topic);
    // Creates a queue, perhaps with a filter, or makes sure that there is one. `expires`: of one
    // that is new.
    void make_queue(sim_client& who, const std::string& path, duration_us expires = duration_us{0});
    void remove_queue(sim_client& who, const std::string& path);
    void change_sieve(sim_client& who, const std::string& path);
    void try_bad_filter(sim_client& who, const std::string& path);
    // What only some seeds do.
    void do_extras();
    void change_window(sim_client& who);
    void change_level(sim_client& who);
    void do_clone(sim_client& who);
    void clone(sim_client& who, const std::string& path, const std::string& name);
    void settle_elsewhere(const std::string& path);
    void do_temporary(sim_client& who);
    void do_limits(sim_client& who);
    // With bounds and levels of priority, where there are any.
    void make_topic(sim_client& who, const std::string& topic);
    void change_bounds(sim_client& who, const std::string& topic, const model_bounds& to);
    void try_bad_bounds(sim_client& who, const std::string& topic);
    void publish_unread(sim_client& who);
    // Nothing is kept any more, and what waits finds room at some time.
    void relax_bounds(sim_client& who);
    // Asks for other levels of a topic, or the same.
    void set_levels(sim_client& who);
    void do_patterns(sim_client& who);
    void do_rule(sim_client& who);
    void make_rule(sim_client& who, const std::string& path, const codec::pattern_create& what,
                   const model_rule& asked);
    void replace_rule(sim_client& who, const std::string& path, const codec::pattern_create& what,
                      const model_rule& asked);
    void refuse_rule(sim_client& who, const codec::pattern_create& what,
                     const std::set<error_code>& reasons);
    void try_bad_rule(sim_client& who);
    void remove_rule(sim_client& who, const std::string& path);
    void make_own_topic(sim_client& who, const std::string& topic);
    void remove_topic(sim_client& who, const std::string& topic);
    void publish_own(sim_client& who);
    void change_member(sim_client& who);
    void check_patterns(sim_client& who);
    void attach_pattern(sim_client& who, const std::string& path, std::uint32_t prefetch,
                        std::uint64_t limit);
    // One consumer for each rule; returns the queues that they get.
    std::set<queue_id> attach_all_patterns(sim_client& who);
    void receive_queues(sim_client& who, const codec::pattern_queues& what);
    void check_joined() const;
    [[nodiscard]] bool is_told_of_end(const sim_client& who, std::uint32_t consumer) const;
    // One of the connection on this queue, or 0.
    [[nodiscard]] consumer_id consumer_on(const sim_client& who, queue_id queue);
    // A topic was created with what came behind `mark` of the mutations. Returns how many queues
    // it has because of rules. `priorities`: as asked for.
    std::uint64_t learn_topic(const std::string& topic, topic_id id, std::size_t mark,
                              std::uint8_t priorities = 0);
    [[nodiscard]] std::vector<domain::queue_created> queues_made_since(std::size_t mark) const;
    [[nodiscard]] std::size_t queues_max() const;
    void note_limit_marks();
    void check_drop_notices();
    void take_drop_notices();
    void do_transaction(sim_client& who);
    void send_transaction(sim_client& who, pending_transaction what);
    [[nodiscard]] pending_transaction new_transaction(sim_client& who);
    void add_settles(sim_client& who, pending_transaction& to);
    void add_flaw(pending_transaction& to);
    void do_services();
    void check_services();
    void advance();
    // Cuts what is gathered and hands it to the store.
    void start_commit(bool sync_is_due);
    void finish_commit();
    // What was not synced is lost, or only what was not applied.
    void crash();
    // With goodbye: nothing is lost, and nothing is skipped afterwards.
    void stop();
    // The broker is gone and comes back with what commit `last` left.
    void restart(commit_number last, bool clean, bool killed);
    void quiet();
    // Nobody is there to be given what has expired or is not for a queue: it has to end without.
    void rest();
    void leave_all();
    void begin_quiet();
    void settle_all(sim_client& worker);
    // What is done is not kept.
    void check_trim();
    // Throws violation.
    void explain_unrest();

    // ---- plumbing ----
    void start(commit_number last_durable);
    void apply(domain::command what);
    void turn();
    void apply_whole(domain::command what);
    void take_fetches();
    void settle_outputs();
    // `all_told`: whatever was accepted has been told by now.
    void learn_mutations(bool all_told = false);
    void observe(const domain::output& what);
    void observe_accepted(const domain::output& what, const domain::publish_accepted& accepted);
    void observe_refused(const domain::output& what, const domain::publish_refused& refused);
    void observe_full(const sent_publish& made, const failure& why);
    void observe_clone(const domain::output& what);
    void note_id_marks();
    void note_level_marks();
    void observe_schedules(const domain::output& what);
    void observe_transaction(const domain::output& what);
    [[nodiscard]] model_schedule schedule_of(const pending_publish& what, wall_time sent_min) const;
    void release_ready();
    void receive(const domain::output& what);
    void receive_accepted(sim_client& who, const domain::output& what,
                          const domain::publish_accepted& accepted);
    void receive_delivery(sim_client& who, const domain::delivery& what);
    void receive_cancelled(std::uint64_t request);
    void receive_transacted(sim_client& who, const domain::output& what);
    // From here on the broker is bound by what it said of a publish. `synced`: also after a power
    // cut.
    void hold_to(const pending_publish& what, std::uint64_t base_offset, bool synced);
    // Somebody was told of messages of a topic below `end`: no other will ever have their offsets.
    void told_of(topic_id topic, offset_t end);
    void note_synced();
    [[nodiscard]] bool sync_is_due() const;
    void check_seen(bool killed);
    void check_confirmed();
    void check_told() const;
    void check_read(const model_topic& topic, offset_t offset,
                    const domain::read_result& result) const;
    // The connection is gone: what it was not told is to be sent again.
    static void lose_answers(sim_client& who);
    // Lets transactions be decided, those of one connection or all.
    void await_transactions(std::optional<connection_id> of = std::nullopt);
    // What was acked in a queue may come again by order of an administrator.
    void forget_acks(queue_id queue);
    void check_kept_transactions() const;
    void lose_schedules();
    void check_kept_schedules() const;
    // Messages are to be settled, or answers are to come. `in_doubt`: also those that may be done
    // because they have expired.
    [[nodiscard]] bool has_open_messages(bool in_doubt) const;
    [[nodiscard]] bool has_unanswered() const;
    [[nodiscard]] bool has_schedules() const;
    [[nodiscard]] domain::schedule_time any_schedule_time();
    [[nodiscard]] std::uint64_t any_schedule(const model_topic& of);
    [[nodiscard]] pending_publish any_publish(std::uint64_t count_max);
    // Gives it a message id now and then; then it is alone.
    void give_id(pending_publish& to);
    // All of one level most of the time.
    void give_priority(pending_publish& to);
    [[nodiscard]] bool is_mixed(const pending_publish& what) const;
    // All are of one level now.
    static void unmix(const sim_client& who, pending_publish& what);
    // What a topic is created with; 0: nothing is said.
    [[nodiscard]] std::uint8_t any_levels();
    // One of a topic, of a message most of the time.
    [[nodiscard]] offset_t any_offset(const model_topic& of);
    // As they are, to change some.
    [[nodiscard]] topic_settings settings_of_topic(const std::string& topic) const;
    [[nodiscard]] std::uint64_t new_content();
    [[nodiscard]] std::uint64_t any_ttl_ms();
    [[nodiscard]] model_bounds any_bounds();
    // The settings of a queue but for filter and end: the same for a path in all of a run.
    [[nodiscard]] queue_settings settings_of(std::string_view path) const;
    // With filter and end, spelled in one way or another.
    [[nodiscard]] queue_settings settings_with(std::string_view path, const model_sieve& what);
    [[nodiscard]] offset_t near_end(offset_t end);
    [[nodiscard]] model_term any_term(offset_t end);
    [[nodiscard]] model_sieve any_sieve(offset_t end);
    [[nodiscard]] position any_start(offset_t end);
    void trace_leases(queue_id queue, const std::vector<lease_run>& runs);
    static void append_lease(std::vector<lease_run>& runs, const held_lease& held);
    [[nodiscard]] std::string any_topic() { return random_.chance(2, 3) ? "a" : "b"; }
    // The wall clock is new for the domain, or was set.
    void start_wall_clock();
    void note_wall_clock();
    [[nodiscard]] wall_time wall_min() const;
    [[nodiscard]] wall_time wall_max() const;
    // The domain is called at this instant.
    void observe_clock();
    void answer_fetch(std::size_t index);
    std::optional<domain::output> ask(sim_client& who, domain::request_body body);
    // Has the broker tell the state of a message; the model learns from it.
    void look_at(sim_client& who, const std::string& topic, offset_t offset);
    // From here on it is known which of these messages have ended, until the next turn: nothing is
    // on its way that could end one.
    void look_at_doubts(sim_client& who, queue_id queue, const std::vector<lease_run>& runs);
    void look_at_all_doubts(sim_client& who);
    std::string random_queue_path();
    [[nodiscard]] std::vector<std::string> queue_paths() const;
    void make_missing_queues(sim_client& who);
    [[nodiscard]] queue_mode mode_of(std::string_view path) const;
    model_queue& queue_at(const std::string& path);
    void note(std::string_view what, std::uint64_t number = 0);

    world_options options_;
    base::random random_;
    bool slow_store_;          // what is fetched takes several commits to come
    std::uint64_t ttl_share_;  // one in so many messages has a time to live; 0: nothing expires
    base::random sieve_random_;
    bool filters_;  // queues have filters and ends now and then
    base::random id_random_;
    bool ids_;  // messages have ids now and then
    base::random os_random_;
    bool os_;  // topics are of durability os now and then
    duration_us os_sync_interval_;
    base::random clone_random_;
    bool clones_;  // queues are cloned
    base::random temporary_random_;
    bool temporary_;  // some queues go by themselves
    base::random limit_random_;
    bool limits_;  // topics are bounded
    base::random pattern_random_;
    bool patterns_;  // there are pattern queues, and topics that come and go
    base::random level_random_;
    bool levels_;                 // topics have levels of priority
    bool was_restarted_ = false;  // and nobody has asked for its rules since
    instant now_;
    storage::memory_store store_;
    std::unique_ptr<domain::broker_state> domain_;
    domain::effects effects_;
    std::size_t mutations_seen_ = 0;  // of effects_
    model model_;
    service_clients services_;

    commit_number gathering_{1};
    commit_number durable_{0};
    commit_number applied_{0};  // at least durable_
    std::optional<commit_number> in_flight_;
    std::vector<domain::mutation> in_flight_batch_;
    bool in_flight_synced_ = true;
    mono_time sync_by_ = mono_never;               // for what was applied without a sync
    bool flushing_ = false;                        // the next commit is synced, whatever is in it
    std::map<std::uint64_t, model_state> copies_;  // model at each cut, by commit
    std::deque<domain::output> waiting_;           // outputs for a commit
    std::vector<domain::fetch> fetches_;

    std::vector<sim_client> clients_;
    std::uint64_t next_connection_ = 1;
    std::uint32_t next_request_ = 1;
    std::uint64_t next_content_ = 1;
    bool wants_commit_ = false;
    std::optional<std::uint64_t> asked_;  // request whose reply ask() waits for
    std::optional<domain::output> reply_;
    std::map<std::uint64_t, codec::settle> settles_;  // confirmed ones on their way
    std::map<std::uint64_t, std::uint64_t> settle_accepted_;
    std::map<std::pair<std::uint64_t, offset_t>, seen_message> seen_;  // by topic, offset
    std::map<std::uint64_t, offset_t> told_end_;                       // by topic
    std::map<std::uint64_t, sent_publish> publishes_;                  // not decided, by request
    // The last new one that was decided, by connection and topic.
    std::map<std::pair<std::uint64_t, std::string>, std::uint64_t> last_published_;
    std::map<std::pair<std::uint64_t, offset_t>, bool> confirmed_;  // queue, offset
    std::set<queue_id> removing_;                                   // by order of an administrator
    struct wanted_clone {
        std::string topic;
        std::string source;
        std::string name;
    };
    std::optional<wanted_clone> cloning_;                 // what is asked for
    std::map<std::uint64_t, named_schedules> cancels_;    // not answered, by request
    std::map<std::uint64_t, named_schedules> cancelled_;  // by answers on their way
    struct sent_list {
        codec::schedule_list what;
        std::uint64_t newest = 0;
    };
    std::map<std::uint64_t, sent_list> lists_;                // not answered, by request
    std::set<std::pair<std::uint64_t, std::uint64_t>> kept_;  // acknowledged: topic, schedule
    std::set<std::pair<std::uint64_t, std::uint64_t>> told_;  // cancelled, and the client knows
    std::map<std::uint64_t, sent_transaction> transactions_;  // not decided, by request
    // Acknowledged: producer, first sequence.
    std::set<std::pair<std::uint64_t, std::uint64_t>> kept_transactions_;
    // What the wall clock was ahead of monotonic time since the broker started. The domain follows
    // it slowly: its own is between these.
    duration_us ahead_min_{0};
    duration_us ahead_max_{0};
    domain::wall_clock clock_;                     // the domain's, as both are given the same
    wall_time latest_wall_{};                      // the domain's time never was beyond
    std::map<queue_id, offset_t> starts_;          // of queues, as the store is told
    std::map<std::string, mono_time> drops_told_;  // in the log, by topic
    std::vector<std::pair<domain::drop_notice, mono_time>> drop_notices_;  // to be checked
    std::map<std::string, std::uint64_t> marks_;
    std::uint64_t hash_ = 0;
};

}  // namespace brokerd::sim
