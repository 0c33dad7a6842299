// Creating, changing, pausing and removing queues.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "broker/domain/settings_check.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

// Who makes sure that a temporary queue exists is about to use it: its time begins anew.
void answer_existing(core& c, turn& t, asker who, const codec::queue_create& what, queue& q) {
    if (q.mode != what.mode) {
        c.refuse(t, who,
                 {error_code::queue_exists,
                  fmt::format("queue {} exists with mode {}, which cannot be changed; remove it "
                              "first or choose another name",
                              q.path(), to_string(q.mode))});
        return;
    }
    q.unused_since = std::max(q.unused_since, t.now.mono);  // later after a start
    c.answer(t, who, std::max(q.owner.changed, q.changed),
             codec::queue_created{.created = false,
                                  .topic_created = false,
                                  .queue = q.id,
                                  .settings = *q.settings,
                                  .differing = differing(what.settings, *q.settings)});
}

// The queue does not exist, its topic does.
void make_queue(core& c, turn& t, asker who, const codec::queue_create& what,
                const std::string& name, topic& of, bool topic_is_new, offset_t start) {
    queue& q = add_queue(c, t, of, name, what.mode, what.settings, start);
    begin_queue(c, t, q, start);
    c.answer(t, who, c.gathering,
             codec::queue_created{.created = true,
                                  .topic_created = topic_is_new,
                                  .queue = q.id,
                                  .settings = *q.settings,
                                  .differing = {}});
}

// Neither does exist; a pattern queue may make the queue with the topic.
void make_both(core& c, turn& t, asker who, const codec::queue_create& what,
               const queue_path& path) {
    const auto rules = patterns_for(c, path.topic);
    const auto same = std::ranges::find(rules, path.queue,
                                        [](const pattern_queue* each) { return each->rule.queue; });
    if (same != rules.end() && (*same)->rule.mode != what.mode) {
        c.refuse(t, who,
                 {error_code::queue_exists,
                  fmt::format("the pattern queue {} makes queue {} with mode {} when topic {} is "
                              "created; choose this mode or another name",
                              (*same)->path(), to_string(path), to_string((*same)->rule.mode),
                              path.topic)});
        return;
    }
    if (same == rules.end() && rules.size() >= c.options.queues_per_topic_max) {
        c.refuse(t, who,
                 {error_code::too_many_queues,
                  fmt::format("pattern queues make {} queues in topic {}, as many as it may have",
                              rules.size(), path.topic)});
        return;
    }
    topic& made = make_topic(c, t, path.topic, topic_settings{});
    if (same == rules.end()) {
        make_queue(c, t, who, what, path.queue, made, true, 0);
        return;
    }
    const queue& q = *made.queues.find(path.queue)->second;
    c.answer(t, who, c.gathering,
             codec::queue_created{.created = true,
                                  .topic_created = true,
                                  .queue = q.id,
                                  .settings = *q.settings,
                                  .differing = differing(what.settings, *q.settings)});
}

}  // namespace

outcome<queue_settings> settled(const queue_settings& asked) {
    if (auto checked = check_settings(asked); !checked) {
        return std::unexpected(checked.error());
    }
    queue_settings settings = asked;
    if (!asked.filter.empty()) {
        auto made = filter_of_queue(asked.filter);
        if (!made) {
            return std::unexpected(made.error());
        }
        settings.filter = made->text();
    }
    return settings;
}

void begin_queue(core& c, turn& t, queue& q, offset_t start) {
    skip_in_queue(c, t, q, start);
    expire_again(c, t, q.owner, start);
    set_sieve(c, q);
    sift_again(c, t, q, start);
}

queue& add_queue(core& c, turn& t, topic& of, const std::string& name, queue_mode mode,
                 const queue_settings& settings, offset_t start) {
    auto made = std::make_unique<queue>(queue_id{c.next_id++}, of, mode, start, c.memory());
    queue& q = *made;
    q.name = name;
    q.settings = c.settings.share(settings);
    q.created = t.wall;
    q.changed = c.gathering;
    of.queues.emplace(q.name, std::move(made));
    forget_slowest(of);
    c.queues.emplace(q.id, &q);
    c.emit(t, queue_created{.topic = of.id,
                            .queue = q.id,
                            .name = q.name,
                            .mode = q.mode,
                            .settings = *q.settings,
                            .start = start,
                            .created = q.created});
    q.unused_since = t.now.mono;
    c.arm(q, q.expires_at());
    c.note_trim(of);
    join_patterns(c, t, q);
    return q;
}

failure too_many_queues(const topic& of) {
    return {error_code::too_many_queues,
            fmt::format("topic {} has {} queues, as many as it may; remove some", of.name,
                        of.queues.size())};
}

void emit_changed(core& c, turn& t, const queue& q) {
    c.emit(t, queue_changed{.topic = q.owner.id,
                            .queue = q.id,
                            .settings = *q.settings,
                            .paused = q.paused,
                            .fence = q.fence,
                            .unsifted = q.sifting ? q.sifting->durable : offset_end});
}

outcome<void> check_settings(const queue_settings& s) {
    if (s.expires != duration_us{0}) {
        if (auto checked = check_bounds<duration_us>("expires", s.expires, limits::expires_min,
                                                     limits::expires_max);
            !checked) {
            return checked;
        }
    }
    const auto checks = {
        check_bounds<duration_us>("lease", s.lease, limits::lease_min, limits::lease_max),
        check_bounds<std::uint64_t>("attempts", s.attempts, 1, limits::attempts_max),
        check_bounds<duration_us>("backoff", s.backoff, duration_us{0}, limits::nack_delay_max),
        check_bounds<duration_us>("backoff_max", s.backoff_max, s.backoff, limits::nack_delay_max),
        check_bounds<std::uint64_t>("max_retrying", s.max_retrying, 1, limits::retrying_max),
        check_bounds<std::uint64_t>("max_runs", s.max_runs, 1, limits::runs_max),
        check_bounds<std::uint64_t>("jitter_percent", s.jitter_percent, 0, 100),
    };
    for (const auto& checked : checks) {
        if (!checked) {
            return checked;
        }
    }
    return {};
}

