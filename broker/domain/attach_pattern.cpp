// Consumers of pattern queues: one consumer of each queue, which share a room (consumer_group.hpp).
// Leases of before are taken up queue by queue, as what they need is read; until all are, nothing
// is given out.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {

// What an attach still has to take up.
struct pending_attach {
    asker who;
    consumer_group* group = nullptr;
    std::vector<codec::pattern_held> held{};
    std::size_t next = 0;   // the first of them that was not looked at
    std::size_t asked = 0;  // for how many something is being read
    bool going_on = false;  // on the stack
    bool over = false;      // answered, or the group is gone
    std::vector<codec::pattern_held> gone{};
    std::vector<std::size_t> taken_up{};  // of `held`
};

namespace {

using pending_ptr = std::shared_ptr<pending_attach>;

constexpr std::size_t asked_max = 16;   // reads at once for one attach
constexpr std::size_t warned_max = 10;  // consumers named in warnings

// ---- members ----

std::size_t members_of(const connection& from) {
    std::size_t members = 0;
    for (const auto& [id, each] : from.groups) {
        members += each->members.size();
    }
    return members;
}

void add_member(core& c, turn& t, consumer_group& group, queue& q) {
    auto made = std::make_unique<consumer>();
    consumer& one = *made;
    one.connection = group.connection;
    one.id = group.id;
    one.name = group.name;
    one.from = &q;
    one.attached = t.wall;
    one.group = &group;
    one.shared = &group.room;
    group.members.emplace(q.id, std::move(made));
    q.consumers.push_back(&one);
    q.offer(one);
    c.wake(q);
}

codec::pattern_member describe_member(const queue& q) {
    return {.queue = q.id,
            .topic = q.owner.name,
            .lease = q.settings->lease,
            .attempts = q.settings->attempts};
}

// Nothing of the consumer comes behind the answer to its detach, so this counts as a delivery.
void push(core& c, turn& t, consumer_group& group, codec::pattern_queues what,
          commit_number depends_on, bool early) {
    group.room.depends_on = std::max(group.room.depends_on, c.depend(depends_on, early));
    if (!early) {
        group.told = std::max(group.told, depends_on);
    }
    c.answer(t, {group.connection, 0}, depends_on, std::move(what), early);
}

void join(core& c, turn& t, consumer_group& group, queue& q) {
    add_member(c, t, group, q);
    if (group.attaching) {
        return;  // the answer tells
    }
    // Deliveries of the queue depend on no less.
    push(c, t, group, {.consumer = group.id, .joined = {describe_member(q)}},
         std::max(q.changed, group.room.attached), is_os(c, q.owner));
}

bool may_join(core& c, const consumer_group& group) {
    const connection* from = c.find_connection(group.connection);
    return group.members.size() < c.options.queues_per_group_max &&
           members_of(*from) < c.options.group_queues_per_connection_max;
}

// Queues that came when there were as many as there may be join now that there may be more.
void join_waiting(core& c, turn& t, const connection& from) {
    for (const auto& [id, group] : from.groups) {
        const auto& queues = group->of->queues;
        for (auto at = queues.begin();
             at != queues.end() && group->members.size() < queues.size() && may_join(c, *group);
             ++at) {
            if (!group->members.contains(at->first)) {
                join(c, t, *group, *at->second);
            }
        }
    }
}

// The group is to be erased by who calls.
void end_group(core& c, turn& t, consumer_group& group, bool lost) {
    if (group.attaching) {
        group.attaching->over = true;
    }
    group.disband();
    for (const auto& [id, one] : group.members) {
        end_consumer(c, t, *one, lost);
    }
    std::erase(group.of->groups, &group);
    std::erase(c.noted_groups, &group);
}

// Whether nothing that was sent to the consumer waits for a sync: its queues are of topics that do
// not, or have given it nothing.
bool leaves_unsynced(const core& c, const consumer_group& group) {
    return c.depend(group.told) == commit_number{} &&
           std::ranges::all_of(group.members, [&](const auto& each) {
               const consumer& one = *each.second;
               return one.delivered == 0 || is_os(c, one.from->owner);
           });
}

// ---- attaching ----

outcome<void> check_held(const std::vector<codec::pattern_held>& held) {
    if (held.size() > limits::pattern_topics_max) {
        return refuse(error_code::invalid_argument,
                      fmt::format("leases of {} queues are held; at most {} are allowed",
                                  held.size(), limits::pattern_topics_max));
    }
    std::vector<lease_run> all;
    for (const codec::pattern_held& each : held) {
        all.insert(all.end(), each.runs.begin(), each.runs.end());
    }
    return check_runs(all);
}

outcome<pattern_queue*> check_attach(core& c, const connection* from,
                                     const codec::pattern_attach& what) {
    const auto found = find_pattern(c, what.pattern);
    if (!found) {
        return found;
    }
    auto checked = check_attachable(c, from, what.consumer);
    if (checked) checked = check_held(what.held);
    if (checked) checked = check_prefetch(what.prefetch_messages, what.prefetch_bytes);
    if (!checked) {
        return std::unexpected(checked.error());
    }
    const std::size_t queues = (*found)->queues.size();
    if (queues > c.options.queues_per_group_max) {
        return refuse(error_code::pattern_too_wide,
                      fmt::format("{} has {} queues; a consumer may be attached to {}; attach to "
                                  "narrower patterns",
                                  what.pattern, queues, c.options.queues_per_group_max));
    }
    if (members_of(*from) + queues > c.options.group_queues_per_connection_max) {
        return refuse(error_code::too_many_consumers,
                      fmt::format("the consumers of this connection are attached to {} queues; "
                                  "with the {} of {} these are more than the {} allowed; use "
                                  "another connection",
                                  members_of(*from), queues, what.pattern,
                                  c.options.group_queues_per_connection_max));
    }
    return found;
}

void finish(core& c, turn& t, pending_attach& p) {
    p.over = true;
    consumer_group& group = *p.group;
    group.attaching.reset();
    group.room.prefetch_messages = group.wanted_messages;
    commit_number depends_on = group.of->changed;
    for (const auto& [id, one] : group.members) {
        depends_on = std::max(depends_on, one->from->changed);
    }
    group.room.attached = depends_on;
    group.room.depends_on = c.depend(depends_on);
    group.told = depends_on;
    // Attempts taken back are not durable yet, as in attach.
    codec::pattern_queues page{.consumer = group.id, .gone = std::move(p.gone)};
    asker to = p.who;
    for (const auto& [id, one] : group.members) {
        if (page.joined.size() == limits::pattern_page_max) {
            c.answer(t, to, depends_on, std::exchange(page, {.consumer = group.id}));
            to.request = 0;
        }
        page.joined.push_back(describe_member(*one->from));
    }
    c.answer(t, to, depends_on, std::move(page));
    group.note();
}

void go_on(core& c, turn& t, const pending_ptr& p);

void take_up_of(core& c, turn& t, const pending_ptr& p, std::size_t at, queue& q,
                const outcome<exception_map>& exceptions) {
    --p->asked;
    if (p->over) {
        return;
    }
    consumer_group& group = *p->group;
    if (!exceptions) {
        // What was taken up already may be taken up again by the next try.
        const asker who = p->who;
        connection& from = *c.find_connection(group.connection);
        end_group(c, t, group, true);
        from.groups.erase(group.id);
        c.refuse(t, who, exceptions.error());
        join_waiting(c, t, from);
        return;
    }
    p->taken_up.push_back(at);
    auto gone = take_up_held(c, t, q, *group.members.at(q.id), p->held[at].runs, *exceptions);
    if (!gone.empty()) {
        p->gone.push_back({q.id, std::move(gone)});
    }
    go_on(c, t, p);
}

void go_on(core& c, turn& t, const pending_ptr& p) {
    if (p->going_on || p->over) {
        return;
    }
    p->going_on = true;
    while (!p->over && p->next < p->held.size() && p->asked < asked_max) {
        const std::size_t at = p->next++;
        const codec::pattern_held& held = p->held[at];
        const auto member = p->group->members.find(held.queue);
        if (member == p->group->members.end()) {
            p->gone.push_back(held);
            continue;
        }
        queue& q = *member->second->from;
        ++p->asked;
        with_exceptions(
            c, t, q, unleased_exceptions(q, held.runs),
            [p, at](core& then, turn& later, queue& of, outcome<exception_map> exceptions) {
                take_up_of(then, later, p, at, of, exceptions);
            },
            [&c, p, at](turn& later) {
                --p->asked;
                p->gone.push_back(p->held[at]);
                go_on(c, later, p);
            });
    }
    p->going_on = false;
    if (!p->over && p->next == p->held.size() && p->asked == 0) {
        finish(c, t, *p);
    }
}

// What was taken up of a queue that is no more is gone with it.
void forget_taken_up(pending_attach& p, queue_id id) {
    std::erase_if(p.gone, [id](const codec::pattern_held& each) { return each.queue == id; });
    for (const std::size_t at : p.taken_up) {
        if (p.held[at].queue == id) {
            p.gone.push_back(p.held[at]);
        }
    }
}

}  // namespace

