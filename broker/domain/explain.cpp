// Why a queue or one of its messages does not move, in one true sentence: one table for each state.
// Why what is ready is not given out is in explain_waiting.cpp.
#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/explain_reasons.hpp"
#include "broker/domain/human.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

using fill_ins = std::vector<std::string>;

// ---- attempts ----

// `nacked 1 s ago by w@host:1 ("busy")`, `expired 1 s ago at w@host:1`: nobody expires a lease.
std::string last_ending(const question& of) {
    const attempt& last = of.known->history.back();
    std::string_view word = "by";
    switch (last.outcome) {
        case attempt_outcome::expired: word = "at"; break;
        case attempt_outcome::lost: word = "with"; break;
        case attempt_outcome::nacked:
        case attempt_outcome::rejected: break;
        case attempt_outcome::ttl_expired:
            return fmt::format("its time to live was over {} ago", human(of.t.wall - last.time));
    }
    const std::string why =
        last.reason.empty() ? std::string{} : fmt::format(" (\"{}\")", printable(last.reason));
    return fmt::format("{} {} ago {} {}{}", to_string(last.outcome), human(of.t.wall - last.time),
                       word, last.consumer, why);
}

constexpr reason_row last_attempts[] = {
    {"no attempt failed", [](const question& of) { return of.known->history.empty(); }},
    {"redriven after its time to live was over, so it does not expire again",
     [](const question& of) {
         return of.known->attempts == 0 &&
                of.known->history.back().outcome == attempt_outcome::ttl_expired;
     }},
    {"redriven with all attempts; the last one: {}",
     [](const question& of) { return of.known->attempts == 0; },
     [](const question& of) { return fill_ins{last_ending(of)}; }},
    {"attempt {} of {} {}", [](const question&) { return true; },
     [](const question& of) {
         return fill_ins{fmt::format("{}", of.known->attempts),
                         fmt::format("{}", of.q.settings->attempts), last_ending(of)};
     }},
};

std::string last_attempt(const question& of) {
    return first_of(last_attempts, of);
}

// ---- states of a message ----

constexpr reason_row states_ready[] = {
    {"ready: {}", [](const question& of) { return of.known == nullptr; },
     [](const question& of) { return fill_ins{first_of(reasons_to_wait, of)}; }},
    {"ready: {}; {}", [](const question&) { return true; },
     [](const question& of) { return fill_ins{last_attempt(of), first_of(reasons_to_wait, of)}; }},
};

constexpr reason_row states_leased[] = {
    {"leased by {}",
     [](const question& of) { return of.q.leases->find_offset(of.offset) != nullptr; },
     [](const question& of) {
         return fill_ins{lease_text(of, *of.q.leases->find_offset(of.offset))};
     }},
};

constexpr reason_row states_retrying[] = {
    {"retrying: its attempts are not in the store",
     [](const question& of) { return of.known == nullptr; }},
    {"retrying: {}; due in {}", [](const question& of) { return of.known->due > of.t.retry_now; },
     [](const question& of) {
         return fill_ins{last_attempt(of), human(of.known->due - of.t.retry_now)};
     }},
    {"retrying: {}; due now: the queue is being moved by a seek or purge",
     [](const question& of) { return of.q.moving; },
     [](const question& of) { return fill_ins{last_attempt(of)}; }},
    {"retrying: {}; due now: reading failed ({}); it is tried again",
     [](const question& of) { return of.q.read_again > of.t.now.mono; },
     [](const question& of) { return fill_ins{last_attempt(of), of.q.read_error}; }},
    // Who explains has caught up, so nothing else keeps it from being ready.
    {"retrying: {}; due now, but its record is not in the store; it is looked for again when "
     "brokerd starts",
     [](const question&) { return true; },
     [](const question& of) { return fill_ins{last_attempt(of)}; }},
};

constexpr reason_row states_dead[] = {
    {"dead: its attempts are not in the store",
     [](const question& of) { return of.known == nullptr; }},
    {"dead: its time to live was over {} ago; it stays until it is redriven or purged: brokerctl "
     "dead redrive {}",
     [](const question& of) {
         return !of.known->history.empty() &&
                of.known->history.back().outcome == attempt_outcome::ttl_expired;
     },
     [](const question& of) {
         return fill_ins{human(of.t.wall - of.known->history.back().time), of.q.path()};
     }},
    {"dead: {}; it stays until it is redriven or purged: brokerctl dead redrive {}",
     [](const question&) { return true; },
     [](const question& of) { return fill_ins{last_attempt(of), of.q.path()}; }},
};

constexpr reason_row states_done[] = {
    {"done: it was published before the queue's first message",
     [](const question& of) { return of.offset < of.q.book.first(); }},
    {"done, removed", [](const question& of) { return of.offset < of.q.owner.trim; }},
    {"done; the queue ends before it, at {}",
     [](const question& of) { return of.q.sifting && of.offset >= of.q.sifting->until; },
     [](const question& of) { return fill_ins{fmt::format("{}", of.q.sifting->until)}; }},
    {"done; the queue's filter does not take it", is_not_taken},
    {"done", [](const question&) { return true; }},
};

