// Cloning a queue: a new queue of the same topic with the settings and the whole state of another.
// What memory does not know of the exceptions is fetched first, in slices; while that goes on the
// queue works on, and what changes is noted (clone_watch.hpp). Then everything is copied in one
// turn, so that one commit has it: all of it or nothing.
//
// What is leased is ready in the clone, as after a restart; what failed before is due at once then.
// The leases themselves stay with the old queue: the clone counts on from there, and all that were
// given before are void in it, also after a restart.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t values_per_fetch = 1000;
constexpr std::uint32_t clones_at_once = 4;  // that wait for fetches; each may hold all it copies
// What a message has failed of may be long, and memory holds it twice until the commit is applied.
constexpr std::size_t attempts_bytes_max = 4 * limits::clone_bytes_max;

// A clone that waits for what memory does not know.
struct pending_clone {
    asker who;
    std::string name;
    interval_set left;  // exceptions that are to be looked up
};
using clone_ptr = std::shared_ptr<pending_clone>;

outcome<void> check_new_name(const core& c, const topic& of, const std::string& name) {
    if (const auto existing = of.queues.find(name); existing != of.queues.end()) {
        return refuse(error_code::queue_exists,
                      fmt::format("queue {0} exists; choose another name, or remove it first: "
                                  "brokerctl queue rm {0}",
                                  existing->second->path()));
    }
    if (of.queues.size() >= c.options.queues_per_topic_max) {
        return std::unexpected(too_many_queues(of));
    }
    return {};
}

outcome<void> check_amounts(const queue& q) {
    const auto too_much = [&](const std::string& what) {
        return refuse(error_code::invalid_argument,
                      fmt::format("queue {0} has {1} may copy; redrive its dead messages and let "
                                  "them be done, or purge them (brokerctl dead redrive {0}, "
                                  "brokerctl dead purge {0}), and try again",
                                  q.path(), what));
    };
    const std::uint64_t exceptions = q.book.retrying().count() + q.book.dead().count();
    if (exceptions > limits::clone_exceptions_max) {
        return too_much(fmt::format("{} retrying and dead messages, more than the {} that a clone",
                                    exceptions, limits::clone_exceptions_max));
    }
    if (q.cloning && q.cloning->record_bytes() > limits::clone_bytes_max) {
        return too_much(
            fmt::format("retrying and dead messages that its topic does not hold any "
                        "more, of more than the {} bytes that a clone",
                        limits::clone_bytes_max));
    }
    if (q.cloning && q.cloning->attempts_bytes() > attempts_bytes_max) {
        return too_much(
            fmt::format("attempts of more than the {} bytes that a clone", attempts_bytes_max));
    }
    return {};
}

outcome<void> check_clone(const core& c, const queue& source, const std::string& name) {
    if (auto checked = check_new_name(c, source.owner, name); !checked) {
        return checked;
    }
    if (source.moving) {
        return std::unexpected(busy_moving(source));
    }
    if (auto room = check_room(c); !room) {
        return room;
    }
    return check_amounts(source);
}

// ---- copying ----

void copy_exception(core& c, turn& t, const queue& source, queue& q, offset_t offset,
                    exception_state value) {
    if (value.state == message_state::retrying) {
        if (source.leased_retries.contains(offset)) {
            value.due = std::min(value.due, t.retry_now);
        }
        begin_retrying(q, value.key_hash, offset);
        q.schedule.add(offset, value.due, t.retry_now);
    }
    c.emit(t, exception_put{.topic = q.owner.id, .queue = q.id, .offset = offset, .value = value});
    BROKERD_ASSERT(q.book.is_exception(offset), "{} is no exception of {}", offset, q.path());
    known_exception& known = q.exceptions.made().known[offset];
    known.value = std::move(value);
    known.commit = c.gathering;
    q.exceptions.made().put.emplace_back(c.gathering, offset);
}

