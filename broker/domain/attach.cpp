// Connections and their consumers: attaching (with the leases a client still holds from before),
// detaching, and what becomes of the leases when a connection ends.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

outcome<void> check_attach(core& c, const connection* from, const codec::attach& what) {
    if (auto checked = check_attachable(c, from, what.consumer); !checked) {
        return checked;
    }
    if (auto checked = check_runs(what.held); !checked) {
        return checked;
    }
    return check_prefetch(what.prefetch_messages, what.prefetch_bytes);
}

// ---- held leases ----

void move_span(core& c, queue& q, consumer& one, lease_span span, mono_time deadline) {
    give_back_room(q, span);
    one.hold(span.first_lease(), span.run.count, span.bytes);
    one.shared->alone = one.shared->alone || (span.exception && must_be_alone(*span.exception));
    span.holder = &one;
    span.deadline = deadline;
    q.leases.made().add(std::move(span));
    c.arm(q, deadline);
}

// Messages of `run` from `first` on that are not in the table.
void take_up_late(core& c, turn& t, queue& q, consumer& one, const lease_run& run,
                  const exception_map& exceptions, std::vector<lease_run>& gone,
                  mono_time deadline) {
    const offset_t end = run.first_offset + run.count;
    for (offset_t offset = run.first_offset; offset < end;) {
        const lease_id lease{run.epoch, run.first_lease + (offset - run.first_offset)};
        const auto known = newest_exception(q, exceptions, offset);
        if (take_up(c, t, q, one, offset, lease, known ? &*known : nullptr, deadline)) {
            ++offset;
            continue;
        }
        const std::uint64_t count = offset >= q.owner.end ? end - offset
                                    : q.book.is_exception(offset)
                                        ? 1
                                        : same_fate(q, offset, lease, end);
        append_run(gone, {offset, static_cast<std::uint32_t>(count), run.epoch, lease.counter});
        offset += count;
    }
}

void finish_attach(core& c, turn& t, asker who, const codec::attach& what, queue& q,
                   const exception_map& exceptions) {
    connection* from = c.find_connection(who.connection);
    if (auto checked = check_attach(c, from, what); !checked) {
        if (from != nullptr) {
            c.refuse(t, who, checked.error());
        }
        return;
    }
    auto made = std::make_unique<consumer>();
    consumer& one = *made;
    one.connection = who.connection;
    one.id = what.consumer;
    one.name = from->name;
    one.from = &q;
    one.attached = t.wall;
    one.own.prefetch_messages = from->draining ? 0 : what.prefetch_messages;
    one.own.prefetch_bytes = what.prefetch_bytes;
    one.own.limit = what.limit;
    from->consumers.emplace(what.consumer, std::move(made));
    q.consumers.push_back(&one);
    auto gone = take_up_held(c, t, q, one, what.held, exceptions);
    // Attempts taken back are not durable yet, but a client may act on them at once: at worst they
    // count again after a crash.
    c.answer(t, who, q.changed,
             codec::attached{.queue = q.id,
                             .lease = q.settings->lease,
                             .attempts = q.settings->attempts,
                             .gone = std::move(gone)});
    q.offer(one);
    c.wake(q);
}

template <typename Map>
auto* find_in(const Map& of, consumer_id id) {
    const auto at = of.find(id);
    return at == of.end() ? nullptr : at->second.get();
}

}  // namespace

outcome<void> check_prefetch(std::uint64_t messages, std::uint64_t bytes) {
    if (messages > limits::prefetch_messages_max || bytes > limits::prefetch_bytes_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("a prefetch of {} messages or {} bytes is more than the {} "
                                  "messages and {} bytes allowed",
                                  messages, bytes, limits::prefetch_messages_max,
                                  limits::prefetch_bytes_max));
    }
    return {};
}

outcome<void> check_attachable(const core& c, const connection* from, consumer_id id) {
    if (from == nullptr) {
        return refuse(error_code::unexpected, "the connection is not known to the broker any more");
    }
    if (from->consumers.contains(id) || from->groups.contains(id)) {
        return refuse(
            error_code::consumer_exists,
            fmt::format("consumer {} is in use on this connection; choose another id", id.value()));
    }
    const std::size_t count = from->consumers.size() + from->groups.size();
    if (count >= c.options.consumers_per_connection_max) {
        return refuse(error_code::too_many_consumers,
                      fmt::format("this connection has {} consumers, as many as it may; detach "
                                  "some or use another connection",
                                  count));
    }
    return {};
}

std::vector<lease_run> take_up_held(core& c, turn& t, queue& q, consumer& one,
                                    const std::vector<lease_run>& held,
                                    const exception_map& exceptions) {
    std::vector<lease_run> gone;
    const mono_time deadline = t.now.mono + q.settings->lease;
    for (lease_run run : held) {
        while (run.count > 0) {
            const lease_part part = find_part(*q.leases, run);
            const lease_run piece{run.first_offset, part.count, run.epoch, run.first_lease};
            if (part.held) {
                move_span(c, q, one, q.leases.made().take({run.epoch, run.first_lease}, part.count),
                          deadline);
            } else {
                forget_ended(c, q, piece);
                take_up_late(c, t, q, one, piece, exceptions, gone, deadline);
            }
            run.first_offset += part.count;
            run.first_lease += part.count;
            run.count -= part.count;
        }
    }
    return gone;
}