// ---- a queue in which nothing is ready ----

std::string how_many(std::uint64_t count) {
    return fmt::format("{} {}", human_count(count, "message"), count == 1 ? "is" : "are");
}

std::size_t count_holders(const queue& q) {
    return static_cast<std::size_t>(
        std::ranges::count_if(q.consumers, [](const consumer* one) { return one->leased > 0; }));
}

std::string count_retrying(const question& of) {
    return human_count(of.q.retrying(), "message");
}

bool some_scheduled(const question& of) {
    return of.q.owner.scheduled && of.q.owner.scheduled->totals().messages > 0;
}

// They are due, as far as memory knows.
bool scheduled_due(const question& of) {
    const scheduled_batch* first = of.q.owner.scheduled->first();
    return first != nullptr && first->key.due <= of.t.wall;
}

constexpr reason_row ways_to_idle[] = {
    {"nothing waits: {} leased to {}", [](const question& of) { return of.q.leased() > 0; },
     [](const question& of) {
         return fill_ins{how_many(of.q.leased()), human_count(count_holders(of.q), "consumer")};
     }},
    {"nothing is ready: {} retrying, and the queue is being moved by a seek or purge",
     [](const question& of) { return of.q.retrying() > 0 && of.q.moving; },
     [](const question& of) { return fill_ins{count_retrying(of)}; }},
    {"nothing is ready: {} retrying, the next is due in {}",
     [](const question& of) { return of.q.retrying() > 0 && of.q.schedule.next() != wall_never; },
     [](const question& of) {
         return fill_ins{
             count_retrying(of),
             human(of.c.clock.mono_of_retry_time(of.q.schedule.next()) - of.t.now.mono)};
     }},
    {"nothing is ready: {} retrying, the next is due in more than {}",
     [](const question& of) {
         return of.q.retrying() > 0 && of.q.schedule.known_until() > of.t.retry_now;
     },
     [](const question& of) {
         return fill_ins{count_retrying(of), human(of.q.schedule.known_until() - of.t.retry_now)};
     }},
    {"nothing is ready: {} retrying, and reading when the next is due failed ({}); it is tried "
     "again",
     [](const question& of) { return of.q.retrying() > 0; },
     [](const question& of) { return fill_ins{count_retrying(of), of.q.read_error}; }},
    {"empty but for {}: see brokerctl dead ls {}",
     [](const question& of) { return of.q.dead() > 0; },
     [](const question& of) {
         return fill_ins{human_count(of.q.dead(), "dead message"), of.q.path()};
     }},
    {"empty, and at its end: messages from {} on are not for it",
     [](const question& of) { return of.q.sifting && of.q.sifting->until <= of.q.owner.end; },
     [](const question& of) { return fill_ins{fmt::format("{}", of.q.sifting->until)}; }},
    {"empty; what is scheduled for its topic is due, but the disk has no room for it: free some",
     [](const question& of) {
         return some_scheduled(of) && of.c.schedules_held && scheduled_due(of);
     }},
    {"empty; what is scheduled for its topic is due, but the topic is full ({}): other queues hold "
     "what it has",
     [](const question& of) {
         return some_scheduled(of) && schedules_wait_for_room(of.q.owner, of.t.wall);
     },
     [](const question& of) { return fill_ins{bounds_text(of.q.owner.settings)}; }},
    {"empty; reading what is scheduled for its topic failed ({}); it is tried again",
     [](const question& of) {
         return some_scheduled(of) && !of.q.owner.scheduled->read_error.empty();
     },
     [](const question& of) { return fill_ins{of.q.owner.scheduled->read_error}; }},
    {"empty; {} scheduled for its topic: see brokerctl schedule ls {}", some_scheduled,
     [](const question& of) {
         return fill_ins{how_many(of.q.owner.scheduled->totals().messages), of.q.owner.name};
     }},
    {"empty, and paused", [](const question& of) { return of.q.paused; }},
    {"empty", [](const question&) { return true; }},
};

// It takes what is retrying or dead along.
constexpr reason_row ways_to_go[] = {
    {"; the queue is removed in {} unless a consumer comes",
     [](const question& of) { return of.q.expires_at() != mono_never; },
     [](const question& of) { return fill_ins{human(of.q.expires_at() - of.t.now.mono)}; }},
};

// ---- a queue in which something is ready ----

constexpr reason_row ways_to_move[] = {
    {"{} {}: {}", [](const question& of) { return !first_of(reasons_to_wait, of).empty(); },
     [](const question& of) {
         return fill_ins{human_count(of.q.ready(), "message"), of.q.ready() == 1 ? "waits" : "wait",
                         first_of(reasons_to_wait, of)};
     }},
    {"moving: {} being given out to {}", [](const question&) { return true; },
     [](const question& of) {
         return fill_ins{how_many(of.q.ready()),
                         human_count(active_consumers(of.q).size(), "consumer")};
     }},
};

