// Rebuilding everything from what a store holds: the loaded mutations are replayed through the same
// sets that live operation uses, then the next epoch begins.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "broker/base/assert.hpp"
#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

class replay {
public:
    replay(core& c, turn& t) : c_(c), t_(t) {}

    void operator()(const topic_created& m) {
        auto made = std::make_unique<topic>(m.topic);
        made->name = m.name;
        set(*made, m.settings);
        made->created = m.created;
        c_.topics_by_name[made->name] = made.get();
        c_.topics[m.topic] = std::move(made);
    }
    void operator()(const pattern_put& m) { restore_pattern(c_, m); }
    void operator()(const pattern_erased& m) { restore_pattern(c_, m); }
    void operator()(const topic_changed& m) { set(topic_of(m.topic), m.settings); }
    void operator()(const topic_removed& m) {
        topic& of = topic_of(m.topic);
        for (const auto& [name, q] : of.queues) {
            c_.queues.erase(q->id);
        }
        c_.producers.remove_topic(of.id);
        forget_schedules(c_, of);
        forget_expiry(c_, of);
        c_.topics_by_name.erase(of.name);
        c_.topics.erase(m.topic);
    }
    void operator()(const queue_created& m) {
        topic& of = topic_of(m.topic);
        auto made = std::make_unique<queue>(m.queue, of, m.mode, m.start, c_.memory());
        made->name = m.name;
        made->settings = c_.settings.share(m.settings);
        made->created = m.created;
        c_.queues[m.queue] = made.get();
        of.queues.emplace(made->name, std::move(made));
    }
    void operator()(const queue_changed& m) {
        queue& q = queue_of(m.queue);
        q.settings = c_.settings.share(m.settings);
        q.paused = m.paused;
        q.fence = m.fence;
        q.sifting.reset();
        if (m.unsifted != offset_end) {
            q.sifting = std::make_unique<sieve>(std::nullopt, offset_end, c_.window_bytes);
            q.sifting->durable = m.unsifted;
        }
    }
    void operator()(const queue_removed& m) {
        queue& q = queue_of(m.queue);
        topic& of = q.owner;
        c_.producers.remove_queue(of.id, q.id);
        c_.queues.erase(m.queue);
        of.queues.erase(std::string(q.name));
    }
    void operator()(const trimmed& m) { topic_of(m.topic).trim = m.first; }
    // Times that are still to come, by this clock, begin now.
    void operator()(const done_marks& m) {
        topic& of = topic_of(m.topic);
        for (const done_mark& mark : m.marks) {
            const duration_us age = std::max(t_.wall - mark.time, duration_us{0});
            of.samples.push_back({t_.now.mono - age, mark.below});
        }
    }
    void operator()(const queue_delta& m) { queue_of(m.queue).book.apply(m); }
    void operator()(const queue_snapshot& m) { queue_of(m.queue).book.apply(m); }
    void operator()(const expiry_watched& m) { restore_expiry(topic_of(m.topic), m); }
    void operator()(const schedule_totals& m) { restore_schedules(c_, t_, m); }
    void operator()(const message_ids_forgotten& m) { restore_message_ids(topic_of(m.topic), m); }
    void operator()(const producer_put& m) { c_.producers.load(m); }
    void operator()(const offsets_reserved& m) { topic_of(m.topic).reserved = m.below; }
    void operator()(const offsets_skipped& m) {
        topic& of = topic_of(m.topic);
        of.skipped.clear();
        for (const offset_run& run : m.runs) {
            of.skipped.insert({run.first, run.count});
        }
    }
    void operator()(const log_marked& m) { marks_[m.topic] = m.marks; }
    void operator()(const messages_dropped& m) { restore_drops(t_, topic_of(m.topic), m); }
    // The rest stays in the store and is read from there when it is needed.
    void operator()(const auto&) {}

    // Where the topic's bytes and times lie, as far as it was marked.
    [[nodiscard]] std::vector<log_mark> take_marks(topic_id id) {
        const auto at = marks_.find(id);
        return at == marks_.end() ? std::vector<log_mark>() : std::move(at->second);
    }

private:
    // Topics of before there were priorities have one level.
    static void set(topic& of, const topic_settings& stored) {
        of.settings = stored;
        of.settings.priorities = std::max<std::uint8_t>(stored.priorities, 1);
    }

    topic& topic_of(topic_id id) {
        topic* found = c_.topic_by_id(id);
        BROKERD_ASSERT(found != nullptr, "the store names topic {}, which it does not hold",
                       id.value());
        return *found;
    }
    queue& queue_of(queue_id id) {
        queue* found = c_.queue_by_id(id);
        BROKERD_ASSERT(found != nullptr, "the store names queue {}, which it does not hold",
                       id.value());
        return *found;
    }

    core& c_;
    turn& t_;
    std::map<topic_id, std::vector<log_mark>> marks_;
};

}  // namespace

void restore(core& c, turn& t, const loaded_state& loaded) {
    c.next_id = std::max<std::uint64_t>(loaded.next_id, 1);
    replay visitor(c, t);
    for (const mutation& m : loaded.mutations) {
        std::visit(visitor, m);
    }
    std::map<topic_id, std::uint64_t> unmarked;
    for (const topic_tail& tail : loaded.tails) {
        topic* of = c.topic_by_id(tail.topic);
        if (of != nullptr) {
            of->end = tail.next_offset;
            of->last_append = tail.last_append;
            unmarked[tail.topic] = tail.unmarked_bytes;
        }
    }
    for (const auto& [id, of] : c.topics) {
        of->end = std::max(of->end, of->trim);
        if (!of->skipped.empty()) {
            of->end = std::max(of->end, of->skipped.back() + 1);
        }
        const bool is_empty = of->messages_below(of->end) == 0;
        if (!is_empty) {
            c.ages_from = t.now.mono + c.options.expiry_grace;
        }
        of->marks.restore(visitor.take_marks(id), of->trim, of->end, is_empty ? 0 : unmarked[id],
                          of->last_append);
        of->dropped_below = std::min(of->dropped_below, of->end);
        if (of->dropped_below > of->trim) {
            of->dropped_counted.insert({of->trim, of->dropped_below - of->trim});
        }
        of->without_queue_since = t.now.mono;
        std::erase_if(of->samples, [&](const auto& each) { return each.candidate <= of->trim; });
        for (const auto& [name, q] : of->queues) {
            q->book.finish_restore(of->end);
        }
        for (const queue_drops& each : of->drops.queues) {
            if (queue* q = c.queue_by_id(each.queue)) {
                q->dropped = each.messages;
            }
        }
        skip_reserved(c, t, *of);
        for (const auto& [name, q] : of->queues) {
            q->next = q->book.floor();
            restore_sieve(c, t, *q);
            // Clients may take some time to find the broker again.
            q->unused_since =
                t.now.mono +
                std::max(limits::expires_after_start_min - q->settings->expires, duration_us{0});
            c.arm(*q, q->expires_at());
            join_patterns(c, t, *q);
            if (q->book.retrying().empty()) {
                q->schedule.set_known_until(t.retry_now + retry_schedule::horizon);
            }
        }
        c.note_trim_later(*of, t.now.mono);
        if (has_bounds(*of)) {
            c.note_trim(*of);  // with the first commit
        }
        resume_expiry(c, t, *of);
    }
    c.producers.finish_load();
    c.epoch = broker_epoch{loaded.epoch.value() + 1};
    c.emit(t, epoch_started{c.epoch});
}

}  // namespace brokerd::domain
