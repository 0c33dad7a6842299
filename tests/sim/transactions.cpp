// What the simulated clients do with transactions and what they are told about them.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/error.hpp"
#include "protocol/types/limits.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

// ---- steps ----

// A new one most of the time; else one that was answered, as it was or with a part of its
// sequences.
void world::do_transaction(sim_client& who) {
    if (model_.state.topics.size() < 2) {
        return;
    }
    if (!who.answered || random_.chance(4, 5)) {
        send_transaction(who, new_transaction(who));
    } else if (!who.answered->accepted || who.answered->end() != who.next_transaction ||
               random_.chance(2, 3)) {
        send_transaction(who, *who.answered);
    } else {
        pending_transaction what;
        what.sequence = who.next_transaction - 1;
        for (int i = 0; i < 2; ++i) {
            what.publishes.push_back(any_publish(2));
        }
        who.next_transaction = what.end();
        send_transaction(who, std::move(what));
    }
}

world::pending_transaction world::new_transaction(sim_client& who) {
    pending_transaction what;
    if (random_.chance(1, 20)) {
        who.next_transaction += limits::producer_window;  // what was before is too old then
    }
    what.sequence = who.next_transaction;
    if (random_.chance(3, 4)) {
        add_settles(who, what);
    }
    const std::uint64_t least = what.settles.empty() ? 1 : 0;
    for (std::uint64_t left = least + random_.below(4); left > 0; --left) {
        pending_publish& each = what.publishes.emplace_back(any_publish(3));
        if (random_.chance(1, 4)) {
            each.later = any_schedule_time();
        }
    }
    if (random_.chance(1, 8)) {
        add_flaw(what);
    }
    who.next_transaction = what.end();
    return what;
}

// Most of the time of leases that are held, now and then of those another client was given.
void world::add_settles(sim_client& who, pending_transaction& to) {
    sim_client& from = random_.chance(1, 4) ? clients_[random_.below(clients_.size())] : who;
    const bool any = random_.chance(1, 4);
    constexpr std::size_t leases_max = 5;
    std::vector<held_lease> kept;
    for (const held_lease& held : from.held) {
        if (to.leases.size() == leases_max || random_.chance(1, 2) ||
            model_.is_worth_unknown(held.queue, held.offset) ||
            !(any || model_.is_held(held.queue, held.offset, held.lease))) {
            kept.push_back(held);
            continue;
        }
        to.leases.push_back(held);
        const std::uint64_t dice = random_.below(8);
        const settle_action action = dice < 6   ? settle_action::ack
                                     : dice < 7 ? settle_action::nack
                                                : settle_action::reject;
        const auto same = std::ranges::find_if(to.settles, [&](const auto& each) {
            return each.queue == held.queue && each.action == action;
        });
        codec::transact_settle& settle =
            same == to.settles.end() ? to.settles.emplace_back() : *same;
        settle.queue = held.queue;
        settle.action = action;
        append_lease(settle.runs, held);
        if (action == settle_action::ack) {
            to.acks.push_back({held.queue, held.offset});
        } else {
            settle.reason = "no reason";
        }
        if (action == settle_action::nack && random_.chance(1, 2)) {
            settle.delay = duration_us{static_cast<std::int64_t>(random_.below(3'000'000))};
        }
    }
    from.held = std::move(kept);
}

// Something for which the whole of it must be refused.
void world::add_flaw(pending_transaction& to) {
    const std::uint64_t dice = random_.below(4);
    if (dice == 0 && !to.settles.empty()) {
        codec::transact_settle again = to.settles.front();  // names its messages twice
        again.action = settle_action::ack;
        again.delay = duration_us{-1};
        again.reason.clear();
        to.settles.push_back(std::move(again));
        return;
    }
    if (to.publishes.empty()) {
        to.publishes.push_back(any_publish(1));
    }
    pending_publish& spoilt = to.publishes[random_.below(to.publishes.size())];
    if (dice < 2) {
        spoilt.topic = "nowhere";
    } else if (dice < 3) {
        spoilt.largest_record = limits::message_bytes_max + 1;
        to.flaws.insert(error_code::message_too_large);
    } else {
        spoilt.later = domain::schedule_time{.due = now_.wall, .delay = 1s};
        to.flaws.insert(error_code::invalid_argument);
    }
}

