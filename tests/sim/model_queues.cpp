// The rules of what becomes of queues as a whole: offsets that no message has and that are done in
// each of them, clones, temporary ones.
#include <algorithm>

#include "tests/sim/model.hpp"

namespace brokerd::sim {

// ---- topics of durability os ----

void model::level_changed(const std::string& topic, durability level) {
    auto& of = state.topics.at(topic);
    of.level = level;
    of.reserves = of.reserves || level == durability::os;
}

std::uint64_t model::skipped(const domain::offsets_skipped& what) {
    const auto found = std::ranges::find_if(
        state.topics, [&](const auto& each) { return each.second.id == what.topic; });
    expect(found != state.topics.end(), "offsets of no topic are skipped");
    auto& [name, topic] = *found;
    offset_t bound = topic.end;  // what is below need not be named any more
    for (const auto& [queue_name, queue] : topic.queues) {
        bound = std::min(bound, floor(topic, queue));
    }
    bound = std::max(bound, topic.trim);
    const offset_t next = topic.next();
    std::uint64_t fresh = 0;
    std::uint64_t named = 0;  // of those from the bound on
    offset_t reached = 0;
    for (const domain::offset_run& run : what.runs) {
        const offset_t end = run.first + run.count;
        expect(run.count > 0 && (run.first > reached || reached == 0),
               "the runs of {} from {} on are not in order", name, run.first);
        reached = end;
        const offset_t known = std::min(end, next);
        const std::uint64_t there = topic.skipped.below(known) - topic.skipped.below(run.first);
        expect(run.first <= next && there == known - std::min(run.first, known),
               "{} skips offsets from {} to {}, of which some have messages", name, run.first, end);
        named += known - std::clamp(bound, std::min(run.first, known), known);
        if (end <= next) {
            continue;
        }
        expect(may_skip_ && topic.reserves && topic.end == next,
               "{} skips offsets from {} to {} for no reason", name, next, end);
        expect(end - next <= 2 * limits::offsets_reserved_ahead, "{} skips {} offsets", name,
               end - next);
        fresh += end - next;
    }
    expect(named == topic.skipped.total() - topic.skipped.below(bound),
           "{} forgets which offsets from {} on have no message", name, bound);
    if (fresh > 0) {
        topic.skipped.add(next, next + fresh);
        topic.end = topic.next();
    }
    return fresh;
}

// ---- clones ----

// What was leased is ready, or due at once if it had failed before. Nobody has ever been given
// anything of it: leases of the other queue do not hold.
void model::cloned(const std::string& topic, const std::string& source, const std::string& name,
                   const codec::queue_created& told, instant now) {
    auto& of = state.topics.at(topic);
    expect(told.created && !of.queues.contains(name), "{}/{} is cloned into one that exists", topic,
           source);
    model_queue made = of.queues.at(source);
    check_sieve(topic, source, told.settings);
    queue_settings wanted = made.settings;
    wanted.filter = told.settings.filter;
    wanted.until = told.settings.until;
    expect(told.settings == wanted, "the clone of {}/{} has other settings", topic, source);
    made.id = told.queue;
    made.paused = false;
    made.fence = std::max(made.newest, lease_id{epoch, 0});
    made.newest = made.fence;
    made.outcomes.clear();
    made.unused_since = now.mono;
    made.dropped = 0;
    made.told_floor.reset();
    made.gone_early.clear();
    made.unsure = true;
    for (auto& [offset, message] : made.messages) {
        if (message.state == message_state::leased) {
            message.state = message.excepted ? message_state::retrying : message_state::ready;
            message.wait(now, duration_us{0}, duration_us{0});
        }
        message.returned = false;
        message.lease = {};
        message.failed_lease = {};
        message.lease_failed = false;
        message.by = {};
        message.deadline = {};
        message.died_of_age = false;
    }
    of.queues.emplace(name, std::move(made));
    release_deaths();
}

// ---- temporary queues ----

std::size_t model::consumers_of(const std::string& topic, const std::string& queue) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        consumers, [&](const auto& each) { return serves(each.second, topic, queue); }));
}

void model::consumer_left(const model_consumer& what, instant now) {
    for (const queue_path& each : served_by(what)) {
        if (consumers_of(each.topic, each.queue) == 0) {
            state.topics.at(each.topic).queues.at(each.queue).unused_since = now.mono;
        }
    }
}

void model::queue_used(const std::string& topic, const std::string& queue) {
    auto& since = state.topics.at(topic).queues.at(queue).unused_since;
    since = std::max(since, now_.mono);  // later after a start
}

void model::expires_changed(const std::string& topic, const std::string& name,
                            duration_us expires) {
    model_queue& queue = state.topics.at(topic).queues.at(name);
    if (queue.settings.expires != expires) {
        queue.settings.expires = expires;
        queue.unused_since = now_.mono;
    }
}

void model::queue_expired(queue_id id, instant now) {
    auto* const owner = owner_of(id);
    expect(owner != nullptr, "queue {} is removed, and there is none", id.value());
    auto& [topic, of] = *owner;
    const auto at =
        std::ranges::find_if(of.queues, [&](const auto& each) { return each.second.id == id; });
    const auto& [name, queue] = *at;
    const duration_us expires = queue.settings.expires;
    expect(expires != duration_us{0}, "{}/{} went by itself, and is not temporary", topic, name);
    expect(consumers_of(topic, name) == 0, "{}/{} went while it had a consumer", topic, name);
    expect(queue.unused_since + expires <= now.mono, "{}/{} went {} us too early", topic, name,
           (queue.unused_since + expires - now.mono).count());
    note_pending(of);
    of.limits.unsure = true;
    forget_owed(at->second.id);
    of.queues.erase(at);
}

void model::check_temporary(instant now) const {
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            const duration_us expires = queue.settings.expires;
            expect(expires == duration_us{0} || queue.unused_since + expires > now.mono ||
                       consumers_of(name, queue_name) > 0,
                   "{}/{} is still there though nobody used it for {} us", name, queue_name,
                   (now.mono - queue.unused_since).count());
        }
    }
}

}  // namespace brokerd::sim