void attach_pattern(core& c, turn& t, asker who, const codec::pattern_attach& what) {
    connection* from = c.find_connection(who.connection);
    const auto found = check_attach(c, from, what);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    auto made = std::make_unique<consumer_group>(c.noted_groups);
    consumer_group& group = *made;
    group.connection = who.connection;
    group.id = what.consumer;
    group.name = from->name;
    group.of = *found;
    group.wanted_messages = from->draining ? 0 : what.prefetch_messages;
    group.room.prefetch_bytes = what.prefetch_bytes;
    group.room.limit = what.limit;
    group.attaching = std::make_shared<pending_attach>(
        pending_attach{.who = who, .group = &group, .held = what.held});
    from->groups.emplace(what.consumer, std::move(made));
    group.of->groups.push_back(&group);
    for (const auto& [id, q] : group.of->queues) {
        add_member(c, t, group, *q);
    }
    go_on(c, t, pending_ptr(group.attaching));
}

void join_groups(core& c, turn& t, pattern_queue& of, queue& q) {
    for (consumer_group* each : of.groups) {
        if (may_join(c, *each)) {
            join(c, t, *each, q);
        }
    }
}

void leave_group(core& c, turn& t, consumer& one, error_code code, const std::string& text) {
    consumer_group& group = *one.group;
    const queue_id id = one.from->id;
    one.give_back(one.leased, one.leased_bytes);
    one.give_back_ended(one.ended, one.ended_bytes);
    one.from->forget(one);
    group.note();
    if (group.attaching) {
        forget_taken_up(*group.attaching, id);
    } else {
        push(c, t, group, {.consumer = group.id, .left = {{id, code, text}}}, c.gathering, false);
    }
    group.members.erase(id);
    join_waiting(c, t, *c.find_connection(group.connection));
}

