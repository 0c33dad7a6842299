// Transactions: settles and publishes over any topics and queues, all of them or nothing. What
// cannot be decided from memory is fetched first; then everything is checked and done in one turn,
// so that one commit holds it. A refused transaction has changed nothing, and until it is carried
// out it has left no trace: a resend finds all of it or nothing.
//
// Its sequences are remembered like those of publishes, under no topic: one for each publish, with
// the offset or the id it led to; one for a transaction without publishes.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

using runs_by_queue = std::map<queue_id, std::vector<lease_run>>;

struct pending_transaction {
    asker who;
    transaction_request what;
    std::optional<failure> failed{};
    runs_by_queue runs{};                            // all that it settles
    commit_number since{};                           // what the store had when it began to read
    queue_id asked{};                                // the last queue that was looked at
    bool answered = false;                           // what was asked for it is known
    bool waiting = false;                            // for that
    std::map<queue_id, exception_map> exceptions{};  // of those that had something to fetch
    topic_id looked{};                               // the last topic whose ids were looked up
    // What the ids of its publishes led to. Memory keeps what comes after these commits meanwhile.
    std::map<std::pair<topic_id, std::string>, std::optional<known_message_id>> ids{};
    std::vector<std::pair<topic_id, commit_number>> held{};
};

producer_key window_key(const transaction_request& what) {
    return {topic_id{}, queue_id{}, what.producer};
}

// Answers a resend, and sequences that can be neither new nor a resend. True: it is new.
bool check_sequences(core& c, turn& t, asker who, const transaction_request& what) {
    if (what.producer == producer_id{} || what.first_sequence == 0) {
        c.refuse(t, who,
                 {error_code::invalid_argument,
                  "a transaction needs a producer, and a first sequence from 1 on"});
        return false;
    }
    producer_entry* entry = c.producers.find(window_key(what));
    if (entry == nullptr) {
        return true;
    }
    codec::transacted first_outcome{.duplicate = true, .publishes = {}};
    const std::uint64_t count = std::max<std::uint64_t>(what.publishes.size(), 1);
    std::uint64_t fresh = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto known = entry->window.check(what.first_sequence + i, 1);
        if (known.what == producer_window::verdict::too_old) {
            c.refuse(t, who,
                     {error_code::sequence_too_old,
                      fmt::format("sequence {} of producer {:016x} for transactions is older than "
                                  "the {} that are remembered (from {}); whether it was carried "
                                  "out is not known any more",
                                  what.first_sequence + i, what.producer.value(),
                                  limits::producer_window, entry->window.lowest())});
            return false;
        }
        fresh += known.what == producer_window::verdict::fresh ? 1U : 0U;
        first_outcome.publishes.push_back({known.value});
    }
    if (fresh == count) {
        return true;
    }
    if (fresh > 0) {
        c.refuse(t, who,
                 {error_code::sequence_mismatch,
                  fmt::format("sequences {} to {} of producer {:016x} were used in part by other "
                              "transactions; a resend must repeat the same transaction",
                              what.first_sequence, what.first_sequence + count - 1,
                              what.producer.value())});
        return false;
    }
    if (what.publishes.empty()) {
        first_outcome.publishes.clear();
    }
    ++c.counters.duplicates;
    c.answer(t, who, entry->last_commit, std::move(first_outcome));
    return false;
}

outcome<void> check_publishes(core& c, const turn& t, const transaction_request& what) {
    if (what.publishes.empty()) {
        return {};
    }
    if (auto room = check_room(c); !room) {
        return room;
    }
    for (const publish_request& each : what.publishes) {
        const auto found = c.find_topic(each.topic);
        if (!found) {
            return std::unexpected(found.error());
        }
        if (auto fits = check_size(c, **found, each.largest_record); !fits) {
            return fits;
        }
        if (auto level = check_level(**found, each.batch.view); !level) {
            return level;
        }
        if (each.later) {
            if (auto due = due_of(t, *each.later); !due) {
                return std::unexpected(std::move(due.error()));
            }
        }
    }
    return {};
}