std::span<const reason_row> reasons_of(message_state state) {
    switch (state) {
        case message_state::ready: return states_ready;
        case message_state::leased: return states_leased;
        case message_state::retrying: return states_retrying;
        case message_state::dead: return states_dead;
        case message_state::done: return states_done;
    }
    return {};
}

// Of a message that failed: as noted then, or as learnt since.
key_hash key_of_exception(const queue& q, const exception_state& known, offset_t offset) {
    if (!q.order || known.key_hash != unknown_key) {
        return known.key_hash;
    }
    const auto learnt = q.order->learnt.find(offset);
    return learnt == q.order->learnt.end() || learnt->second == unknown_key ? no_key
                                                                            : learnt->second;
}

}  // namespace

std::string first_of(std::span<const reason_row> reasons, const question& of) {
    const auto found =
        std::ranges::find_if(reasons, [&](const reason_row& each) { return each.holds(of); });
    if (found == reasons.end()) {
        return {};
    }
    std::string text;
    std::string_view left = found->sentence;
    for (const std::string& each : found->fill == nullptr ? fill_ins{} : found->fill(of)) {
        const auto at = left.find("{}");
        text.append(left.substr(0, at)).append(each);
        left.remove_prefix(at + 2);
    }
    return text.append(left);
}

std::vector<std::string_view> explain_sentences() {
    const std::span<const reason_row> tables[] = {
        last_attempts, states_ready, states_leased, states_retrying, states_dead,
        states_done,   ways_to_idle, ways_to_go,    ways_to_move,    reasons_to_wait};
    std::vector<std::string_view> sentences;
    for (const auto table : tables) {
        for (const reason_row& each : table) {
            sentences.push_back(each.sentence);
        }
    }
    return sentences;
}

std::string explain_message(core& c, const turn& t, queue& q, offset_t offset,
                            const exception_state* known, key_hash key) {
    const key_hash its = known == nullptr ? key : key_of_exception(q, *known, offset);
    return first_of(reasons_of(q.state_of(offset)), {c, t, q, offset, known, its});
}

std::string explain_queue(core& c, const turn& t, queue& q) {
    question of{.c = c, .t = t, .q = q};
    if (q.ready() == 0) {
        return first_of(ways_to_idle, of) + first_of(ways_to_go, of);
    }
    of.key = key_of_all(q);
    return first_of(ways_to_move, of);
}

std::string queue_state_word(core&, const turn& t, queue& q) {
    if (q.paused) {
        return "paused";
    }
    if (q.too_many_retrying() || q.too_many_runs() ||
        (!q.read_error.empty() && q.read_again > t.now.mono)) {
        return "blocked";
    }
    if (q.ready() + q.leased() + q.retrying() == 0) {
        return "idle";
    }
    if (q.consumers.empty()) {
        return is_abandoned(q, t.now.mono) ? "abandoned" : "no consumer";
    }
    return q.ready() + q.leased() > 0 ? "active" : "retrying";
}

namespace {

// `again` starts anew when it turns out that more has to be read.
void explain_one(core& c, turn& t, asker who, queue& q, offset_t offset, key_hash key,
                 std::function<void(turn&)> again) {
    std::vector<offset_t> offsets;
    if (q.book.is_exception(offset) && !q.leased_retries.contains(offset)) {
        offsets.push_back(offset);
    }
    with_exceptions(
        c, t, q, std::move(offsets),
        [who, offset, key, again = std::move(again)](core& then, turn& later, queue& of,
                                                     outcome<exception_map> loaded) {
            if (!loaded) {
                then.refuse(later, who, loaded.error());
                return;
            }
            if (!catch_up(then, later, of)) {
                read_due(then, later, of, again);
                return;
            }
            const auto known = loaded->find(offset);
            then.answer(later, who, of.changed,
                        codec::explained{explain_message(
                            then, later, of, offset,
                            known == loaded->end() ? nullptr : &known->second.value, key)});
        },
        [who, &c](turn& later) {
            c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
        });
}

}  // namespace

void explain(core& c, turn& t, asker who, const codec::queue_explain& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    const auto again = [&c, who, what](turn& later) { explain(c, later, who, what); };
    if (!catch_up(c, t, q)) {
        read_due(c, t, q, again);
        return;
    }
    if (!what.has_offset) {
        c.answer(t, who, q.changed, codec::explained{explain_queue(c, t, q)});
        return;
    }
    if (what.offset >= q.owner.end) {
        c.refuse(t, who,
                 {error_code::not_found,
                  fmt::format("{} does not exist; the next message will be {}",
                              to_string(message_address{q.owner.name, what.offset}),
                              to_string(message_address{q.owner.name, q.owner.end}))});
        return;
    }
    with_key(
        c, t, q, what.offset,
        [who, offset = what.offset, again](core& then, turn& later, queue& of, key_hash key) {
            explain_one(then, later, who, of, offset, key, again);
        },
        [who, &c](turn& later) {
            c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
        });
}

}  // namespace brokerd::domain
