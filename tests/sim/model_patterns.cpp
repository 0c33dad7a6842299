// The rules of pattern queues: which queues there are because of them and whose they are, what a
// consumer of all of them may be given, and that none of its queues is passed over for ever. That
// a rule and its queues are one commit is seen by the world, which has all of it told at once.
#include <algorithm>
#include <optional>
#include <utility>

#include "protocol/codec/record.hpp"
#include "protocol/codec/record_batch.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

// Takes the first word off; what is left of a last word is nothing.
std::string_view first_word(std::string_view& rest) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view word = rest.substr(0, dot);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
    return word;
}

// The names of settings that are not the same.
std::vector<std::string> differing(const queue_settings& one, const queue_settings& other) {
    std::vector<std::string> names;
    const auto compare = [&](const auto& field) {
        if (one.*field.member != other.*field.member) {
            names.emplace_back(field.name);
        }
    };
    std::apply([&](const auto&... each) { (compare(each), ...); }, queue_settings::fields());
    return names;
}

// In force, with the filter as the broker gives it back.
queue_settings settings_in_force(const model_queue& queue) {
    queue_settings settings = queue.settings;
    settings.filter = queue.sieves.back().text();
    settings.until = queue.sieves.back().until;
    return settings;
}

constexpr std::uint64_t smallest_content = 104;  // with neither key nor header

std::uint64_t record_bytes(std::uint64_t content) {
    const byte_buffer batch = make_batch({content}, producer_id{}, 0);
    return codec::record_size_at(byte_view(batch).subspan(codec::batch_header_bytes));
}

}  // namespace

bool pattern_means(std::string_view pattern, std::string_view topic) {
    if (pattern.empty() || topic.empty()) {
        return pattern.empty() && topic.empty();
    }
    const std::string_view wanted = first_word(pattern);
    const std::string_view word = first_word(topic);
    return wanted == ">" || ((wanted == "*" || wanted == word) && pattern_means(pattern, topic));
}

bool may_mean_the_same(std::string_view one, std::string_view other) {
    if (one.empty() || other.empty()) {
        return one.empty() && other.empty();
    }
    const std::string_view left = first_word(one);
    const std::string_view right = first_word(other);
    if (left == ">" || right == ">") {
        return true;  // at least one word is left of both
    }
    return (left == "*" || right == "*" || left == right) && may_mean_the_same(one, other);
}

// ---- whose a queue is ----

bool model::belongs(const model_rule& rule, const std::string& topic, const std::string& name,
                    const model_queue& queue) {
    return name == rule.queue && queue.mode == rule.mode && rule.means(topic);
}

std::vector<queue_path> model::queues_of(const model_rule& rule) const {
    std::vector<queue_path> found;
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            if (belongs(rule, name, queue_name, queue)) {
                found.push_back({name, queue_name});
            }
        }
    }
    return found;
}

bool model::serves(const model_consumer& one, const std::string& topic,
                   const std::string& name) const {
    if (one.pattern.empty()) {
        return one.topic == topic && one.queue == name;
    }
    const auto rule = state.rules.find(one.pattern);
    return rule != state.rules.end() &&
           belongs(rule->second, topic, name, state.topics.at(topic).queues.at(name));
}

std::vector<queue_path> model::served_by(const model_consumer& one) const {
    if (one.pattern.empty()) {
        return {{one.topic, one.queue}};
    }
    const auto rule = state.rules.find(one.pattern);
    return rule == state.rules.end() ? std::vector<queue_path>{} : queues_of(rule->second);
}

std::set<queue_id> model::members_of(const std::string& pattern) const {
    std::set<queue_id> ids;
    for (const queue_path& each : queues_of(state.rules.at(pattern))) {
        ids.insert(state.topics.at(each.topic).queues.at(each.queue).id);
    }
    return ids;
}

// ---- rules ----

