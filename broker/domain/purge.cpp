// Purging a part of a queue: the ready and retrying messages of a range that a filter takes. One
// request does one slice, which reads its records first and then looks at every message as it is by
// then; so the queue works on, and a message that was given out meanwhile stays.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "broker/domain/selection.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::size_t read_bytes = limits::mib;                  // of the log, in one slice
constexpr std::uint64_t purge_scan_max = 10000;                  // messages looked at in one slice
constexpr std::uint64_t purge_reader = std::uint64_t{1} << 62U;  // its own kept iterator

struct purge_slice {
    asker who;
    codec::queue_purge what;
    selection which;
    offset_t until = 0;              // end of what there is to look at
    offset_t stop = 0;               // what is beyond is for the next slice
    std::vector<offset_t> retrying;  // that are looked at
    std::vector<chunk_ptr> chunks;   // records of the ready messages below stop
};
using slice_ptr = std::shared_ptr<purge_slice>;

offset_t next_candidate(const queue& q, offset_t at) {
    return std::min(q.next_ready(at), q.book.retrying().next_member(at));
}

std::function<void(turn&)> refuse_removed(core& c, asker who) {
    return [who, &c](turn& later) {
        c.refuse(later, who, {error_code::queue_removed, "the queue was removed meanwhile"});
    };
}

const chunk* find_chunk(const purge_slice& slice, offset_t offset) {
    const auto at = std::ranges::upper_bound(
        slice.chunks, offset, {}, [](const chunk_ptr& each) { return each->last_offset() + 1; });
    return at == slice.chunks.end() || !(*at)->contains(offset) ? nullptr : at->get();
}

void make_done(core& c, turn& t, queue& q, offset_t offset) {
    q.end_ready({offset, 1});
    q.book.to_done({offset, 1});
    c.note_change(t, q, true);
    c.note_trim(q.owner);
}

void finish(core& c, turn& t, queue& q, const purge_slice& slice, const exception_map& retrying,
            offset_t below) {
    (void)catch_up(c, t, q);  // what has become due since the slice began, as far as it is known
    const offset_t stop = std::min(slice.stop, below);
    codec::counted result{.messages = 0, .position = slice.what.from, .more = false};
    const auto next = [&] { return next_candidate(q, result.position); };
    bool full = false;
    for (std::uint64_t seen = 0; seen < purge_scan_max && result.messages < slice.which.limit();
         ++seen) {
        const offset_t offset = next();
        if (offset >= stop) {
            result.position = std::max(result.position, stop);
            break;
        }
        selection::candidate message{.offset = offset};
        const bool has_failed = q.book.retrying().contains(offset);
        if (has_failed) {
            const auto known = retrying.find(offset);
            const bool looked_for = std::ranges::binary_search(slice.retrying, offset);
            if (q.leased_retries.contains(offset) || (looked_for && known == retrying.end())) {
                result.position = offset + 1;
                continue;
            }
            if (!looked_for) {
                break;  // it failed meanwhile: for the next slice
            }
            if (slice.which.needs_record() && !known->second.record.owner) {
                result.position = offset + 1;  // what cannot be read is left alone
                continue;
            }
            message.state = q.state_of(offset);
            message.append_time = known->second.append_time;
            message.record = known->second.record.view;
            message.exception = &known->second.value;
        } else if (slice.which.needs_record()) {
            const chunk* data = find_chunk(slice, offset);
            if (data == nullptr) {
                break;  // it was given back meanwhile
            }
            message.append_time = data->append_time();
            message.record = data->record(offset);
        }
        const bool taken = slice.which.takes(message, t.wall);
        if (taken && !has_failed && !slice.what.dry_run && q.is_one_run_too_many({offset, 1})) {
            full = true;
            break;
        }
        result.position = offset + 1;
        if (!taken) {
            continue;
        }
        ++result.messages;
        if (slice.what.dry_run) {
            continue;
        }
        if (has_failed) {
            erase_exception(c, t, q, offset, *message.exception);
        } else {
            make_done(c, t, q, offset);
        }
    }
    if (full && result.messages == 0) {
        c.refuse(t, slice.who,
                 {error_code::busy,
                  fmt::format("queue {} has {} gaps between its done messages, as many as max_runs "
                              "allows; the purge can go on from {} when some were consumed",
                              q.path(), q.book.closed().runs(), q.address(result.position))});
        return;
    }
    result.more = next() < slice.until;
    const bool changed = result.messages > 0 && !slice.what.dry_run;
    if (changed) {
        c.wake(q);
        c.dirty = true;
        t.out.urgent = true;
    }
    c.answer(t, slice.who, changed ? c.gathering : commit_number{}, result);
}

