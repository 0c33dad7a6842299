// The tables of services and what keeps them consistent.
#include "broker/domain/service_table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "broker/base/assert.hpp"
#include "protocol/types/limits.hpp"

namespace brokerd::domain {

bool responder::has_room() const {
    return !leaving && in_progress.size() < prefetch &&
           (in_progress.empty() || bytes < limits::responder_bytes_max);
}

// ---- finding ----

service* service_table::find(std::string_view name) {
    const auto at = services_.find(name);
    return at == services_.end() ? nullptr : at->second.get();
}

responder* service_table::find_responder(connection_id of, responder_id id) {
    const auto from = members_.find(of);
    if (from == members_.end()) {
        return nullptr;
    }
    const auto at = from->second.responders.find(id);
    return at == from->second.responders.end() ? nullptr : at->second.get();
}

open_request* service_table::find_request(request_token token) {
    const auto at = requests_.find(token);
    return at == requests_.end() ? nullptr : &at->second;
}

std::size_t service_table::responders_of(connection_id of) const {
    const auto from = members_.find(of);
    return from == members_.end() ? 0 : from->second.responders.size();
}

std::uint64_t service_table::prefetch_of(connection_id of) const {
    const auto from = members_.find(of);
    return from == members_.end() ? 0 : from->second.prefetch;
}

std::vector<responder*> service_table::all_responders(connection_id of) {
    std::vector<responder*> all;
    if (const auto from = members_.find(of); from != members_.end()) {
        for (const auto& [id, each] : from->second.responders) {
            all.push_back(each.get());
        }
    }
    return all;
}

std::vector<request_token> service_table::all_requests(connection_id of) const {
    const auto from = members_.find(of);
    if (from == members_.end()) {
        return {};
    }
    return {from->second.requests.begin(), from->second.requests.end()};
}

bool service_table::holds_requests(connection_id of) const {
    const auto from = members_.find(of);
    return from != members_.end() &&
           std::ranges::any_of(from->second.responders,
                               [](const auto& each) { return !each.second->in_progress.empty(); });
}

// ---- responders ----

responder& service_table::add_responder(responder fresh, const std::string& service_name) {
    auto& of = services_[service_name];
    if (!of) {
        of = std::make_unique<service>(service{.name = service_name});
    }
    member& from = members_[fresh.connection];
    const auto added = from.responders.emplace(fresh.id, std::make_unique<responder>());
    BROKERD_ASSERT(added.second, "responder {} of connection {} is there already", fresh.id.value(),
                   fresh.connection.value());
    from.prefetch += fresh.prefetch;
    responder& one = *added.first->second;
    one = std::move(fresh);
    one.of = of.get();
    one.used = ++last_use_;
    of->responders.insert(&one);
    ++of->staying;
    enter_turn(one);
    return one;
}

void service_table::stop_giving(responder& to) {
    if (!to.leaving) {
        leave_turn(to);
        to.leaving = true;
        --to.of->staying;
    }
}

void service_table::remove_responder(responder& gone) {
    BROKERD_ASSERT(gone.in_progress.empty(), "responder {} goes with {} requests in progress",
                   gone.id.value(), gone.in_progress.size());
    stop_giving(gone);
    service& of = *gone.of;
    of.responders.erase(&gone);
    if (of.responders.empty()) {
        BROKERD_ASSERT(of.waiting.empty(), "service {} goes while {} requests wait", of.name,
                       of.waiting.size());
        services_.erase(services_.find(of.name));
    }
    const connection_id connection = gone.connection;
    member& from = members_.at(connection);
    from.prefetch -= gone.prefetch;
    from.responders.erase(gone.id);
    drop_if_empty(connection);
}

void service_table::leave_turn(responder& of) {
    of.of->with_room.erase({of.in_progress.size(), of.used});
}

void service_table::enter_turn(responder& of) {
    if (of.has_room()) {
        of.of->with_room.emplace(service::turn_key{of.in_progress.size(), of.used}, &of);
    }
}

void service_table::drop_if_empty(connection_id of) {
    const auto at = members_.find(of);
    if (at != members_.end() && at->second.responders.empty() && at->second.requests.empty()) {
        members_.erase(at);
    }
}

// ---- requests ----

request_token service_table::add(open_request fresh) {
    const request_token token{++last_token_};
    deadlines_.emplace(fresh.deadline, token);
    members_[fresh.connection].requests.insert(token);
    requests_.emplace(token, std::move(fresh));
    return token;
}

request_token service_table::add_waiting(open_request fresh) {
    service& of = *fresh.of;
    of.waiting_bytes += fresh.bytes;
    waiting_bytes_ += fresh.bytes;
    const request_token token = add(std::move(fresh));
    of.waiting.insert(token);
    return token;
}

request_token service_table::add_in_progress(open_request fresh, responder& with) {
    const request_token token = add(std::move(fresh));
    begin(token, requests_.at(token), with);
    return token;
}

void service_table::begin(request_token token, open_request& what, responder& with) {
    leave_turn(with);
    what.with = &with;
    with.in_progress.insert(token);
    with.bytes += what.bytes;
    with.used = ++last_use_;
    ++with.of->in_progress;
    enter_turn(with);
}

responder* service_table::next_with_room(const service& of) const {
    return of.with_room.empty() ? nullptr : of.with_room.begin()->second;
}

std::optional<std::pair<request_token, responder*>> service_table::next_match(service& of) const {
    responder* const to = next_with_room(of);
    if (to == nullptr || of.waiting.empty()) {
        return std::nullopt;
    }
    return std::pair{*of.waiting.begin(), to};
}

shared_bytes service_table::hand_out(request_token token, responder& to) {
    open_request& what = requests_.at(token);
    what.of->waiting.erase(token);
    what.of->waiting_bytes -= what.bytes;
    waiting_bytes_ -= what.bytes;
    begin(token, what, to);
    return std::exchange(what.record, {});
}

void service_table::forget_asker(request_token token) {
    open_request& what = requests_.at(token);
    what.asker_gone = true;
    members_.at(what.connection).requests.erase(token);
    drop_if_empty(what.connection);
}

open_request service_table::end(request_token token) {
    const auto at = requests_.find(token);
    BROKERD_ASSERT(at != requests_.end(), "request {} is not open", token.value());
    open_request what = std::move(at->second);
    requests_.erase(at);
    deadlines_.erase({what.deadline, token});
    if (!what.asker_gone) {
        members_.at(what.connection).requests.erase(token);
        drop_if_empty(what.connection);
    }
    if (what.with == nullptr) {
        what.of->waiting.erase(token);
        what.of->waiting_bytes -= what.bytes;
        waiting_bytes_ -= what.bytes;
        return what;
    }
    responder& with = *what.with;
    leave_turn(with);
    with.in_progress.erase(token);
    with.bytes -= what.bytes;
    with.used = ++last_use_;
    --with.of->in_progress;
    enter_turn(with);
    return what;
}

std::optional<request_token> service_table::next_overdue(mono_time now) const {
    if (deadlines_.empty() || deadlines_.begin()->first > now) {
        return std::nullopt;
    }
    return deadlines_.begin()->second;
}

// ---- invariants ----

std::optional<std::string> service_table::check_service(const service& of) const {
    const auto wrong = [&](const char* what) { return fmt::format("{}: {}", of.name, what); };
    std::size_t in_progress = 0;
    std::size_t with_room = 0;
    std::size_t staying = 0;
    for (const responder* one : of.responders) {
        in_progress += one->in_progress.size();
        staying += one->leaving ? 0U : 1U;
        with_room += one->has_room() ? 1U : 0U;
        const auto at = of.with_room.find({one->in_progress.size(), one->used});
        if (one->of != &of || (at != of.with_room.end() && at->second == one) != one->has_room()) {
            return wrong("a responder with room is not in turn, or one without is");
        }
        if (one->leaving && one->unserve_request && one->in_progress.empty()) {
            return wrong("a responder that has left is still there");
        }
    }
    std::size_t waiting_bytes = 0;
    for (const request_token token : of.waiting) {
        const auto at = requests_.find(token);
        if (at == requests_.end() || at->second.of != &of || at->second.with != nullptr) {
            return wrong("a request that waits is not known as waiting");
        }
        waiting_bytes += at->second.bytes;
    }
    if (of.responders.empty() || in_progress != of.in_progress ||
        with_room != of.with_room.size() || staying != of.staying ||
        waiting_bytes != of.waiting_bytes) {
        return wrong("its counts are wrong, or it has no responder");
    }
    if (!of.waiting.empty() && (with_room > 0 || staying == 0)) {
        return wrong("requests wait that could be handed out, or that nobody will take");
    }
    return std::nullopt;
}

std::optional<std::string> service_table::check_requests() const {
    std::size_t waiting = 0;
    std::size_t in_progress = 0;
    std::size_t bytes = 0;
    for (const auto& [name, of] : services_) {
        if (auto wrong = check_service(*of)) {
            return wrong;
        }
        waiting += of->waiting.size();
        in_progress += of->in_progress;
        bytes += of->waiting_bytes;
    }
    if (waiting + in_progress != requests_.size() || requests_.size() != deadlines_.size() ||
        bytes != waiting_bytes_) {
        return fmt::format(
            "{} requests wait and {} are in progress, {} are known, {} have a "
            "deadline",
            waiting, in_progress, requests_.size(), deadlines_.size());
    }
    for (const auto& [token, what] : requests_) {
        const bool placed = what.with == nullptr ? what.of->waiting.contains(token)
                                                 : what.with->in_progress.contains(token);
        const auto from = members_.find(what.connection);
        const bool known = from != members_.end() && from->second.requests.contains(token);
        if (!placed || known == what.asker_gone || !deadlines_.contains({what.deadline, token})) {
            return fmt::format("request {} is not where it should be", token.value());
        }
    }
    return std::nullopt;
}

std::optional<std::string> service_table::check_members() const {
    std::size_t requests = 0;
    std::size_t responders = 0;
    for (const auto& [id, from] : members_) {
        if (from.responders.empty() && from.requests.empty()) {
            return fmt::format("connection {} has nothing here and is known", id.value());
        }
        requests += from.requests.size();
        responders += from.responders.size();
        std::uint64_t prefetch = 0;
        for (const auto& [number, one] : from.responders) {
            prefetch += one->prefetch;
        }
        if (prefetch != from.prefetch) {
            return fmt::format("responders of connection {} take {} requests at once, not {}",
                               id.value(), prefetch, from.prefetch);
        }
    }
    std::size_t attached = 0;
    for (const auto& [name, of] : services_) {
        attached += of->responders.size();
    }
    const auto asked = static_cast<std::size_t>(
        std::ranges::count_if(requests_, [](const auto& each) { return !each.second.asker_gone; }));
    if (requests != asked || responders != attached) {
        return fmt::format("connections have {} requests and {} responders, services {} and {}",
                           requests, responders, asked, attached);
    }
    return std::nullopt;
}

std::optional<std::string> service_table::check() const {
    if (auto wrong = check_requests()) {
        return wrong;
    }
    return check_members();
}

}  // namespace brokerd::domain
