// The machinery of the world: turns and the way of outputs. Commits and what becomes of them at a
// crash are in commits.cpp, the clients' steps in clients.cpp, queues.cpp and a file for each of
// the larger features, the end is in quiet.cpp.
#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include <fmt/format.h>

#include "protocol/codec/record_batch.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

// Apart from the numbers of the rest of the run, so that runs without a feature are as they were.
constexpr std::uint64_t id_numbers = 0x1D5;
constexpr std::uint64_t os_numbers = 0x05F5;
constexpr std::uint64_t clone_numbers = 0xC10E;
constexpr std::uint64_t temporary_numbers = 0x7E3B;
constexpr std::uint64_t limit_numbers = 0xB0D5;
constexpr std::uint64_t pattern_numbers = 0x9A77;
constexpr std::uint64_t level_numbers = 0x1E7E;

duration_us any_sync_interval(base::random& from) {
    constexpr duration_us intervals[] = {10ms, 100ms, 1s};
    return intervals[from.below(std::size(intervals))];
}

}  // namespace

world::world(world_options options)
    : options_(options),
      random_(options.seed),
      slow_store_(random_.chance(1, 4)),
      ttl_share_(3 * random_.below(3)),
      sieve_random_(~options.seed),
      filters_(sieve_random_.chance(1, 3)),
      id_random_(options.seed ^ id_numbers),
      ids_(id_random_.chance(1, 3)),
      os_random_(options.seed ^ os_numbers),
      os_(os_random_.chance(1, 3)),
      os_sync_interval_(any_sync_interval(os_random_)),
      clone_random_(options.seed ^ clone_numbers),
      clones_(clone_random_.chance(1, 3)),
      temporary_random_(options.seed ^ temporary_numbers),
      temporary_(temporary_random_.chance(1, 3)),
      limit_random_(options.seed ^ limit_numbers),
      limits_(limit_random_.chance(1, 3)),
      pattern_random_(options.seed ^ pattern_numbers),
      patterns_(pattern_random_.chance(1, 3)),
      level_random_(options.seed ^ level_numbers),
      levels_(level_random_.chance(1, 3)),
      now_{mono_time{1s}, wall_from_us(1'700'000'000'000'000)},
      services_(options.seed,
                [this](std::string_view what, std::uint64_t number) { note(what, number); }) {
    clients_.resize(4);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
        clients_[i].producer = producer_id{1000 + i};
    }
    if (limits_ && limit_random_.chance(1, 2)) {
        next_content_ += large_content;  // some of them make up a bound by bytes
    }
    start(commit_number{0});
}

void world::note(std::string_view what, std::uint64_t number) {
    ++marks_[std::string(what)];
    for (const char c : what) {
        hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    hash_ = (hash_ ^ number) * 0x100000001B3ULL;
    if (options_.tail != nullptr) {
        options_.tail->add(now_.mono, what, number);
    }
    if (options_.trace) {
        fmt::print(stderr, "{}\n", to_string(trace_step{now_.mono, std::string(what), number}));
    }
}

void world::start(commit_number last_durable) {
    domain::domain_options options;
    options.seed = options_.seed;
    options.expiry_grace = random_.chance(1, 4) ? duration_us{10s} : duration_us{0};
    options.cache_bytes_max = random_.chance(1, 2) ? 512 : 64 * 1024;
    options.read_ahead_bytes = random_.chance(1, 2) ? 256 : 64 * 1024;
    if (clones_) {
        options.queues_per_topic_max = few_queues;
    }
    auto loaded = store_.load();
    if (!loaded) {
        throw violation("the store does not load: " + loaded.error().text);
    }
    if (loaded->last_commit != last_durable) {
        throw violation(fmt::format("the store is at commit {}, expected {}",
                                    loaded->last_commit.value(), last_durable.value()));
    }
    durable_ = last_durable;
    applied_ = last_durable;
    sync_by_ = mono_never;
    flushing_ = false;
    gathering_ = commit_number{last_durable.value() + 1};
    in_flight_.reset();
    in_flight_batch_.clear();
    waiting_.clear();
    fetches_.clear();
    effects_ = {};
    mutations_seen_ = 0;
    drops_told_.clear();
    drop_notices_.clear();
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
    model_.started(options.expiry_grace);
    check_told();
}

void world::apply(domain::command what) {
    observe_clock();
    domain_->apply(std::move(what), now_, effects_);
    take_drop_notices();  // by the clock of now; what is told next counts from here
    learn_mutations();
    wants_commit_ = wants_commit_ || effects_.urgent || effects_.prompt;
}

// Chunks are closed when a commit is cut, by what needs to count every message, and by a message of
// another level: that may be before the model has heard what they hold, as of a transaction.
void world::learn_mutations(bool all_told) {
    for (; mutations_seen_ < effects_.mutations.size(); ++mutations_seen_) {
        const auto& mutation = effects_.mutations[mutations_seen_];
        if (const auto* chunk = std::get_if<domain::appended>(&mutation)) {
            if (!all_told && !model_.knows_all_of(*chunk->data)) {
                break;
            }
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
        } else if (const auto* made = std::get_if<domain::queue_created>(&mutation)) {
            starts_[made->queue] = made->start;
        } else if (const auto* delta = std::get_if<domain::queue_delta>(&mutation)) {
            model_.ledger_stored(delta->queue, delta->floor, delta->runs);
        } else if (const auto* all = std::get_if<domain::queue_snapshot>(&mutation)) {
            model_.ledger_stored(all->queue, all->floor, all->runs);
        } else if (const auto* dropped = std::get_if<domain::messages_dropped>(&mutation)) {
            model_.drops_stored(*dropped);
        } else if (const auto* kept = std::get_if<domain::kept_put>(&mutation)) {
            note("kept", kept->offset);
        } else if (const auto* trim = std::get_if<domain::trimmed>(&mutation)) {
            note("trimmed", trim->first);
            if (options_.trace) {
                fmt::print(stderr, "    topic {}\n", trim->topic.value());
            }
            model_.trimmed(trim->topic, trim->first);
        } else if (const auto* skipped = std::get_if<domain::offsets_skipped>(&mutation)) {
            if (const std::uint64_t fresh = model_.skipped(*skipped); fresh > 0) {
                note("offsets skipped", fresh);
            }
        } else if (const auto* removed = std::get_if<domain::queue_removed>(&mutation);
                   removed != nullptr && !removing_.contains(removed->queue)) {
            note("temporary queue went", removed->queue.value());
            model_.queue_expired(removed->queue, now_);
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
    learn_mutations(true);
    std::ranges::stable_sort(deliveries, {},
                             [](const given& each) { return each.run->leases.first_lease; });
    for (const auto& each : deliveries) {
        const bool first = each.run->attempt == 1;
        note(first ? "deliver" : "redeliver", each.run->leases.first_offset);
        if (each.run->queue != queue_id{}) {
            note(first ? "pattern deliver" : "pattern redeliver", each.run->queue.value());
        }
        if (options_.trace) {
            fmt::print(stderr, "    {} to consumer {}:{}\n", each.run->leases.count,
                       each.connection.value(), each.consumer.value());
        }
        const odd_deliveries odd =
            model_.delivered(each.connection, each.consumer, *each.run, now_);
        if (odd.redriven > 0) {
            note("deliver redriven", each.run->leases.first_offset);
        }
        if (odd.spared > 0) {
            note("deliver spared", each.run->leases.first_offset);
        }
    }
    note_level_marks();
    std::ranges::move(outputs, std::back_inserter(waiting_));
}

void world::turn() {
    observe_clock();
    (void)domain_->tick(now_, effects_);
    take_drop_notices();
    model_.expire(now_);
    settle_outputs();
    learn_mutations();
    model_.check_temporary(now_);
    const bool due = sync_is_due();
    if (!in_flight_ && (wants_commit_ || random_.chance(1, 8) || due)) {
        start_commit(due);
    }
    domain_->dispatch(now_, effects_);
    learn_mutations();
    wants_commit_ = wants_commit_ || effects_.urgent || effects_.prompt;
    settle_outputs();
    if (patterns_) {
        model_.turn_ended(!fetches_.empty());
    }
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
    if (const auto* refused = std::get_if<domain::publish_refused>(&what.body)) {
        observe_refused(what, *refused);
        return;
    }
    services_.observe(what, now_);
    observe_schedules(what);
    observe_transaction(what);
    observe_clone(what);
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
    const auto node = publishes_.extract(what.request);
    expect(!node.empty(), "publish {} is answered, and was never made or is answered twice",
           what.request);
    const sent_publish& made = node.mapped();
    const pending_publish& sent = made.what;
    note(accepted.duplicate ? "duplicate"
         : sent.later       ? "scheduled"
                            : "published",
         accepted.base_offset);
    if (sent.later) {
        expect(!what.when_applied, "schedule {} is acknowledged before it is synced",
               accepted.base_offset);
        model_.scheduled(sent.topic, made.producer, sent.sequence, schedule_of(sent, made.sent_min),
                         accepted);
        note_id_marks();
        return;
    }
    const durability level = model_.state.topics.at(sent.topic).level;
    expect(accepted.level == level && (!what.when_applied || level == durability::os),
           "a publish to {} is answered with level {}{}", sent.topic, to_string(accepted.level),
           what.when_applied ? " when it is applied" : "");
    if (level == durability::os) {
        note("published os", accepted.base_offset);
    }
    model_.published(sent.topic, made.producer, sent.sequence, sent.contents, accepted);
    note_id_marks();
    if (!accepted.duplicate) {
        std::uint64_t& last = last_published_[{made.connection.value(), sent.topic}];
        expect(what.request > last, "a publish to {} was stored behind one that was sent later",
               sent.topic);
        last = what.request;
    }
}

void world::observe_refused(const domain::output& what, const domain::publish_refused& refused) {
    const auto node = publishes_.extract(what.request);
    expect(!node.empty(), "publish {} is refused, and was never made", what.request);
    const pending_publish& sent = node.mapped().what;
    if (model_.state.topics.at(sent.topic).mixes_levels(sent.contents)) {
        model_.mixture_refused(sent.topic, refused.why);
        note(sent.later ? "schedule of mixed levels" : "mixed levels", sent.sequence);
        return;
    }
    const error_code code = refused.why.code;
    if (code == error_code::topic_full || code == error_code::message_too_large) {
        observe_full(node.mapped(), refused.why);
        return;
    }
    model_.id_refused(sent.topic, sent.contents.front(), sent.later.has_value(), refused.why);
    note("message id refused", sent.sequence);
}

void world::release_ready() {
    for (std::size_t i = 0; i < waiting_.size();) {
        if (waiting_[i].depends_on > (waiting_[i].when_applied ? applied_ : durable_)) {
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
        } else if (const auto* refused = std::get_if<domain::publish_refused>(&what.body)) {
            auto sent = client.unanswered.extract(what.request);
            if (refused->why.code == error_code::topic_full && limit_random_.chance(1, 2)) {
                client.to_resend.push_back(std::move(sent.mapped()));  // there may be room then
            } else if (is_mixed(sent.mapped()) && level_random_.chance(1, 2)) {
                unmix(client, sent.mapped());
                client.to_resend.push_back(std::move(sent.mapped()));
            }
        } else if (const auto* read = std::get_if<domain::read_result>(&what.body)) {
            told_of(read->incarnation, read->position);
        } else if (const auto* delivery = std::get_if<domain::delivery>(&what.body)) {
            receive_delivery(client, *delivery);
        } else if (const auto* queues = std::get_if<codec::pattern_queues>(&what.body)) {
            receive_queues(client, *queues);
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

void world::receive_delivery(sim_client& who, const domain::delivery& what) {
    const auto consumer = who.consumers.find(what.consumer.value());
    if (who.ended.contains(what.consumer.value())) {
        throw violation(
            fmt::format("consumer {} was delivered to after its end", what.consumer.value()));
    }
    if (consumer == who.consumers.end()) {
        return;  // it is detaching
    }
    for (const auto& run : what.runs) {
        const bool one_queue = run.queue == queue_id{};
        const queue_id queue = one_queue ? consumer->second.second : run.queue;
        const auto* const owner = model_.owner_of(queue);
        expect(one_queue || who.joined.at(what.consumer.value()).contains(queue),
               "consumer {} is given something of queue {}, and was not told of it, or of its end",
               what.consumer.value(), queue.value());
        for (std::uint32_t i = 0; i < run.leases.count; ++i) {
            who.held.push_back({queue, run.leases.first_offset + i,
                                lease_id{run.leases.epoch, run.leases.first_lease + i}});
        }
        if (owner != nullptr) {
            told_of(owner->second.id, run.leases.first_offset + run.leases.count);
        }
    }
}

void world::receive_accepted(sim_client& who, const domain::output& what,
                             const domain::publish_accepted& accepted) {
    const auto at = who.unanswered.find(what.request);
    hold_to(at->second, accepted.base_offset, accepted.level != durability::os);
    who.unanswered.erase(at);
}

void world::hold_to(const pending_publish& what, std::uint64_t base_offset, bool synced) {
    const model_topic& of = model_.state.topics.at(what.topic);
    if (what.later) {
        kept_.emplace(of.id.value(), base_offset);
        return;
    }
    const auto durable = copies_.find(durable_.value());
    const auto end = durable == copies_.end() || !durable->second.topics.contains(what.topic)
                         ? offset_t{0}
                         : durable->second.topics.at(what.topic).end;
    for (std::size_t i = 0; i < what.contents.size(); ++i) {
        const offset_t offset = base_offset + i;
        // With a message id it may be the answer to another one with other contents.
        const auto at =
            seen_.try_emplace({of.id.value(), offset}, seen_message{of.content(offset), false});
        seen_message& seen = at.first->second;
        seen.synced = seen.synced || synced || offset < end;
    }
    told_of(of.id, base_offset + what.contents.size());
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