// Loads the retrying messages below stop.
void load_retrying(core& c, turn& t, queue& q, const slice_ptr& slice) {
    std::vector<offset_t>& offsets = slice->retrying;
    for (offset_t at = q.book.retrying().next_member(slice->what.from); at < slice->stop;
         at = q.book.retrying().next_member(at + 1)) {
        if (offsets.size() == selection::slice_max) {
            slice->stop = at;
            break;
        }
        offsets.push_back(at);
    }
    if (slice->which.needs_record()) {
        with_records(
            c, t, q, offsets,
            [slice](core& then, turn& later, queue& of, outcome<loaded_records> loaded) {
                if (!loaded) {
                    then.refuse(later, slice->who, loaded.error());
                    return;
                }
                finish(then, later, of, *slice, loaded->exceptions, loaded->below);
            },
            refuse_removed(c, slice->who));
        return;
    }
    with_exceptions(
        c, t, q, offsets,
        [slice](core& then, turn& later, queue& of, outcome<exception_map> loaded) {
            if (!loaded) {
                then.refuse(later, slice->who, loaded.error());
                return;
            }
            finish(then, later, of, *slice, *loaded, offset_end);
        },
        refuse_removed(c, slice->who));
}

// Those that memory has, from the one that holds `first` on.
std::vector<chunk_ptr> recent_chunks(const queue& q, offset_t first) {
    std::vector<chunk_ptr> found;
    std::size_t bytes = 0;
    const chunk_tail::entry* entry = q.owner.tail.find(first);
    while (entry != nullptr && bytes < read_bytes) {
        bytes += entry->data->bytes().size();
        found.push_back(entry->data);
        entry = q.owner.tail.find(entry->data->end_offset());
    }
    return found;
}

// The records of ready messages, from `first` on; nothing of them if that one is gone by now.
void take_chunks(core& c, turn& t, queue& q, const slice_ptr& slice, offset_t first,
                 std::vector<chunk_ptr> chunks) {
    if (!chunks.empty() && chunks.front()->contains(first)) {
        slice->stop = std::min(slice->stop, chunks.back()->end_offset());
        slice->chunks = std::move(chunks);
    } else if (q.next_ready(first) == first) {
        c.refuse(
            t, slice->who,
            {error_code::storage_failed,
             fmt::format("{} is not in the log", to_string(message_address{q.owner.name, first}))});
        return;
    }
    load_retrying(c, t, q, slice);
}

}  // namespace

void purge_selected(core& c, turn& t, asker who, const codec::queue_purge& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    auto which = selection::parse(what.filter, what.limit);
    if (!which) {
        c.refuse(t, who, which.error());
        return;
    }
    if (!catch_up(c, t, q)) {
        read_due(c, t, q, [&c, who, what](turn& later) { purge_selected(c, later, who, what); });
        return;
    }
    const auto slice = std::make_shared<purge_slice>();
    slice->who = who;
    slice->which = *std::move(which);
    slice->what = what;
    slice->until = std::min(what.until, q.owner.end);
    slice->stop = slice->until;
    const offset_t first = q.next_ready(what.from);
    if (!slice->which.needs_record() || first >= slice->stop) {
        load_retrying(c, t, q, slice);
        return;
    }
    if (std::vector<chunk_ptr> recent = recent_chunks(q, first); !recent.empty()) {
        take_chunks(c, t, q, slice, first, std::move(recent));
        return;
    }
    c.read(t, fetch_log{q.owner.id, first, read_bytes, q.id.value() | purge_reader},
           [&c, slice, first, id = q.id](turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   refuse_removed(c, slice->who)(later);
                   return;
               }
               if (const auto* failed = std::get_if<failure>(&result)) {
                   c.refuse(later, slice->who, *failed);
                   return;
               }
               take_chunks(c, later, *of, slice, first,
                           std::move(std::get<log_fetched>(result).chunks));
           });
}

}  // namespace brokerd::domain
