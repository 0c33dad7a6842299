// The quiet phase: no more faults, everybody is there, all that was begun must come to an end.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

bool is_unfinished(const model_message& message) {
    return message.state != message_state::done && message.state != message_state::dead;
}

}  // namespace

void world::leave_all() {
    for (auto& client : clients_) {
        if (client.connected) {
            services_.connection_closed(client.connection);
            apply(domain::connection_closed{client.connection, true});
            await_transactions(client.connection);
            model_.connection_closed(client.connection, true, now_);
            settle_outputs();
            client.connected = false;
            lose_answers(client);
            client.consumers.clear();
        }
        client.held.clear();
    }
}

// Everybody connects anew and sends again what was not answered; one client takes all messages.
void world::begin_quiet() {
    leave_all();
    for (auto& client : clients_) {
        connect(client);
        resend(client);
    }
    auto& worker = clients_.front();
    if (limits_) {
        relax_bounds(worker);
    }
    const std::set<queue_id> served =
        patterns_ ? attach_all_patterns(worker) : std::set<queue_id>{};
    std::uint32_t id = 100;
    for (auto& [topic_name, topic] : model_.state.topics) {
        for (auto& [queue_name, queue] : topic.queues) {
            const std::string path = topic_name + "/" + queue_name;
            (void)ask(worker, codec::queue_pause{path, false});
            queue.paused = false;
            if (served.contains(queue.id)) {
                continue;
            }
            codec::attach attach;
            attach.queue = path;
            attach.consumer = consumer_id{id};
            worker.consumers[id] = {path, queue.id};
            model_.attached({worker.connection, consumer_id{id}},
                            {topic_name, queue_name, attach.prefetch_messages, 0, false});
            (void)ask(worker, attach);
            ++id;
        }
    }
}

void world::settle_all(sim_client& worker) {
    for (const auto& held : std::exchange(worker.held, {})) {
        codec::settle ack;
        ack.queue = held.queue;
        ack.runs.push_back({held.offset, 1, held.lease.epoch, held.lease.counter});
        apply_whole(domain::request{worker.connection, next_request_++, ack});
        (void)model_.settled(ack, {worker.connection, consumer_id{0}}, now_);
        settle_outputs();
    }
}

bool world::has_open_messages(bool in_doubt) const {
    for (const auto& [topic_name, topic] : model_.state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            for (const auto& [offset, message] : queue.messages) {
                if (is_unfinished(message) &&
                    (in_doubt || !model_.may_have_ended(topic, queue, offset, message))) {
                    return true;
                }
            }
        }
    }
    return false;
}

bool world::has_unanswered() const {
    for (const auto& client : clients_) {
        if (!client.unanswered.empty() || !client.transactions.empty()) {
            return true;
        }
    }
    return !cancels_.empty() || !lists_.empty();
}

bool world::has_schedules() const {
    for (const auto& [name, topic] : model_.state.topics) {
        for (const auto& [id, each] : topic.schedules) {
            if (each.fate == schedule_fate::scheduled) {
                return true;
            }
        }
    }
    return false;
}

// Everybody has left once: what they served and asked for has gone with them.
void world::check_services() {
    const auto reply = ask(clients_.front(), codec::service_list{});
    expect(std::get<codec::services>(reply->body).items.empty(), "a service is left over");
}

void world::quiet() {
    note("quiet");
    if (ttl_share_ > 0 || filters_) {
        rest();
    }
    begin_quiet();
    check_services();
    auto& worker = clients_.front();
    // A clock that was set back by hours lets schedules wait for hours. The domain's own never
    // goes beyond the system's in steps of this length.
    constexpr duration_us wait = 5min;
    constexpr duration_us moment = 100ms;
    constexpr int look_every = 4;
    duration_us step = moment;
    for (int round = 0; round < 5000; ++round) {
        now_.mono += step;
        now_.wall += step;
        turn();
        finish_commit();
        while (!fetches_.empty()) {
            answer_fetch(0);
        }
        settle_all(worker);
        bool rests = !has_open_messages(false) && !has_unanswered();
        if (rests && has_open_messages(true)) {
            if (round % look_every == 0) {
                look_at_all_doubts(worker);
            }
            rests = !has_open_messages(true);
        }
        if (rests && !has_schedules()) {
            check_totals(worker);
            do_look();
            check_trim();
            if (patterns_) {
                check_patterns(worker);
            }
            return;
        }
        step = rests ? wait : moment;
    }
    explain_unrest();
}

void world::check_trim() {
    // A move of the trim point takes some hundred exceptions with it, and it moves once a second.
    constexpr duration_us step = 500ms;
    constexpr int rounds = 40;
    // The last exceptions are copied out of the log once later commits have been made.
    const auto is_trimmed = [](const auto& each) {
        const model_topic& topic = each.second;
        return topic.queues.empty() || topic.trim == topic.end ||
               std::ranges::any_of(topic.queues, [&](const auto& queue) {
                   const auto first = queue.second.messages.find(topic.trim);
                   return first != queue.second.messages.end() && first->second.excepted;
               });
    };
    for (int round = 0; round < rounds && !std::ranges::all_of(model_.state.topics, is_trimmed);
         ++round) {
        now_.mono += step;
        now_.wall += step;
        wants_commit_ = true;
        turn();
        finish_commit();
        while (!fetches_.empty()) {
            answer_fetch(0);
        }
    }
    for (const auto& each : model_.state.topics) {
        expect(is_trimmed(each), "{} is kept from {} to {} though every queue is done", each.first,
               each.second.trim, each.second.end);
    }
}

void world::explain_unrest() {
    for (const auto& [topic_name, topic] : model_.state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            for (const auto& [offset, message] : queue.messages) {
                if (!is_unfinished(message)) {
                    continue;
                }
                look_at(clients_.front(), topic_name, offset);  // which may tell why
                const auto told =
                    ask(clients_.front(),
                        codec::queue_explain{topic_name + "/" + queue_name, true, offset});
                const auto* why = std::get_if<codec::explained>(&told->body);
                expect(!is_unfinished(message),
                       "{}/{}@{} comes to no end although nothing stands in its way: {}; it is "
                       "said that {}",
                       topic_name, queue_name, offset, model_.describe(queue.id, offset),
                       why == nullptr ? "nothing is known" : why->sentence);
            }
        }
        for (const auto& [id, each] : topic.schedules) {
            expect(each.fate != schedule_fate::scheduled,
                   "schedule {} of {} is due at {} and was not appended by {}", id, topic_name,
                   to_us(each.due_max), to_us(wall_min()));
        }
    }
    throw violation("a request was never answered");
}

}  // namespace brokerd::sim