runs_by_queue runs_of(const transaction_request& what) {
    runs_by_queue all;
    for (const codec::transact_settle& each : what.settles) {
        auto& runs = all[each.queue];
        std::ranges::copy_if(each.runs, std::back_inserter(runs),
                             [](const lease_run& run) { return run.count > 0; });
    }
    return all;
}

// A message that is named twice would be settled by the first and missed by the second.
outcome<void> check_once(const queue& q, std::vector<lease_run> runs) {
    std::ranges::sort(runs, {}, &lease_run::first_offset);
    for (std::size_t i = 1; i < runs.size(); ++i) {
        if (runs[i].first_offset - runs[i - 1].first_offset < runs[i - 1].count) {
            return refuse(
                error_code::invalid_argument,
                fmt::format("the transaction settles {} twice", q.address(runs[i].first_offset)));
        }
    }
    return {};
}

outcome<void> check_settles(core& c, const transaction_request& what, const runs_by_queue& all) {
    std::vector<lease_run> together;
    for (const codec::transact_settle& each : what.settles) {
        if (each.action == settle_action::release || each.action == settle_action::extend) {
            return refuse(error_code::invalid_argument,
                          fmt::format("a transaction cannot {} leases; it acks, nacks or rejects",
                                      to_string(each.action)));
        }
        together.insert(together.end(), each.runs.begin(), each.runs.end());
    }
    if (auto checked = check_runs(together); !checked) {
        return checked;
    }
    for (const auto& [id, runs] : all) {
        const queue* q = c.queue_by_id(id);
        if (q == nullptr) {
            return refuse(error_code::queue_removed,
                          fmt::format("there is no queue with identity {}: it was removed; attach "
                                      "again by name",
                                      id.value()));
        }
        if (auto checked = check_once(*q, runs); !checked) {
            return checked;
        }
    }
    return {};
}

const exception_map& exceptions_of(const pending_transaction& pending, queue_id id) {
    static const exception_map none;
    const auto at = pending.exceptions.find(id);
    return at == pending.exceptions.end() ? none : at->second;
}

outcome<void> check_held(core& c, const pending_transaction& pending, const runs_by_queue& all) {
    for (const auto& [id, runs] : all) {
        queue& q = *c.queue_by_id(id);
        if (const auto gone = first_not_held(c, q, runs, exceptions_of(pending, id))) {
            ++c.counters.stale_settles;
            for (const lease_run& run : runs) {
                forget_ended(c, q, run);
            }
            return refuse(
                error_code::lease_gone,
                fmt::format("the lease of {} is no longer held: it ended or the message was given "
                            "to another consumer; nothing of the transaction was done",
                            q.address(*gone)));
        }
    }
    return {};
}

void remember_sequence(core& c, turn& t, const transaction_request& what, std::uint64_t sequence,
                       std::uint64_t value) {
    if (auto erased =
            c.producers.record(window_key(what), sequence, 1, value, t.wall, c.gathering)) {
        c.emit(t, std::move(*erased));
    }
}

// What its id led to, if that is known: also to an earlier publish of the same transaction.
std::optional<known_message_id> known_id(core& c, turn& t, const pending_transaction& pending,
                                         topic& to, const publish_request& what) {
    if (!looks_at_id(to, what)) {
        return std::nullopt;
    }
    if (auto known = find_id(c, t, to, what.id)) {
        return known;
    }
    const auto at = pending.ids.find({to.id, what.id});
    const bool remembered =
        at != pending.ids.end() && at->second && at->second->entry.time >= to.ids->before();
    return remembered ? at->second : std::nullopt;
}

outcome<void> check_ids(core& c, turn& t, const pending_transaction& pending) {
    std::map<std::pair<topic_id, std::string>, known_message_id> new_ones;
    for (const publish_request& each : pending.what.publishes) {
        topic& to = **c.find_topic(each.topic);
        if (!looks_at_id(to, each)) {
            continue;
        }
        if (!pending.ids.contains({to.id, each.id})) {
            return refuse(error_code::busy,
                          fmt::format("topic {} remembers message ids only since the transaction "
                                      "came; nothing of it was done, try again",
                                      to.name));
        }
        const auto known = known_id(c, t, pending, to, each);
        const known_message_id first{{.scheduled = each.later.has_value()}, {}};
        const auto at = new_ones.try_emplace({to.id, each.id}, known.value_or(first)).first;
        if (auto fits = check_id_kind(to, each, at->second); !fits) {
            return fits;
        }
    }
    return {};
}

