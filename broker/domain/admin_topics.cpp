// Creating, changing and removing topics.
#include <utility>

#include <fmt/format.h>

#include "broker/domain/operations.hpp"
#include "broker/domain/settings_check.hpp"
#include "protocol/types/limits.hpp"
#include "protocol/types/names.hpp"

namespace brokerd::domain {
namespace {

outcome<void> check_retention(const topic_settings& settings) {
    if (settings.when_full != full_policy::refuse &&
        settings.when_full != full_policy::drop_oldest) {
        return refuse(error_code::invalid_setting,
                      fmt::format("when_full = {} is neither 1 (refuse) nor 2 (drop the oldest)",
                                  static_cast<unsigned>(settings.when_full)));
    }
    if (settings.max_bytes > 0 && settings.max_bytes < limits::topic_bytes_min) {
        return refuse(error_code::invalid_setting,
                      fmt::format("max_bytes = {} is out of bounds: 0 (none) or at least {} is "
                                  "allowed",
                                  settings.max_bytes, limits::topic_bytes_min));
    }
    return settings.max_age == duration_us{0}
               ? outcome<void>()
               : check_bounds<duration_us>("max_age", settings.max_age, limits::max_age_min,
                                           limits::max_age_max);
}

}  // namespace

outcome<void> check_settings(const topic_settings& settings) {
    if (settings.durability != durability::disk && settings.durability != durability::os) {
        return refuse(error_code::invalid_setting,
                      fmt::format("durability = {} is not for a topic: disk and os are allowed; "
                                  "for a broker that keeps nothing start it with --ephemeral",
                                  to_string(settings.durability)));
    }
    if (auto checked = check_bounds<duration_us>("keep_done", settings.keep_done, duration_us{0},
                                                 limits::keep_done_max);
        !checked) {
        return checked;
    }
    if (auto checked =
            check_bounds<duration_us>("ttl", settings.ttl, duration_us{0}, limits::ttl_max);
        !checked) {
        return checked;
    }
    if (auto checked = check_bounds<duration_us>("message_id_window", settings.message_id_window,
                                                 duration_us{0}, limits::message_id_window_max);
        !checked) {
        return checked;
    }
    if (auto checked = check_bounds<std::uint64_t>("priorities", settings.priorities, 0,
                                                   limits::priorities_max);
        !checked) {
        return checked;
    }
    if (auto checked = check_retention(settings); !checked) {
        return checked;
    }
    return check_bounds<std::uint64_t>("max_message_bytes", settings.max_message_bytes, 1,
                                       limits::message_bytes_max);
}

topic& make_topic(core& c, turn& t, const std::string& name, const topic_settings& settings) {
    auto made = std::make_unique<topic>(topic_id{c.next_id++});
    topic& of = *made;
    of.name = name;
    of.settings = settings;
    of.settings.priorities = std::max<std::uint8_t>(settings.priorities, 1);
    of.created = t.wall;
    of.changed = c.gathering;
    of.without_queue_since = t.now.mono;
    c.topics.emplace(of.id, std::move(made));
    c.topics_by_name.emplace(of.name, &of);
    c.emit(t, topic_created{of.id, of.name, of.settings, of.created});
    expiry_changed(c, t, of);
    make_pattern_queues(c, t, of);
    return of;
}

// With the levels of priority it has, unless others are named.
topic_settings complete(topic_settings asked, const topic& of) {
    if (asked.priorities == 0) {
        asked.priorities = of.settings.priorities;
    }
    return asked;
}

void create_topic(core& c, turn& t, asker who, const codec::topic_create& what) {
    auto checked = check_topic_name(what.topic);
    if (checked) {
        checked = check_settings(what.settings);
    }
    if (!checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    const auto found = c.topics_by_name.find(what.topic);
    const bool is_new = found == c.topics_by_name.end();
    const topic& of = is_new ? make_topic(c, t, what.topic, what.settings) : *found->second;
    c.answer(
        t, who, of.changed,
        codec::topic_created{.created = is_new,
                             .topic = of.id,
                             .settings = of.settings,
                             .differing = differing(complete(what.settings, of), of.settings)});
}

void set_topic(core& c, turn& t, asker who, const codec::topic_set& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    if (auto checked = check_settings(what.settings); !checked) {
        c.refuse(t, who, checked.error());
        return;
    }
    topic& of = **found;
    const topic_settings settings = complete(what.settings, of);
    if (settings.priorities != of.settings.priorities) {
        c.refuse(t, who,
                 {error_code::invalid_setting,
                  fmt::format("the levels of priority of topic {} are fixed: it was made with {}; "
                              "make another topic for {}",
                              of.name, of.settings.priorities, settings.priorities)});
        return;
    }
    if (of.settings != settings) {
        const topic_settings before = std::exchange(of.settings, settings);
        of.changed = c.gathering;
        c.emit(t, topic_changed{of.id, of.settings});
        message_id_window_changed(c, t, of, before.message_id_window);
        reservation_changed(c, t, of);
        limits_changed(c, t, of, before);
        expiry_changed(c, t, of);
    }
    c.answer(t, who, of.changed, codec::ok{});
}

void remove_topic(core& c, turn& t, asker who, const codec::topic_remove& what) {
    const auto found = c.find_topic(what.topic);
    if (!found) {
        c.refuse(t, who, found.error());
        return;
    }
    topic& of = **found;
    const std::string text = fmt::format("topic {} was removed", of.name);
    while (!of.queues.empty()) {
        drop_queue(c, t, *of.queues.begin()->second, error_code::topic_removed, text);
    }
    for (const waiting_read& each : of.waiting) {
        c.refuse(t, {each.connection, each.request}, {error_code::topic_removed, text});
        if (connection* from = c.find_connection(each.connection)) {
            --from->waiting_reads;
        }
    }
    forget_message_ids(c, t, of, {error_code::topic_removed, text});
    c.producers.remove_topic(of.id);
    c.cache.drop_all(of.tail);
    std::erase(c.open_topics, &of);
    c.forget_trim(of);
    forget_schedules(c, of);
    forget_expiry(c, of);
    c.topics_waiting.erase(of.id);
    c.emit(t, topic_removed{of.id});
    c.answer(t, who, c.gathering, codec::ok{});
    c.topics_by_name.erase(of.name);
    c.topics.erase(topic_id{of.id});
}

}  // namespace brokerd::domain
