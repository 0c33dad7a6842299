// The aggregate root: takes each command to its operation.
#include "broker/domain/broker_state.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/core.hpp"
#include "broker/domain/drain.hpp"
#include "broker/domain/operations.hpp"

namespace brokerd::domain {

struct broker_state::impl {
    explicit impl(domain_options wanted) : state(wanted) {}

    turn begin(instant now, effects& out) {
        if (!state.clock_started) {
            state.clock.start(now, now.wall);
            state.clock_started = true;
            state.started = now.mono;
        }
        return {.now = now,
                .wall = state.clock.observe(now),
                .retry_now = state.clock.retry_time(now.mono),
                .out = out};
    }

    core state;
};

namespace {

// One overload per request of request_body.
struct handle_request {
    core& c;
    turn& t;
    asker who;

    void operator()(publish_request& what) const { publish(c, t, who, what); }
    void operator()(transaction_request& what) const { transact(c, t, who, std::move(what)); }
    void operator()(service_request& what) const { ask_service(c, t, who, what); }
    void operator()(service_reply& what) const { reply_to_request(c, t, who, what); }
    void operator()(codec::attach& what) const { attach(c, t, who, what); }
    void operator()(codec::detach& what) const { detach(c, t, who, what); }
    void operator()(codec::set_prefetch& what) const { set_prefetch(c, t, who, what); }
    void operator()(codec::settle& what) const { settle(c, t, who, std::move(what)); }
    void operator()(codec::topic_create& what) const { create_topic(c, t, who, what); }
    void operator()(codec::topic_list& what) const { list_topics(c, t, who, what); }
    void operator()(codec::topic_set& what) const { set_topic(c, t, who, what); }
    void operator()(codec::topic_remove& what) const { remove_topic(c, t, who, what); }
    void operator()(codec::queue_create& what) const { create_queue(c, t, who, what); }
    void operator()(codec::queue_list& what) const { list_queues(c, t, who, what); }
    void operator()(codec::queue_set& what) const { set_queue(c, t, who, what); }
    void operator()(codec::queue_remove& what) const { remove_queue(c, t, who, what); }
    void operator()(codec::queue_pause& what) const { pause_queue(c, t, who, what); }
    void operator()(codec::queue_seek& what) const { seek_queue(c, t, who, what); }
    void operator()(codec::queue_purge& what) const { purge_queue(c, t, who, what); }
    void operator()(codec::queue_clone& what) const { clone_queue(c, t, who, what); }
    void operator()(codec::queue_levels& what) const { count_levels(c, t, who, what); }
    void operator()(codec::queue_explain& what) const { explain(c, t, who, what); }
    void operator()(codec::read& what) const { read_messages(c, t, who, what); }
    void operator()(codec::message_show& what) const { show_message(c, t, who, what); }
    void operator()(codec::dead_list& what) const { list_dead(c, t, who, what); }
    void operator()(codec::dead_redrive& what) const { redrive_dead(c, t, who, what); }
    void operator()(codec::dead_purge& what) const { purge_dead(c, t, who, what); }
    void operator()(codec::consumer_list& what) const { list_consumers(c, t, who, what); }
    void operator()(codec::schedule_list& what) const { list_schedules(c, t, who, what); }
    void operator()(codec::schedule_cancel& what) const { cancel_schedules(c, t, who, what); }
    void operator()(codec::serve& what) const { serve(c, t, who, what); }
    void operator()(codec::unserve& what) const { unserve(c, t, who, what); }
    void operator()(codec::service_list& what) const { list_services(c, t, who, what); }
    void operator()(codec::pattern_create& what) const { create_pattern(c, t, who, what); }
    void operator()(codec::pattern_list& what) const { list_patterns(c, t, who, what); }
    void operator()(codec::pattern_remove& what) const { remove_pattern(c, t, who, what); }
    void operator()(codec::pattern_attach& what) const { attach_pattern(c, t, who, what); }
};

struct handle_command {
    core& c;
    turn& t;

