// What clients ask and reply, and what has to come of it.
#include "tests/sim/services.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "protocol/codec/record.hpp"
#include "protocol/types/error.hpp"
#include "tests/sim/model.hpp"

namespace brokerd::sim {
namespace {

// Apart from the numbers of the rest of the run.
constexpr std::uint64_t own_numbers = 0x5E41CE5;

shared_bytes record_of(std::uint64_t content) {
    std::byte payload[8];
    store_le(payload, content);
    byte_buffer bytes;
    codec::encode_record(bytes, {.key = {}, .headers = {}, .payload = payload});
    return copy_bytes(bytes);
}

std::uint64_t content_of(const shared_bytes& record) {
    const auto parsed = codec::check_record(record.view);
    expect(parsed && parsed->payload.size() == 8, "a record came damaged");
    return load_le<std::uint64_t>(parsed->payload.data());
}

}  // namespace

service_clients::service_clients(std::uint64_t seed, noter note)
    : random_(seed ^ own_numbers), note_(std::move(note)) {}

// ---- steps ----

domain::request_body service_clients::step(connection_id who, std::uint64_t request, instant now) {
    const auto mine = responders_of(who);
    const std::uint64_t dice = random_.below(100);
    if (dice < 10 && mine.size() < 2) {
        return serve(who);
    }
    if (dice < 14 && !mine.empty()) {
        const responder_key which = mine[random_.below(mine.size())];
        if (!responders_.at(which).leaving) {
            return leave(which, request);
        }
    }
    if (dice < 17) {
        lists_.insert(request);
        return codec::service_list{};
    }
    if (dice < 60 && !tokens_.empty()) {
        return reply(who);
    }
    return ask(who, request, now);
}

domain::request_body service_clients::serve(connection_id who) {
    const std::uint32_t id = next_responder_++;
    open_responder& added = responders_[{who, id}];
    added.service = any_service();
    added.prefetch = static_cast<std::uint32_t>(1 + random_.below(3));
    note_("serve", id);
    return codec::serve{added.service, responder_id{id}, added.prefetch};
}

domain::request_body service_clients::leave(responder_key which, std::uint64_t request) {
    const bool at_once = random_.chance(1, 3);
    note_(at_once ? "unserve at once" : "unserve", which.second);
    leaving_[request] = which;
    if (at_once) {
        end_responder(which);
    } else {
        responders_.at(which).leaving = true;
    }
    return codec::unserve{responder_id{which.second}, at_once};
}

domain::request_body service_clients::ask(connection_id who, std::uint64_t number, instant now) {
    const duration_us timeout{static_cast<std::int64_t>(1000 + random_.below(3'000'000))};
    open_request& asked = open_[number];
    asked.asker = who;
    asked.service = any_service();
    asked.deadline = now.mono + timeout;
    note_("request", number);
    return domain::service_request{asked.service, asked.deadline, record_of(number)};
}

// Of one in progress most of the time; else of any there ever was, with somebody or over.
domain::request_body service_clients::reply(connection_id who) {
    const auto mine = tokens_of(who);
    const bool any = mine.empty() || random_.chance(1, 8);
    const request_token token =
        any ? tokens_[random_.below(tokens_.size())] : mine[random_.below(mine.size())];
    domain::service_reply made{.token = token};
    made.failed = random_.chance(1, 4);
    const std::uint64_t content = random_.below(1'000'000);
    if (made.failed) {
        made.text = "no";
    } else {
        made.record = record_of(content);
    }
    const auto at = std::ranges::find_if(open_, [&](const auto& each) {
        return each.second.with && each.second.with->first == who && each.second.token == token;
    });
    if (at == open_.end()) {
        note_("reply to nothing", token.value());
        return made;
    }
    open_request& to = at->second;
    note_(made.failed ? "fail" : "reply", at->first);
    take_off(to);
    to.replied = true;
    to.failed = made.failed;
    to.reply = content;
    if (to.asker_gone) {
        open_.erase(at);
    }
    return made;
}

// ---- events ----

void service_clients::connection_closed(connection_id which) {
    for (auto at = open_.begin(); at != open_.end();) {
        open_request& each = at->second;
        if (each.asker == which && !each.with) {
            at = open_.erase(at);
            continue;
        }
        each.asker_gone = each.asker_gone || each.asker == which;
        ++at;
    }
    for (const responder_key& each : responders_of(which)) {
        end_responder(each);
    }
    std::erase_if(leaving_, [&](const auto& each) { return each.second.first == which; });
}

// Whoever asked is told, if it is there.
void service_clients::end_responder(responder_key which) {
    const auto node = responders_.extract(which);
    for (const auto& [token, number] : node.mapped().in_progress) {
        open_request& each = open_.at(number);
        if (each.asker_gone) {
            open_.erase(number);
            continue;
        }
        each.with.reset();
        each.responder_gone = true;
    }
}

void service_clients::restarted() {
    responders_.clear();
    open_.clear();
    leaving_.clear();
    lists_.clear();
    tokens_.clear();
}

void service_clients::take_off(const open_request& ended) {
    if (ended.with) {
        if (const auto at = responders_.find(*ended.with); at != responders_.end()) {
            at->second.in_progress.erase(ended.token);
        }
    }
}

// ---- what the domain says ----

void service_clients::observe(const domain::output& what, instant now) {
    if (const auto* push = std::get_if<domain::request_push>(&what.body)) {
        observe_push(what.connection, *push, now);
    } else if (const auto* got = std::get_if<domain::reply_result>(&what.body)) {
        observe_reply(what, *got);
    } else if (open_.contains(what.request)) {
        const auto* why = std::get_if<codec::error>(&what.body);
        expect(why != nullptr, "request {} is answered with something else", what.request);
        observe_error(what, *why, now);
    } else if (leaving_.contains(what.request)) {
        expect(std::holds_alternative<codec::ok>(what.body), "an unserve is refused");
        observe_ok(what.request, now);
    } else if (lists_.erase(what.request) > 0) {
        observe_list(std::get<codec::services>(what.body), now);
    } else {
        expect(!answered_.contains(what.request), "request {} is answered twice", what.request);
        return;  // of others
    }
    expect(what.depends_on == commit_number{}, "an answer to a request waits for a commit");
}

void service_clients::observe_push(connection_id to, const domain::request_push& push,
                                   instant now) {
    const std::uint64_t number = content_of(push.record);
    const auto at = open_.find(number);
    expect(at != open_.end(), "request {} is given out, and is over", number);
    open_request& given = at->second;
    const responder_key key{to, push.message.responder.value()};
    const auto found = responders_.find(key);
    expect(found != responders_.end(), "request {} is given to nobody", number);
    expect(waits(given) && !given.asker_gone && given.deadline > now.mono,
           "request {} is given out in another state", number);
    expect(push.deadline == given.deadline && push.message.service == given.service,
           "request {} is not given out as it is", number);
    check_turn(key, given, now);
    for (const auto& [earlier, each] : open_) {
        expect(earlier >= number || each.service != given.service || !waits(each),
               "request {} is given out before {}", number, earlier);
    }
    given.with = key;
    given.token = push.message.token;
    expect(std::ranges::find(tokens_, given.token) == tokens_.end(), "a token is used twice");
    tokens_.push_back(given.token);
    found->second.in_progress[given.token] = number;
}

// It stays, has room, and nobody with fewer in progress had room.
void service_clients::check_turn(responder_key to, const open_request& given, instant now) const {
    const open_responder& taker = responders_.at(to);
    expect(taker.service == given.service && !taker.leaving, "a request is given to a wrong one");
    const std::size_t has = load_of(taker, now).least;
    expect(has < taker.prefetch, "responder {} has {} of {} requests and gets one more", to.second,
           has, taker.prefetch);
    for (const auto& [key, other] : responders_) {
        const std::size_t most = load_of(other, now).most;
        const bool before =
            other.service == given.service && !other.leaving && most < other.prefetch && most < has;
        expect(!before, "responder {} with {} gets a request, {} with {} does not", to.second, has,
               key.second, most);
    }
}

service_clients::load service_clients::load_of(const open_responder& one, instant now) const {
    load found{.least = 0, .most = one.in_progress.size()};
    for (const auto& [token, number] : one.in_progress) {
        const open_request& each = open_.at(number);
        found.least += each.asker_gone && each.deadline <= now.mono ? 0U : 1U;
    }
    return found;
}

// Takes a request that is answered now, to who asked.
service_clients::open_request service_clients::take_answered(const domain::output& what) {
    const auto at = open_.find(what.request);
    expect(at != open_.end(), "request {} is answered, and is over", what.request);
    open_request ended = at->second;
    expect(!ended.asker_gone && ended.asker == what.connection,
           "request {} is answered to another connection", what.request);
    take_off(ended);
    open_.erase(at);
    answered_.insert(what.request);
    return ended;
}

void service_clients::observe_reply(const domain::output& what, const domain::reply_result& got) {
    const open_request ended = take_answered(what);
    expect(ended.replied && !ended.failed && content_of(got.record) == ended.reply,
           "request {} gets a reply that nobody made", what.request);
    note_("replied", what.request);
}

void service_clients::observe_error(const domain::output& what, const codec::error& why,
                                    instant now) {
    const open_request ended = take_answered(what);
    note_(fmt::format("request: {}", describe(why.code).name), what.request);
    bool right = false;
    switch (why.code) {
        case error_code::no_responder: right = waits(ended) && !has_responder(ended.service); break;
        case error_code::responder_gone: right = ended.responder_gone; break;
        case error_code::request_failed: right = ended.replied && ended.failed; break;
        case error_code::deadline_exceeded:
            right = !ended.replied && !ended.responder_gone && ended.deadline <= now.mono;
            break;
        case error_code::busy:  // for all of its time; nobody had it
            right = waits(ended) && ended.deadline <= now.mono;
            break;
        default: break;
    }
    expect(right, "request {} ends with {} for no reason", what.request, why.text);
}

void service_clients::observe_ok(std::uint64_t request, instant now) {
    const responder_key key = leaving_.extract(request).mapped();
    const auto at = responders_.find(key);
    if (at != responders_.end()) {
        expect(load_of(at->second, now).least == 0, "responder {} ends with requests in progress",
               key.second);
        for (const auto& [token, number] : at->second.in_progress) {
            open_.erase(number);
        }
        responders_.erase(at);
    }
}

void service_clients::observe_list(const codec::services& list, instant now) const {
    struct row {
        std::size_t responders = 0;
        load in_progress;
        std::size_t waiting = 0;
    };
    std::map<std::string, row> expected;
    for (const auto& [key, each] : responders_) {
        row& of = expected[each.service];
        const load has = load_of(each, now);
        ++of.responders;
        of.in_progress.least += has.least;
        of.in_progress.most += has.most;
    }
    for (const auto& [number, each] : open_) {
        if (waits(each)) {
            ++expected[each.service].waiting;
        }
    }
    expect(list.items.size() == expected.size(), "{} services are listed, there are {}",
           list.items.size(), expected.size());
    for (const codec::service_item& item : list.items) {
        const row& of = expected[item.service];
        expect(item.responders == of.responders && item.waiting == of.waiting &&
                   item.in_progress >= of.in_progress.least &&
                   item.in_progress <= of.in_progress.most,
               "service {} is listed with {} responders, {} in progress, {} waiting", item.service,
               item.responders, item.in_progress, item.waiting);
    }
    note_("services listed", list.items.size());
}

void service_clients::turn_ended(instant now) {
    for (auto at = open_.begin(); at != open_.end();) {
        const open_request& each = at->second;
        expect(!each.responder_gone && !each.replied, "request {} is not told what became of it",
               at->first);
        expect(each.with || has_responder(each.service), "request {} waits for nobody", at->first);
        if (each.deadline > now.mono) {
            ++at;
            continue;
        }
        expect(each.asker_gone, "the time of request {} is over, and it is not told", at->first);
        take_off(each);
        at = open_.erase(at);
    }
    for (const auto& [number, each] : open_) {
        if (!waits(each)) {
            continue;
        }
        for (const auto& [key, other] : responders_) {
            expect(other.service != each.service || other.leaving ||
                       other.in_progress.size() >= other.prefetch,
                   "request {} waits while responder {} has room", number, key.second);
        }
    }
}

// ---- looking ----

std::vector<service_clients::responder_key> service_clients::responders_of(
    connection_id who) const {
    std::vector<responder_key> found;
    for (const auto& [key, each] : responders_) {
        if (key.first == who) {
            found.push_back(key);
        }
    }
    return found;
}

std::vector<request_token> service_clients::tokens_of(connection_id who) const {
    std::vector<request_token> found;
    for (const auto& [key, each] : responders_) {
        for (const auto& [token, number] : each.in_progress) {
            if (key.first == who) {
                found.push_back(token);
            }
        }
    }
    return found;
}

bool service_clients::has_responder(const std::string& service) const {
    return std::ranges::any_of(responders_, [&](const auto& each) {
        return each.second.service == service && !each.second.leaving;
    });
}

}  // namespace brokerd::sim
