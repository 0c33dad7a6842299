// The rules of the bounds of topics: what is refused, and what is dropped.
//
// What is dropped is told by nothing at that moment. How many messages of the end of a topic may
// stay is known exactly, so everything below is done once a commit was sealed, whether or not a
// queue was done with it before. By bytes and by age it is known within limits, as the broker
// knows both only at its marks; which messages between them have gone is then told by what the
// commit stores of each queue. From the moment at which a message may be dropped until then it is
// in doubt, as one that has expired (model_expiry.cpp), also while somebody has a lease of it.
#include "tests/sim/model_limits.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/sim/model.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

// What was neither done nor failed before: a bound may end it.
bool is_droppable(const model_message& message) {
    return !message.excepted &&
           (message.state == message_state::ready || message.state == message_state::leased);
}

duration_us tolerance_of(duration_us max_age) {
    constexpr int share = 32;
    constexpr duration_us least = 200ms;
    return std::max(max_age / share, least);
}

}  // namespace

std::uint64_t batch_bytes(const std::vector<std::uint64_t>& contents) {
    return make_batch(contents, producer_id{}, 0).size();
}

// ---- doubt ----

bool model::may_be_dropped(const model_topic& topic, offset_t offset,
                           const model_message& message) {
    return message.perhaps_dropped ||
           (offset < topic.limits.may_drop_below && is_droppable(message));
}

void model::note_dropped(model_topic& topic) {
    for (auto& [name, queue] : topic.queues) {
        const auto end = queue.messages.lower_bound(topic.limits.may_drop_below);
        for (auto at = queue.messages.begin(); at != end; ++at) {
            at->second.perhaps_dropped = may_be_dropped(topic, at->first, at->second);
        }
    }
}

void model::note_dropped() {
    for (auto& [name, topic] : state.topics) {
        note_dropped(topic);
    }
}

// ---- what there is ----

model_count model::before_pending(const model_topic& topic) const {
    const std::uint64_t trimmed = topic.place(topic.trim);
    if (topic.queues.empty()) {
        // What is dropped since the last seal is not known.
        const model_limits& limits = topic.limits;
        return {std::max(trimmed, limits.gone_least),
                std::max({trimmed, limits.gone_most, topic.place(limits.may_drop_below)})};
    }
    model_count first{topic.next(), topic.next()};
    for (const auto& [name, queue] : topic.queues) {
        if (is_administered(queue)) {
            first.least = topic.trim;
            continue;
        }
        first.most = std::min(first.most, floor(topic, queue));
        const auto open = std::ranges::find_if(
            queue.messages, [](const auto& each) { return is_droppable(each.second); });
        first.least = std::min(first.least, open == queue.messages.end() ? topic.end : open->first);
    }
    return {topic.place(first.least), topic.place(first.most)};
}

void model::note_pending(model_topic& topic) const {
    topic.limits.highest_pending =
        std::max(topic.limits.highest_pending, before_pending(topic).most);
}

model_count model::bytes_of(const model_topic& topic, std::uint64_t messages) {
    const model_limits& limits = topic.limits;
    if (messages == 0) {
        return {};
    }
    if (!topic.skipped.empty()) {
        return {0, std::numeric_limits<std::uint64_t>::max() / 2};  // spread over these too
    }
    const auto slack = static_cast<double>(limits.restarted ? limits.chunk_max : limits.batch_max);
    const auto count = static_cast<double>(messages);
    return {static_cast<std::uint64_t>(std::max(count * limits.share_min - slack, 0.0)),
            static_cast<std::uint64_t>(count * limits.share_max + slack) + 1};
}

offset_t model::last_ones(const model_topic& topic, std::uint64_t messages) {
    const std::uint64_t all = topic.place(topic.end);
    if (messages >= all) {
        return 0;
    }
    const std::uint64_t wanted = all - messages;
    offset_t found = topic.skipped.next_kept(wanted);
    while (topic.place(found) < wanted) {
        found = topic.skipped.next_kept(found + 1);
    }
    return found;
}

// ---- what the bounds ask for ----

model_drops model::drops_by_size(const model_topic& topic) const {
    const model_limits& limits = topic.limits;
    const model_bounds& bounds = limits.bounds;
    model_drops drops;
    if (!bounds.drops() || topic.place(topic.end) == 0) {
        return drops;
    }
    if (bounds.max_messages > 0) {
        drops.must = last_ones(topic, bounds.max_messages);
        drops.may = drops.must;
    }
    if (bounds.max_bytes > 0) {
        // More of them have too many bytes for sure; so many have not, for sure.
        std::uint64_t most = topic.place(topic.end);
        std::uint64_t least = 0;
        while (most > 0 && bytes_of(topic, most).least > bounds.max_bytes) {
            --most;
        }
        while (least < topic.place(topic.end) &&
               bytes_of(topic, least + 1).most <= bounds.max_bytes) {
            ++least;
        }
        constexpr std::uint64_t rounding = 1;
        drops.must = std::max(drops.must, last_ones(topic, most + rounding));
        drops.may = std::max(drops.may, last_ones(topic, least > rounding ? least - rounding : 0));
    }
    drops.may_by_size = drops.may;
    return drops;
}

