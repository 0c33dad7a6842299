// The keys of queues of mode keyed and single: when they are taken, blocked and free again. Who is
// given what is in dispatch_ordered.cpp.
//
// A key is not free while one of its messages is in flight and, with after_failure block, while an
// older one is retrying; for a retry also not while an older one is ready. A retry that is due
// takes the key as soon as it is free, before what is newer. Messages whose key was not free when
// the cursor came by are `skipped`: ready like those that were given back
// (`returned`), and remembered by key.
#include <functional>
#include <optional>
#include <utility>

#include "broker/domain/operations.hpp"
#include "protocol/codec/record.hpp"

namespace brokerd::domain {
namespace {

std::optional<key_hash> key_in_memory(const queue& q, offset_t offset) {
    if (q.mode == queue_mode::single) {
        return only_key;
    }
    const chunk_ptr* data = nullptr;
    if (const chunk_tail::entry* entry = q.owner.tail.find(offset)) {
        data = &entry->data;
    } else if (data = q.window.find(offset); data == nullptr) {
        data = q.order->shelf.find(offset);
    }
    return data == nullptr ? std::nullopt : std::optional{key_of(q, (*data)->record(offset))};
}

}  // namespace

key_hash key_of(const queue& q, byte_view record) {
    return q.mode == queue_mode::single ? only_key : hash_of_key(codec::record_key(record));
}

void free_key(queue& q, key_hash key) {
    ordering& order = *q.order;
    order.keys.make_runnable(key);
    const offset_t offset = order.due_waiting.first_of(key);
    if (offset != offset_end && key_is_free_for_retry(q, key, offset)) {
        order.forget_due(offset);
        order.promised.add(offset, key);
        q.schedule.make_due(offset);
    }
}

bool key_is_free_for_retry(const queue& q, key_hash key, offset_t offset) {
    return key == no_key || (key_is_free(q, key, offset) && offset < q.next &&
                             q.order->keys.first_waiting(key) > offset);
}

bool key_is_free(const queue& q, key_hash key, offset_t offset) {
    const key_table& keys = q.order->keys;
    return key == no_key || (!keys.locked(key) && q.order->promised.first_of(key) >= offset &&
                             (q.settings->after_failure == after_failure::skip ||
                              keys.first_retrying(key) >= offset));
}

void with_key(core& c, turn& t, queue& q, offset_t offset,
              std::function<void(core&, turn&, queue&, key_hash)> then,
              std::function<void(turn&)> gone) {
    if (!q.order || q.state_of(offset) != message_state::ready || q.book.is_exception(offset)) {
        then(c, t, q, no_key);
        return;
    }
    if (const auto key = key_in_memory(q, offset)) {
        then(c, t, q, *key);
        return;
    }
    c.read(t, fetch_log{q.owner.id, offset, 0, 0},
           [&c, id = q.id, offset, then = std::move(then), gone = std::move(gone)](
               turn& later, fetch_result& result) {
               queue* of = c.queue_by_id(id);
               if (of == nullptr) {
                   gone(later);
                   return;
               }
               const auto* log = std::get_if<log_fetched>(&result);
               const bool found =
                   log != nullptr && !log->chunks.empty() && log->chunks.front()->contains(offset);
               then(c, later, *of,
                    found ? key_of(*of, log->chunks.front()->record(offset)) : unknown_key);
           });
}

void end_in_flight(queue& q, offset_range offsets) {
    if (!q.order) {
        return;
    }
    for (offset_t offset = offsets.first; offset < offsets.end(); ++offset) {
        if (!q.book.retrying().contains(offset)) {
            (void)q.order->forget_learnt(offset);
        }
        if (const key_hash key = q.order->keys.unlock(offset); key != no_key) {
            free_key(q, key);
        }
    }
}

key_hash key_of_failed(queue& q, offset_t offset) {
    if (q.mode == queue_mode::single) {
        end_in_flight(q, {offset, 1});
        return only_key;
    }
    const auto learnt = q.order->forget_learnt(offset);
    // Of an earlier epoch, and neither the cursor nor anybody else has read it since.
    const bool unread = q.order->skipped.erase({offset, 1}) > 0 || offset >= q.next;
    const key_hash key = q.order->keys.unlock(offset);
    if (key != no_key) {
        free_key(q, key);
    }
    return learnt ? *learnt : key == no_key && unread ? unknown_key : key;
}

void return_in_order(queue& q, offset_range offsets, key_hash key) {
    for (offset_t offset = offsets.first; offset < offsets.end(); ++offset) {
        const auto learnt = q.order->forget_learnt(offset);
        const key_hash held = q.order->keys.unlock(offset);
        const key_hash of = held != no_key ? held : learnt.value_or(key);
        // Also if the cursor comes by yet: no lease of an earlier epoch holds any more.
        q.returned.insert({offset, 1});
        if (offset < q.next) {
            if (of == unknown_key) {
                q.order->not_known(offset);
            } else {
                q.order->keys.wait_again(of, offset);
            }
        }
        free_key(q, of);
    }
}

void begin_retrying(queue& q, key_hash key, offset_t offset) {
    if (!q.order) {
        return;
    }
    if (key == unknown_key) {
        q.order->not_known(offset);
    } else {
        q.order->keys.add_retrying(key, offset);
    }
}

void end_retrying(queue& q, key_hash key, offset_t offset) {
    if (!q.order) {
        return;
    }
    const key_hash of = key == unknown_key ? q.order->forget_learnt(offset).value_or(no_key) : key;
    if (of != no_key && of != unknown_key) {
        q.order->keys.remove_retrying(of, offset);
        free_key(q, of);
    }
}

void lock_retry(queue& q, key_hash key, offset_t offset) {
    if (!q.order) {
        return;
    }
    if (key != unknown_key) {
        q.order->keys.lock(key, offset);
        return;
    }
    q.order->not_known(offset);
    if (const key_hash learnt = q.order->learnt.at(offset); learnt != unknown_key) {
        q.order->keys.lock(learnt, offset);
    }
}

void free_due(queue& q) {
    ordering& order = *q.order;
    while (!order.due_waiting.empty()) {
        const offset_t offset = order.due_waiting.next(0);
        order.forget_due(offset);
        q.schedule.make_due(offset);
    }
}

void take_up_untouched(queue& q, offset_t offset) {
    if (offset >= q.next) {
        q.ahead.insert({offset, 1});
    } else {
        q.order->skipped.erase({offset, 1});
    }
    if (q.mode == queue_mode::single) {
        q.order->keys.lock(only_key, offset);
    } else if (q.order) {
        q.order->not_known(offset);
    }
}

void learn_key(queue& q, offset_t offset, key_hash key) {
    ordering& order = *q.order;
    const auto at = order.learnt.find(offset);
    if (at == order.learnt.end() || at->second != unknown_key) {
        return;
    }
    --order.unknown;
    at->second = key;
    if (q.book.retrying().contains(offset)) {
        order.keys.add_retrying(key, offset);
    }
    if (q.passed_over(offset)) {
        order.learnt.erase(at);
        order.keys.wait_again(key, offset);
    } else if (q.state_of(offset) == message_state::leased) {
        order.keys.lock(key, offset);
    }
}

}  // namespace brokerd::domain
