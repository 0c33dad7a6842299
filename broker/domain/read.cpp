// Reading without state: slices of stored chunks from a position on, from memory or from the store;
// at the end of the topic a read may wait for what comes next. Skipped offsets are passed.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

constexpr std::uint64_t reader_bit = std::uint64_t{1} << 63;  // queues read under their own ids

struct read_progress {
    asker who;
    offset_t position = 0;  // never a skipped one
    std::uint64_t messages_left = 0;
    std::uint64_t bytes_left = 0;
    commit_number depends_on;
    std::vector<record_run> runs;
};

void take_chunk(read_progress& p, const topic& of, const chunk_ptr& data) {
    while (data->contains(p.position) && p.messages_left > 0 &&
           (p.bytes_left > 0 || p.runs.empty())) {
        if (!p.runs.empty() && data->record_size(p.position) > p.bytes_left) {
            p.messages_left = 0;
            return;
        }
        const record_slice slice = data->slice(p.position, p.messages_left, p.bytes_left);
        p.runs.push_back({.leases = {.first_offset = slice.first, .count = slice.count},
                          .append_time = data->append_time(),
                          .attempt = 1,
                          .records = {data, slice.bytes}});
        p.position += slice.count;
        p.messages_left -= slice.count;
        p.bytes_left -= std::min<std::uint64_t>(p.bytes_left, slice.bytes.size());
    }
    p.position = of.skipped.next_gap(p.position);
}

void take_tail(read_progress& p, const topic& of) {
    while (const chunk_tail::entry* entry = of.tail.find(p.position)) {
        const offset_t before = p.position;
        take_chunk(p, of, entry->data);
        if (p.position == before) {
            return;
        }
        p.depends_on = std::max(p.depends_on, entry->commit);
    }
}

// The reader goes on from what it is told, the incarnation and the position: both must outlive a
// crash.
void answer_read(core& c, turn& t, const topic& of, read_progress p) {
    p.depends_on = std::max(p.depends_on, of.changed);
    if (p.position >= of.end) {
        p.depends_on = std::max(p.depends_on, of.appended);
    }
    c.answer(t, p.who, p.depends_on,
             read_result{.incarnation = of.id,
                         .first_offset = of.trim,
                         .next_offset = of.end,
                         .position = p.position,
                         .runs = std::move(p.runs)},
             is_os(c, of));
}

failure gone(const topic& of, offset_t offset) {
    return {error_code::gone, fmt::format("{} was removed; the first readable message is {}",
                                          to_string(message_address{of.name, offset}),
                                          to_string(message_address{of.name, of.trim}))};
}

// There is something at p.position: answers with it.
void serve(core& c, turn& t, topic& of, read_progress p) {
    take_tail(p, of);
    if (!p.runs.empty()) {
        answer_read(c, t, of, std::move(p));
        return;
    }
    const std::uint64_t reader = reader_bit | p.who.connection.value();
    auto shared = std::make_shared<read_progress>(std::move(p));
    c.read(t, fetch_log{of.id, shared->position, shared->bytes_left, reader},
           [&c, id = of.id, shared](turn& later, fetch_result& result) {
               const topic* owner = c.topic_by_id(id);
               if (owner == nullptr) {
                   c.refuse(later, shared->who,
                            {error_code::topic_removed, "the topic was removed"});
                   return;
               }
               if (const auto* failed = std::get_if<failure>(&result)) {
                   c.refuse(later, shared->who, *failed);
                   return;
               }
               for (const chunk_ptr& data : std::get<log_fetched>(result).chunks) {
                   take_chunk(*shared, *owner, data);
               }
               take_tail(*shared, *owner);
               if (shared->runs.empty()) {
                   c.refuse(later, shared->who,
                            shared->position < owner->trim
                                ? gone(*owner, shared->position)
                                : failure{error_code::storage_failed,
                                          fmt::format("{} is not in the log",
                                                      to_string(message_address{
                                                          owner->name, shared->position}))});
                   return;
               }
               answer_read(c, later, *owner, std::move(*shared));
           });
}