std::set<error_code> model::rule_obstacles(const std::string& path, const model_rule& asked,
                                           std::size_t queues_max) const {
    if (const auto known = state.rules.find(path); known != state.rules.end()) {
        return known->second.mode == asked.mode ? std::set<error_code>{}
                                                : std::set{error_code::pattern_exists};
    }
    std::set<error_code> found;
    if (state.rules.size() >= std::min<std::size_t>(limits::pattern_queues_max, queues_max)) {
        found.insert(error_code::too_many_patterns);
    }
    for (const auto& [name, other] : state.rules) {
        if (other.queue == asked.queue && other.mode != asked.mode &&
            may_mean_the_same(other.topics, asked.topics)) {
            found.insert(error_code::pattern_exists);
        }
    }
    for (const auto& [name, topic] : state.topics) {
        if (!asked.means(name)) {
            continue;
        }
        const auto there = topic.queues.find(asked.queue);
        if (there == topic.queues.end() && topic.queues.size() >= queues_max) {
            found.insert(error_code::too_many_queues);
        } else if (there != topic.queues.end() && there->second.mode != asked.mode) {
            found.insert(error_code::queue_exists);
        }
    }
    return found;
}

// One of those that were made is the queue that the rule asks for.
void model::make_of_rule(const model_rule& rule, const std::string& topic,
                         const std::vector<domain::queue_created>& made, const position& start) {
    const topic_id id = state.topics.at(topic).id;
    const auto found = std::ranges::find_if(made, [&](const domain::queue_created& each) {
        return each.topic == id && each.name == rule.queue;
    });
    expect(found != made.end(), "{}/{} is not made with its rule or topic, which {}/{} asks for",
           topic, rule.queue, rule.topics, rule.queue);
    expect(found->mode == rule.mode, "{}/{} is made with another mode than its rule has", topic,
           rule.queue);
    expect(found->settings == rule.settings, "{}/{} is made with other settings than its rule has",
           topic, rule.queue);
    queue_created(topic, rule.queue, found->queue, rule.mode, rule.settings, rule.sieve, start,
                  found->start);
}

std::uint64_t model::rules_applied(const std::string& topic,
                                   const std::vector<domain::queue_created>& made) {
    std::map<std::uint64_t, const model_rule*> by_age;
    for (const auto& [path, rule] : state.rules) {
        by_age[rule.age] = &rule;
    }
    std::uint64_t count = 0;
    for (const auto& [age, rule] : by_age) {
        if (rule->means(topic) && !state.topics.at(topic).queues.contains(rule->queue)) {
            make_of_rule(*rule, topic, made, {});
            ++count;
        }
    }
    return count;
}

std::uint64_t model::rule_made(const std::string& path, model_rule what, const position& start,
                               const std::vector<domain::queue_created>& made) {
    what.age = next_rule_++;
    const model_rule& rule = state.rules[path] = std::move(what);
    std::uint64_t adopted = 0;
    for (const auto& [name, topic] : state.topics) {
        if (!rule.means(name)) {
            continue;
        }
        if (topic.queues.contains(rule.queue)) {
            ++adopted;
        } else {
            make_of_rule(rule, name, made, start);
        }
    }
    return adopted;
}

void model::rule_replacing(const std::string& path, const model_sieve& sieve) {
    for (const queue_path& each : queues_of(state.rules.at(path))) {
        model_sieve own = sieve;
        own.until = state.topics.at(each.topic).queues.at(each.queue).sieves.back().until;
        sieve_changing(each.topic, each.queue, std::move(own));
    }
}

std::uint64_t model::rule_replaced(const std::string& path, const queue_settings& settings,
                                   const model_sieve& sieve) {
    model_rule& rule = state.rules.at(path);
    rule.settings = settings;
    rule.sieve = sieve;
    note_expired();
    std::uint64_t changed = 0;
    for (const queue_path& each : queues_of(rule)) {
        model_queue& queue = state.topics.at(each.topic).queues.at(each.queue);
        queue_settings wanted = settings;
        wanted.until = queue.sieves.back().until;
        wanted.expires = queue.settings.expires;
        queue_settings before = queue.settings;
        before.filter = queue.sieves.front().text();
        before.until = queue.sieves.front().until;
        changed += before == wanted ? 0U : 1U;
        queue.settings = wanted;
        sieve_changed(each.topic, each.queue);
    }
    return changed;
}

std::vector<queue_path> model::only_of(const std::string& path) const {
    std::vector<queue_path> found = queues_of(state.rules.at(path));
    std::erase_if(found, [&](const queue_path& each) {
        const model_queue& queue = state.topics.at(each.topic).queues.at(each.queue);
        return std::ranges::any_of(state.rules, [&](const auto& other) {
            return other.first != path && belongs(other.second, each.topic, each.queue, queue);
        });
    });
    return found;
}