bool detach_group(core& c, turn& t, asker who, const codec::detach& what) {
    connection& from = *c.find_connection(who.connection);
    const auto at = from.groups.find(what.consumer);
    if (at == from.groups.end() || at->second->attaching) {
        return false;
    }
    consumer_group& group = *at->second;
    commit_number depends_on = group.room.depends_on;
    const bool early = leaves_unsynced(c, group);
    if (early) {  // deliveries from before their topics were so may wait for more
        for (const auto& [id, one] : group.members) {
            depends_on = std::max(depends_on, one->from->owner.changed);
        }
    }
    end_group(c, t, group, false);
    from.groups.erase(at);
    c.answer(t, who, depends_on, codec::ok{}, early);
    join_waiting(c, t, from);
    return true;
}

void end_groups(core& c, turn& t, connection& from, bool lost) {
    for (const auto& [id, group] : from.groups) {
        end_group(c, t, *group, lost);
    }
    from.groups.clear();
}

void end_groups(core& c, turn& t, pattern_queue& of, const std::string& text) {
    const std::vector<consumer_group*> ended = of.groups;
    std::set<connection_id> connections;
    for (consumer_group* group : ended) {
        connections.insert(group->connection);
        const pending_ptr attaching = group->attaching;
        end_group(c, t, *group, false);
        if (attaching) {
            c.refuse(t, attaching->who, {error_code::pattern_not_found, text});
        } else {
            c.answer(
                t, {group->connection, 0}, c.gathering,
                codec::detached{
                    .consumer = group->id, .code = error_code::pattern_not_found, .text = text});
        }
        c.find_connection(group->connection)->groups.erase(consumer_id{group->id});
    }
    for (const connection_id each : connections) {
        join_waiting(c, t, *c.find_connection(each));
    }
}

void warn_of_groups(const core& c, std::vector<std::string>& warnings) {
    std::size_t found = 0;
    for (const auto& [path, of] : c.patterns) {
        for (const consumer_group* group : of->groups) {
            if (group->members.size() < of->queues.size() && ++found <= warned_max) {
                warnings.push_back(fmt::format(
                    "consumer {} of {} is attached to {} of its {} queues, as many as it may: "
                    "attach another one to a narrower pattern",
                    group->name, path, group->members.size(), of->queues.size()));
            }
        }
    }
    if (found > warned_max) {
        warnings.push_back(
            fmt::format("and {} more consumers of pattern queues are not attached to all of them",
                        found - warned_max));
    }
}

}  // namespace brokerd::domain
