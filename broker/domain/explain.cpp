// Why a queue or one of its messages does not move, in one true sentence.
#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/human.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

std::string quoted_reason(const attempt& last) {
    return last.reason.empty() ? std::string{} : fmt::format(" (\"{}\")", printable(last.reason));
}

// `nacked 1 s ago by w@host:1 ("busy")`, `expired 1 s ago at w@host:1`: nobody expires a lease.
std::string ending(const turn& t, const attempt& of) {
    std::string_view word = "by";
    switch (of.outcome) {
        case attempt_outcome::expired: word = "at"; break;
        case attempt_outcome::lost: word = "with"; break;
        case attempt_outcome::nacked:
        case attempt_outcome::rejected: break;
    }
    return fmt::format("{} {} ago {} {}{}", to_string(of.outcome), human(t.wall - of.time), word,
                       of.consumer, quoted_reason(of));
}

std::string last_attempt(const turn& t, const queue& q, const exception_state& known) {
    if (known.history.empty()) {
        return "no attempt failed";
    }
    const attempt& last = known.history.back();
    if (known.attempts == 0) {  // redriven
        return fmt::format("redriven with all attempts; the last one: {}", ending(t, last));
    }
    return fmt::format("attempt {} of {} {}", known.attempts, q.settings.attempts, ending(t, last));
}

// Why nothing at all is given out; empty if something may be.
std::string obstacle(const turn& t, const queue& q) {
    if (q.paused) {
        return fmt::format("the queue is paused; resume it: brokerctl queue resume {}", q.path());
    }
    if (q.consumers.empty()) {
        return q.settings.expires == duration_us{0}
                   ? "no consumer is attached"
                   : fmt::format(
                         "no consumer is attached; the queue is removed in {} unless one "
                         "comes",
                         human(q.expires_at() - t.now.mono));
    }
    if (!q.read_error.empty() && q.read_again > t.now.mono) {
        return fmt::format("reading failed ({}); it is tried again", q.read_error);
    }
    const bool some_usable = std::any_of(
        q.consumers.begin(), q.consumers.end(),
        [](const consumer* one) { return one->limit == 0 || one->delivered < one->limit; });
    if (!some_usable) {
        return "every consumer has been given as many messages as it asked for";
    }
    const bool some_room = std::any_of(q.consumers.begin(), q.consumers.end(),
                                       [](const consumer* one) { return one->room() > 0; });
    if (!some_room) {
        return fmt::format(
            "no free prefetch: {} {} all {} may take", human_count(q.consumers.size(), "consumer"),
            q.consumers.size() == 1 ? "holds" : "hold", q.consumers.size() == 1 ? "it" : "they");
    }
    return {};
}

// Why messages that were never delivered are not given out.
std::string fresh_obstacle(const queue& q) {
    if (q.too_many_retrying()) {
        return fmt::format("{} messages are retrying, as many as max_retrying allows",
                           q.book.retrying().count());
    }
    if (q.too_many_runs()) {
        return fmt::format("there are {} gaps between settled messages, as many as max_runs allows",
                           q.book.closed().runs());
    }
    return {};
}

std::string explain_leased(const turn& t, const queue& q, offset_t offset);

// Why the key of a ready message is not free; empty if it is.
std::string key_obstacle(const turn& t, const queue& q, key_hash key, offset_t offset) {
    if (!q.order || key == no_key) {
        return {};
    }
    const std::string_view what = q.mode == queue_mode::single
                                      ? "the queue gives out one message at a time"
                                      : "another message with its key comes first";
    const offset_t in_flight = q.order->keys.in_flight(key);
    if (in_flight != offset_end) {
        return fmt::format("{}: {} is {}", what, q.address(in_flight),
                           explain_leased(t, q, in_flight));
    }
    const offset_t retrying = q.order->keys.first_retrying(key);
    if (retrying < offset && q.settings.after_failure == after_failure::block) {
        return fmt::format(
            "{}: {} is retrying, and what comes behind it waits until it is done or dead", what,
            q.address(retrying));
    }
    const offset_t waiting = q.order->keys.first_waiting(key);
    return waiting < offset ? fmt::format("{}: {} waits, too", what, q.address(waiting))
                            : std::string{};
}

std::string explain_ready(const turn& t, const queue& q, offset_t offset, key_hash key) {
    std::string why = obstacle(t, q);
    if (why.empty()) {
        why = key_obstacle(t, q, key, offset);
    }
    if (why.empty() && offset >= q.next) {
        why = fresh_obstacle(q);
    }
    if (!why.empty()) {
        return "ready: " + why;
    }
    const offset_t from = std::max(q.next, q.book.floor());
    const std::uint64_t before =
        offset > from ? offset - from - q.book.closed().count_in(from, offset) : 0;
    return before > 0 && offset >= q.next
               ? fmt::format("ready: {} before it", human_count(before, "message"))
               : "ready: it is given out next";
}