// Appended more than max_age ago.
offset_t model::old_below(const model_topic& topic) const {
    const duration_us age = topic.limits.bounds.max_age;
    const auto& spans = topic.limits.spans;
    if (age == 0s) {
        return 0;
    }
    const auto young = std::ranges::partition_point(
        spans, [&](const model_span& each) { return each.appended + age <= wall_; });
    return young == spans.end() ? topic.end : young->first;
}

// So long ago that the broker has to know it, and has had its time to look.
offset_t model::too_old_below(const model_topic& topic) const {
    const duration_us start = 2s + age_grace_;
    const duration_us age = topic.limits.bounds.max_age;
    const auto& spans = topic.limits.spans;
    if (age == 0s || spans.empty() || !lag_max_ || now_.mono < started_ + start) {
        return 0;
    }
    offset_t below = 0;
    for (std::size_t i = 0; i < spans.size(); ++i) {
        wall_time latest = spans.back().appended;  // of those before the next mark
        for (std::size_t next = i + 1; next < spans.size(); ++next) {
            const model_span& each = spans[next];
            if (each.spacing > 0s &&
                each.appended - std::max(spans[i].appended, each.base) >= 2 * each.spacing) {
                latest = spans[next - 1].appended;
                break;
            }
        }
        const wall_time until = latest + age + tolerance_of(age);
        const mono_time timer{until.time_since_epoch() + *lag_max_};
        if (until > wall_ || timer > now_.mono) {
            break;
        }
        below = i + 1 < spans.size() ? spans[i + 1].first : topic.end;
    }
    return below;
}

model_drops model::drops_of(const model_topic& topic) const {
    model_drops drops = drops_by_size(topic);
    drops.must = std::max(drops.must, too_old_below(topic));
    drops.may = std::max(drops.must, topic.limits.may_drop_below);
    return drops;
}

void model::note_bounds(model_topic& topic) const {
    model_limits& limits = topic.limits;
    limits.may_drop_below =
        std::max({limits.dropped_below, drops_by_size(topic).may, old_below(topic)});
}

// ---- room ----

void model::check_room(const std::string& name, const model_topic& topic, offset_t base,
                       std::uint64_t messages, std::uint64_t bytes, bool earlier) const {
    const model_limits& limits = topic.limits;
    std::uint64_t first = before_pending(topic).most;
    if (earlier) {
        first = std::max(first, limits.highest_pending);
    }
    const std::uint64_t before = topic.place(base) - std::min(first, topic.place(base));
    const std::uint64_t least = bytes_of(topic, before).least;
    const auto fits = [&](const model_bounds& each) {
        return !each.refuses() || !each.is_beyond(before + messages, least + bytes);
    };
    // Where nothing is pending one that was scheduled before the bounds were set may come.
    const bool alone = earlier && before == 0;
    expect(alone || fits(limits.bounds) || (earlier && std::ranges::any_of(limits.earlier, fits)),
           "{} took {} messages of {} bytes at {} besides {} of {} bytes at least, though it may "
           "hold {} of {} bytes",
           name, messages, bytes, base, before, least, limits.bounds.max_messages,
           limits.bounds.max_bytes);
}

bool model::may_be_full(const model_topic& topic, std::uint64_t messages,
                        std::uint64_t bytes) const {
    std::uint64_t most = topic.place(topic.next()) - before_pending(topic).least;
    for (const auto& [id, each] : topic.schedules) {
        if (each.fate == schedule_fate::scheduled && each.due_min <= wall_) {
            most += each.contents.size();  // perhaps in the open chunk
        }
    }
    return topic.limits.bounds.refuses() &&
           topic.limits.bounds.is_beyond(most + messages, bytes_of(topic, most).most + bytes);
}

bool model::must_be_full(const model_topic& topic, std::uint64_t messages,
                         std::uint64_t bytes) const {
    const std::uint64_t least = topic.place(topic.next()) - before_pending(topic).most;
    return topic.limits.bounds.refuses() &&
           topic.limits.bounds.is_beyond(least + messages, bytes_of(topic, least).least + bytes);
}