void model::rule_removed(const std::string& path, bool queues, instant now) {
    std::vector<holder> ended;
    for (const auto& [who, consumer] : consumers) {
        if (consumer.pattern == path) {
            ended.push_back(who);
        }
    }
    for (const holder& who : ended) {
        detached(who, now);
    }
    const std::vector<queue_path> gone = queues ? only_of(path) : std::vector<queue_path>{};
    state.rules.erase(path);
    for (const queue_path& each : gone) {
        queue_removed(each.topic, each.queue);
    }
}

void model::topic_removed(const std::string& topic) {
    std::erase_if(consumers, [&](const auto& entry) { return entry.second.topic == topic; });
    for (const auto& [name, queue] : state.topics.at(topic).queues) {
        forget_owed(queue.id);
    }
    state.topics.erase(topic);
}

// ---- what is told ----

void model::check_rule(const std::string& path, const queue_settings& asked,
                       const codec::pattern_created& told) const {
    const model_rule& rule = state.rules.at(path);
    expect(told.settings == rule.settings, "{} is said to have other settings", path);
    expect(told.differing == differing(asked, rule.settings),
           "{} is said to differ from what was asked for in {} settings", path,
           told.differing.size());
    const std::size_t queues = queues_of(rule).size();
    expect(told.queues == queues, "{} is said to have {} queues, the model says {}", path,
           told.queues, queues);
}

void model::check_rules(const std::vector<codec::pattern_item>& told) const {
    expect(told.size() == state.rules.size(), "{} rules are listed, there are {}", told.size(),
           state.rules.size());
    auto item = told.begin();
    for (const auto& [path, rule] : state.rules) {
        expect(item->pattern == path, "{} is listed where {} has its place", item->pattern, path);
        expect(item->mode == rule.mode && item->settings == rule.settings,
               "{} is listed with another mode, or other settings", path);
        const auto queues = queues_of(rule);
        expect(item->queues == queues.size(), "{} is listed with {} queues, the model says {}",
               path, item->queues, queues.size());
        const auto attached = std::ranges::count_if(
            consumers, [&](const auto& each) { return each.second.pattern == path; });
        expect(std::cmp_equal(item->consumers, attached),
               "{} is listed with {} consumers, the model says {}", path, item->consumers,
               attached);
        ++item;
    }
}

void model::check_settings(const codec::queue_item& item) const {
    const model_queue& queue = state.topics.at(item.topic).queues.at(item.queue);
    expect(item.id == queue.id && item.mode == queue.mode, "{}/{} is another queue", item.topic,
           item.queue);
    const auto names = differing(item.settings, settings_in_force(queue));
    expect(names.empty(), "{}/{} has another {} than the model says", item.topic, item.queue,
           names.empty() ? "" : names.front());
}

void model::check_consumers(const std::vector<codec::consumer_item>& told) const {
    std::set<std::pair<holder, std::string>> expected;
    for (const auto& [who, consumer] : consumers) {
        for (const queue_path& each : served_by(consumer)) {
            expected.emplace(who, to_string(each));
        }
    }
    for (const codec::consumer_item& item : told) {
        const holder who{item.connection, item.consumer};
        const std::string path = item.topic + "/" + item.queue;
        expect(expected.erase({who, path}) == 1, "consumer {} is listed for {}, or twice",
               item.consumer.value(), path);
        const model_consumer& one = consumers.at(who);
        expect(item.prefetch_messages == one.prefetch && item.prefetch_bytes == one.prefetch_bytes,
               "consumer {} is listed with another prefetch", item.consumer.value());
        const auto& topic = state.topics.at(item.topic);
        model_count leased;
        for (const auto& [offset, message] : topic.queues.at(item.queue).messages) {
            if (message.state == message_state::leased && message.by == who) {
                leased.least += may_be_dropped(topic, offset, message) ? 0U : 1U;
                ++leased.most;
            }
        }
        expect(leased.takes(item.leased), "consumer {} is listed with {} messages of {}, not {}",
               item.consumer.value(), item.leased, path, leased.text());
    }
    expect(expected.empty(), "consumer {} is not listed for {}",
           expected.empty() ? 0 : expected.begin()->first.second.value(),
           expected.empty() ? "" : expected.begin()->second);
}

// ---- room and turns ----

