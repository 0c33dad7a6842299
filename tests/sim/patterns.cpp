// Rules of pattern queues, and topics that come and go under them: what administrators do, and what
// must be made and removed with the very commit. Their consumers are in pattern_consumers.cpp. With
// random numbers of their own, so that runs without any are as they were.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "protocol/types/names.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

namespace {

constexpr const char* own_topics[] = {"d", "d.e", "d.f", "g.e"};
constexpr const char* topic_patterns[] = {"*", ">", "d.*", "d.>", "*.e", "*.*"};
constexpr const char* rule_queues[] = {"watch", "all"};

}  // namespace

// ---- what is made with a commit ----

std::size_t world::queues_max() const {
    return clones_ ? few_queues : domain::domain_options{}.queues_per_topic_max;
}

std::vector<domain::queue_created> world::queues_made_since(std::size_t mark) const {
    std::vector<domain::queue_created> made;
    for (std::size_t i = mark; i < effects_.mutations.size(); ++i) {
        if (const auto* each = std::get_if<domain::queue_created>(&effects_.mutations[i])) {
            made.push_back(*each);
        }
    }
    return made;
}

std::uint64_t world::learn_topic(const std::string& topic, topic_id id, std::size_t mark,
                                 std::uint8_t priorities) {
    model_.topic_created(topic, id, std::max<std::uint8_t>(priorities, 1));
    if (priorities > 1) {
        note("topic with levels", priorities);
    }
    const std::uint64_t made = model_.rules_applied(topic, queues_made_since(mark));
    if (made > 0) {
        note("topic with pattern queues", made);
    }
    return made;
}

// ---- steps ----

void world::do_patterns(sim_client& who) {
    constexpr std::size_t consumers_max = 3;
    await_transactions();
    make_missing_queues(who);
    const std::string topic = own_topics[pattern_random_.below(std::size(own_topics))];
    const bool there = model_.state.topics.contains(topic);
    const auto& rules = model_.state.rules;
    const auto any_rule = [&] {
        return std::next(rules.begin(),
                         static_cast<std::ptrdiff_t>(pattern_random_.below(rules.size())))
            ->first;
    };
    const std::uint64_t dice = pattern_random_.below(24);
    if (dice < 6) {
        publish_own(who);
    } else if (dice < 9 && !there) {
        make_own_topic(who, topic);
    } else if (dice < 10) {
        if (there) {
            remove_topic(who, topic);
        }
    } else if (dice < 13) {
        do_rule(who);
    } else if (dice < 14 && !rules.empty()) {
        remove_rule(who, any_rule());
    } else if (dice < 19 && !rules.empty()) {
        sim_client& by = clients_[pattern_random_.below(clients_.size())];
        if (by.connected && by.consumers.size() < consumers_max) {
            const std::uint64_t limit =
                pattern_random_.chance(1, 6) ? 1 + pattern_random_.below(6) : 0;
            attach_pattern(by, any_rule(), static_cast<std::uint32_t>(1 + pattern_random_.below(8)),
                           limit);
        }
    } else if (dice < 21) {
        change_member(who);
    } else if (dice < 23) {
        check_patterns(who);
    } else {
        try_bad_rule(who);
    }
}

