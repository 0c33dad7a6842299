// Consumers of pattern queues: how they attach with what they hold, and what they are told of their
// queues.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {

consumer_id world::consumer_on(const sim_client& who, queue_id queue) {
    const auto plain = std::ranges::find_if(
        who.consumers, [&](const auto& entry) { return entry.second.second == queue; });
    if (plain != who.consumers.end()) {
        return consumer_id{plain->first};
    }
    const auto found = std::ranges::find_if(who.consumers, [&](const auto& entry) {
        return entry.second.second == queue_id{} &&
               model_.members_of(entry.second.first).contains(queue);
    });
    return consumer_id{found == who.consumers.end() ? 0 : found->first};
}

void world::attach_pattern(sim_client& who, const std::string& path, std::uint32_t prefetch,
                           std::uint64_t limit) {
    await_transactions();  // so that the model may take leases up before the domain does
    codec::pattern_attach what;
    what.pattern = path;
    what.consumer = consumer_id{next_request_};
    what.prefetch_messages = prefetch;
    if (pattern_random_.chance(1, 4)) {
        what.prefetch_bytes = pattern_random_.below(400);
    }
    what.limit = limit;
    const std::set<queue_id> members = model_.members_of(path);
    if (pattern_random_.chance(2, 3)) {
        std::map<queue_id, std::vector<lease_run>> by_queue;
        for (const held_lease& held : who.held) {
            if (!model_.is_worth_unknown(held.queue, held.offset)) {
                append_lease(by_queue[held.queue], held);
            }
        }
        for (auto& [queue, runs] : by_queue) {
            look_at_doubts(who, queue, runs);
            what.held.push_back({queue, std::move(runs)});
        }
    }
    const holder by{who.connection, what.consumer};
    who.consumers[what.consumer.value()] = {path, queue_id{}};
    who.joined[what.consumer.value()].clear();
    note("pattern attach", what.consumer.value());
    model_.attached(by, {{}, {}, prefetch, limit, limit > 0, {}, path, what.prefetch_bytes});
    std::multiset<std::pair<queue_id, offset_t>> gone;  // some under two leases
    for (const codec::pattern_held& held : what.held) {
        trace_leases(held.queue, held.runs);
        for (const lease_run& run : held.runs) {
            for (std::uint32_t i = 0; i < run.count; ++i) {
                const offset_t offset = run.first_offset + i;
                const bool taken =
                    members.contains(held.queue) &&
                    model_.taken_up(held.queue, offset, {run.epoch, run.first_lease + i}, by, now_);
                note(taken ? "taken up for a pattern" : "gone for a pattern", offset);
                if (!taken) {
                    gone.emplace(held.queue, offset);
                }
            }
        }
    }
    const auto reply = ask(who, what);
    const auto* attached = std::get_if<codec::pattern_queues>(&reply->body);
    expect(attached != nullptr && attached->left.empty(), "an attach to {} was refused", path);
    std::set<queue_id> joined;
    for (const codec::pattern_member& each : attached->joined) {
        joined.insert(each.queue);
    }
    expect(joined == members, "an attach to {} tells {} queues, the model says {}", path,
           joined.size(), members.size());
    for (const codec::pattern_held& each : attached->gone) {
        for (const lease_run& run : each.runs) {
            for (std::uint32_t i = 0; i < run.count; ++i) {
                const auto at = gone.find({each.queue, run.first_offset + i});
                expect(at != gone.end(),
                       "queue {} offset {} is gone, and was taken up, or not held",
                       each.queue.value(), run.first_offset + i);
                gone.erase(at);
            }
        }
    }
    expect(gone.empty(), "{} held leases are gone, and that is not said", gone.size());
}

std::set<queue_id> world::attach_all_patterns(sim_client& who) {
    std::set<queue_id> served;
    for (const auto& [path, rule] : model_.state.rules) {
        const std::set<queue_id> members = model_.members_of(path);
        served.insert(members.begin(), members.end());
        attach_pattern(who, path, static_cast<std::uint32_t>(1 + pattern_random_.below(10)), 0);
    }
    return served;
}

void world::receive_queues(sim_client& who, const codec::pattern_queues& what) {
    const std::uint32_t id = what.consumer.value();
    expect(!who.ended.contains(id), "consumer {} is told of queues after its end", id);
    if (!who.consumers.contains(id)) {
        return;  // it is detaching
    }
    std::set<queue_id>& joined = who.joined[id];
    for (const codec::pattern_member& each : what.joined) {
        note("pattern joined", each.queue.value());
        expect(joined.insert(each.queue).second, "consumer {} joins queue {} twice", id,
               each.queue.value());
        const auto* const owner = model_.owner_of(each.queue);
        expect(owner == nullptr || owner->first == each.topic,
               "queue {} is said to be of topic {}, and is of {}", each.queue.value(), each.topic,
               owner == nullptr ? "" : owner->first);
    }
    for (const codec::pattern_left& each : what.left) {
        note("pattern left", each.queue.value());
        expect(joined.erase(each.queue) == 1, "consumer {} leaves queue {}, which it had not", id,
               each.queue.value());
        expect(model_.find(each.queue) == nullptr, "queue {} is left, and is still there",
               each.queue.value());
        std::erase_if(who.held, [&](const held_lease& held) { return held.queue == each.queue; });
    }
}

bool world::is_told_of_end(const sim_client& who, std::uint32_t consumer) const {
    return who.ended.contains(consumer) ||
           std::ranges::any_of(waiting_, [&](const domain::output& each) {
               const auto* told = std::get_if<codec::detached>(&each.body);
               return told != nullptr && each.connection == who.connection &&
                      told->consumer.value() == consumer;
           });
}

// Nothing about it is on its way.
void world::check_joined() const {
    const bool on_its_way = std::ranges::any_of(waiting_, [](const domain::output& each) {
        return std::holds_alternative<codec::pattern_queues>(each.body);
    });
    if (on_its_way) {
        return;
    }
    for (const sim_client& client : clients_) {
        for (const auto& [id, of] : client.consumers) {
            if (of.second != queue_id{}) {
                continue;
            }
            const auto& joined = client.joined.at(id);
            const auto members = model_.members_of(of.first);
            expect(joined == members, "consumer {} of {} was told of {} queues, the model says {}",
                   id, of.first, joined.size(), members.size());
        }
    }
}

}  // namespace brokerd::sim