void world::send_transaction(sim_client& who, pending_transaction what) {
    const std::uint32_t id = next_request_++;
    domain::transaction_request request;
    request.producer = who.producer;
    request.first_sequence = what.sequence;
    request.settles = what.settles;
    for (pending_publish& each : what.publishes) {
        each.batch = make_batch(each.contents, producer_id{}, 0);
        auto bytes = std::make_shared<byte_buffer>(each.batch);
        domain::publish_request& publish = request.publishes.emplace_back();
        publish.topic = each.topic;
        publish.batch = {bytes, *bytes};
        publish.count = static_cast<std::uint32_t>(each.contents.size());
        publish.largest_record = each.largest_record;
        publish.id = id_of_content(each.contents.front()).value_or("");
        publish.later = each.later;
    }
    note("transaction", what.sequence);
    for (const auto& settle : what.settles) {
        trace_leases(settle.queue, settle.runs);
    }
    transactions_[id] = {who.connection, who.producer, what, wall_min()};
    who.transactions[id] = std::move(what);
    if (random_.chance(1, 2)) {
        apply(domain::request{who.connection, id, std::move(request)});
    } else {
        apply_whole(domain::request{who.connection, id, std::move(request)});
    }
    settle_outputs();
    if (transactions_.contains(id)) {
        note("transaction waits", id);  // for what it fetches
    }
}

void world::await_transactions(std::optional<connection_id> of) {
    const auto waits = [&](const auto& entry) { return !of || entry.second.connection == *of; };
    while (std::ranges::any_of(transactions_, waits)) {
        settle_outputs();
        expect(!fetches_.empty(), "a transaction waits for nothing");
        answer_fetch(random_.below(fetches_.size()));
    }
}

// ---- answers ----

model_schedule world::schedule_of(const pending_publish& what, wall_time sent_min) const {
    model_schedule made;
    made.contents = what.contents;
    const bool exact = what.later->due != wall_time{};
    made.due_min = exact ? what.later->due : std::min(sent_min, wall_min()) + what.later->delay;
    made.due_max = exact ? what.later->due : wall_max() + what.later->delay;
    return made;
}

// It is decided when the domain answers, which may be long after it was sent.
void world::observe_transaction(const domain::output& what) {
    const auto node = transactions_.extract(what.request);
    if (node.empty()) {
        return;
    }
    const sent_transaction& sent = node.mapped();
    model_transaction as_sent;
    as_sent.producer = sent.producer;
    as_sent.first_sequence = sent.what.sequence;
    as_sent.settles = sent.what.settles;
    as_sent.flaws = sent.what.flaws;
    for (const pending_publish& each : sent.what.publishes) {
        as_sent.publishes.push_back(
            {each.topic, each.contents,
             each.later ? std::optional{schedule_of(each, sent.sent_min)} : std::nullopt});
    }
    if (const auto* done = std::get_if<codec::transacted>(&what.body)) {
        note(done->duplicate ? "transaction again" : "transacted", sent.what.sequence);
        expect(done->duplicate || what.depends_on == gathering_,
               "transaction {} is answered before its commit", sent.what.sequence);
        model_.transacted(as_sent, *done, now_);
        note_id_marks();
        return;
    }
    const auto* refused = std::get_if<codec::error>(&what.body);
    expect(refused != nullptr, "transaction {} was answered with something else",
           sent.what.sequence);
    note(fmt::format("transaction refused: {}", describe(refused->code).name), sent.what.sequence);
    if (std::ranges::any_of(sent.what.publishes,
                            [&](const auto& each) { return is_mixed(each); })) {
        note("transaction of mixed levels", sent.what.sequence);
    }
    model_.transaction_refused(as_sent, *refused);
}

void world::receive_transacted(sim_client& who, const domain::output& what) {
    pending_transaction sent = std::move(who.transactions.extract(what.request).mapped());
    if (const auto* done = std::get_if<codec::transacted>(&what.body)) {
        sent.accepted = true;
        kept_transactions_.emplace(who.producer.value(), sent.sequence);
        for (std::size_t i = 0; i < sent.publishes.size(); ++i) {
            hold_to(sent.publishes[i], done->publishes[i].base_offset, true);
        }
        for (const confirmed_ack& ack : sent.acks) {
            confirmed_[{ack.queue.value(), ack.offset}] = true;
        }
    } else {
        for (const held_lease& each : sent.leases) {  // a resend gives them back once
            const bool there = std::ranges::any_of(who.held, [&](const held_lease& other) {
                return other.queue == each.queue && other.lease == each.lease;
            });
            if (!there) {
                who.held.push_back(each);
            }
        }
    }
    if (!who.answered || random_.chance(1, 2)) {
        who.answered = std::move(sent);
    }
}

void world::forget_acks(queue_id queue) {
    const auto forget = [&](pending_transaction& in) {
        std::erase_if(in.acks, [&](const confirmed_ack& ack) { return ack.queue == queue; });
    };
    for (sim_client& client : clients_) {
        for (auto& [request, pending] : client.transactions) {
            forget(pending);
        }
        std::ranges::for_each(client.transactions_to_resend, forget);
        if (client.answered) {
            forget(*client.answered);
        }
    }
}

void world::check_kept_transactions() const {
    for (const auto& each : kept_transactions_) {
        expect(model_.state.transactions.contains(each),
               "transaction {} of producer {} was acknowledged and is lost", each.second,
               each.first);
    }
}

}  // namespace brokerd::sim
