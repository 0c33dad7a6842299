// Commits and what is left of them: which are synced, what a kill, a power cut and a stop with
// goodbye leave, and that the broker then still knows what it has told. Topics of durability os,
// whose commits need not be synced.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "protocol/codec/record_batch.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

// ---- commits ----

bool world::sync_is_due() const {
    return flushing_ || now_.mono >= sync_by_;
}

// As the engine does it: synced if anything of it must be, if nothing in it is in a hurry, or if
// something applied before has waited for long enough.
void world::start_commit(bool sync_is_due) {
    const bool reads_open = !fetches_.empty() || !effects_.fetches.empty();
    domain_->seal(now_, effects_);
    learn_mutations();
    model_.bounds_kept(reads_open || !effects_.fetches.empty());
    check_drop_notices();
    settle_outputs();
    if (!effects_.mutations.empty() || sync_is_due) {
        in_flight_ = gathering_;
        in_flight_synced_ = effects_.urgent || !effects_.prompt || sync_is_due;
        in_flight_batch_ = std::exchange(effects_.mutations, {});
        mutations_seen_ = 0;
        const bool reserves = std::ranges::any_of(in_flight_batch_, [](const auto& each) {
            return std::holds_alternative<domain::offsets_reserved>(each);
        });
        expect(in_flight_synced_ || !reserves, "offsets are reserved by a commit without a sync");
        sync_by_ =
            in_flight_synced_ ? mono_never : std::min(sync_by_, now_.mono + os_sync_interval_);
        model_.cut();
        copies_[gathering_.value()] = model_.state;
        note("cut", in_flight_batch_.size());
        gathering_ = commit_number{gathering_.value() + 1};
        domain_->commit_cut(gathering_);
        flushing_ = false;
    }
    note_limit_marks();
    effects_.urgent = false;
    effects_.prompt = false;
    wants_commit_ = false;
}

void world::finish_commit() {
    if (!in_flight_) {
        return;
    }
    const auto result = store_.apply(*in_flight_, in_flight_batch_, in_flight_synced_);
    if (result.status != storage::append_status::done) {
        throw violation("the store refused a commit: " + result.text);
    }
    applied_ = *in_flight_;
    in_flight_.reset();
    in_flight_batch_.clear();
    if (in_flight_synced_) {
        durable_ = applied_;
        note("durable", durable_.value());
        note_synced();
    } else {
        note("applied", applied_.value());
    }
    release_ready();
}

void world::note_synced() {
    std::erase_if(copies_, [&](const auto& copy) { return copy.first < durable_.value(); });
    if (!os_) {
        return;
    }
    for (const auto& [name, topic] : copies_.at(durable_.value()).topics) {
        for (auto& [place, seen] : seen_) {
            seen.synced =
                seen.synced || (place.first == topic.id.value() && place.second < topic.end);
        }
    }
}

void world::told_of(topic_id topic, offset_t end) {
    offset_t& told = told_end_[topic.value()];
    told = std::max(told, end);
}

// ---- the end of the broker ----

void world::crash() {
    const bool killed = os_ && os_random_.chance(1, 3);
    commit_number synced = durable_;
    if (in_flight_) {
        // The batch in flight may have reached the disk or not.
        const bool written = random_.chance(1, 2);
        const bool with_sync = written && random_.chance(1, 2) && in_flight_synced_;
        if (written) {
            (void)store_.apply(*in_flight_, in_flight_batch_, with_sync);
            applied_ = *in_flight_;
        }
        if (with_sync) {
            synced = *in_flight_;
        }
    }
    // Of what was not synced the system has all, and the disk perhaps some.
    const std::uint64_t unsynced = applied_.value() - synced.value();
    const std::uint64_t kept = killed ? unsynced : os_ ? os_random_.below(unsynced + 1) : 0;
    const commit_number last{synced.value() + kept};
    note(killed ? "killed" : "crash", last.value());
    store_.crash(kept);
    restart(last, false, killed);
}

void world::stop() {
    note("stopped", gathering_.value());
    domain_->hold_schedules(true);
    domain_->release_reservations(now_, effects_);
    learn_mutations();
    settle_outputs();
    constexpr int commits_max = 10;
    for (int i = 0; i < commits_max && (i < 2 || domain_->dirty()); ++i) {
        finish_commit();
        flushing_ = true;
        turn();
    }
    finish_commit();
    expect(!domain_->dirty() && durable_ == applied_, "there is no end of what is to be committed");
    restart(durable_, true, true);
}

void world::restart(commit_number last, bool clean, bool killed) {
    model_.restarted(copies_[last.value()], broker_epoch{model_.epoch.value() + 1}, now_, clean);
    check_seen(killed);
    check_confirmed();
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
    publishes_.clear();
    transactions_.clear();
    settles_.clear();
    settle_accepted_.clear();
    const auto copy = copies_[last.value()];
    copies_.clear();
    copies_[last.value()] = copy;
    was_restarted_ = true;
    start(last);
}