// What is new of all publishes to a topic has to fit into it together.
outcome<void> check_together(core& c, turn& t, const pending_transaction& pending) {
    std::map<topic_id, pending_amount> all;
    std::set<std::pair<topic_id, std::string>> ids;
    for (const publish_request& each : pending.what.publishes) {
        topic& to = **c.find_topic(each.topic);
        const std::uint64_t bytes = each.batch.view.size();
        if (known_id(c, t, pending, to, each) ||
            (looks_at_id(to, each) && !ids.emplace(to.id, each.id).second)) {
            continue;
        }
        if (!each.later) {
            all[to.id].messages += each.count;
            all[to.id].bytes += bytes;
        } else if (auto alone = check_alone(to, each.count, bytes); !alone) {
            return alone;
        }
    }
    for (const auto& [id, more] : all) {
        topic& to = *c.topic_by_id(id);
        if (auto room = check_limits(c, t, to, more.messages, more.bytes); !room) {
            return room;
        }
    }
    return {};
}

// Returns the offset or the id it led to, or had led to before.
std::uint64_t publish_part(core& c, turn& t, const pending_transaction& pending, topic& to,
                           const publish_request& what) {
    if (const auto known = known_id(c, t, pending, to, what)) {
        ++c.counters.duplicates;
        return known->entry.value;
    }
    const std::uint64_t base = what.later ? add_schedule(c, t, to, what, *due_of(t, *what.later))
                                          : append_batch(c, t, to, what.batch.view, what.count);
    if (looks_at_id(to, what)) {
        remember_id(c, t, to, what, base);
    }
    return base;
}

void carry_out(core& c, turn& t, pending_transaction& pending) {
    transaction_request& what = pending.what;
    for (codec::transact_settle& each : what.settles) {
        settle_held(c, t, *c.queue_by_id(each.queue), pending.who, std::move(each),
                    exceptions_of(pending, each.queue));
    }
    codec::transacted answer;
    std::uint64_t sequence = what.first_sequence;
    for (const publish_request& each : what.publishes) {
        topic& to = **c.find_topic(each.topic);
        if (&each == &what.publishes.back() && base::seeded_fault(base::fault::tear_transaction)) {
            remember_sequence(c, t, what, sequence++, to.next_offset());
            answer.publishes.push_back({to.next_offset()});
            continue;
        }
        const std::uint64_t base = publish_part(c, t, pending, to, each);
        remember_sequence(c, t, what, sequence++, base);
        answer.publishes.push_back({base});
    }
    if (what.publishes.empty()) {
        remember_sequence(c, t, what, sequence, 0);
    }
    c.dirty = true;
    t.out.urgent = true;
    c.answer(t, pending.who, c.gathering, std::move(answer));
}

// All is known: the rest happens in this turn.
void decide(core& c, turn& t, pending_transaction& pending) {
    if (!check_sequences(c, t, pending.who, pending.what)) {
        return;  // it came again and was carried out meanwhile
    }
    const runs_by_queue& all = pending.runs;
    outcome<void> fine;
    if (pending.failed) {
        fine = std::unexpected(std::move(*pending.failed));
    }
    if (fine) {
        fine = check_settles(c, pending.what, all);
    }
    if (fine) {
        fine = check_publishes(c, t, pending.what);
    }
    if (fine) {
        fine = check_ids(c, t, pending);
    }
    if (fine) {
        fine = check_together(c, t, pending);
    }
    if (fine) {
        fine = check_held(c, pending, all);
    }
    if (!fine) {
        c.counters.refused_publishes += pending.what.publishes.size();
        c.refuse(t, pending.who, std::move(fine.error()));
        return;
    }
    carry_out(c, t, pending);
}

void finish(core& c, turn& t, pending_transaction& pending) {
    for (const auto& [id, runs] : pending.runs) {
        if (queue* q = c.queue_by_id(id)) {
            q->exceptions.made().reads.end(pending.since);
        }
    }
    decide(c, t, pending);
    for (const auto& [id, since] : pending.held) {
        if (topic* to = c.topic_by_id(id)) {
            to->ids->reads.end(since);
        }
    }
    settle_waited(c, t, pending.who.connection);
}

