// One message and its state in every queue of its topic, with its attempts and what happens next.
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

struct pending_show {
    asker who;
    topic_id of;
    offset_t offset = 0;
    std::size_t missing = 1;  // reads outstanding, one for the asking itself
    std::map<queue_id, exception_state> exceptions;
    std::set<queue_id> asked{};  // whose exception was read, or is being read
    shared_bytes record;
    wall_time append_time{};
    commit_number depends_on;
    std::optional<failure> failed;
    // Their memory keeps what changes while others are read, so that no old value is told.
    std::vector<queue_id> held{};
    commit_number held_since{};
};

codec::queue_state_item item_of(core& c, const turn& t, queue& q, offset_t offset,
                                const exception_state* known, const shared_bytes& record) {
    codec::queue_state_item item;
    item.queue = q.name;
    item.state = q.state_of(offset);
    item.attempts_max = q.settings->attempts;
    const lease_span* span = nullptr;
    if (item.state == message_state::leased) {
        span = q.leases->find_offset(offset);
    }
    if (span != nullptr) {
        item.lease_until = t.wall + (span->deadline - t.now.mono);
        item.consumer = span->holder->name;
        item.lease = {span->run.epoch, span->run.first_lease + (offset - span->run.first_offset)};
        known = span->exception.get();
    }
    if (known != nullptr) {
        item.attempts = known->attempts;
        item.history = known->history;
        if (item.state == message_state::retrying) {
            item.due = t.wall + (known->due - t.retry_now);  // on the clock people see
        }
    }
    const bool has_key = q.order && record.owner;
    item.next = explain_message(c, t, q, offset, known, has_key ? key_of(q, record.view) : no_key);
    return item;
}

void finish_if_complete(core& c, turn& t, const std::shared_ptr<pending_show>& pending);

// True if every queue that retries the message knows whether it is due; else that is read, and the
// showing goes on then.
bool knows_due(core& c, turn& t, topic& of, const std::shared_ptr<pending_show>& show) {
    for (const auto& [name, q] : of.queues) {
        if (q->book.retrying().contains(show->offset) && !catch_up(c, t, *q)) {
            ++show->missing;
            read_due(c, t, *q, [&c, show](turn& later) {
                --show->missing;
                finish_if_complete(c, later, show);
            });
        }
    }
    return show->missing == 0;
}

void read_exception(core& c, turn& t, queue& q, const std::shared_ptr<pending_show>& show);

// True if what is known of the exceptions is what they are now; else those that the message became
// meanwhile are read.
bool knows_exceptions(core& c, turn& t, topic& of, const std::shared_ptr<pending_show>& show) {
    std::vector<queue*> unknown;
    for (const auto& [name, q] : of.queues) {
        if (!q->book.is_exception(show->offset)) {
            show->exceptions.erase(q->id);
        } else if (const auto at = q->exceptions->known.find(show->offset);
                   at != q->exceptions->known.end()) {
            show->exceptions[q->id] = at->second.value;
        } else if (!show->asked.contains(q->id)) {
            unknown.push_back(q.get());
        }
    }
    if (unknown.empty()) {
        return true;
    }
    ++show->missing;
    for (queue* q : unknown) {
        read_exception(c, t, *q, show);
    }
    --show->missing;
    finish_if_complete(c, t, show);
    return false;
}