// New, once more, or with other settings.
void world::do_rule(sim_client& who) {
    model_rule asked;
    asked.topics = topic_patterns[pattern_random_.below(std::size(topic_patterns))];
    asked.queue = rule_queues[pattern_random_.below(std::size(rule_queues))];
    const std::string path = asked.topics + "/" + asked.queue;
    asked.mode = pattern_random_.chance(1, 8) ? queue_mode::keyed : mode_of("a/" + asked.queue);
    asked.settings = settings_of(path);
    if (pattern_random_.chance(1, 2)) {
        // With one attempt a message may be dead that was perhaps dropped: nothing would tell.
        asked.settings.attempts = static_cast<std::uint32_t>(2 + pattern_random_.below(3));
        asked.settings.lease = std::chrono::seconds(2 + pattern_random_.below(8));
        asked.settings.on_expiry =
            pattern_random_.chance(1, 2) ? expiry_action::done : expiry_action::dead;
        asked.settings.after_failure =
            pattern_random_.chance(1, 2) ? after_failure::block : after_failure::skip;
    }
    if (filters_ && pattern_random_.chance(1, 2)) {
        asked.sieve = any_sieve(0);
        asked.sieve.until = 0;
    }
    asked.settings.filter = asked.sieve.text();
    codec::pattern_create what;
    what.pattern = path;
    what.mode = asked.mode;
    what.settings = asked.settings;
    what.settings.filter =
        asked.sieve.text(pattern_random_.chance(1, 2) ? spelling::other : spelling::canonical);
    what.start.kind =
        pattern_random_.chance(1, 2) ? position_kind::latest : position_kind::earliest;
    what.replace = pattern_random_.chance(1, 2);
    const auto reasons = model_.rule_obstacles(path, asked, queues_max());
    if (!reasons.empty()) {
        refuse_rule(who, what, reasons);
    } else if (!model_.state.rules.contains(path)) {
        make_rule(who, path, what, asked);
    } else if (what.replace) {
        replace_rule(who, path, what, asked);
    } else {
        const auto reply = ask(who, what);
        const auto* told = std::get_if<codec::pattern_created>(&reply->body);
        expect(told != nullptr && !told->created && told->changed == 0,
               "{} exists, and that is not said", path);
        note("pattern queue again");
        model_.check_rule(path, asked.settings, *told);
    }
}

void world::make_rule(sim_client& who, const std::string& path, const codec::pattern_create& what,
                      const model_rule& asked) {
    const commit_number earliest = gathering_;
    const std::size_t mark = effects_.mutations.size();
    const auto reply = ask(who, what);
    const auto* told = std::get_if<codec::pattern_created>(&reply->body);
    expect(told != nullptr && told->created, "{} could not be made", path);
    expect(reply->depends_on >= earliest && !reply->when_applied,
           "{} is answered before its commit", path);
    const auto is_rule = [](const auto& each) {
        return std::holds_alternative<domain::pattern_put>(each);
    };
    const auto first = effects_.mutations.begin() + static_cast<std::ptrdiff_t>(mark);
    expect(gathering_ == earliest && std::any_of(first, effects_.mutations.end(), is_rule),
           "{} is not made by one commit", path);
    const auto made = queues_made_since(mark);
    note("pattern queue", made.size());
    const std::uint64_t adopted = model_.rule_made(path, asked, what.start, made);
    if (adopted > 0) {
        note("queue adopted", adopted);
    }
    expect(told->changed == made.size() && told->queues == made.size() + adopted,
           "{} is said to have {} queues and to have made {} of them, the model says {} and {}",
           path, told->queues, told->changed, made.size() + adopted, made.size());
    model_.check_rule(path, asked.settings, *told);
}

void world::replace_rule(sim_client& who, const std::string& path,
                         const codec::pattern_create& what, const model_rule& asked) {
    const commit_number earliest = gathering_;
    model_.rule_replacing(path, asked.sieve);
    const auto reply = ask(who, what);
    const auto* told = std::get_if<codec::pattern_created>(&reply->body);
    expect(told != nullptr && !told->created, "{} may not have other settings", path);
    const std::uint64_t changed = model_.rule_replaced(path, asked.settings, asked.sieve);
    note("pattern queue replaced", changed);
    expect(told->changed == changed, "{} queues of {} are said to be changed, the model says {}",
           told->changed, path, changed);
    expect(changed == 0 || reply->depends_on >= earliest, "{} is answered before its commit", path);
    model_.check_rule(path, asked.settings, *told);
}

// Nothing changes.
void world::refuse_rule(sim_client& who, const codec::pattern_create& what,
                        const std::set<error_code>& reasons) {
    const std::size_t mark = effects_.mutations.size();
    const auto reply = ask(who, what);
    const auto* refused = std::get_if<codec::error>(&reply->body);
    expect(refused != nullptr, "{} was made in spite of {}", what.pattern,
           describe(*reasons.begin()).name);
    expect(reasons.contains(refused->code), "{} was refused for no reason: {}", what.pattern,
           refused->text);
    expect(queues_made_since(mark).empty(), "{} is refused, and some of its queues are made",
           what.pattern);
    note(fmt::format("pattern queue refused: {}", describe(refused->code).name));
}

