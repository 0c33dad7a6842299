// Queues with a filter or an end: how they are made, at which positions, and how the filter of one
// that runs is changed. With random numbers of its own, so that runs without any are as they were.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "protocol/types/names.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

// ---- what is asked for ----

// About the end of a topic, more often beyond it.
offset_t world::near_end(offset_t end) {
    constexpr offset_t behind = 10;
    constexpr std::uint64_t width = 40;
    return 1 + end - std::min(end, behind) + sieve_random_.below(width);
}

model_term world::any_term(offset_t end) {
    constexpr std::uint64_t keys = 6;
    constexpr std::uint64_t headers = 3;
    constexpr std::uint64_t sizes = 5;
    constexpr std::int64_t about_now = 5'000'000;
    model_term made{static_cast<term_kind>(sieve_random_.below(term_kinds))};
    switch (made.kind) {
        case term_kind::key_is:
        case term_kind::key_is_not:
        case term_kind::key_among: made.number = sieve_random_.below(keys); break;
        case term_kind::header_is: made.number = sieve_random_.below(headers); break;
        case term_kind::offset_from:
        case term_kind::offset_below: made.number = near_end(end); break;
        case term_kind::size_from:
            made.number = payload_bytes_min + sieve_random_.below(sizes);
            break;
        case term_kind::appended_from:
            made.number = static_cast<std::uint64_t>(to_us(model_.wall()) +
                                                     sieve_random_.between(-about_now, about_now));
            break;
        case term_kind::has_key:
        case term_kind::has_header: break;
    }
    return made;
}

model_sieve world::any_sieve(offset_t end) {
    model_sieve made;
    for (std::uint64_t left = sieve_random_.below(3); left > 0; --left) {
        made.terms.push_back(any_term(end));
    }
    made.any = made.terms.size() > 1 && sieve_random_.chance(1, 2);
    made.negated = !made.terms.empty() && sieve_random_.chance(1, 3);
    if (made.terms.empty() || sieve_random_.chance(1, 4)) {
        made.until = near_end(end);
    }
    return made;
}

position world::any_start(offset_t end) {
    position start;
    if (filters_ && sieve_random_.chance(1, 2)) {
        start.kind = sieve_random_.chance(1, 2) ? position_kind::latest : position_kind::offset;
        if (start.kind == position_kind::offset) {
            start.offset = sieve_random_.below(end + 2);
        }
    }
    return start;
}

queue_settings world::settings_with(std::string_view path, const model_sieve& what) {
    const auto parsed = parse_queue_path(path);
    const auto of = model_.state.topics.find(parsed->topic);
    const bool exists =
        of != model_.state.topics.end() && of->second.queues.contains(parsed->queue);
    queue_settings settings =
        exists ? of->second.queues.at(parsed->queue).settings : settings_of(path);
    const bool other = filters_ && sieve_random_.chance(1, 2);
    settings.filter = what.text(other ? spelling::other : spelling::canonical);
    settings.until = what.until;
    return settings;
}

// ---- steps ----

void world::make_queue(sim_client& who, const std::string& path, duration_us expires) {
    const auto parsed = parse_queue_path(path);
    const auto known = model_.state.topics.find(parsed->topic);
    const bool has_topic = known != model_.state.topics.end();
    const offset_t end = has_topic ? known->second.next() : 0;
    const bool exists = has_topic && known->second.queues.contains(parsed->queue);
    model_sieve asked;
    if (filters_ && exists && sieve_random_.chance(1, 2)) {
        asked = queue_at(path).sieves.back();
    } else if (filters_ && sieve_random_.chance(1, 2)) {
        asked = any_sieve(end);
    }
    codec::queue_create create;
    create.queue = path;
    create.mode = exists ? queue_at(path).mode : mode_of(path);
    create.settings = settings_with(path, asked);
    if (!exists) {
        create.settings.expires = expires;
    }
    create.start = any_start(end);
    create.create_topic = true;
    const std::size_t mark = effects_.mutations.size();
    const auto reply = ask(who, create);
    const auto* created = std::get_if<codec::queue_created>(&reply->body);
    if (created == nullptr) {
        throw violation(fmt::format("{} could not be created", path));
    }
    if (!created->created) {
        model_.check_existing(parsed->topic, parsed->queue, asked, *created);
        model_.queue_used(parsed->topic, parsed->queue);
        return;
    }
    if (created->topic_created) {
        codec::topic_list list;
        list.topic = parsed->topic;
        const auto listed = ask(who, list);
        learn_topic(parsed->topic, std::get<codec::topics>(listed->body).items.at(0).topic, mark);
        if (model_.state.topics.at(parsed->topic).queues.contains(parsed->queue)) {
            note("queue of a rule with its topic");
            model_.check_sieve(parsed->topic, parsed->queue, created->settings);
            return;
        }
    }
    note("queue created", asked.until);
    if (!asked.takes_all()) {
        note("filtered", end);
    }
    model_.queue_created(parsed->topic, parsed->queue, created->queue, create.mode, create.settings,
                         asked, create.start, starts_.at(created->queue));
    model_.check_sieve(parsed->topic, parsed->queue, created->settings);
}

void world::change_sieve(sim_client& who, const std::string& path) {
    const std::uint64_t dice = sieve_random_.below(8);
    if (dice == 0) {
        try_bad_filter(who, path);
        return;
    }
    const auto parsed = parse_queue_path(path);
    const model_sieve before = queue_at(path).sieves.back();
    const model_sieve asked = dice == 1  ? before
                              : dice < 4 ? model_sieve{}
                                         : any_sieve(model_.state.topics.at(parsed->topic).next());
    const bool changes = model_.is_changed_by(parsed->topic, parsed->queue, asked);
    note(!changes            ? "filter the same"
         : asked.takes_all() ? "filter taken away"
                             : "filter changed",
         asked.until);
    if (options_.trace) {
        fmt::print(stderr, "    {}: \"{}\" until {}\n", path, asked.text(), asked.until);
    }
    const codec::queue_set what{path, settings_with(path, asked)};
    const commit_number earliest = gathering_;
    model_.sieve_changing(parsed->topic, parsed->queue, asked);
    const auto reply = ask(who, what);
    expect(std::holds_alternative<codec::ok>(reply->body), "the filter {} of {} was refused",
           what.settings.filter, path);
    expect(!changes || reply->depends_on >= earliest,
           "a change of the filter of {} is answered before its commit", path);
    model_.sieve_changed(parsed->topic, parsed->queue);
}

// Nothing changes.
void world::try_bad_filter(sim_client& who, const std::string& path) {
    note("filter refused");
    codec::queue_set what{path, settings_with(path, any_sieve(0))};
    what.settings.filter = sieve_random_.chance(1, 2) ? "key = 'k1' or age > 1s" : "key =";
    const auto reply = ask(who, what);
    const auto* refused = std::get_if<codec::error>(&reply->body);
    expect(refused != nullptr && refused->code == error_code::invalid_setting &&
               refused->text.starts_with("filter"),
           "a queue may have the filter {}", what.settings.filter);
}

}  // namespace brokerd::sim