void wait_for_more(core& c, turn& t, topic& of, const codec::read& what, read_progress p) {
    connection* from = c.find_connection(p.who.connection);
    if (what.wait <= duration_us{0} || from == nullptr) {
        answer_read(c, t, of, std::move(p));
        return;
    }
    if (from->waiting_reads >= limits::waiting_reads_max) {
        c.refuse(t, p.who,
                 {error_code::busy,
                  fmt::format("{} reads of this connection wait already, as many as may",
                              from->waiting_reads)});
        return;
    }
    ++from->waiting_reads;
    const duration_us wait = std::min<duration_us>(what.wait, limits::read_wait_max);
    of.waiting.push_back({.connection = p.who.connection,
                          .request = p.who.request,
                          .from = p.position,
                          .messages_max = static_cast<std::uint32_t>(p.messages_left),
                          .bytes_max = static_cast<std::uint32_t>(p.bytes_left),
                          .until = t.now.mono + wait});
    c.topics_waiting.insert(of.id);
    c.waiting_until = std::min(c.waiting_until, t.now.mono + wait);
}

void start_read(core& c, turn& t, asker who, topic& of, const codec::read& what, offset_t from) {
    if (from < of.trim) {
        c.refuse(t, who, gone(of, from));
        return;
    }
    read_progress p{
        .who = who,
        .position = of.skipped.next_gap(from),
        .messages_left = std::clamp<std::uint64_t>(what.messages_max, 1, limits::batch_records_max),
        .bytes_left = std::clamp<std::uint64_t>(what.bytes_max, 1, limits::read_bytes_max),
        .depends_on = {},
        .runs = {}};
    if (p.position >= of.end) {
        wait_for_more(c, t, of, what, std::move(p));
    } else {
        serve(c, t, of, std::move(p));
    }
}

// The topic in the incarnation that is asked for.
outcome<topic*> find_incarnation(core& c, const codec::read& what) {
    auto found = c.find_topic(what.topic);
    if (what.incarnation == topic_id{} || (found && (*found)->id == what.incarnation)) {
        return found;
    }
    if (found) {
        return refuse(
            error_code::topic_removed,
            fmt::format("topic {} was removed and created again; its offsets name other messages "
                        "now: read it from a new position",
                        what.topic));
    }
    if (found.error().code == error_code::topic_not_found) {
        return refuse(error_code::topic_removed, fmt::format("topic {} was removed", what.topic));
    }
    return found;
}

read_progress resume(core& c, const waiting_read& each) {
    if (connection* from = c.find_connection(each.connection)) {
        --from->waiting_reads;
    }
    return {.who = {each.connection, each.request},
            .position = each.from,
            .messages_left = each.messages_max,
            .bytes_left = each.bytes_max,
            .depends_on = {},
            .runs = {}};
}

}  // namespace

void read_messages(core& c, turn& t, asker who, const codec::read& what) {
    const auto found = find_incarnation(c, what);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    topic& of = **found;
    if (what.from.kind == position_kind::offset) {
        start_read(c, t, who, of, what, what.from.offset);  // not clamped: a gap must be seen
        return;
    }
    resolve_position(
        c, t, of, what.from, [&c, who, what, id = of.id](turn& later, outcome<offset_t> from) {
            topic* owner = c.topic_by_id(id);
            if (!from || owner == nullptr) {
                c.refuse(later, who,
                         !from ? from.error()
                               : failure{error_code::topic_removed, "the topic was removed"});
                return;
            }
            start_read(c, later, who, *owner, what, std::max(*from, owner->trim));
        });
}

void answer_waiting(core& c, turn& t, topic& of) {
    for (auto at = of.waiting.begin(); at != of.waiting.end();) {
        if (at->from >= of.end) {
            ++at;
            continue;
        }
        read_progress p = resume(c, *at);
        at = of.waiting.erase(at);
        if (p.position < of.trim) {
            c.refuse(t, p.who, gone(of, p.position));
        } else {
            serve(c, t, of, std::move(p));
        }
    }
    if (of.waiting.empty()) {
        c.topics_waiting.erase(of.id);
    }
}

void answer_overdue(core& c, turn& t) {
    if (c.waiting_until > t.now.mono) {
        return;
    }
    c.waiting_until = mono_never;
    std::erase_if(c.topics_waiting, [&](topic_id id) {
        topic& of = *c.topics.at(id);
        for (auto at = of.waiting.begin(); at != of.waiting.end();) {
            if (at->until <= t.now.mono) {
                read_progress p = resume(c, *at);
                at = of.waiting.erase(at);
                answer_read(c, t, of, std::move(p));
            } else {
                c.waiting_until = std::min(c.waiting_until, at->until);
                ++at;
            }
        }
        return of.waiting.empty();
    });
}

}  // namespace brokerd::domain