// ---- what must be left ----

// What was acknowledged is there, but what a power cut may take.
void world::check_seen(bool killed) {
    std::uint64_t lost = 0;
    for (auto at = seen_.begin(); at != seen_.end();) {
        auto& [place, seen] = *at;
        const auto topic = std::ranges::find_if(model_.state.topics, [&](const auto& each) {
            return each.second.id.value() == place.first;
        });
        const bool there = topic == model_.state.topics.end() ||
                           (topic->second.has(place.second) &&
                            topic->second.content(place.second) == seen.content);
        expect(there || (!killed && !seen.synced), "{}@{} was acknowledged and is lost",
               topic == model_.state.topics.end() ? "" : topic->first, place.second);
        seen.synced = true;
        lost += there ? 0 : 1;
        at = there ? std::next(at) : seen_.erase(at);
    }
    if (lost > 0) {
        note("os messages lost", lost);
    }
}

void world::check_confirmed() {
    for (const auto& [place, yes] : confirmed_) {
        const auto* queue = model_.find(queue_id{place.first});
        const auto at = queue == nullptr ? decltype(queue->messages.end()){}
                                         : queue->messages.find(place.second);
        if (queue != nullptr && at != queue->messages.end() &&
            at->second.state != message_state::done) {
            throw violation(fmt::format("a confirmed ack of offset {} is undone", place.second));
        }
    }
}

// Every offset that anybody was told of has its message, or will never have one.
void world::check_told() const {
    for (const auto& [name, topic] : model_.state.topics) {
        const auto told = told_end_.find(topic.id.value());
        expect(told == told_end_.end() || topic.next() >= told->second,
               "{} goes on at {}, but offsets below {} were told of before", name, topic.next(),
               told->second);
    }
}

void world::check_read(const model_topic& topic, offset_t offset,
                       const domain::read_result& result) const {
    offset_t expected = topic.skipped.next_kept(offset);
    for (const auto& run : result.runs) {
        byte_view rest = run.records.view;
        for (std::uint32_t i = 0; i < run.leases.count; ++i) {
            const auto size = codec::record_size_at(rest);
            expect(run.leases.first_offset + i == expected &&
                       content_of(rest.first(size)) == topic.content(expected),
                   "a read of {} found something else", expected);
            rest = rest.subspan(size);
            expected = topic.skipped.next_kept(expected + 1);
        }
    }
}

// ---- steps ----

topic_settings world::settings_of_topic(const std::string& topic) const {
    const model_topic& of = model_.state.topics.at(topic);
    topic_settings settings;
    settings.ttl = of.ttl;
    settings.durability = of.level;
    settings.message_id_window = of.id_window;
    settings.priorities = of.levels;
    const model_bounds& bounds = of.limits.bounds;
    settings.keep_done = bounds.keep_done;
    settings.keep_done_bytes = bounds.keep_done_bytes;
    settings.max_bytes = bounds.max_bytes;
    settings.max_messages = bounds.max_messages;
    settings.when_full = bounds.when_full;
    settings.max_age = bounds.max_age;
    return settings;
}

offset_t world::any_offset(const model_topic& of) {
    if (of.skipped.empty()) {
        return random_.below(of.end);
    }
    // Those between messages are many more.
    const std::uint64_t messages = of.place(of.end);
    if (messages == 0 || os_random_.chance(1, 4)) {
        return of.skipped.at(os_random_.below(of.skipped.total()));
    }
    const std::uint64_t wanted = os_random_.below(messages);
    offset_t found = wanted;
    while (of.skipped.contains(found) || of.place(found) < wanted) {
        found = of.skipped.next_kept(found + 1);
    }
    return found;
}

void world::change_level(sim_client& who) {
    const std::string topic = os_random_.chance(1, 2) ? "a" : "b";
    if (!model_.state.topics.contains(topic)) {
        return;
    }
    codec::topic_set what;
    what.topic = topic;
    what.settings = settings_of_topic(topic);
    if (os_random_.chance(1, 8)) {
        what.settings.durability = durability::memory;
        const auto reply = ask(who, what);
        const auto* refused = std::get_if<codec::error>(&reply->body);
        expect(refused != nullptr && refused->code == error_code::invalid_setting,
               "a topic may have durability memory");
        note("durability refused");
        return;
    }
    what.settings.durability = os_random_.chance(2, 3) ? durability::os : durability::disk;
    note(what.settings.durability == durability::os ? "durability os" : "durability disk");
    model_.level_changed(topic, what.settings.durability);
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "a durability was refused");
}

}  // namespace brokerd::sim