void end_consumer(core& c, turn& t, consumer& one, bool lost) {
    queue& q = *one.from;
    std::vector<lease_span> spans = q.leases.made().take_of(one, one.leased);
    (void)q.ended.made().take_of(one, one.ended);
    q.forget(one);
    if (q.consumers.empty()) {
        q.unused_since = t.now.mono;
        c.arm(q, q.expires_at());
        c.note_exceptions(q);  // what was loaded to be given out is given out to nobody
    }
    if (lost && base::seeded_fault(base::fault::forget_lease_on_disconnect)) {
        return;
    }
    for (lease_span& span : spans) {
        if (lost) {
            fail_span(c, t, q, span,
                      {.outcome = attempt_outcome::lost, .consumer = one.name, .reason = {}});
        } else {
            release_span(c, t, q, std::move(span));
        }
    }
    c.wake(q);
}

void attach(core& c, turn& t, asker who, const codec::attach& what) {
    const auto q = c.find_queue(what.queue);
    if (!q) {
        c.refuse(t, who, q.error());
        return;
    }
    if (auto checked = check_attach(c, c.find_connection(who.connection), what); !checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    (*q)->unused_since = t.now.mono;  // one comes
    with_exceptions(
        c, t, **q, unleased_exceptions(**q, what.held),
        [who, what](core& then, turn& later, queue& of, outcome<exception_map> exceptions) {
            if (!exceptions) {
                then.refuse(later, who, exceptions.error());
                return;
            }
            finish_attach(then, later, who, what, of, *exceptions);
        },
        [&c, who, path = what.queue](turn& later) {
            c.refuse(later, who,
                     {error_code::queue_removed, fmt::format("queue {} was removed", path)});
        });
}

void detach(core& c, turn& t, asker who, const codec::detach& what) {
    connection* from = c.find_connection(who.connection);
    if (from != nullptr && from->waiting_settles > 0) {
        from->behind_settles.emplace_back(
            [&c, who, what](turn& then) { detach(c, then, who, what); });
        return;
    }
    if (from != nullptr) {
        const auto at = from->consumers.find(what.consumer);
        if (at != from->consumers.end()) {
            // Not before its last delivery: behind the answer its id may name another consumer.
            const topic& of = at->second->from->owner;
            const bool early = is_os(c, of);
            commit_number depends_on = at->second->own.depends_on;
            if (early) {  // deliveries from before it was so may wait for more
                depends_on = std::max(depends_on, of.changed);
            }
            end_consumer(c, t, *at->second, false);
            from->consumers.erase(at);
            c.answer(t, who, depends_on, codec::ok{}, early);
            return;
        }
        if (detach_group(c, t, who, what)) {
            return;
        }
    }
    c.refuse(t, who,
             {error_code::consumer_not_found,
              fmt::format("there is no consumer {} on this connection", what.consumer.value())});
}

void set_prefetch(core& c, turn& t, asker who, const codec::set_prefetch& what) {
    connection* from = c.find_connection(who.connection);
    consumer* const one = from == nullptr ? nullptr : find_in(from->consumers, what.consumer);
    consumer_group* const group = from == nullptr ? nullptr : find_in(from->groups, what.consumer);
    if (one == nullptr && (group == nullptr || group->attaching)) {
        c.refuse(
            t, who,
            {error_code::consumer_not_found,
             fmt::format("there is no consumer {} on this connection", what.consumer.value())});
        return;
    }
    if (auto checked = check_prefetch(what.messages, what.bytes); !checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    consumer_room& room = group != nullptr ? group->room : one->own;
    room.prefetch_messages = from->draining ? 0 : what.messages;
    room.prefetch_bytes = what.bytes;
    if (group != nullptr) {
        group->note();
    } else {
        one->from->offer(*one);
        c.wake(*one->from);
    }
    c.answer(t, who, {}, codec::ok{});
}

void close_connection(core& c, turn& t, const connection_closed& what) {
    connection* from = c.find_connection(what.connection);
    if (from == nullptr) {
        return;
    }
    leave_services(c, t, what.connection);
    if (what.goodbye && from->waiting_settles > 0) {
        for (const auto& [id, one] : from->consumers) {
            one->own.prefetch_messages = 0;
        }
        for (const auto& [id, group] : from->groups) {
            group->room.prefetch_messages = 0;
            group->wanted_messages = 0;
        }
        from->behind_settles.emplace_back(
            [&c, what](turn& then) { close_connection(c, then, what); });
        return;
    }
    for (const auto& [id, one] : from->consumers) {
        end_consumer(c, t, *one, !what.goodbye);
    }
    end_groups(c, t, *from, !what.goodbye);
    if (from->waiting_reads > 0) {
        for (const topic_id id : c.topics_waiting) {
            std::erase_if(c.topics.at(id)->waiting, [&](const waiting_read& each) {
                return each.connection == what.connection;
            });
        }
    }
    c.connections.erase(what.connection);
}

void settle_waits(core& c, connection_id id) {
    if (connection* from = c.find_connection(id); from != nullptr) {
        ++from->waiting_settles;
    }
}

void settle_waited(core& c, turn& t, connection_id id) {
    connection* from = c.find_connection(id);
    if (from == nullptr || --from->waiting_settles > 0) {
        return;
    }
    // The last of them may be the end of the connection.
    for (const auto& each : std::exchange(from->behind_settles, {})) {
        each(t);
    }
}

void end_consumers(core& c, turn& t, queue& q, error_code code, const std::string& text) {
    const std::vector<consumer*> ended = q.consumers;
    for (consumer* one : ended) {
        if (one->group != nullptr) {
            leave_group(c, t, *one, code, text);
            continue;
        }
        c.answer(t, {one->connection, 0}, c.gathering,
                 codec::detached{.consumer = one->id, .code = code, .text = text});
        connection* from = c.find_connection(one->connection);
        q.forget(*one);
        from->consumers.erase(one->id);
    }
}

}  // namespace brokerd::domain