void world::try_bad_rule(sim_client& who) {
    codec::pattern_create what;
    what.pattern = "d.*/watch";
    what.mode = mode_of("a/watch");
    what.settings = settings_of(what.pattern);
    switch (pattern_random_.below(4)) {
        case 0:
            what.settings.until = 1;
            refuse_rule(who, what, {error_code::invalid_setting});
            break;
        case 1:
            what.start.kind = position_kind::offset;
            refuse_rule(who, what, {error_code::invalid_argument});
            break;
        case 2:
            what.settings.filter = "key =";
            refuse_rule(who, what, {error_code::invalid_setting});
            break;
        default:
            what.pattern = pattern_random_.chance(1, 2) ? "a/watch" : "d.>.e/watch";
            refuse_rule(who, what, {error_code::invalid_name});
            break;
    }
}

void world::remove_rule(sim_client& who, const std::string& path) {
    codec::pattern_remove what;
    what.pattern = path;
    what.queues = pattern_random_.chance(1, 2);
    const auto gone = what.queues ? model_.only_of(path) : std::vector<queue_path>{};
    const auto count = [&] {
        const auto reply = ask(who, what);
        const auto* counted = std::get_if<codec::counted>(&reply->body);
        expect(counted != nullptr && counted->messages == gone.size(),
               "{} is said to have {} queues that would go, the model says {}", path,
               counted == nullptr ? 0 : counted->messages, gone.size());
        return reply->depends_on;
    };
    if (pattern_random_.chance(1, 3)) {
        what.dry_run = true;
        (void)count();
        what.dry_run = false;
    }
    for (const queue_path& each : gone) {
        removing_.insert(queue_at(to_string(each)).id);
    }
    note(what.queues ? "pattern queue removed with queues" : "pattern queue removed", gone.size());
    const commit_number earliest = gathering_;
    const std::size_t mark = effects_.mutations.size();
    expect(count() >= earliest, "a removal of {} is answered before its commit", path);
    std::set<queue_id> removed;
    for (std::size_t i = mark; i < effects_.mutations.size(); ++i) {
        if (const auto* each = std::get_if<domain::queue_removed>(&effects_.mutations[i])) {
            removed.insert(each->queue);
        }
    }
    expect(removed == std::exchange(removing_, {}),
           "{} is removed, and not all of its queues with it", path);
    model_.rule_removed(path, what.queues, now_);
    for (sim_client& client : clients_) {
        std::erase_if(client.consumers, [&](const auto& entry) {
            const std::string& of = entry.second.first;
            if (of == path) {
                note("pattern consumer ended", entry.first);
                expect(!client.connected || is_told_of_end(client, entry.first),
                       "consumer {} of {}, which is removed, is not told so", entry.first, path);
            }
            return of == path || std::ranges::any_of(gone, [&](const queue_path& each) {
                       return to_string(each) == of;
                   });
        });
    }
}

// By itself, or with a queue that a rule may make, too.
void world::make_own_topic(sim_client& who, const std::string& topic) {
    if (pattern_random_.chance(1, 3)) {
        const std::string path =
            fmt::format("{}/{}", topic, pattern_random_.chance(1, 2) ? "watch" : "own");
        const auto parsed = parse_queue_path(path);
        const auto of = std::ranges::find_if(model_.state.rules, [&](const auto& each) {
            return each.second.queue == parsed->queue && each.second.means(topic) &&
                   each.second.mode != mode_of(path);
        });
        if (of == model_.state.rules.end()) {
            make_queue(who, path);
            return;
        }
        codec::queue_create create;
        create.queue = path;
        create.mode = mode_of(path);
        create.create_topic = true;
        const auto reply = ask(who, create);
        const auto* refused = std::get_if<codec::error>(&reply->body);
        expect(refused != nullptr && refused->code == error_code::queue_exists,
               "{} is made with its topic, and {} makes it with another mode", path, of->first);
        note("queue of a rule refused");
        return;
    }
    const commit_number earliest = gathering_;
    const std::size_t mark = effects_.mutations.size();
    codec::topic_create create{.topic = topic};
    create.settings.priorities = any_levels();
    const auto reply = ask(who, create);
    const auto* created = std::get_if<codec::topic_created>(&reply->body);
    expect(created != nullptr && created->created, "topic {} could not be created", topic);
    expect(gathering_ == earliest && reply->depends_on >= earliest,
           "topic {} is answered before its commit", topic);
    note("own topic");
    const std::uint64_t made = learn_topic(topic, created->topic, mark, create.settings.priorities);
    expect(queues_made_since(mark).size() == made, "topic {} gets queues that no rule asks for",
           topic);
}