    void operator()(connection_opened& what) const {
        c.connections.try_emplace(what.connection).first->second.name = std::move(what.name);
    }
    void operator()(connection_closed& what) const { close_connection(c, t, what); }
    void operator()(connection_draining& what) const { drain_connection(c, t, what); }
    void operator()(request& what) const {
        std::visit(handle_request{c, t, {what.connection, what.id}}, what.body);
    }
    void operator()(fetched& what) const { c.take_answer(t, what.id, what.result); }
};

// Leases that expire, retries that become due, temporary queues that go.
void look_at_timers(core& c, turn& t) {
    while (!c.timers.empty() && c.timers.begin()->first <= t.now.mono) {
        queue* q = c.queue_by_id(c.timers.begin()->second);
        c.timers.erase(c.timers.begin());
        q->timer = mono_never;
        if (remove_if_expired(c, t, *q)) {
            continue;
        }
        expire_leases(c, t, *q);
        const mono_time next = std::min({advance_schedule(c, t, *q), q->leases->earliest(),
                                         q->ended->earliest(), q->expires_at()});
        // Never again in this very turn.
        c.arm(*q, std::max(next, t.now.mono + duration_us{1}));
        c.wake(*q);
    }
}

}  // namespace

broker_state::broker_state(domain_options options) : impl_(std::make_unique<impl>(options)) {}
broker_state::~broker_state() = default;
broker_state::broker_state(broker_state&&) noexcept = default;
broker_state& broker_state::operator=(broker_state&&) noexcept = default;

void broker_state::restore(const loaded_state& loaded, commit_number first_commit, instant now,
                           effects& out) {
    const domain_options options = impl_->state.options;
    const domain_counters counters = impl_->state.counters;
    std::string no_room = std::move(impl_->state.no_room);
    impl_ = std::make_unique<impl>(options);
    core& c = impl_->state;
    c.counters = counters;
    c.no_room = std::move(no_room);
    c.gathering = first_commit;
    wall_time latest = loaded.retry_clock;
    for (const topic_tail& tail : loaded.tails) {
        latest = std::max(latest, tail.last_append);
    }
    c.clock.start(now, latest);
    c.clock_started = true;
    c.started = now.mono;
    c.jitter = base::random(options.seed ^ (loaded.epoch.value() + 1));
    turn t = impl_->begin(now, out);
    domain::restore(c, t, loaded);
}

void broker_state::apply(command what, instant now, effects& out) {
    turn t = impl_->begin(now, out);
    std::visit(handle_command{impl_->state, t}, what);
}

mono_time broker_state::tick(instant now, effects& out) {
    core& c = impl_->state;
    turn t = impl_->begin(now, out);
    look_at_timers(c, t);
    look_at_schedules(c, t);
    look_at_expiry(c, t);
    look_at_requests(c, t);
    if (c.trim_deadline() <= now.mono) {
        note_due_trims(c, t);
        drop_all_excess(c, t);
        trim_topics(c, t);
    }
    answer_overdue(c, t);
    return next_deadline();
}

mono_time broker_state::next_deadline() const {
    const core& c = impl_->state;
    const mono_time timer = c.timers.empty() ? mono_never : c.timers.begin()->first;
    const mono_time expiry = c.expiry_timers.empty() ? mono_never : c.expiry_timers.begin()->first;
    return std::min({timer, expiry, c.trim_deadline(), c.waiting_until, c.schedule_deadline,
                     c.services.next_deadline()});
}

void broker_state::dispatch(instant now, effects& out) {
    turn t = impl_->begin(now, out);
    give_out_all(impl_->state, t);
    answer_draining(impl_->state, t);
}

void broker_state::hold_schedules(bool on) {
    impl_->state.schedules_held = on;
}

void broker_state::refuse_publishes(std::string why) {
    impl_->state.no_room = std::move(why);
}

void broker_state::release_reservations(instant now, effects& out) {
    turn t = impl_->begin(now, out);
    domain::release_reservations(impl_->state, t);
}

const std::vector<skipped_offsets>& broker_state::skipped_at_start() const {
    return impl_->state.skipped_at_start;
}

std::vector<drop_notice> broker_state::take_drop_notices() {
    return std::exchange(impl_->state.drop_notices, {});
}

bool broker_state::dirty() const {
    return impl_->state.dirty;
}

void broker_state::seal(instant now, effects& out) {
    turn t = impl_->begin(now, out);
    seal_commit(impl_->state, t);
}

void broker_state::commit_cut(commit_number next) {
    cut_commit(impl_->state, next);
}

broker_epoch broker_state::epoch() const {
    return impl_->state.epoch;
}

const domain_counters& broker_state::counters() const {
    return impl_->state.counters;
}

std::vector<std::string> broker_state::warnings(instant now) const {
    const core& c = impl_->state;
    std::vector<std::string> warnings;
    if (c.clock.behind() != duration_us{0}) {
        warnings.push_back(fmt::format("the system's clock was set {} s {}; times follow it slowly",
                                       std::chrono::abs(c.clock.behind()).count() / 1000000,
                                       c.clock.behind() > duration_us{0} ? "forward" : "back"));
    }
    for (const auto& [id, of] : c.topics) {
        if (of->scheduled && !of->scheduled->read_error.empty()) {
            warnings.push_back(fmt::format("what is scheduled for topic {}: {}", of->name,
                                           of->scheduled->read_error));
        }
        if (of->expiry && !of->expiry->read_error.empty()) {
            warnings.push_back(
                fmt::format("what expires in topic {}: {}", of->name, of->expiry->read_error));
        }
        for (const auto& [name, q] : of->queues) {
            if (!q->read_error.empty()) {
                warnings.push_back(fmt::format("queue {}: {}", q->path(), q->read_error));
            }
            if (q->sifting && !q->sifting->read_error.empty()) {
                warnings.push_back(fmt::format("what the filter of queue {} takes: {}", q->path(),
                                               q->sifting->read_error));
            }
            if (q->too_many_retrying() || q->too_many_runs()) {
                warnings.push_back(fmt::format(
                    "queue {} gives out no new messages: {}", q->path(),
                    q->too_many_retrying() ? "max_retrying is reached" : "max_runs is reached"));
            }
        }
    }
    warn_of_retention(c, now, warnings);
    warn_of_groups(c, warnings);
    return warnings;
}

std::size_t broker_state::exceptions_in_memory() const {
    std::size_t count = 0;
    for (const auto& [id, of] : impl_->state.topics) {
        for (const auto& [name, q] : of->queues) {
            count += q->exceptions->known.size();
        }
    }
    return count;
}

outcome<void> broker_state::check_invariants() const {
    return domain::check_invariants(impl_->state);
}

}  // namespace brokerd::domain