void create_queue(core& c, turn& t, asker who, const codec::queue_create& asked) {
    const auto path = parse_queue_path(asked.queue);
    if (!path) {
        c.refuse(t, who, path.error());
        return;
    }
    codec::queue_create what = asked;
    const auto settings = settled(asked.settings);
    if (settings) {
        what.settings = *settings;
    }
    if (const auto existing = c.find_queue(what.queue)) {
        answer_existing(c, t, who, what, **existing);
        return;
    }
    if (!settings) {
        c.refuse(t, who, settings.error());
        return;
    }
    const auto found = c.find_topic(path->topic);
    if (!found) {
        if (!what.create_topic) {
            c.refuse(t, who, found.error());
            return;
        }
        make_both(c, t, who, what, *path);
        return;
    }
    topic& of = **found;
    if (of.queues.size() >= c.options.queues_per_topic_max) {
        c.refuse(t, who, too_many_queues(of));
        return;
    }
    // By time the answer comes later; then everything may be different.
    resolve_position(
        c, t, of, what.start,
        [&c, who, what, name = path->queue, id = of.id](turn& later, outcome<offset_t> start) {
            topic* owner = c.topic_by_id(id);
            if (!start || owner == nullptr) {
                c.refuse(later, who,
                         !start ? start.error()
                                : failure{error_code::topic_removed, "the topic was removed"});
                return;
            }
            if (const auto existing = owner->queues.find(name); existing != owner->queues.end()) {
                answer_existing(c, later, who, what, *existing->second);
                return;
            }
            if (owner->queues.size() >= c.options.queues_per_topic_max) {
                c.refuse(later, who, too_many_queues(*owner));
                return;
            }
            make_queue(c, later, who, what, name, *owner, false, *start);
        });
}

void set_queue(core& c, turn& t, asker who, const codec::queue_set& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    const auto settings = settled(what.settings);
    if (!settings) {
        c.refuse(t, who, settings.error());
        return;
    }
    change_settings(c, t, **found, *settings);
    c.answer(t, who, (*found)->changed, codec::ok{});
}

void change_settings(core& c, turn& t, queue& q, const queue_settings& settings) {
    if (*q.settings == settings) {
        return;
    }
    if (q.settings->expires != settings.expires) {
        q.unused_since = t.now.mono;  // not for what was before
    }
    const bool takes_others =
        q.settings->filter != settings.filter || q.settings->until != settings.until;
    // What waits to be ended as not for the queue was left alone when it expired, and may be for it
    // now; where there may be more gaps, what would have been one too many may end.
    const offset_t look_from = settings.max_runs > q.settings->max_runs ? q.book.floor()
                               : takes_others && q.sifting && !q.sifting->unsifted.empty()
                                   ? q.sifting->unsifted.front()
                                   : offset_end;
    q.settings = c.settings.share(settings);
    q.changed = c.gathering;
    if (takes_others) {
        set_sieve(c, q);
    }
    emit_changed(c, t, q);
    expire_again(c, t, q.owner, look_from);
    if (takes_others) {
        sift_again(c, t, q, q.book.floor());
    }
    if (q.order) {
        q.order->keys.make_all_runnable();  // after_failure may have changed
        free_due(q);
    }
    c.arm(q, q.expires_at());
    c.wake(q);
}

void pause_queue(core& c, turn& t, asker who, const codec::queue_pause& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    if (q.paused != what.paused) {
        q.paused = what.paused;
        if (q.paused) {
            q.end_claims();
        }
        q.changed = c.gathering;
        emit_changed(c, t, q);
        c.wake(q);
    }
    c.answer(t, who, q.changed, codec::ok{});
}

void drop_queue(core& c, turn& t, queue& q, error_code code, const std::string& text) {
    leave_patterns(c, q);
    end_consumers(c, t, q, code, text);
    std::erase(c.woken, &q);
    std::erase(c.changed_queues, &q);
    std::erase(c.queues_with_exceptions, &q);
    c.timers.erase({q.timer, q.id});
    topic& of = q.owner;
    c.producers.remove_queue(of.id, q.id);
    forget_drops(c, q);
    c.queues.erase(q.id);
    c.note_trim(of);
    of.queues.erase(std::string(q.name));
    forget_slowest(of);
    of.without_queue_since = t.now.mono;
}

bool remove_if_expired(core& c, turn& t, queue& q) {
    if (q.expires_at() > t.now.mono) {
        return false;
    }
    ++c.counters.expired_queues;
    c.emit(t, queue_removed{q.owner.id, q.id});
    drop_queue(c, t, q, error_code::queue_removed, {});
    return true;
}

void remove_queue(core& c, turn& t, asker who, const codec::queue_remove& what) {
    const auto found = c.find_queue(what.queue);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    queue& q = **found;
    c.emit(t, queue_removed{q.owner.id, q.id});
    drop_queue(c, t, q, error_code::queue_removed, fmt::format("queue {} was removed", q.path()));
    c.answer(t, who, c.gathering, codec::ok{});
}

}  // namespace brokerd::domain
