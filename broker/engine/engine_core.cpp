// The turn of the engine: what is applied, committed, held and released, in which order.
#include "broker/engine/engine_core.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "broker/engine/engine_limits.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::engine {
namespace {

std::int64_t to_ms(duration_us d) {
    return d.count() / 1000;
}

// For texts that say why publishes are refused.
std::string free_space(const storage::disk_room& room) {
    return fmt::format("{} MiB free, of which --disk-reserve keeps {} MiB",
                       room.free_bytes / limits::mib, room.reserve_bytes / limits::mib);
}

// Of the batches that a request wants stored; 0: it publishes nothing.
std::size_t published_bytes(const domain::request_body& body) {
    if (const auto* publish = std::get_if<domain::publish_request>(&body)) {
        return publish->batch.view.size();
    }
    std::size_t bytes = 0;
    if (const auto* transaction = std::get_if<domain::transaction_request>(&body)) {
        for (const auto& publish : transaction->publishes) {
            bytes += publish.batch.view.size();
        }
    }
    return bytes;
}

// Nothing but publishes: what is acknowledged to be synced as their topics say. Of acks there is
// more to say.
bool only_publishes(const std::vector<domain::mutation>& batch) {
    return std::ranges::all_of(batch, [](const domain::mutation& each) {
        return std::holds_alternative<domain::appended>(each) ||
               std::holds_alternative<domain::producer_put>(each) ||
               std::holds_alternative<domain::message_id_put>(each) ||
               std::holds_alternative<domain::message_ids_forgotten>(each) ||
               std::holds_alternative<domain::log_marked>(each) ||
               std::holds_alternative<domain::retry_clock>(each);
    });
}

// Smallest of two times at which something has to happen.
void wake_by(mono_time& wake, mono_time at) {
    wake = std::min(wake, at);
}

}  // namespace

engine_core::engine_core(core_parts parts, domain::domain_options options)
    : parts_(std::move(parts)),
      options_(options),
      domain_(options),
      gathering_bytes_limit_(gathering_bytes_max),
      leaving_(parts_.sinks.size()) {
    BROKERD_ASSERT(!parts_.sinks.empty());
}

outcome<load_summary> engine_core::load(instant now) {
    auto here = give_away_state(now);
    here.run(parts_.store);
    auto found = here.found;
    loading_ = false;
    if (found) {
        take_over(std::move(here), now);
    }
    return found;
}

state_load engine_core::give_away_state(instant now) {
    loading_ = true;
    ready_ = false;
    running_since_ = now.mono;
    counts_.domain = domain_.counters();
    return {.state = std::exchange(domain_, domain::broker_state(options_)), .began = now};
}

void engine_core::loaded(state_load what, instant now) {
    BROKERD_ASSERT(loading_, "a load came back, none was running");
    loading_ = false;
    if (failed_) {
        return;
    }
    if (!what.found) {
        stop_for(fmt::format("the store cannot be loaded again: {}", what.found.error().text));
        return;
    }
    take_over(std::move(what), now);
}

void engine_core::take_over(state_load what, instant now) {
    domain_ = std::move(what.state);
    effects_ = std::move(what.effects);
    epoch_ = domain_.epoch();
    // Before the first publish: one taken on a full disk would fail its commit and so drop the
    // state and every connection.
    disk_measured(parts_.store.statistics());
    // Nothing leaves before the first commit, which is synced.
    applied_ = durable_ = what.last_commit;
    gathering_ = commit_number{durable_.value() + 1};
    log_skipped();
    if (stopping_) {
        domain_.release_reservations(now, effects_);
    }
    start_commit(now);
}

void engine_core::apply(command_batch batch, instant now) {
    BROKERD_ASSERT(failed_ || !loading_, "a command came before the state was loaded");
    if (failed_ || reload_wanted_) {
        return;  // its connection is about to be closed, or nothing may be promised any more
    }
    for (auto& command : batch.commands) {
        if (std::holds_alternative<domain::connection_opened>(command)) {
            open_.insert(batch.connection);
        } else if (!open_.contains(batch.connection)) {
            continue;  // from before a reload
        } else if (std::holds_alternative<domain::connection_closed>(command)) {
            open_.erase(batch.connection);
        } else if (const auto* request = std::get_if<domain::request>(&command)) {
            gathered_bytes_ += published_bytes(request->body);
        }
        domain_.apply(std::move(command), now, effects_);
    }
}

