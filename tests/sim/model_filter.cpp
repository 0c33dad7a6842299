// The rules of queues with a filter and an end: which messages are for them, and what becomes of
// those that are not.
//
// What is appended while a filter is in force is done at once if it is not for the queue. What lay
// in the log before is looked at some time later, and no message is told of: so it counts as
// perhaps done while it is ready, as one that has expired does (model_expiry.cpp). It is given to
// nobody in either case. One that was in a consumer's hands when the filter changed, or had failed,
// is `spared`: the change did not concern it, and it may come once more. Ready again it may also be
// done, as who looks at the log later need not know any more that it was spared; then both are
// right.
#include "tests/sim/model_filter.hpp"

#include <algorithm>
#include <utility>

#include "protocol/types/rfc3339.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

constexpr std::uint64_t other_key(std::uint64_t number) {
    return (number + 2) % 6;
}

}  // namespace

std::string model_term::text(spelling how) const {
    const bool other = how == spelling::other;
    switch (kind) {
        case term_kind::key_is:
            return other ? fmt::format("KEY=\"k{}\"", number) : fmt::format("key = 'k{}'", number);
        case term_kind::key_is_not:
            return fmt::format(fmt::runtime(other ? "key!='k{}'" : "key != 'k{}'"), number);
        case term_kind::key_among:
            return fmt::format(
                fmt::runtime(other ? "Key  In ( 'k{}','k{}' )" : "key in ('k{}', 'k{}')"), number,
                other_key(number));
        case term_kind::has_key: return other ? "HAS  Key" : "has key";
        case term_kind::header_is:
            return fmt::format(fmt::runtime(other ? "Header.h = \"h{}\"" : "header.h = 'h{}'"),
                               number);
        case term_kind::has_header: return other ? "has HEADER.h" : "has header.h";
        case term_kind::offset_from:
            return fmt::format(fmt::runtime(other ? "OFFSET>={}" : "offset >= {}"), number);
        case term_kind::offset_below:
            return fmt::format(fmt::runtime(other ? "offset<{}" : "offset < {}"), number);
        case term_kind::size_from:
            return fmt::format(fmt::runtime(other ? "Size >= {}" : "size >= {}B"), number);
        case term_kind::appended_from:
            return fmt::format(fmt::runtime(other ? "time>=\"{}\"" : "time >= '{}'"),
                               format_rfc3339(wall_from_us(static_cast<std::int64_t>(number))));
    }
    return {};
}

bool model_term::holds(const model_record& of) const {
    const auto key = key_of_content(of.content);
    const auto header = header_of_content(of.content);
    switch (kind) {
        case term_kind::key_is: return key == number;
        case term_kind::key_is_not: return key && *key != number;
        case term_kind::key_among: return key && (*key == number || *key == other_key(number));
        case term_kind::has_key: return key.has_value();
        case term_kind::header_is: return header == number;
        case term_kind::has_header: return header.has_value();
        case term_kind::offset_from: return of.offset >= number;
        case term_kind::offset_below: return of.offset < number;
        case term_kind::size_from: return size_of_content(of.content) >= number;
        case term_kind::appended_from:
            return to_us(of.appended) >= static_cast<std::int64_t>(number);
    }
    return false;
}

bool model_sieve::matches(const model_record& of) const {
    if (terms.empty()) {
        return true;
    }
    const auto holds = [&](const model_term& each) { return each.holds(of); };
    const bool together =
        any ? std::ranges::any_of(terms, holds) : std::ranges::all_of(terms, holds);
    return together != negated;
}

std::string model_sieve::text(spelling how) const {
    if (terms.empty()) {
        return {};
    }
    const bool other = how == spelling::other;
    std::string joined;
    for (const model_term& each : terms) {
        if (!joined.empty()) {
            joined += other ? (any ? " OR " : "  And ") : (any ? " or " : " and ");
        }
        joined += other ? "(" + each.text(how) + ")" : each.text(how);
    }
    if (other) {
        return (negated ? "NOT ( " : "( ") + joined + " )";
    }
    if (!negated) {
        return joined;
    }
    return terms.size() > 1 ? "not (" + joined + ")" : "not " + joined;
}

// ---- what is for a queue ----

bool model_queue::may_take(const model_record& of) const {
    return std::ranges::any_of(sieves, [&](const model_sieve& each) { return each.takes(of); });
}

bool model_queue::must_take(const model_record& of) const {
    return std::ranges::all_of(sieves, [&](const model_sieve& each) { return each.takes(of); });
}