queue_path model::source_of(const model_consumer& one, queue_id told) {
    if (one.pattern.empty()) {
        expect(told == queue_id{}, "a delivery from {}/{} names a queue", one.topic, one.queue);
        return {one.topic, one.queue};
    }
    const auto* const owner = owner_of(told);
    expect(owner != nullptr, "a consumer of {} is given something of queue {}, which is no more",
           one.pattern, told.value());
    const auto queue = std::ranges::find_if(
        owner->second.queues, [&](const auto& each) { return each.second.id == told; });
    expect(serves(one, owner->first, queue->first), "a consumer of {} is given something of {}/{}",
           one.pattern, owner->first, queue->first);
    return {owner->first, queue->first};
}

// What is left of a run counts with the mean of its records, and what was taken up may count for
// nothing: each message held counts as the smallest one there is.
void model::check_bytes(holder who, offset_t offset, std::size_t bytes) const {
    const std::uint64_t most = consumers.at(who).prefetch_bytes;
    if (most >= limits::prefetch_bytes_default) {
        return;  // more than there ever is
    }
    static const std::uint64_t smallest = record_bytes(smallest_content);
    std::uint64_t held = 0;
    for (const auto& [name, topic] : state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            for (const auto& [at, message] : queue.messages) {
                if (message.state == message_state::leased && message.by == who &&
                    !message.taken_up && !may_be_dropped(topic, at, message)) {
                    held += smallest;
                }
            }
        }
    }
    expect(held == 0 || held + bytes <= most,
           "offset {} of {} bytes exceeds the {} bytes of its consumer, which holds {} at least",
           offset, bytes, most, held);
}

bool model::holds_lonely(holder who) const {
    return std::ranges::any_of(state.topics, [&](const auto& topic) {
        return std::ranges::any_of(topic.second.queues, [&](const auto& queue) {
            return std::ranges::any_of(queue.second.messages, [&](const auto& each) {
                const model_message& message = each.second;
                return message.state == message_state::leased && message.by == who &&
                       message.must_be_alone();
            });
        });
    });
}

// Whatever else there is, it may be given out at once.
bool model::has_surely_ready(const model_topic& topic, const model_queue& queue) const {
    if (queue.mode != queue_mode::shared || queue.paused || queue.sieves.size() != 1 ||
        !queue.sifts_at_once()) {
        return false;
    }
    const auto waits_alone = [](const auto& each) {
        const model_message& message = each.second;
        return message.must_be_alone() && message.state != message_state::done &&
               message.state != message_state::dead;
    };
    if (std::ranges::any_of(queue.messages, waits_alone)) {
        return false;  // which is kept room for
    }
    return std::ranges::any_of(queue.messages, [&](const auto& each) {
        const auto& [offset, message] = each;
        return (message.state == message_state::ready || message.must_be_due(now_)) &&
               !is_in_doubt(topic, queue, offset, message) &&
               may_be_for(topic, queue, offset, message);
    });
}

void model::turn_ended(bool reads_open) {
    model_turns now = std::exchange(turns_, {});
    // Also in a turn that leaves a read open: that may be for what the giver gives next.
    std::erase_if(now.passed,
                  [&](const auto& each) { return now.givers.contains(each.first.second); });
    if (reads_open) {
        turns_.passed = std::move(now.passed);  // one may wait for what is being read
        return;
    }
    constexpr std::uint64_t patience = 2;  // one may come into line, or be ready, a turn later
    for (const auto& [who, consumer] : consumers) {
        if (consumer.pattern.empty()) {
            continue;
        }
        const auto members = queues_of(state.rules.at(consumer.pattern));
        for (const queue_path& each : members) {
            const model_topic& topic = state.topics.at(each.topic);
            const model_queue& queue = topic.queues.at(each.queue);
            if (now.givers.contains(queue.id) || !has_surely_ready(topic, queue)) {
                continue;
            }
            const auto before = now.passed.find({who, queue.id});
            const std::uint64_t passed = (before == now.passed.end() ? 0 : before->second) +
                                         (now.takers.contains(who) ? 1 : 0);
            expect(passed <= 2 * members.size() + patience,
                   "{}/{} was passed over {} times by a consumer of {}", each.topic, each.queue,
                   passed, consumer.pattern);
            turns_.passed[{who, queue.id}] = passed;
        }
    }
}

}  // namespace brokerd::sim