void engine_core::answered(fetch_answer answer, instant now) {
    if (failed_ || answer.generation != generation_) {
        return;
    }
    domain_.apply(std::move(answer.what), now, effects_);
}

void engine_core::committed(commit_number number, const storage::append_result& result,
                            instant now) {
    BROKERD_ASSERT(number == running_, "commit {} came back, {} was running", number.value(),
                   running_.value());
    const auto took = now.mono - running_since_;
    running_ = {};
    counts_.commit_us += static_cast<std::uint64_t>(took.count());
    switch (result.status) {
        case storage::append_status::done: break;
        case storage::append_status::unknown:
            stop_for(fmt::format("commit {} failed, its outcome is unknown: {}", number.value(),
                                 result.text));
            return;
        case storage::append_status::no_space:
            // Memory is ahead of the disk and the disk does not follow: go back to what it holds.
            drop_and_reload({error_code::resource_disk,
                             fmt::format("the broker's disk is full: {}", result.text)});
            reload_not_before_ = ready_ ? now.mono : now.mono + no_space_retry;
            return;
    }
    // The store measures while it writes; what was gathered meanwhile fits into the reserve.
    room_measured(parts_.store.room());
    ++counts_.commits;
    applied_ = number;
    durable_ = running_synced_ ? number : durable_;
    ready_ = true;
    if (took > commit_slow) {
        ++counts_.slow_commits;
        last_slow_commit_ = now.mono;
        last_slow_duration_ = took;
        parts_.log.warning("commit {} took {} ms: the disk is slow", number.value(), to_ms(took));
    }
    release_held(number, running_synced_);
    answer_health(now, true);
    flush_sinks();
}

mono_time engine_core::finish_turn(instant now) {
    if (failed_) {
        return mono_never;
    }
    ++counts_.turns;
    if (reload_wanted_ && !loading_ && !commit_running() && now.mono >= reload_not_before_) {
        reload(now);
    }
    if (loading_) {
        return wait_for_load(now);
    }
    if (reload_wanted_) {
        return commit_running() ? mono_never : reload_not_before_;
    }
    domain_.hold_schedules(counts_.store.room.below_reserve || stopping_);
    (void)domain_.tick(now, effects_);
    if (commit_wanted(now)) {
        start_commit(now);
    }
    domain_.dispatch(now, effects_);
    // What dispatch leased has deadlines too.
    tick_at_ = domain_.tick(now, effects_);
    take_outputs();
    log_drops();
    start_fetches(now);
    flush_sinks();
    if (is_stuck(now)) {
        answer_health(now, false);
    }
    if (!lazy_since_ && domain_.dirty()) {
        lazy_since_ = now.mono;
    }
    return next_wake(now);
}

mono_time engine_core::wait_for_load(instant now) {
    if (is_stuck(now)) {
        answer_health(now, false);
    }
    return health_waiters_.empty() ? mono_never : running_since_ + commit_stuck;
}

mono_time engine_core::next_wake(instant now) const {
    mono_time wake = tick_at_;
    if (!effects_.fetches.empty()) {
        wake_by(wake, now.mono + fetch_retry);
    }
    if (commit_running()) {
        wake_by(wake, health_waiters_.empty() ? mono_never : running_since_ + commit_stuck);
    } else if (commit_wanted(now)) {
        wake = now.mono;
    } else {
        wake_by(wake, sync_by_);
        if (lazy_since_) {
            wake_by(wake, *lazy_since_ + limits::plain_ack_sync_max);
        }
    }
    return wake;
}

bool engine_core::proof_wanted() const {
    return std::ranges::any_of(
        health_waiters_, [](const health_waiter& waiter) { return waiter.needs.value() == 0; });
}

bool engine_core::sync_wanted(instant now) const {
    return effects_.urgent || flushing_ || proof_wanted() || now.mono >= sync_by_ ||
           (stopping_ && sync_by_ != mono_never) ||
           (lazy_since_ && now.mono - *lazy_since_ >= limits::plain_ack_sync_max);
}

bool engine_core::enough_gathered() const {
    return gathered_bytes_ >= gathering_bytes_limit_ ||
           effects_.mutations.size() >= gathering_changes_max;
}

bool engine_core::commit_wanted(instant now) const {
    // What was gathered may have led to nothing: then only a commit makes room for more.
    return !commit_running() && (effects_.prompt || enough_gathered() || sync_wanted(now));
}

