// The rules of topics with several levels of priority: what a batch may hold, and who is given out
// first. Queues of mode shared alone go by levels; the others keep the order of the topic, and
// topics with one level are as they always were (check_order).
//
// A queue with too many gaps between done messages gives out its oldest message first. Whether it
// has as many is known within limits, as what has expired or is not for it may be done or not.
#include "tests/sim/model_levels.hpp"

#include <algorithm>
#include <limits>

#include "broker/domain/chunk.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

enum class fate : std::uint8_t { open, closed, perhaps };

// Counts the runs of closed offsets behind the first open one, at least and at most.
class gap_counter {
public:
    void next(fate is) {
        const counts before = at_;
        at_ = {};
        if (is != fate::open) {
            at_.leading = before.leading;
            at_.in_gap = join(before.in_gap, one_more(before.open));
        }
        if (is != fate::closed) {
            at_.open = join(before.open, join(before.in_gap, before.leading));
        }
    }
    [[nodiscard]] model_count count() const {
        return join(at_.leading, join(at_.open, at_.in_gap));
    }

private:
    static constexpr model_count impossible{std::numeric_limits<std::uint64_t>::max(), 0};
    struct counts {  // by what the last offset was
        model_count leading = impossible;
        model_count open = impossible;
        model_count in_gap = impossible;
    };

    static bool is_possible(model_count of) { return of.least <= of.most; }
    static model_count join(model_count one, model_count other) {
        return {std::min(one.least, other.least), std::max(one.most, other.most)};
    }
    static model_count one_more(model_count of) {
        return is_possible(of) ? model_count{of.least + 1, of.most + 1} : of;
    }

    counts at_{.leading = {0, 0}};
};

}  // namespace

bool model_topic::mixes_levels(const std::vector<std::uint64_t>& of) const {
    return std::ranges::any_of(of, [&](std::uint64_t content) {
        return level_of_content(content, levels) != level_of_content(of.front(), levels);
    });
}

// ---- what a batch may hold ----

void model::mixture_refused(const std::string& topic, const failure& why) const {
    expect(why.code == error_code::invalid_argument && why.text.contains("topic " + topic),
           "a batch for {} that mixes levels is refused, but not with that reason: {}", topic,
           why.text);
}

void model::check_lane(const model_topic& topic, const domain::chunk& data) {
    for (offset_t offset = data.base_offset(); offset < data.end_offset(); ++offset) {
        const auto level = level_of_content(content_of(data.record(offset)), topic.levels);
        expect(level == data.lane(), "a message of level {} is at {} in a chunk of level {}", level,
               offset, data.lane());
    }
}

bool model::knows_all_of(const domain::chunk& data) const {
    const auto found = std::ranges::find_if(
        state.topics, [&](const auto& each) { return each.second.id == data.topic(); });
    if (found == state.topics.end()) {
        return false;
    }
    const model_topic& topic = found->second;
    const auto was_scheduled = [&](std::uint64_t content) {
        return std::ranges::any_of(topic.schedules, [content](const auto& each) {
            return std::ranges::find(each.second.contents, content) != each.second.contents.end();
        });
    };
    for (offset_t offset = data.base_offset(); offset < data.end_offset(); ++offset) {
        const bool told = topic.has(offset) && topic.content(offset) != unknown_content;
        if (!told && !was_scheduled(content_of(data.record(offset)))) {
            return false;
        }
    }
    return true;
}

// ---- who is given out first ----

model_count model::gaps_of(const model_topic& topic, const model_queue& queue) const {
    if (queue.settings.max_runs == limits::runs_default) {
        return {};  // far from too many
    }
    gap_counter gaps;
    const auto end = queue.messages.lower_bound(topic.end);
    offset_t expected = queue.start;
    for (auto at = queue.messages.lower_bound(queue.start); at != end; ++at) {
        const auto& [offset, message] = *at;
        if (offset > expected) {
            gaps.next(fate::closed);  // no message has these
        }
        expected = offset + 1;
        const bool ended = message.state == message_state::done ||
                           message.state == message_state::dead || message.excepted;
        // One that died of age may have done so a moment later.
        const bool doubt =
            message.died_of_age || (!ended && may_have_ended(topic, queue, offset, message));
        gaps.next(doubt ? fate::perhaps : ended ? fate::closed : fate::open);
    }
    if (topic.end > expected) {
        gaps.next(fate::closed);
    }
    return gaps.count();
}

void model::check_levels(const model_topic& topic, const model_queue& queue, offset_t offset) {
    const model_message& message = queue.messages.at(offset);
    if (message.must_be_alone() || is_administered(queue)) {
        return;  // it goes when a consumer is free; or the model will hear later what ended
    }
    const bool never_failed = message.state == message_state::ready;
    const std::uint8_t level = topic.level_of(offset);
    const model_count gaps = gaps_of(topic, queue);
    const bool may_close_gaps = gaps.most >= queue.settings.max_runs;
    const bool must_close_gaps = gaps.least >= queue.settings.max_runs;
    bool overtakes = false;
    bool closes_gaps = false;
    for (const auto& [at, other] : queue.messages) {
        // What failed may have to be read first; so may what was taken up, to know its level.
        const bool unread = other.returned && other.taken_up;
        if (at == offset || other.state != message_state::ready || unread ||
            is_in_doubt(topic, queue, at, other)) {
            continue;
        }
        const std::uint8_t other_level = topic.level_of(at);
        if (other_level > level) {
            expect(may_close_gaps, "offset {} of level {} was delivered before {} of level {}",
                   offset, level, at, other_level);
            closes_gaps = true;
        }
        if (!never_failed) {
            continue;
        }
        if (other_level == level) {
            // What was given back goes before what is fresh.
            const bool first =
                other.returned == message.returned ? at < offset : bool{other.returned};
            expect(!first, "offset {} was delivered before {}, which has its level {}: {}; {}",
                   offset, at, level, describe(queue.id, offset), describe(queue.id, at));
        } else if (other_level < level && at < offset) {
            const bool both_fresh = !other.returned && !message.returned;
            const bool others_first = std::ranges::any_of(queue.messages, [&](const auto& each) {
                return each.second.state == message_state::ready && each.second.returned &&
                       topic.level_of(each.first) == other_level;
            });
            expect(
                !(must_close_gaps && both_fresh) || others_first,
                "offset {} was delivered before {}, though there are {} gaps to be closed: {}; {}",
                offset, at, gaps.text(), describe(queue.id, offset), describe(queue.id, at));
            overtakes = true;
        }
    }
    if (!never_failed) {
        level_marks_.push_back("retry of a level");
    }
    if (overtakes) {
        level_marks_.push_back("higher level first");
    }
    if (closes_gaps) {
        level_marks_.push_back("gaps closed first");
    }
}

}  // namespace brokerd::sim
