// Dead messages: listing, redriving, purging. One request does one slice and says where to go on.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "broker/domain/operations.hpp"
#include "broker/domain/selection.hpp"

namespace brokerd::domain {
namespace {

// What a request wants to know of each dead message it takes.
using taker = std::function<void(core&, turn&, queue&, offset_t, const exception_state&)>;

// One slice of the dead messages of a queue.
struct dead_slice {
    asker who;
    selection which;
    offset_t from = 0;
    offset_t until = 0;
    std::vector<offset_t> offsets;  // that are looked at
    bool blind = false;             // what is known of a message does not matter
    taker take;
    // Answers with how many were taken, where to go on, and whether there is more.
    std::function<void(core&, turn&, codec::counted)> answer;
};

std::vector<offset_t> dead_in(const queue& q, offset_t from, offset_t until, std::uint64_t limit) {
    std::vector<offset_t> found;
    for (offset_t at = q.book.dead().next_member(from); at < until && found.size() < limit;
         at = q.book.dead().next_member(at + 1)) {
        found.push_back(at);
    }
    return found;
}

// The exceptions below `below` are known.
void take_slice(core& c, turn& t, queue& q, const dead_slice& slice, const exception_map& known,
                offset_t below) {
    codec::counted result{.messages = 0, .position = slice.from, .more = false};
    const auto next = [&] { return q.book.dead().next_member(result.position); };
    while (result.messages < slice.which.limit()) {
        const offset_t offset = next();
        // One that died meanwhile is for the next slice.
        if (offset >= below || !std::ranges::binary_search(slice.offsets, offset)) {
            break;
        }
        result.position = offset + 1;
        if (slice.blind) {
            exception_state dead;
            dead.state = message_state::dead;
            slice.take(c, t, q, offset, dead);
            ++result.messages;
            continue;
        }
        const auto at = known.find(offset);
        if (at == known.end() || (slice.which.needs_record() && !at->second.record.owner)) {
            continue;  // what cannot be read is left alone
        }
        const known_exception& message = at->second;
        if (slice.which.takes({.offset = offset,
                               .state = message_state::dead,
                               .append_time = message.append_time,
                               .record = message.record.view,
                               .exception = &message.value},
                              t.wall)) {
            slice.take(c, t, q, offset, message.value);
            ++result.messages;
        }
    }
    result.more = next() < slice.until;
    slice.answer(c, t, result);
}

void load_slice(core& c, turn& t, queue& q, std::shared_ptr<dead_slice> slice) {
    if (slice->blind) {
        take_slice(c, t, q, *slice, {}, offset_end);
        return;
    }
    const auto removed = [who = slice->who, &c](turn& later) {
        c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
    };
    if (slice->which.needs_record()) {
        with_records(
            c, t, q, slice->offsets,
            [slice](core& then, turn& later, queue& of, outcome<loaded_records> loaded) {
                if (!loaded) {
                    then.refuse(later, slice->who, loaded.error());
                    return;
                }
                take_slice(then, later, of, *slice, loaded->exceptions, loaded->below);
            },
            removed);
        return;
    }
    with_exceptions(
        c, t, q, slice->offsets,
        [slice](core& then, turn& later, queue& of, outcome<exception_map> loaded) {
            if (!loaded) {
                then.refuse(later, slice->who, loaded.error());
                return;
            }
            take_slice(then, later, of, *slice, *loaded, offset_end);
        },
        removed);
}

// The queue of a request and its selection, or nothing: refused.
struct target {
    queue* of = nullptr;
    selection which;
};
std::optional<target> target_of(core& c, turn& t, asker who, const std::string& name,
                                const std::string& filter, std::uint32_t limit) {
    const auto q = c.find_queue(name);
    if (!q) {
        c.refuse(t, who, q.error());
        return std::nullopt;
    }
    auto which = selection::parse(filter, limit);
    if (!which) {
        c.refuse(t, who, which.error());
        return std::nullopt;
    }
    return target{*q, *std::move(which)};
}

// Counts, or changes what it takes.
template <typename Request>
void change_dead(core& c, turn& t, asker who, const Request& what, bool blind, taker take) {
    auto found = target_of(c, t, who, what.queue, what.filter, what.limit);
    if (!found) {
        return;
    }
    queue& q = *found->of;
    if (what.dry_run && !found->which.has_filter() && what.limit == 0) {
        c.answer(t, who, {},
                 codec::counted{.messages = q.book.dead().count_in(what.from, what.until),
                                .position = std::min(what.until, q.owner.end),
                                .more = false});
        return;
    }
    auto slice = std::make_shared<dead_slice>();
    slice->who = who;
    slice->which = std::move(found->which);
    slice->from = what.from;
    slice->until = what.until;
    slice->blind = blind && !slice->which.has_filter();
    slice->offsets = dead_in(q, what.from, what.until, slice->which.looked_at_max());
    if (what.dry_run) {
        slice->take = [](core&, turn&, queue&, offset_t, const exception_state&) {};
        slice->answer = [who](core& then, turn& later, codec::counted result) {
            then.answer(later, who, {}, result);
        };
    } else {
        slice->take = std::move(take);
        slice->answer = [who](core& then, turn& later, codec::counted result) {
            then.answer(later, who, then.gathering, result);
            then.dirty = true;
            later.out.urgent = true;
        };
    }
    load_slice(c, t, q, std::move(slice));
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

}  // namespace

void list_dead(core& c, turn& t, asker who, const codec::dead_list& what) {
    auto found = target_of(c, t, who, what.queue, what.filter,
                           std::clamp<std::uint32_t>(what.limit, 1, selection::slice_max));
    if (!found) {
        return;
    }
    queue& q = *found->of;
    auto page = std::make_shared<codec::dead>();
    auto slice = std::make_shared<dead_slice>();
    slice->who = who;
    slice->from = what.from;
    slice->offsets = dead_in(q, what.from, offset_end, found->which.looked_at_max());
    slice->until = offset_end;
    slice->which = std::move(found->which);
    slice->take = [page](core&, turn&, queue&, offset_t offset, const exception_state& value) {
        page->items.push_back(item_of(offset, value));
    };
    slice->answer = [who, page](core& then, turn& later, codec::counted result) {
        page->next = result.position;
        page->more = result.more;
        then.answer(later, who, {}, std::move(*page));
    };
    load_slice(c, t, q, std::move(slice));
}

void redrive_dead(core& c, turn& t, asker who, const codec::dead_redrive& what) {
    change_dead(
        c, t, who, what, false,
        [](core& then, turn& later, queue& of, offset_t offset, const exception_state& before) {
            exception_state value = before;
            value.state = message_state::retrying;
            value.due = later.retry_now;
            value.attempts = 0;
            value.lease_failed = false;
            value.ttl_lifted = true;  // who wants it again wants it however old it is
            put_exception(then, later, of, offset, &before, std::move(value));
            ++then.counters.redriven_messages;
        });
}

void purge_dead(core& c, turn& t, asker who, const codec::dead_purge& what) {
    change_dead(
        c, t, who, what, true,
        [](core& then, turn& later, queue& of, offset_t offset, const exception_state& before) {
            erase_exception(then, later, of, offset, before);
        });
}

}  // namespace brokerd::domain