// Whether the commit that starts is synced, and by when what is not has to be.
void engine_core::note_sync(instant now) {
    running_synced_ = !effects_.prompt || sync_wanted(now);
    if (running_synced_) {
        sync_by_ = mono_never;
        return;
    }
    wake_by(sync_by_, now.mono + parts_.os_sync_interval);
    if (!only_publishes(effects_.mutations)) {
        wake_by(sync_by_, lazy_since_.value_or(now.mono) + limits::plain_ack_sync_max);
    }
}

void engine_core::start_commit(instant now) {
    domain_.seal(now, effects_);
    take_outputs();
    note_sync(now);
    running_ = gathering_;
    running_since_ = now.mono;
    gathering_ = commit_number{running_.value() + 1};
    domain_.commit_cut(gathering_);
    for (auto& waiter : health_waiters_) {
        if (waiter.needs.value() == 0) {
            waiter.needs = running_;
        }
    }
    written_since_maintained_ += gathered_bytes_;
    counts_.commit_bytes += gathered_bytes_;
    gathered_bytes_ = 0;
    lazy_since_.reset();
    effects_.urgent = false;
    effects_.prompt = false;
    flushing_ = false;
    parts_.commits.start(running_, std::exchange(effects_.mutations, {}), running_synced_);
    if (written_since_maintained_ >= maintain_bytes) {
        written_since_maintained_ = 0;
        parts_.fetches.maintain_soon();
    }
}

void engine_core::take_outputs() {
    for (auto& out : effects_.outputs) {
        release(std::move(out));
    }
    effects_.outputs.clear();
}

void engine_core::leave(domain::output out) {
    leaving_[out.connection.value() % leaving_.size()].push_back(std::move(out));
}

void engine_core::release(domain::output out) {
    if (out.depends_on <= (out.when_applied ? applied_ : durable_)) {
        leave(std::move(out));
        return;
    }
    ++counts_.held_outputs;
    auto bucket = std::ranges::find_if(
        held_, [&](const held_bucket& b) { return b.number >= out.depends_on; });
    if (bucket == held_.end() || bucket->number != out.depends_on) {
        bucket = held_.insert(bucket, held_bucket{out.depends_on, {}});
    }
    bucket->outputs.push_back(std::move(out));
}

void engine_core::release_held(commit_number number, bool synced) {
    for (auto& bucket : held_) {
        if (bucket.number > number) {
            break;
        }
        if (!synced && bucket.number < number) {
            continue;  // what could leave without a sync has left
        }
        std::vector<domain::output> staying;
        for (auto& out : bucket.outputs) {
            if (synced || out.when_applied) {
                --counts_.held_outputs;
                leave(std::move(out));
            } else {
                staying.push_back(std::move(out));
            }
        }
        bucket.outputs = std::move(staying);
    }
    std::erase_if(held_, [](const held_bucket& bucket) { return bucket.outputs.empty(); });
}

void engine_core::flush_sinks() {
    for (std::size_t i = 0; i < leaving_.size(); ++i) {
        if (!leaving_[i].empty()) {
            parts_.sinks[i]->deliver(std::exchange(leaving_[i], {}));
        }
    }
}

void engine_core::start_fetches(instant now) {
    for (auto& what : std::exchange(effects_.fetches, {})) {
        ++counts_.fetches;
        const auto id = what.id;
        if (!parts_.fetches.start(std::move(what), generation_)) {
            ++counts_.fetches_refused;
            domain_.apply(domain::fetched{id, failure{error_code::busy,
                                                      "too many reads are waiting; try again"}},
                          now, effects_);
        }
    }
    take_outputs();
}

bool engine_core::is_stuck(instant now) const {
    return (commit_running() || loading_) && now.mono - running_since_ >= commit_stuck;
}

void engine_core::request_health(health_handler handler, instant now) {
    if (failed_ || is_stuck(now)) {
        handler(health(now, false));
        return;
    }
    health_waiters_.push_back({std::move(handler), {}});
}

void engine_core::answer_health(instant now, bool proven) {
    if (health_waiters_.empty()) {
        return;
    }
    auto waiters = std::exchange(health_waiters_, {});
    for (auto& waiter : waiters) {
        const bool due = !proven || (waiter.needs.value() != 0 && waiter.needs <= durable_);
        if (due) {
            waiter.handler(health(now, proven));
        } else {
            health_waiters_.push_back(std::move(waiter));
        }
    }
}

