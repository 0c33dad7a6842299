// The end of a commit: what was gathered in memory becomes mutations, and what that makes readable
// is given out at once, to be sent when the commit is durable.
#include <cstddef>
#include <utility>
#include <vector>

#include "broker/domain/operations.hpp"

namespace brokerd::domain {
namespace {

// Before anything is given out: what is dropped is not given out any more.
void keep_bounds(core& c, turn& t, const std::vector<topic*>& sealed) {
    for (topic* of : sealed) {
        if (has_bounds(*of)) {
            c.note_trim(*of);  // what is only kept gives way, too
        }
    }
    note_due_trims(c, t);
    drop_all_excess(c, t);
}

}  // namespace

void seal_commit(core& c, turn& t) {
    std::vector<topic*> sealed;
    sealed.swap(c.open_topics);
    for (topic* of : sealed) {
        of->open_noted = false;
        if (of->open) {
            seal_chunk(c, t, *of);
        }
    }
    keep_bounds(c, t, sealed);
    give_out_all(c, t);  // may end messages that have expired, which goes with this commit
    trim_topics(c, t);
    c.producers.take_changes(t.out.mutations);
    for (queue* q : c.changed_queues) {
        q->change_noted = false;
        if (q->book.dirty()) {
            t.out.mutations.push_back(q->book.take_change(q->owner.id, q->id));
        }
    }
    c.changed_queues.clear();
    seal_schedules(c, t);
    if (std::exchange(c.retries_put, false)) {
        c.emit(t, retry_clock{t.retry_now}, false);
    }
    for (topic* of : sealed) {
        answer_waiting(c, t, *of);
    }
    c.to_be_synced = t.out.urgent || !t.out.prompt;
}

void give_out_all(core& c, turn& t) {
    c.dispatching = true;
    dispatch_all(c, t);
    c.dispatching = false;
}

void cut_commit(core& c, commit_number next) {
    // The commit before the one that is cut has come back.
    c.synced = c.last_cut_to_sync;
    if (c.to_be_synced) {
        c.last_cut_to_sync = c.gathering;
    }
    c.gathering = next;
    c.dirty = false;
    c.expired_to_dead = 0;
    c.cache.keep_budget(c.applied(), [&](topic_id id) -> chunk_tail* {
        topic* of = c.topic_by_id(id);
        return of == nullptr ? nullptr : &of->tail;
    });
    c.counters.cached_bytes = c.cache.bytes();
    forget_applied_exceptions(c);
    forget_applied_schedules(c);
    forget_applied_ids(c);
}

}  // namespace brokerd::domain
