// The listing of queues. Everything in it is in memory but the append time of each queue's oldest
// message and, of a queue nobody consumes, which retries are due: these may have to be read from
// the store first.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

// Of filters in one page, which is to fit into a frame.
constexpr std::size_t page_filter_bytes = limits::mib;

// The oldest message that is ready, leased or retrying.
std::optional<offset_t> oldest_of(const queue& q) {
    const offset_t open = q.book.floor() < q.owner.end ? q.book.floor() : offset_end;
    const offset_t oldest = std::min(open, q.book.retrying().next_member(0));
    return oldest == offset_end ? std::nullopt : std::optional(oldest);
}

// From memory, if that knows it.
std::optional<wall_time> time_in_memory(const queue& q, offset_t offset) {
    if (q.oldest_offset == offset) {
        return q.oldest_time;
    }
    const chunk_tail::entry* entry = q.owner.tail.find(offset);
    return entry == nullptr ? std::nullopt : std::optional(entry->data->append_time());
}

codec::queue_item item_of(core& c, const turn& t, queue& q) {
    codec::queue_item item;
    item.topic = q.owner.name;
    item.queue = q.name;
    item.id = q.id;
    item.mode = q.mode;
    item.settings = *q.settings;
    item.created = q.created;
    item.ready = q.ready();
    item.leased = q.leased();
    item.retrying = q.retrying();
    item.dead = q.dead();
    item.done = q.done();
    item.in_per_second = q.owner.in_rate.per_second(t.now.mono, c.started);
    item.out_per_second = q.out_rate.per_second(t.now.mono, c.started);
    item.consumers = static_cast<std::uint32_t>(q.consumers.size());
    item.paused = q.paused;
    item.floor = q.book.floor();
    item.state = queue_state_word(c, t, q);
    item.dropped = q.dropped;
    const auto oldest = oldest_of(q);
    if (oldest) {
        item.oldest = time_in_memory(q, *oldest).value_or(wall_never);
    }
    return item;
}

// A listing waits for the times it has to read.
struct pending_list {
    asker who;
    std::vector<queue_id> queues;
    bool more = false;
    std::size_t missing = 1;  // reads outstanding, one for the asking itself
};

void finish_if_complete(core& c, turn& t, const std::shared_ptr<pending_list>& list);

// True if it is known which retries are due; else they are read and the listing goes on then.
bool knows_due(core& c, turn& t, const std::shared_ptr<pending_list>& list) {
    for (const queue_id id : list->queues) {
        queue* q = c.queue_by_id(id);
        if (q != nullptr && !catch_up(c, t, *q)) {
            ++list->missing;
            read_due(c, t, *q, [&c, list](turn& later) {
                --list->missing;
                finish_if_complete(c, later, list);
            });
        }
    }
    return list->missing == 0;
}

void finish_if_complete(core& c, turn& t, const std::shared_ptr<pending_list>& list) {
    if (list->missing > 0 || !knows_due(c, t, list)) {
        return;
    }
    codec::queues page{.more = list->more, .items = {}};
    commit_number depends_on;
    for (const queue_id id : list->queues) {
        if (queue* q = c.queue_by_id(id)) {
            page.items.push_back(item_of(c, t, *q));
            depends_on = std::max({depends_on, q->changed, q->owner.changed});
        }
    }
    c.answer(t, list->who, depends_on, std::move(page));
}

void remember_oldest(queue& q, offset_t offset, wall_time time) {
    if (time != wall_never) {
        q.oldest_offset = offset;
        q.oldest_time = time;
    }
}

// Times of messages that lie in the log: one read for all.
void read_times(core& c, turn& t, const std::shared_ptr<pending_list>& list,
                std::vector<std::pair<queue_id, offset_t>> wanted) {
    fetch_times what;
    for (const auto& [id, offset] : wanted) {
        what.places.push_back({c.queue_by_id(id)->owner.id, offset});
    }
    ++list->missing;
    c.read(t, std::move(what),
           [&c, list, wanted = std::move(wanted)](turn& later, fetch_result& result) {
               if (const auto* times = std::get_if<times_fetched>(&result)) {
                   for (std::size_t i = 0; i < wanted.size() && i < times->times.size(); ++i) {
                       if (queue* q = c.queue_by_id(wanted[i].first)) {
                           remember_oldest(*q, wanted[i].second, times->times[i]);
                       }
                   }
               }
               --list->missing;
               finish_if_complete(c, later, list);
           });
}

// The time of a message whose record was copied out of the log.
void read_kept_time(core& c, turn& t, const std::shared_ptr<pending_list>& list, queue& q,
                    offset_t offset) {
    ++list->missing;
    with_records(
        c, t, q, {offset},
        [list, offset](core& then, turn& later, queue& of, outcome<loaded_records> loaded) {
            if (loaded && loaded->exceptions.contains(offset)) {
                remember_oldest(of, offset, loaded->exceptions.at(offset).append_time);
            }
            --list->missing;
            finish_if_complete(then, later, list);
        },
        [list, &c](turn& later) {
            --list->missing;
            finish_if_complete(c, later, list);
        });
}

void answer_list(core& c, turn& t, std::shared_ptr<pending_list> list) {
    std::vector<std::pair<queue_id, offset_t>> in_log;
    for (const queue_id id : list->queues) {
        queue& q = *c.queue_by_id(id);
        const auto oldest = oldest_of(q);
        if (!oldest || time_in_memory(q, *oldest)) {
            continue;
        }
        if (*oldest >= q.owner.trim) {
            in_log.emplace_back(id, *oldest);
        } else {
            read_kept_time(c, t, list, q, *oldest);
        }
    }
    if (!in_log.empty()) {
        read_times(c, t, list, std::move(in_log));
    }
    --list->missing;
    finish_if_complete(c, t, list);
}

// The queues behind `after` (TOPIC/QUEUE), of one topic or all.
void collect(core& c, const codec::queue_list& what, pending_list& list) {
    const auto limit = std::clamp<std::size_t>(what.limit, 1, limits::list_items_max);
    std::size_t filter_bytes = 0;
    const std::size_t slash = what.after.find('/');
    const std::string after_topic = what.after.substr(0, slash);
    const std::string after_queue =
        slash == std::string::npos ? std::string{} : what.after.substr(slash + 1);
    for (auto at = c.topics_by_name.lower_bound(what.topic.empty() ? after_topic : what.topic);
         at != c.topics_by_name.end(); ++at) {
        topic& of = *at->second;
        if (!what.topic.empty() && of.name != what.topic) {
            return;
        }
        auto q = of.name == after_topic ? of.queues.upper_bound(after_queue) : of.queues.begin();
        for (; q != of.queues.end(); ++q) {
            if (list.queues.size() == limit || filter_bytes >= page_filter_bytes) {
                list.more = true;
                return;
            }
            list.queues.push_back(q->second->id);
            filter_bytes += q->second->settings->filter.size();
        }
    }
}

}  // namespace

void list_queues(core& c, turn& t, asker who, const codec::queue_list& what) {
    auto list = std::make_shared<pending_list>();
    list->who = who;
    if (!what.queue.empty()) {
        const auto found = c.find_queue(what.queue);
        if (!found) {
            c.refuse(t, who, found.error());
            return;
        }
        list->queues.push_back((*found)->id);
    } else {
        if (!what.topic.empty()) {
            if (const auto found = c.find_topic(what.topic); !found) {
                c.refuse(t, who, found.error());
                return;
            }
        }
        collect(c, what, *list);
    }
    answer_list(c, t, std::move(list));
}

}  // namespace brokerd::domain
