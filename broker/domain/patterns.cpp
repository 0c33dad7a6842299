// Pattern queues: rules that make a queue in every topic they mean. What a rule has made are queues
// like any other; which ones are its own is told by name, mode and topic alone, so nothing about
// them is stored but the rule.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broker/base/seeded_fault.hpp"
#include "broker/domain/operations.hpp"
#include "broker/domain/settings_check.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

outcome<void> check_new(const core& c, const queue_path& path, queue_mode mode) {
    // A topic that is created gets those of all rules: it must have room for them.
    const std::size_t most =
        std::min<std::size_t>(limits::pattern_queues_max, c.options.queues_per_topic_max);
    if (c.patterns.size() >= most) {
        return refuse(error_code::too_many_patterns,
                      fmt::format("there are {} pattern queues, as many as there may be; remove "
                                  "some: brokerctl queue rm PATTERN/QUEUE",
                                  c.patterns.size()));
    }
    for (const auto& [name, other] : c.patterns) {
        if (other->rule.queue == path.queue && other->rule.mode != mode &&
            patterns_overlap(other->rule.topics, path.topic)) {
            return refuse(error_code::pattern_exists,
                          fmt::format("the pattern queue {} has mode {}, and may mean the same "
                                      "topics; choose this mode or another name",
                                      name, to_string(other->rule.mode)));
        }
    }
    return {};
}

outcome<void> check_width(const std::string& path, std::size_t queues) {
    if (queues > limits::pattern_topics_max) {
        return refuse(error_code::pattern_too_wide,
                      fmt::format("{} means {} topics; one request is for at most {} of them", path,
                                  queues, limits::pattern_topics_max));
    }
    return {};
}

// The topics that have no such queue yet. Refused as a whole if one of them can have none.
outcome<std::vector<topic*>> topics_without(const core& c, const queue_path& path,
                                            queue_mode mode) {
    std::vector<topic*> without;
    std::size_t meant = 0;
    for (const auto& [name, of] : c.topics_by_name) {
        if (!pattern_matches(path.topic, name)) {
            continue;
        }
        ++meant;
        const auto q = of->queues.find(path.queue);
        if (q != of->queues.end() && q->second->mode != mode) {
            return refuse(error_code::queue_exists,
                          fmt::format("queue {} exists with mode {}, which cannot be changed; "
                                      "remove it first or choose another name or pattern",
                                      q->second->path(), to_string(q->second->mode)));
        }
        if (q == of->queues.end()) {
            if (of->queues.size() >= c.options.queues_per_topic_max) {
                return std::unexpected(too_many_queues(*of));
            }
            without.push_back(of);
        }
    }
    if (auto checked = check_width(to_string(path), meant); !checked) {
        return std::unexpected(checked.error());
    }
    return without;
}

pattern_queue& add_pattern(core& c, pattern_put rule) {
    auto made = std::make_unique<pattern_queue>();
    made->rule = std::move(rule);
    pattern_queue& of = *made;
    c.patterns.emplace(of.path(), std::move(made));
    return of;
}

void answer_pattern(core& c, turn& t, asker who, const pattern_queue& of,
                    const queue_settings& asked, bool created, std::size_t changed) {
    c.answer(t, who, of.changed,
             codec::pattern_created{.created = created,
                                    .settings = of.rule.settings,
                                    .differing = differing(asked, of.rule.settings),
                                    .queues = static_cast<std::uint32_t>(of.queues.size()),
                                    .changed = static_cast<std::uint32_t>(changed)});
}

