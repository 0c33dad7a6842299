// Listings of topics and consumers.
#include <algorithm>

#include "broker/domain/operations.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {
namespace {

codec::topic_item item_of(const core& c, const turn& t, topic& of) {
    const pending_amount pending = pending_in(of);
    return {.name = of.name,
            .topic = of.id,
            .settings = of.settings,
            .created = of.created,
            .first_offset = of.trim,
            .next_offset = of.end,
            .messages = of.messages_below(of.end),
            .bytes = of.marks.bytes_from(of.trim),
            .queues = static_cast<std::uint32_t>(of.queues.size()),
            .in_per_second = of.in_rate.per_second(t.now.mono, c.started),
            .scheduled = of.scheduled ? of.scheduled->totals().messages : 0,
            .scheduled_bytes = of.scheduled ? of.scheduled->totals().bytes : 0,
            .pending = pending.messages,
            .pending_bytes = pending.bytes,
            .dropped = of.drops.messages,
            .dropped_bytes = of.drops.bytes,
            .last_dropped = of.drops.messages > 0 ? of.drops.last : wall_never};
}

commit_number last_change(const topic& of) {
    return std::max(of.changed, of.scheduled ? of.scheduled->last_change() : commit_number{});
}

codec::consumer_item item_of(const consumer& one) {
    return {.topic = one.from->owner.name,
            .queue = one.from->name,
            .name = one.name,
            .connection = one.connection,
            .consumer = one.id,
            .prefetch_messages = one.shared->prefetch_messages,
            .prefetch_bytes = one.shared->prefetch_bytes,
            .leased = one.leased,
            .leased_bytes = one.leased_bytes,
            .delivered = one.delivered,
            .attached = one.attached,
            .standby = one.from->stands_by(one)};
}

}  // namespace

void list_topics(core& c, turn& t, asker who, const codec::topic_list& what) {
    if (!what.topic.empty()) {
        const auto found = c.find_topic(what.topic);
        if (!found) {
            c.refuse(t, who, found.error());
            return;
        }
        c.answer(t, who, last_change(**found), codec::topics{false, {item_of(c, t, **found)}});
        return;
    }
    const auto limit = std::clamp<std::size_t>(what.limit, 1, limits::list_items_max);
    codec::topics page;
    commit_number depends_on;
    auto at = c.topics_by_name.upper_bound(what.after);
    for (; at != c.topics_by_name.end() && page.items.size() < limit; ++at) {
        page.items.push_back(item_of(c, t, *at->second));
        depends_on = std::max(depends_on, last_change(*at->second));
    }
    page.more = at != c.topics_by_name.end();
    c.answer(t, who, depends_on, std::move(page));
}

void list_consumers(core& c, turn& t, asker who, const codec::consumer_list& what) {
    codec::consumers page;
    const auto add = [&](const queue& q) {
        for (const consumer* one : q.consumers) {
            if (page.items.size() < limits::list_items_max) {
                page.items.push_back(item_of(*one));
            }
        }
    };
    if (!what.queue.empty()) {
        const auto found = c.find_queue(what.queue);
        if (!found) {
            c.refuse(t, who, found.error());
            return;
        }
        add(**found);
    } else {
        for (const auto& [topic_name, of] : c.topics_by_name) {
            for (const auto& [queue_name, q] : of->queues) {
                add(*q);
            }
        }
    }
    c.answer(t, who, {}, std::move(page));
}

}  // namespace brokerd::domain
