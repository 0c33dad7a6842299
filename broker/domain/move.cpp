// Moving a queue in its topic: seek and purge. The step that concerns ranges is one turn; the
// exceptions it touches follow in slices, as the due time of each has to be read from the store.
// Meanwhile the queue works on, every message has one exact state, and a second move is refused.
// What a seek has not reached yet is retrying, due or not: it is given out by nobody until then.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t slice_max = 1000;

failure removed_meanwhile() {
    return {error_code::queue_removed, "the queue was removed meanwhile"};
}

// The exceptions a move still has to deal with, and how to answer when it is through.
struct pending_move {
    asker who;
    queue_id of;
    interval_set left;
    bool seek = false;
    offset_t position = 0;
    std::uint64_t messages = 0;
};

void end_move(core& c, turn& t, queue& q, const pending_move& move) {
    q.moving = false;
    if (move.seek) {
        expire_again(c, t, q.owner, move.position);
        sift_again(c, t, q, move.position);
    }
    q.book.release_floor();
    if (q.book.dirty()) {
        c.note_change(t, q, true);
    }
    c.note_trim(q.owner);
    c.wake(q);
}

// Becomes ready (seek) or done (purge, or below the position of a seek).
void move_exception(core& c, turn& t, queue& q, pending_move& move, offset_t offset,
                    const exception_state& known) {
    if (!move.seek || offset < move.position) {
        erase_exception(c, t, q, offset, known);
        move.messages += move.seek ? 0 : 1;
        return;
    }
    q.forget_due(offset, known.due);
    q.book.exception_ready(offset);
    forget_slowest(q.owner);
    q.exceptions.made().known.erase(offset);
    if (q.cloning) {
        q.cloning->erase(offset);
    }
    c.emit(t, exception_erased{
                  .topic = q.owner.id, .queue = q.id, .offset = offset, .previous_due = known.due});
    c.note_change(t, q, true);
    c.note_trim(q.owner);  // more is pending, maybe more than may be
    if (q.order) {
        end_retrying(q, known.key_hash, offset);
        return_in_order(q, {offset, 1}, known.key_hash);
    } else if (offset < q.next) {
        q.give_back({offset, 1}, unknown_lane);
    } else if (q.levels) {
        q.levels->reach_back(offset);
    }
    c.wake(q);
}

void move_slice(core& c, turn& t, queue& q, const std::shared_ptr<pending_move>& move) {
    std::vector<offset_t> offsets;
    while (!move->left.empty() && offsets.size() < slice_max) {
        const offset_t offset = move->left.front();
        move->left.erase({offset, 1});
        if (q.book.retrying().contains(offset) && !q.leased_retries.contains(offset)) {
            offsets.push_back(offset);
        }
    }
    if (offsets.empty()) {
        end_move(c, t, q, *move);
        c.answer(
            t, move->who, c.gathering,
            codec::counted{.messages = move->messages, .position = move->position, .more = false});
        t.out.urgent = true;
        c.dirty = true;
        return;
    }
    with_exceptions(
        c, t, q, offsets,
        [move, offsets](core& then, turn& later, queue& of, outcome<exception_map> loaded) {
            if (!loaded) {
                end_move(then, later, of, *move);
                then.refuse(later, move->who, loaded.error());
                return;
            }
            for (const offset_t offset : offsets) {
                const auto known = loaded->find(offset);
                if (known != loaded->end() && of.book.retrying().contains(offset) &&
                    !of.leased_retries.contains(offset)) {
                    move_exception(then, later, of, *move, offset, known->second.value);
                }
            }
            move_slice(then, later, of, move);
        },
        [move, &c](turn& later) { c.refuse(later, move->who, removed_meanwhile()); });
}

// ---- seek ----

// All leases end; below `position` everything is done, from there on ready, but for exceptions.
void move_to(core& c, turn& t, queue& q, offset_t position) {
    q.fence = {c.epoch, q.next_lease - 1};
    for (lease_span& span : q.leases.made().take_all()) {
        consumer& holder = *span.holder;
        keep_room(q, std::move(span));
        q.offer(holder);
    }
    q.clear_returned();
    q.ahead.clear();
    q.leased_retries.clear();
    q.alone_due.clear();
    if (q.order) {
        q.order->clear(q.book.retrying());
    }
    if (q.levels) {
        q.levels->restart();
    }
    q.schedule.clear();
    q.window.clear();
    q.end_reservation();
    q.book.move_to(position, q.owner.end);
    forget_slowest(q.owner);
    skip_in_queue(c, t, q, position);
    q.next = position;
    q.changed = c.gathering;
    emit_changed(c, t, q);
    c.note_change(t, q, true);
    c.note_trim(q.owner);
    expire_again(c, t, q.owner, position);
    sift_again(c, t, q, position);
    c.wake(q);
}