void make_pattern(core& c, turn& t, asker who, const codec::pattern_create& what,
                  const queue_path& path) {
    auto checked = check_new(c, path, what.mode);
    if (!checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    const auto without = topics_without(c, path, what.mode);
    if (!without) {
        c.refuse(t, who, without.error());
        return;
    }
    pattern_queue& of = add_pattern(c, {.pattern = pattern_id{c.next_id++},
                                        .topics = path.topic,
                                        .queue = path.queue,
                                        .mode = what.mode,
                                        .settings = what.settings,
                                        .created = t.wall});
    of.changed = c.gathering;
    c.emit(t, of.rule);
    for (const auto& [name, each] : c.topics_by_name) {
        const auto q = each->queues.find(path.queue);
        if (q != each->queues.end() && belongs(of, *q->second)) {
            of.queues.emplace(q->second->id, q->second.get());
        }
    }
    for (topic* each : *without) {
        const bool latest = what.start.kind == position_kind::latest;
        if (latest && each->open) {
            seal_chunk(c, t, *each);  // what was accepted counts as there
        }
        const offset_t start = latest ? each->end : each->first_kept();
        begin_queue(c, t, add_queue(c, t, *each, path.queue, what.mode, what.settings, start),
                    start);
    }
    answer_pattern(c, t, who, of, what.settings, true, without->size());
}

void answer_existing_pattern(core& c, turn& t, asker who, const codec::pattern_create& what,
                             pattern_queue& of) {
    if (of.rule.mode != what.mode) {
        c.refuse(t, who,
                 {error_code::pattern_exists,
                  fmt::format("the pattern queue {} exists with mode {}, which cannot be changed; "
                              "remove it first or choose another name",
                              of.path(), to_string(of.rule.mode))});
        return;
    }
    if (!what.replace) {
        answer_pattern(c, t, who, of, what.settings, false, 0);
        return;
    }
    if (auto checked = check_width(of.path(), of.queues.size()); !checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    std::size_t changed = 0;
    commit_number depends_on = of.changed;
    for (const auto& [id, q] : of.queues) {
        queue_settings settings = what.settings;
        settings.until = q->settings->until;  // of its topic alone
        settings.expires = q->settings->expires;
        changed += *q->settings != settings ? 1U : 0U;
        change_settings(c, t, *q, settings);
        depends_on = std::max(depends_on, q->changed);
    }
    if (of.rule.settings != what.settings) {
        of.rule.settings = what.settings;
        c.emit(t, of.rule);
        depends_on = c.gathering;
    }
    of.changed = depends_on;
    answer_pattern(c, t, who, of, what.settings, false, changed);
}

codec::pattern_item item_of(const pattern_queue& of) {
    return {.pattern = of.path(),
            .mode = of.rule.mode,
            .settings = of.rule.settings,
            .created = of.rule.created,
            .queues = static_cast<std::uint32_t>(of.queues.size()),
            .consumers = static_cast<std::uint32_t>(of.groups.size())};
}

// Its queues that no other rule means.
std::vector<queue*> only_of(const core& c, const pattern_queue& of) {
    std::vector<const pattern_queue*> others;  // a queue can only be of rules of its name
    for (const auto& [path, each] : c.patterns) {
        if (each.get() != &of && each->rule.queue == of.rule.queue) {
            others.push_back(each.get());
        }
    }
    std::vector<queue*> found;
    for (const auto& [id, q] : of.queues) {
        const bool also_of_another = std::ranges::any_of(
            others, [id](const pattern_queue* each) { return each->queues.contains(id); });
        if (!also_of_another) {
            found.push_back(q);
        }
    }
    return found;
}

}  // namespace

outcome<pattern_queue*> find_pattern(core& c, std::string_view path) {
    const auto at = c.patterns.find(path);
    if (at != c.patterns.end()) {
        return at->second.get();
    }
    if (auto parsed = parse_pattern_path(path); !parsed) {
        return std::unexpected(parsed.error());
    }
    return refuse(error_code::pattern_not_found,
                  fmt::format("the pattern queue {0} does not exist; create it: brokerctl queue "
                              "create '{0}'",
                              path));
}

bool belongs(const pattern_queue& of, const queue& q) {
    return q.name == of.rule.queue && q.mode == of.rule.mode &&
           pattern_matches(of.rule.topics, q.owner.name);
}

std::vector<const pattern_queue*> patterns_for(const core& c, std::string_view topic_name) {
    std::vector<const pattern_queue*> found;
    if (base::seeded_fault(base::fault::miss_new_topic)) {
        return found;
    }
    for (const auto& [path, each] : c.patterns) {
        if (pattern_matches(each->rule.topics, topic_name)) {
            found.push_back(each.get());
        }
    }
    const auto by_queue = [](const pattern_queue* each) {
        return std::pair{std::string_view(each->rule.queue), each->rule.pattern};
    };
    std::ranges::sort(found, {}, by_queue);
    const auto same = std::ranges::unique(
        found, {}, [](const pattern_queue* each) { return std::string_view(each->rule.queue); });
    found.erase(same.begin(), same.end());
    return found;
}

void make_pattern_queues(core& c, turn& t, topic& of) {
    for (const pattern_queue* each : patterns_for(c, of.name)) {
        const pattern_put& rule = each->rule;
        begin_queue(c, t, add_queue(c, t, of, rule.queue, rule.mode, rule.settings, 0), 0);
    }
}

void join_patterns(core& c, turn& t, queue& q) {
    for (const auto& [path, each] : c.patterns) {
        if (belongs(*each, q)) {
            each->queues.emplace(q.id, &q);
            join_groups(c, t, *each, q);
        }
    }
}

void leave_patterns(core& c, const queue& q) {
    for (const auto& [path, each] : c.patterns) {
        if (each->rule.queue == q.name) {
            each->queues.erase(q.id);
        }
    }
}

void restore_pattern(core& c, const pattern_put& stored) {
    const auto at = c.patterns.find(stored.topics + "/" + stored.queue);
    if (at != c.patterns.end()) {
        at->second->rule = stored;
    } else {
        add_pattern(c, stored);
    }
}

void restore_pattern(core& c, const pattern_erased& stored) {
    std::erase_if(c.patterns,
                  [&](const auto& each) { return each.second->rule.pattern == stored.pattern; });
}

void create_pattern(core& c, turn& t, asker who, const codec::pattern_create& asked) {
    const auto path = parse_pattern_path(asked.pattern);
    if (!path) {
        c.refuse(t, who, path.error());
        return;
    }
    if (asked.start.kind != position_kind::earliest && asked.start.kind != position_kind::latest) {
        c.refuse(t, who,
                 {error_code::invalid_argument,
                  "the queues of a pattern begin with the earliest or behind the latest message of "
                  "their topics; move one of them: brokerctl queue seek"});
        return;
    }
    const auto settings = settled(asked.settings);
    if (!settings) {
        c.refuse(t, who, settings.error());
        return;
    }
    if (settings->until != 0) {
        c.refuse(t, who,
                 {error_code::invalid_setting,
                  "until is an offset of one topic: a pattern queue has none; set it for one of "
                  "its queues"});
        return;
    }
    if (settings->expires != duration_us{0}) {
        c.refuse(t, who,
                 {error_code::invalid_setting,
                  "expires is for one temporary queue: those of a pattern queue stay, as a queue "
                  "that has gone is not made again; set it for one of its queues"});
        return;
    }
    codec::pattern_create what = asked;
    what.settings = *settings;
    const auto existing = c.patterns.find(what.pattern);
    if (existing != c.patterns.end()) {
        answer_existing_pattern(c, t, who, what, *existing->second);
    } else {
        make_pattern(c, t, who, what, *path);
    }
}

void list_patterns(core& c, turn& t, asker who, const codec::pattern_list& what) {
    if (!what.pattern.empty()) {
        const auto found = find_pattern(c, what.pattern);
        if (!found) {
            c.refuse(t, who, found.error());
            return;
        }
        c.answer(t, who, (*found)->changed, codec::patterns{false, {item_of(**found)}});
        return;
    }
    const auto limit = std::clamp<std::size_t>(what.limit, 1, limits::patterns_page_max);
    codec::patterns page;
    commit_number depends_on;
    auto at = c.patterns.upper_bound(what.after);
    for (; at != c.patterns.end() && page.items.size() < limit; ++at) {
        page.items.push_back(item_of(*at->second));
        depends_on = std::max(depends_on, at->second->changed);
    }
    page.more = at != c.patterns.end();
    c.answer(t, who, depends_on, std::move(page));
}

void remove_pattern(core& c, turn& t, asker who, const codec::pattern_remove& what) {
    const auto found = find_pattern(c, what.pattern);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    pattern_queue& of = **found;
    std::vector<queue*> removed;
    if (what.queues) {
        removed = only_of(c, of);
        if (auto checked = check_width(of.path(), removed.size()); !checked) {
            c.refuse(t, who, checked.error());
            return;
        }
    }
    const codec::counted count{.messages = removed.size()};
    if (what.dry_run) {
        c.answer(t, who, of.changed, count);
        return;
    }
    end_groups(c, t, of, fmt::format("the pattern queue {} was removed", of.path()));
    for (queue* q : removed) {
        const std::string text = fmt::format("queue {} was removed", q->path());
        c.emit(t, queue_removed{q->owner.id, q->id});
        drop_queue(c, t, *q, error_code::queue_removed, text);
    }
    c.emit(t, pattern_erased{of.rule.pattern});
    c.patterns.erase(c.patterns.find(of.path()));
    c.answer(t, who, c.gathering, count);
}

}  // namespace brokerd::domain
