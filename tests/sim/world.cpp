// The machinery of the world: turns, commits, crashes, the way of outputs. The clients' steps are
// in clients.cpp, filters.cpp, schedules.cpp, transactions.cpp and expiry.cpp, the end is in
// quiet.cpp.
#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include <fmt/format.h>

#include "protocol/codec/record_batch.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

world::world(world_options options)
    : options_(options),
      random_(options.seed),
      slow_store_(random_.chance(1, 4)),
      ttl_share_(3 * random_.below(3)),
      sieve_random_(~options.seed),
      filters_(sieve_random_.chance(1, 3)),
      now_{mono_time{1s}, wall_from_us(1'700'000'000'000'000)},
      services_(options.seed,
                [this](std::string_view what, std::uint64_t number) { note(what, number); }) {
    clients_.resize(4);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
        clients_[i].producer = producer_id{1000 + i};
    }
    start(commit_number{0});
}

void world::note(std::string_view what, std::uint64_t number) {
    ++marks_[std::string(what)];
    for (const char c : what) {
        hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    hash_ = (hash_ ^ number) * 0x100000001B3ULL;
    if (options_.trace) {
        fmt::print(stderr, "{:>12} us  {} {}\n", now_.mono.time_since_epoch().count(), what,
                   number);
    }
}

void world::start(commit_number last_durable) {
    domain::domain_options options;
    options.seed = options_.seed;
    options.expiry_grace = random_.chance(1, 4) ? duration_us{10s} : duration_us{0};
    options.cache_bytes_max = random_.chance(1, 2) ? 512 : 64 * 1024;
    options.read_ahead_bytes = random_.chance(1, 2) ? 256 : 64 * 1024;
    auto loaded = store_.load();
    if (!loaded) {
        throw violation("the store does not load: " + loaded.error().text);
    }
    if (loaded->last_commit != last_durable) {
        throw violation(fmt::format("the store is at commit {}, expected {}",
                                    loaded->last_commit.value(), last_durable.value()));
    }
    durable_ = last_durable;
    gathering_ = commit_number{last_durable.value() + 1};
    in_flight_.reset();
    in_flight_batch_.clear();
    waiting_.clear();
    fetches_.clear();
    effects_ = {};
    mutations_seen_ = 0;
    start_wall_clock();
    clock_.start(now_, now_.wall);
    observe_clock();
    domain_ = std::make_unique<domain::broker_state>(options);
    domain_->restore(*loaded, gathering_, now_, effects_);
    model_.epoch = domain_->epoch();
    wants_commit_ = true;
    turn();
    while (in_flight_ || effects_.urgent) {
        finish_commit();
        wants_commit_ = true;
        turn();
    }
}

void world::apply(domain::command what) {
    observe_clock();
    domain_->apply(std::move(what), now_, effects_);
    learn_mutations();
    wants_commit_ = wants_commit_ || effects_.urgent;
}

// Chunks are closed when a commit is cut, and by what needs to count every message.
void world::learn_mutations() {
    for (; mutations_seen_ < effects_.mutations.size(); ++mutations_seen_) {
        const auto& mutation = effects_.mutations[mutations_seen_];
        if (const auto* chunk = std::get_if<domain::appended>(&mutation)) {
            const std::uint64_t sifted = model_.sifted_at_once();
            for (auto left = model_.sealed(*chunk->data, wall_max()); left > 0; --left) {
                note("schedule appended", chunk->data->base_offset());
            }
            if (model_.sifted_at_once() > sifted) {
                note("sifted at once", model_.sifted_at_once() - sifted);
            }
        } else if (const auto* put = std::get_if<domain::exception_put>(&mutation)) {
            if (options_.trace) {
                fmt::print(stderr, "    queue {} exception {}: {}, due {}, was due {}\n",
                           put->queue.value(), put->offset, to_string(put->value.state),
                           to_us(put->value.due), to_us(put->previous_due));
            }
            if (put->value.state == message_state::dead && !put->value.history.empty() &&
                put->value.history.back().outcome == attempt_outcome::ttl_expired) {
                note("dead of age", put->offset);
                model_.died_of_age(put->queue, put->offset);
            }
        } else if (const auto* kept = std::get_if<domain::kept_put>(&mutation)) {
            note("kept", kept->offset);
        } else if (const auto* trim = std::get_if<domain::trimmed>(&mutation)) {
            note("trimmed", trim->first);
            model_.trimmed(trim->topic, trim->first);
        }
    }
}

void world::take_fetches() {
    for (auto& fetch : effects_.fetches) {
        note("fetch", fetch.body.index());
        fetches_.push_back(std::move(fetch));
    }
    effects_.fetches.clear();
}

// Applies a command and answers what it fetches before anything else happens, so that the model
// knows when it takes effect.
void world::apply_whole(domain::command what) {
    take_fetches();
    const std::size_t before = fetches_.size();
    apply(std::move(what));
    take_fetches();
    while (fetches_.size() > before) {
        const domain::fetch fetch = std::move(fetches_.back());
        fetches_.pop_back();
        apply(domain::fetched{fetch.id, store_.read(fetch.body)});
        take_fetches();
    }
}

void world::settle_outputs() {
    take_fetches();
    std::vector<domain::output> outputs;
    outputs.swap(effects_.outputs);
    // An output gathers what one consumer got in a turn; the order of leases is that of dispatch.
    struct given {
        connection_id connection;
        consumer_id consumer;
        const domain::record_run* run;
    };
    std::vector<given> deliveries;
    for (const auto& output : outputs) {
        if (output.depends_on > gathering_) {
            throw violation("an output depends on a commit that is not being gathered");
        }
        if (const auto* delivery = std::get_if<domain::delivery>(&output.body)) {
            for (const auto& run : delivery->runs) {
                deliveries.push_back({output.connection, delivery->consumer, &run});
            }
        } else {
            observe(output);
        }
    }
    std::ranges::stable_sort(deliveries, {},
                             [](const given& each) { return each.run->leases.first_lease; });
    for (const auto& each : deliveries) {
        note(each.run->attempt == 1 ? "deliver" : "redeliver", each.run->leases.first_offset);
        const odd_deliveries odd =
            model_.delivered(each.connection, each.consumer, *each.run, now_);
        if (odd.redriven > 0) {
            note("deliver redriven", each.run->leases.first_offset);
        }
        if (odd.spared > 0) {
            note("deliver spared", each.run->leases.first_offset);
        }
    }
    std::ranges::move(outputs, std::back_inserter(waiting_));
}

void world::turn() {
    observe_clock();
    (void)domain_->tick(now_, effects_);
    model_.expire(now_);
    settle_outputs();
    learn_mutations();
    if (!in_flight_ && (wants_commit_ || random_.chance(1, 8))) {
        domain_->seal(now_, effects_);
        learn_mutations();
        settle_outputs();
        if (!effects_.mutations.empty()) {
            in_flight_ = gathering_;
            in_flight_batch_ = std::move(effects_.mutations);
            effects_.mutations.clear();
            mutations_seen_ = 0;
            model_.cut();
            copies_[gathering_.value()] = model_.state;
            note("cut", in_flight_batch_.size());
            gathering_ = commit_number{gathering_.value() + 1};
            domain_->commit_cut(gathering_);
        }
        effects_.urgent = false;
        wants_commit_ = false;
    }
    domain_->dispatch(now_, effects_);
    learn_mutations();
    wants_commit_ = wants_commit_ || effects_.urgent;
    settle_outputs();
    services_.turn_ended(now_);
    release_ready();
    if (auto holds = domain_->check_invariants(); !holds) {
        throw violation("invariant: " + holds.error().text);
    }
}

// The model sees an output when the domain produces it.
void world::observe(const domain::output& what) {
    if (asked_ && what.request == *asked_) {
        reply_ = what;
    }
    if (const auto* accepted = std::get_if<domain::publish_accepted>(&what.body)) {
        observe_accepted(what, *accepted);
        return;
    }
    services_.observe(what, now_);
    observe_schedules(what);
    observe_transaction(what);
    if (const auto* refused = std::get_if<domain::publish_refused>(&what.body)) {
        throw violation("a publish was refused: " + refused->why.text);
    }
    if (const auto* settled = std::get_if<codec::settled>(&what.body)) {
        const auto expected = settle_accepted_.at(what.request);
        if (settled->accepted != expected) {
            throw violation(
                fmt::format("a settle of {} leases was accepted for {}, the model "
                            "says {}",
                            settled->accepted + settled->refused, settled->accepted, expected));
        }
    }
}

void world::observe_accepted(const domain::output& what, const domain::publish_accepted& accepted) {
    for (auto& client : clients_) {
        const auto at = client.unanswered.find(what.request);
        if (client.connection != what.connection || at == client.unanswered.end()) {
            continue;
        }
        const pending_publish& sent = at->second;
        note(accepted.duplicate ? "duplicate"
             : sent.later       ? "scheduled"
                                : "published",
             accepted.base_offset);
        if (!sent.later) {
            model_.published(sent.topic, client.producer, sent.sequence, sent.contents, accepted);
            continue;
        }
        model_.scheduled(sent.topic, client.producer, sent.sequence, schedule_of(sent, wall_min()),
                         accepted);
    }
}

void world::release_ready() {
    for (std::size_t i = 0; i < waiting_.size();) {
        if (waiting_[i].depends_on > durable_) {
            ++i;
            continue;
        }
        const domain::output ready = std::move(waiting_[i]);
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
        receive(ready);
    }
}

// A client receives an output: from here on the broker is bound by it.
void world::receive(const domain::output& what) {
    for (auto& client : clients_) {
        if (!client.connected || client.connection != what.connection) {
            continue;
        }
        if (client.transactions.contains(what.request)) {
            receive_transacted(client, what);
        } else if (const auto* accepted = std::get_if<domain::publish_accepted>(&what.body)) {
            receive_accepted(client, what, *accepted);
        } else if (const auto* delivery = std::get_if<domain::delivery>(&what.body)) {
            const auto consumer = client.consumers.find(delivery->consumer.value());
            if (client.ended.contains(delivery->consumer.value())) {
                throw violation(fmt::format("consumer {} was delivered to after its end",
                                            delivery->consumer.value()));
            }
            if (consumer == client.consumers.end()) {
                continue;  // it is detaching
            }
            for (const auto& run : delivery->runs) {
                for (std::uint32_t i = 0; i < run.leases.count; ++i) {
                    client.held.push_back({consumer->second.second, run.leases.first_offset + i,
                                           lease_id{run.leases.epoch, run.leases.first_lease + i}});
                }
            }
        } else if (const auto* settled = std::get_if<codec::settled>(&what.body)) {
            const auto& sent = settles_.at(what.request);
            if (sent.action == settle_action::ack && settled->refused == 0) {
                for (const auto& run : sent.runs) {
                    for (std::uint32_t i = 0; i < run.count; ++i) {
                        confirmed_[{sent.queue.value(), run.first_offset + i}] = true;
                    }
                }
            }
            settles_.erase(what.request);
        } else if (const auto* detached = std::get_if<codec::detached>(&what.body)) {
            client.consumers.erase(detached->consumer.value());
            client.ended.insert(detached->consumer.value());
        } else if (const auto detach = client.detaches.find(what.request);
                   detach != client.detaches.end()) {
            client.ended.insert(detach->second);
            client.detaches.erase(detach);
        } else {
            receive_cancelled(what.request);
        }
    }
}

void world::receive_accepted(sim_client& who, const domain::output& what,
                             const domain::publish_accepted& accepted) {
    const auto at = who.unanswered.find(what.request);
    hold_to(at->second, accepted.base_offset);
    who.unanswered.erase(at);
}

void world::hold_to(const pending_publish& what, std::uint64_t base_offset) {
    const auto topic = model_.state.topics.at(what.topic).id.value();
    if (what.later) {
        kept_.emplace(topic, base_offset);
        return;
    }
    for (std::size_t i = 0; i < what.contents.size(); ++i) {
        seen_[{topic, base_offset + i}] = what.contents[i];
    }
}

void world::lose_answers(sim_client& who) {
    for (auto& [request, pending] : who.unanswered) {
        who.to_resend.push_back(std::move(pending));
    }
    who.unanswered.clear();
    for (auto& [request, pending] : who.transactions) {
        who.transactions_to_resend.push_back(std::move(pending));
    }
    who.transactions.clear();
}

void world::answer_fetch(std::size_t index) {
    domain::fetch fetch = std::move(fetches_[index]);
    fetches_.erase(fetches_.begin() + static_cast<std::ptrdiff_t>(index));
    apply(domain::fetched{fetch.id, store_.read(fetch.body)});
    settle_outputs();
}

void world::finish_commit() {
    if (!in_flight_) {
        return;
    }
    const auto result = store_.apply(*in_flight_, in_flight_batch_, true);
    if (result.status != storage::append_status::done) {
        throw violation("the store refused a commit: " + result.text);
    }
    durable_ = *in_flight_;
    in_flight_.reset();
    in_flight_batch_.clear();
    std::erase_if(copies_, [&](const auto& copy) { return copy.first < durable_.value(); });
    note("durable", durable_.value());
    release_ready();
}

void world::crash() {
    commit_number last = durable_;
    if (in_flight_) {
        // The batch in flight may have reached the disk or not.
        const bool written = random_.chance(1, 2);
        const bool synced = written && random_.chance(1, 2);
        if (written) {
            (void)store_.apply(*in_flight_, in_flight_batch_, synced);
        }
        if (synced) {
            last = *in_flight_;
        }
    }
    note("crash", last.value());
    store_.crash();
    model_.restarted(copies_[last.value()], broker_epoch{model_.epoch.value() + 1}, now_);
    for (const auto& [place, content] : seen_) {
        for (const auto& [name, topic] : model_.state.topics) {
            if (topic.id.value() == place.first && (topic.contents.size() <= place.second ||
                                                    topic.contents[place.second] != content)) {
                throw violation(
                    fmt::format("{}@{} was acknowledged and is lost", name, place.second));
            }
        }
    }
    for (const auto& [place, yes] : confirmed_) {
        const auto* queue = model_.find(queue_id{place.first});
        const auto at = queue == nullptr ? decltype(queue->messages.end()){}
                                         : queue->messages.find(place.second);
        if (queue != nullptr && at != queue->messages.end() &&
            at->second.state != message_state::done) {
            throw violation(fmt::format("a confirmed ack of offset {} is undone", place.second));
        }
    }
    check_kept_schedules();
    check_kept_transactions();
    for (auto& client : clients_) {
        if (client.connected) {
            client.connected = false;
            lose_answers(client);
            client.consumers.clear();
        }
    }
    services_.restarted();
    lose_schedules();
    transactions_.clear();
    settles_.clear();
    settle_accepted_.clear();
    const auto copy = copies_[last.value()];
    copies_.clear();
    copies_[last.value()] = copy;
    start(last);
}

void world::run() {
    for (std::uint32_t i = 0; i < options_.steps; ++i) {
        step();
    }
    quiet();
}

std::optional<domain::output> world::ask(sim_client& who, domain::request_body body) {
    const std::uint32_t id = next_request_++;
    asked_ = id;
    reply_.reset();
    apply(domain::request{who.connection, id, std::move(body)});
    settle_outputs();
    for (int i = 0; i < 1000 && !reply_; ++i) {
        if (!fetches_.empty()) {
            answer_fetch(0);
        } else {
            finish_commit();
            turn();
        }
    }
    asked_.reset();
    if (!reply_) {
        throw violation("a request was never answered");
    }
    return std::exchange(reply_, std::nullopt);
}

}  // namespace brokerd::sim
