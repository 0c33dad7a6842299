// Dead messages: listing, redriving, purging. One request does one slice and says where to go on.
#include <algorithm>
#include <utility>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

constexpr std::uint32_t dead_slice_max = 1000;

struct dead_slice {
    std::vector<offset_t> offsets;
    offset_t next = 0;  // continue here
    bool more = false;
};

dead_slice slice_of(const queue& q, offset_t from, offset_t until, std::uint32_t limit) {
    dead_slice slice;
    offset_t at = q.book.dead().next_member(from);
    while (at < until && slice.offsets.size() < limit) {
        slice.offsets.push_back(at);
        at = q.book.dead().next_member(at + 1);
    }
    slice.more = at < until;
    slice.next = slice.offsets.empty() ? from : slice.offsets.back() + 1;
    return slice;
}

codec::dead_item item_of(offset_t offset, const exception_state& value) {
    codec::dead_item item{.offset = offset,
                          .since = value.due,
                          .attempts = value.attempts,
                          .reason = {},
                          .consumer = {}};
    if (!value.history.empty()) {
        const attempt& last = value.history.back();
        item.reason = last.reason.empty() ? std::string(to_string(last.outcome)) : last.reason;
        item.consumer = last.consumer;
    }
    return item;
}

// Answers a dry run, or nothing if this is none.
bool answer_dry_run(core& c, turn& t, asker who, const queue& q, offset_t from, offset_t until,
                    bool dry_run) {
    if (dry_run) {
        c.answer(t, who, {},
                 codec::counted{.messages = q.book.dead().count_in(from, until),
                                .position = std::min(until, q.owner.end),
                                .more = false});
    }
    return dry_run;
}

}  // namespace

void list_dead(core& c, turn& t, asker who, const codec::dead_list& what) {
    const auto q = c.find_queue(what.queue);
    if (!q) {
        c.refuse(t, who, q.error());
        return;
    }
    const dead_slice slice = slice_of(**q, what.from, offset_end,
                                      std::clamp<std::uint32_t>(what.limit, 1, dead_slice_max));
    with_exceptions(
        c, t, **q, slice.offsets, false,
        [who, slice](core& then, turn& later, queue& of, outcome<exception_map> loaded) {
            if (!loaded) {
                then.refuse(later, who, loaded.error());
                return;
            }
            codec::dead page{.next = slice.next, .more = slice.more, .items = {}};
            for (const auto& [offset, known] : *loaded) {
                if (of.book.dead().contains(offset)) {
                    page.items.push_back(item_of(offset, known.value));
                }
            }
            then.answer(later, who, {}, std::move(page));
        },
        [who, &c](turn& later) {
            c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
        });
}

void redrive_dead(core& c, turn& t, asker who, const codec::dead_redrive& what) {
    const auto q = c.find_queue(what.queue);
    if (!q) {
        c.refuse(t, who, q.error());
        return;
    }
    if (answer_dry_run(c, t, who, **q, what.from, what.until, what.dry_run)) {
        return;
    }
    const dead_slice slice = slice_of(**q, what.from, what.until, dead_slice_max);
    with_exceptions(
        c, t, **q, slice.offsets, false,
        [who, slice](core& then, turn& later, queue& of, outcome<exception_map> loaded) {
            if (!loaded) {
                then.refuse(later, who, loaded.error());
                return;
            }
            std::uint64_t count = 0;
            for (auto& [offset, known] : *loaded) {
                if (!of.book.dead().contains(offset)) {
                    continue;
                }
                exception_state value = known.value;
                value.state = message_state::retrying;
                value.due = later.retry_now;
                value.attempts = 0;
                value.lease_failed = false;
                put_exception(then, later, of, offset, &known.value, std::move(value));
                ++count;
            }
            then.counters.redriven_messages += count;
            then.answer(
                later, who, then.gathering,
                codec::counted{.messages = count, .position = slice.next, .more = slice.more});
            then.dirty = true;
            later.out.urgent = true;
        },
        [who, &c](turn& later) {
            c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
        });
}

void purge_dead(core& c, turn& t, asker who, const codec::dead_purge& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    if (answer_dry_run(c, t, who, q, what.from, what.until, what.dry_run)) {
        return;
    }
    const dead_slice slice = slice_of(q, what.from, what.until, dead_slice_max);
    const exception_state dead{.state = message_state::dead,
                               .due = {},
                               .attempts = 0,
                               .key_hash = 0,
                               .last_lease = {},
                               .lease_failed = false,
                               .history = {}};
    for (const offset_t offset : slice.offsets) {
        erase_exception(c, t, q, offset, dead);
    }
    t.out.urgent = true;
    c.dirty = true;
    c.answer(t, who, c.gathering,
             codec::counted{
                 .messages = slice.offsets.size(), .position = slice.next, .more = slice.more});
}

}  // namespace brokerd::domain