void model::refused_as_full(const std::string& topic, producer_id producer,
                            std::uint64_t first_sequence,
                            const std::vector<std::uint64_t>& contents, bool later,
                            const failure& why) {
    const auto& of = state.topics.at(topic);
    const std::uint64_t bytes = batch_bytes(contents);
    expect(!of.sequences.contains({producer.value(), first_sequence}),
           "a resend to {} was refused: {}", topic, why.text);
    expect(knows(of, contents.front()) != known_as::known,
           "a publish to {} with an id that is known was refused: {}", topic, why.text);
    const bool alone = of.limits.bounds.is_beyond(contents.size(), bytes);
    if (why.code == error_code::message_too_large) {
        expect(alone, "{} refused {} messages of {} bytes as too large", topic, contents.size(),
               bytes);
        limit_marks_.push_back("refused: too large");
        return;
    }
    expect(why.code == error_code::topic_full, "{} refused a publish: {}", topic, why.text);
    expect(!later, "{} refused a schedule because it is full", topic);
    expect(!alone, "{} refused as full what it would never take", topic);
    expect(may_be_full(of, contents.size(), bytes),
           "{} refused {} messages of {} bytes though they fit: {}", topic, contents.size(), bytes,
           why.text);
    limit_marks_.push_back(of.limits.bounds.max_messages > 0 ? "refused: full"
                                                             : "refused: full of bytes");
}

void model::add_full(const model_transaction& what, bool possible, std::set<error_code>& to) const {
    struct amount {
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
    };
    std::map<std::string, amount> wanted;
    std::set<std::pair<std::string, std::string>> used;
    for (const auto& publish : what.publishes) {
        const auto at = state.topics.find(publish.topic);
        if (at == state.topics.end()) {
            continue;
        }
        const auto& [name, topic] = *at;
        const std::uint64_t bytes = batch_bytes(publish.contents);
        if (possible && topic.limits.bounds.is_beyond(publish.contents.size(), bytes)) {
            to.insert(error_code::message_too_large);
        }
        const auto id = id_of_content(publish.contents.front());
        const known_as known = knows(topic, publish.contents.front());
        const bool is_first =
            !id || topic.id_window == duration_us{0} || used.emplace(name, *id).second;
        const bool counts =
            possible ? known != known_as::known : known == known_as::fresh && is_first;
        if (!publish.later && counts) {
            wanted[name].messages += publish.contents.size();
            wanted[name].bytes += bytes;
        }
    }
    for (const auto& [name, more] : wanted) {
        const auto& topic = state.topics.at(name);
        if (possible ? may_be_full(topic, more.messages, more.bytes)
                     : must_be_full(topic, more.messages, more.bytes)) {
            to.insert(error_code::topic_full);
        }
        if (possible && topic.limits.bounds.is_beyond(more.messages, more.bytes)) {
            to.insert(error_code::message_too_large);
        }
    }
}

void model::note_waiting_schedules(const model_topic& topic) {
    for (const auto& [id, each] : topic.schedules) {
        if (each.waits() && each.due_max <= wall_ &&
            must_be_full(topic, each.contents.size(), batch_bytes(each.contents))) {
            limit_marks_.push_back("due schedule waited");
            return;
        }
    }
}

// ---- what happens ----

void model::bounds_changed(const std::string& topic, const model_bounds& bounds) {
    auto& of = state.topics.at(topic);
    note_dropped(of);
    // A queue that goes back there once more finds nothing, as long as the topic knows.
    of.limits.dropped_below = of.limits.may_drop_below;
    of.limits.earlier.push_back(std::exchange(of.limits.bounds, bounds));
    note_bounds(of);
}

void model::administered(queue_id queue) {
    if (auto* const before = find(administered_)) {
        before->unsure = true;
    }
    administered_ = queue;
}

void model::ledger_stored(queue_id id, offset_t floor, const std::vector<domain::state_run>& runs) {
    const auto* const owner = owner_of(id);
    model_queue* const queue = find(id);
    if (owner == nullptr || is_administered(*queue)) {
        return;
    }
    const model_topic& topic = owner->second;
    queue->told_floor = floor;
    const auto may_be_done = [&](offset_t offset, const model_message& message) {
        return message.state == message_state::done ||
               may_have_ended(topic, *queue, offset, message);
    };
    for (const auto& [offset, message] : queue->messages) {
        if (offset >= floor) {
            break;
        }
        expect(message.excepted || message.state == message_state::dead ||
                   may_be_done(offset, message),
               "queue {} stores that {}@{} is done, which is {}: {}", id.value(), owner->first,
               offset, to_string(message.state), describe(id, offset));
    }
    for (const domain::state_run& run : runs) {
        const auto end = queue->messages.lower_bound(run.first + run.count);
        for (auto at = queue->messages.lower_bound(run.first);
             run.state == message_state::done && at != end; ++at) {
            expect(may_be_done(at->first, at->second),
                   "queue {} stores that {}@{} is done, which is {}: {}", id.value(), owner->first,
                   at->first, to_string(at->second.state), describe(id, at->first));
        }
    }
}

