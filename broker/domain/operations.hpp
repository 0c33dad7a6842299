// Everything the domain can do, one function per command or event, grouped by the file that holds
// them. Owner: the engine strand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/domain/core.hpp"
#include "protocol/filter/filter.hpp"

namespace brokerd::domain {

using exception_map = std::map<offset_t, known_exception>;

// ---- publish.cpp: batches into chunks ----
void publish(core& c, turn& t, asker who, const publish_request& what);
// Whether something new may be stored: it may not while the disk is nearly full.
[[nodiscard]] outcome<void> check_room(const core& c);
// The limits of the topic and of the broker for one message; the text says how to raise those that
// are in the way.
[[nodiscard]] outcome<void> check_size(const core& c, const topic& of, std::uint64_t bytes);
// All messages of a checked batch have one level of priority in the topic.
[[nodiscard]] outcome<void> check_level(const topic& of, byte_view batch);
// Appends a whole checked batch to the open chunk; returns the offset of its first message.
offset_t append_batch(core& c, turn& t, topic& of, byte_view batch, std::uint32_t count);
// Closes the open chunk of a topic: an `appended` mutation of the commit being gathered.
void seal_chunk(core& c, turn& t, topic& of);

// ---- message_ids.cpp ----
using ids_handler = std::function<void(core&, turn&, topic&, outcome<void>)>;
// The publish has an id, and its topic remembers ids.
[[nodiscard]] bool looks_at_id(const topic& of, const publish_request& what);
// Whoever publishes to the topic has to wait for its turn.
[[nodiscard]] bool something_waits_for_ids(const topic& of);
// Calls `then` as soon as find_id can tell these ids, behind what waits already: now, or in a later
// turn. A failure: they could not be read, or the topic goes.
void when_ids_are_known(core& c, turn& t, topic& of, std::vector<std::string> ids,
                        ids_handler then);
// What an id led to; nothing: it is new, or forgotten.
[[nodiscard]] std::optional<known_message_id> find_id(core& c, turn& t, topic& of,
                                                      const std::string& id);
// Refuses an id that was used for later by a publish for now, and the other way round.
[[nodiscard]] outcome<void> check_id_kind(const topic& of, const publish_request& what,
                                          const known_message_id& known);
// The publish led to this offset, or this schedule.
void remember_id(core& c, turn& t, topic& of, const publish_request& what, std::uint64_t value);
// The topic's window was another.
void message_id_window_changed(core& c, turn& t, topic& of, duration_us before);
void forget_applied_ids(core& c);
// The topic goes.
void forget_message_ids(core& c, turn& t, topic& of, const failure& why);
void restore_message_ids(topic& of, const message_ids_forgotten& stored);

// ---- reserve.cpp: offsets of topics of durability os ----
// What is published to the topic, delivered and read of it waits for no sync. Not while the broker
// stops, nor where nothing is ever synced.
[[nodiscard]] bool is_os(const core& c, const topic& of);
// More offsets were given out: far enough ahead of them none is without a durable reservation.
void reserve_offsets(core& c, turn& t, topic& of);
// The topic's settings are new: if its publishes are synced from now on it needs no reservation.
void reservation_changed(core& c, turn& t, topic& of);
void release_reservations(core& c, turn& t);
// At a start: what was reserved beyond the end is skipped. The topic's queues are there, and know
// the end as it was.
void skip_reserved(core& c, turn& t, topic& of);
// A queue begins or has moved: the skipped offsets from `from` on are done.
void skip_in_queue(core& c, turn& t, queue& q, offset_t from);
// The trim point has moved.
void forget_skipped(core& c, turn& t, topic& of);

// ---- seal.cpp: the end of a commit ----
void seal_commit(core& c, turn& t);
void cut_commit(core& c, commit_number next);
// Dispatches to all queues that were woken; what it has to read waits in turn (core::read).
void give_out_all(core& c, turn& t);

// ---- attach.cpp: connections and consumers ----
void attach(core& c, turn& t, asker who, const codec::attach& what);
void detach(core& c, turn& t, asker who, const codec::detach& what);
void set_prefetch(core& c, turn& t, asker who, const codec::set_prefetch& what);
void close_connection(core& c, turn& t, const connection_closed& what);
// A settle with a sequence that came over this connection waits for exceptions, and no more. Until
// then a detach and a goodbye behind it wait too.
void settle_waits(core& c, connection_id id);
void settle_waited(core& c, turn& t, connection_id id);
// What one that attaches asks for may be had.
[[nodiscard]] outcome<void> check_prefetch(std::uint64_t messages, std::uint64_t bytes);
[[nodiscard]] outcome<void> check_attachable(const core& c, const connection* from, consumer_id id);
// Takes up what a consumer held before; returns what it could not. `exceptions`: of those among
// them that unleased_exceptions names.
[[nodiscard]] std::vector<lease_run> take_up_held(core& c, turn& t, queue& q, consumer& one,
                                                  const std::vector<lease_run>& held,
                                                  const exception_map& exceptions);
// Ends a consumer: its leases go back to the queue, as an attempt each if it was `lost`.
void end_consumer(core& c, turn& t, consumer& one, bool lost);
// Ends every consumer of a queue that goes away.
void end_consumers(core& c, turn& t, queue& q, error_code code, const std::string& text);

// ---- attach_pattern.cpp: consumers of pattern queues ----
void attach_pattern(core& c, turn& t, asker who, const codec::pattern_attach& what);
// The queue is one of the rule's from now on: those that are attached to it get that, too.
void join_groups(core& c, turn& t, pattern_queue& of, queue& q);
// The queue of this member goes away.
void leave_group(core& c, turn& t, consumer& one, error_code code, const std::string& text);
// False: there is no such consumer, or not yet.
[[nodiscard]] bool detach_group(core& c, turn& t, asker who, const codec::detach& what);
void end_groups(core& c, turn& t, connection& from, bool lost);
// The rule goes.
void end_groups(core& c, turn& t, pattern_queue& of, const std::string& text);
// For health: queues that wait for a consumer which has as many as it may.
void warn_of_groups(const core& c, std::vector<std::string>& warnings);

// ---- leases.cpp: how a lease ends ----
// The span has been taken out of the table; its holder gets the room back.
void give_back_room(queue& q, const lease_span& span);
// Of a lease that ended without its holder's doing: its room comes back when somebody settles it,
// asks for it, or its time is over.
void keep_room(queue& q, lease_span span);
void forget_ended(core& c, queue& q, lease_run run);
void ack_span(core& c, turn& t, queue& q, const lease_span& span);
void release_span(core& c, turn& t, queue& q, lease_span span);
// A failed lease: one attempt. `delay` < 0 = the queue's back-off.
struct failed_lease {
    attempt_outcome outcome = attempt_outcome::nacked;
    std::string consumer;
    std::string reason;
    duration_us delay{-1};
};
void fail_span(core& c, turn& t, queue& q, const lease_span& span, const failed_lease& how);
// The attempt of one message: adds it to what was known of it before (nullptr = nothing) and makes
// the message retrying or dead.
void fail_message(core& c, turn& t, queue& q, offset_t offset, lease_id lease,
                  const exception_state* before, const failed_lease& how);
// Replaces the value of an exception; `before` as the store knows it.
void put_exception(core& c, turn& t, queue& q, offset_t offset, const exception_state* before,
                   exception_state value);
// The message is done: the exception goes, and the record that was kept for it.
void erase_exception(core& c, turn& t, queue& q, offset_t offset, const exception_state& before);
void expire_leases(core& c, turn& t, queue& q);
// A message that is not in flight is dead as its time to live is over. `key` for one without
// exception.
void expire_message(core& c, turn& t, queue& q, offset_t offset, const exception_state* before,
                    key_hash key);

// ---- late.cpp: leases that are not in the table ----
// Leases whose holder was lost, that expired, or that an earlier epoch gave: they still hold as
// long as the message was not leased again.
enum class late_lease : std::uint8_t {
    gone,       // not held any more
    untouched,  // of an earlier epoch; the message was not delivered since
    excepted,   // the message is retrying or dead because this lease failed, or it was leased when
                // the broker went down
};
// The last lease failed without a word of its holder.
[[nodiscard]] bool ended_silently(const exception_state& known);
// What `lease` of an earlier epoch or a lost holder is worth. `known` = the exception of the
// message, if it has one.
[[nodiscard]] late_lease judge_late(const core& c, const queue& q, offset_t offset, lease_id lease,
                                    const exception_state* known);
// Refuses more runs or leases than one request may name: what it costs and its answer are bounded.
[[nodiscard]] outcome<void> check_runs(const std::vector<lease_run>& runs);
// The messages of `runs` with an exception that decides: to be known before judging. Ascending.
[[nodiscard]] std::vector<offset_t> unleased_exceptions(const queue& q,
                                                        const std::vector<lease_run>& runs);
// How many messages from `offset`, which has no exception, up to `end` share its fate. Of them
// `lease` and those that follow it are named: where the fence lies among these, fates part.
[[nodiscard]] std::uint64_t same_fate(const queue& q, offset_t offset, lease_id lease,
                                      offset_t end);
// Takes a lease up again for `holder`; true if it held. Takes a `lost` attempt back.
[[nodiscard]] bool take_up(core& c, turn& t, queue& q, consumer& holder, offset_t offset,
                           lease_id lease, const exception_state* known, mono_time deadline);

// ---- settle.cpp ----
void settle(core& c, turn& t, asker who, codec::settle what);

// ---- transact.cpp ----
void transact(core& c, turn& t, asker who, transaction_request what);

// ---- exceptions.cpp: exceptions between memory and store ----
using exceptions_handler = std::function<void(core&, turn&, queue&, outcome<exception_map>)>;
// The exceptions of `offsets` (ascending), from memory and store, without their records. The
// handler is not called if the queue is removed meanwhile, but `gone` is.
void with_exceptions(core& c, turn& t, queue& q, std::vector<offset_t> offsets,
                     exceptions_handler then, std::function<void(turn&)> gone = {});
// Likewise with their records, as far as these exist. A few MiB of them are loaded at once: offsets
// below `below`, and one at least, were looked for; the others are for another time.
struct loaded_records {
    exception_map exceptions;
    offset_t below = offset_end;
};
using records_handler = std::function<void(core&, turn&, queue&, outcome<loaded_records>)>;
void with_records(core& c, turn& t, queue& q, std::vector<offset_t> offsets, records_handler then,
                  std::function<void(turn&)> gone = {});
// The exception of a message as it is now, for those handlers that settle or take up leases: a
// lease that was in the table may have ended during the fetch, and what was fetched may have been
// changed by an earlier run of the same request.
[[nodiscard]] std::optional<exception_state> newest_exception(const queue& q,
                                                              const exception_map& fetched,
                                                              offset_t offset);
// ---- transact.cpp, with what settle.cpp does for it ----
void transact(core& c, turn& t, asker who, transaction_request what);
// The first of these messages whose lease is not held any more, also not as a late one.
[[nodiscard]] std::optional<offset_t> first_not_held(const core& c, const queue& q,
                                                     const std::vector<lease_run>& runs,
                                                     const exception_map& exceptions);
// Settles leases all of which are held.
void settle_held(core& c, turn& t, queue& q, asker who, codec::transact_settle what,
                 const exception_map& exceptions);

// Loads what the due messages need to be dispatched.
void load_due(core& c, turn& t, queue& q, std::uint32_t wanted);
// Fetches the next part of the due index if its time has come; returns when that is.
mono_time advance_schedule(core& c, turn& t, queue& q);
// Makes due what is due by now, as far as memory knows. True if that is all: only then are states
// and counts of the queue exact. Else read_due, and look again in `then`, which always comes.
[[nodiscard]] bool catch_up(core& c, turn& t, queue& q);
void read_due(core& c, turn& t, queue& q, std::function<void(turn&)> then);
void forget_applied_exceptions(core& c);
// Memory knows the exception only because it was loaded to be given out, which it is not now.
void forget_if_loaded(queue& q, offset_t offset);
// The message is due, but to be delivered alone.
// Dropped from memory; it is loaded again when its turn comes.
void forget_record(queue& q, offset_t offset);
void set_alone(queue& q, offset_t offset);
// A read for the queue failed: it is tried again after a while, and explained meanwhile.
inline constexpr auto read_retry = std::chrono::seconds(1);
void fail_read(core& c, turn& t, queue& q, const failure& why);

// ---- ordered.cpp: the keys of queues of mode keyed and single; nothing in other queues ----
[[nodiscard]] key_hash key_of(const queue& q, byte_view record);
// The leases of these messages have ended.
void end_in_flight(queue& q, offset_range offsets);
// The lease of a message without exception has failed; returns the key to note with it.
key_hash key_of_failed(queue& q, offset_t offset);
// Given back by whoever held them: ready again, before what waits behind them. `key` for messages
// that were not in flight.
void return_in_order(queue& q, offset_range offsets, key_hash key = no_key);
// A retrying message blocks its key from now on, or does so no longer.
void begin_retrying(queue& q, key_hash key, offset_t offset);
void end_retrying(queue& q, key_hash key, offset_t offset);
// A retrying message whose exception has this key is in flight.
void lock_retry(queue& q, key_hash key, offset_t offset);
// The key of a ready message of an ordered queue that has no exception, read from the log if need
// be; unknown_key if that fails, no_key for any other message.
void with_key(core& c, turn& t, queue& q, offset_t offset,
              std::function<void(core&, turn&, queue&, key_hash)> then,
              std::function<void(turn&)> gone);
// Whether the message may be given out as far as its key is concerned. A retry must also have no
// older ready message of its key before it: none waits, and the cursor has passed it.
[[nodiscard]] bool key_is_free(const queue& q, key_hash key, offset_t offset);
[[nodiscard]] bool key_is_free_for_retry(const queue& q, key_hash key, offset_t offset);
// The key may have become free: what waits for it is looked at again.
void free_key(queue& q, key_hash key);
// Due retries look again whether their key is free.
void free_due(queue& q);
// The lease of an earlier epoch holds again; the message was not given out since.
void take_up_untouched(queue& q, offset_t offset);
// A message whose key was not known had this one.
void learn_key(queue& q, offset_t offset, key_hash key);

// ---- dispatch_ordered.cpp ----
void dispatch_ordered(core& c, turn& t, queue& q);

// ---- dispatch.cpp ----
// A message whose last holder was lost is given out alone: it may have been what killed it.
[[nodiscard]] bool must_be_alone(const exception_state& value);
void dispatch_all(core& c, turn& t);

// ---- expiry.cpp: times to live ----
// Looks at the topics whose time has come; core::expiry_deadline says when again.
void look_at_expiry(core& c, turn& t);
// A chunk was sealed; the topic's time to live has changed; a queue may hold what the looks have
// passed: its messages from `from` on are ready now.
void note_expiring(core& c, turn& t, topic& of, const chunk& data);
void expiry_changed(core& c, turn& t, topic& of);
void expire_again(core& c, turn& t, topic& of, offset_t from);
void restore_expiry(topic& of, const expiry_watched& what);
void resume_expiry(core& c, turn& t, topic& of);  // when all is restored
void forget_expiry(core& c, topic& of);

// ---- expire.cpp ----
// For dispatch: how many of these ready messages, from the first one on, are for the queue and have
// not expired, at most `live_max`; 0: the first is not or had, and was ended with those behind it
// that went the same way. Nothing: it is enough for now, or it has expired and this commit takes no
// more; the queue is looked at again soon. `data` holds the first one.
[[nodiscard]] std::optional<std::uint64_t> live_from(core& c, turn& t, queue& q, const chunk& data,
                                                     offset_range range, std::uint64_t live_max);
// For dispatch of a retry whose record is known: ends it if it has expired; true if it did.
[[nodiscard]] bool expire_retry(core& c, turn& t, queue& q, offset_t offset);

// ---- sift.cpp: what is for a queue ----
// The filter of a queue from its text; invalid_setting if it is none.
[[nodiscard]] outcome<filters::filter> filter_of_queue(std::string_view text);
// The queue's settings are new.
void set_sieve(core& c, queue& q);
// A chunk was sealed. A queue begins or goes back, or its filter has changed: what is ready from
// `from` on is looked at again.
void sift_appended(core& c, turn& t, topic& of, const chunk& data);
void sift_again(core& c, turn& t, queue& q, offset_t from);
// Looks at some of what is left to look at.
void sift_backlog(core& c, turn& t, queue& q);
// For dispatch: how many of these ready messages, from the first one on, are for the queue, about
// `count_max`; 0: the first was not, and was ended with those behind it that were not. Nothing:
// enough for now; the queue is looked at again soon. `data` holds the first one.
[[nodiscard]] std::optional<std::uint64_t> sifted_from(core& c, turn& t, queue& q,
                                                       const chunk& data, offset_range range,
                                                       std::uint64_t count_max);
// A ready message that was not looked at yet, and is not for the queue.
[[nodiscard]] bool is_unmatched(const queue& q, const chunk& data, offset_t offset);
void restore_sieve(core& c, turn& t, queue& q);
// A new queue has the ledger of `from`, and what is left to look at there is left here.
void copy_sieve(core& c, const queue& from, queue& to);

// ---- retention.cpp: the bounds of topics ----
// The first message that some queue has ready or leased; without queues the trim point; the end of
// the topic if there is none.
[[nodiscard]] offset_t first_pending(const topic& of);
// What some queue is not done with, those in the open chunk too: what max_messages and max_bytes
// bound.
struct pending_amount {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
};
[[nodiscard]] pending_amount pending_in(const topic& of);
// Before what is asked next: a queue came, goes, or was moved back.
void forget_slowest(const topic& of);
// Whether so much more may be published to the topic. topic_full, or message_too_large for what
// would not even fit if the topic were empty; the text says what to do.
[[nodiscard]] outcome<void> check_limits(core& c, const turn& t, topic& of, std::uint64_t messages,
                                         std::uint64_t bytes);
// Only the latter, for what is to be appended later.
[[nodiscard]] outcome<void> check_alone(const topic& of, std::uint64_t messages,
                                        std::uint64_t bytes);
// Whether what is due may be appended now; a topic that drops the oldest takes everything.
[[nodiscard]] bool has_room(const topic& of, std::uint64_t messages, std::uint64_t bytes);
// One may always be appended where nothing is pending.
[[nodiscard]] bool has_room(const topic& of, const schedule_book::batch_size& due);
// What is due next, as far as memory knows, has to wait.
[[nodiscard]] bool schedules_wait_for_room(const topic& of, wall_time now);
// `max_messages 1000, drop-oldest`, for texts.
[[nodiscard]] std::string bounds_text(const topic_settings& settings);
// The first offset from which on everything stored fits the bounds: what is done and only kept
// below it goes.
[[nodiscard]] offset_t fits_from(const topic& of);
// How many messages or bytes are pending is bounded.
[[nodiscard]] bool is_bounded(const topic_settings& settings);
// ---- retention_drop.cpp ----
// There is something for drop_excess to look at.
[[nodiscard]] bool has_bounds(const topic& of);
// Drops what is too old, or too much for a topic that drops the oldest: ready and leased messages
// are done in their queues, leases of them end. At the seal it is called when the chunks are
// closed. Returns when something is too old next; mono_never: nothing is going to be.
mono_time drop_excess(core& c, turn& t, topic& of);
// The topic's bounds are new.
void limits_changed(core& c, turn& t, topic& of, const topic_settings& before);
// The part of sealing: what was dropped goes into the commit.
void seal_drops(core& c, turn& t, topic& of);
void restore_drops(const turn& t, topic& of, const messages_dropped& stored);
void forget_drops(core& c, queue& q);  // the queue goes
// ---- retention_warnings.cpp ----
// For health: topics that are full, that drop, or that no queue reads; queues that nobody consumes.
void warn_of_retention(const core& c, instant now, std::vector<std::string>& warnings);
// Nobody has consumed the queue for an hour, and it has messages.
[[nodiscard]] bool is_abandoned(const queue& q, mono_time now);

// ---- trim.cpp ----
// Topics that wanted to be looked at by now are among those noted.
void note_due_trims(core& c, const turn& t);
// Of the topics noted. Before dispatch: what a turn has given out it does not drop.
void drop_all_excess(core& c, turn& t);
// Moves the trim points of the topics noted that may move; core::trim_deadline says when to look
// again.
void trim_topics(core& c, turn& t);

// ---- schedule.cpp ----
// When it is due, or why it can not be.
[[nodiscard]] outcome<wall_time> due_of(const turn& t, const schedule_time& when);
// Takes a publish for later; returns the id of the schedule.
std::uint64_t add_schedule(core& c, turn& t, topic& of, const publish_request& what, wall_time due);
// Appends what is due, fetches what comes next.
void look_at_schedules(core& c, turn& t);
// The topic may have room for what is due and waits for that.
void look_for_room(core& c, const turn& t, topic& of);
// The topic goes.
void forget_schedules(core& c, topic& of);
// The parts of sealing, cutting and restoring.
void seal_schedules(core& c, turn& t);
void forget_applied_schedules(core& c);
void restore_schedules(core& c, turn& t, const schedule_totals& totals);
void list_schedules(core& c, turn& t, asker who, const codec::schedule_list& what);
void cancel_schedules(core& c, turn& t, asker who, const codec::schedule_cancel& what);

// ---- services.cpp: requests and replies ----
void serve(core& c, turn& t, asker who, const codec::serve& what);
void unserve(core& c, turn& t, asker who, const codec::unserve& what);
void ask_service(core& c, turn& t, asker who, const service_request& what);
void reply_to_request(core& c, turn& t, asker who, const service_reply& what);
void list_services(core& c, turn& t, asker who, const codec::service_list& what);
// Ends the requests whose time is over.
void look_at_requests(core& c, turn& t);
// The connection's responders get nothing new.
void drain_services(core& c, turn& t, connection_id of);
// The connection has gone: what it asked for and what it was to answer.
void leave_services(core& c, turn& t, connection_id of);

// ---- admin_topics.cpp ----
void create_topic(core& c, turn& t, asker who, const codec::topic_create& what);
void set_topic(core& c, turn& t, asker who, const codec::topic_set& what);
void remove_topic(core& c, turn& t, asker who, const codec::topic_remove& what);
[[nodiscard]] outcome<void> check_settings(const topic_settings& settings);
// Makes a topic that does not exist; the name must be valid.
topic& make_topic(core& c, turn& t, const std::string& name, const topic_settings& settings);

// ---- admin_queues.cpp ----
void create_queue(core& c, turn& t, asker who, const codec::queue_create& what);
void set_queue(core& c, turn& t, asker who, const codec::queue_set& what);
void remove_queue(core& c, turn& t, asker who, const codec::queue_remove& what);
void pause_queue(core& c, turn& t, asker who, const codec::queue_pause& what);
// A temporary queue that had no consumer for long enough goes. True if it did: `q` is gone then.
[[nodiscard]] bool remove_if_expired(core& c, turn& t, queue& q);
[[nodiscard]] outcome<void> check_settings(const queue_settings& settings);
// Tells the store what the queue is like now.
void emit_changed(core& c, turn& t, const queue& q);
// Makes a queue that does not exist, of settings that are fine. What follows from where it begins
// is left to who calls.
queue& add_queue(core& c, turn& t, topic& of, const std::string& name, queue_mode mode,
                 const queue_settings& settings, offset_t start);
[[nodiscard]] failure too_many_queues(const topic& of);
// Takes a queue and everything that points to it out of memory.
void drop_queue(core& c, turn& t, queue& q, error_code code, const std::string& text);

// Its filter in the canonical form.
[[nodiscard]] outcome<queue_settings> settled(const queue_settings& asked);
// A queue that add_queue made, with nothing done yet, begins.
void begin_queue(core& c, turn& t, queue& q, offset_t start);
// The queue has these settings from now on; nothing happens if it has them already.
void change_settings(core& c, turn& t, queue& q, const queue_settings& settings);

// ---- patterns.cpp: pattern queues ----
void create_pattern(core& c, turn& t, asker who, const codec::pattern_create& what);
void list_patterns(core& c, turn& t, asker who, const codec::pattern_list& what);
void remove_pattern(core& c, turn& t, asker who, const codec::pattern_remove& what);
// `path` is PATTERN/QUEUE.
[[nodiscard]] outcome<pattern_queue*> find_pattern(core& c, std::string_view path);
// The queue has the rule's name and mode, and the rule means its topic.
[[nodiscard]] bool belongs(const pattern_queue& of, const queue& q);
// The rules that make a queue in a topic of this name, the oldest first, and of each queue name
// one.
[[nodiscard]] std::vector<const pattern_queue*> patterns_for(const core& c,
                                                             std::string_view topic_name);
// A topic was created: its queues by all rules.
void make_pattern_queues(core& c, turn& t, topic& of);
// A queue has come, or is restored; goes.
void join_patterns(core& c, turn& t, queue& q);
void leave_patterns(core& c, const queue& q);
void restore_pattern(core& c, const pattern_put& stored);
void restore_pattern(core& c, const pattern_erased& stored);

// ---- move.cpp: seek and purge ----
void seek_queue(core& c, turn& t, asker who, const codec::queue_seek& what);
void purge_queue(core& c, turn& t, asker who, const codec::queue_purge& what);
[[nodiscard]] failure busy_moving(const queue& q);
// The offset a position means, clamped to what is readable.
using position_handler = std::function<void(turn&, outcome<offset_t>)>;
void resolve_position(core& c, turn& t, topic& of, const position& at, position_handler then);

// ---- clone.cpp ----
void clone_queue(core& c, turn& t, asker who, const codec::queue_clone& what);

// ---- purge.cpp: a part of the ready and retrying messages ----
void purge_selected(core& c, turn& t, asker who, const codec::queue_purge& what);

// ---- levels.cpp: what is ready, by level of priority ----
void count_levels(core& c, turn& t, asker who, const codec::queue_levels& what);

// ---- dead.cpp ----
void list_dead(core& c, turn& t, asker who, const codec::dead_list& what);
void redrive_dead(core& c, turn& t, asker who, const codec::dead_redrive& what);
void purge_dead(core& c, turn& t, asker who, const codec::dead_purge& what);

// ---- read.cpp ----
void read_messages(core& c, turn& t, asker who, const codec::read& what);
// Answers the waiting reads of a topic: those that can be, and those whose time is over.
void answer_waiting(core& c, turn& t, topic& of);
void answer_overdue(core& c, turn& t);

// ---- listings.cpp ----
void list_topics(core& c, turn& t, asker who, const codec::topic_list& what);
void list_consumers(core& c, turn& t, asker who, const codec::consumer_list& what);
// list_queues.cpp
void list_queues(core& c, turn& t, asker who, const codec::queue_list& what);

// ---- show.cpp, explain.cpp (explain_waiting.cpp: why what is ready waits) ----
void show_message(core& c, turn& t, asker who, const codec::message_show& what);
void explain(core& c, turn& t, asker who, const codec::queue_explain& what);
// Why the queue does not move, or that it does; one sentence.
[[nodiscard]] std::string explain_queue(core& c, const turn& t, queue& q);
// What is the matter with one message; `known` = its exception, if it has one; `key` = its key, for
// one of an ordered queue without exception.
[[nodiscard]] std::string explain_message(core& c, const turn& t, queue& q, offset_t offset,
                                          const exception_state* known, key_hash key);
// One word for listings.
[[nodiscard]] std::string queue_state_word(core& c, const turn& t, queue& q);

// ---- restore.cpp, invariants.cpp ----
void restore(core& c, turn& t, const loaded_state& loaded);
[[nodiscard]] outcome<void> check_invariants(const core& c);

}  // namespace brokerd::domain