// The trim point may have passed them: then the log has their records no more.
void copy_records(core& c, turn& t, queue& q, clone_watch::record_map records) {
    if (records.empty()) {
        return;
    }
    for (const auto& [offset, each] : records) {
        c.emit(t, kept_put{.topic = q.owner.id,
                           .queue = q.id,
                           .offset = offset,
                           .append_time = each.append_time,
                           .record = std::string(as_text(each.record.view))});
    }
    q.copied = std::make_unique<copied_records>(c.gathering, std::move(records));
}

// Nothing has to be looked at once more for what expires: what is open in the clone is open in the
// old queue, and was looked at there or will be.
queue& copy_queue(core& c, turn& t, queue& source, const std::string& name, clone_watch known) {
    queue& q =
        add_queue(c, t, source.owner, name, source.mode, *source.settings, source.book.first());
    q.next_lease = source.next_lease;
    q.fence = {c.epoch, source.next_lease - 1};
    q.book.take_over(source.book);
    forget_slowest(q.owner);
    q.next = q.book.floor();
    copy_sieve(c, source, q);
    emit_changed(c, t, q);
    c.note_change(t, q, true);
    q.schedule.set_known_until(t.retry_now + retry_schedule::horizon);
    for (auto& [offset, value] : known.take_values()) {
        copy_exception(c, t, source, q, offset, std::move(value));
    }
    copy_records(c, t, q, known.take_records());
    if (!q.exceptions->known.empty()) {
        c.retries_put = true;
        c.note_exceptions(q);
    }
    if (q.order) {
        q.order->keys_known = true;
    }
    c.arm(q, advance_schedule(c, t, q));
    c.wake(q);
    return q;
}

// All is known: the rest happens in this turn.
void carry_out_clone(core& c, turn& t, queue& source, asker who, const std::string& name,
                     clone_watch known) {
    const queue& made = copy_queue(c, t, source, name, std::move(known));
    c.answer(t, who, c.gathering,
             codec::queue_created{.created = true,
                                  .topic_created = false,
                                  .queue = made.id,
                                  .settings = *made.settings,
                                  .differing = {}});
}

// ---- looking up ----

// Returns what was found out.
clone_watch end_clone(core& c, queue& source) {
    --c.clones;
    const auto known = std::move(source.cloning);
    return std::move(*known);
}

void decide_clone(core& c, turn& t, queue& source, const pending_clone& pending) {
    if (auto checked = check_clone(c, source, pending.name); !checked) {
        (void)end_clone(c, source);
        c.refuse(t, pending.who, std::move(checked.error()));
        return;
    }
    clone_watch known = end_clone(c, source);
    for (const interval_set* set : {&source.book.retrying(), &source.book.dead()}) {
        for (offset_t at = set->next_member(0); at != offset_end; at = set->next_member(at + 1)) {
            const bool has_record = at >= source.owner.trim || known.records().contains(at);
            if (!known.values().contains(at) || !has_record) {
                c.refuse(t, pending.who,
                         {error_code::storage_failed,
                          fmt::format("the {} {} not in the store",
                                      has_record ? "attempts of" : "record of",
                                      source.address(at) + (has_record ? " are" : " is"))});
                return;
            }
        }
    }
    carry_out_clone(c, t, source, pending.who, pending.name, std::move(known));
}

// The next ones to look up: with their records, or without those that the log still has. Those the
// trim point passes from now on are told with their records.
std::vector<offset_t> next_to_look_up(const queue& source, pending_clone& pending,
                                      bool& with_record) {
    std::vector<offset_t> offsets;
    while (!pending.left.empty() && offsets.size() < values_per_fetch) {
        const offset_t offset = pending.left.front();
        const bool is_kept = offset < source.owner.trim;
        const bool known = source.cloning->values().contains(offset) &&
                           (!is_kept || source.cloning->records().contains(offset));
        if (!known && source.book.is_exception(offset)) {
            if (offsets.empty()) {
                with_record = is_kept;
            } else if (with_record != is_kept) {
                break;
            }
            offsets.push_back(offset);
        }
        pending.left.erase({offset, 1});
    }
    return offsets;
}

