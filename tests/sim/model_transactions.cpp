// The rules of transactions: when one is carried out, and that it then is as a whole.
#include "protocol/types/limits.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

enum class sequences_are : std::uint8_t { fresh, resent, too_old, used_in_part };

sequences_are judge_sequences(const model_state& state, const model_transaction& what) {
    const std::uint64_t first = what.first_sequence;
    const std::uint64_t end = first + what.sequences();
    std::uint64_t highest = 0;
    bool resent = false;
    bool overlaps = false;
    for (const auto& [key, bases] : state.transactions) {
        const auto& [producer, other_first] = key;
        if (producer != what.producer.value()) {
            continue;
        }
        const std::uint64_t other_end = other_first + std::max<std::uint64_t>(1, bases.size());
        highest = std::max(highest, other_end - 1);
        resent = resent || (other_first == first && other_end == end);
        overlaps = overlaps || (other_first < end && first < other_end);
    }
    if (first + limits::producer_window <= highest) {
        return sequences_are::too_old;
    }
    return resent     ? sequences_are::resent
           : overlaps ? sequences_are::used_in_part
                      : sequences_are::fresh;
}

// Calls visit(offset, lease) for each lease that a settle names.
template <typename Visit>
void for_each_lease(const codec::transact_settle& settle, Visit&& visit) {
    for (const lease_run& run : settle.runs) {
        for (std::uint32_t i = 0; i < run.count; ++i) {
            visit(run.first_offset + i, lease_id{run.epoch, run.first_lease + i});
        }
    }
}

}  // namespace

bool model::is_held(queue_id id, offset_t offset, lease_id lease) {
    const model_queue* queue = find(id);
    if (queue == nullptr) {
        return false;
    }
    const auto at = queue->messages.find(offset);
    return at != queue->messages.end() && holds(*queue, at->second, lease);
}

std::set<error_code> model::obstacles(const model_transaction& what, bool possible) {
    std::set<error_code> found = what.flaws;
    std::set<std::pair<std::uint64_t, offset_t>> named;
    for (const auto& settle : what.settles) {
        if (find(settle.queue) == nullptr) {
            found.insert(error_code::queue_removed);
        }
        for_each_lease(settle, [&](offset_t offset, lease_id lease) {
            if (!named.emplace(settle.queue.value(), offset).second) {
                found.insert(error_code::invalid_argument);
            }
            const bool unknown = is_worth_unknown(settle.queue, offset);
            const bool held = is_held(settle.queue, offset, lease) || unknown;
            if (!held || (possible && (unknown || is_in_doubt(settle.queue, offset)))) {
                found.insert(error_code::lease_gone);
            }
        });
    }
    for (const auto& publish : what.publishes) {
        const auto to = state.topics.find(publish.topic);
        if (to == state.topics.end()) {
            found.insert(error_code::topic_not_found);
        } else if (to->second.mixes_levels(publish.contents)) {
            found.insert(error_code::invalid_argument);
        }
    }
    if (has_id_conflict(what, possible)) {
        found.insert(error_code::invalid_argument);
    }
    add_full(what, possible, found);
    return found;
}

void model::transacted(const model_transaction& what, const codec::transacted& answer,
                       instant now) {
    std::vector<offset_t> bases;
    for (const auto& item : answer.publishes) {
        bases.push_back(item.base_offset);
    }
    expect(bases.size() == what.publishes.size(),
           "a transaction with {} publishes is answered with {}", what.publishes.size(),
           bases.size());
    const std::pair key{what.producer.value(), what.first_sequence};
    const sequences_are sequences = judge_sequences(state, what);
    if (sequences == sequences_are::resent) {
        expect(answer.duplicate, "transaction {} was carried out twice", what.first_sequence);
        expect(bases == state.transactions.at(key),
               "the resend of transaction {} has another outcome", what.first_sequence);
        return;
    }
    expect(!answer.duplicate, "transaction {} was taken for a resend", what.first_sequence);
    expect(sequences == sequences_are::fresh,
           "transaction {} has sequences that are too old or used, and was carried out",
           what.first_sequence);
    for (const error_code reason : obstacles(what, false)) {
        throw violation(fmt::format("transaction {} was carried out in spite of {}",
                                    what.first_sequence, brokerd::describe(reason).name));
    }
    for (const auto& each : what.settles) {
        codec::settle settle;
        settle.queue = each.queue;
        settle.action = each.action;
        settle.delay = each.delay;
        settle.runs = each.runs;
        (void)settled(settle, {}, now, true);
    }
    for (std::size_t i = 0; i < bases.size(); ++i) {
        const auto& publish = what.publishes[i];
        const domain::publish_accepted accepted{
            .base_offset = bases[i],
            .count = static_cast<std::uint32_t>(publish.contents.size()),
            .duplicate = repeats(state.topics.at(publish.topic), publish.contents.front(),
                                 publish.later.has_value(), bases[i])};
        if (accepted.duplicate) {
            id_marks_.push_back("message id again in a transaction");
        }
        if (publish.later) {
            scheduled(publish.topic, producer_id{}, 0, *publish.later, accepted);
        } else {
            published(publish.topic, producer_id{}, 0, publish.contents, accepted);
        }
    }
    state.transactions.emplace(key, std::move(bases));
}

void model::transaction_refused(const model_transaction& what, const codec::error& why) {
    const sequences_are sequences = judge_sequences(state, what);
    expect(sequences != sequences_are::resent,
           "transaction {} was carried out and its resend refused: {}", what.first_sequence,
           why.text);
    auto reasons = obstacles(what, true);
    if (sequences == sequences_are::too_old) {
        reasons.insert(error_code::sequence_too_old);
    } else if (sequences == sequences_are::used_in_part) {
        reasons.insert(error_code::sequence_mismatch);
    }
    expect(reasons.contains(why.code), "transaction {} was refused without reason: {}",
           what.first_sequence, why.text);
    for (const auto& settle : what.settles) {
        const model_queue* queue = find(settle.queue);
        for (const lease_run& run : settle.runs) {
            if (queue != nullptr && why.code == error_code::lease_gone) {
                named(*queue, run);
            }
        }
    }
}

}  // namespace brokerd::sim
