// What the simulated clients and administrators do, and the step that chooses among it.
#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "protocol/codec/record_batch.hpp"
#include "protocol/codec/registry.hpp"
#include "protocol/types/names.hpp"
#include "tests/sim/world.hpp"

namespace brokerd::sim {

using namespace std::chrono_literals;

byte_buffer make_batch(const std::vector<std::uint64_t>& contents, producer_id producer,
                       std::uint64_t first_sequence) {
    codec::batch_builder builder;
    for (const std::uint64_t content : contents) {
        byte_buffer payload(size_of_content(content));
        store_le(payload.data(), content);
        const auto number = key_of_content(content);
        const std::string key = "k" + std::to_string(number.value_or(0));
        const auto kind = header_of_content(content);
        const auto id = id_of_content(content);
        const std::uint8_t priority = priority_of_content(content);
        const std::string header = "h" + std::to_string(kind.value_or(0));
        std::vector<codec::header_view> headers;
        if (kind) {
            headers.emplace_back("h", header);
        }
        builder.add({.key = number ? std::optional<std::string_view>(key) : std::nullopt,
                     .headers = std::move(headers),
                     .payload = payload,
                     .ttl_ms = ttl_ms_of_content(content),
                     .priority = priority > 0 ? std::optional{priority} : std::nullopt,
                     .id = id});
    }
    return builder.take(producer, first_sequence);
}

void world::step() {
    sim_client& who = clients_[random_.below(clients_.size())];
    const std::uint64_t dice = random_.below(100);
    if (!who.connected) {
        if (dice < 60) {
            connect(who);
            resend(who);
        }
    } else if (dice < 22) {
        do_publish(who);
    } else if (dice < 52) {
        do_settle(who);
    } else if (dice < 60) {
        do_attach(who);
    } else if (dice < 62) {
        do_detach(who);
    } else if (dice < 64) {
        do_prefetch(who);
    } else if (dice < 67) {
        do_disconnect(who);
    } else if (dice < 72) {
        do_admin();
    } else if (dice < 78) {
        do_look();
    } else if (dice < 85) {
        do_schedule(who);
    } else if (dice < 88) {
        do_cancel(who);
    } else if (dice < 90) {
        do_list(who);
    } else if (dice < 97) {
        do_transaction(who);
    }
    do_services();
    do_extras();
    advance();
    if (random_.chance(1, 2)) {
        finish_commit();
    }
    while (!fetches_.empty() && random_.chance(slow_store_ ? 1 : 6, 9)) {
        answer_fetch(random_.below(fetches_.size()));
    }
    turn();
    if (random_.chance(1, 80)) {
        crash();
    } else if (os_ && applied_ > durable_ && os_random_.chance(1, 12)) {
        crash();  // where there is most to lose
    } else if (os_ && os_random_.chance(1, 100)) {
        stop();
    }
}

void world::do_extras() {
    const auto who = std::ranges::find_if(clients_, &sim_client::connected);
    if (who == clients_.end() || model_.state.topics.size() < 2) {
        return;
    }
    if (ids_ && id_random_.chance(1, 25)) {
        change_window(*who);
    }
    if (os_ && os_random_.chance(1, 20)) {
        change_level(*who);
    }
    if (clones_ && clone_random_.chance(1, 20)) {
        do_clone(*who);
    }
    if (temporary_ && temporary_random_.chance(1, 20)) {
        do_temporary(*who);
    }
    if (limits_ && limit_random_.chance(1, 6)) {
        do_limits(*who);
    }
    if (patterns_ && pattern_random_.chance(1, 4)) {
        do_patterns(*who);
    }
    if (levels_ && level_random_.chance(1, 25)) {
        set_levels(*who);
    }
}

void world::connect(sim_client& who) {
    who.connection = connection_id{next_connection_++};
    who.connected = true;
    who.ended.clear();
    who.detaches.clear();
    note("connect", who.connection.value());
    apply(domain::connection_opened{who.connection,
                                    fmt::format("client@sim:{}", who.producer.value())});
    settle_outputs();
    if (patterns_ && std::exchange(was_restarted_, false)) {
        check_patterns(who);
        check_queues(who);
    }
    if (model_.state.topics.size() < 2 || random_.chance(1, 20)) {
        for (const char* topic : {"a", "b"}) {
            if (limits_ || levels_) {
                make_topic(who, topic);
            }
        }
        for (const char* path : {"a/one", "a/two", "b/one"}) {
            make_queue(who, path);
        }
    }
}

// The same for a path in all of a run: half of the queues are shared.
queue_mode world::mode_of(std::string_view path) const {
    const auto dice = (options_.seed / 3 + std::hash<std::string_view>{}(path)) % 4;
    return dice == 0 ? queue_mode::keyed : dice == 1 ? queue_mode::single : queue_mode::shared;
}

queue_settings world::settings_of(std::string_view path) const {
    queue_settings settings;
    settings.lease = 5s;
    settings.attempts = 3;
    settings.backoff = 200ms;
    settings.backoff_max = 2s;
    settings.after_failure = options_.seed % 2 == 0 ? after_failure::block : after_failure::skip;
    const auto dice = (options_.seed / 5 + std::hash<std::string_view>{}(path) / 4) % 2;
    settings.on_expiry = dice == 0 ? expiry_action::done : expiry_action::dead;
    constexpr std::uint64_t few_gaps = 2;
    if (filters_ && (options_.seed / 7 + std::hash<std::string_view>{}(path) / 16) % 3 == 0) {
        settings.max_runs = few_gaps;
    }
    return settings;
}

void world::send_publish(sim_client& who, pending_publish what) {
    const std::uint32_t id = next_request_++;
    auto bytes = std::make_shared<byte_buffer>(what.batch);
    domain::publish_request publish;
    publish.topic = what.topic;
    publish.batch = {bytes, *bytes};
    publish.count = static_cast<std::uint32_t>(what.contents.size());
    publish.producer = who.producer;
    publish.first_sequence = what.sequence;
    publish.largest_record = what.largest_record;
    publish.id = id_of_content(what.contents.front()).value_or("");
    publish.later = what.later;
    publishes_[id] = {who.connection, who.producer, what, wall_min()};
    who.unanswered[id] = std::move(what);
    apply(domain::request{who.connection, id, std::move(publish)});
    settle_outputs();
    if (publishes_.contains(id)) {
        note("publish waits", id);  // for what is known of its message id
    }
}

world::pending_publish world::any_publish(std::uint64_t count_max) {
    pending_publish what;
    what.topic = any_topic();
    for (std::uint64_t left = 1 + random_.below(count_max); left > 0; --left) {
        what.contents.push_back(new_content());
    }
    give_id(what);
    give_priority(what);
    return what;
}

std::optional<world::pending_publish> world::new_batch(sim_client& who, std::uint64_t count_max) {
    pending_publish what = any_publish(count_max);
    if (!model_.state.topics.contains(what.topic)) {
        return std::nullopt;
    }
    auto& next = who.next_sequence.try_emplace(what.topic, 1).first->second;
    what.sequence = next;
    next += what.contents.size();
    what.batch = make_batch(what.contents, who.producer, what.sequence);
    return what;
}

void world::do_publish(sim_client& who) {
    if (auto what = new_batch(who, 5)) {
        send_publish(who, *std::move(what));
    }
}

void world::resend(sim_client& who) {
    for (auto& pending : std::exchange(who.to_resend, {})) {
        if (model_.state.topics.contains(pending.topic)) {
            note("resend", pending.sequence);
            send_publish(who, std::move(pending));
        }
    }
    for (auto& pending : std::exchange(who.transactions_to_resend, {})) {
        note("transaction resent", pending.sequence);
        send_transaction(who, std::move(pending));
    }
}

void world::append_lease(std::vector<lease_run>& runs, const held_lease& held) {
    if (!runs.empty() && runs.back().epoch == held.lease.epoch &&
        runs.back().first_offset + runs.back().count == held.offset &&
        runs.back().first_lease + runs.back().count == held.lease.counter) {
        ++runs.back().count;
    } else {
        runs.push_back({held.offset, 1, held.lease.epoch, held.lease.counter});
    }
}

void world::trace_leases(queue_id queue, const std::vector<lease_run>& runs) {
    if (!options_.trace) {
        return;
    }
    for (const auto& run : runs) {
        for (std::uint32_t i = 0; i < run.count; ++i) {
            fmt::print(stderr, "    queue {} offset {} lease {}:{}: {}\n", queue.value(),
                       run.first_offset + i, run.epoch.value(), run.first_lease + i,
                       model_.describe(queue, run.first_offset + i));
        }
    }
}

void world::do_settle(sim_client& who) {
    if (who.held.empty()) {
        return;
    }
    codec::settle what;
    what.queue = who.held[random_.below(who.held.size())].queue;
    const std::uint64_t dice = random_.below(20);
    what.action = dice < 12   ? settle_action::ack
                  : dice < 15 ? settle_action::nack
                  : dice < 16 ? settle_action::reject
                  : dice < 18 ? settle_action::release
                              : settle_action::extend;
    what.confirm = random_.chance(1, 2);
    if (what.action == settle_action::nack && random_.chance(1, 2)) {
        what.delay = duration_us{static_cast<std::int64_t>(random_.below(3'000'000))};
    }
    if (what.action == settle_action::nack || what.action == settle_action::reject) {
        what.reason = "no reason";
    }
    std::vector<held_lease> kept;
    std::uint64_t total = 0;
    for (const auto& held : who.held) {
        if (held.queue != what.queue || model_.is_worth_unknown(held.queue, held.offset) ||
            random_.chance(1, 2)) {
            kept.push_back(held);
            continue;
        }
        ++total;
        append_lease(what.runs, held);
        if (what.action == settle_action::extend) {
            kept.push_back(held);
        }
    }
    who.held = std::move(kept);
    if (what.runs.empty()) {
        return;
    }
    look_at_doubts(who, what.queue, what.runs);
    note(to_string(what.action), total);
    trace_leases(what.queue, what.runs);
    const std::uint32_t id = next_request_++;
    settles_[id] = what;
    apply_whole(domain::request{who.connection, id, what});
    const holder by{who.connection, consumer_on(who, what.queue)};
    settle_accepted_[id] = model_.settled(what, by, now_);
    settle_outputs();
}

void world::do_attach(sim_client& who) {
    if (model_.state.topics.empty() || who.consumers.size() >= 3) {
        return;
    }
    await_transactions();  // so that the model may take leases up before the domain does
    codec::attach what;
    what.queue = random_queue_path();
    const auto path = parse_queue_path(what.queue);
    const queue_id queue = queue_at(what.queue).id;
    what.consumer = consumer_id{next_request_};
    what.prefetch_messages = static_cast<std::uint32_t>(1 + random_.below(8));
    const bool limited = random_.chance(1, 5);
    what.limit = limited ? 1 + random_.below(4) : 0;
    if (random_.chance(2, 3)) {
        for (const auto& held : who.held) {
            if (held.queue == queue && !model_.is_worth_unknown(queue, held.offset)) {
                what.held.push_back({held.offset, 1, held.lease.epoch, held.lease.counter});
            }
        }
    }
    look_at_doubts(who, queue, what.held);
    const holder by{who.connection, what.consumer};
    who.consumers[what.consumer.value()] = {what.queue, queue};
    model_.attached(by, {path->topic, path->queue, what.prefetch_messages, what.limit, limited});
    std::size_t gone = 0;
    for (const auto& run : what.held) {
        const bool taken = model_.taken_up(path->topic, path->queue, run.first_offset,
                                           {run.epoch, run.first_lease}, by, now_);
        note(taken ? "taken up" : "gone", run.first_offset);
        gone += taken ? 0 : 1;
    }
    const auto reply = ask(who, what);
    const auto* attached = std::get_if<codec::attached>(&reply->body);
    if (attached == nullptr) {
        throw violation("an attach was refused");
    }
    std::size_t told = 0;
    for (const auto& run : attached->gone) {
        told += run.count;
    }
    if (told != gone) {
        throw violation(fmt::format("{} held leases are gone, the model says {}", told, gone));
    }
}

void world::do_detach(sim_client& who) {
    if (who.consumers.empty()) {
        return;
    }
    const consumer_id id{who.consumers.begin()->first};
    const queue_id left = who.consumers.begin()->second.second;
    const std::set<queue_id>& all_left = who.joined[id.value()];
    who.consumers.erase(who.consumers.begin());
    std::erase_if(who.held, [&](const held_lease& held) {
        return held.queue == left || all_left.contains(held.queue);
    });
    note("detach", id.value());
    who.detaches[next_request_] = id.value();
    apply(domain::request{who.connection, next_request_++, codec::detach{id}});
    await_transactions(who.connection);
    model_.detached({who.connection, id}, now_);
    settle_outputs();
}

void world::do_prefetch(sim_client& who) {
    if (who.consumers.empty()) {
        return;
    }
    codec::set_prefetch what;
    what.consumer = consumer_id{who.consumers.begin()->first};
    what.messages = static_cast<std::uint32_t>(random_.below(6));
    what.bytes = limits::prefetch_bytes_default;
    if (who.consumers.begin()->second.second == queue_id{} && pattern_random_.chance(1, 2)) {
        what.bytes = pattern_random_.below(400);
    }
    apply(domain::request{who.connection, next_request_++, what});
    model_.set_prefetch({who.connection, what.consumer}, what.messages, what.bytes);
    settle_outputs();
}

void world::do_disconnect(sim_client& who) {
    const bool goodbye = random_.chance(1, 3);
    note(goodbye ? "goodbye" : "lost", who.connection.value());
    services_.connection_closed(who.connection);
    apply(domain::connection_closed{who.connection, goodbye});
    if (goodbye) {
        await_transactions(who.connection);
    }
    model_.connection_closed(who.connection, goodbye, now_);
    settle_outputs();
    who.connected = false;
    who.consumers.clear();
    if (goodbye) {
        who.held.clear();
    }
    lose_answers(who);
}

std::vector<std::string> world::queue_paths() const {
    std::vector<std::string> paths;
    for (const auto& [topic_name, topic] : model_.state.topics) {
        for (const auto& [queue_name, queue] : topic.queues) {
            paths.push_back(topic_name + "/" + queue_name);
        }
    }
    return paths;
}

std::string world::random_queue_path() {
    const auto paths = queue_paths();
    return paths[random_.below(paths.size())];
}

model_queue& world::queue_at(const std::string& path) {
    const auto parsed = parse_queue_path(path);
    return model_.state.topics.at(parsed->topic).queues.at(parsed->queue);
}

void world::do_admin() {
    const auto who = std::ranges::find_if(clients_, &sim_client::connected);
    if (who == clients_.end() || model_.state.topics.size() < 2) {
        return;
    }
    // Some of these take several turns and the model hears of them at their end: no transaction is
    // decided meanwhile.
    await_transactions();
    const std::string path = random_queue_path();
    if (filters_ && sieve_random_.chance(1, 4)) {
        change_sieve(*who, path);
        return;
    }
    const auto parsed = parse_queue_path(path);
    auto& queue = queue_at(path);
    model_.administered(queue.id);
    const auto forget_confirmed = [&] {
        std::erase_if(confirmed_,
                      [&](const auto& entry) { return entry.first.first == queue.id.value(); });
        for (auto& [request, sent] : settles_) {
            if (sent.queue == queue.id) {
                sent.action = settle_action::extend;  // its answer says nothing any more
            }
        }
        forget_acks(queue.id);
    };
    const auto counted = [&](const std::optional<domain::output>& reply) {
        const auto* answer = std::get_if<codec::counted>(&reply->body);
        if (answer == nullptr) {
            throw violation("an administrative request was refused");
        }
        return *answer;
    };
    const auto same = [&](std::string_view what, std::uint64_t told, const model_count& expected) {
        note(what, told);
        expect(expected.takes(told), "{} of {} concerned {} messages, the model says {}", what,
               path, told, expected.text());
    };
    const auto any_selection = [&] {
        constexpr std::uint64_t keys = 8;
        model_selection which;
        if (random_.chance(1, 3)) {
            which.attempts_min = static_cast<std::uint32_t>(random_.below(3));
            which.text = fmt::format("attempts >= {}", *which.attempts_min);
        }
        if (random_.chance(1, 3)) {
            which.key = random_.below(keys);
            which.text +=
                fmt::format("{}key = 'k{}'", which.text.empty() ? "" : " and ", *which.key);
        }
        return which;
    };
    // Every slice concerns exactly what the model says of its range.
    const auto in_slices = [&](auto request, auto concerned) {
        model_selection which = any_selection();
        request.filter = which.text;
        request.limit = static_cast<std::uint32_t>(random_.below(4));
        for (bool more = true; more;) {
            request.from = which.from;
            const auto reply = ask(*who, request);
            const auto* busy = std::get_if<codec::error>(&reply->body);
            if (busy != nullptr && busy->code == error_code::busy && !queue.sifts_at_once()) {
                note("too many gaps", which.from);
                return;
            }
            const auto answer = counted(reply);
            // The last slice looked at everything there is.
            const offset_t until = answer.more ? answer.position : offset_end;
            if (answer.more && answer.position <= which.from) {
                throw violation(fmt::format("a slice of {} led nowhere", path));
            }
            same(codec::message_name<decltype(request)>, answer.messages, concerned(which, until));
            which.from = until;
            more = answer.more;
        }
    };
    switch (random_.below(ttl_share_ > 0 ? 7 : 6)) {
        case 0: {
            const bool on = !queue.paused && random_.chance(1, 2);
            model_.paused(parsed->topic, parsed->queue, on);
            (void)ask(*who, codec::queue_pause{path, on});
            note(on ? "pause" : "resume");
            break;
        }
        case 1: {
            if (random_.chance(1, 3)) {
                const auto answer = counted(ask(*who, codec::queue_purge{.queue = path}));
                same("purge", answer.messages, model_.purged(parsed->topic, parsed->queue));
                break;
            }
            in_slices(codec::queue_purge{.queue = path}, [&](const auto& which, offset_t until) {
                return model_.purged(parsed->topic, parsed->queue, which, until);
            });
            break;
        }
        case 2: {
            codec::queue_seek seek;
            seek.queue = path;
            seek.to.kind = position_kind::offset;
            const model_topic& topic = model_.state.topics.at(parsed->topic);
            seek.to.offset = topic.skipped.empty() ? random_.below(topic.contents.size() + 2)
                                                   : any_offset(topic);
            forget_confirmed();
            if (!queue.sieves.back().takes_all()) {
                note("seek filtered", seek.to.offset);
            }
            model_.hold_deaths();
            const offset_t end = topic.end;
            const auto answer = counted(ask(*who, seek));
            same("seek", answer.messages,
                 model_.sought(parsed->topic, parsed->queue, answer.position, end));
            break;
        }
        case 3: {
            forget_confirmed();
            in_slices(codec::dead_redrive{.queue = path}, [&](const auto& which, offset_t until) {
                return model_.redriven(parsed->topic, parsed->queue, now_, which, until);
            });
            break;
        }
        case 4: {
            in_slices(codec::dead_purge{.queue = path}, [&](const auto& which, offset_t until) {
                return model_.dead_purged(parsed->topic, parsed->queue, which, until);
            });
            break;
        }
        case 6: change_ttl(*who, parsed->topic); break;
        default: {
            if (!random_.chance(1, 6)) {
                break;
            }
            remove_queue(*who, path);
            make_queue(*who, path);
            break;
        }
    }
    model_.administered({});
}

void world::check_queues(sim_client& who) {
    const auto listed = ask(who, codec::queue_list{});
    const auto& queues = std::get<codec::queues>(listed->body).items;
    expect(queues.size() == queue_paths().size(), "{} queues are listed, there are {}",
           queues.size(), queue_paths().size());
    for (const auto& item : queues) {
        model_.check_counts(item, now_);
        model_.check_settings(item);
    }
}

void world::do_look() {
    const auto who = std::ranges::find_if(clients_, &sim_client::connected);
    if (who == clients_.end() || model_.state.topics.size() < 2) {
        return;
    }
    check_queues(*who);
    const std::string path = random_queue_path();
    check_dead(*who, path);
    const auto parsed = parse_queue_path(path);
    const auto& topic = model_.state.topics.at(parsed->topic);
    if (topic.end == 0) {
        return;
    }
    const offset_t offset = any_offset(topic);
    const bool skipped = topic.skipped.contains(offset);
    look_at(*who, parsed->topic, offset);
    const auto explained = ask(*who, codec::queue_explain{path, true, offset});
    if (const auto* sentence = std::get_if<codec::explained>(&explained->body);
        !skipped && (sentence == nullptr || sentence->sentence.empty())) {
        throw violation("explain has nothing to say");
    }
    codec::read read;
    read.topic = parsed->topic;
    read.from = {position_kind::offset, offset, {}};
    const auto answer = ask(*who, read);
    if (const auto* result = std::get_if<domain::read_result>(&answer->body)) {
        check_read(topic, offset, *result);
        if (skipped) {
            note("read of a skipped offset", offset);
        }
    } else if (offset >= topic.trim) {
        throw violation(fmt::format("offset {} cannot be read", offset));
    }
}

// Of any client that is there; a few at a time, so that some are in progress together.
void world::do_services() {
    while (services_.wants_step()) {
        const sim_client& who = clients_[services_.any(clients_.size())];
        if (!who.connected) {
            continue;
        }
        const std::uint32_t id = next_request_++;
        apply(domain::request{who.connection, id, services_.step(who.connection, id, now_)});
        settle_outputs();
    }
}

void world::advance() {
    const std::uint64_t dice = random_.below(100);
    duration_us step{0};
    if (dice < 60) {
        step = duration_us{static_cast<std::int64_t>(random_.below(50'000))};
    } else if (dice < 85) {
        step = duration_us{static_cast<std::int64_t>(random_.below(1'000'000))};
    } else if (dice < 88) {
        step = duration_us{static_cast<std::int64_t>(random_.below(8'000'000))};
    }
    now_.mono += step;
    now_.wall += step;
    if (random_.chance(1, 100)) {
        const std::int64_t minutes = random_.between(1, 600);
        const bool forward = random_.chance(1, 2);
        note(forward ? "clock jump" : "clock set back", static_cast<std::uint64_t>(minutes));
        now_.wall += std::chrono::minutes(forward ? minutes : -minutes);
        note_wall_clock();
    }
}

}  // namespace brokerd::sim