void look_up_exceptions(core& c, turn& t, queue& source, const clone_ptr& pending);

void take_looked_up(core& c, turn& t, queue& source, const clone_ptr& pending,
                    const std::vector<offset_t>& offsets, outcome<loaded_records> loaded) {
    outcome<void> fine;
    if (loaded) {
        for (auto& [offset, known] : loaded->exceptions) {
            source.cloning->found(offset, std::move(known.value));
            // The log may have it too: then it is no use, and nothing would erase the copy. What
            // the trim point passes from here on is told.
            if (known.record.owner && offset < source.owner.trim) {
                source.cloning->keep(offset, known.append_time, known.record.view);
            }
        }
        for (const offset_t offset : offsets) {
            if (offset >= loaded->below) {
                pending->left.insert({offset, 1});
            }
        }
        fine = check_amounts(source);
    } else {
        fine = std::unexpected(std::move(loaded.error()));
    }
    if (!fine) {
        (void)end_clone(c, source);
        c.refuse(t, pending->who, std::move(fine.error()));
        return;
    }
    look_up_exceptions(c, t, source, pending);
}

// Some of them, and the others behind them; then the clone is made.
void look_up_exceptions(core& c, turn& t, queue& source, const clone_ptr& pending) {
    bool with_record = false;
    const std::vector<offset_t> offsets = next_to_look_up(source, *pending, with_record);
    if (offsets.empty()) {
        decide_clone(c, t, source, *pending);
        return;
    }
    const auto gone = [&c, pending](turn& later) {
        --c.clones;
        c.refuse(later, pending->who,
                 {error_code::queue_removed, "the queue to clone was removed meanwhile"});
    };
    if (with_record) {
        with_records(
            c, t, source, offsets,
            [pending, offsets](core& now, turn& later, queue& of, outcome<loaded_records> loaded) {
                take_looked_up(now, later, of, pending, offsets, std::move(loaded));
            },
            gone);
        return;
    }
    with_exceptions(
        c, t, source, offsets,
        [pending, offsets](core& now, turn& later, queue& of, outcome<exception_map> loaded) {
            outcome<loaded_records> all =
                loaded ? outcome<loaded_records>(loaded_records{std::move(*loaded)})
                       : std::unexpected(std::move(loaded.error()));
            take_looked_up(now, later, of, pending, offsets, std::move(all));
        },
        gone);
}

outcome<void> check_turn(const core& c, const queue& source) {
    if (source.cloning) {
        return refuse(
            error_code::busy,
            fmt::format("queue {} is being cloned by another request; try again", source.path()));
    }
    if (c.clones >= clones_at_once) {
        return refuse(
            error_code::busy,
            fmt::format("{} queues are being cloned, as many as may at once; try again", c.clones));
    }
    return {};
}

}  // namespace

void clone_queue(core& c, turn& t, asker who, const codec::queue_clone& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& source = **found;
    outcome<void> fine = check_queue_name(what.name);
    if (fine) {
        fine = check_clone(c, source, what.name);
    }
    const bool has_exceptions = !source.book.retrying().empty() || !source.book.dead().empty();
    if (fine && has_exceptions) {
        fine = check_turn(c, source);
    }
    if (!fine) {
        c.refuse(t, who, std::move(fine.error()));
        return;
    }
    if (!has_exceptions) {
        carry_out_clone(c, t, source, who, what.name, {});
        return;
    }
    const auto pending = std::make_shared<pending_clone>();
    pending->who = who;
    pending->name = what.name;
    for (const interval_set* set : {&source.book.retrying(), &source.book.dead()}) {
        set->for_each([&](offset_range run) { pending->left.insert(run); });
    }
    source.cloning = std::make_unique<clone_watch>();
    ++c.clones;
    look_up_exceptions(c, t, source, pending);
}

}  // namespace brokerd::domain
