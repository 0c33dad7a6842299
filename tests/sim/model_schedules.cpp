// The rules of schedules: what may be appended later, what was, and what is still to come. That one
// was appended is learned from the chunk that holds it and from nothing else.
#include <algorithm>
#include <chrono>

#include "broker/domain/chunk.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

// Of marks, where a topic is bounded by age.
constexpr int spacing_share = 64;
constexpr duration_us spacing_min = std::chrono::milliseconds(100);

const char* to_text(const model_schedule& what) {
    switch (what.fate) {
        case schedule_fate::scheduled: return what.left ? "appended or cancelled" : "scheduled";
        case schedule_fate::appended: return "appended";
        case schedule_fate::cancelled: return "cancelled";
    }
    return "";
}

std::string key_text(std::uint64_t content) {
    const auto key = key_of_content(content);
    return key ? fmt::format("k{}", *key) : std::string();
}

}  // namespace

void model::scheduled(const std::string& topic, producer_id producer, std::uint64_t first_sequence,
                      model_schedule what, const domain::publish_accepted& answer) {
    auto& to = state.topics.at(topic);
    if (is_repeated(to, producer, first_sequence, what.contents.front(), true, answer)) {
        return;
    }
    const std::uint64_t id = answer.base_offset;
    expect(!to.mixes_levels(what.contents), "{} took schedule {}, which mixes levels", topic, id);
    expect(to.schedules.empty() || to.schedules.rbegin()->first < id,
           "schedule {} of {} is no new one", id, topic);
    remember(to, producer, first_sequence, what.contents.size(), id);
    to.limits.note_batch(what.contents.size(), batch_bytes(what.contents));
    what.born = to.chunks;
    to.schedules.emplace(id, std::move(what));
}

std::uint64_t model::sealed(const domain::chunk& data, wall_time latest) {
    const auto found = std::ranges::find_if(
        state.topics, [&](const auto& each) { return each.second.id == data.topic(); });
    expect(found != state.topics.end(), "a chunk of no topic was closed");
    auto& [name, topic] = *found;
    const offset_t end = data.end_offset();
    check_lane(topic, data);
    expect(data.base_offset() == topic.end && end > topic.end, "a chunk of {} is from {} to {}",
           name, data.base_offset(), end);
    topic.contents.resize(std::max(topic.contents.size(), topic.place(end)), unknown_content);
    std::uint64_t appended = 0;
    domain::schedule_key reached{};
    for (offset_t offset = topic.end; offset < end;) {
        if (topic.content(offset) != unknown_content) {
            expect(content_of(data.record(offset)) == topic.content(offset),
                   "{}@{} was stored with other contents", name, offset);
            ++offset;
            continue;
        }
        const auto at = append_scheduled(topic, data, offset, std::min(latest, data.append_time()));
        const auto& contents = at->second.contents;
        check_room(name, topic, offset, contents.size(), batch_bytes(contents), true);
        check_turn(topic, at->first, at->second, reached);
        reached = std::max(reached, at->second.earliest(at->first));
        offset += at->second.contents.size();
        ++appended;
    }
    for (const auto& [id, each] : topic.schedules) {
        if (each.waits()) {
            check_turn(topic, id, each, reached);
        }
    }
    ++topic.chunks;
    model_limits& limits = topic.limits;
    note_dropped(topic);
    limits.chunk_max = std::max<std::uint64_t>(limits.chunk_max, data.bytes().size());
    limits.spans.push_back(
        {data.base_offset(), data.append_time(),
         limits.bounds.max_age == duration_us{0}
             ? duration_us{0}
             : std::max<duration_us>(limits.bounds.max_age / spacing_share, spacing_min),
         limits.base});
    topic.appended.resize(topic.place(end), data.append_time());
    for (; topic.end < end; ++topic.end) {
        for (auto& [queue_name, queue] : topic.queues) {
            if (topic.end >= queue.start) {
                appended_to(topic, queue, topic.end);
            }
        }
    }
    note_bounds(topic);
    return appended;
}

std::map<std::uint64_t, model_schedule>::iterator model::append_scheduled(model_topic& to,
                                                                          const domain::chunk& data,
                                                                          offset_t offset,
                                                                          wall_time latest) {
    const std::uint64_t first = content_of(data.record(offset));
    const auto at = std::ranges::find_if(
        to.schedules, [&](const auto& each) { return each.second.contents.front() == first; });
    expect(at != to.schedules.end(), "offset {} holds message {}, which nobody sent", offset,
           first);
    auto& [id, what] = *at;
    expect(what.fate == schedule_fate::scheduled, "schedule {} was appended at {}, but it was {}",
           id, offset, to_text(what));
    expect(what.due_min <= latest, "schedule {} was appended {} us before it was due", id,
           (what.due_min - latest).count());
    expect(data.end_offset() - offset >= what.contents.size(),
           "schedule {} was not appended as a whole", id);
    for (std::size_t i = 0; i < what.contents.size(); ++i) {
        expect(to.content(offset + i) == unknown_content &&
                   content_of(data.record(offset + i)) == what.contents[i],
               "schedule {} was appended at {} with other contents", id, offset);
        to.content(offset + i) = what.contents[i];
    }
    what.fate = schedule_fate::appended;
    return at;
}