health_state engine_core::health(instant now, bool proven) const {
    health_state state{.writable = proven && !counts_.store.room.below_reserve,
                       .warnings = domain_.warnings(now)};
    if (failed_) {
        state.warnings.emplace_back("the broker's storage failed; it is stopping");
    }
    if (is_stuck(now)) {
        const auto what = loading_ ? std::string("the state loaded again")
                                   : fmt::format("commit {}", running_.value());
        state.warnings.push_back(fmt::format("{} has not come back from the disk for {} s", what,
                                             to_ms(now.mono - running_since_) / 1000));
    }
    if (counts_.store.room.below_reserve) {
        state.warnings.push_back(fmt::format("publishes are refused: the disk has only {}",
                                             free_space(counts_.store.room)));
    }
    if (last_slow_commit_ != mono_time::min() && now.mono - last_slow_commit_ < slow_commit_shown) {
        state.warnings.push_back(
            fmt::format("the disk is slow: a commit took {} ms", to_ms(last_slow_duration_)));
    }
    return state;
}

engine_statistics engine_core::statistics() const {
    auto result = counts_;
    if (!loading_) {
        result.domain = domain_.counters();
    }
    // What is measured now and then is up to a second old; who compares two reports wants this one
    // to be of the moment, as the number of commits is.
    result.store.bytes_written = parts_.store.bytes_written();
    return result;
}

void engine_core::room_measured(const storage::disk_room& measured) {
    if (measured.below_reserve != counts_.store.room.below_reserve) {
        if (measured.below_reserve) {
            parts_.log.warning("publishes are refused: the disk has only {}", free_space(measured));
        } else {
            parts_.log.info("the disk has room again: publishes are accepted");
        }
    }
    counts_.store.room = measured;
    domain_.refuse_publishes(
        measured.below_reserve
            ? fmt::format("the broker's disk has only {}; free space there, or start brokerd with "
                          "a smaller --disk-reserve; what is stored can be consumed",
                          free_space(measured))
            : std::string());
}

void engine_core::disk_measured(const storage::store_statistics& measured) {
    room_measured(measured.room);
    counts_.store = measured;
    if (!measured.failure.empty() && !failed_) {
        stop_for(fmt::format("the store failed: {}", measured.failure));
    }
}

void engine_core::log_skipped() const {
    for (const auto& each : domain_.skipped_at_start()) {
        parts_.log.info(
            "topic {}: offsets {} to {} are skipped: the broker stopped without goodbye after it "
            "had reserved them",
            each.topic, each.offsets.first, each.offsets.end() - 1);
    }
}

void engine_core::log_drops() {
    for (const auto& each : domain_.take_drop_notices()) {
        parts_.log.warning("topic {} dropped {} messages to keep its bounds ({}), {} in all",
                           each.topic, each.messages, each.bound, each.in_all);
    }
}

void engine_core::begin_stop(instant now) {
    stopping_ = true;
    if (!loading_) {  // else with the epoch
        domain_.release_reservations(now, effects_);
    }
}

void engine_core::drop_and_reload(failure why) {
    reload_wanted_ = std::move(why);
}

void engine_core::reload(instant now) {
    const failure why = *std::exchange(reload_wanted_, std::nullopt);
    ++counts_.reloads;
    ++generation_;
    parts_.log.warning("dropping the state in memory and loading it again: {}", why.text);
    for (auto* sink : parts_.sinks) {
        sink->close_all(why);
    }
    open_.clear();
    held_.clear();
    for (auto& outputs : leaving_) {
        outputs.clear();
    }
    counts_.held_outputs = 0;
    effects_ = {};
    gathered_bytes_ = 0;
    lazy_since_.reset();
    sync_by_ = mono_never;
    parts_.fetches.load(give_away_state(now));
}

void engine_core::stop_for(const std::string& what) {
    failed_ = true;
    held_.clear();
    for (auto& outputs : leaving_) {
        outputs.clear();
    }
    parts_.log.error("{}", what);
    parts_.fatal(what);
}

bool engine_core::idle() const {
    return failed_ || (!loading_ && !commit_running() && !flushing_ && !effects_.urgent &&
                       !effects_.prompt && !lazy_since_ && sync_by_ == mono_never);
}

}  // namespace brokerd::engine