void model::drops_stored(const domain::messages_dropped& what) {
    const auto found = std::ranges::find_if(
        state.topics, [&](const auto& each) { return each.second.id == what.topic; });
    expect(found != state.topics.end(), "messages of no topic are dropped");
    found->second.limits.told = what;
}

void model::bounds_kept(bool reads_open) {
    for (auto& [name, topic] : state.topics) {
        keep_bounds(name, topic, reads_open);
        check_trim_follows(name, topic, reads_open);
    }
    latest_wall_ = wall_;
}

void model::keep_bounds(const std::string& name, model_topic& topic, bool reads_open) {
    const model_drops drops = drops_of(topic);
    std::set<offset_t> surely;  // by some queue
    std::set<offset_t> perhaps;
    bool unsure = std::exchange(topic.limits.unsure, false);
    for (auto& [queue_name, queue] : topic.queues) {
        model_count count;
        const bool moved = std::exchange(queue.unsure, false) || is_administered(queue);
        const std::optional<offset_t> floor = std::exchange(queue.told_floor, std::nullopt);
        for (const offset_t offset : std::exchange(queue.gone_early, {})) {
            perhaps.insert(offset);
            ++count.most;
        }
        for (auto& [offset, message] : queue.messages) {
            if (!is_droppable(message)) {
                if (std::exchange(message.perhaps_dropped, false)) {
                    message.perhaps_done = true;  // or it failed before; nothing else will tell
                    perhaps.insert(offset);
                    ++count.most;
                }
                continue;
            }
            const bool must = offset < drops.must;
            if (!must && (!may_be_dropped(topic, offset, message) || !floor || offset >= *floor)) {
                message.perhaps_dropped = false;
                continue;
            }
            const bool sure = !moved && !may_have_ended_itself(topic, queue, offset, message);
            expect(!must || !sure || (floor && offset < *floor),
                   "{}/{}@{} is to be dropped and is not: {}", name, queue_name, offset,
                   describe(queue.id, offset));
            if (sure) {
                ++count.least;
                surely.insert(offset);
                limit_marks_.push_back(message.state == message_state::leased ? "dropped leased"
                                                                              : "dropped ready");
                if (offset >= drops.may_by_size) {
                    limit_marks_.push_back("dropped by age");
                }
            }
            ++count.most;
            perhaps.insert(offset);
            message = {.state = message_state::done};
        }
        if (moved) {
            count = {0, topic.place(drops.may) + count.most};
            unsure = true;
        }
        std::uint64_t told = queue.dropped;
        if (topic.limits.told) {
            for (const domain::queue_drops& each : topic.limits.told->queues) {
                told = each.queue == queue.id ? each.messages : told;
            }
        }
        expect(told >= queue.dropped && count.takes(told - queue.dropped),
               "{}/{} has dropped {} messages, before it were {}, and the model says {} more", name,
               queue_name, told, queue.dropped, count.text());
        queue.dropped = told;
    }
    model_limits& limits = topic.limits;
    if (limits.told) {
        const offset_t may = topic.skipped.next_kept(drops.may);
        expect(limits.told->below >= limits.stored_below && limits.told->below <= may,
               "{} stores that all below {} is dropped, which was so below {} and may be below {}",
               name, limits.told->below, limits.stored_below, may);
        limits.stored_below = limits.told->below;
    }
    const bool is_alone = topic.queues.empty() && !unsure;
    model_count count{surely.size(), perhaps.size()};
    if (unsure) {
        count.most += topic.place(drops.may);
    } else if (is_alone) {
        count = dropped_alone(topic, drops);
    }
    const std::uint64_t before = limits.dropped;
    check_drops(name, topic, count);
    if (is_alone) {  // the count tells how far it went
        limits.gone_least += limits.dropped - before;
        limits.gone_most += limits.dropped - before;
    }
    // Where queues are done with all that is too much, it is only kept, and may come to be readable
    // for longer; what is too old is dropped in any case.
    const offset_t gone = topic.queues.empty()
                              ? drops.must
                              : std::max({limits.stored_below, too_old_below(topic),
                                          surely.empty() ? offset_t{0} : *surely.rbegin() + 1});
    const std::uint64_t least = topic.place(std::max(gone, topic.trim));
    const std::uint64_t most = topic.place(std::max(drops.may, topic.trim));
    limits.gone_least = std::max(limits.gone_least, least);
    limits.gone_most = is_alone ? std::min(limits.gone_most, most) : most;
    expect(!is_alone || reads_open || topic.skipped.next_kept(topic.trim) >= drops.must,
           "{} has no queue and is to be dropped below {}, but is there from {} on", name,
           drops.must, topic.trim);
}