bool model_queue::ends_before(offset_t offset) const {
    return std::ranges::all_of(sieves,
                               [&](const model_sieve& each) { return each.ends_before(offset); });
}

model_record model::record_of(const model_topic& topic, offset_t offset) {
    return {offset, topic.content(offset), topic.appended_at(offset)};
}

bool model::may_be_for(const model_topic& topic, const model_queue& queue, offset_t offset,
                       const model_message& message) {
    return message.spared || queue.may_take(record_of(topic, offset));
}

bool model::may_be_sifted(const model_topic& topic, const model_queue& queue, offset_t offset,
                          const model_message& message) {
    return message.state == message_state::ready && !queue.must_take(record_of(topic, offset));
}

std::string model::sieve_text(const model_topic& topic, const model_queue& queue, offset_t offset,
                              const model_message& message) {
    std::string text;
    for (const model_sieve& each : queue.sieves) {
        text +=
            fmt::format("{}\"{}\" until {}", text.empty() ? "" : " or ", each.text(), each.until);
    }
    return fmt::format("{} for the queue ({}){}",
                       queue.must_take(record_of(topic, offset))  ? "is"
                       : queue.may_take(record_of(topic, offset)) ? "may be"
                                                                  : "is not",
                       text, message.spared ? ", spared" : "");
}

// ---- what happens ----

void model::sift(const model_queue& queue, model_message& message) {
    if (queue.sifts_at_once()) {
        message = {.state = message_state::done};
        ++sifted_at_once_;
    }
}

void model::appended_to(const model_topic& topic, model_queue& queue, offset_t offset) {
    model_message& message = queue.messages[offset];
    message = {};
    if (!queue.may_take(record_of(topic, offset))) {
        sift(queue, message);
    }
}

void model::sieve_changing(const std::string& topic, const std::string& name, model_sieve what) {
    note_expired();
    state.topics.at(topic).queues.at(name).sieves.push_back(std::move(what));
}

void model::sieve_changed(const std::string& topic, const std::string& name) {
    note_expired();  // with what was appended meanwhile
    const auto& of = state.topics.at(topic);
    auto& queue = state.topics.at(topic).queues.at(name);
    const auto before = std::exchange(queue.sieves, {queue.sieves.back()});
    const model_sieve& now = queue.sieves.front();
    const auto is_new = [&](auto of_sieve) {
        return std::none_of(before.begin(), before.end() - 1, [&](const model_sieve& each) {
            return of_sieve(each) == of_sieve(now);
        });
    };
    const bool filter_is_new = is_new([](const model_sieve& each) { return each.text(); });
    const bool end_is_new = is_new([](const model_sieve& each) { return each.until; });
    for (auto& [offset, message] : queue.messages) {
        if (message.state != message_state::ready) {
            continue;
        }
        if (end_is_new && now.ends_before(offset)) {
            message.spared = false;
            if (may_be_dropped(of, offset, message)) {
                queue.gone_early.insert(offset);
            }
            sift(queue, message);
        } else if (filter_is_new && !now.matches(record_of(of, offset))) {
            message.spared = false;
        }
    }
}

// ---- what is told ----

bool model::is_changed_by(const std::string& topic, const std::string& name,
                          const model_sieve& what) const {
    return std::ranges::none_of(state.topics.at(topic).queues.at(name).sieves,
                                [&](const model_sieve& each) {
                                    return each.text() == what.text() && each.until == what.until;
                                });
}

void model::check_sieve(const std::string& topic, const std::string& name,
                        const queue_settings& told) const {
    const auto& sieves = state.topics.at(topic).queues.at(name).sieves;
    expect(std::ranges::any_of(sieves,
                               [&](const model_sieve& each) {
                                   return each.text() == told.filter && each.until == told.until;
                               }),
           "{}/{} is said to have the filter \"{}\" until {}, the model says \"{}\" until {}",
           topic, name, told.filter, told.until, sieves.back().text(), sieves.back().until);
}

void model::check_existing(const std::string& topic, const std::string& name,
                           const model_sieve& asked, const codec::queue_created& told) const {
    check_sieve(topic, name, told.settings);
    std::vector<std::string> differing;
    if (told.settings.filter != asked.text()) {
        differing.emplace_back("filter");
    }
    if (told.settings.until != asked.until) {
        differing.emplace_back("until");
    }
    expect(told.differing == differing,
           "{}/{} differs from what was asked for in {} settings, the model says {}", topic, name,
           told.differing.size(), differing.size());
}

}  // namespace brokerd::sim