std::string explain_leased(const turn& t, const queue& q, offset_t offset) {
    const lease_span* span = q.leases.find_offset(offset);
    if (span == nullptr) {
        return "leased";
    }
    return fmt::format("leased by {} for {} more, attempt {} of {}", span->holder->name,
                       human(span->deadline - t.now.mono), span->attempt, q.settings.attempts);
}

// Ready, but not for the first time: its retry is due, or it was redriven.
std::string explain_due(const turn& t, const queue& q, offset_t offset,
                        const exception_state& known) {
    std::string why = obstacle(t, q);
    if (why.empty()) {
        why = key_obstacle(t, q, known.key_hash, offset);
    }
    if (why.empty()) {
        why = must_be_alone(known) ? "it is given out alone, to a consumer that holds nothing else"
                                   : "it is given out next";
    }
    return fmt::format("ready: {}; {}", last_attempt(t, q, known), why);
}

std::string explain_retrying(const turn& t, const queue& q, const exception_state& known) {
    const std::string attempts = last_attempt(t, q, known);
    if (known.due > t.retry_now) {
        return fmt::format("retrying: {}; due in {}", attempts, human(known.due - t.retry_now));
    }
    const std::string why = q.moving               ? "the queue is being moved by a seek or purge"
                            : q.read_error.empty() ? "it is being read"
                                                   : q.read_error;
    return fmt::format("retrying: {}; due now: {}", attempts, why);
}

std::string explain_dead(const turn& t, const queue& q, const exception_state& known) {
    return fmt::format(
        "dead: {}; it stays until it is redriven or purged: brokerctl dead redrive {}",
        last_attempt(t, q, known), q.path());
}

std::string explain_done(const queue& q, offset_t offset) {
    if (offset < q.book.first()) {
        return "done: it was published before the queue's first message";
    }
    return offset < q.owner.trim ? "done, removed" : "done";
}

std::string retries_due(core& c, const turn& t, const queue& q) {
    if (q.schedule.next() == wall_never) {
        return fmt::format("the next is due in more than {}",
                           human(q.schedule.known_until() - t.retry_now));
    }
    return fmt::format("the next is due in {}",
                       human(c.clock.mono_of_retry_time(q.schedule.next()) - t.now.mono));
}

// Everything that is ready waits for its key.
bool nothing_is_free(const queue& q) {
    if (q.mode == queue_mode::single) {
        return !key_is_free(q, only_key, offset_end - 1);
    }
    return q.next >= q.owner.end && q.schedule.due().empty() && q.alone_due.empty() &&
           q.order->keys.next_runnable().offset == offset_end;
}

}  // namespace

std::string explain_message(core&, const turn& t, queue& q, offset_t offset,
                            const exception_state* known, key_hash key) {
    switch (q.state_of(offset)) {
        case message_state::ready:
            return known == nullptr ? explain_ready(t, q, offset, key)
                                    : explain_due(t, q, offset, *known);
        case message_state::leased: return explain_leased(t, q, offset);
        case message_state::retrying:
            return known == nullptr ? "retrying" : explain_retrying(t, q, *known);
        case message_state::dead: return known == nullptr ? "dead" : explain_dead(t, q, *known);
        case message_state::done: return explain_done(q, offset);
    }
    return {};
}

std::string explain_queue(core& c, const turn& t, queue& q) {
    if (q.ready() == 0) {
        if (q.leased() > 0) {
            return fmt::format("nothing waits: {} {} leased to {}",
                               human_count(q.leased(), "message"), q.leased() == 1 ? "is" : "are",
                               human_count(q.consumers.size(), "consumer"));
        }
        if (q.retrying() > 0) {
            return fmt::format("nothing is ready: {} retrying, {}",
                               human_count(q.retrying(), "message"), retries_due(c, t, q));
        }
        if (q.dead() > 0) {
            return fmt::format("empty but for {}: see brokerctl dead ls {}",
                               human_count(q.dead(), "dead message"), q.path());
        }
        return q.paused ? "empty, and paused" : "empty";
    }
    const std::string waiting = human_count(q.ready(), "message");
    std::string why = obstacle(t, q);
    if (why.empty() && q.due() == 0 && q.returned.empty()) {
        why = fresh_obstacle(q);
    }
    if (why.empty() && q.order && nothing_is_free(q)) {
        why = q.mode == queue_mode::single
                  ? key_obstacle(t, q, only_key, offset_end - 1)
                  : fmt::format("their keys are not free: {} in flight, {} retrying",
                                human_count(q.leased(), "message"), q.retrying());
    }
    if (!why.empty()) {
        return fmt::format("{} {}: {}", waiting, q.ready() == 1 ? "waits" : "wait", why);
    }
    return fmt::format("moving: {} {} given out to {}", waiting,
                       q.ready() == 1 ? "is being" : "are being",
                       human_count(q.consumers.size(), "consumer"));
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
        return "no consumer";
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