// From what is dropped already on.
model_count model::dropped_alone(const model_topic& topic, const model_drops& drops) {
    const model_limits& limits = topic.limits;
    const std::uint64_t least = topic.place(std::max(drops.must, topic.trim));
    const std::uint64_t most = topic.place(std::max(drops.may, topic.trim));
    return {least - std::min(least, limits.gone_most), most - std::min(most, limits.gone_least)};
}

void model::check_drops(const std::string& name, model_topic& topic, model_count count) {
    model_limits& limits = topic.limits;
    const auto told = std::exchange(limits.told, std::nullopt);
    const std::uint64_t messages = told ? told->messages : limits.dropped;
    expect(messages >= limits.dropped && count.takes(messages - limits.dropped),
           "{} has dropped {} messages, before it were {}, and the model says {} more", name,
           messages, limits.dropped, count.text());
    if (messages == limits.dropped) {
        return;
    }
    const std::uint64_t more = messages - limits.dropped;
    const bool has_bytes = bytes_of(topic, more).least > 0;
    expect(told->bytes >= limits.dropped_bytes + (has_bytes ? 1 : 0) &&
               told->bytes - limits.dropped_bytes <= bytes_of(topic, topic.place(topic.end)).most,
           "{} has dropped {} messages of {} bytes", name, more,
           told->bytes - limits.dropped_bytes);
    expect(told->last <= latest_wall_ && told->last > wall_time{}, "{} has dropped messages at {}",
           name, to_us(told->last));
    limits.dropped = messages;
    limits.dropped_bytes = told->bytes;
    limits.last_dropped = told->last;
}

// Once a second for what is only done, at once for what is dropped; not past what failed, as long
// as that is not copied.
void model::check_trim_follows(const std::string& name, model_topic& topic, bool reads_open) const {
    constexpr duration_us patience = 3s;
    model_limits& limits = topic.limits;
    const offset_t must = drops_of(topic).must;
    const auto is_trimmed = [&] {
        return topic.skipped.next_kept(topic.trim) >= limits.must_trim_below;
    };
    const bool blocked = reads_open || std::ranges::any_of(topic.queues, [&](const auto& entry) {
                             const model_queue& queue = entry.second;
                             return is_administered(queue) ||
                                    std::ranges::any_of(queue.messages, [&](const auto& each) {
                                        return each.first < limits.must_trim_below &&
                                               each.second.state != message_state::done;
                                    });
                         });
    if (is_trimmed() || blocked) {
        limits.must_trim_below = must;
        limits.must_trim_since = now_.mono;
        return;
    }
    expect(now_.mono < limits.must_trim_since + patience,
           "{} is readable from {} on, but may hold nothing below {} since {} us", name, topic.trim,
           limits.must_trim_below, (now_.mono - limits.must_trim_since).count());
}

// ---- what is told ----

void model::check_topic(const codec::topic_item& item) const {
    const auto& topic = state.topics.at(item.name);
    const model_limits& limits = topic.limits;
    const model_count before = before_pending(topic);
    const std::uint64_t all = topic.place(topic.next());
    const model_count pending{all - before.most, all - before.least};
    expect(pending.takes(item.pending), "{} has {} messages pending, the model says {}", item.name,
           item.pending, pending.text());
    const auto check_bytes = [&](const char* what, std::uint64_t told, std::uint64_t messages) {
        const model_count bytes = bytes_of(topic, messages);
        expect(bytes.takes(told), "{} has {} bytes {}, the model says {} of {} messages", item.name,
               told, what, bytes.text(), messages);
    };
    check_bytes("pending", item.pending_bytes, item.pending);
    check_bytes("in all", item.bytes, item.messages);
    expect(item.dropped == limits.dropped && item.dropped_bytes == limits.dropped_bytes &&
               item.last_dropped == limits.last_dropped,
           "{} has dropped {} messages of {} bytes, last at {}; {} of {} bytes, last at {}, as it "
           "stores",
           item.name, item.dropped, item.dropped_bytes, to_us(item.last_dropped), limits.dropped,
           limits.dropped_bytes, to_us(limits.last_dropped));
}

}  // namespace brokerd::sim
