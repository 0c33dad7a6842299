// What administrators do with queues as a whole: they remove them, clone them, and make some that
// go by themselves. With random numbers of their own, so that runs without any are as they were.
#include <algorithm>

#include <fmt/format.h>

#include "protocol/types/names.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

void world::remove_queue(sim_client& who, const std::string& path) {
    const auto parsed = parse_queue_path(path);
    note("queue removed");
    removing_ = {queue_at(path).id};
    (void)ask(who, codec::queue_remove{path});
    removing_.clear();
    model_.queue_removed(parsed->topic, parsed->queue);
    for (auto& client : clients_) {
        std::erase_if(client.consumers,
                      [&](const auto& entry) { return entry.second.first == path; });
    }
}

// A crash may have come between the removal of one and its making; others may not take its room.
void world::make_missing_queues(sim_client& who) {
    const auto there = queue_paths();
    for (const char* path : {"a/one", "a/two", "b/one"}) {
        if (std::ranges::find(there, path) == there.end()) {
            make_queue(who, path);
        }
    }
}

// ---- clones ----

void world::do_clone(sim_client& who) {
    make_missing_queues(who);
    const auto paths = queue_paths();
    std::vector<std::string> copies;
    std::ranges::copy_if(paths, std::back_inserter(copies),
                         [](const std::string& path) { return path.contains("/copy"); });
    if (!copies.empty() && clone_random_.chance(1, 3)) {
        remove_queue(who, copies[clone_random_.below(copies.size())]);
        return;
    }
    if (!copies.empty() && clone_random_.chance(1, 3)) {
        settle_elsewhere(copies[clone_random_.below(copies.size())]);
        return;
    }
    constexpr std::uint64_t names = 4;
    const std::string name =
        clone_random_.chance(1, 10) ? "one" : fmt::format("copy{}", clone_random_.below(names));
    clone(who, clone_random_.chance(1, 15) ? "a/nowhere" : paths[clone_random_.below(paths.size())],
          name);
}

void world::clone(sim_client& who, const std::string& path, const std::string& name) {
    const auto parsed = parse_queue_path(path);
    const auto& queues = model_.state.topics.at(parsed->topic).queues;
    const std::set<error_code> reasons = [&] {
        std::set<error_code> found;
        if (!queues.contains(parsed->queue)) {
            found.insert(error_code::queue_not_found);
        }
        if (queues.contains(name)) {
            found.insert(error_code::queue_exists);
        }
        if (queues.size() >= few_queues) {
            found.insert(error_code::too_many_queues);
        }
        return found;
    }();
    cloning_ = {parsed->topic, parsed->queue, name};
    const commit_number earliest = gathering_;
    const auto reply = ask(who, codec::queue_clone{path, name});
    cloning_.reset();
    if (std::holds_alternative<codec::queue_created>(reply->body)) {
        expect(reasons.empty(), "{} was cloned in spite of {}", path,
               describe(*reasons.begin()).name);
        expect(reply->depends_on >= earliest && !reply->when_applied,
               "a clone of {} is answered before its commit", path);
        return;
    }
    const auto* refused = std::get_if<codec::error>(&reply->body);
    expect(refused != nullptr && reasons.contains(refused->code),
           "a clone of {} to {} was refused for no reason: {}", path, name,
           refused == nullptr ? "" : refused->text);
    note(fmt::format("clone refused: {}", describe(refused->code).name));
}

// Acks with leases of another queue of the topic.
void world::settle_elsewhere(const std::string& path) {
    const queue_id queue = queue_at(path).id;
    const auto* const topic = model_.owner_of(queue);
    codec::settle what;
    what.queue = queue;
    what.confirm = true;
    const sim_client* by = nullptr;
    queue_id source;
    for (const sim_client& client : clients_) {
        for (const held_lease& held : client.held) {
            const bool first = by == nullptr && client.connected && held.queue != queue &&
                               model_.owner_of(held.queue) == topic;
            if (first) {
                by = &client;
                source = held.queue;
            }
            if (by == &client && held.queue == source &&
                !model_.is_worth_unknown(queue, held.offset)) {
                append_lease(what.runs, held);
            }
        }
    }
    if (what.runs.empty()) {
        return;
    }
    const connection_id connection = by->connection;
    look_at_doubts(clients_[static_cast<std::size_t>(by - clients_.data())], queue, what.runs);
    trace_leases(queue, what.runs);
    const std::uint32_t id = next_request_++;
    settles_[id] = what;
    apply_whole(domain::request{connection, id, what});
    const std::uint64_t accepted = model_.settled(what, {connection, consumer_id{0}}, now_);
    settle_accepted_[id] = accepted;
    if (accepted == 0) {
        note("leases of another queue", what.runs.size());
    }
    settle_outputs();
}

// The state is copied as it is when the broker answers.
void world::observe_clone(const domain::output& what) {
    const auto* created = std::get_if<codec::queue_created>(&what.body);
    if (!cloning_ || asked_ != what.request || created == nullptr) {
        return;
    }
    const auto& [topic, source, name] = *cloning_;
    const model_queue& from = model_.state.topics.at(topic).queues.at(source);
    note("cloned", created->queue.value());
    for (const message_state state :
         {message_state::leased, message_state::retrying, message_state::dead}) {
        if (from.count(state) > 0) {
            note(fmt::format("cloned {}", to_string(state)), from.count(state));
        }
    }
    if (!from.sieves.back().takes_all()) {
        note("cloned filtered");
    }
    model_.cloned(topic, source, name, *created, now_);
}

// ---- temporary queues ----

void world::do_temporary(sim_client& who) {
    make_missing_queues(who);
    const std::string path = temporary_random_.chance(1, 2) ? "a/temporary" : "b/temporary";
    const auto parsed = parse_queue_path(path);
    const auto& queues = model_.state.topics.at(parsed->topic).queues;
    const duration_us expires{temporary_random_.between(1'000'000, 15'000'000)};
    if (!queues.contains(parsed->queue)) {
        if (queues.size() < few_queues) {
            note("temporary queue");
            make_queue(who, path, expires);
        }
        return;
    }
    if (temporary_random_.chance(1, 2)) {
        note("temporary queue again");
        make_queue(who, path);
        return;
    }
    note("temporary queue changed");
    const model_sieve& same = queue_at(path).sieves.back();
    codec::queue_set what{path, settings_with(path, same)};
    what.settings.expires = expires;
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "{} may not go later", path);
    model_.expires_changed(parsed->topic, parsed->queue, expires);
}

}  // namespace brokerd::sim