void seek_to(core& c, turn& t, asker who, queue& q, offset_t position, bool dry_run) {
    const offset_t end =
        std::max(q.sifting ? std::min(q.owner.end, q.sifting->until) : q.owner.end, position);
    const std::uint64_t ready_afterwards = end - position - q.book.dead().count_in(position, end) -
                                           q.owner.skipped.count_in(position, end);
    if (dry_run) {
        c.answer(t, who, {},
                 codec::counted{.messages = ready_afterwards, .position = position, .more = false});
        return;
    }
    if (q.moving) {
        c.refuse(t, who, busy_moving(q));
        return;
    }
    move_to(c, t, q, position);
    q.moving = true;
    auto move = std::make_shared<pending_move>();
    move->who = who;
    move->of = q.id;
    move->left = q.book.retrying();
    move->seek = true;
    move->position = position;
    move->messages = ready_afterwards;
    move_slice(c, t, q, move);
}

// ---- purge ----

// Every ready message without exception is done.
std::uint64_t purge_ready(core& c, turn& t, queue& q) {
    std::vector<offset_range> ranges;
    q.returned.for_each([&](offset_range range) { ranges.push_back(range); });
    if (q.order) {
        q.order->skipped.for_each([&](offset_range range) { ranges.push_back(range); });
        q.order->skipped.clear();
    }
    for (offset_t at = std::max(q.next, q.book.floor()); at < q.owner.end;) {
        if (!q.untouched(at)) {
            at = std::max(
                {q.book.closed().next_gap(at), q.ahead.next_gap(at), q.returned.next_gap(at)});
            continue;
        }
        const offset_t stop = std::min({q.book.closed().next_member(at), q.ahead.next_member(at),
                                        q.returned.next_member(at), q.owner.end});
        ranges.push_back({at, stop - at});
        at = stop;
    }
    std::uint64_t count = 0;
    q.clear_returned();
    for (const offset_range range : ranges) {
        q.book.to_done(range);
        count += range.count;
    }
    if (count > 0) {
        c.note_change(t, q, true);
        c.note_trim(q.owner);
    }
    return count;
}

}  // namespace

failure busy_moving(const queue& q) {
    return {
        error_code::busy,
        fmt::format("queue {} is being moved by an earlier seek or purge; try again", q.path())};
}

void resolve_position(core& c, turn& t, topic& of, const position& at, position_handler then) {
    // What was accepted but lies in no chunk yet counts as there.
    const bool beyond = at.kind == position_kind::latest ||
                        (at.kind == position_kind::offset && at.offset > of.end) ||
                        at.kind == position_kind::time;
    if (beyond && of.open) {
        seal_chunk(c, t, of);
    }
    switch (at.kind) {
        case position_kind::earliest: then(t, of.first_kept()); return;
        case position_kind::latest: then(t, of.end); return;
        case position_kind::offset: then(t, std::clamp(at.offset, of.first_kept(), of.end)); return;
        case position_kind::time: break;
    }
    if (of.trim == of.end || at.time > of.last_append) {
        then(t, of.end);
        return;
    }
    if (const auto in_memory = of.tail.first_since(at.time); in_memory > of.tail.begin_offset()) {
        then(t, std::clamp(in_memory, of.first_kept(), of.end));
        return;
    }
    c.read(t, fetch_offset{of.id, at.time},
           [&c, id = of.id, then = std::move(then)](turn& later, fetch_result& result) {
               const topic* owner = c.topic_by_id(id);
               if (owner == nullptr) {
                   then(later, refuse(error_code::topic_removed, "the topic was removed"));
               } else if (const auto* failed = std::get_if<failure>(&result)) {
                   then(later, std::unexpected(*failed));
               } else {
                   // What memory holds begins at or after the time; before it, the store knows.
                   const offset_t found = std::min(std::get<offset_fetched>(result).offset,
                                                   owner->tail.begin_offset());
                   then(later, std::clamp(found, owner->first_kept(), owner->end));
               }
           });
}

void seek_queue(core& c, turn& t, asker who, const codec::queue_seek& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    resolve_position(c, t, (*found)->owner, what.to,
                     [&c, who, id = (*found)->id, dry_run = what.dry_run](
                         turn& later, outcome<offset_t> position) {
                         queue* q = c.queue_by_id(id);
                         if (!position || q == nullptr) {
                             c.refuse(later, who,
                                      !position ? position.error() : removed_meanwhile());
                             return;
                         }
                         seek_to(c, later, who, *q, *position, dry_run);
                     });
}

void purge_queue(core& c, turn& t, asker who, const codec::queue_purge& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    if (q.owner.open) {
        seal_chunk(c, t, q.owner);
    }
    if (!what.filter.empty() || what.limit > 0 || what.from > 0 || what.until < q.owner.end) {
        purge_selected(c, t, who, what);
        return;
    }
    if (what.dry_run) {
        c.answer(t, who, {},
                 codec::counted{
                     .messages = q.ready() + q.retrying(), .position = q.owner.end, .more = false});
        return;
    }
    if (q.moving) {
        c.refuse(t, who, busy_moving(q));
        return;
    }
    auto move = std::make_shared<pending_move>();
    move->who = who;
    move->of = q.id;
    move->left = q.book.retrying();
    move->position = q.owner.end;
    move->messages = purge_ready(c, t, q);
    q.moving = true;
    move_slice(c, t, q, move);
}

}  // namespace brokerd::domain