void finish_if_complete(core& c, turn& t, const std::shared_ptr<pending_show>& pending) {
    pending_show& show = *pending;
    if (show.missing > 0) {
        return;
    }
    topic* of = c.topic_by_id(show.of);
    const bool goes_on = of != nullptr && !show.failed;
    if (goes_on && (!knows_due(c, t, *of, pending) || !knows_exceptions(c, t, *of, pending))) {
        return;
    }
    for (const queue_id each : std::exchange(show.held, {})) {
        if (queue* q = c.queue_by_id(each)) {
            q->exceptions.made().reads.end(show.held_since);
        }
    }
    if (of == nullptr) {
        c.refuse(t, show.who, {error_code::topic_removed, "the topic was removed meanwhile"});
        return;
    }
    if (show.failed) {
        c.refuse(t, show.who, *show.failed);
        return;
    }
    show_result result;
    result.record = show.record;
    result.message.readable = static_cast<bool>(show.record.owner);
    result.message.append_time = show.append_time;
    for (const auto& [name, q] : of->queues) {
        const auto known = show.exceptions.find(q->id);
        result.message.queues.push_back(
            item_of(c, t, *q, show.offset,
                    known == show.exceptions.end() ? nullptr : &known->second, show.record));
        show.depends_on = std::max(show.depends_on, q->changed);
    }
    c.answer(t, show.who, show.depends_on, std::move(result));
}

void take_record(pending_show& show, shared_bytes record, wall_time append_time) {
    if (!show.record.owner && record.owner) {
        show.record = std::move(record);
        show.append_time = append_time;
    }
}

void read_log(core& c, turn& t, const std::shared_ptr<pending_show>& show) {
    ++show->missing;
    c.read(
        t, fetch_log{show->of, show->offset, 0, 0}, [&c, show](turn& later, fetch_result& result) {
            if (const auto* failed = std::get_if<failure>(&result)) {
                show->failed = *failed;
            } else {
                for (const chunk_ptr& data : std::get<log_fetched>(result).chunks) {
                    if (data->contains(show->offset)) {
                        take_record(*show, {data, data->record(show->offset)}, data->append_time());
                    }
                }
            }
            --show->missing;
            finish_if_complete(c, later, show);
        });
}

// The exception of one queue, with the record that was kept for it.
void read_exception(core& c, turn& t, queue& q, const std::shared_ptr<pending_show>& show) {
    ++show->missing;
    show->asked.insert(q.id);
    with_records(
        c, t, q, {show->offset},
        [show](core& then, turn& later, queue& of, outcome<loaded_records> loaded) {
            if (!loaded) {
                show->failed = loaded.error();
            } else if (const auto at = loaded->exceptions.find(show->offset);
                       at != loaded->exceptions.end()) {
                take_record(*show, at->second.record, at->second.append_time);
                show->exceptions[of.id] = std::move(at->second.value);
            }
            --show->missing;
            finish_if_complete(then, later, show);
        },
        [show, &c](turn& later) {
            --show->missing;
            finish_if_complete(c, later, show);
        });
}

}  // namespace

void show_message(core& c, turn& t, asker who, const codec::message_show& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    topic& of = **found;
    if (what.offset >= of.end) {
        c.refuse(
            t, who,
            {error_code::not_found, fmt::format("{} does not exist; the next message will be {}",
                                                to_string(message_address{of.name, what.offset}),
                                                to_string(message_address{of.name, of.end}))});
        return;
    }
    if (of.skipped.contains(what.offset)) {
        c.refuse(t, who,
                 {error_code::gone, fmt::format("{} was reserved and never stored: the broker "
                                                "stopped without goodbye",
                                                to_string(message_address{of.name, what.offset}))});
        return;
    }
    auto show = std::make_shared<pending_show>();
    show->who = who;
    show->of = of.id;
    show->offset = what.offset;
    show->depends_on = of.changed;
    if (const chunk_tail::entry* entry = of.tail.find(what.offset)) {
        if (what.offset >= of.trim) {
            take_record(*show, {entry->data, entry->data->record(what.offset)},
                        entry->data->append_time());
            show->depends_on = std::max(show->depends_on, entry->commit);
        }
    }
    if (what.offset >= of.trim && !show->record.owner) {
        read_log(c, t, show);
    }
    show->held_since = c.applied();
    for (const auto& [name, q] : of.queues) {
        q->exceptions.made().reads.begin(show->held_since);
        show->held.push_back(q->id);
        if (q->book.is_exception(what.offset)) {
            read_exception(c, t, *q, show);
        }
    }
    --show->missing;
    finish_if_complete(c, t, show);
}

}  // namespace brokerd::domain