// Looks up the ids of one topic after the other, behind what waits for its turn there.
void look_up_ids(core& c, turn& t, const std::shared_ptr<pending_transaction>& pending) {
    std::map<topic_id, std::vector<std::string>> all;
    for (const publish_request& each : pending->what.publishes) {
        const auto found = c.find_topic(each.topic);
        if (!found) {
            continue;  // refused in the end
        }
        topic& to = **found;
        if (looks_at_id(to, each)) {
            all[to.id].push_back(each.id);
        } else if (something_waits_for_ids(to)) {
            all[to.id];
        }
    }
    for (auto at = all.upper_bound(pending->looked); at != all.end() && !pending->failed; ++at) {
        pending->looked = at->first;
        pending->answered = false;
        pending->waiting = false;
        when_ids_are_known(
            c, t, *c.topic_by_id(at->first), at->second,
            [pending, ids = at->second](core& now, turn& later, topic& to, outcome<void> known) {
                if (known) {
                    const commit_number since = to.ids->read_since.value_or(now.applied());
                    to.ids->reads.begin(since);
                    pending->held.emplace_back(to.id, since);
                    for (const std::string& id : ids) {
                        pending->ids[{to.id, id}] = to.ids->find(id);
                    }
                } else {
                    pending->failed = std::move(known.error());
                }
                pending->answered = true;
                if (pending->waiting) {
                    look_up_ids(now, later, pending);
                }
            });
        if (!pending->answered) {
            pending->waiting = true;
            return;
        }
    }
    finish(c, t, *pending);
}

// Fetches for one queue after the other: many transactions over many queues must not fill the line
// of everybody's reads.
void fetch_and_decide(core& c, turn& t, const std::shared_ptr<pending_transaction>& pending) {
    for (auto at = pending->runs.upper_bound(pending->asked);
         at != pending->runs.end() && !pending->failed; ++at) {
        pending->asked = at->first;
        queue* q = c.queue_by_id(at->first);
        auto offsets = q == nullptr ? std::vector<offset_t>() : unleased_exceptions(*q, at->second);
        if (offsets.empty()) {
            continue;  // one that is gone refuses the transaction in the end
        }
        pending->answered = false;
        pending->waiting = false;
        with_exceptions(
            c, t, *q, std::move(offsets),
            [pending](core& now, turn& later, queue& of, outcome<exception_map> loaded) {
                if (loaded) {
                    pending->exceptions[of.id] = std::move(*loaded);
                } else {
                    pending->failed = std::move(loaded.error());
                }
                pending->answered = true;
                if (pending->waiting) {
                    fetch_and_decide(now, later, pending);
                }
            },
            [pending, &c](turn& later) {
                pending->answered = true;
                if (pending->waiting) {
                    fetch_and_decide(c, later, pending);
                }
            });
        if (!pending->answered) {
            pending->waiting = true;
            return;
        }
    }
    look_up_ids(c, t, pending);
}

}  // namespace

void transact(core& c, turn& t, asker who, transaction_request what) {
    if (!check_sequences(c, t, who, what)) {
        return;
    }
    // What is wrong anyway need not wait for fetches; it may go wrong meanwhile too.
    runs_by_queue runs = runs_of(what);
    outcome<void> fine = check_settles(c, what, runs);
    if (fine) {
        fine = check_publishes(c, t, what);
    }
    if (!fine) {
        c.counters.refused_publishes += what.publishes.size();
        c.refuse(t, who, std::move(fine.error()));
        return;
    }
    settle_waits(c, who.connection);
    // Memory must know what changes in any of the queues until all has come.
    for (const auto& [id, each] : runs) {
        c.queue_by_id(id)->exceptions.made().reads.begin(c.applied());
    }
    const auto pending = std::make_shared<pending_transaction>(pending_transaction{
        .who = who, .what = std::move(what), .runs = std::move(runs), .since = c.applied()});
    fetch_and_decide(c, t, pending);
}

}  // namespace brokerd::domain