void model::check_turn(const model_topic& to, std::uint64_t id, const model_schedule& what,
                       const domain::schedule_key& reached) {
    expect(what.born == to.chunks || what.latest(id) >= reached,
           "schedule {} was overtaken by {}, which is due later", id, reached.id);
}

void model::cut() {
    note_expired();  // the commit may hold what has ended by now
    for (auto& [name, topic] : state.topics) {
        expect(topic.end == topic.next(), "{}@{} was accepted and is in no chunk", name, topic.end);
        for (const schedules_left& group : topic.undecided) {
            std::uint64_t cancelled = 0;
            for (const std::uint64_t id : group.ids) {
                auto& each = topic.schedules.at(id);
                if (each.fate == schedule_fate::scheduled) {
                    each.fate = schedule_fate::cancelled;
                    ++cancelled;
                }
            }
            expect(cancelled == group.cancelled,
                   "of {} schedules of {}, of which {} is the first, {} were cancelled and only {} "
                   "appended",
                   group.ids.size(), name, *group.ids.begin(), group.cancelled,
                   group.ids.size() - cancelled);
        }
        topic.undecided.clear();
        note_waiting_schedules(topic);
        topic.limits.earlier.clear();
        topic.limits.highest_pending = 0;
    }
}

std::set<std::uint64_t> model::cancelled(const std::string& topic,
                                         const std::vector<std::uint64_t>& ids,
                                         std::uint64_t told) {
    auto& of = state.topics.at(topic);
    std::set<std::uint64_t> waiting;
    for (const std::uint64_t id : ids) {
        const auto at = of.schedules.find(id);
        if (at != of.schedules.end() && at->second.waits()) {
            waiting.insert(id);
        }
    }
    expect(told <= waiting.size(), "{} schedules of {} were cancelled, {} of them were there", told,
           topic, waiting.size());
    const bool all = told == waiting.size();
    for (const std::uint64_t id : waiting) {
        auto& each = of.schedules.at(id);
        each.left = true;
        each.fate = all ? schedule_fate::cancelled : schedule_fate::scheduled;
    }
    if (all) {
        return waiting;
    }
    of.undecided.push_back({std::move(waiting), told});
    return {};
}

std::uint64_t model::newest_schedule(const std::string& topic) const {
    const auto& all = state.topics.at(topic).schedules;
    return all.empty() ? 0 : all.rbegin()->first;
}

void model::listed(const codec::schedule_list& asked, std::uint64_t newest,
                   const codec::schedules& page) {
    auto& of = state.topics.at(asked.topic);
    const domain::schedule_key behind{asked.after_due, asked.after_id};
    domain::schedule_key last = behind;
    std::set<std::uint64_t> told;
    expect(page.items.size() <= asked.limit, "{} schedules were listed, {} wanted",
           page.items.size(), asked.limit);
    for (const codec::schedule_item& item : page.items) {
        const domain::schedule_key here{item.due, item.id};
        expect(last < here, "schedule {} is listed behind {}", here.id, last.id);
        last = here;
        told.insert(item.id);
        const auto at = of.schedules.find(item.id);
        expect(at != of.schedules.end(), "schedule {} is listed, but nobody made it", item.id);
        model_schedule& each = at->second;
        expect(each.waits(), "schedule {} is listed, but it was {}", item.id, to_text(each));
        expect(each.due_min <= item.due && item.due <= each.due_max,
               "schedule {} is due at {} as listed, but at {} to {}", item.id, to_us(item.due),
               to_us(each.due_min), to_us(each.due_max));
        expect(item.messages == each.contents.size() && item.key == key_text(each.contents.front()),
               "schedule {} is listed with {} messages and key {}", item.id, item.messages,
               item.key);
        each.due_min = item.due;
        each.due_max = item.due;
    }
    for (auto& [id, each] : of.schedules) {
        const bool in_page = each.earliest(id) > behind && (!page.more || each.latest(id) < last);
        if (each.waits() && in_page && id <= newest && !told.contains(id)) {
            each.left = true;  // for the open chunk, or it was forgotten
            of.undecided.push_back({{id}, 0});
        }
    }
}

std::uint64_t model::scheduled_messages(const std::string& topic) const {
    std::uint64_t messages = 0;
    for (const auto& [id, each] : state.topics.at(topic).schedules) {
        messages += each.waits() ? each.contents.size() : 0;
    }
    return messages;
}

}  // namespace brokerd::sim