void world::remove_topic(sim_client& who, const std::string& topic) {
    // What was published to it is answered before; its name may soon be another topic's.
    const auto is_on_its_way = [&](const sim_client& client) {
        return std::ranges::any_of(client.unanswered,
                                   [&](const auto& each) { return each.second.topic == topic; });
    };
    while (std::ranges::any_of(clients_, is_on_its_way)) {
        wants_commit_ = true;
        turn();
        finish_commit();
    }
    if (!model_.state.topics.contains(topic)) {
        return;
    }
    note("topic removed");
    const auto reply = ask(who, codec::topic_remove{topic});
    expect(std::holds_alternative<codec::ok>(reply->body), "{} could not be removed", topic);
    model_.topic_removed(topic);
    take_drop_notices();
    std::erase_if(drop_notices_, [&](const auto& each) { return each.first.topic == topic; });
    drops_told_.erase(topic);
    for (sim_client& client : clients_) {
        std::erase_if(client.consumers, [&](const auto& entry) {
            return entry.second.first.starts_with(topic + "/");
        });
    }
}

void world::publish_own(sim_client& who) {
    std::vector<std::string> there;
    for (const char* topic : own_topics) {
        if (model_.state.topics.contains(topic)) {
            there.emplace_back(topic);
        }
    }
    if (there.empty()) {
        return;
    }
    pending_publish what;
    what.topic = there[pattern_random_.below(there.size())];
    for (std::uint64_t left = 1 + pattern_random_.below(6); left > 0; --left) {
        what.contents.push_back(new_content());
    }
    give_priority(what);
    auto& next = who.next_sequence.try_emplace(what.topic, 1).first->second;
    what.sequence = next;
    next += what.contents.size();
    what.batch = make_batch(what.contents, who.producer, what.sequence);
    send_publish(who, std::move(what));
}

// A queue that a rule may take for its own is made by hand, or removed.
void world::change_member(sim_client& who) {
    const auto topic =
        std::next(model_.state.topics.begin(),
                  static_cast<std::ptrdiff_t>(pattern_random_.below(model_.state.topics.size())));
    const std::string path =
        topic->first + "/" + rule_queues[pattern_random_.below(std::size(rule_queues))];
    const auto parsed = parse_queue_path(path);
    if (topic->second.queues.contains(parsed->queue)) {
        if (pattern_random_.chance(1, 2)) {
            note("pattern queue member removed");
            remove_queue(who, path);
        }
        return;
    }
    if (topic->second.queues.size() >= queues_max()) {
        return;
    }
    note("pattern queue member by hand");
    const auto source = std::ranges::find_if(topic->second.queues, [](const auto& each) {
        return each.second.settings.expires == duration_us{0};
    });
    if (clones_ && source != topic->second.queues.end() && pattern_random_.chance(1, 2)) {
        clone(who, topic->first + "/" + source->first, parsed->queue);
    } else {
        make_queue(who, path);
    }
}

void world::check_patterns(sim_client& who) {
    codec::pattern_list list;
    list.limit = static_cast<std::uint32_t>(1 + pattern_random_.below(4));
    std::vector<codec::pattern_item> items;
    for (bool more = true; more;) {
        const auto reply = ask(who, list);
        const auto* page = std::get_if<codec::patterns>(&reply->body);
        expect(page != nullptr && (!page->more || !page->items.empty()),
               "a list of pattern queues leads nowhere");
        items.insert(items.end(), page->items.begin(), page->items.end());
        more = page->more;
        if (more) {
            list.after = items.back().pattern;
        }
    }
    note("pattern queues listed", items.size());
    model_.check_rules(items);
    const auto consumers = ask(who, codec::consumer_list{});
    model_.check_consumers(std::get<codec::consumers>(consumers->body).items);
    check_joined();
}

}  // namespace brokerd::sim
